//! Looks at a sound card for `siskin doctor`: whether it opens, and whether anything could be heard.

use std::{f64::consts::TAU, fs, path::Path};

use alsa::{
    Direction, Mixer, ValueOr,
    mixer::{Selem, SelemChannelId},
    pcm::{Access, Format, HwParams, PCM},
};
use rustix::io::Errno;

use super::{bare, quiet::Quiet, trouble::Trouble};
use crate::model::Condition;

const RATE: u32 = 44_100;
/// How loud the test tone is, below full level. The card's own level is left as it is.
const TONE_DB: f64 = -20.0;
const TONE_HZ: f64 = 440.0;
/// Frames of the test tone: a second.
const TONE_FRAMES: usize = 44_100;

/// What was found at a card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examined {
    /// Why it does not open.
    pub trouble: Option<Condition>,
    /// Levels that let nothing through, by the mixer's name for them: `true` is switched off.
    pub silent: Vec<(String, bool)>,
    /// It is an HDMI output, and no screen or amplifier is there.
    pub no_sink: bool,
}

/// Opens `device` (`None`: the default one) and closes it again; plays a tone of a second meanwhile if
/// `tone`. Another program that plays on it makes it busy.
pub(in crate::output) fn examine(device: Option<&str>, tone: bool) -> Examined {
    let _quiet = Quiet::new();
    let name = device.map_or("default", bare);
    let mut examined = Examined::default();
    match PCM::new(name, Direction::Playback, true) {
        Err(error) => examined.trouble = Some(of_errno(error).condition(device)),
        Ok(pcm) => {
            let card = pcm.info().map(|info| info.get_card()).unwrap_or(-1);
            if card >= 0 {
                examined.silent = silent(card).unwrap_or_default();
                let folder = format!("/proc/asound/card{card}");
                examined.no_sink = no_sink(name, Path::new(&folder));
            }
            drop(pcm);
            // Not every card takes a tone as it is, and music has ways of its own to such a card.
            let sound =
                || play(name).or_else(|why| play(&format!("plug:'{name}'")).map_err(|_| why));
            if tone && let Err(error) = sound() {
                examined.trouble = Some(of_errno(error).condition(device));
            }
        }
    }
    examined
}

fn of_errno(error: alsa::Error) -> Trouble {
    match Errno::from_raw_os_error(error.errno().abs()) {
        Errno::NOENT | Errno::NODEV | Errno::NXIO => Trouble::Missing,
        Errno::BUSY | Errno::AGAIN => Trouble::Busy,
        Errno::ACCESS | Errno::PERM => Trouble::Forbidden,
        Errno::CONNREFUSED | Errno::CONNRESET | Errno::HOSTDOWN => Trouble::ServerDown,
        other => Trouble::Other {
            why: other.to_string(),
        },
    }
}

/// Every playback level of the card that is off or at its bottom. A card has many that do not matter
/// (microphones, side channels); those that stand in the way have one of a few names.
fn silent(card: i32) -> alsa::Result<Vec<(String, bool)>> {
    const MATTER: [&str; 8] = [
        "Master",
        "PCM",
        "Digital",
        "Speaker",
        "Headphone",
        "HDMI",
        "Analogue",
        "Front",
    ];
    let mixer = Mixer::new(&format!("hw:{card}"), false)?;
    let mut found = Vec::new();
    for level in mixer.iter().filter_map(Selem::new) {
        let id = level.get_id();
        let name = id.get_name().unwrap_or_default();
        if !MATTER.iter().any(|known| name.starts_with(known)) {
            continue;
        }
        let channel = SelemChannelId::mono();
        if level.has_playback_switch() && level.get_playback_switch(channel)? == 0 {
            found.push((name.to_owned(), true));
        } else if level.has_playback_volume() {
            let (bottom, top) = level.get_playback_volume_range();
            if bottom < top && level.get_playback_volume(channel)? <= bottom {
                found.push((name.to_owned(), false));
            }
        }
    }
    Ok(found)
}

/// The kernel tells of each HDMI connector what is plugged in (`eld#0.0` and so on).
fn no_sink(name: &str, card: &Path) -> bool {
    let id = fs::read_to_string(card.join("id")).unwrap_or_default();
    let is_hdmi = |text: &str| text.to_lowercase().contains("hdmi");
    if !is_hdmi(name) && !is_hdmi(&id) {
        return false;
    }
    let files = fs::read_dir(card).into_iter().flatten().flatten();
    let told: Vec<String> = files
        .filter(|file| file.file_name().to_string_lossy().starts_with("eld#"))
        .filter_map(|file| fs::read_to_string(file.path()).ok())
        .collect();
    let present = |text: &String| {
        let mut lines = text.lines();
        lines.any(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some("monitor_present") && words.next() == Some("1")
        })
    };
    !told.is_empty() && !told.iter().any(present)
}

fn play(name: &str) -> alsa::Result<()> {
    let pcm = PCM::new(name, Direction::Playback, false)?;
    {
        let params = HwParams::any(&pcm)?;
        params.set_rate_resample(true)?;
        params.set_access(Access::RWInterleaved)?;
        params.set_format(Format::s16())?;
        params.set_channels(2)?;
        params.set_rate_near(RATE, ValueOr::Nearest)?;
        pcm.hw_params(&params)?;
    }
    let loud = 10_f64.powf(TONE_DB / 20.0) * f64::from(i16::MAX);
    let tone = (0..TONE_FRAMES).flat_map(|frame| {
        // Fades in and out, so that it does not click.
        let edge = frame.min(TONE_FRAMES - frame) as f64 / 2_000.0;
        let value = (TAU * TONE_HZ * frame as f64 / f64::from(RATE)).sin();
        let sample = (value * loud * edge.min(1.0)) as i16;
        [sample, sample]
    });
    let samples: Vec<i16> = tone.collect();
    let io = pcm.io_i16()?;
    let mut rest = &samples[..];
    while !rest.is_empty() {
        let frames = io.writei(rest)?;
        rest = rest.get(frames * 2..).unwrap_or_default();
    }
    pcm.drain()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hdmi_output_without_a_screen_is_told_by_what_the_kernel_says() {
        let card = tempfile::tempdir().expect("a folder");
        let eld = |text: &str| fs::write(card.path().join("eld#0.0"), text).expect("a file");
        fs::write(card.path().join("id"), "vc4hdmi0\n").expect("a file");
        assert!(!no_sink("default", card.path()), "nothing is known");
        eld("monitor_present\t\t0\neld_valid\t\t0\n");
        assert!(no_sink("default", card.path()));
        eld("monitor_present\t\t1\neld_valid\t\t1\n");
        assert!(!no_sink("default", card.path()));
        eld("monitor_present\t\t0\n");
        fs::write(card.path().join("id"), "DAC\n").expect("a file");
        assert!(!no_sink("hw:CARD=DAC", card.path()));
    }
}
