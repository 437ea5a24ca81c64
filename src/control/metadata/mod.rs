//! What plays, for displays that read shairport-sync's metadata pipe.
//!
//! Owns one task a FIFO. It never waits for a reader: what one that is slow or away misses is left
//! out item by item, and whoever comes, or catches up, is told everything that holds ([`items`]).
//! Covers come by way of the daemon, after everything else ([`cover`]).

mod cover;
mod items;
mod pipe;

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use self::{
    cover::Covers,
    items::{Shown, changes, snapshot},
    pipe::{Pipe, Sent},
};
use super::Notice;
use crate::{
    bus::Bus,
    config,
    model::{Condition, ConditionCode, House, Phase},
};

/// How often a reader is looked for while there is none, or while it takes nothing. The kernel does
/// not tell of one that waits for us.
const LOOK: Duration = Duration::from_secs(1);
/// The same where no FIFO can be made.
const RETRY: Duration = Duration::from_secs(5);
/// How long a speaker whose session is being mended is shown as playing.
const MENDED_WITHIN: Duration = Duration::from_secs(60);

/// The surface while it runs. Dropped, it ends: there is nothing to say goodbye to.
pub struct Metadata {
    _tasks: JoinSet<()>,
}

/// The pipes that cannot be made, and why.
type Troubles = Arc<Mutex<BTreeMap<PathBuf, (String, io::ErrorKind)>>>;

impl Metadata {
    pub fn start(pipes: &[config::Metadata], bus: &Bus, notices: &mpsc::Sender<Notice>) -> Self {
        let troubles = Troubles::default();
        let mut tasks = JoinSet::new();
        for pipe in pipes {
            let teller = Teller {
                speaker: pipe.speaker.clone(),
                path: pipe.pipe.clone(),
                pipe: Pipe::new(pipe.pipe.clone(), pipe.covers),
                covers: pipe
                    .covers
                    .then(|| Covers::new(bus.clone(), pipe.speaker.clone())),
                bus: bus.clone(),
                notices: notices.clone(),
                troubles: troubles.clone(),
                shown: Shown::default(),
                missed: false,
                lost: None,
            };
            tasks.spawn(teller.run());
        }
        Self { _tasks: tasks }
    }
}

/// One speaker and its FIFO.
struct Teller {
    speaker: String,
    path: PathBuf,
    pipe: Pipe,
    /// Where they are wanted.
    covers: Option<Covers>,
    bus: Bus,
    notices: mpsc::Sender<Notice>,
    troubles: Troubles,
    /// As told last.
    shown: Shown,
    /// The reader has missed something.
    missed: bool,
    /// Since when nothing is known of what plays.
    lost: Option<Instant>,
}

impl Teller {
    async fn run(mut self) {
        let mut look_at = Instant::now();
        loop {
            let house = self.bus.seen();
            self.follow(&house);
            let looks = !self.pipe.is_read() || self.missed;
            if looks && Instant::now() >= look_at {
                look_at = Instant::now() + self.look().await;
            }
            self.cover();
            let lost_at = self.lost.map(|since| since + MENDED_WITHIN);
            let lost_at = lost_at.filter(|at| *at > Instant::now());
            let looks = !self.pipe.is_read() || self.missed;
            tokio::select! {
                news = self.bus.changed() => if news.is_none() {
                    return;
                },
                () = self.pipe.changed() => self.missed = true,
                () = changed(&mut self.covers) => {}
                () = sleep_until(look_at), if looks => {}
                () = at(lost_at) => {}
            }
            if self.missed && self.pipe.is_read() {
                look_at = Instant::now();
            }
        }
    }

    /// Tells what has changed, to whoever listens.
    fn follow(&mut self, house: &House) {
        let speaker = house.speaker(&self.speaker);
        let known = speaker.is_some_and(|speaker| speaker.playback.is_some());
        let since = match known {
            true => None,
            false => Some(self.lost.unwrap_or_else(Instant::now)),
        };
        self.lost = since;
        let mended = speaker.is_some_and(|it| !matches!(it.phase, Phase::Nobody | Phase::Refused));
        let held = mended && since.is_none_or(|since| since.elapsed() < MENDED_WITHIN);
        let now = self.shown.then(speaker, held);
        let news = changes(&self.shown, &now);
        self.shown = now;
        if !self.missed {
            self.tell(news);
        }
    }

    /// After everything else: whoever has missed something is told that first, and the cover anew.
    fn cover(&mut self) {
        let Some(covers) = &mut self.covers else {
            return;
        };
        if !self.pipe.is_read() || self.missed {
            return covers.forget();
        }
        covers.want(self.shown.cover(self.pipe.is_small()));
        if covers.tell(&mut self.pipe, &self.shown) == Sent::Full {
            self.missed = true;
        }
    }

    fn tell(&mut self, items: Vec<Vec<u8>>) {
        self.missed = items.iter().any(|item| self.pipe.send(item) != Sent::Whole);
    }

    /// Looks for a reader and tells it everything. Returns when to look again.
    async fn look(&mut self) -> Duration {
        if !self.pipe.is_read() {
            match self.pipe.look() {
                Ok(found) => {
                    self.trouble(None).await;
                    if !found {
                        return LOOK;
                    }
                }
                Err(error) => {
                    self.trouble(Some(&error)).await;
                    return RETRY;
                }
            }
        }
        self.tell(snapshot(&self.shown));
        if let Some(covers) = &mut self.covers {
            covers.forget();
        }
        LOOK
    }

    async fn trouble(&self, error: Option<&io::Error>) {
        let why = error.map(|error| (error.to_string(), error.kind()));
        let notice = {
            let troubles = self.troubles.lock();
            let mut troubles = troubles.unwrap_or_else(PoisonError::into_inner);
            let news = match why {
                Some(why) => troubles.insert(self.path.clone(), why.clone()) != Some(why),
                None => troubles.remove(&self.path).is_some(),
            };
            if !news {
                return;
            }
            match troubles.first_key_value() {
                Some((path, (why, kind))) => Notice::Raised(no_pipe(path, why, *kind)),
                None => Notice::Cleared(ConditionCode::NoMetadata),
            }
        };
        // Whoever listens is the daemon; when it has gone, so shall we.
        let _ = self.notices.send(notice).await;
    }
}

fn no_pipe(path: &Path, why: &str, kind: io::ErrorKind) -> Condition {
    let cure = match kind {
        io::ErrorKind::AlreadyExists => {
            "take that file away, and siskin makes a FIFO there; or choose another metadata.pipe"
        }
        _ => "make its folder, and let siskin's user write there; or choose another metadata.pipe",
    };
    Condition::new(
        ConditionCode::NoMetadata,
        format!("displays cannot read what plays from {}", path.display()),
        why,
        cure,
    )
}

async fn changed(covers: &mut Option<Covers>) {
    match covers {
        Some(covers) => covers.changed().await,
        None => std::future::pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
