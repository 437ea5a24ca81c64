//! Runs the receiver under test and hears what it plays.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use spotify_sim::{Sim, key::swap_key};
use tempfile::TempDir;

/// Bytes per second of what a receiver writes: 44.1 kHz, stereo, 16 bits.
const PCM_RATE: usize = 44_100 * 4;

/// The longest wait for sound.
const LIMIT: Duration = Duration::from_secs(20);

/// The receiver with the simulation's key in it; `None` when none was given.
fn binary() -> Option<PathBuf> {
    static SWAPPED: OnceLock<Option<PathBuf>> = OnceLock::new();
    SWAPPED
        .get_or_init(|| {
            let peer = PathBuf::from(std::env::var_os("SISKIN_PEER")?);
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
            // Named after its origin, so that one copy serves all runs.
            let origin = fs::metadata(&peer).unwrap();
            let changed = origin
                .modified()
                .unwrap()
                .duration_since(UNIX_EPOCH)
                .unwrap();
            let changed = changed.as_secs();
            let swapped = folder.join(format!("peer-{}-{changed}", origin.len()));
            if !swapped.exists() {
                println!("key swapped: {}", swap_key(&peer, &swapped).unwrap());
            }
            Some(swapped)
        })
        .clone()
}

/// A running receiver, signed in as a user by a stored credential. Its sound
/// goes through a pipe that is read at the speed of a sound card.
pub struct Peer {
    child: Child,
    folder: TempDir,
    heard: Arc<Mutex<Vec<u8>>>,
    deaf: Arc<AtomicBool>,
}

impl Peer {
    /// `pace` is how many times faster than a sound card the pipe is read.
    pub fn start(sim: &Sim, user: &str, pace: usize) -> Option<Self> {
        Self::run(sim, Some(user), pace)
    }

    /// The same with nobody signed in: it waits for a phone.
    pub fn discoverable(sim: &Sim) -> Option<Self> {
        Self::run(sim, None, 1)
    }

    fn run(sim: &Sim, user: Option<&str>, pace: usize) -> Option<Self> {
        let binary = binary()?;
        let folder = tempfile::tempdir().unwrap();
        if let Some(user) = user {
            sign_in(sim, user, folder.path());
        }
        let pipe = folder.path().join("pcm");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let heard = Arc::new(Mutex::new(Vec::new()));
        let deaf = Arc::new(AtomicBool::new(false));
        listen(&pipe, pace, heard.clone(), deaf.clone());
        let log = File::create(folder.path().join("log")).unwrap();
        let child = Command::new(binary)
            .envs(sim.env())
            .args(["--name", "Peer", "--disable-audio-cache"])
            .args(["--backend", "pipe", "--format", "S16", "--dither", "none"])
            .args(["--initial-volume", "100", "--verbose"])
            .args([
                "--proxy",
                &sim.proxy_url(),
                "--ap-port",
                &sim.port().to_string(),
            ])
            .arg("--cache")
            .arg(folder.path())
            .arg("--device")
            .arg(&pipe)
            .args(user.map(|_| "--disable-discovery"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Some(Self {
            child,
            folder,
            heard,
            deaf,
        })
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
    }

    /// The whole frames that came out, as left and right.
    pub fn frames(&self) -> Vec<[i16; 2]> {
        let heard = self.heard.lock().unwrap();
        let sample = |bytes: &[u8]| i16::from_le_bytes([bytes[0], bytes[1]]);
        heard
            .chunks_exact(4)
            .map(|frame| [sample(frame), sample(&frame[2..])])
            .collect()
    }

    pub async fn wait_for_frames(&self, count: usize) {
        let until = Instant::now() + LIMIT;
        while self.heard.lock().unwrap().len() < count * 4 {
            assert!(
                Instant::now() < until,
                "only {} of {count} frames",
                self.frames().len()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.deaf.store(true, Ordering::Relaxed);
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            println!(
                "the receiver said:\n{}",
                lines[lines.len().saturating_sub(60)..].join("\n")
            );
        }
    }
}

/// Leaves a stored credential where the receiver looks for one.
fn sign_in(sim: &Sim, user: &str, folder: &Path) {
    let credential = sim.users().get(user).unwrap().stored_credential();
    let credentials = serde_json::json!({
        "username": user, "auth_type": 1, "auth_data": BASE64_STANDARD.encode(credential),
    });
    fs::write(folder.join("credentials.json"), credentials.to_string()).unwrap();
}

/// Reads the pipe until told not to. Keeps a writing end, so that the pipe
/// does not end between two tracks.
fn listen(pipe: &Path, pace: usize, heard: Arc<Mutex<Vec<u8>>>, deaf: Arc<AtomicBool>) {
    let mut pipe = File::options().read(true).write(true).open(pipe).unwrap();
    std::thread::spawn(move || {
        let mut buffer = vec![0; PCM_RATE / 50];
        while !deaf.load(Ordering::Relaxed) {
            let since = Instant::now();
            let Ok(count) = pipe.read(&mut buffer) else {
                return;
            };
            heard.lock().unwrap().extend(&buffer[..count]);
            let lasts = Duration::from_secs_f64(count as f64 / (PCM_RATE * pace) as f64);
            std::thread::sleep(lasts.saturating_sub(since.elapsed()));
        }
    });
}
