//! Receivers as processes: ours, and the one that others publish.
//!
//! Owns how each is told where Spotify is and where its sound goes, and ends them. Judges nothing.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{Sim, key::swap_key};

/// A receiver that was told to stop has this long; siskin promises 5 s.
const STOP_LIMIT: Duration = Duration::from_secs(6);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Siskin,
    /// The published librespot 0.8.0.
    Peer,
}

/// A program on disk that trusts the simulation.
#[derive(Clone, Debug)]
pub struct Binary {
    pub kind: Kind,
    pub path: PathBuf,
}

/// What a receiver is to be.
#[derive(Clone, Debug)]
pub struct Launch {
    /// As the app shows it.
    pub name: String,
    /// Of the zeroconf endpoint; 0 for any.
    pub port: u16,
    pub sound: Sound,
    /// Per cent.
    pub volume: u8,
    /// Sees the caller's environment, as far as it leads to a sound card.
    pub in_this_environment: bool,
    /// More of it, for the rigs.
    pub env: Vec<(String, String)>,
    /// More of the configuration: sections of their own (siskin only).
    pub sections: String,
}

/// Where the sound goes.
#[derive(Clone, Debug)]
pub enum Sound {
    /// The default card (siskin only).
    Card,
    /// A WAV file (siskin only).
    Wav(PathBuf),
    /// 16 bits, stereo, into a FIFO.
    Pipe(PathBuf),
}

/// A running receiver. Dropped, it is killed.
#[derive(Debug)]
pub struct Receiver {
    pub kind: Kind,
    pub name: String,
    /// When the process was started.
    pub started: Instant,
    child: Child,
    command: Command,
    home: TempDir,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Siskin => "siskin",
            Kind::Peer => "librespot",
        }
    }
}

impl Binary {
    /// Copies `from` into `folder` with the simulation's key in it.
    ///
    /// # Errors
    /// When it is not there or holds no key to exchange.
    pub fn prepare(kind: Kind, from: &Path, folder: &Path) -> io::Result<Self> {
        let path = folder.join(kind.name());
        swap_key(from, &path)?;
        Ok(Self { kind, path })
    }
}

impl Receiver {
    /// Starts it in the network namespace of the calling thread.
    ///
    /// # Errors
    /// When its folder cannot be made or the program does not start.
    pub fn start(binary: &Binary, sim: &Sim, launch: &Launch) -> io::Result<Self> {
        let home = TempDir::with_prefix("receiver-")?;
        let mut command = Command::new(&binary.path);
        if launch.in_this_environment {
            // Only the file written here is to be heard.
            for (name, _) in std::env::vars_os() {
                let name = name.to_string_lossy().into_owned();
                let ours = name.starts_with("SISKIN_") || name == "STATE_DIRECTORY";
                if ours || name.starts_with("NOTIFY_") || name.starts_with("WATCHDOG_") {
                    command.env_remove(name);
                }
            }
        } else {
            command
                .env_clear()
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", home.path());
        }
        match binary.kind {
            Kind::Siskin => siskin(&mut command, home.path(), sim, launch)?,
            Kind::Peer => peer(&mut command, home.path(), sim, launch)?,
        }
        let log = File::create(home.path().join("log"))?;
        command
            .envs(sim.env())
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let started = Instant::now();
        let child = command.spawn()?;
        Ok(Self {
            kind: binary.kind,
            name: launch.name.clone(),
            started,
            child,
            command,
            home,
        })
    }

    /// Of the process and of those that it started.
    pub fn pids(&self) -> Vec<u32> {
        let pid = self.child.id();
        let path = format!("/proc/{pid}/task/{pid}/children");
        let children = fs::read_to_string(path).unwrap_or_default();
        let children = children
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok());
        [pid].into_iter().chain(children).collect()
    }

    /// Where siskin keeps what it remembers.
    pub fn state_folder(&self) -> PathBuf {
        self.home.path().join("state")
    }

    /// Everything it has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Kills it, and starts it again on what it kept, as a supervisor would.
    ///
    /// # Errors
    /// When it does not start.
    pub fn restart(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.started = Instant::now();
        self.child = self.command.spawn()?;
        Ok(())
    }

    /// Asks it to end, waits until it has, and says whether it ended well.
    pub async fn stop(mut self) -> bool {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        // An error means that it has ended already, which the wait will tell.
        let _ = kill(pid, Signal::SIGTERM);
        let until = Instant::now() + STOP_LIMIT;
        while Instant::now() < until {
            if let Some(status) = self.ended() {
                return status.success();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        false
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Fails only where there is nothing left to kill or to wait for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn siskin(command: &mut Command, home: &Path, sim: &Sim, launch: &Launch) -> io::Result<()> {
    let quoted = |path: &Path| serde_json::Value::from(path.to_string_lossy()).to_string();
    let output = match &launch.sound {
        Sound::Card => "kind = \"card\"".to_owned(),
        Sound::Wav(path) => format!("kind = \"wav\"\npath = {}", quoted(path)),
        Sound::Pipe(path) => format!("kind = \"pipe\"\npath = {}", quoted(path)),
    };
    // For whoever looks into a failure of the simulation's own.
    let level = std::env::var("SPOTIFY_SIM_LOG").unwrap_or_else(|_| "info".to_owned());
    let settings = format!(
        "name = {}\nlog = \"{level}\"\nstate_dir = {}\n\
         [audio]\nbitrate = 320\nnormalisation = \"off\"\n\
         [output]\n{output}\n\
         [volume]\nstart = {}\n\
         [network]\nallow = [\"lo\", \"other\"]\nport = {}\nproxy = \"{}\"\nap_port = {}\n{}",
        serde_json::Value::from(launch.name.as_str()),
        quoted(&home.join("state")),
        launch.volume,
        launch.port,
        sim.proxy_url(),
        sim.port(),
        launch.sections,
    );
    let file = home.join("config.toml");
    fs::write(&file, settings)?;
    command.arg("run").arg("--config").arg(file);
    Ok(())
}

fn peer(command: &mut Command, home: &Path, sim: &Sim, launch: &Launch) -> io::Result<()> {
    let Sound::Pipe(pipe) = &launch.sound else {
        return Err(io::Error::other("the peer is built to write into a FIFO"));
    };
    command
        .args(["--name", &launch.name])
        .args(["--backend", "pipe", "--format", "S16", "--dither", "none"])
        .args(["--bitrate", "320", "--disable-audio-cache"])
        .args(["--initial-volume", &launch.volume.to_string()])
        .args(["--proxy", &sim.proxy_url()])
        .args(["--ap-port", &sim.port().to_string()])
        .arg("--device")
        .arg(pipe)
        .arg("--tmp")
        .arg(home);
    if launch.port != 0 {
        command.args(["--zeroconf-port", &launch.port.to_string()]);
    }
    Ok(())
}
