//! A PulseAudio server with one silent speaker, away from the user's own.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::{RigError, alsa_config_path, run, wait_until};

const START_LIMIT: Duration = Duration::from_secs(15);

/// A running (or killed) server. Its only sink is called `speaker`: 44.1 kHz,
/// S16, stereo, paced in real time.
#[derive(Debug)]
pub struct PulseServer {
    server: Option<Child>,
    dir: TempDir,
}

/// What the speaker's monitor hears, until stopped. The monitor swallows the
/// first and last parts of a piece that do not fill 10 ms; in between it is
/// exact.
#[derive(Debug)]
pub struct Recording {
    recorder: Child,
    file: PathBuf,
}

impl PulseServer {
    pub fn start() -> Result<PulseServer, RigError> {
        let dir =
            TempDir::with_prefix("pulse-").map_err(RigError::io("make a folder for PulseAudio"))?;
        let mut pulse = PulseServer { server: None, dir };
        let server = pulse.server_name();
        let config = format!(
            "pcm.!default {{ type pulse server \"{server}\" hint {{ show on description \"Default\" }} }}\n\
             pcm.speaker {{ type pulse server \"{server}\" device \"speaker\" hint {{ show on description \"Speaker\" }} }}\n\
             ctl.!default {{ type pulse server \"{server}\" }}\n"
        );
        fs::write(pulse.dir.path().join("asound.conf"), config)
            .map_err(RigError::io("write the ALSA configuration"))?;
        pulse.restart()?;
        Ok(pulse)
    }

    /// Ends the server without a goodbye, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = server.kill();
            let _ = server.wait();
        }
        let _ = fs::remove_file(self.socket());
    }

    /// A new server in the same place.
    pub fn restart(&mut self) -> Result<(), RigError> {
        self.kill();
        let log = File::create(self.dir.path().join("pulse.log"))
            .map_err(RigError::io("make a log for PulseAudio"))?;
        let mut command = self.command("pulseaudio");
        command
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
                "--disable-shm=yes",
            ])
            // The speaker first: once the socket is there, all is there.
            .args([
                "-L",
                "module-null-sink sink_name=speaker rate=44100 format=s16le channels=2",
            ])
            .arg("-L")
            .arg(format!(
                "module-native-protocol-unix socket={} auth-anonymous=1",
                self.socket().display()
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.server = Some(spawn(&mut command, "pulseaudio", "pulseaudio")?);
        let socket = self.socket();
        wait_until("the start of PulseAudio", START_LIMIT, || {
            UnixStream::connect(&socket).ok()
        })
        .map(drop)
    }

    /// Value for the environment variable `ALSA_CONFIG_PATH`: the default
    /// device and `speaker` lead here.
    pub fn alsa_config(&self) -> String {
        alsa_config_path(&self.dir.path().join("asound.conf"))
    }

    /// Value for the environment variable `PULSE_SERVER`.
    pub fn server_name(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    /// What a client process needs to find this server and no other.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let dir = self.dir.path().display().to_string();
        vec![
            ("HOME", dir.clone()),
            ("XDG_RUNTIME_DIR", dir.clone()),
            ("XDG_CONFIG_HOME", dir.clone()),
            ("PULSE_RUNTIME_PATH", dir),
            ("PULSE_SERVER", self.server_name()),
            ("ALSA_CONFIG_PATH", self.alsa_config()),
        ]
    }

    /// Runs `pactl` on this server, e.g. `suspend-sink speaker 1`.
    pub fn pactl(&self, words: &str) -> Result<String, RigError> {
        run(
            self.command("pactl").args(words.split_whitespace()),
            "pactl",
            "pulseaudio-utils",
        )
    }

    /// Starts to record; returns when the recorder really hears.
    pub fn record(&self) -> Result<Recording, RigError> {
        let kept = tempfile::Builder::new()
            .prefix("heard-")
            .tempfile_in(self.dir.path());
        let (output, file) = kept
            .and_then(|f| f.keep().map_err(|e| e.error))
            .map_err(RigError::io("make a file for the recording"))?;
        let mut command = self.command("parec");
        command
            .args([
                "-d",
                "speaker.monitor",
                "--raw",
                "--format=float32le",
                "--rate=44100",
            ])
            .args(["--channels=2", "--latency-msec=20"])
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(Stdio::null());
        let recorder = spawn(&mut command, "parec", "pulseaudio-utils")?;
        let recording = Recording { recorder, file };
        wait_until("the start of the recording", START_LIMIT, || {
            fs::metadata(&recording.file)
                .is_ok_and(|m| m.len() > 0)
                .then_some(())
        })?;
        Ok(recording)
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("native.sock")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env_remove("DBUS_SESSION_BUS_ADDRESS")
            .env_remove("DISPLAY")
            .envs(self.environment());
        command
    }
}

impl Drop for PulseServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Recording {
    /// What was heard so far, silence before and after included.
    pub fn so_far(&self) -> Vec<[f32; 2]> {
        crate::listen::from_f32(&fs::read(&self.file).unwrap_or_default())
    }

    pub fn stop(self) -> Vec<[f32; 2]> {
        self.so_far()
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
        let _ = fs::remove_file(&self.file);
    }
}

fn spawn(
    command: &mut Command,
    tool: &'static str,
    package: &'static str,
) -> Result<Child, RigError> {
    command.spawn().map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => RigError::Missing { tool, package },
        _ => RigError::Io {
            what: format!("start {tool}"),
            source,
        },
    })
}
