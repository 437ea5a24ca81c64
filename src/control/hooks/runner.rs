//! One hook at work: its queue, and the one program that runs at a time.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{events::Event, process, queue::Queue, rest::Rest};
use crate::config::{Hook, Occasion};

/// Names a runner, never used twice.
pub type Id = u64;

/// What became of one run.
#[derive(Debug)]
pub struct Outcome {
    pub id: Id,
    pub on: Occasion,
    pub speaker: String,
    pub result: Result<(), String>,
}

pub struct Runner {
    pub id: Id,
    pub hook: Arc<Hook>,
    /// By the id of each speaker.
    pub rests: BTreeMap<String, Rest>,
    desk: Arc<Desk>,
    task: JoinHandle<()>,
}

/// Between the one who watches and the one who runs.
#[derive(Default)]
struct Desk {
    papers: Mutex<Papers>,
    more: Notify,
}

#[derive(Default)]
struct Papers {
    queue: Queue,
    /// Ends what runs now.
    cut: CancellationToken,
    /// When nothing more comes: until then, what waits may be run.
    closing: Option<Instant>,
}

impl Desk {
    fn papers(&self) -> MutexGuard<'_, Papers> {
        // Each change is made in one step.
        self.papers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next event, and what ends its run. In one step, so that whoever clears the desk ends
    /// exactly what came before.
    fn take(&self) -> (Option<(Event, CancellationToken)>, Option<Instant>) {
        let mut papers = self.papers();
        let next = papers.queue.pop().map(|event| {
            papers.cut = CancellationToken::new();
            (event, papers.cut.clone())
        });
        (next, papers.closing)
    }
}

impl Runner {
    pub fn start(id: Id, hook: Hook, outcomes: mpsc::Sender<Outcome>) -> Self {
        let (hook, desk) = (Arc::new(hook), Arc::<Desk>::default());
        let task = tokio::spawn(work(id, hook.clone(), desk.clone(), outcomes));
        Self {
            id,
            hook,
            rests: BTreeMap::new(),
            desk,
            task,
        }
    }

    /// Whether it wants to hear of this.
    pub fn wants(&self, on: Occasion, speaker: &str) -> bool {
        wants(&self.hook, on, speaker)
    }

    pub fn push(&self, event: Event) {
        let left_out = {
            let mut papers = self.desk.papers();
            papers.queue.push(event);
            papers.queue.left_out()
        };
        if left_out > 0 {
            warn!(
                "a hook is too slow ({}); {left_out} events were left out",
                name(&self.hook)
            );
        }
        self.desk.more.notify_one();
    }

    /// Nothing is to come but these. What waits is forgotten; what runs is ended at once where there
    /// is something to be told, else at `until` like everything.
    pub fn finish(&self, last: Vec<Event>, until: Instant) {
        let mut papers = self.desk.papers();
        papers.queue.clear();
        if !last.is_empty() {
            papers.cut.cancel();
        }
        last.into_iter().for_each(|event| papers.queue.push(event));
        papers.closing = Some(until);
        drop(papers);
        self.desk.more.notify_one();
    }

    /// Waits for the end after [`Self::finish`].
    pub async fn ended(mut self) {
        let _ = (&mut self.task).await;
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Whether a hook wants to hear of this.
pub fn wants(hook: &Hook, on: Occasion, speaker: &str) -> bool {
    let here = hook.speaker.as_deref().is_none_or(|id| id == speaker);
    here && hook.on.contains(&on)
}

/// How a hook is called in the log: by its program.
pub fn name(hook: &Hook) -> &str {
    let program = hook.run.first().map_or("", String::as_str);
    program.rsplit('/').next().unwrap_or(program)
}

async fn work(id: Id, hook: Arc<Hook>, desk: Arc<Desk>, outcomes: mpsc::Sender<Outcome>) {
    loop {
        let (next, closing) = desk.take();
        let Some((event, cut)) = next else {
            if closing.is_some() {
                return;
            }
            desk.more.notified().await;
            continue;
        };
        if let Some(result) = once(&hook, &event, &desk, &cut).await {
            if let Err(why) = &result {
                debug!("hook {} ({}) failed: {why}", name(&hook), event.on.key());
            }
            let outcome = Outcome {
                id,
                on: event.on,
                speaker: event.speaker,
                result,
            };
            if outcomes.send(outcome).await.is_err() {
                return;
            }
        }
    }
}

/// Runs the program; `None`: it was ended because something else is to be told before the end.
async fn once(
    hook: &Hook,
    event: &Event,
    desk: &Desk,
    cut: &CancellationToken,
) -> Option<Result<(), String>> {
    let running = process::run(&hook.run, event, hook.timeout);
    tokio::pin!(running);
    loop {
        let closing = desk.papers().closing;
        let result = tokio::select! {
            biased;
            () = cut.cancelled() => return None,
            result = timeout_at(closing.unwrap_or_else(far), &mut running) => match result {
                Ok(result) => result,
                Err(_) => Err("it did not end before siskin did".to_owned()),
            },
            // Somebody may be closing.
            () = desk.more.notified(), if closing.is_none() => continue,
        };
        return Some(result);
    }
}

/// Later than anything here.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(24 * 60 * 60)
}
