//! Settings about people: who may come to a speaker, when, and what holds for whom.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    settings::{Bitrate, Normalisation},
    value::{Fault, Value},
};
use crate::model::Percent;

/// Whose accounts a phone may hand over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Guests {
    /// Anybody's.
    Open,
    /// Strangers' only while nobody plays.
    IdleOnly,
    /// Those that are remembered here.
    Household,
    /// Nobody new.
    Locked,
}

/// A part of each day, local time; it may go past midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// Minute of the day, 0 to 1439; the first that is quiet.
    from: u16,
    /// Minute of the day, 0 to 1439; the first that is not quiet any more.
    to: u16,
}

impl QuietHours {
    /// Whether `minute` of the day (0 to 1439) is quiet.
    pub fn holds(self, minute: u16) -> bool {
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

/// How the speakers of this house treat people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Household {
    pub guests: Guests,
    pub quiet_hours: Option<QuietHours>,
    /// How long a visitor may play nothing before the owner is signed in again; `None`: for ever.
    pub guest_timeout: Option<Duration>,
    /// What holds for single accounts on this speaker, in the order of the file.
    pub accounts: Vec<ForAccount>,
}

/// One `[[account]]`: what is not `None` comes before the speaker's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ForAccount {
    /// Spotify's name of the account, or what it is called here.
    pub user: String,
    /// Only on the speaker with this id.
    pub speaker: Option<String>,
    pub max_volume: Option<Percent>,
    pub bitrate: Option<Bitrate>,
    pub normalisation: Option<Normalisation>,
}

impl Default for Household {
    fn default() -> Self {
        Self {
            guests: Guests::Open,
            quiet_hours: None,
            guest_timeout: Some(Duration::from_secs(2 * 60 * 60)),
            accounts: Vec::new(),
        }
    }
}

/// The longest time that makes sense to wait for anything here.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// `"22:00-07:00"`; `None` where nothing stands in the quotes.
pub(super) fn quiet_hours(given: &Value) -> Result<Option<QuietHours>, Fault> {
    let help = r#"use from and to, such as "22:00-07:00", or "" for none"#;
    let wrong = |why: &str| Fault::new(format!("is {given}, {why}"), help);
    let text = given.text()?.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let hours = text
        .split_once(['-', '–'])
        .and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    let Some((from, to)) = hours else {
        return Err(wrong("which are no two times of a day"));
    };
    if from == to {
        return Err(wrong("which is no time at all, or all of it"));
    }
    Ok(Some(QuietHours { from, to }))
}

fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.trim().split_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=2).contains(&hours.len()) || minutes.len() != 2 || !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

/// `"2h"`, `"90s"`, `"1h 30m"`; `None` for `"never"` and for no time at all.
pub(super) fn patience(given: &Value) -> Result<Option<Duration>, Fault> {
    let help = r#"use a number with s, m, h or d, such as "2h" or "90m", or "never""#;
    let wrong = |why: &str| Fault::new(format!("is {given}, {why}"), help);
    let text = given.text().map_err(|_| wrong("not a length of time"))?;
    let text = text.trim();
    if text == "never" || text == "0" {
        return Ok(None);
    }
    let length = length(text).ok_or_else(|| wrong("not a length of time"))?;
    if length > LONGEST {
        return Err(wrong("longer than 30 days"));
    }
    Ok(Some(length).filter(|length| !length.is_zero()))
}

/// `"1h 30m"` and the like.
pub(super) fn length(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().ok()?;
        let mut unit = rest[digits..].chars();
        let each = match unit.next()? {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(each)?)?;
        rest = unit.as_str().trim_start();
    }
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::{Origin, Value};

    fn given(text: &str) -> Value {
        Value::loose(text, Origin::Default)
    }

    #[test]
    fn quiet_hours_may_go_past_midnight_and_end_before_their_last_minute() {
        let night = quiet_hours(&given("22:00-07:00"))
            .expect("valid")
            .expect("set");
        let holds = |hours: u16, minutes: u16| night.holds(hours * 60 + minutes);
        assert!(holds(22, 0) && holds(23, 59) && holds(0, 0) && holds(6, 59));
        assert!(!holds(7, 0) && !holds(12, 0) && !holds(21, 59));
        let noon = quiet_hours(&given(" 12:30 – 14:00"))
            .expect("valid")
            .expect("set");
        assert!(noon.holds(13 * 60) && !noon.holds(14 * 60) && !noon.holds(0));
        assert_eq!(quiet_hours(&given("")), Ok(None));
        for wrong in [
            "22-7",
            "24:00-07:00",
            "22:00",
            "22:60-07:00",
            "+2:00-07:00",
            "07:00-07:00",
        ] {
            assert!(quiet_hours(&given(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_length_of_time_is_a_number_with_a_unit() {
        let seconds = |text: &str| patience(&given(text)).map(|it| it.map(|it| it.as_secs()));
        assert_eq!(seconds("2h"), Ok(Some(7200)));
        assert_eq!(seconds("1h 30m"), Ok(Some(5400)));
        assert_eq!(seconds("90s"), Ok(Some(90)));
        assert_eq!(seconds("never"), Ok(None));
        assert_eq!(seconds("0"), Ok(None));
        assert_eq!(seconds("0m"), Ok(None));
        for wrong in [
            "",
            "2",
            "h",
            "2 hours",
            "-2h",
            "31d",
            "99999999999999999999h",
            "1hh",
            "ü",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
