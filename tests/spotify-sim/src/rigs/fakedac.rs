//! A sound card made of C and files: plays in real time, remembers what was
//! heard, breaks when told to. The plugin itself is `rigs/fakedac.c`.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs, process};

use sha1::{Digest, Sha1};
use tempfile::TempDir;

use super::{RigError, alsa_config_path, run, wait_until};

const SOURCE: &str = include_str!("../../rigs/fakedac.c");
const BYTES_PER_FRAME: usize = 8;

/// What the card does when somebody uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Ok,
    /// Another program has it.
    Busy,
    /// No such card; unplugs if open.
    Absent,
    /// The card went away; unplugs if open.
    Gone,
    /// No right to open it.
    Perm,
    /// A sound server's, and no server runs.
    Down,
    /// Every operation fails.
    Eio,
    /// The clock stands still and nothing fails.
    Stall,
    /// No call returns, opening neither, until it is in another state.
    Hang,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Busy => "busy",
            State::Absent => "absent",
            State::Gone => "gone",
            State::Perm => "perm",
            State::Down => "down",
            State::Eio => "eio",
            State::Stall => "stall",
            State::Hang => "hang",
        }
    }
}

/// Two cards behind one ALSA configuration: `usbdac`, which takes nearly
/// anything, and `dac48`, which takes 48 kHz S32_LE only. The default device
/// is `usbdac` behind ALSA's converter.
#[derive(Debug)]
pub struct FakeDac {
    config: PathBuf,
    usbdac: Card,
    dac48: Card,
    _dir: TempDir,
}

/// A card for which time goes faster, and which remembers nothing: hours of music in minutes.
#[derive(Debug)]
pub struct HastyDac {
    config: PathBuf,
    _dir: TempDir,
}

impl HastyDac {
    /// Compiles the plugin if that was not done before. `speed` is how often faster.
    pub fn build(speed: u32) -> Result<Self, RigError> {
        let plugin = compiled()?;
        let dir =
            TempDir::with_prefix("fakedac-").map_err(RigError::io("make a folder for the card"))?;
        let config = dir.path().join("asound.conf");
        let text = format!(
            "pcm_type.fakedac {{ lib \"{}\" }}\n\
             pcm.hasty {{ type fakedac rate 44100 speed {speed} }}\n\
             pcm.!default {{ type plug slave.pcm \"hasty\" }}\n",
            plugin.display(),
        );
        fs::write(&config, text).map_err(RigError::io("write the ALSA configuration"))?;
        Ok(Self { config, _dir: dir })
    }

    /// Value for the environment variable `ALSA_CONFIG_PATH`.
    pub fn alsa_config(&self) -> String {
        alsa_config_path(&self.config)
    }
}

/// One of the cards.
#[derive(Debug)]
pub struct Card {
    heard: PathBuf,
    log: PathBuf,
    control: PathBuf,
}

/// A line of a card's diary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardEvent {
    /// `CLOCK_MONOTONIC`.
    pub at: Duration,
    /// Frames heard since the rig was built.
    pub heard: u64,
    /// open, refused, prepare, start, stop, underrun, drained, unplugged, close.
    pub what: String,
    /// Whatever stands behind it, e.g. `rate=44100 format=S16_LE …`.
    pub detail: String,
}

impl FakeDac {
    /// Compiles the plugin if that was not done before, and sets up a folder
    /// with two cards in good order.
    pub fn build() -> Result<FakeDac, RigError> {
        let plugin = compiled()?;
        let dir = TempDir::with_prefix("fakedac-")
            .map_err(RigError::io("make a folder for the cards"))?;
        let usbdac = Card::at(dir.path(), "usbdac")?;
        let dac48 = Card::at(dir.path(), "dac48")?;
        let config = dir.path().join("asound.conf");
        let text = format!(
            "pcm_type.fakedac {{ lib \"{}\" }}\n{}{}pcm.!default {{ type plug slave.pcm \"usbdac\" }}\n",
            plugin.display(),
            usbdac.definition("usbdac", "Fake USB DAC", ""),
            dac48.definition(
                "dac48",
                "Fake DAC at 48 kHz",
                " rate 48000 format \"S32_LE\""
            ),
        );
        fs::write(&config, text).map_err(RigError::io("write the ALSA configuration"))?;
        Ok(FakeDac {
            config,
            usbdac,
            dac48,
            _dir: dir,
        })
    }

    /// Value for the environment variable `ALSA_CONFIG_PATH`.
    pub fn alsa_config(&self) -> String {
        alsa_config_path(&self.config)
    }

    pub fn usbdac(&self) -> &Card {
        &self.usbdac
    }

    pub fn dac48(&self) -> &Card {
        &self.dac48
    }

    /// Changes `usbdac`, at once.
    pub fn set(&self, state: State) {
        self.usbdac.set(state);
    }

    /// What was heard from `usbdac`.
    pub fn capture(&self) -> Vec<[f32; 2]> {
        self.usbdac.capture()
    }
}

impl Card {
    fn at(dir: &Path, name: &str) -> Result<Card, RigError> {
        let file = |kind: &str| dir.join(format!("{name}.{kind}"));
        let card = Card {
            heard: file("heard"),
            log: file("log"),
            control: file("control"),
        };
        for path in [&card.heard, &card.log] {
            fs::write(path, "").map_err(RigError::io(format!("make {}", path.display())))?;
        }
        card.set(State::Ok);
        Ok(card)
    }

    fn definition(&self, name: &str, shown: &str, limits: &str) -> String {
        format!(
            "pcm.{name} {{ type fakedac heard \"{}\" log \"{}\" control \"{}\"{limits} \
             hint {{ show on description \"{shown}\" }} }}\n",
            self.heard.display(),
            self.log.display(),
            self.control.display(),
        )
    }

    /// Changes what the card does, at once. Panics if the rig's folder is gone.
    pub fn set(&self, state: State) {
        // Renamed into place: the card must never read an empty file.
        let draft = self.control.with_extension("draft");
        fs::write(&draft, state.word())
            .and_then(|()| fs::rename(&draft, &self.control))
            .unwrap_or_else(|e| panic!("cannot steer the fake card: {e}"));
    }

    /// Everything heard so far, over all openings, at the rate the card ran at.
    /// 16 and 24 bit samples are exact; 32 bit ones are rounded to 24.
    pub fn capture(&self) -> Vec<[f32; 2]> {
        crate::listen::from_f32(&fs::read(&self.heard).unwrap_or_default())
    }

    /// Frames heard so far.
    pub fn heard(&self) -> u64 {
        fs::metadata(&self.heard).map_or(0, |m| m.len() / BYTES_PER_FRAME as u64)
    }

    /// Whether anything but silence was heard from this frame on.
    pub fn is_loud_since(&self, frame: u64) -> bool {
        let read = || -> std::io::Result<Vec<u8>> {
            let mut file = fs::File::open(&self.heard)?;
            file.seek(SeekFrom::Start(frame * BYTES_PER_FRAME as u64))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let heard = crate::listen::from_f32(&read().unwrap_or_default());
        heard.iter().flatten().any(|sample| sample.abs() > 0.001)
    }

    /// When anything was heard last, silence included.
    pub fn written_at(&self) -> Option<Instant> {
        let written = fs::metadata(&self.heard).and_then(|file| file.modified());
        let ago = written.ok()?.elapsed().unwrap_or_default();
        Instant::now().checked_sub(ago)
    }

    /// The card's diary.
    pub fn events(&self) -> Vec<CardEvent> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        // A last line without its end is still being written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(CardEvent::read).collect()
    }

    /// When a frame of the capture was heard, on the clock of [`monotonic`].
    /// Frames heard after a stall have a later time than this says.
    pub fn time_of(&self, frame: u64) -> Option<Duration> {
        let mut rate = None;
        let mut begun = None;
        for event in self.events().into_iter().filter(|e| e.heard <= frame) {
            match event.what.as_str() {
                "prepare" => rate = event.number("rate"),
                "start" => begun = Some((event.at, event.heard)),
                _ => {}
            }
        }
        let (at, heard) = begun?;
        Some(at + Duration::from_secs_f64((frame - heard) as f64 / rate? as f64))
    }

    /// How often that event happened.
    pub fn count(&self, what: &str) -> usize {
        self.events().iter().filter(|e| e.what == what).count()
    }

    /// Waits until so many frames were heard in all; blocks the thread.
    pub fn wait_heard(&self, frames: u64, limit: Duration) -> Result<(), RigError> {
        wait_until(&format!("hearing {frames} frames"), limit, || {
            (self.heard() >= frames).then_some(())
        })
    }

    /// Waits until that event has happened `times` times; blocks the thread.
    pub fn wait_event(&self, what: &str, times: usize, limit: Duration) -> Result<(), RigError> {
        let seen = || (self.count(what) >= times).then_some(());
        wait_until(&format!("\"{what}\" {times} times"), limit, seen).map_err(|_| RigError::Slow {
            what: format!(
                "\"{what}\" {times} times (the card's diary: {:?})",
                self.events()
            ),
            limit,
        })
    }
}

impl CardEvent {
    /// A number from the detail, e.g. `rate` or `buffer`.
    pub fn number(&self, key: &str) -> Option<u64> {
        let value = |word: &str| word.strip_prefix(key)?.strip_prefix('=')?.parse().ok();
        self.detail.split(' ').find_map(value)
    }

    fn read(line: &str) -> Option<CardEvent> {
        let mut words = line.splitn(4, ' ');
        Some(CardEvent {
            at: Duration::from_nanos(words.next()?.parse().ok()?),
            heard: words.next()?.parse().ok()?,
            what: words.next()?.into(),
            detail: words.next().unwrap_or_default().into(),
        })
    }
}

/// The clock of [`CardEvent::at`], now.
pub fn monotonic() -> Duration {
    nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
        .map_or(Duration::ZERO, Duration::from)
}

/// The plugin, compiled once for each version of its source.
fn compiled() -> Result<PathBuf, RigError> {
    let version = hex::encode(&Sha1::digest(SOURCE)[..8]);
    let dir = env::temp_dir().join(format!("spotify-sim-rigs-{}", nix::unistd::getuid()));
    let plugin = dir.join(format!("fakedac-{version}.so"));
    if plugin.is_file() {
        return Ok(plugin);
    }
    fs::create_dir_all(&dir).map_err(RigError::io("make a folder for the compiled plugin"))?;
    // Drafts of our own, then a rename: parallel tests may build it too.
    let draft = TempDir::new_in(&dir).map_err(RigError::io("make a folder for the compiler"))?;
    let source = draft.path().join("fakedac.c");
    let output = draft.path().join(format!("fakedac-{}.so", process::id()));
    fs::write(&source, SOURCE).map_err(RigError::io("write the plugin's source"))?;
    let mut cc = Command::new("cc");
    cc.args(["-shared", "-fPIC", "-DPIC", "-O2", "-o"])
        .arg(&output)
        .arg(&source)
        .arg("-lasound");
    run(&mut cc, "cc (and ALSA's headers)", "gcc and libasound2-dev")?;
    fs::rename(&output, &plugin).map_err(RigError::io("keep the compiled plugin"))?;
    Ok(plugin)
}
