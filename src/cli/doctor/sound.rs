//! Where the sound goes: whether it opens, and whether anything could be heard.

use std::{fs, os::unix::fs::FileTypeExt as _, path::Path, time::Duration};

use tokio::{task::spawn_blocking, time::timeout};

use super::findings::Report;
use crate::{
    config::{Output, Speaker},
    model::{Finding, House, PlayState},
    output::{self, Examined},
};

/// A card that hangs is left behind.
const LIMIT: Duration = Duration::from_secs(5);

pub async fn look(report: &mut Report, speakers: &[Speaker], house: Option<&House>, tone: bool) {
    report.looks_at("the sound");
    for speaker in speakers {
        let state = house.and_then(|house| house.speaker(&speaker.id));
        let playback = state.and_then(|state| state.playback.as_ref());
        let sounds = |state| matches!(state, PlayState::Playing | PlayState::Loading);
        if playback.is_some_and(|playback| sounds(playback.state)) {
            report.fact(format!(
                "{} plays at this moment; its output is left alone",
                speaker.name
            ));
            if playback.is_some_and(|playback| playback.volume.percent().get() == 0) {
                report.found(Finding::notice(
                    "volume_zero",
                    format!("the volume of {} is 0 %", speaker.name),
                    "so nothing is heard",
                    "turn it up in the Spotify app",
                ));
            }
            continue;
        }
        match &speaker.output {
            Output::Card { device, .. } => card(report, device.as_deref(), tone).await,
            Output::Pipe {
                path: Some(path), ..
            } => pipe(report, path),
            Output::Wav { path, .. } => folder(report, path),
            Output::Pipe { path: None, .. } => {}
            Output::Null => report.found(Finding::notice(
                "output_null",
                format!("{} makes no sound at all", speaker.name),
                "output.kind is \"null\"",
                "write kind = \"card\" to hear something",
            )),
        }
    }
}

async fn card(report: &mut Report, device: Option<&str>, tone: bool) {
    permissions(report);
    let name = device.map(str::to_owned);
    let looking = spawn_blocking(move || output::examine(name.as_deref(), tone));
    let shown = device.unwrap_or("the default one").to_owned();
    let Ok(Ok(examined)) = timeout(LIMIT, looking).await else {
        report.found(Finding::trouble(
            "output_lost",
            format!("the sound card ({shown}) hangs"),
            format!("it did not open or play within {} s", LIMIT.as_secs()),
            "check its cable and power, and the sound server behind it",
        ));
        return;
    };
    let Examined {
        trouble,
        silent,
        no_sink,
    } = examined;
    match &trouble {
        Some(trouble) => report.found(trouble.into()),
        None => report.fact(format!("the sound card opens ({shown})")),
    }
    for (level, switched_off) in silent {
        let (what, cure) = match switched_off {
            true => ("is muted", "switch it on: alsamixer, key M"),
            false => ("is at 0 %", "turn it up: alsamixer"),
        };
        report.found(Finding::trouble(
            "mixer_muted",
            format!("the level {level} of the sound card {what}"),
            "so nothing is heard, however loud the phone is",
            cure,
        ));
    }
    if no_sink {
        report.found(Finding::trouble(
            "hdmi_no_sink",
            "the sound goes to HDMI, and nothing is plugged in there",
            format!("the kernel sees no screen or amplifier at {shown}"),
            "switch it on, or choose another card: siskin devices lists them",
        ));
    }
    if tone && trouble.is_none() {
        report.fact(
            "a tone was played for a second; if it was not heard, see cable, amplifier and card",
        );
    }
}

/// The kernel gives cards to the group `audio`, and to whoever sits at the machine.
fn permissions(report: &mut Report) {
    let cards = fs::read_dir("/dev/snd").into_iter().flatten().flatten();
    let controls = cards.filter(|file| file.file_name().to_string_lossy().starts_with("controlC"));
    let forbidden = controls
        .filter_map(|file| fs::File::open(file.path()).err())
        .any(|error| error.kind() == std::io::ErrorKind::PermissionDenied);
    if forbidden {
        report.found(Finding::trouble(
            "audio_forbidden",
            "this user may not use the sound cards",
            "/dev/snd is closed to it",
            "sudo usermod -aG audio $USER, and sign in anew; the service of the package has the group already",
        ));
    }
}

fn pipe(report: &mut Report, path: &Path) {
    match fs::metadata(path) {
        Ok(found) if found.file_type().is_fifo() => {
            report.fact(format!("the sound goes into the pipe {}", path.display()));
        }
        Ok(found) if found.file_type().is_char_device() => {
            report.fact(format!("the sound goes into the device {}", path.display()));
        }
        Ok(_) => report.found(Finding::trouble(
            "output_lost",
            format!("{} is no pipe", path.display()),
            "a file would grow by 15 GB a day, so nothing is written to it",
            "take it away, and siskin makes a FIFO there; or set output.path to another path",
        )),
        Err(_) => folder(report, path),
    }
}

fn folder(report: &mut Report, path: &Path) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        report.found(Finding::trouble(
            "output_lost",
            format!("the sound cannot be written to {}", path.display()),
            format!("{} is not there", folder.display()),
            "make the folder, or write another path",
        ));
    }
}
