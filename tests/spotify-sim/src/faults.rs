//! Scripted trouble: what goes wrong, where, for whom and how often.
//!
//! The first fault that fits is used up first. A place asks with
//! [`Faults::take`] before it does its ordinary work.

use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

/// A part of the back end that a listener talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// `POST /v1/clienttoken`.
    ClientToken,
    /// `POST /v3/login`.
    Login5,
    /// `POST /oauth2/device/authorize`.
    Authorize,
    /// `POST /api/token`.
    Token,
    /// `GET /?type=accesspoint…`.
    ApResolve,
    /// The key exchange of an access point link.
    ApConnect,
    /// The login packet on an access point link.
    ApLogin,
    /// Everything else on an access point link (record only).
    ApLink,
    /// The push socket.
    Dealer,
    /// What the app asks of a device through the dealer (record only).
    Command,
    /// The device's state, put and deleted.
    ConnectState,
    /// Which tracks a context holds.
    Context,
    /// What a track is called and which files it has.
    Metadata,
    /// Where a file lies.
    Storage,
    /// The file itself.
    Cdn,
    /// The key that opens the file.
    AudioKey,
    /// Anything that has no place of its own (record only).
    Other,
}

/// What happens instead of the ordinary answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Then {
    /// A clear no in the place's own words: 403, wrong credentials, no key.
    Refuse,
    /// The connection ends without an answer.
    Drop,
    /// No answer ever; the connection stays.
    Stall,
    /// The ordinary answer, later.
    Delay(Duration),
    /// An HTTP status, with `Retry-After` if given. Elsewhere like `Refuse`.
    Status(u16, Option<Duration>),
    /// The answer breaks off after so many bytes of its body.
    Truncate(usize),
    /// An answer that makes no sense.
    Garbage,
    /// The ordinary answer with its body spoilt. Elsewhere than in HTTP like `Refuse`.
    Body(Spoilt),
    /// The access point signs its key wrongly. Elsewhere like `Refuse`.
    BadSignature,
    /// The login is refused with this code: of the access point
    /// (`APLoginFailed`) or of login5 (`LoginError`).
    LoginError(i32),
}

/// What may be wrong with the body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoilt {
    /// There is nothing in it: of the storage, "no server has this file".
    Empty,
    /// It stops after so many bytes, and the connection stays.
    HangAfter(usize),
    /// It comes at so many bytes a second, one second's worth at a time.
    Trickle(usize),
    /// The whole file with status 200, as if the range had not been read.
    Whole,
    /// The part that was asked for, said to be another one.
    WrongRange,
    /// "It lies elsewhere" (302): at the same server, under another name.
    Moved,
    /// Said to be packed, and it looks so.
    Packed,
}

/// Codes for [`Then::LoginError`] at the access point.
pub mod access_point_error {
    pub const TRY_ANOTHER: i32 = 2;
    pub const BAD_CONNECTION_ID: i32 = 5;
    pub const TRAVEL_RESTRICTION: i32 = 9;
    pub const PREMIUM_REQUIRED: i32 = 11;
    pub const BAD_CREDENTIALS: i32 = 12;
    pub const COULD_NOT_VALIDATE: i32 = 13;
}

/// Codes for [`Then::LoginError`] at login5.
pub mod login5_error {
    pub const INVALID_CREDENTIALS: i32 = 1;
    pub const BAD_REQUEST: i32 = 2;
    pub const TIMEOUT: i32 = 4;
    pub const TOO_MANY_ATTEMPTS: i32 = 6;
    pub const TRY_AGAIN_LATER: i32 = 8;
}

/// One fault, built as `Fault::on(Place::Cdn).times(2).then(Then::Drop)`.
#[derive(Clone, Debug)]
pub struct Fault {
    place: Place,
    user: Option<String>,
    path: Option<String>,
    skip: u32,
    left: Option<u32>,
    then: Then,
}

impl Fault {
    /// Once, a refusal, unless said otherwise.
    pub fn on(place: Place) -> Self {
        Self {
            place,
            user: None,
            path: None,
            skip: 0,
            left: Some(1),
            then: Then::Refuse,
        }
    }

    /// Only for this user. A place that does not know the user yet (the key
    /// exchange, the client token) never matches.
    pub fn of(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    /// Only for HTTP requests whose path contains this: a file id, or the server of an audio
    /// file, which are `/a/`, `/b/`, `/c/` and `/d/`.
    pub fn at(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Lets the first `count` requests pass.
    pub fn after(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    pub fn times(mut self, count: u32) -> Self {
        self.left = Some(count);
        self
    }

    pub fn forever(mut self) -> Self {
        self.left = None;
        self
    }

    pub fn then(mut self, then: Then) -> Self {
        self.then = then;
        self
    }

    fn fits(&self, place: Place, user: Option<&str>, path: &str) -> bool {
        self.place == place
            && self.path.as_deref().is_none_or(|part| path.contains(part))
            && self
                .user
                .as_deref()
                .is_none_or(|wanted| Some(wanted) == user)
    }
}

/// The faults of one simulation, shared by all its places.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Vec<Fault>>>);

impl Faults {
    pub fn add(&self, fault: Fault) {
        crate::shared::lock(&self.0).push(fault);
    }

    /// All is well again. Requests that stall already stay stalled.
    pub fn clear(&self) {
        crate::shared::lock(&self.0).clear();
    }

    /// Whether nothing is left to go wrong.
    pub fn is_empty(&self) -> bool {
        crate::shared::lock(&self.0).is_empty()
    }

    /// What happens to the request at hand, if anything.
    pub(crate) fn take(&self, place: Place, user: Option<&str>) -> Option<Then> {
        self.take_at(place, user, "")
    }

    /// The same for a request that has a path.
    pub(crate) fn take_at(&self, place: Place, user: Option<&str>, path: &str) -> Option<Then> {
        let mut faults = crate::shared::lock(&self.0);
        let at = faults.iter_mut().position(|fault| {
            if !fault.fits(place, user, path) {
                return false;
            }
            let passes = fault.skip > 0;
            fault.skip = fault.skip.saturating_sub(1);
            !passes
        })?;
        let then = faults[at].then.clone();
        if let Some(left) = &mut faults[at].left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                faults.remove(at);
            }
        }
        Some(then)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(crate::shared::lock(&self.0).iter())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_as_often_as_asked_and_then_no_more() {
        let faults = Faults::default();
        faults.add(Fault::on(Place::Cdn).times(2).then(Then::Drop));
        assert_eq!(faults.take(Place::Storage, None), None);
        assert_eq!(faults.take(Place::Cdn, None), Some(Then::Drop));
        assert_eq!(faults.take(Place::Cdn, None), Some(Then::Drop));
        assert_eq!(faults.take(Place::Cdn, None), None);
        assert!(faults.is_empty());
    }

    #[test]
    fn a_fault_for_one_user_leaves_the_others_alone() {
        let faults = Faults::default();
        faults.add(Fault::on(Place::ApLogin).of("kim").forever());
        assert_eq!(faults.take(Place::ApLogin, Some("alex")), None);
        assert_eq!(faults.take(Place::ApLogin, None), None);
        assert_eq!(faults.take(Place::ApLogin, Some("kim")), Some(Then::Refuse));
        assert_eq!(faults.take(Place::ApLogin, Some("kim")), Some(Then::Refuse));
    }

    #[test]
    fn the_first_requests_pass_when_a_fault_is_to_come_later() {
        let faults = Faults::default();
        faults.add(Fault::on(Place::Cdn).after(2).then(Then::Status(503, None)));
        assert_eq!(faults.take(Place::Cdn, None), None);
        assert_eq!(faults.take(Place::Cdn, None), None);
        assert_eq!(faults.take(Place::Cdn, None), Some(Then::Status(503, None)));
        assert_eq!(faults.take(Place::Cdn, None), None);
    }

    #[test]
    fn a_fault_of_one_server_leaves_the_others_alone() {
        let faults = Faults::default();
        faults.add(Fault::on(Place::Cdn).at("/a/").forever().then(Then::Drop));
        assert_eq!(faults.take_at(Place::Cdn, None, "/b/audio/0"), None);
        assert_eq!(
            faults.take_at(Place::Cdn, None, "/a/audio/0"),
            Some(Then::Drop)
        );
    }

    #[test]
    fn faults_of_one_place_come_in_the_order_they_were_added() {
        let faults = Faults::default();
        faults.add(Fault::on(Place::Cdn).then(Then::Drop));
        faults.add(Fault::on(Place::Cdn).then(Then::Garbage));
        assert_eq!(faults.take(Place::Cdn, None), Some(Then::Drop));
        assert_eq!(faults.take(Place::Cdn, None), Some(Then::Garbage));
    }
}
