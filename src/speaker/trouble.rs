//! The speaker's troubles in the listener's words.

use super::policy::Denied;
use crate::model::{Condition, ConditionCode, Login, Refusal, local_date, masked};

/// Over as soon as an account is signed in.
pub const OF_ACCOUNTS: [ConditionCode; 9] = [
    ConditionCode::LoginRefused,
    ConditionCode::NotPremium,
    ConditionCode::WrongCountry,
    ConditionCode::LoginPending,
    ConditionCode::TooManyDevices,
    ConditionCode::GuestRefused,
    ConditionCode::SpotifyUnreachable,
    ConditionCode::EngineLost,
    ConditionCode::NoCertificates,
];

/// In the way of a sign-in, until Spotify has answered it.
pub const OF_TRYING: [ConditionCode; 3] = [
    ConditionCode::SpotifyUnreachable,
    ConditionCode::EngineLost,
    ConditionCode::NoCertificates,
];

/// Told by an engine or about its account; not known any more when it is gone.
pub const OF_ENGINE: [ConditionCode; 6] = [
    ConditionCode::OutputLost,
    ConditionCode::KeysRefused,
    ConditionCode::TracksFail,
    ConditionCode::AccountKeysRefused,
    ConditionCode::StreamTaken,
    ConditionCode::NoCache,
];

pub fn unreachable(why: &str) -> Condition {
    Condition::new(
        ConditionCode::SpotifyUnreachable,
        "Spotify cannot be reached",
        why,
        "check the internet connection; siskin keeps trying",
    )
}

pub fn engine_lost(how: &str) -> Condition {
    Condition::new(
        ConditionCode::EngineLost,
        "the playing part of siskin ended by itself",
        how,
        "a new one is started at once; please report it if it happens again",
    )
}

/// Of the one who was signed in.
pub fn login_refused(refusal: &Refusal) -> Condition {
    Condition::new(
        refusal.code(),
        "nobody is signed in any more",
        refusal.to_string(),
        refusal.cure(),
    )
}

/// Of one who came new, by Spotify.
pub fn guest_refused(guest: &Login, refusal: &Refusal) -> Condition {
    Condition::new(
        ConditionCode::GuestRefused,
        format!("{} could not be signed in", masked(&guest.user)),
        refusal.to_string(),
        refusal.cure(),
    )
}

/// Of one who came new, by the house.
pub fn guest_denied(guest: &Login, denied: Denied) -> Condition {
    Condition::new(
        ConditionCode::GuestRefused,
        format!("{} was not let in", masked(&guest.user)),
        denied.to_string(),
        denied.cure(),
    )
}

/// `since_ms`: Unix time; `code`: Spotify's number for the reason.
pub fn account_keys_refused(user: &str, since_ms: i64, code: Option<u16>) -> Condition {
    let code = code.map(|code| format!(", with code {code}"));
    Condition::new(
        ConditionCode::AccountKeysRefused,
        format!("no music can be played with the account {}", masked(user)),
        format!(
            "Spotify refuses this account the audio keys that librespot needs{}, since {} (known for \
             accounts made since about December 2024)",
            code.unwrap_or_default(),
            local_date(since_ms)
        ),
        "pick the speaker with another, older account; siskin asks again once a day",
    )
}

/// `what` was to be kept.
pub fn not_kept(what: &str, why: &std::io::Error) -> Condition {
    Condition::new(
        ConditionCode::StateDamaged,
        "something could not be kept on disk",
        format!("{what}: {why}"),
        "check the disk; what is kept from before stays in force",
    )
}

pub fn not_forgotten(why: &str) -> Condition {
    Condition::new(
        ConditionCode::StateDamaged,
        "the account is signed out here, but still kept on disk",
        why,
        "check the disk, then forget the account again with siskin accounts",
    )
}

pub fn stream_taken() -> Condition {
    Condition::new(
        ConditionCode::StreamTaken,
        "the music goes on elsewhere",
        "this account plays on another device now",
        "pick the speaker in the Spotify app to have it back",
    )
}
