//! Who has an account, what it is worth, and which credentials open it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use hyper::StatusCode;
use sha1::{Digest, Sha1};

use crate::{
    http::{self, Answer, Ask},
    shared::{Shared, lock},
};

pub(crate) const PROFILE: &str = "/user-profile-view/v3/profile/";

/// An account as the simulation keeps it.
#[derive(Clone)]
pub struct User {
    pub name: String,
    pub password: String,
    /// The `type` in the product packet: "premium" or "free".
    pub product: String,
    /// Two letters.
    pub country: String,
    /// Further product attributes, such as `autoplay`.
    pub attributes: BTreeMap<String, String>,
    /// Whether the access point hands out audio keys.
    pub audio_keys: bool,
    /// Counts up when the stored credentials are revoked.
    generation: u32,
}

impl User {
    pub fn premium(name: &str) -> Self {
        let attributes = [
            ("catalogue", "premium"),
            ("autoplay", "0"),
            ("filter-explicit-content", "0"),
            ("image-url", "https://i.scdn.co/image/{file_id}"),
            ("name", "Spotify Premium"),
        ];
        let attributes = attributes.map(|(key, value)| (key.to_owned(), value.to_owned()));
        Self {
            name: name.to_owned(),
            password: format!("{name}-password"),
            product: "premium".to_owned(),
            country: "DE".to_owned(),
            attributes: attributes.into(),
            audio_keys: true,
            generation: 0,
        }
    }

    pub fn free(name: &str) -> Self {
        let mut user = Self::premium(name);
        user.product = "free".to_owned();
        user.attributes
            .insert("catalogue".to_owned(), "free".to_owned());
        user
    }

    pub fn without_audio_keys(mut self) -> Self {
        self.audio_keys = false;
        self
    }

    /// The credential that the access point gives after a login, and that a
    /// phone hands over by zeroconf (authentication type 1).
    pub fn stored_credential(&self) -> Vec<u8> {
        let text = format!("stored credential {} of {}", self.generation, self.name);
        let mut credential = format!("{}:", self.name).into_bytes();
        credential.extend(Sha1::digest(&text));
        credential.extend(Sha1::digest(format!("{text}, second half")));
        credential
    }

    /// What people see: the name with a capital.
    pub fn display_name(&self) -> String {
        let mut letters = self.name.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect()
    }

    /// The XML of the product packet.
    pub(crate) fn product_xml(&self) -> String {
        let rows: String = self
            .attributes
            .iter()
            .map(|(key, value)| format!("<{key}>{value}</{key}>"))
            .collect();
        format!(
            "<products><product><type>{}</type>{rows}</product></products>",
            self.product
        )
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.product, self.country)
    }
}

/// All accounts. Clones share them.
#[derive(Clone)]
pub struct Users(Arc<Mutex<BTreeMap<String, User>>>);

impl Default for Users {
    /// Five premium listeners, fred with a free account, and vera, whose
    /// audio keys are refused.
    fn default() -> Self {
        let premium = ["kim", "alex", "sam", "noa", "robin"].map(User::premium);
        let others = [
            User::free("fred"),
            User::premium("vera").without_audio_keys(),
        ];
        Self::of(premium.into_iter().chain(others))
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(lock(&self.0).values()).finish()
    }
}

impl Users {
    pub fn of(users: impl IntoIterator<Item = User>) -> Self {
        let users = users
            .into_iter()
            .map(|user| (user.name.clone(), user))
            .collect();
        Self(Arc::new(Mutex::new(users)))
    }

    pub fn get(&self, name: &str) -> Option<User> {
        lock(&self.0).get(name).cloned()
    }

    pub fn all(&self) -> Vec<User> {
        lock(&self.0).values().cloned().collect()
    }

    /// Changes an account. Links that are open already are told nothing.
    ///
    /// # Panics
    /// When there is no such user.
    #[track_caller]
    pub fn change(&self, name: &str, change: impl FnOnce(&mut User)) {
        match lock(&self.0).get_mut(name) {
            Some(user) => change(user),
            None => panic!("the simulation has no user {name}"),
        }
    }

    /// From now on the stored credentials given out so far are wrong, as
    /// after a change of password.
    #[track_caller]
    pub fn revoke(&self, name: &str) {
        self.change(name, |user| user.generation += 1);
    }

    /// Whose stored credential this is.
    pub(crate) fn by_credential(&self, credential: &[u8]) -> Option<User> {
        lock(&self.0)
            .values()
            .find(|user| user.stored_credential() == credential)
            .cloned()
    }
}

/// The public profile of an account.
pub(crate) fn profile(shared: &Shared, ask: &Ask) -> Answer {
    let user = ask.rest(PROFILE).and_then(|name| shared.users.get(name));
    match user {
        Some(user) if ask.user.is_some() => {
            let uri = format!("spotify:user:{}", user.name);
            let profile = serde_json::json!({"uri": uri, "name": user.display_name()});
            http::ok(profile.to_string())
        }
        Some(_) => http::status(StatusCode::UNAUTHORIZED),
        None => http::status(StatusCode::NOT_FOUND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revoked_credential_opens_nothing() {
        let users = Users::default();
        let old = users.get("kim").unwrap().stored_credential();
        assert_eq!(users.by_credential(&old).unwrap().name, "kim");
        users.revoke("kim");
        assert!(users.by_credential(&old).is_none());
        let new = users.get("kim").unwrap().stored_credential();
        assert_eq!(users.by_credential(&new).unwrap().name, "kim");
    }

    #[test]
    fn the_product_packet_says_what_the_account_is_worth() {
        let users = Users::default();
        assert!(
            users
                .get("kim")
                .unwrap()
                .product_xml()
                .contains("<type>premium</type>")
        );
        assert!(
            users
                .get("fred")
                .unwrap()
                .product_xml()
                .contains("<type>free</type>")
        );
    }
}
