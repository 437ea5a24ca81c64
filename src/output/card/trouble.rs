//! Why a card does not play, in the listener's words.

use std::{fs, path::Path};

use rodio::{
    DeviceSinkError,
    cpal::{self, ErrorKind},
};

use super::bare;
use crate::{model::Condition, output::report::lost};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    Missing,
    Unplugged,
    Busy,
    Forbidden,
    /// The card takes nothing that we have.
    Refused {
        why: String,
    },
    /// Open, but it takes no samples.
    Stalled,
    ServerDown,
    Other {
        why: String,
    },
}

/// What only a sound server's plugin says, in the C library's words: PulseAudio's when nobody listens
/// at the socket or somebody stopped listening, PipeWire's when there is no socket (`EHOSTDOWN`).
const OF_SERVERS: [&str; 3] = ["Connection refused", "Connection reset", "Host is down"];

pub(super) fn of_stream(error: &DeviceSinkError) -> Trouble {
    match error {
        DeviceSinkError::BuildError(error)
        | DeviceSinkError::PlayError(error)
        | DeviceSinkError::DefaultSinkConfigError(error)
        | DeviceSinkError::SupportedConfigsError(error) => of_open(error),
        DeviceSinkError::NoDevice => Trouble::Missing,
        other => Trouble::Refused {
            why: other.to_string(),
        },
    }
}

pub(super) fn of_open(error: &cpal::Error) -> Trouble {
    match error.kind() {
        ErrorKind::DeviceNotAvailable => Trouble::Missing,
        ErrorKind::DeviceBusy => Trouble::Busy,
        ErrorKind::PermissionDenied => Trouble::Forbidden,
        ErrorKind::UnsupportedConfig | ErrorKind::UnsupportedOperation => Trouble::Refused {
            why: error.to_string(),
        },
        ErrorKind::HostUnavailable | ErrorKind::StreamInvalidated => Trouble::ServerDown,
        _ => {
            let why = error.to_string();
            // ALSA hands a sound server's death on as an errno without a kind of its own.
            if OF_SERVERS.iter().any(|words| why.contains(words)) {
                Trouble::ServerDown
            } else if why.contains("I/O error") || why.contains("errno (-5)") {
                Trouble::Other {
                    why: "it reports an input/output error".into(),
                }
            } else {
                Trouble::Other { why }
            }
        }
    }
}

impl Trouble {
    pub(super) fn condition(&self, name: Option<&str>) -> Condition {
        self.condition_with(name, &holders(Path::new("/proc"), name))
    }

    fn condition_with(&self, name: Option<&str>, holders: &[String]) -> Condition {
        let card = name.map_or_else(
            || "the default sound card".to_owned(),
            |name| format!("the sound card {name}"),
        );
        let raw = name.and_then(|name| bare(name).strip_prefix("hw:"));
        let plug = raw.map_or_else(
            || "choose another device, as `siskin devices` shows them".to_owned(),
            |rest| format!("write device = \"plughw:{rest}\", which converts"),
        );
        match self {
            Self::Missing => lost(
                format!("{card} is not there"),
                "ALSA knows no such device now",
                "plug it in or switch it on, or choose one that `siskin devices` shows; \
                 playing is possible as soon as it is there",
            ),
            Self::Unplugged => lost(
                format!("{card} was unplugged"),
                "it went away while it was open",
                "plug it in again; music goes on by itself",
            ),
            Self::Busy => lost(
                format!("{card} is used by another program"),
                match holders {
                    [] => "ALSA says it is busy".to_owned(),
                    some => format!("held by {}", some.join(", ")),
                },
                "stop that program, or choose a device that several can share; \
                 siskin tries again every two seconds",
            ),
            Self::Forbidden => lost(
                format!("{card} may not be used by siskin's user"),
                "permission denied",
                "add the user to the group `audio`, and check DeviceAllow in the unit",
            ),
            Self::Refused { why } => lost(
                format!("{card} does not take the music as it is"),
                why.clone(),
                plug,
            ),
            Self::Stalled => lost(
                format!("{card} has stopped taking sound"),
                "it asked for no samples for two seconds",
                "check its cable and power, and that its sound server does not hold it; \
                 siskin opens it anew every two seconds",
            ),
            Self::ServerDown => lost(
                format!("the sound server behind {card} cannot be reached"),
                "PipeWire or PulseAudio does not run, or runs for a person who is logged in, whom a \
                 service cannot reach",
                "for a service, name a card itself, as `siskin devices` shows them, or run siskin in \
                 that person's session (`systemctl --user enable --now siskin`); in a session, start \
                 the server (`systemctl --user status pipewire pulseaudio`); music goes on by itself",
            ),
            Self::Other { why } => lost(
                format!("{card} does not work"),
                why.clone(),
                "check its cable and power; siskin tries again every two seconds",
            ),
        }
    }
}

/// Names the programs that hold a card's playback, as far as `/proc` tells.
fn holders(proc: &Path, name: Option<&str>) -> Vec<String> {
    let cards = proc.join("asound");
    let wanted = name.map(bare).and_then(card_of);
    let mut found: Vec<String> = entries(&cards, "card")
        .filter(|card| match wanted {
            None => true,
            Some(id) => {
                card.ends_with(format!("card{id}"))
                    || fs::read_to_string(card.join("id")).is_ok_and(|text| text.trim() == id)
            }
        })
        .flat_map(|card| entries(&card, "pcm").collect::<Vec<_>>())
        .filter(|pcm| pcm.to_string_lossy().ends_with('p'))
        .flat_map(|pcm| entries(&pcm, "sub").collect::<Vec<_>>())
        .filter_map(|sub| fs::read_to_string(sub.join("status")).ok())
        .filter_map(|status| owner(&status))
        .map(|pid| {
            let comm = fs::read_to_string(proc.join(pid.to_string()).join("comm"));
            match comm {
                Ok(comm) => format!("{} (process {pid})", comm.trim()),
                Err(_) => format!("process {pid}"),
            }
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// `hw:CARD=DAC,DEV=0` and `hw:1,0` name a card, `default` does not.
fn card_of(name: &str) -> Option<&str> {
    let rest = name.split_once(':')?.1;
    let first = rest.split(',').next()?;
    Some(first.strip_prefix("CARD=").unwrap_or(first))
}

fn owner(status: &str) -> Option<u32> {
    let line = status.lines().find(|line| line.starts_with("owner_pid"))?;
    line.split(':').nth(1)?.trim().parse().ok()
}

fn entries(folder: &Path, prefix: &str) -> impl Iterator<Item = std::path::PathBuf> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter(move |entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_card_names_the_program_that_holds_it() {
        let proc = tempfile::tempdir().expect("a folder");
        let sub = proc.path().join("asound/card1/pcm0p/sub0");
        fs::create_dir_all(&sub).expect("folders");
        fs::create_dir_all(proc.path().join("asound/card0/pcm0p/sub0")).expect("folders");
        fs::create_dir_all(proc.path().join("812")).expect("folders");
        fs::write(proc.path().join("asound/card1/id"), "DAC\n").expect("a file");
        fs::write(
            proc.path().join("asound/card0/pcm0p/sub0/status"),
            "closed\n",
        )
        .expect("a file");
        fs::write(sub.join("status"), "state: RUNNING\nowner_pid   : 812\n").expect("a file");
        fs::write(proc.path().join("812/comm"), "mpd\n").expect("a file");
        for name in [
            None,
            Some("hw:CARD=DAC,DEV=0"),
            Some("plughw:1,0"),
            Some("alsa:hw:1"),
        ] {
            assert_eq!(holders(proc.path(), name), ["mpd (process 812)"]);
        }
        assert!(holders(proc.path(), Some("hw:CARD=HDMI,DEV=0")).is_empty());
        let condition = Trouble::Busy.condition_with(None, &["mpd (process 812)".into()]);
        assert_eq!(condition.why, "held by mpd (process 812)");
    }

    #[test]
    fn a_sound_server_out_of_reach_is_no_broken_card() {
        for words in ["Connection refused", "Host is down"] {
            let why = format!("ALSA function 'snd_pcm_open' failed with error '{words}'");
            let error = cpal::Error::with_message(ErrorKind::BackendError, why);
            assert_eq!(of_open(&error), Trouble::ServerDown, "{error}");
        }
        let condition = Trouble::ServerDown.condition_with(None, &[]);
        for words in ["siskin devices", "session", "systemctl --user"] {
            assert!(condition.cure.contains(words), "{}", condition.cure);
        }
    }

    #[test]
    fn a_raw_card_that_refuses_is_told_of_the_one_that_converts() {
        let refused = Trouble::Refused { why: "no".into() };
        for name in ["hw:CARD=DAC,DEV=0", "alsa:hw:CARD=DAC,DEV=0"] {
            let condition = refused.condition_with(Some(name), &[]);
            assert!(condition.cure.contains("\"plughw:CARD=DAC,DEV=0\""));
        }
    }
}
