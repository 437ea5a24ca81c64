//! The engine's end of the seam: commands from standard input, events to standard output.

use std::{
    io::{self, BufRead, Read, Write},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use tokio::sync::mpsc;

use crate::{
    config::LogLevel,
    engine::messages::{Command, Event, MAX_LINE},
};

/// How long an engine whose daemon is gone may take to leave in order.
const ORPHAN_LIMIT: Duration = Duration::from_secs(3);

/// Writes events. Cheap to clone; usable from any thread, also from one that is about to exit.
#[derive(Clone)]
pub struct Reporter(Arc<Mutex<Box<dyn Write + Send>>>);

impl Reporter {
    pub fn stdout() -> Self {
        Self::new(Box::new(io::stdout()))
    }

    pub fn new(to: Box<dyn Write + Send>) -> Self {
        Self(Arc::new(Mutex::new(to)))
    }

    /// Writes one line and flushes it. A daemon that is gone is noticed at the other end, where
    /// commands come from, so a failure here needs no answer.
    pub fn report(&self, event: &Event) {
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        let mut to = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let _ = to.write_all(&line).and_then(|()| to.flush());
    }
}

/// Reads the next command. `Ok(None)` at the end of input.
///
/// # Errors
/// When the line is too long or cannot be understood.
pub fn read_command(from: &mut impl BufRead) -> io::Result<Option<Command>> {
    let mut line = Vec::new();
    from.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

/// Passes commands on until input ends: the daemon is gone then, and so must we be. The channel
/// closes, which the engine takes as an order to stop; should it hang, it is ended from here. How
/// much is logged concerns nobody behind the channel: `log_at` hears of it here, also while the
/// engine is at something else.
pub fn listen(log_at: fn(LogLevel)) -> mpsc::Receiver<Command> {
    let (to, commands) = mpsc::channel(32);
    thread::Builder::new()
        .name("commands".into())
        .spawn(move || {
            let mut stdin = io::stdin().lock();
            while let Ok(Some(command)) = read_command(&mut stdin) {
                if let Command::Log { level } = command {
                    log_at(level);
                    continue;
                }
                if to.blocking_send(command).is_err() {
                    break;
                }
            }
            drop(to);
            thread::sleep(ORPHAN_LIMIT);
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
        })
        .map_or_else(|_| mpsc::channel(1).1, |_| commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_no_command_is_an_error_and_the_end_is_not() {
        let mut input: &[u8] = b"{\"command\":\"check\",\"id\":7}\nnonsense\n";
        assert_eq!(
            read_command(&mut input).expect("a command"),
            Some(Command::Check { id: 7, trust_ms: 0 })
        );
        assert!(read_command(&mut input).is_err());
        assert_eq!(read_command(&mut input).expect("the end"), None);
    }
}
