//! Breaks what siskin stands on, one thing at a time, and measures how long it takes until all is as
//! it was: in the app's list, signed in, and the same music playing, paused or silent.
//!
//! [`list`] names the faults, [`strike`] does them (some by way of [`surroundings`] and [`inside`]),
//! [`watch`] says what "as it was" means, [`table`] writes it down, [`kept`] keeps it in case of an
//! interruption. [`leaks`] and [`soak`] let one living speaker suffer for long. Like the benchmark,
//! the table fails only when nothing can be measured; what did not come back stands in it.

mod crew;
mod holds;
mod inside;
mod kept;
mod leaks;
mod list;
mod soak;
mod strike;
mod surroundings;
mod table;
mod watch;

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use self::{
    kept::{Kept, Outcome},
    list::{FAULTS, Fault},
    table::Table,
    watch::{Cost, ENDED, Mood, Scene},
};
use crate::{
    SimOptions,
    bench::{Result, stage::on_stage},
    catalogue::{Catalogue, Quality},
    receiver::{Binary, Kind},
};

/// Receivers that did not come back before no other is tried.
const GIVE_UP: usize = 3;

/// What to break, and where to write what became of it.
#[derive(Clone, Debug)]
pub struct Options {
    pub siskin: PathBuf,
    /// A siskin with symbols, for what only that can suffer.
    pub symbols: Option<PathBuf>,
    pub peer: Option<PathBuf>,
    /// How often each fault; the peer suffers it once.
    pub rounds: usize,
    /// How many receivers suffer at the same time.
    pub jobs: usize,
    /// Only faults whose name contains this.
    pub only: Option<String>,
    /// None of those whose name contains this.
    pub but: Option<String>,
    /// So many rounds of some faults on one speaker each, to see what it loses, instead of the table.
    pub leaks: Option<usize>,
    /// A random fault every 30 s for so long, instead of the table.
    pub soak: Option<Duration>,
    /// Where results are kept as they come.
    pub kept: PathBuf,
    /// Measures only what is not kept yet.
    pub resume: bool,
    /// The page that gets what was measured between its markers.
    pub write: Option<PathBuf>,
}

/// One fault in one mood, all its rounds on the same receiver.
struct Job<'a> {
    fault: &'static Fault,
    mood: Mood,
    binary: &'a Binary,
    /// What the receiver was made from.
    from: &'a Source,
    rounds: usize,
}

/// A program as it was built.
struct Source {
    path: PathBuf,
    mark: String,
}

impl Source {
    fn of(path: &Path) -> Self {
        let (path, mark) = (path.to_owned(), kept::mark(path));
        Self { path, mark }
    }
}

impl Job<'_> {
    /// Roughly how long it takes (s).
    fn takes(&self) -> u64 {
        let round = 7 + self.fault.strike.takes();
        match self.binary.kind {
            Kind::Siskin => round * self.rounds as u64,
            // Most likely it does not come back.
            Kind::Peer => round + self.fault.bound.as_secs(),
        }
    }
}

/// Runs the faults, or the soak.
///
/// # Errors
/// When nothing can be measured; after a soak, also when the speaker is not what it was.
pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("siskin-chaos-").tempdir()?;
    let ours = Binary::prepare(Kind::Siskin, &options.siskin, folder.path())?;
    prepare_music();
    if let Some(length) = options.soak {
        let options = options.clone();
        return on_stage(healthy(), async move |stage| {
            soak::run(stage, &ours, length, &options).await
        });
    }
    if let Some(rounds) = options.leaks {
        return leaks::run(options, &ours, rounds);
    }
    let prepared = |kind, from: &Option<PathBuf>, name: &str| -> Result<_> {
        let Some(from) = from else { return Ok(None) };
        let own = folder.path().join(name);
        std::fs::create_dir(&own)?;
        Ok(Some((Binary::prepare(kind, from, &own)?, Source::of(from))))
    };
    let ours = (ours, Source::of(&options.siskin));
    let with_symbols = prepared(Kind::Siskin, &options.symbols, "symbols")?;
    if let Some((binary, _)) = &with_symbols {
        // Where they are is looked up in the original; a debugger would read them all while the
        // process stands still. What was not stripped works as well.
        let _ = std::process::Command::new("strip")
            .arg(&binary.path)
            .status();
    }
    let peer = prepared(Kind::Peer, &options.peer, "peer")?;

    let mut jobs = Vec::new();
    for fault in FAULTS.iter().filter(|fault| wanted(fault, options)) {
        let ours = match fault.strike.needs_symbols() {
            true => with_symbols.as_ref(),
            false => Some(&ours),
        };
        let peer = peer.as_ref().filter(|_| fault.for_peer);
        for mood in fault.moods {
            let each = [(ours, options.rounds), (peer, 1)];
            jobs.extend(each.into_iter().filter_map(|(program, rounds)| {
                let (binary, from) = program?;
                Some(Job {
                    fault,
                    mood: *mood,
                    binary,
                    from,
                    rounds,
                })
            }));
        }
    }
    // The longest first, so that nobody waits for one at the end.
    jobs.sort_by_key(|job| std::cmp::Reverse(job.takes()));

    let kept = Kept::open(&options.kept, options.resume)?;
    let table = Table::of(kept.outcomes());
    jobs.retain(|job| !table.has(job));
    eprintln!("{} to measure, {} at a time", jobs.len(), options.jobs);
    let book = Mutex::new((kept, table));
    crew::work(jobs, options.jobs, |job| {
        let outcome = measure(&job);
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, table) = &mut *book;
        // What was measured is kept, whatever comes later.
        let noted = kept.add(&outcome);
        table.add(outcome);
        if let Err(why) = noted.and_then(|()| table.write(options)) {
            eprintln!("not written: {why}");
        }
    });
    let (_, table) = book.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}", table.page(options));
    // Also where everything had been measured before.
    table.write(options)
}

fn wanted(fault: &Fault, options: &Options) -> bool {
    let named = |part: &Option<String>| part.as_deref().map(|part| fault.name.contains(part));
    named(&options.only) != Some(false) && named(&options.but) != Some(true)
}

/// Made once, not by all at the same time.
fn prepare_music() {
    let catalogue = Catalogue::standard();
    for album in ["Long", "Dozen"].map(|title| catalogue.titled(title)) {
        for track in &album.tracks {
            track.plain_file(Quality::Kbps320);
        }
    }
}

fn measure(job: &Job) -> Outcome {
    let name = job.binary.kind.name();
    let what = format!("{name}, {}: {}", job.mood.name(), job.fault.name);
    let mut outcome = Outcome::of(job);
    while outcome.tries() < job.rounds && outcome.failures.len() < GIVE_UP {
        let rounds = outcome.tries()..job.rounds;
        let (fault, mood, own) = (job.fault, job.mood, job.binary.clone());
        let symbols = fault.strike.needs_symbols().then(|| job.from.path.clone());
        let lived = on_stage(healthy(), async move |stage| {
            let mut scene = Scene::set(stage, &own, fault.rig).await?;
            scene.symbols = symbols;
            Ok(live(&mut scene, fault, mood, rounds).await)
        });
        match lived {
            Ok(life) => outcome.add(life),
            Err(why) => outcome.failures.push(first_line(&why.to_string())),
        }
    }
    eprintln!("{what}: {}", outcome.told());
    outcome
}

/// What a receiver did before it failed, or to the end.
struct Life {
    costs: Vec<Cost>,
    failure: Option<String>,
    leak: Option<String>,
}

async fn live(
    scene: &mut Scene<'_>,
    fault: &Fault,
    mood: Mood,
    rounds: std::ops::Range<usize>,
) -> Life {
    let mut life = Life {
        costs: Vec::new(),
        failure: None,
        leak: None,
    };
    // The first round is what playing takes; whatever grows after it is lost.
    let mut before = None;
    for round in rounds {
        match scene.suffer(fault, mood, round).await {
            Ok(cost) => {
                life.costs.push(cost);
                before = before.or_else(|| scene.holds().ok());
            }
            Err(why) => {
                if scene.guest.receiver.kind == Kind::Siskin {
                    eprintln!("  {}", scene.guest.explain(&why.to_string()));
                }
                let status = scene.guest.receiver.ended();
                life.failure = Some(match status {
                    Some(status) => format!("{ENDED} ({status})"),
                    None => first_line(&why.to_string()),
                });
                break;
            }
        }
    }
    if let Some(before) = before
        && life.failure.is_none()
        && life.costs.len() > 1
    {
        life.leak = match scene.holds_at_rest().await {
            Ok(now) => before.leaked(now, holds::A_HANDFUL),
            Err(why) => Some(why.to_string()),
        };
    }
    if let Some(folder) = std::env::var_os("SPOTIFY_SIM_LOGS") {
        let kind = scene.guest.receiver.kind.name();
        let name = format!("{}, {}, {kind}", fault.name, mood.name());
        // For whoever looks; nothing depends on it.
        let _ = std::fs::write(Path::new(&folder).join(name), scene.guest.receiver.log());
    }
    life
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// A fast line, and an app that forgets soon who left without a word.
fn healthy() -> SimOptions {
    SimOptions {
        grace: Duration::from_millis(100),
        ..SimOptions::default()
    }
}
