//! Clicks and clipping: what is wrong with a sound, without its source.

use super::Frame;

/// Frames on either side that tell what the signal itself does.
const AROUND: usize = 200;
/// A click's own doing reaches this far in the second difference.
const NEAR: usize = 3;
/// How much rougher than its surroundings a place must be.
const FACTOR: f32 = 4.0;

/// A step that the music around it does not have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Click {
    /// Frame in the capture.
    pub at: usize,
    pub channel: usize,
    /// Height of the step, linear.
    pub size: f32,
}

/// Steps of at least `floor` (0.01 is a good measure) that stand out from the
/// 9 ms around them. Tones up to some kHz have none; noise and hard drums may.
pub fn clicks(frames: &[Frame], floor: f32) -> Vec<Click> {
    let mut found = Vec::new();
    for channel in 0..2 {
        let bend: Vec<f32> = frames
            .windows(3)
            .map(|w| (w[2][channel] - 2.0 * w[1][channel] + w[0][channel]).abs())
            .collect();
        // A bend of n samples is a step of about n: only those can be clicks.
        let mut skip_to = 0;
        for at in 0..bend.len() {
            if bend[at] < floor || at < skip_to {
                continue;
            }
            let before = &bend[at.saturating_sub(AROUND)..at.saturating_sub(NEAR)];
            let after = &bend[(at + NEAR + 1).min(bend.len())..(at + AROUND).min(bend.len())];
            let usual = |side: &[f32]| side.iter().copied().fold(0.0, f32::max);
            // Rougher than both sides: where a tone merely begins, one side is
            // as rough as the place itself unless the beginning is a step.
            if bend[at] > FACTOR * usual(before) && bend[at] > FACTOR * usual(after) {
                found.push(Click {
                    at: at + 1,
                    channel,
                    size: bend[at],
                });
                skip_to = at + NEAR + 1;
            }
        }
    }
    found.sort_by_key(|c| c.at);
    found
}

/// Frames in which a channel stays at full scale for three samples or more:
/// a wave that was cut off, not one that just touches.
pub fn clipped(frames: &[Frame]) -> usize {
    const FULL: f32 = 0.9999;
    let full = |w: &[Frame], c: usize| w.iter().all(|f| f[c].abs() >= FULL);
    frames
        .windows(3)
        .filter(|w| full(w, 0) || full(w, 1))
        .count()
}
