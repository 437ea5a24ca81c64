//! What an order takes, field by field, in words: for whoever sent something else. Pure.
//!
//! Whether it is taken, serde decides; what it says of a no speaks of Rust, and of the first thing
//! that it stumbles over. Where several ways lead to an order (HTTP, MQTT), they say the same.

use serde_json::{Map, Value};

use crate::model::{LONGEST_FADE_S, LONGEST_SLEEP_S, Link};

/// An order that comes as an object.
pub trait Wanted {
    const FIELDS: &'static [Field];
}

/// One of its fields.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub takes: Takes,
    pub needed: bool,
}

/// What it may hold.
#[derive(Debug, Clone, Copy)]
pub enum Takes {
    /// From this to that.
    Whole(i64, i64),
    Switch,
    /// A Spotify URI or link.
    Link,
    Word(&'static [&'static str]),
    /// Any text. What was sent instead is not repeated: it may be a secret.
    Text,
}

/// Longer values are cut where they are repeated.
const REPEATED: usize = 60;

/// May be left out, or be `null`.
pub const fn may(name: &'static str, takes: Takes) -> Field {
    let needed = false;
    Field {
        name,
        takes,
        needed,
    }
}

pub const fn must(name: &'static str, takes: Takes) -> Field {
    let needed = true;
    Field {
        name,
        takes,
        needed,
    }
}

/// What a sleep timer takes, whichever way it comes.
pub const SLEEP: [Field; 3] = [
    may("after_s", Takes::Whole(1, LONGEST_SLEEP_S as i64)),
    may("end_of_track", Takes::Switch),
    may("fade_s", Takes::Whole(0, LONGEST_FADE_S as i64)),
];

impl Takes {
    fn words(self) -> String {
        match self {
            Self::Whole(i64::MIN, _) => "a whole number".to_owned(),
            Self::Whole(from, to) => format!("a whole number from {from} to {to}"),
            Self::Switch => "true or false".to_owned(),
            Self::Link => "a Spotify URI, or a link to open.spotify.com".to_owned(),
            Self::Word(words) => format!("one of {}", words.join(", ")),
            Self::Text => "a text".to_owned(),
        }
    }

    /// Why it cannot be that, if it cannot.
    fn refuses(self, given: &Value) -> Option<String> {
        let fits = match self {
            Self::Whole(from, to) => given.as_i64().is_some_and(|it| (from..=to).contains(&it)),
            Self::Switch => given.is_boolean(),
            Self::Link => match given.as_str().map(Link::parse) {
                Some(Err(why)) => return Some(format!(": {why}")),
                parsed => parsed.is_some(),
            },
            Self::Word(words) => given.as_str().is_some_and(|it| words.contains(&it)),
            Self::Text => given.is_string(),
        };
        if fits {
            return None;
        }
        let sent = match (self, given) {
            (_, Value::Null) => "nothing".to_owned(),
            (_, Value::Object(_)) => "an object".to_owned(),
            (_, Value::Array(_)) => "a list".to_owned(),
            (Self::Text, _) => "no text".to_owned(),
            (_, scalar) => {
                let text = scalar.to_string();
                match text.char_indices().nth(REPEATED) {
                    Some((end, _)) => format!("{}…", &text[..end]),
                    None => text,
                }
            }
        };
        Some(format!(" is {sent}"))
    }
}

/// What is wrong with it, and what to send instead; `None` where nothing of that kind is.
pub fn wrong(fields: &[Field], given: &Value) -> Option<(String, String)> {
    let Value::Object(given) = given else {
        let what = "it is no object".to_owned();
        return Some((what, format!("send {{…}}: {}", all(fields))));
    };
    stray(fields, given)
        .or_else(|| misfit(fields, given))
        .or_else(|| missing(fields, given))
}

fn stray(fields: &[Field], given: &Map<String, Value>) -> Option<(String, String)> {
    let is_known = |name: &str| fields.iter().any(|field| field.name == name);
    let name = given.keys().find(|name| !is_known(name))?;
    let name: String = name.chars().take(REPEATED).collect();
    Some((format!("it takes no {name:?}"), all(fields)))
}

fn misfit(fields: &[Field], given: &Map<String, Value>) -> Option<(String, String)> {
    fields.iter().find_map(|field| {
        let value = given.get(field.name)?;
        if value.is_null() && !field.needed {
            return None;
        }
        let why = field.takes.refuses(value)?;
        let name = field.name;
        Some((
            format!("{name}{why}"),
            format!("{name} is {}", field.takes.words()),
        ))
    })
}

fn missing(fields: &[Field], given: &Map<String, Value>) -> Option<(String, String)> {
    let mut needed = fields.iter().filter(|field| field.needed);
    let field = needed.find(|field| !given.contains_key(field.name))?;
    let name = field.name;
    Some((
        format!("{name} is missing"),
        format!("{name} is {}", field.takes.words()),
    ))
}

fn all(fields: &[Field]) -> String {
    if fields.is_empty() {
        return "it takes nothing: send {}".to_owned();
    }
    let each = fields.iter().map(|field| {
        let or_not = if field.needed { "" } else { ", or nothing" };
        format!("{} ({}{or_not})", field.name, field.takes.words())
    });
    format!("it takes {}", each.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIELDS: &[Field] = &[
        may("percent", Takes::Whole(0, 100)),
        may("on", Takes::Switch),
        must("mode", Takes::Word(&["off", "track"])),
        may("uri", Takes::Link),
        may("name", Takes::Text),
    ];

    #[test]
    fn what_is_wrong_is_said_with_what_fits() {
        for (given, what, help) in [
            (json!(7), "it is no object", "it takes percent (a whole"),
            (
                json!({"prozent": 7}),
                "it takes no \"prozent\"",
                "percent (a whole number from 0 to 100, or nothing)",
            ),
            (
                json!({"percent": 101}),
                "percent is 101",
                "percent is a whole number from 0 to 100",
            ),
            (json!({"percent": 4.5}), "percent is 4.5", "a whole number"),
            (
                json!({"percent": "loud"}),
                "percent is \"loud\"",
                "a whole number",
            ),
            (
                json!({"percent": u64::MAX}),
                "percent is 18446744073709551615",
                "0 to 100",
            ),
            (json!({"percent": [1]}), "percent is a list", "0 to 100"),
            (json!({"on": "yes"}), "on is \"yes\"", "on is true or false"),
            (
                json!({"mode": "twice"}),
                "mode is \"twice\"",
                "mode is one of off, track",
            ),
            (
                json!({"mode": null}),
                "mode is nothing",
                "one of off, track",
            ),
            (
                json!({"uri": "Dozen", "mode": "off"}),
                "uri: ",
                "a Spotify URI",
            ),
            (json!({"name": 1234}), "name is no text", "name is a text"),
            (
                json!({"percent": null}),
                "mode is missing",
                "mode is one of",
            ),
        ] {
            let (told, cure) = wrong(FIELDS, &given).expect("wrong");
            assert!(told.starts_with(what), "{given}: {told}");
            assert!(cure.contains(help), "{given}: {cure}");
            assert!(told.len() < 200, "{told}");
        }
        assert_eq!(wrong(FIELDS, &json!({"mode": "off", "on": null})), None);
        let long = json!({"percent": "x".repeat(9_999)});
        assert!(wrong(FIELDS, &long).is_some_and(|(told, _)| told.len() < 100));
        let (_, cure) = wrong(&[], &json!({"x": 1})).expect("wrong");
        assert_eq!(cure, "it takes nothing: send {}");
    }
}
