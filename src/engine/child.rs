//! One engine process, from spawn to reaped.

use std::{io, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command as Process},
    sync::mpsc,
    task::JoinHandle,
    time::timeout,
};
use tracing::{debug, warn};

use super::messages::{Command, Event, MAX_LINE};
use crate::config::secret_variables;

/// The running binary itself, also after its file was replaced by an update.
const OWN_BINARY: &str = "/proc/self/exe";

/// Orders that may wait for a busy child. People do not press faster.
const COMMANDS: usize = 32;

/// How long a child may take to leave the phone's picker and fade out before it is killed.
const STOP_LIMIT: Duration = Duration::from_millis(2_500);

/// What a child said, or that it is gone.
#[derive(Debug)]
pub enum Heard {
    Event(Event),
    /// The process has ended and was reaped. Always the last thing heard.
    Ended {
        how: String,
    },
}

/// The running binary as a child that ends with its handle. What belongs to the daemon alone stays
/// there: its secrets, and its conversation with the service manager.
pub fn own_program() -> Process {
    let mut program = Process::new(OWN_BINARY);
    for name in secret_variables() {
        program.env_remove(name);
    }
    program
        .arg0("siskin")
        // One malloc arena and one player worker: several MB less for nothing lost.
        .env("MALLOC_ARENA_MAX", "1")
        .env("TOKIO_WORKER_THREADS", "1")
        // What is as large as a block of audio goes back to the kernel as soon as it is let go.
        .env("MALLOC_MMAP_THRESHOLD_", "32752")
        // The service manager talks to the daemon only.
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
        // Ctrl-C in a terminal is for the daemon, which then ends its children in order.
        .process_group(0)
        .kill_on_drop(true);
    program
}

/// A running child. Dropping it kills the process.
#[derive(Debug)]
pub struct Engine {
    commands: mpsc::Sender<Command>,
    task: JoinHandle<()>,
}

impl Engine {
    /// Starts a child, hands it its first command, and passes what it says to `heard`, tagged by the caller.
    ///
    /// # Errors
    /// When the process cannot be started.
    pub fn spawn<T>(
        first: impl Into<Command>,
        heard: mpsc::Sender<T>,
        tag: impl Fn(Heard) -> T + Send + Sync + 'static,
    ) -> io::Result<Self>
    where
        T: Send + 'static,
    {
        let mut child = own_program()
            .arg("engine")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other(
                "the engine has no standard input or output",
            ));
        };
        let first = first.into();
        let (commands, orders) = mpsc::channel(COMMANDS);
        let task = tokio::spawn(async move {
            let writer = write_commands(stdin, first, orders);
            let reader = read_events(stdout, &heard, &tag);
            let how = attend(&mut child, writer, reader).await;
            // A closed channel means that the speaker is gone, and with it whoever cared.
            let _ = heard.send(tag(Heard::Ended { how })).await;
        });
        Ok(Self { commands, task })
    }

    /// Queues an order. False when the child is gone or does not listen any more.
    pub fn send(&self, command: Command) -> bool {
        self.commands.try_send(command).is_ok()
    }

    /// Asks the child to leave, waits for that, and kills it when it takes too long: false, and it
    /// never says that it ended.
    pub async fn stop(mut self) -> bool {
        self.send(Command::Stop);
        let left = timeout(STOP_LIMIT, &mut self.task).await.is_ok();
        if !left {
            warn!("an engine did not stop within {STOP_LIMIT:?} and was killed");
            self.task.abort();
        }
        left
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Runs until the child's output ends, then reaps it.
async fn attend(
    child: &mut Child,
    writer: impl Future<Output = ()>,
    reader: impl Future<Output = io::Result<()>>,
) -> String {
    tokio::pin!(writer, reader);
    let mut writing = true;
    let read = loop {
        tokio::select! {
            read = &mut reader => break read,
            () = &mut writer, if writing => writing = false,
        }
    };
    if let Err(broken) = read {
        let _ = child.start_kill();
        let _ = child.wait().await;
        return format!("it said something that cannot be understood: {broken}");
    }
    // Its output is closed; whatever still runs behind it is of no use to anybody.
    match timeout(Duration::from_millis(500), child.wait()).await {
        Ok(Ok(status)) => status.to_string(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => {
            let _ = child.kill().await;
            "it closed its output but did not end".to_owned()
        }
    }
}

async fn write_commands(
    mut stdin: ChildStdin,
    first: Command,
    mut orders: mpsc::Receiver<Command>,
) {
    let mut next = Some(first);
    while let Some(command) = next {
        let Ok(mut line) = serde_json::to_vec(&command) else {
            return;
        };
        line.push(b'\n');
        if let Err(error) = stdin.write_all(&line).await {
            debug!("the engine does not listen any more: {error}");
            return;
        }
        next = orders.recv().await;
    }
}

async fn read_events<T>(
    stdout: ChildStdout,
    heard: &mpsc::Sender<T>,
    tag: &impl Fn(Heard) -> T,
) -> io::Result<()> {
    let mut lines = BufReader::new(stdout);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = tokio::io::AsyncReadExt::take(&mut lines, MAX_LINE as u64);
        if limited.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            // Cut off by the end of the process, or longer than any honest line.
            return if line.len() < MAX_LINE {
                Ok(())
            } else {
                Err(io::Error::other("too long"))
            };
        }
        let event = serde_json::from_slice(&line)?;
        if heard.send(tag(Heard::Event(event))).await.is_err() {
            return Ok(());
        }
    }
}
