//! `siskin pair` and `siskin login`: a sign-in without a phone, watched from its start to its end.
//!
//! Where a daemon runs, it is asked to do it; else the state directory is worked on itself. Either
//! way the states come from a [`Source`], [`show`] turns them into text, and [`follow`] writes it.

mod letters;
mod show;
mod source;

use std::{
    io::{self, IsTerminal as _, Write as _},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines, Stdin},
    signal::unix::{SignalKind, signal},
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    accounts::is_ours,
    args::Door,
    client::{Client, ClientError},
    door::{self, Failure},
    exit, failed, misconfigured,
    pick::pick,
};
use crate::{
    accounts::StoreError,
    config::{self, Config, LogLevel, Surroundings},
    daemon::{pairing, pairing::PairError, places},
    model::{House, Pairing, Way, unix_ms},
};
use show::{Screen, Show};
use source::{Here, Source, There};

/// Between two looks of the countdown.
const TICK: Duration = Duration::from_secs(1);

/// A daemon that has the state answers within this time, if it ever does; it is looked for so often.
const STARTING: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(50);

/// Where a terminal does not tell.
const COLUMNS: usize = 80;

/// Signs somebody in on `speaker`, or on the only one there is.
pub fn pair(door: &Door, speaker: Option<&str>, way: Way) -> ExitCode {
    let config = match door::settings(door) {
        Ok(config) => config,
        Err(problems) => return misconfigured(&problems),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => {
            let what = format!("nothing can be asked now ({why})");
            return failed(
                exit::FAILED,
                &what,
                "see whether the machine is out of files",
            );
        }
    };
    let ended = runtime.block_on(async {
        let sockets = places::sockets(&config);
        match Client::find(&sockets).await {
            Ok(client) => there(client, speaker, way).await,
            Err(ClientError::NoDaemon { .. }) => match here(door, speaker, way).await {
                Err(Stop::InUse(failure)) => match starting(&sockets).await {
                    Some(client) => there(client, speaker, way).await,
                    None => Err(Stop::Failed(failure)),
                },
                ended => ended,
            },
            Err(error) => Err(Stop::Failed(door::told(error))),
        }
    });
    // Somebody may sit before a line of standard input that never comes.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Cancelled) => ExitCode::from(exit::INTERRUPTED),
        Err(Stop::Failed((what, help)) | Stop::InUse((what, help))) => {
            failed(exit::FAILED, &what, &help)
        }
        Err(Stop::Misconfigured(problems)) => misconfigured(&problems),
    }
}

/// Why nobody was signed in.
enum Stop {
    Cancelled,
    Failed(Failure),
    /// A daemon has the state directory, and nobody answers for it.
    InUse(Failure),
    Misconfigured(config::Problems),
}

/// A daemon that has just been started and answers in a moment.
async fn starting(sockets: &[PathBuf]) -> Option<Client> {
    let found = async {
        loop {
            match Client::find(sockets).await {
                Ok(client) => break client,
                Err(_) => sleep(LOOK).await,
            }
        }
    };
    timeout(STARTING, found).await.ok()
}

/// A running daemon does it; the account is signed in at once.
async fn there(client: Client, speaker: Option<&str>, way: Way) -> Result<(), Stop> {
    let fail = |error| Stop::Failed(door::told(error));
    let house: House = client.get(&["status"]).await.map_err(fail)?;
    let at = which(speaker, &house.speakers, |one| [&one.name, &one.id]).map_err(Stop::Failed)?;
    let id = house.speakers[at].id.clone();
    let source = There::begin(client, id, way).await.map_err(fail)?;
    follow(source, way).await
}

/// Nobody runs; the account is kept, and the next start signs it in.
async fn here(door: &Door, speaker: Option<&str>, way: Way) -> Result<(), Stop> {
    // Without a daemon to ask, the settings must be right.
    let loaded = config::load(&door.request(), &Surroundings::of_this_process());
    let config = Config {
        // What goes wrong is shown; a log between the lines would only hide it.
        log: LogLevel::Error,
        ..loaded.map_err(Stop::Misconfigured)?.config
    };
    let at = which(speaker, &config.speakers, |one| [&one.name, &one.id]).map_err(Stop::Failed)?;
    let dir = dir(&config).map_err(Stop::Failed)?;
    let flow = pairing::pair_here(&config, &dir, &config.speakers[at], way).map_err(|error| {
        let failure = (error.to_string(), error.help().to_owned());
        match error {
            PairError::Store(StoreError::InUse { .. }) => Stop::InUse(failure),
            _ => Stop::Failed(failure),
        }
    })?;
    follow(Here::new(flow), way).await?;
    put("siskin signs the account in when it is started\n");
    Ok(())
}

/// Where the daemon would look: a state directory that is there, else the one it would make.
fn dir(config: &Config) -> Result<PathBuf, Failure> {
    for dir in places::state_dirs(config) {
        if is_ours(&dir)? {
            return Ok(dir);
        }
    }
    Ok(places::state_dir(config))
}

/// The one that is meant; without a word, the only one.
fn which<'a, T>(
    given: Option<&str>,
    all: &'a [T],
    names: impl Fn(&'a T) -> [&'a String; 2],
) -> Result<usize, Failure> {
    match given {
        Some(given) => pick("speaker", given, all, names),
        None if all.len() == 1 => Ok(0),
        None => {
            let ids: Vec<_> = all.iter().map(|one| names(one)[1].as_str()).collect();
            let help = format!("name one of them: {}", ids.join(", "));
            Err((format!("there are {} speakers", all.len()), help))
        }
    }
}

/// Shows every state until the last. Ctrl-C cancels.
async fn follow(mut source: impl Source, way: Way) -> Result<(), Stop> {
    let cannot = |why: io::Error| {
        let what = format!("Ctrl-C cannot be listened for ({why})");
        Stop::Failed((what, "see the reason given".to_owned()))
    };
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let screen = screen();
    let mut show = Show::new(screen);
    let mut typed = (way == Way::Paste).then(lines);
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut now: Option<Pairing> = None;
    loop {
        tokio::select! {
            state = source.next() => match state {
                Some(state) => now = Some(state),
                None => return Err(Stop::Failed(gone())),
            },
            _ = interrupt.recv() => source.cancel().await,
            _ = terminate.recv() => source.cancel().await,
            Some(line) = read(&mut typed) => source.paste(line).await,
            _ = tick.tick(), if screen.is_terminal => {}
        }
        let Some(state) = &now else { continue };
        put(&show.next(state, unix_ms()));
        match state {
            Pairing::Ready { .. } => return Ok(()),
            Pairing::Cancelled => return Err(Stop::Cancelled),
            Pairing::Failed { why, cure } => {
                return Err(Stop::Failed((why.clone(), cure.clone())));
            }
            _ => {}
        }
    }
}

fn gone() -> Failure {
    (
        "the daemon has ended, and the sign-in with it; nothing was kept".to_owned(),
        "start it (siskin run), then ask again".to_owned(),
    )
}

fn lines() -> Lines<BufReader<Stdin>> {
    BufReader::new(tokio::io::stdin()).lines()
}

/// The next line that somebody pasted; for ever where nobody does.
async fn read(typed: &mut Option<Lines<BufReader<Stdin>>>) -> Option<String> {
    if let Some(lines) = typed {
        match lines.next_line().await {
            Ok(Some(line)) => return Some(line).filter(|line| !line.trim().is_empty()),
            _ => *typed = None,
        }
    }
    std::future::pending().await
}

fn screen() -> Screen {
    let out = io::stdout();
    let columns = rustix::termios::tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
    Screen {
        is_terminal: out.is_terminal(),
        columns: if columns == 0 { COLUMNS } else { columns },
    }
}

/// A reader that left early is no failure: the sign-in goes on.
fn put(text: &str) {
    let mut out = io::stdout();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
