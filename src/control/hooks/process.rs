//! One run of one program, from its start to the end of all that it has started.

use std::{fmt::Write as _, process::Stdio, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};
use tracing::debug;

use super::{events::Event, tell};

/// Of what a program says, so many bytes are looked at.
const HEARD: usize = 4 * 1024;
/// What it has said already can be read within this when it is gone.
const LAST_WORDS: Duration = Duration::from_millis(20);
/// Not for hooks: these are between the service manager and the daemon.
const NOT_TOLD: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "CREDENTIALS_DIRECTORY",
    "LISTEN_FDS",
    "LISTEN_PID",
];

/// Runs `words` with an event and waits for the end, `limit` at most. Dropped, it kills.
///
/// # Errors
/// Why it did not do its work, in words.
pub async fn run(words: &[String], event: &Event, limit: Duration) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("it names no program".to_owned());
    };
    let mut command = Command::new(program);
    command.args(arguments);
    for name in NOT_TOLD.iter().chain(&crate::config::HOOK_VARIABLES) {
        command.env_remove(name);
    }
    for name in crate::config::secret_variables() {
        command.env_remove(name);
    }
    let spawned = command
        .envs(tell::variables(event))
        // Where nothing of ours lies, and nothing of anybody's is held.
        .current_dir("/")
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = spawned.map_err(|error| format!("it cannot be started: {error}"))?;
    let mut group = Group::of(&child);
    let mut heard = Heard::default();
    let ended = timeout(limit, attend(&mut child, event, &mut heard)).await;
    heard.log(program, event);
    match ended {
        Ok(Ok(status)) => {
            // What it left running is its own business; its group may be somebody else's soon.
            group.0 = None;
            match status.success() {
                true => Ok(()),
                false => Err(format!("it ended with {status}")),
            }
        }
        Ok(Err(error)) => Err(format!("it was lost: {error}")),
        Err(_) => {
            drop(group);
            let _ = child.wait().await;
            Err(format!("it did not end within {} s", limit.as_secs_f32()))
        }
    }
}

/// Tells the program its event and listens to it until it ends.
async fn attend(
    child: &mut Child,
    event: &Event,
    heard: &mut Heard,
) -> std::io::Result<std::process::ExitStatus> {
    let stdin = child.stdin.take();
    let telling = async {
        if let Some(mut stdin) = stdin {
            // Nobody has to read it.
            let _ = stdin.write_all(&tell::line(event)).await;
        }
    };
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    tokio::pin!(telling);
    let mut told = false;
    let (mut from_out, mut from_err) = ([0; 512], [0; 512]);
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            () = &mut telling, if !told => told = true,
            read = read(&mut out, &mut from_out) => heard.take(read, &from_out, &mut out),
            read = read(&mut err, &mut from_err) => heard.take(read, &from_err, &mut err),
        }
    };
    let last_words = async {
        while out.is_some() {
            let read = read(&mut out, &mut from_out).await;
            heard.take(read, &from_out, &mut out);
        }
        while err.is_some() {
            let read = read(&mut err, &mut from_err).await;
            heard.take(read, &from_err, &mut err);
        }
    };
    // Something that it started may hold both open for ever.
    let _ = timeout(LAST_WORDS, last_words).await;
    Ok(status)
}

async fn read(from: &mut Option<impl AsyncRead + Unpin>, into: &mut [u8]) -> usize {
    match from {
        Some(from) => from.read(into).await.unwrap_or(0),
        None => std::future::pending().await,
    }
}

/// The beginning of what a program says. The rest is read, so that it does not wait, and forgotten.
#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    more: bool,
}

impl Heard {
    fn take<T>(&mut self, read: usize, from: &[u8], pipe: &mut Option<T>) {
        if read == 0 {
            *pipe = None;
        }
        let room = HEARD - self.bytes.len();
        self.bytes.extend_from_slice(&from[..read.min(room)]);
        self.more |= read > room;
    }

    fn log(&self, program: &str, event: &Event) {
        if self.bytes.is_empty() {
            return;
        }
        let mut shown = String::new();
        for c in String::from_utf8_lossy(&self.bytes).trim_end().chars() {
            match c {
                '\n' => shown.push_str(" / "),
                c if c.is_control() => {
                    let _ = write!(shown, "{}", c.escape_default());
                }
                c => shown.push(c),
            }
        }
        let end = if self.more { " …" } else { "" };
        debug!("hook {program} ({}) said: {shown}{end}", event.on.key());
    }
}

/// The program and all it has started, unless they went elsewhere. Dropped, it kills them.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let pid = child.id().and_then(|id| i32::try_from(id).ok());
        Self(pid.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(pid) = self.0 {
            // They may have ended by themselves.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::{
        config::Occasion,
        control::hooks::events::{Now, Watcher},
    };

    fn event() -> Event {
        let now = Now {
            steady: Instant::now(),
            unix_ms: 1,
        };
        Watcher::default().event("main", Occasion::Playing, now)
    }

    async fn shell(script: &str, limit_ms: u64) -> Result<(), String> {
        let words = ["/bin/sh", "-c", script].map(str::to_owned);
        run(&words, &event(), Duration::from_millis(limit_ms)).await
    }

    #[tokio::test]
    async fn it_is_told_the_event_twice_and_its_end_is_told() {
        let read = r#"read line; case $line in *'"event":"playing"'*) exit 0;; *) exit 3;; esac"#;
        assert_eq!(shell(read, 5_000).await, Ok(()));
        assert_eq!(shell("test $SISKIN_EVENT = playing", 5_000).await, Ok(()));
        let failed = shell("exit 3", 5_000).await.expect_err("3");
        assert!(failed.contains("3"), "{failed}");
        let missing = run(
            &["/nowhere/at/all".into()],
            &event(),
            Duration::from_secs(1),
        )
        .await;
        let why = missing.expect_err("there is none");
        assert!(why.contains("cannot be started"), "{why}");
    }

    #[tokio::test]
    async fn one_that_says_more_than_anybody_reads_ends_all_the_same() {
        assert_eq!(shell("head -c 1000000 /dev/zero", 10_000).await, Ok(()));
        let begun = Instant::now();
        assert_eq!(shell("sleep 30 & exit 0", 10_000).await, Ok(()));
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "what it leaves is not waited for"
        );
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_its_children() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("pid");
        let script = format!("sleep 60 & echo $! > {}; wait", file.display());
        let failed = shell(&script, 500).await.expect_err("hung");
        assert_eq!(failed, "it did not end within 0.5 s");
        let pid = std::fs::read_to_string(&file).expect("it ran");
        let stat = format!("/proc/{}/stat", pid.trim());
        let gone = || match std::fs::read_to_string(&stat) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        let until = Instant::now() + Duration::from_secs(5);
        while !gone() {
            assert!(Instant::now() < until, "the child still sleeps");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
