//! Which track of the catalogue a window belongs to, and where it was cut.

use std::f64::consts::TAU;
use std::sync::Arc;

use super::spectrum::{dominant, peak};
use super::{Frame, align};
use crate::catalogue::{Catalogue, SAMPLE_RATE, Song, Track};

/// Tone tracks lie 60 Hz apart; a window of 50 ms is good to a few hertz.
const PITCH_TOLERANCE: f64 = 15.0;

/// How the channels came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    Straight,
    Swapped,
    /// The same in both, while the track differs left and right.
    Mono,
}

/// What was recognised.
#[derive(Debug, Clone)]
pub struct Heard {
    pub track: Arc<Track>,
    pub placement: Placement,
}

/// The track that is heard in a window of 50 ms or more (200 ms for the
/// halves). Windows over the seam of two tracks give either or none. The
/// long track and the tune have no steady pitch: there, a second of sound is
/// compared with the source itself.
pub fn which_track(window: &[Frame], catalogue: &Catalogue) -> Option<Arc<Track>> {
    recognise(window, catalogue).map(|heard| heard.track)
}

/// The same, and whether left and right are in their places.
pub fn recognise(window: &[Frame], catalogue: &Catalogue) -> Option<Heard> {
    let left = dominant(&channel(window, 0))?;
    let right = dominant(&channel(window, 1))?;
    let hears = |l: f64, r: f64| catalogue.tracks().find(|t| fits(&t.song, l, r)).cloned();
    let heard = |track, placement| Heard { track, placement };
    if let Some(track) = hears(left, right) {
        return Some(heard(track, Placement::Straight));
    }
    if let Some(track) = hears(right, left) {
        return Some(heard(track, Placement::Swapped));
    }
    let near = |a: f64, b: f64| (a - b).abs() < PITCH_TOLERANCE;
    let mono = catalogue.tracks().find(|t| match t.song {
        Song::Tones {
            left: l, right: r, ..
        } => near(left, right) && (near(left, l) || near(left, r)),
        _ => false,
    });
    if let Some(track) = mono {
        return Some(heard(track.clone(), Placement::Mono));
    }
    let alike = catalogue.tracks().find(|t| {
        matches!(t.song, Song::Road { .. } | Song::Tune)
            && align::contains(&distinct_part(t), window)
    });
    alike.map(|track| heard(track.clone(), Placement::Straight))
}

fn fits(song: &Song, left: f64, right: f64) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() < PITCH_TOLERANCE;
    match *song {
        Song::Tones {
            left: l, right: r, ..
        } => near(left, l) && near(right, r),
        Song::Staircase { seconds } => {
            let top = Song::staircase_hz(f64::from(seconds));
            near(right, Song::STAIRCASE_RIGHT_HZ)
                && (Song::STAIRCASE_START_HZ - PITCH_TOLERANCE..top + PITCH_TOLERANCE)
                    .contains(&left)
        }
        Song::FullScale { .. } => {
            near(left, Song::FULL_SCALE_HZ) && near(right, Song::FULL_SCALE_HZ)
        }
        Song::Sweep { from, to } => {
            let (low, high) = (Song::sweep_hz(from), Song::sweep_hz(to));
            (left / right - 1.5).abs() < 0.05 && (low..high).contains(&left)
        }
        Song::Road { .. } | Song::Tune => false,
    }
}

/// As much of a track as it takes to find any piece of it.
fn distinct_part(track: &Track) -> Vec<Frame> {
    let samples = track.samples();
    samples[..samples.len().min(Song::ROAD_LOOP_FRAMES as usize)].to_vec()
}

/// The position, in seconds, of the middle of a window of the staircase.
///
/// Good to about 1 ms for windows of 100 to 400 ms of undisturbed music,
/// whatever the volume. `None` if this is not the staircase.
pub fn position_of(window: &[Frame]) -> Option<f64> {
    let right = dominant(&channel(window, 1))?;
    if (right - Song::STAIRCASE_RIGHT_HZ).abs() > PITCH_TOLERANCE {
        return None;
    }
    // Undo the climb: a tone that rises evenly, multiplied by one that falls
    // as fast, is a steady tone with the pitch that it had in the middle.
    let middle = window.len() as f64 / 2.0;
    let level = |frame: &Frame, at: usize| {
        let t = (at as f64 - middle) / f64::from(SAMPLE_RATE);
        let (sin, cos) = (-TAU * Song::STAIRCASE_HZ_PER_S / 2.0 * t * t).sin_cos();
        [f64::from(frame[0]) * cos, f64::from(frame[0]) * sin]
    };
    let data = window
        .iter()
        .enumerate()
        .map(|(at, frame)| level(frame, at))
        .collect();
    // The mirror image of a real tone climbs the other way and is smeared, so
    // the sharp peak is ours, whichever side it is on.
    let hz = peak(data, true).filter(|hz| *hz > 0.0)?;
    Some((hz - Song::STAIRCASE_START_HZ) / Song::STAIRCASE_HZ_PER_S)
}

fn channel(frames: &[Frame], which: usize) -> Vec<f32> {
    frames.iter().map(|f| f[which]).collect()
}
