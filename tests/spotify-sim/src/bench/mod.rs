//! Measures siskin, and beside it, in the same run, the librespot that others publish.
//!
//! Owns the scenarios and the table. Prints, and never fails because of a number: what is measured
//! depends on the machine and on who else uses it.

pub(crate) mod ear;
mod faces;
pub mod hours;
mod measure;
pub(crate) mod process;
pub(crate) mod stage;
pub(crate) mod table;

use std::{
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use self::{
    stage::on_stage,
    table::{Figures, Row, write_readme},
};
use crate::{
    SimOptions,
    catalogue::{Catalogue, Quality},
    receiver::{Binary, Kind},
};

/// What can go wrong here is told to a person and handled by nobody.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What to measure, and where to put it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Our release binary.
    pub siskin: PathBuf,
    /// The published one; without it, our figures stand alone.
    pub peer: Option<PathBuf>,
    /// Fewer repetitions and less music.
    pub quick: bool,
    /// A file that gets the table between its markers.
    pub readme: Option<PathBuf>,
}

/// How often, and for how long.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: usize,
    /// Of skipping and seeking.
    jumps: usize,
    slow_rounds: usize,
    idle: Duration,
    /// Of playing, in all.
    music: Duration,
    /// Over which processor time is counted.
    window: Duration,
}

impl Effort {
    fn of(quick: bool) -> Self {
        let seconds = Duration::from_secs;
        if quick {
            Self {
                rounds: 3,
                jumps: 1,
                slow_rounds: 1,
                idle: seconds(5),
                music: seconds(30),
                window: seconds(12),
            }
        } else {
            Self {
                rounds: 20,
                jumps: 7,
                slow_rounds: 7,
                idle: seconds(15),
                music: seconds(240),
                window: seconds(30),
            }
        }
    }
}

/// Measures, prints the table, and puts it into the README if wanted.
///
/// # Errors
/// When something could not be measured at all; not because of a number.
pub fn run(options: &Options) -> Result<()> {
    let begun = Instant::now();
    let effort = Effort::of(options.quick);
    let folder = tempfile::Builder::new().prefix("siskin-bench-").tempdir()?;
    let mut sources = vec![(Kind::Siskin, options.siskin.as_path())];
    match &options.peer {
        Some(peer) => sources.push((Kind::Peer, peer)),
        None => eprintln!(
            "no librespot to compare with\n  help: `make test-peers` builds it, once, in minutes"
        ),
    }
    let copies = |name: &str| {
        let into = folder.path().join(name);
        std::fs::create_dir(&into)?;
        let copy = |(kind, from): &(Kind, &Path)| Binary::prepare(*kind, from, &into);
        sources
            .iter()
            .map(copy)
            .collect::<std::io::Result<Vec<_>>>()
    };
    let binaries = copies("one")?;
    // Files of their own: what two processes of one file share would count half for each.
    let others = copies("two")?;

    eprintln!("preparing the music");
    let catalogue = Catalogue::standard();
    for album in ["Long", "Staircase", "Tones", "Dozen"].map(|title| catalogue.titled(title)) {
        for track in album.tracks.first().into_iter().chain(album.tracks.last()) {
            track.plain_file(Quality::Kbps320);
        }
    }

    let mut figures = Figures::default();
    for (kind, from) in &sources {
        figures.add(Row::Size, *kind, process::size_mb(from, folder.path())?);
    }
    figures.merge(rounds(&binaries, effort)?);
    figures.merge(jumps(&binaries, effort)?);
    figures.merge(all_faces(&binaries, effort)?);
    let slow = thread::spawn(move || slow(&others, effort));
    figures.merge(long(&binaries, effort)?);
    figures.merge(slow.join().map_err(|_| "a measuring thread panicked")??);

    let text = report(&figures, effort);
    println!("{text}");
    eprintln!("measured in {} s", begun.elapsed().as_secs());
    if let Some(readme) = &options.readme {
        write_readme(readme, &text)?;
        eprintln!("written into {}", readme.display());
    }
    Ok(())
}

/// A fast line, and an app that forgets at once who left without a word.
fn healthy() -> SimOptions {
    SimOptions {
        grace: Duration::from_millis(100),
        ..SimOptions::default()
    }
}

/// In turn, so that a machine that gets busy is busy for both.
fn rounds(binaries: &[Binary], effort: Effort) -> Result<Figures> {
    let binaries = binaries.to_vec();
    on_stage(healthy(), async move |stage| {
        let mut figures = Figures::default();
        for round in 1..=effort.rounds {
            eprintln!("start to silence, {round} of {}", effort.rounds);
            for binary in &binaries {
                figures.merge(measure::round(stage, binary).await?);
            }
        }
        Ok(figures)
    })
}

fn jumps(binaries: &[Binary], effort: Effort) -> Result<Figures> {
    let binaries = binaries.to_vec();
    on_stage(healthy(), async move |stage| {
        let mut figures = Figures::default();
        for round in 1..=effort.jumps {
            eprintln!("skipping and seeking, {round} of {}", effort.jumps);
            for binary in &binaries {
                figures.merge(measure::jumps(stage, binary).await?);
            }
        }
        Ok(figures)
    })
}

/// Ours alone: the other one has none.
fn all_faces(binaries: &[Binary], effort: Effort) -> Result<Figures> {
    let ours = binaries.iter().find(|binary| binary.kind == Kind::Siskin);
    let Some(binary) = ours.cloned() else {
        return Ok(Figures::default());
    };
    eprintln!("with every face on");
    on_stage(healthy(), async move |stage| {
        faces::measure(stage, &binary, effort.rounds).await
    })
}

/// Both slow lines at once: what is measured there is waiting, not work.
fn slow(binaries: &[Binary], effort: Effort) -> Result<Figures> {
    let line = |rate| SimOptions {
        delay: Duration::from_millis(80),
        cdn_rate: Some(rate),
        ..healthy()
    };
    let slower = thread::spawn({
        let binaries = binaries.to_vec();
        move || {
            on_stage(line(60_000), async move |stage| {
                let mut figures = Figures::default();
                for _ in 1..=effort.slow_rounds {
                    for binary in &binaries {
                        figures.merge(measure::slower_round(stage, binary).await?);
                    }
                }
                Ok(figures)
            })
        }
    });
    let binaries = binaries.to_vec();
    let mut figures = on_stage(line(400_000), async move |stage| {
        let mut figures = Figures::default();
        for round in 1..=effort.slow_rounds {
            eprintln!("over slow lines, {round} of {}", effort.slow_rounds);
            for binary in &binaries {
                figures.merge(measure::slow_round(stage, binary).await?);
            }
        }
        Ok(figures)
    })?;
    figures.merge(slower.join().map_err(|_| "a measuring thread panicked")??);
    Ok(figures)
}

/// At the same time, each in a network of its own: minutes of music take minutes.
fn long(binaries: &[Binary], effort: Effort) -> Result<Figures> {
    eprintln!(
        "idle, then {} s of music, all at the same time",
        effort.music.as_secs()
    );
    let players: Vec<_> = binaries
        .iter()
        .map(|binary| {
            let binary = binary.clone();
            thread::spawn(move || {
                on_stage(healthy(), async move |stage| {
                    measure::long(stage, &binary, effort).await
                })
            })
        })
        .collect();
    let mut figures = Figures::default();
    for player in players {
        figures.merge(player.join().map_err(|_| "a measuring thread panicked")??);
    }
    Ok(figures)
}

fn report(figures: &Figures, effort: Effort) -> String {
    format!(
        "{}\n{}. Median (lowest–highest).\n\n\
         1. librespot answers before it tries to sign in, siskin afterwards.\n\
         2. Every answer takes 80 ms, audio comes at 400 kB/s (or at 60 kB/s).\n\
         3. At the far end of a FIFO that is read at the speed of a sound card.\n\
         4. Proportional share (PSS) of all processes; siskin is one until a phone asks, then two.\n\
         5. After {} s of one track of 264 s at 320 kbit/s, played in real time: siskin gives its\n   \
         FIFO music no faster than it sounds.\n\
         6. HTTP, the page, metrics and events asked once; MQTT on a mosquitto, MPRIS on a\n   \
         dbus-daemon, the metadata pipe, a hook; before a handoff.\n",
        figures.table(),
        process::machine(),
        effort.music.as_secs(),
    )
}

/// The release binary of this workspace, or the one that `SISKIN_BIN` names.
pub fn our_binary() -> PathBuf {
    std::env::var_os("SISKIN_BIN")
        .map_or_else(|| workspace().join("target/release/siskin"), PathBuf::from)
}

/// A siskin with symbols: the one that `SISKIN_SYMBOLS` names, or the debug build of this workspace.
pub fn binary_with_symbols() -> Option<PathBuf> {
    let named = std::env::var_os("SISKIN_SYMBOLS").map(PathBuf::from);
    let built = workspace().join("target/debug/siskin");
    named.or_else(|| built.exists().then_some(built))
}

/// The peer that `SISKIN_PEER` names, or the one that `make test-peers` built.
pub fn peer_binary() -> Option<PathBuf> {
    let named = std::env::var_os("SISKIN_PEER").map(PathBuf::from);
    let built = workspace().join("target/peer/bin/librespot");
    named.or_else(|| built.exists().then_some(built))
}

/// Where the README and the target folder are.
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}
