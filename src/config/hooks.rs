//! Settings about programs that are run when something happens: `[[hook]]`.

use std::time::Duration;

use super::{
    household::length,
    value::{Fault, Value},
};

/// One `[[hook]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// When it is run; never empty.
    pub on: Vec<Occasion>,
    /// The program and its arguments, as the kernel gets them; never empty.
    pub run: Vec<String>,
    /// Only for the speaker with this id.
    pub speaker: Option<String>,
    /// Whoever takes longer is killed, with all that it has started.
    pub timeout: Duration,
    /// Set: a speaker that plays nothing for so long, paused or not, counts as inactive.
    pub inactive_delay: Option<Duration>,
    /// How long music may be held for `before-play`, at most.
    pub wait: Duration,
}

/// What a hook can be run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// Music waits to be heard, after silence. Comes for hooks that ask for it only.
    BeforePlay,
    Playing,
    Paused,
    Stopped,
    /// The speaker is what a listener plays on; with `inactive_delay`, that music plays.
    Active,
    Inactive,
    /// Another track than before.
    Track,
    Volume,
    Condition,
    ConditionCleared,
    OutputLost,
    OutputBack,
    SignedIn,
    SignedOut,
}

impl Occasion {
    pub const ALL: [Self; 14] = [
        Self::BeforePlay,
        Self::Playing,
        Self::Paused,
        Self::Stopped,
        Self::Active,
        Self::Inactive,
        Self::Track,
        Self::Volume,
        Self::Condition,
        Self::ConditionCleared,
        Self::OutputLost,
        Self::OutputBack,
        Self::SignedIn,
        Self::SignedOut,
    ];

    /// As it is written, and as a hook is told.
    pub fn key(self) -> &'static str {
        match self {
            Self::BeforePlay => "before-play",
            Self::Playing => "playing",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Track => "track",
            Self::Volume => "volume",
            Self::Condition => "condition",
            Self::ConditionCleared => "condition-cleared",
            Self::OutputLost => "output-lost",
            Self::OutputBack => "output-back",
            Self::SignedIn => "signed-in",
            Self::SignedOut => "signed-out",
        }
    }
}

/// What a hook finds in its environment. None of these is a setting, so that a hook may ask siskin.
pub const HOOK_VARIABLES: [&str; 21] = [
    "SISKIN_EVENT",
    "SISKIN_SPEAKER",
    "SISKIN_SPEAKER_NAME",
    "SISKIN_STATE",
    "SISKIN_ACTIVE",
    "SISKIN_ACCOUNT",
    "SISKIN_VOLUME_PERCENT",
    "SISKIN_URI",
    "SISKIN_TITLE",
    "SISKIN_ARTISTS",
    "SISKIN_ALBUM",
    "SISKIN_DURATION_MS",
    "SISKIN_EXPLICIT",
    "SISKIN_COVER",
    "SISKIN_CONTEXT",
    "SISKIN_POSITION_MS",
    "SISKIN_CONDITION",
    "SISKIN_SEVERITY",
    "SISKIN_WHAT",
    "SISKIN_WHY",
    "SISKIN_CURE",
];

pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
pub(super) const WAIT: Duration = Duration::from_secs(2);

/// More than a command line of this length is a program of its own.
const MOST_WORDS: usize = 64;

/// `["playing", "paused"]`.
pub(super) fn occasions(given: &Value) -> Result<Vec<Occasion>, Fault> {
    let words: Vec<_> = Occasion::ALL.iter().map(|one| one.key()).collect();
    let help = format!("use some of {}", words.join(", "));
    let mut on = Vec::new();
    for item in given.list()? {
        let known = |text: &str| Occasion::ALL.into_iter().find(|one| one.key() == text);
        let wrong = |what: String| Fault {
            within: Some(item.origin.clone()),
            ..Fault::new(what, &help)
        };
        let text = item.text().map_err(|_| wrong(format!("names {item}")))?;
        let found =
            known(text).ok_or_else(|| wrong(format!("names {text:?}, which never happens")))?;
        if !on.contains(&found) {
            on.push(found);
        }
    }
    if on.is_empty() {
        return Err(Fault::new("names nothing that happens", help));
    }
    Ok(on)
}

/// `["/usr/local/bin/amplifier", "on"]`.
pub(super) fn program(given: &Value) -> Result<Vec<String>, Fault> {
    let help = r#"use program and arguments, each in quotes: ["/usr/local/bin/amplifier", "on"]"#;
    let mut words = Vec::new();
    for item in given.list().map_err(|_| {
        Fault::new(
            format!("is {given}, and there is no shell to take it apart"),
            help,
        )
    })? {
        let wrong = |what: String| Fault {
            within: Some(item.origin.clone()),
            ..Fault::new(what, help)
        };
        let text = item
            .text()
            .map_err(|_| wrong(format!("holds {item}, which is no text")))?;
        if text.contains('\0') {
            return Err(wrong("holds a zero byte".to_owned()));
        }
        words.push(text.to_owned());
    }
    match words.first() {
        Some(program) if !program.is_empty() && words.len() <= MOST_WORDS => Ok(words),
        _ => Err(Fault::new("names no program", help)),
    }
}

/// 1 s to 10 minutes.
pub(super) fn timeout(given: &Value) -> Result<Duration, Fault> {
    span(
        given,
        Duration::from_secs(600),
        r#"use 1 s to 10 minutes, such as "10s""#,
    )
}

/// 1 to 10 s: a listener waits.
pub(super) fn wait(given: &Value) -> Result<Duration, Fault> {
    span(
        given,
        Duration::from_secs(10),
        r#"use 1 s to 10 s, such as "2s""#,
    )
}

/// 1 s to a day.
pub(super) fn inactive_delay(given: &Value) -> Result<Duration, Fault> {
    let day = Duration::from_secs(24 * 60 * 60);
    span(given, day, r#"use 1 s to 24 hours, such as "5m""#)
}

fn span(given: &Value, most: Duration, help: &str) -> Result<Duration, Fault> {
    let long = given.text().ok().and_then(|text| length(text.trim()));
    long.filter(|long| !long.is_zero() && *long <= most)
        .ok_or_else(|| Fault::new(format!("is {given}, which does not do"), help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{schema, value::Origin};

    fn given(text: &str) -> Value {
        Value::loose(text, Origin::Default)
    }

    #[test]
    fn no_variable_of_a_hook_is_a_setting() {
        for key in schema::KEYS {
            let setting = schema::variable(key.path);
            assert!(!HOOK_VARIABLES.contains(&setting.as_str()), "{setting}");
        }
    }

    #[test]
    fn what_is_listened_for_has_a_name_and_counts_once() {
        let on = occasions(&given("playing, condition-cleared,playing")).expect("valid");
        assert_eq!(on, [Occasion::Playing, Occasion::ConditionCleared]);
        for one in Occasion::ALL {
            assert_eq!(occasions(&given(one.key())), Ok(vec![one]));
        }
        assert!(occasions(&given("")).is_err());
        assert!(occasions(&given("play")).is_err());
    }

    #[test]
    fn times_have_bounds() {
        assert_eq!(timeout(&given("90s")), Ok(Duration::from_secs(90)));
        assert_eq!(inactive_delay(&given("5m")), Ok(Duration::from_secs(300)));
        for wrong in ["", "0s", "11m", "never", "-1s", "10"] {
            assert!(timeout(&given(wrong)).is_err(), "{wrong}");
        }
        assert!(wait(&given("11s")).is_err());
    }
}
