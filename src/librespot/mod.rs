//! Inside the child process: the conversation with Spotify, on the librespot crates.
//!
//! [`run`] is the whole life of an engine: one account, one session. When the session is lost the
//! engine says so and ends; the daemon starts another and tells it what to take up again.

mod breaker;
mod follow;
mod restore;
mod session;
mod stage;
mod telltale;
mod wire;

use std::io;

use tokio::sync::mpsc;
use tracing::warn;

use crate::engine::messages::{Command, Event, PROTOCOL, Start};
use telltale::Telltale;
use wire::Reporter;

/// The engine's whole life. `logging` is called once the wanted level is known.
///
/// # Errors
/// When the daemon does not say what to do in a way this binary understands.
pub fn run(logging: impl FnOnce(&Start)) -> io::Result<()> {
    let reporter = Reporter::stdout();
    reporter.report(&Event::Hello { protocol: PROTOCOL });
    let start = match wire::read_command(&mut io::stdin().lock())? {
        Some(Command::Start(start)) if start.protocol == PROTOCOL => *start,
        Some(_) => return Err(io::Error::other("the engine is started by the daemon only")),
        None => return Ok(()),
    };
    logging(&start);
    let (tell, tells) = mpsc::unbounded_channel();
    Telltale::install(reporter.clone(), tell);
    let commands = wire::listen();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(4)
        .build()?;
    if let Err(failure) = runtime.block_on(stage::play(start, &reporter, commands, tells)) {
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
