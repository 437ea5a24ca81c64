//! Inside the child process: the conversation with Spotify, on the librespot crates.
//!
//! [`engine_main`] is the whole life of an engine: one account, one session. When the session is lost the
//! engine says so and ends; the daemon starts another and tells it what to take up again.

pub mod connect;
mod loader;
mod serve;
mod session;
mod stage;
mod telltale;
pub mod tracks;
mod wire;

use std::{io, process::ExitCode};

use tokio::sync::mpsc;
use tracing::warn;

use crate::engine::messages::{Command, Event, PROTOCOL, Start};
use telltale::Telltale;
use wire::Reporter;

/// The engine's whole life. `begin` is called once, with the first command; nothing is logged before.
pub fn engine_main(begin: impl FnOnce(&Start)) -> ExitCode {
    let reporter = Reporter::stdout();
    reporter.report(&Event::Hello { protocol: PROTOCOL });
    match run(begin, &reporter) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            reporter.report(&Event::Lost {
                why: error.to_string(),
            });
            ExitCode::FAILURE
        }
    }
}

fn run(begin: impl FnOnce(&Start), reporter: &Reporter) -> io::Result<()> {
    let start = match wire::read_command(&mut io::stdin().lock())? {
        Some(Command::Start(start)) if start.protocol == PROTOCOL => *start,
        Some(_) => return Err(io::Error::other("the engine is started by the daemon only")),
        None => return Ok(()),
    };
    let (tell, tells) = mpsc::unbounded_channel();
    // Before logging begins: only the first logger of a process counts, and this one passes on.
    Telltale::install(reporter.clone(), tell);
    begin(&start);
    let commands = wire::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()?;
    if let Err(failure) = runtime.block_on(stage::play(start, reporter, commands, tells)) {
        let event = match failure {
            session::Failure::Refused(refusal) => Event::Refused { refusal },
            session::Failure::Lost(why) => {
                warn!("the session is over: {why}");
                Event::Lost { why }
            }
        };
        reporter.report(&event);
    }
    // Threads that librespot left behind must not hold up the end.
    runtime.shutdown_background();
    Ok(())
}
