//! Who lives here, who visits, and what Spotify thinks of them.

use std::collections::BTreeMap;

use super::super::policy::{self, Circumstances, Who};
use crate::{
    config::Guests,
    model::{Login, Refusal, Secret},
};

/// Whose speaker it is, one of the family, a friend, one without Premium, one who guesses passwords.
pub const NAMES: [&str; 5] = ["kim", "alex", "sam", "fred", "mallory"];
/// The first so many are let in by Spotify.
const PREMIUM: usize = 3;

#[derive(Debug, Clone)]
struct Person {
    /// Counts the passwords he has had.
    password: u8,
    premium: bool,
}

pub struct People {
    all: BTreeMap<&'static str, Person>,
    /// The house's memory.
    pub kept: BTreeMap<String, Login>,
    pub guests: Guests,
    pub quiet: bool,
}

impl People {
    pub fn new() -> Self {
        let person = |(at, name): (usize, &'static str)| {
            let premium = at < PREMIUM;
            let password = 1;
            (name, Person { password, premium })
        };
        Self {
            all: NAMES.into_iter().enumerate().map(person).collect(),
            kept: BTreeMap::new(),
            guests: Guests::Open,
            quiet: false,
        }
    }

    /// What this person's phone hands over.
    pub fn login(&self, user: &str) -> Login {
        let right = self.all.get(user).map_or(0, |person| person.password);
        let password = if user == "mallory" { 0 } else { right };
        Login {
            user: user.to_owned(),
            kind: 1,
            secret: Secret::new(vec![password]),
        }
    }

    /// What Spotify says to a login.
    pub fn verdict(&self, login: &Login) -> Result<(), Refusal> {
        let person = self.all.get(login.user.as_str());
        let right = person.filter(|person| login.secret.expose() == [person.password]);
        match right {
            None => Err(Refusal::BadCredentials),
            Some(person) if !person.premium => Err(Refusal::NotPremium {
                product: "free".into(),
            }),
            Some(_) => Ok(()),
        }
    }

    /// Somebody thinks of a new password: what is kept here opens nothing any more.
    pub fn change_password(&mut self, user: &str) {
        if let Some(person) = self.all.get_mut(user) {
            person.password = person.password.wrapping_add(1).max(1);
        }
    }

    pub fn pay(&mut self, user: &str, premium: bool) {
        if let Some(person) = self.all.get_mut(user) {
            person.premium = premium;
        }
    }

    /// Whether the house lets him come by phone, and whether as a stranger.
    pub fn at_the_door(&self, who: Who, playing: bool, occupied: bool) -> Option<bool> {
        let at = Circumstances {
            who,
            playing,
            quiet: self.quiet,
            empty_house: self.kept.is_empty() && !occupied,
        };
        let let_in = policy::admit(self.guests, at).is_ok();
        let_in.then_some(who == Who::Stranger)
    }
}
