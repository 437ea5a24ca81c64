//! Trouble, told once and the same everywhere: named conditions with a cure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One thing that is wrong now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    pub code: ConditionCode,
    /// What is wrong, in the listener's words.
    pub what: String,
    /// Why, as exactly as is known.
    pub why: String,
    /// What the listener can do; what siskin does by itself meanwhile.
    pub cure: String,
}

/// The name of a condition: stable, `snake_case`, fit for automations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConditionCode {
    /// No interface that a phone could reach us on.
    NoNetwork,
    /// Our announcement or our endpoint cannot be published.
    NotAnnounced,
    /// The speaker is announced, and a question for it on this machine is not answered.
    AnnouncementUnheard,
    /// What phones hand accounts over to does not answer.
    EndpointDead,
    /// The clock of the machine stands before this siskin was made.
    ClockWrong,
    /// Another device on the network has our name.
    NameTaken,
    /// No usable certificate authority on this machine.
    NoCertificates,
    /// Spotify cannot be reached; trying again.
    SpotifyUnreachable,
    /// The stored login was refused.
    LoginRefused,
    /// The account that was signed in is not Premium any more.
    NotPremium,
    /// The account is used outside its country.
    WrongCountry,
    /// Spotify waits for a second factor, or for consent to new terms.
    LoginPending,
    /// Too many devices use the account.
    TooManyDevices,
    /// The last guest's account cannot stream here, or may not.
    GuestRefused,
    /// Spotify gives this account no audio keys at all.
    AccountKeysRefused,
    /// The account plays on another device now. No trouble.
    StreamTaken,
    /// Spotify refuses the keys of several tracks in a row.
    KeysRefused,
    /// Tracks fail to load, several in a row.
    TracksFail,
    /// The sound card is missing, busy, forbidden, lost or stalled.
    OutputLost,
    /// The engine process ended by itself; a new one was started.
    EngineLost,
    /// Something kept on disk could not be read or written.
    StateDamaged,
    /// Others could read what is kept, or the token was damaged; repaired.
    StateRepaired,
    /// An account is kept that cannot be opened: its key is lost, or a newer siskin wrote it.
    AccountsLocked,
    /// A changed configuration was not taken over.
    ConfigRejected,
    /// The socket that other programs ask us on cannot be made.
    NoSocket,
    /// The same for the address that we are to listen at.
    NoHttp,
    /// The certificate that is shown there is to be renewed soon.
    CertificateExpires,
    /// The speakers cannot be put on D-Bus.
    NoMpris,
    /// The MQTT broker of the house cannot be reached; trying again.
    MqttUnreachable,
    /// The same broker is there and does not let us in, or not everywhere.
    MqttRefused,
    /// A program that is to be run when something happens fails.
    HookFails,
    /// The pipe that displays read what plays from cannot be made.
    NoMetadata,
    /// Audio files are to be kept on disk, and cannot be.
    NoCache,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; music is not affected.
    Notice,
    /// Something does not work until it heals or somebody acts.
    Trouble,
}

impl ConditionCode {
    pub fn severity(self) -> Severity {
        match self {
            Self::NameTaken
            | Self::GuestRefused
            | Self::ConfigRejected
            | Self::EngineLost
            | Self::StateRepaired
            | Self::StreamTaken
            | Self::NoSocket
            | Self::NoHttp
            | Self::CertificateExpires
            | Self::NoMpris
            | Self::MqttUnreachable
            | Self::MqttRefused
            | Self::HookFails
            | Self::NoMetadata
            | Self::NoCache => Severity::Notice,
            _ => Severity::Trouble,
        }
    }

    pub fn key(self) -> &'static str {
        match self {
            Self::NoNetwork => "no_network",
            Self::NotAnnounced => "not_announced",
            Self::AnnouncementUnheard => "announcement_unheard",
            Self::EndpointDead => "endpoint_dead",
            Self::ClockWrong => "clock_wrong",
            Self::NameTaken => "name_taken",
            Self::NoCertificates => "no_certificates",
            Self::SpotifyUnreachable => "spotify_unreachable",
            Self::LoginRefused => "login_refused",
            Self::NotPremium => "not_premium",
            Self::WrongCountry => "wrong_country",
            Self::LoginPending => "login_pending",
            Self::TooManyDevices => "too_many_devices",
            Self::GuestRefused => "guest_refused",
            Self::AccountKeysRefused => "account_keys_refused",
            Self::StreamTaken => "stream_taken",
            Self::KeysRefused => "keys_refused",
            Self::TracksFail => "tracks_fail",
            Self::OutputLost => "output_lost",
            Self::EngineLost => "engine_lost",
            Self::StateDamaged => "state_damaged",
            Self::StateRepaired => "state_repaired",
            Self::AccountsLocked => "accounts_locked",
            Self::ConfigRejected => "config_rejected",
            Self::NoSocket => "no_socket",
            Self::NoHttp => "no_http",
            Self::CertificateExpires => "certificate_expires",
            Self::NoMpris => "no_mpris",
            Self::MqttUnreachable => "mqtt_unreachable",
            Self::MqttRefused => "mqtt_refused",
            Self::HookFails => "hook_fails",
            Self::NoMetadata => "no_metadata",
            Self::NoCache => "no_cache",
        }
    }
}

impl Condition {
    pub fn new(
        code: ConditionCode,
        what: impl Into<String>,
        why: impl Into<String>,
        cure: impl Into<String>,
    ) -> Self {
        Self {
            code,
            what: what.into(),
            why: why.into(),
            cure: cure.into(),
        }
    }
}

/// Everything that is wrong now, one entry a code, each with the Unix time in ms since when. Told
/// to others as a list of [`Standing`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Standing>", into = "Vec<Standing>")]
pub struct Conditions(BTreeMap<ConditionCode, (i64, Condition)>);

/// A condition as it hangs on the board.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(utoipa::ToSchema))]
pub struct Standing {
    pub code: ConditionCode,
    pub severity: Severity,
    /// Unix time in ms.
    pub since_ms: i64,
    pub what: String,
    pub why: String,
    pub cure: String,
}

impl From<Conditions> for Vec<Standing> {
    fn from(all: Conditions) -> Self {
        let standing = |(since_ms, condition): (i64, Condition)| Standing {
            code: condition.code,
            severity: condition.code.severity(),
            since_ms,
            what: condition.what,
            why: condition.why,
            cure: condition.cure,
        };
        all.0.into_values().map(standing).collect()
    }
}

impl From<Vec<Standing>> for Conditions {
    fn from(all: Vec<Standing>) -> Self {
        let entry = |told: Standing| {
            let condition = Condition::new(told.code, told.what, told.why, told.cure);
            (told.code, (told.since_ms, condition))
        };
        Self(all.into_iter().map(entry).collect())
    }
}

impl Conditions {
    /// True when this is news: the code was not raised, or says something else now.
    pub fn raise(&mut self, condition: Condition, now_ms: i64) -> bool {
        let known = self.0.get(&condition.code);
        let news = known.is_none_or(|(_, old)| *old != condition);
        let since = known.map_or(now_ms, |(since, _)| *since);
        self.0.insert(condition.code, (since, condition));
        news
    }

    /// True when the condition had been there.
    pub fn clear(&mut self, code: ConditionCode) -> bool {
        self.0.remove(&code).is_some()
    }

    pub fn get(&self, code: ConditionCode) -> Option<&Condition> {
        self.0.get(&code).map(|(_, condition)| condition)
    }

    /// Each with the Unix time in ms since when.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &Condition)> {
        self.0
            .values()
            .map(|(since_ms, condition)| (*since_ms, condition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(why: &str) -> Condition {
        Condition::new(ConditionCode::OutputLost, "no sound", why, "plug it in")
    }

    #[test]
    fn a_condition_is_news_once_and_keeps_its_since() {
        let mut all = Conditions::default();
        assert!(all.raise(lost("unplugged"), 1));
        assert!(!all.raise(lost("unplugged"), 2));
        assert!(all.raise(lost("busy"), 3));
        assert_eq!(all.0[&ConditionCode::OutputLost].0, 1);
        assert!(all.clear(ConditionCode::OutputLost));
        assert!(!all.clear(ConditionCode::OutputLost));
    }
}
