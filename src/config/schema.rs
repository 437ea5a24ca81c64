//! Every key there is, once: its name, its default, and where it may stand.

use toml::de::DeValue;

use super::value::{Origin, Raw, Value};

pub(super) struct Key {
    /// The name at the top level, and the name inside the house: `audio.bitrate`.
    pub path: &'static str,
    /// The name inside `[[speaker]]`; `None`: one for the whole daemon.
    pub in_speaker: Option<&'static str>,
    /// As TOML. `""` in quotes means: not set.
    pub default: &'static str,
}

/// Both at the top level and in `[[speaker]]`, under the same name.
const fn both(path: &'static str, default: &'static str) -> Key {
    let in_speaker = Some(path);
    Key {
        path,
        in_speaker,
        default,
    }
}

/// At the top level only.
const fn whole_daemon(path: &'static str, default: &'static str) -> Key {
    Key {
        path,
        in_speaker: None,
        default,
    }
}

/// In the order of `check --explain` and of the example.
pub(super) const KEYS: &[Key] = &[
    both("name", r#""""#),
    both("device_type", r#""speaker""#),
    whole_daemon("state_dir", r#""""#),
    whole_daemon("socket", r#""""#),
    whole_daemon("account_key_file", r#""""#),
    whole_daemon("log", r#""info""#),
    whole_daemon("pairing", r#""when-needed""#),
    whole_daemon("client_id", r#""""#),
    both("guests", r#""open""#),
    both("quiet_hours", r#""""#),
    both("guest_timeout", r#""2h""#),
    both("audio.bitrate", "320"),
    both("audio.normalisation", r#""off""#),
    both("audio.normalisation_method", r#""basic""#),
    both("audio.pregain_db", "0.0"),
    both("audio.gapless", "true"),
    both("audio.crossfade", "0.0"),
    both("audio.sleep_fade", "10.0"),
    both("audio.autoplay", r#""app""#),
    both("output.kind", r#""card""#),
    both("output.device", r#""""#),
    both("output.path", r#""""#),
    both("output.format", r#""s16""#),
    both("output.buffer_ms", "46"),
    both("volume.start", "30"),
    both("volume.max", "100"),
    both("volume.remember", "true"),
    both("volume.curve", r#""log""#),
    both("volume.range_db", "60.0"),
    both("volume.steps", "64"),
    both("metadata.pipe", r#""""#),
    both("metadata.covers", "true"),
    whole_daemon("cache.size", r#""off""#),
    whole_daemon("cache.path", r#""""#),
    whole_daemon("http.listen", r#""127.0.0.1:7070""#),
    whole_daemon("http.names", "[]"),
    whole_daemon("http.origins", "[]"),
    whole_daemon("http.page", "true"),
    whole_daemon("http.certificate", r#""""#),
    whole_daemon("http.key", r#""""#),
    whole_daemon("mpris.bus", r#""off""#),
    whole_daemon("mqtt.broker", r#""""#),
    whole_daemon("mqtt.version", r#""3.1.1""#),
    whole_daemon("mqtt.user", r#""""#),
    whole_daemon("mqtt.password", r#""""#),
    whole_daemon("mqtt.password_file", r#""""#),
    whole_daemon("mqtt.ca_file", r#""""#),
    whole_daemon("mqtt.node", r#""""#),
    whole_daemon("mqtt.prefix", r#""siskin""#),
    whole_daemon("mqtt.discovery_prefix", r#""homeassistant""#),
    whole_daemon("network.allow", "[]"),
    whole_daemon("network.deny", "[]"),
    whole_daemon("network.ipv6", "false"),
    Key {
        path: "network.port",
        in_speaker: Some("port"),
        default: "0",
    },
    whole_daemon("network.advertise", "[]"),
    whole_daemon("network.show_active_user", "true"),
    whole_daemon("network.proxy", r#""""#),
    whole_daemon("network.ap_port", "0"),
];

/// Keys whose values are never shown.
pub(super) const SECRETS: &[&str] = &["mqtt.password"];

/// The one key that only `[[speaker]]` has.
pub(super) const ID: &str = "id";

/// What `[[account]]` has. Nothing of it has a default: what is not said is the speaker's.
pub(super) const ACCOUNT_KEYS: &[&str] =
    &["user", "speaker", "max_volume", "bitrate", "normalisation"];

/// What `[[hook]]` has. Nothing of it is known to the layers above.
pub(super) const HOOK_KEYS: &[&str] =
    &["on", "run", "speaker", "timeout", "inactive_delay", "wait"];

/// Where a key stands: at the top level, in a `[[speaker]]`, an `[[account]]` or a `[[hook]]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Top,
    Speaker,
    Account,
    Hook,
}

/// The names that may stand in `scope`, each with the path it means.
pub(super) fn names(scope: Scope) -> impl Iterator<Item = (&'static str, &'static str)> {
    let id = (scope == Scope::Speaker).then_some((ID, ID));
    let keys = KEYS.iter().filter_map(move |key| match scope {
        Scope::Top => Some((key.path, key.path)),
        Scope::Speaker => key.in_speaker.map(|name| (name, key.path)),
        Scope::Account | Scope::Hook => None,
    });
    let own: &[&str] = match scope {
        Scope::Account => ACCOUNT_KEYS,
        Scope::Hook => HOOK_KEYS,
        Scope::Top | Scope::Speaker => &[],
    };
    let own = own.iter().map(|name| (*name, *name));
    id.into_iter().chain(keys).chain(own)
}

/// The path that `name` means in `scope`.
pub(super) fn find(scope: Scope, name: &str) -> Option<&'static str> {
    names(scope)
        .find(|(known, _)| *known == name)
        .map(|(_, path)| path)
}

/// Whether `name` is a section of `scope`, such as `audio`.
pub(super) fn is_section(scope: Scope, name: &str) -> bool {
    names(scope).any(|(known, _)| known.split_once('.').is_some_and(|(head, _)| head == name))
}

/// Variables of the environment that may hold a secret. No child of the daemon's is to inherit them.
pub fn secret_variables() -> impl Iterator<Item = String> {
    SECRETS.iter().map(|path| variable(path))
}

/// `audio.bitrate` → `SISKIN_AUDIO_BITRATE`.
pub(super) fn variable(path: &str) -> String {
    format!("SISKIN_{}", path.replace('.', "_").to_ascii_uppercase())
}

/// The built-in value of `path`.
pub(super) fn default(path: &str) -> Value {
    let text = KEYS
        .iter()
        .find(|key| key.path == path)
        .map_or(r#""""#, |key| key.default);
    match DeValue::parse(text) {
        Ok(value) => Value::from_toml(&value, &|_| Origin::Default),
        Err(_) => Value {
            raw: Raw::Strange("no value"),
            origin: Origin::Default,
        },
    }
}

/// The known name a person probably meant by `given`, if one is near enough to be a help.
pub(super) fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = given.chars().count().div_ceil(3).min(3);
    known
        .map(|name| (distance(given, name, limit), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Insertions, deletions, changes and swaps of neighbours that turn `a` into `b`. Names too unlike
/// in length are not compared: the answer is then above `limit`.
fn distance(a: &str, b: &str, limit: usize) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    if a.len().abs_diff(b.len()) > limit {
        return limit + 1;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for (i, ours) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, theirs) in b.iter().enumerate() {
            let change = above[j] + usize::from(ours != theirs);
            let mut best = change.min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *ours == b[j - 1] && a[i - 1] == *theirs {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_the_one_a_person_meant() {
        let known = || names(Scope::Top).map(|(name, _)| name);
        assert_eq!(nearest("naem", known()), Some("name"));
        assert_eq!(nearest("audio.bitrat", known()), Some("audio.bitrate"));
        assert_eq!(nearest("audio.bit_rate", known()), Some("audio.bitrate"));
        assert_eq!(nearest("zzzzzz", known()), None);
        assert_eq!(nearest("", known()), None);
    }

    #[test]
    fn every_default_is_toml_and_every_variable_is_its_own() {
        let mut variables: Vec<_> = KEYS.iter().map(|key| variable(key.path)).collect();
        variables.sort();
        variables.dedup();
        assert_eq!(variables.len(), KEYS.len());
        for key in KEYS {
            assert!(
                !matches!(default(key.path).raw, Raw::Strange(_)),
                "{}",
                key.path
            );
        }
    }
}
