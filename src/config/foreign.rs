//! What settings are called in the programs that people come from, and what each of them is here.
//!
//! Only for the words of an error: none of these names works by itself.

/// A setting of another program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Foreign {
    /// As that program's file writes it; its flags have `-` for `_`.
    theirs: &'static str,
    whose: &'static str,
    ours: Ours,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ours {
    /// The key, and the flag of `siskin run` where there is one.
    Key(&'static str, Option<&'static str>),
    /// Something else, in words that follow "X has no such setting: ".
    Instead(&'static str),
}

use Ours::{Instead, Key};

const SPOTIFYD: &str = "spotifyd";
const LIBRESPOT: &str = "librespot";

const SIGN_IN: &str = "pick the speaker in the Spotify app, or run: siskin pair";

/// In the order in which people write them.
#[rustfmt::skip]
const ALL: &[Foreign] = &[
    of(SPOTIFYD, "device_name", Key("name", Some("--name"))),
    of(LIBRESPOT, "backend", Key("output.kind", Some("--output"))),
    of(LIBRESPOT, "initial_volume", Key("volume.start", None)),
    of(LIBRESPOT, "volume_ctrl", Key("volume.curve", None)),
    of(SPOTIFYD, "volume_controller", Key("volume.curve", None)),
    of(LIBRESPOT, "volume_range", Key("volume.range_db", None)),
    of(LIBRESPOT, "mixer", Instead("siskin turns the volume itself, and leaves the card's mixer alone")),
    of(LIBRESPOT, "zeroconf_port", Key("network.port", Some("--port"))),
    of(LIBRESPOT, "zeroconf_interface", Key("network.allow", Some("--interface"))),
    of(LIBRESPOT, "disable_discovery", Instead("guests = \"locked\" lets nobody new in")),
    of(SPOTIFYD, "audio_format", Key("output.format", Some("--format"))),
    of(SPOTIFYD, "cache_path", Instead("accounts are in state_dir, audio files in cache.path")),
    of(LIBRESPOT, "cache", Instead("accounts are in state_dir, audio files in cache.path")),
    of(LIBRESPOT, "system_cache", Key("state_dir", Some("--state-dir"))),
    of(LIBRESPOT, "cache_size_limit", Key("cache.size", None)),
    of(SPOTIFYD, "max_cache_size", Key("cache.size", None)),
    of(LIBRESPOT, "disable_audio_cache", Instead("no audio is kept unless cache.size says so")),
    of(SPOTIFYD, "no_audio_cache", Instead("no audio is kept unless cache.size says so")),
    of(SPOTIFYD, "volume_normalisation", Key("audio.normalisation", None)),
    of(LIBRESPOT, "enable_volume_normalisation", Key("audio.normalisation", None)),
    of(LIBRESPOT, "normalisation_gain_type", Key("audio.normalisation", None)),
    of(LIBRESPOT, "normalisation_pregain", Key("audio.pregain_db", None)),
    of(LIBRESPOT, "disable_gapless", Key("audio.gapless", None)),
    of(LIBRESPOT, "onevent", Instead("write a [[hook]]: config.example.toml has examples")),
    of(SPOTIFYD, "on_song_change_hook", Instead("write a [[hook]]: config.example.toml has examples")),
    of(SPOTIFYD, "use_mpris", Key("mpris.bus", None)),
    of(SPOTIFYD, "dbus_type", Key("mpris.bus", None)),
    of(SPOTIFYD, "username", Instead(SIGN_IN)),
    of(SPOTIFYD, "password_cmd", Instead(SIGN_IN)),
    of(LIBRESPOT, "enable_oauth", Instead(SIGN_IN)),
];

/// The section that spotifyd's file has around everything.
pub(super) const GLOBAL: &str = "global";
pub(super) const INSTEAD_OF_GLOBAL: &str =
    "spotifyd's [global] has no name here: write its settings at the top, above all sections";

const fn of(whose: &'static str, theirs: &'static str, ours: Ours) -> Foreign {
    Foreign {
        theirs,
        whose,
        ours,
    }
}

/// The one that a file calls so, in whatever section. Those that are no setting here are known outside
/// of all sections only: `mqtt.username` is about somebody else.
pub(super) fn setting(name: &str) -> Option<&'static Foreign> {
    let (section, name) = match name.rsplit_once('.') {
        Some((_, name)) => (true, name),
        None => (false, name),
    };
    let mut all = ALL.iter();
    all.find(|known| known.theirs == name && (!section || matches!(known.ours, Key(..))))
}

/// What to write in place of a flag of another program, such as `--backend`.
pub fn instead_of_flag(flag: &str) -> Option<String> {
    let name = flag.strip_prefix("--")?.replace('-', "_");
    let known = ALL.iter().find(|known| known.theirs == name)?;
    Some(match known.ours {
        Key(key, Some(ours)) => format!(
            "{}'s {flag} is {ours} here (siskin run {ours} …), {key} in the configuration",
            known.whose
        ),
        Key(key, None) => format!(
            "{}'s {flag} is {key} in the configuration here",
            known.whose
        ),
        Instead(words) => format!("there is no {flag} as {} has it: {words}", known.whose),
    })
}

impl Foreign {
    /// What to write in its place in a file.
    pub(super) fn cure(&self) -> String {
        let Self {
            theirs,
            whose,
            ours,
        } = self;
        match ours {
            Key(key, _) => format!("{whose}'s {theirs} is {key} here"),
            Instead(words) => format!("there is no {theirs} as {whose} has it: {words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{self, Scope};

    #[test]
    fn what_is_named_instead_is_there_and_what_is_ours_is_not_in_the_table() {
        for known in ALL {
            assert_eq!(schema::find(Scope::Top, known.theirs), None, "{known:?}");
            if let Key(key, _) = known.ours {
                assert!(schema::find(Scope::Top, key).is_some(), "{known:?}");
            }
        }
    }

    #[test]
    fn a_key_of_a_section_of_ours_is_not_taken_for_theirs() {
        assert!(setting("username").is_some());
        assert_eq!(setting("mqtt.username"), None);
        assert!(setting("audio.volume_normalisation").is_some());
    }

    #[test]
    fn flags_are_known_as_they_are_typed() {
        let cure = instead_of_flag("--zeroconf-port").expect("librespot's");
        assert!(cure.contains("is --port here"), "{cure}");
        let cure = instead_of_flag("--initial-volume").expect("librespot's");
        assert!(cure.contains("volume.start in the configuration"), "{cure}");
        assert_eq!(instead_of_flag("--nonsense"), None);
        assert_eq!(instead_of_flag("-x"), None);
    }
}
