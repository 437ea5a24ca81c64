//! `accounts.spotify.com`: signing in without a phone on the local network, by a code that is typed
//! elsewhere (RFC 8628) or in a browser (RFC 6749 with PKCE, RFC 7636).
//!
//! [`Authorization`] is the listener who types the code, and whoever else decides what becomes of
//! it. The access tokens handed out here open the access point (authentication type 3).

mod answers;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use tokio::sync::watch;

use crate::shared::{Shared, lock, random_text};

pub(crate) use answers::{device, refused, token};

/// Where codes are typed.
pub const PAIR: &str = "https://spotify.com/pair";

/// Letters and digits that nobody mistakes for others.
const ALPHABET: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

/// What a listener has done about a code.
#[derive(Clone, Debug, PartialEq)]
enum Decided {
    Open,
    Approved(String),
    Denied,
    Expired,
    /// A token was handed out for it.
    Used,
}

struct Code {
    device_code: String,
    user_code: String,
    client: String,
    until: Instant,
    /// Asked sooner than this, the server says "slow down".
    not_before: Instant,
    interval: Duration,
    decided: Decided,
}

/// A redirect that a browser was sent to, waiting to be turned into a token.
struct Redirected {
    user: String,
    client: String,
    redirect: String,
    challenge: String,
}

struct Desk {
    codes: Vec<Code>,
    redirected: HashMap<String, Redirected>,
    life: Duration,
    interval: Duration,
    slow_downs: u32,
    /// `None`: every client.
    admitted: Option<String>,
    too_early: u32,
    secrets: Vec<String>,
}

/// The desk of one simulation, and a bell for those who wait for a code.
pub(crate) struct Desks {
    desk: Mutex<Desk>,
    changed: watch::Sender<()>,
}

impl Default for Desks {
    fn default() -> Self {
        let desk = Desk {
            codes: Vec::new(),
            redirected: HashMap::new(),
            life: Duration::from_secs(600),
            interval: Duration::from_secs(1),
            slow_downs: 0,
            admitted: None,
            too_early: 0,
            secrets: Vec::new(),
        };
        Self {
            desk: Mutex::new(desk),
            changed: watch::Sender::new(()),
        }
    }
}

/// The listener at `spotify.com/pair` or in a browser, and the server's moods.
#[derive(Clone)]
pub struct Authorization {
    shared: Arc<Shared>,
}

impl Authorization {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// How long codes live and how often they may be asked about, from the next code on.
    pub fn codes(&self, life: Duration, interval: Duration) {
        let mut desk = lock(&self.shared.desks.desk);
        (desk.life, desk.interval) = (life, interval);
    }

    /// The next questions are answered with "slow down".
    pub fn slow_down(&self, times: u32) {
        lock(&self.shared.desks.desk).slow_downs = times;
    }

    /// From now on only this client may ask for anything.
    pub fn admit(&self, client: &str) {
        lock(&self.shared.desks.desk).admitted = Some(client.to_owned());
    }

    /// Waits for a code that nobody has decided about and that still lives.
    ///
    /// # Errors
    /// When there is none within `limit`.
    pub async fn code(&self, limit: Duration) -> Result<String, String> {
        let mut changed = self.shared.desks.changed.subscribe();
        let search = async {
            loop {
                changed.borrow_and_update();
                if let Some(code) = self.open_code() {
                    return code;
                }
                // The sender lives in `shared`, so this cannot fail.
                let _ = changed.changed().await;
            }
        };
        tokio::time::timeout(limit, search).await.map_err(|_| {
            format!(
                "nobody asked for a code within {limit:?}; the last exchanges were:\n{}",
                self.shared.record.last(20)
            )
        })
    }

    /// The newest code that nobody has decided about and that still lives.
    pub fn open_code(&self) -> Option<String> {
        let desk = lock(&self.shared.desks.desk);
        let open = |code: &&Code| code.decided == Decided::Open && code.until > Instant::now();
        let found = desk.codes.iter().rev().find(open);
        found.map(|code| code.user_code.clone())
    }

    /// Types the code as `user`, and says yes.
    #[track_caller]
    pub fn approve(&self, code: &str, user: &str) {
        assert!(
            self.shared.users.get(user).is_some(),
            "the simulation has no user {user}"
        );
        self.decide(code, Decided::Approved(user.to_owned()));
    }

    /// Types the code, and says no.
    #[track_caller]
    pub fn deny(&self, code: &str) {
        self.decide(code, Decided::Denied);
    }

    /// The code is of no use any more, whatever was promised.
    #[track_caller]
    pub fn expire(&self, code: &str) {
        self.decide(code, Decided::Expired);
    }

    #[track_caller]
    fn decide(&self, code: &str, decided: Decided) {
        let mut desk = lock(&self.shared.desks.desk);
        match desk.codes.iter_mut().find(|known| known.user_code == code) {
            Some(known) => known.decided = decided,
            None => panic!("the simulation has handed out no code {code}"),
        }
    }

    /// What a browser does with an address of `accounts.spotify.com/authorize` when `user` says
    /// yes there: the address it is led to.
    ///
    /// # Errors
    /// When the address asks for something that Spotify would not show.
    pub fn browse(&self, address: &str, user: &str) -> Result<String, String> {
        let (page, query) = address.split_once('?').ok_or("it asks for nothing")?;
        if page != "https://accounts.spotify.com/authorize" {
            return Err(format!("{page} is not where one signs in"));
        }
        let given: HashMap<String, String> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let get = |name: &str| given.get(name).cloned().ok_or(format!("{name} is missing"));
        if get("response_type")? != "code" || get("code_challenge_method")? != "S256" {
            return Err("it is not the flow with PKCE".to_owned());
        }
        let redirect = get("redirect_uri")?;
        if !redirect.starts_with("http://127.0.0.1:") || !redirect.ends_with("/login") {
            return Err(format!("{redirect} is not registered"));
        }
        let code = format!("browser-{}", random_text());
        let redirected = Redirected {
            user: user.to_owned(),
            client: get("client_id")?,
            redirect: redirect.clone(),
            challenge: get("code_challenge")?,
        };
        let mut desk = lock(&self.shared.desks.desk);
        desk.secrets.push(code.clone());
        desk.redirected.insert(code.clone(), redirected);
        let back = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("state", &get("state")?)
            .finish();
        Ok(format!("{redirect}?{back}"))
    }

    /// How many questions came before the interval was over.
    pub fn asked_too_early(&self) -> u32 {
        lock(&self.shared.desks.desk).too_early
    }

    /// Everything handed out here that must never be seen anywhere: device codes and tokens.
    pub fn secrets(&self) -> Vec<String> {
        lock(&self.shared.desks.desk).secrets.clone()
    }
}

impl Desk {
    fn admits(&self, client: &str) -> bool {
        let plain = client.len() == 32 && client.bytes().all(|byte| byte.is_ascii_hexdigit());
        plain && self.admitted.as_deref().is_none_or(|only| only == client)
    }

    /// A fresh code, already on the desk.
    fn hand_out(&mut self, client: &str) -> &Code {
        let letters = random_text().into_bytes();
        let user_code = letters
            .chunks(2)
            .take(6)
            .map(|pair| {
                let sum = pair.iter().map(|byte| usize::from(*byte)).sum::<usize>();
                char::from(ALPHABET[sum % ALPHABET.len()])
            })
            .collect();
        let now = Instant::now();
        let device_code = format!("device-{}", random_text());
        self.secrets.push(device_code.clone());
        let at = self.codes.len();
        self.codes.push(Code {
            device_code,
            user_code,
            client: client.to_owned(),
            until: now + self.life,
            not_before: now + self.interval,
            interval: self.interval,
            decided: Decided::Open,
        });
        &self.codes[at]
    }

    /// Who approved, or the word of RFC 8628 for why there is no token.
    fn ask(&mut self, device_code: &str, client: &str) -> Result<String, &'static str> {
        let now = Instant::now();
        let known = self
            .codes
            .iter_mut()
            .find(|code| code.device_code == device_code && code.client == client);
        let Some(code) = known else {
            return Err("invalid_grant");
        };
        // A little early is the clock's fault.
        let early = now + Duration::from_millis(20) < code.not_before;
        self.too_early += u32::from(early);
        if early || self.slow_downs > 0 {
            self.slow_downs = self.slow_downs.saturating_sub(1);
            code.interval += Duration::from_secs(5);
            code.not_before = now + code.interval;
            return Err("slow_down");
        }
        code.not_before = now + code.interval;
        match &code.decided {
            Decided::Denied => Err("access_denied"),
            Decided::Used => Err("invalid_grant"),
            Decided::Expired => Err("expired_token"),
            _ if code.until <= now => Err("expired_token"),
            Decided::Open => Err("authorization_pending"),
            Decided::Approved(user) => {
                let user = user.clone();
                code.decided = Decided::Used;
                Ok(user)
            }
        }
    }

    /// Whose redirect this is; each is good once.
    fn redeem(
        &mut self,
        code: &str,
        client: &str,
        redirect: &str,
        verifier: &str,
    ) -> Result<String, &'static str> {
        let given = self.redirected.remove(code).ok_or("invalid_grant")?;
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
        let fits =
            given.client == client && given.redirect == redirect && given.challenge == challenge;
        fits.then_some(given.user).ok_or("invalid_grant")
    }
}
