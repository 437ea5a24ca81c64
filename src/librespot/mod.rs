//! Inside the child process: the conversation with Spotify, on the librespot crates.
//!
//! [`engine_main`] is the whole life of an engine: one account. When its session is lost, another one
//! is made under the running player ([`mod@renewal`]). An engine whose first command is `Pair` plays
//! nothing: it signs somebody in ([`mod@pair`]) and ends.

pub mod connect;
mod current;
pub(crate) mod fields;
mod line;
mod loader;
mod mending;
mod opening;
pub(crate) mod pair;
mod query;
mod renewal;
pub(crate) mod resume;
mod serve;
mod service;
mod session;
mod sound;
mod spare;
mod stage;
mod telltale;
pub mod tracks;
mod wire;

#[cfg(any(test, fuzzing))]
pub(crate) use wire::read_command;

use std::{io, process::ExitCode};

use librespot_core::Session;
use tokio::sync::mpsc;
use tracing::{debug, warn};

use crate::{
    config::LogLevel,
    engine::messages::{Command, Event, Outputs, PROTOCOL, Pair, Start, Warm},
    model::{AS_CONFIGURED, OutputChoice},
    output,
};
use telltale::{Tell, Telltale};
use wire::Reporter;

/// Sound cards that are told of, by all their names.
const MAX_CARDS: usize = 200;

/// The engine's whole life. `begin` is called once, with how much is to be logged and for which
/// speaker; nothing is logged before. `log_at` is called whenever that is to be more or less.
pub fn engine_main(begin: impl FnOnce(LogLevel, &str), log_at: fn(LogLevel)) -> ExitCode {
    let reporter = Reporter::stdout();
    reporter.report(&Event::Hello { protocol: PROTOCOL });
    match run(begin, log_at, &reporter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            reporter.report(&Event::Lost {
                why: error.to_string(),
            });
            ExitCode::FAILURE
        }
    }
}

/// What this child is for.
enum Task {
    Play(Box<Start>),
    /// To play when somebody comes.
    Wait(Box<Warm>),
    Pair(Box<Pair>),
    /// To tell which sound cards there are.
    Look(Outputs),
}

fn run(
    begin: impl FnOnce(LogLevel, &str),
    log_at: fn(LogLevel),
    reporter: &Reporter,
) -> io::Result<()> {
    let task = match wire::read_command(&mut io::stdin().lock())? {
        Some(Command::Start(start)) if start.protocol == PROTOCOL => Task::Play(start),
        Some(Command::Warm(warm)) if warm.protocol == PROTOCOL => Task::Wait(warm),
        Some(Command::Pair(pair)) if pair.protocol == PROTOCOL => Task::Pair(pair),
        Some(Command::Outputs(outputs)) if outputs.protocol == PROTOCOL => Task::Look(outputs),
        Some(_) => return Err(io::Error::other("the engine is started by the daemon only")),
        None => return Ok(()),
    };
    let (tell, tells) = mpsc::unbounded_channel();
    // Before logging begins: only the first logger of a process counts, and this one passes on.
    Telltale::install(reporter.clone(), tell);
    match &task {
        Task::Play(start) => begin(start.log, &start.speaker.name),
        Task::Wait(warm) => begin(warm.log, &warm.speaker.name),
        Task::Pair(pair) => begin(pair.log, &pair.name),
        Task::Look(outputs) => {
            begin(outputs.log, "outputs");
            look(reporter);
            return Ok(());
        }
    }
    let commands = wire::listen(log_at);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()?;
    match task {
        Task::Play(start) => runtime.block_on(play(*start, None, reporter, commands, tells)),
        Task::Wait(warm) => runtime.block_on(wait(*warm, reporter, commands, tells)),
        Task::Pair(pair) => runtime.block_on(pair::pair(*pair, reporter, commands)),
        // Done above.
        Task::Look(_) => {}
    }
    // Threads that librespot left behind must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}

/// Tells which sound cards there are. Opens none.
fn look(reporter: &Reporter) {
    let named = output::devices()
        .into_iter()
        .filter(|device| device.name != AS_CONFIGURED);
    let cards = named.take(MAX_CARDS).map(|device| OutputChoice {
        name: device.name,
        about: device.description.replace('\n', ", "),
        chosen: false,
    });
    let cards = cards.collect();
    reporter.report(&Event::Outputs { cards });
}

async fn wait(
    warm: Warm,
    reporter: &Reporter,
    mut commands: mpsc::Receiver<Command>,
    tells: mpsc::UnboundedReceiver<Tell>,
) {
    if let Some((start, session)) = spare::stand_by(&warm, reporter, &mut commands).await {
        play(start, session, reporter, commands, tells).await;
    }
}

async fn play(
    start: Start,
    session: Option<Session>,
    reporter: &Reporter,
    commands: mpsc::Receiver<Command>,
    tells: mpsc::UnboundedReceiver<Tell>,
) {
    let Err(failure) = stage::play(start, session, reporter, commands, tells).await else {
        return;
    };
    let event = match failure {
        session::Failure::Refused(refusal) => Event::Refused { refusal },
        session::Failure::Lost(why) => {
            // The daemon tells it, once, as a condition.
            debug!("the session is over: {why}");
            Event::Lost { why }
        }
        session::Failure::Broken(why) => {
            warn!("this engine cannot go on: {why}");
            Event::Broken { why }
        }
    };
    reporter.report(&event);
}
