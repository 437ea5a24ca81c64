//! Where there is sound and where there is none.

use super::Frame;

/// A stretch of sound or of silence, in frames: `from` included, `to` not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub sound: bool,
    pub from: usize,
    pub to: usize,
}

impl Run {
    pub fn frames(&self) -> usize {
        self.to - self.from
    }
}

/// Cuts a capture into sound and silence. Quieter than `threshold` (linear,
/// both channels) for at least `least` frames is silence; less than that is
/// part of the sound, as any tone passes through zero.
pub fn runs(frames: &[Frame], threshold: f32, least: usize) -> Vec<Run> {
    let loud = |f: &Frame| f[0].abs() > threshold || f[1].abs() > threshold;
    let mut sounds: Vec<Run> = Vec::new();
    for (at, _) in frames.iter().enumerate().filter(|(_, f)| loud(f)) {
        match sounds.last_mut() {
            Some(run) if at - run.to < least => run.to = at + 1,
            _ => sounds.push(Run {
                sound: true,
                from: at,
                to: at + 1,
            }),
        }
    }
    // Too short a silence at the very start belongs to the sound as well.
    if let Some(first) = sounds.first_mut()
        && first.from < least
    {
        first.from = 0;
    }
    let mut all = Vec::new();
    let mut at = 0;
    for run in sounds {
        if run.from > at {
            all.push(Run {
                sound: false,
                from: at,
                to: run.from,
            });
        }
        at = run.to;
        all.push(run);
    }
    if at < frames.len() {
        all.push(Run {
            sound: false,
            from: at,
            to: frames.len(),
        });
    }
    all
}

/// The stretches of sound with the usual measure: −60 dBFS, 10 ms.
pub fn playing(frames: &[Frame]) -> Vec<Run> {
    runs(frames, 0.001, 441)
        .into_iter()
        .filter(|r| r.sound)
        .collect()
}
