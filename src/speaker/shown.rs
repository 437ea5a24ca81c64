//! What others are shown of who sits here.

use super::phase::Resident;
use crate::model::Phase;

/// Where the speaker stands, and the user it belongs to.
pub fn seat(resident: &Resident) -> (Phase, Option<String>) {
    let (phase, login) = match resident {
        Resident::Nobody => (Phase::Nobody, None),
        Resident::SigningIn { login, .. } => (Phase::SigningIn, Some(login)),
        Resident::Seated { login, .. } => (Phase::Online, Some(login)),
        Resident::Waiting { login, .. } => (Phase::Retrying, Some(login)),
        Resident::Refused => (Phase::Refused, None),
    };
    (phase, login.map(|login| login.user.clone()))
}
