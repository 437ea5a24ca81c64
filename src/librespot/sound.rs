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
                let wanted = output.is_wanted();
                self.output = Some(output);
                if wanted && change.before.is_some() {
                    change.step = Step::Opening(Instant::now() + OPENS);
                    return Ok(None);
                }
                Ok(self.finished(Ok(())))
            }
            Ok((_, false)) => Err(Failure::Lost("the sound device does not let go".into())),
            Err(panic) => Err(Failure::Lost(format!("the output failed: {panic}"))),
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
