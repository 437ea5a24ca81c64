//! Where the engine's sound goes, and how it is led elsewhere while it plays.

use std::time::Duration;

use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Instant, sleep_until},
};

use super::session::Failure;
use crate::{
    config,
    model::{Obstacle, Unmet},
    output::{Output, Report},
};

/// A device that is to play has to open within this time; a card that is handed over between two
/// programs has a second of it.
const OPENS: Duration = Duration::from_millis(1_800);

/// What came of an order to lead the sound elsewhere.
pub type Led = (Option<u64>, Result<(), Unmet>);

/// The output of the engine, and where it leads.
pub struct Sound {
    /// `None` while it is led elsewhere.
    output: Option<Output>,
    settings: config::Output,
    change: Option<Change>,
}

struct Change {
    /// Of the order, where somebody waits for its answer.
    id: Option<u64>,
    /// To go back to, when it does not open.
    before: Option<config::Output>,
    step: Step,
}

enum Step {
    Leading(JoinHandle<(Output, bool)>),
    /// It is to open until then.
    Opening(Instant),
}

impl Sound {
    pub fn new(output: Output, settings: config::Output) -> Self {
        Self {
            output: Some(output),
            settings,
            change: None,
        }
    }

    /// Begins to lead the sound elsewhere; the answer, where it is known at once.
    pub fn lead(&mut self, id: Option<u64>, to: config::Output) -> Option<Led> {
        if self.change.is_some() {
            let why = "the output is being changed already";
            return Some((id, Err(Unmet::new(Obstacle::Conflict, why))));
        }
        if to == self.settings {
            return Some((id, Ok(())));
        }
        let before = std::mem::replace(&mut self.settings, to);
        self.begin(id, Some(before))
    }

    fn begin(&mut self, id: Option<u64>, before: Option<config::Output>) -> Option<Led> {
        let mut output = self.output.take()?;
        let to = self.settings.clone();
        let leading = spawn_blocking(move || {
            let led = output.switch(&to);
            (output, led)
        });
        self.change = Some(Change {
            id,
            before,
            step: Step::Leading(leading),
        });
        None
    }

    /// Waits for what comes next of a change; for ever while there is none. Cancel safe.
    ///
    /// # Errors
    /// When the device that was used hangs: only another process helps.
    pub async fn next(&mut self) -> Result<Option<Led>, Failure> {
        let Some(change) = &mut self.change else {
            return std::future::pending().await;
        };
        let leading = match &mut change.step {
            Step::Leading(leading) => leading,
            Step::Opening(until) => {
                sleep_until(*until).await;
                return Ok(self.failed("it does not open"));
            }
        };
        match leading.await {
            Ok((output, true)) => {
                // It may have opened, and said so, before this was heard of.
                let opens = output.is_wanted() && !output.is_open();
                self.output = Some(output);
                if opens && change.before.is_some() {
                    change.step = Step::Opening(Instant::now() + OPENS);
                    return Ok(None);
                }
                Ok(self.finished(Ok(())))
            }
            broken => {
                // Nobody waits for it twice.
                self.change = None;
                let why = broken.err().map_or_else(
                    || "the sound device does not let go".to_owned(),
                    |panic| format!("the output failed: {panic}"),
                );
                Err(Failure::Broken(why))
            }
        }
    }

    /// Hears what the output says of itself.
    pub fn hear(&mut self, report: &Report) -> Option<Led> {
        let change = self.change.as_ref()?;
        if !matches!(change.step, Step::Opening(_)) {
            return None;
        }
        match report {
            Report::Opened(_) => self.finished(Ok(())),
            Report::Lost(condition) => self.failed(&condition.why.clone()),
            Report::Back | Report::Xrun { .. } | Report::Holding => None,
        }
    }

    fn finished(&mut self, result: Result<(), Unmet>) -> Option<Led> {
        let change = self.change.take()?;
        Some((change.id, result))
    }

    /// It does not go there: the sound goes where it went before.
    fn failed(&mut self, why: &str) -> Option<Led> {
        let change = self.change.take()?;
        if let Some(before) = change.before {
            self.settings = before;
            self.begin(None, None);
        }
        let why = format!("the sound cannot go there: {why}");
        Some((change.id, Err(Unmet::new(Obstacle::NoOutput, why))))
    }

    /// Lets go of the device once the music has faded. Blocks for a second or two at most.
    pub async fn close(self) {
        let output = match (self.output, self.change.map(|change| change.step)) {
            (Some(output), _) => output,
            (None, Some(Step::Leading(leading))) => match leading.await {
                Ok((output, _)) => output,
                Err(_) => return,
            },
            (None, _) => return,
        };
        let _ = spawn_blocking(move || output.close()).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::{config::VolumeSettings, model::Volume, output::VolumeControl};

    #[tokio::test]
    async fn a_device_that_does_not_let_go_breaks_the_engine_and_not_its_end() {
        let (to, _reports) = mpsc::channel(8);
        let volume = VolumeControl::new(&VolumeSettings::default(), Volume::FULL);
        let output = Output::open(&config::Output::Null, volume, to, 0);
        let mut sound = Sound {
            output: None,
            settings: config::Output::Null,
            change: Some(Change {
                id: Some(5),
                before: None,
                step: Step::Leading(spawn_blocking(|| (output, false))),
            }),
        };
        assert!(matches!(sound.next().await, Err(Failure::Broken(_))));
        sound.close().await;
    }

    #[tokio::test]
    async fn a_device_that_opens_before_the_old_one_is_known_to_be_gone_counts_as_open() {
        let (to, mut reports) = mpsc::channel(8);
        let volume = VolumeControl::new(&VolumeSettings::default(), Volume::FULL);
        let output = Output::open(&config::Output::Null, volume, to, 0);
        let inlet = output.inlet();
        inlet.begin(1, 0);
        inlet.push(&vec![0.1; 44_100]);
        inlet.run();
        let opened = async |reports: &mut mpsc::Receiver<Report>| loop {
            match reports.recv().await {
                Some(report @ Report::Opened(_)) => return report,
                Some(_) => {}
                None => panic!("the output has gone"),
            }
        };
        opened(&mut reports).await;
        let mut sound = Sound::new(output, config::Output::Null);
        let folder = tempfile::tempdir().expect("a folder");
        let file = config::Output::Wav {
            path: folder.path().join("music.wav"),
            format: config::SampleFormat::S16,
        };
        assert_eq!(sound.lead(Some(5), file), None);
        let report = opened(&mut reports).await;
        assert_eq!(sound.hear(&report), None);
        assert_eq!(sound.next().await.ok().flatten(), Some((Some(5), Ok(()))));
        sound.close().await;
    }
}
