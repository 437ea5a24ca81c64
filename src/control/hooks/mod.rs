//! Programs that are run when something happens: an amplifier, a display, a lamp.
//!
//! Owns one task that turns states into events ([`events`]) and one task a hook that runs its
//! program ([`runner`]): one at a time, each within its limit, so that a hook that hangs delays
//! nothing but itself. There is no shell. What waits for a slow hook is bounded, and newer news take
//! the place of older ones ([`queue`]). A hook that fails is a condition until it succeeds again.
//!
//! "inactive" is told in any case: when siskin stops, and after a crash at the next start; what it
//! takes to know is one small file ([`mark`]).
//!
//! A new event: a variant of [`Occasion`], where it arises in [`events`], and its topic in [`queue`].

mod events;
mod mark;
mod process;
mod queue;
mod rest;
mod runner;
mod tell;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tracing::warn;

use self::{
    events::{Event, Now, Seen, Watcher},
    mark::Mark,
    rest::Turn,
    runner::{Id, Outcome, Runner},
};
use super::Notice;
use crate::{
    bus::{Bus, Order},
    config::{Hook, Occasion},
    model::{Condition, ConditionCode, House, SpeakerState, unix_ms},
};

/// How long the end of the music is waited for before the last "inactive" is told.
const FADING: Duration = Duration::from_millis(1_500);
/// How long the last programs may run.
const FAREWELL: Duration = Duration::from_millis(2_000);
/// Changes of the configuration, and ends of programs, that may wait.
const WAITING: usize = 16;

/// The surface while it runs. Dropped without [`Hooks::stop`], it ends without a word.
pub struct Hooks {
    changes: mpsc::Sender<Vec<Hook>>,
    /// Passed on is when the music is over.
    stop: oneshot::Sender<oneshot::Receiver<()>>,
    task: JoinHandle<()>,
}

impl Hooks {
    /// Begins with the state as it is: what is so already counts as having just happened. `mark` is
    /// where it is kept which speakers are in use; `None`: nowhere.
    pub fn start(
        hooks: Vec<Hook>,
        mark: Option<PathBuf>,
        bus: Bus,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let (changes, changed) = mpsc::channel(WAITING);
        let (stop, stopped) = oneshot::channel();
        let (ends, outcomes) = mpsc::channel(WAITING);
        let room = Room {
            bus,
            notices,
            ends,
            outcomes,
            mark: Mark::new(mark),
            watcher: Watcher::default(),
            runners: BTreeMap::new(),
            leaving: JoinSet::new(),
            last_id: 0,
            owed: BTreeSet::new(),
            before: BTreeMap::new(),
            failing: BTreeMap::new(),
            told: None,
        };
        let task = tokio::spawn(room.run(hooks, changed, stopped));
        Self {
            changes,
            stop,
            task,
        }
    }

    /// Takes other hooks over; those that stay are not disturbed.
    pub async fn change(&self, hooks: Vec<Hook>) {
        let _ = self.changes.send(hooks).await;
    }

    /// Tells "inactive" to whoever is owed it, once the music is over, and ends. Takes 3.5 s at most.
    pub async fn stop(mut self, silent: oneshot::Receiver<()>) {
        let _ = self.stop.send(silent);
        let limit = FADING + FAREWELL + Duration::from_millis(200);
        if timeout(limit, &mut self.task).await.is_err() {
            warn!("the hooks did not end within {limit:?}");
            self.task.abort();
        }
    }
}

/// What the task works with.
struct Room {
    bus: Bus,
    notices: mpsc::Sender<Notice>,
    ends: mpsc::Sender<Outcome>,
    outcomes: mpsc::Receiver<Outcome>,
    mark: Mark,
    watcher: Watcher,
    runners: BTreeMap<Id, Runner>,
    /// Those that are not wanted any more, and have something to end.
    leaving: JoinSet<()>,
    last_id: Id,
    /// Whom "inactive" will have to be told, and of which speaker.
    owed: BTreeSet<(Id, String)>,
    /// Speakers whose music waits, and for which hooks.
    before: BTreeMap<String, BTreeSet<Id>>,
    /// Why those hooks fail that failed last.
    failing: BTreeMap<Id, String>,
    /// As said last.
    told: Option<Condition>,
}

impl Room {
    async fn run(
        mut self,
        hooks: Vec<Hook>,
        mut changed: mpsc::Receiver<Vec<Hook>>,
        mut stopped: oneshot::Receiver<oneshot::Receiver<()>>,
    ) {
        self.change(hooks);
        self.make_good().await;
        let mut goes_on = true;
        loop {
            let house = self.bus.seen();
            self.look(&house).await;
            let due = self.due();
            tokio::select! {
                silent = &mut stopped => match silent {
                    Ok(silent) => return self.say_goodbye(silent).await,
                    // Whoever owned us is gone.
                    Err(_) => return,
                },
                news = self.bus.changed(), if goes_on => goes_on = news.is_some(),
                Some(hooks) = changed.recv() => {
                    self.change(hooks);
                    self.tell_failures().await;
                }
                Some(_) = self.leaving.join_next() => {}
                Some(outcome) = self.outcomes.recv() => self.ended(outcome).await,
                () = at(due) => {}
            }
        }
    }

    /// Tells "inactive" of the speakers that a life before this one left in use.
    async fn make_good(&mut self) {
        let left = self.mark.read().await;
        let house = self.bus.now();
        for speaker in left {
            for runner in self.runners.values() {
                if !runner.wants(Occasion::Inactive, &speaker) {
                    continue;
                }
                let mut event = Watcher::default().event(&speaker, Occasion::Inactive, now());
                if let Some(known) = house.speaker(&speaker) {
                    event.speaker_name.clone_from(&known.name);
                }
                self.owed.insert((runner.id, speaker.clone()));
                runner.push(event);
            }
        }
        self.keep_mark().await;
    }

    /// Those that are to be there and no others. What is so already is told to the new ones.
    fn change(&mut self, wanted: Vec<Hook>) {
        let mut wanted: Vec<_> = wanted.into_iter().map(Some).collect();
        let mut gone = Vec::new();
        for runner in self.runners.values() {
            let same = |hook: &&mut Option<Hook>| hook.as_ref() == Some(&*runner.hook);
            match wanted.iter_mut().find(same) {
                Some(hook) => *hook = None,
                None => gone.push(runner.id),
            }
        }
        for id in gone {
            if let Some(runner) = self.runners.remove(&id) {
                self.failing.remove(&id);
                for waits in self.before.values_mut() {
                    waits.remove(&id);
                }
                self.dismiss(runner);
            }
        }
        for hook in wanted.into_iter().flatten() {
            self.last_id += 1;
            let runner = Runner::start(self.last_id, hook, self.ends.clone());
            self.runners.insert(self.last_id, runner);
        }
    }

    /// A hook that is not wanted any more hears "inactive" where it must, and ends by itself.
    fn dismiss(&mut self, runner: Runner) {
        let last = self.last_words(&runner);
        self.owed.retain(|(id, _)| *id != runner.id);
        let until = Instant::now() + runner.hook.timeout;
        runner.finish(last, until);
        self.leaving.spawn(runner.ended());
    }

    /// What a hook has to hear before it ends.
    fn last_words(&self, runner: &Runner) -> Vec<Event> {
        let owed = self.owed.iter().filter(|(id, _)| *id == runner.id);
        let events = owed.map(|(_, speaker)| {
            let event = self.watcher.event(speaker, Occasion::Inactive, now());
            Event {
                active: false,
                ..event
            }
        });
        events.collect()
    }

    /// Compares the state with the one before and tells everybody what happened.
    async fn look(&mut self, house: &House) {
        let now = now();
        let events = self.watcher.step(house, now);
        let turns = self.turns(now);
        // First, so that a crash from here on is made good.
        self.keep_mark().await;
        let tell = |wanted: Turn| {
            for (id, speaker, turn) in turns.iter().filter(|(_, _, turn)| *turn == wanted) {
                let on = match turn {
                    Turn::Begins => Occasion::Active,
                    Turn::Ends => Occasion::Inactive,
                };
                if let Some(runner) = self.runners.get(id).filter(|it| it.wants(on, speaker)) {
                    runner.push(self.watcher.event(speaker, on, now));
                }
            }
        };
        tell(Turn::Begins);
        for event in &events {
            if matches!(event.on, Occasion::Active | Occasion::Inactive) {
                // Each hook has its own idea of that.
                continue;
            }
            for runner in self.runners.values() {
                if runner.wants(event.on, &event.speaker) {
                    runner.push(event.clone());
                }
            }
        }
        tell(Turn::Ends);
        self.before_play(house, now);
    }

    /// Music that waits is told, and let go when everybody who wants to hear of it is done.
    fn before_play(&mut self, house: &House, now: Now) {
        let holds = |speaker: &&SpeakerState| speaker.holding;
        let holding: BTreeSet<_> = house
            .speakers
            .iter()
            .filter(holds)
            .map(|it| &it.id)
            .collect();
        self.before.retain(|speaker, _| holding.contains(speaker));
        for speaker in holding {
            if self.before.contains_key(speaker) {
                continue;
            }
            let on = Occasion::BeforePlay;
            let wants = self.runners.values().filter(|it| it.wants(on, speaker));
            let mut waits = BTreeSet::new();
            for runner in wants {
                runner.push(self.watcher.event(speaker, on, now));
                waits.insert(runner.id);
            }
            self.before.insert(speaker.clone(), waits);
            self.let_play(speaker);
        }
    }

    /// Lets the music go, unless somebody is still at work for it.
    fn let_play(&mut self, speaker: &str) {
        let waits = self.before.get(speaker);
        if waits.is_some_and(BTreeSet::is_empty) {
            let (bus, speaker) = (self.bus.clone(), speaker.to_owned());
            // The engine has a limit of its own, should this come to nothing.
            self.leaving.spawn(async move {
                let _ = bus.order(Order::LetPlay { speaker }).await;
            });
        }
    }

    /// Which speakers are in use, or not any more, for which hook. Whoever hears of a use, or of music
    /// that waits, is owed its end.
    fn turns(&mut self, now: Now) -> Vec<(Id, String, Turn)> {
        let mut turns = Vec::new();
        let speakers: BTreeMap<_, _> = self.watcher.speakers().collect();
        let gone = Seen::default();
        for (id, runner) in &mut self.runners {
            let delay = runner.hook.inactive_delay;
            for speaker in speakers.keys() {
                if !runner.rests.contains_key(*speaker) {
                    runner
                        .rests
                        .insert((*speaker).clone(), rest::Rest::default());
                }
            }
            let hook = runner.hook.clone();
            for (speaker, rest) in &mut runner.rests {
                let (seen, delay) = match speakers.get(speaker) {
                    Some(seen) => (*seen, delay),
                    None => (&gone, None),
                };
                let prepares = runner::wants(&hook, Occasion::BeforePlay, speaker);
                if let Some(turn) = rest.look(seen, prepares, delay, now.steady) {
                    turns.push((*id, speaker.clone(), turn));
                }
                if rest.is_in_use() && runner::wants(&hook, Occasion::Inactive, speaker) {
                    self.owed.insert((*id, speaker.clone()));
                }
            }
            runner
                .rests
                .retain(|speaker, rest| rest.is_in_use() || speakers.contains_key(speaker));
        }
        turns
    }

    async fn keep_mark(&mut self) {
        let in_use = self.owed.iter().map(|(_, speaker)| speaker.clone());
        let in_use = in_use.collect();
        self.mark.write(in_use).await;
    }

    fn due(&self) -> Option<Instant> {
        let rests = self.runners.values().flat_map(|it| it.rests.values());
        let due = rests.filter_map(|rest| rest.due());
        due.chain(self.watcher.due()).min().map(Instant::from_std)
    }

    async fn ended(&mut self, outcome: Outcome) {
        let Outcome {
            id,
            on,
            speaker,
            result,
        } = outcome;
        // One that failed is owed it still, when siskin stops or starts again: not at once, or one that
        // always fails would run time and again.
        if on == Occasion::Inactive && result.is_ok() {
            let in_use =
                |runner: &Runner| runner.rests.get(&speaker).is_some_and(|it| it.is_in_use());
            if !self.runners.get(&id).is_some_and(in_use) {
                self.owed.remove(&(id, speaker.clone()));
                self.keep_mark().await;
            }
        }
        if on == Occasion::BeforePlay {
            if let Some(waits) = self.before.get_mut(&speaker) {
                waits.remove(&id);
            }
            self.let_play(&speaker);
        }
        let Some(runner) = self.runners.get(&id) else {
            return;
        };
        let done = result.is_ok();
        self.bus.tally().hook(runner::name(&runner.hook), done);
        match result {
            Ok(()) => drop(self.failing.remove(&id)),
            // The first reason stands until it is mended, so that it is told once.
            Err(why) => {
                let name = runner::name(&runner.hook).to_owned();
                self.failing
                    .entry(id)
                    .or_insert_with(|| format!("{name}: {why}"));
            }
        }
        self.tell_failures().await;
    }

    async fn tell_failures(&mut self) {
        let now = failure(&self.failing);
        if now == self.told {
            return;
        }
        let notice = match &now {
            Some(condition) => Notice::Raised(condition.clone()),
            None => Notice::Cleared(ConditionCode::HookFails),
        };
        self.told = now;
        // Whoever listens is the daemon; when it has gone, so shall we.
        let _ = self.notices.send(notice).await;
    }

    /// The last "inactive", when the music is over, and then the end.
    async fn say_goodbye(mut self, silent: oneshot::Receiver<()>) {
        let _ = timeout(FADING, silent).await;
        let until = Instant::now() + FAREWELL;
        for runner in self.runners.values() {
            runner.finish(self.last_words(runner), until);
        }
        // The outcomes end with the last runner.
        self.ends = mpsc::channel(1).0;
        let until = until + Duration::from_millis(100);
        while let Ok(Some(outcome)) = timeout_at(until, self.outcomes.recv()).await {
            self.over(&outcome);
        }
        self.keep_mark().await;
    }

    fn over(&mut self, outcome: &Outcome) {
        // One that failed, or was killed, is told again at the next start.
        if outcome.on == Occasion::Inactive && outcome.result.is_ok() {
            self.owed.remove(&(outcome.id, outcome.speaker.clone()));
        }
    }
}

/// What is wrong with the hooks, in words.
fn failure(failing: &BTreeMap<Id, String>) -> Option<Condition> {
    let whys: Vec<_> = failing.values().map(String::as_str).collect();
    let what = match whys.len() {
        0 => return None,
        1 => "a hook does not do its work".to_owned(),
        many => format!("{many} hooks do not do their work"),
    };
    let cure = "run the program by hand; with log = \"debug\" its words are in the log";
    let why = whys.join("; ");
    Some(Condition::new(ConditionCode::HookFails, what, why, cure))
}

fn now() -> Now {
    Now {
        steady: std::time::Instant::now(),
        unix_ms: unix_ms(),
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
