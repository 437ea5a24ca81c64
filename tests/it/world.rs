//! The stage of every behaviour test: a network of its own, the simulated Spotify, a phone, and the
//! real release binary with the simulation's key in it.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, LazyLock, Mutex},
    thread,
    time::{Duration, Instant},
};

use spotify_sim::{
    AppState, Controller, Sim, SimOptions,
    phone::{Found, Info, Login, Phone},
    rigs::{Fifo, Namespace},
};

/// Long enough for a busy machine, short enough for a person who waits.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A test that takes longer hangs.
const TEST_LIMIT: Duration = Duration::from_secs(150);

/// Runs a scenario in a network namespace of its own.
pub fn scenario(play: impl AsyncFnOnce(World) + Send + 'static) {
    scenario_on(SimOptions::default(), play);
}

/// The same, on another kind of Spotify.
pub fn scenario_on(options: SimOptions, play: impl AsyncFnOnce(World) + Send + 'static) {
    // The namespace belongs to the thread; the runtime and every child it starts inherit it.
    let stage = thread::spawn(move || {
        let namespace = Namespace::enter().unwrap_or_else(|error| panic!("{error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let world = World::new(namespace, options).await;
            if tokio::time::timeout(TEST_LIMIT, play(world)).await.is_err() {
                panic!("the scenario did not end within {TEST_LIMIT:?}");
            }
        });
    });
    if let Err(panic) = stage.join() {
        std::panic::resume_unwind(panic);
    }
}

pub struct World {
    pub sim: Sim,
    pub phone: Phone,
    pub namespace: Namespace,
    dir: tempfile::TempDir,
}

impl World {
    async fn new(namespace: Namespace, options: SimOptions) -> Self {
        Self {
            sim: Sim::start(options)
                .await
                .expect("the simulated Spotify starts"),
            phone: Phone::new("Test phone"),
            namespace,
            dir: tempfile::tempdir().expect("a folder"),
        }
    }

    /// A folder of this test's own.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The settings that lead a speaker to the simulation; more lines (TOML) may follow.
    pub fn settings(&self, more: &str) -> String {
        // Daemons of one test must not take the port from each other.
        let http = match more.contains("[http]") {
            true => "",
            false => "[http]\nlisten = \"none\"\n",
        };
        format!(
            "name = \"Kitchen\"\nstate_dir = \"{}\"\n{more}\n{http}\
             [network]\nallow = [\"lo\"]\nproxy = \"{}\"\nap_port = {}\n",
            self.dir.path().join("state").display(),
            self.sim.proxy_url(),
            self.sim.port(),
        )
    }

    /// Starts a daemon on these settings.
    pub fn start(&self, settings: &str) -> Daemon {
        self.start_with(settings, |_| {})
    }

    /// Starts a daemon, with more said to the process.
    pub fn start_with(&self, settings: &str, more: impl FnOnce(&mut Command)) -> Daemon {
        let file = self.dir.path().join("config.toml");
        fs::write(&file, settings).expect("the configuration is written");
        let mut command = program();
        command
            .arg("run")
            .arg("--config")
            .arg(&file)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir.path())
            .envs(self.sim.env())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        more(&mut command);
        Daemon::spawn(command)
    }

    /// A speaker whose sound goes into a FIFO, at full volume.
    pub fn start_on(&self, fifo: &Fifo) -> Daemon {
        self.start(&self.settings(&pipe_to(fifo.path())))
    }

    /// Finds the one speaker there is, by mDNS.
    pub async fn find(&self) -> Found {
        self.phone
            .wait_for(|_| true, PATIENCE)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    pub async fn info(&self, found: &Found) -> Info {
        self.phone
            .get_info(found)
            .await
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// Hands `user` over, and returns the status the speaker answers.
    pub async fn hand_over(&self, found: &Found, user: &str) -> i64 {
        let account = self
            .sim
            .users()
            .get(user)
            .expect("a user of the simulation");
        self.hand_over_as(found, user, &Login::stored(&account.stored_credential()))
            .await
    }

    pub async fn hand_over_as(&self, found: &Found, user: &str, login: &Login) -> i64 {
        let info = self.info(found).await;
        let answer = self.phone.add_user(found, &info, user, login).await;
        let answer = answer.unwrap_or_else(|error| panic!("{error}"));
        answer
            .status()
            .unwrap_or_else(|| panic!("no status in {:?}", answer.json))
    }

    /// Signs `user` in by phone and returns his remote control.
    pub async fn sign_in(&self, user: &str) -> Controller {
        let found = self.find().await;
        assert_eq!(self.hand_over(&found, user).await, 101);
        self.listed(user).await
    }

    /// Waits until `user` sees the speaker in his app.
    pub async fn listed(&self, user: &str) -> Controller {
        let controller = self.sim.controller(user);
        let device = controller.wait_for_device("Kitchen", PATIENCE).await;
        let device = device.unwrap_or_else(|error| panic!("{error}"));
        controller.on(&device.id)
    }
}

/// Settings for an output into a FIFO or file at full volume.
pub fn pipe_to(path: &Path) -> String {
    format!(
        "[output]\nkind = \"pipe\"\npath = \"{}\"\n[volume]\nstart = 100\n",
        path.display()
    )
}

/// Waits until the app shows what is wanted, and says what it shows instead.
pub async fn shows(app: &Controller, what: &str, wanted: impl Fn(&AppState) -> bool) -> AppState {
    let state = app.wait_until(PATIENCE, |state| wanted(state)).await;
    state.unwrap_or_else(|error| panic!("the app never showed {what}: {error}"))
}

/// Waits until the FIFO has given `frames` in all, while the simulation goes on.
pub async fn hears(fifo: &Fifo, frames: usize) {
    let until = Instant::now() + PATIENCE;
    while fifo.capture().len() < frames {
        assert!(
            Instant::now() < until,
            "{} of {frames} frames were heard",
            fifo.capture().len()
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the copies of the binary are called, before the process that made one.
const COPY: &str = "siskin-under-test-";

/// Nobody removes the copy of a run that ends: the next one does.
fn remove_old_copies(folder: &Path) {
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix(COPY));
        let maker = maker.and_then(|maker| maker.split('.').next());
        if maker.is_some_and(|maker| !Path::new("/proc").join(maker).exists()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// The release binary with the simulation's access-point key in it.
static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let given = std::env::var_os("SISKIN_BIN").map(PathBuf::from);
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release/siskin");
    let from = given.unwrap_or(built);
    assert!(
        from.exists(),
        "{} is missing: run `make test`",
        from.display()
    );
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    remove_old_copies(folder);
    let to = folder.join(format!("{COPY}{}", std::process::id()));
    let swapped = spotify_sim::key::swap_key(&from, &to);
    swapped.unwrap_or_else(|error| panic!("{error}"));
    to
});

/// The binary under test, under the tracer that `SISKIN_TRACER` names, if any.
pub fn program() -> Command {
    let tracer = std::env::var("SISKIN_TRACER").unwrap_or_default();
    let mut words = tracer.split_whitespace();
    let Some(first) = words.next() else {
        return Command::new(&*BINARY);
    };
    let mut command = Command::new(first);
    command.args(words).arg(&*BINARY);
    command
}

/// Path of the binary under test, for those who start it themselves.
pub fn binary() -> &'static Path {
    &BINARY
}

#[derive(Default)]
struct Log {
    lines: Mutex<Vec<String>>,
    more: Condvar,
}

/// A running daemon. Dropped, it is killed; a test that failed prints its log.
pub struct Daemon {
    child: Child,
    log: Arc<Log>,
}

impl Daemon {
    fn spawn(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the daemon starts");
        let stderr = child.stderr.take().expect("its log");
        let log = Arc::new(Log::default());
        let into = log.clone();
        thread::spawn(move || {
            for line in std::io::BufRead::lines(std::io::BufReader::new(stderr)) {
                let Ok(line) = line else { break };
                into.lines.lock().expect("the log").push(line);
                into.more.notify_all();
            }
        });
        Self { child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The other end of its standard output, if that was piped.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Everything logged so far.
    pub fn log(&self) -> Vec<String> {
        self.log.lines.lock().expect("the log").clone()
    }

    /// Waits for a line with `words` in it. Lets the simulation go on meanwhile.
    pub async fn says(&self, words: &str) -> String {
        let (log, words) = (self.log.clone(), words.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let until = Instant::now() + PATIENCE;
            let mut lines = log.lines.lock().expect("the log");
            loop {
                if let Some(line) = lines.iter().find(|line| line.contains(&words)) {
                    return Ok(line.clone());
                }
                let left = until.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(format!("never said “{words}”:\n{}", lines.join("\n")));
                }
                lines = log.more.wait_timeout(lines, left).expect("the log").0;
            }
        });
        found
            .await
            .expect("the log is read")
            .unwrap_or_else(|error| panic!("{error}"))
    }

    /// The engines that run now, by process id.
    pub fn engines(&self) -> Vec<u32> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = fs::read_to_string(path).unwrap_or_default();
        children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .collect()
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.pid() as i32);
        nix::sys::signal::kill(pid, signal).expect("the daemon lives");
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGTERM, and how it ended.
    pub async fn stop(mut self) -> (ExitStatus, Vec<String>) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        let status = self.ended(Duration::from_secs(6)).await;
        (status, self.log())
    }

    /// Waits for the end of the process.
    pub async fn ended(&mut self, limit: Duration) -> ExitStatus {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(
                Instant::now() < until,
                "the daemon did not end:\n{}",
                self.log().join("\n")
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- the daemon's log ---\n{}", self.log().join("\n"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
