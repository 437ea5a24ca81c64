//! The settings as used: checked, complete, and impossible to get wrong afterwards.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use serde::{Deserialize, Serialize};

use super::{
    hooks::{Hook, Occasion},
    household::Household,
    mqtt::Mqtt,
};
use crate::model::{DeviceType, Percent};

/// Everything the daemon needs to know. `speakers` is never empty.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub speakers: Vec<Speaker>,
    pub network: Network,
    pub log: LogLevel,
    pub pairing: Pairing,
    /// Where accounts and device ids are kept; `None`: `$STATE_DIRECTORY`, else `$XDG_STATE_HOME/siskin`.
    pub state_dir: Option<PathBuf>,
    /// What the files of accounts are encrypted with; `None`: the systemd credential, if there is one.
    pub account_key_file: Option<PathBuf>,
    /// Audio files that are kept on disk; `None`: none are.
    pub cache: Option<Cache>,
    /// Where they would be, by the file, while none are.
    pub cache_path: Option<PathBuf>,
    pub socket: Socket,
    pub http: Http,
    pub mpris: Mpris,
    pub mqtt: Mqtt,
    /// Programs that are run when something happens, in the order of the file.
    pub hooks: Vec<Hook>,
    /// Where what plays is written down for displays: a FIFO for each speaker that has one.
    pub metadata: Vec<Metadata>,
}

impl Config {
    /// How long the music of a speaker may be held for hooks on `before-play`, in ms.
    pub fn hold_ms(&self, speaker: &str) -> Option<u32> {
        let here = |hook: &&Hook| hook.speaker.as_deref().is_none_or(|id| id == speaker);
        let hooks = self.hooks.iter().filter(here);
        let before = hooks.filter(|hook| hook.on.contains(&Occasion::BeforePlay));
        let longest = before.map(|hook| hook.wait).max()?;
        u32::try_from(longest.as_millis()).ok()
    }
}

/// Audio files that are kept on disk, still encrypted, for when they are played again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache {
    /// What all of them together may take.
    pub bytes: u64,
    /// An absolute path; `None`: the usual place of the daemon.
    pub path: Option<PathBuf>,
}

/// A FIFO that tells what a speaker plays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The id of the speaker.
    pub speaker: String,
    /// An absolute path, no two speakers' the same.
    pub pipe: PathBuf,
    /// Whether covers go into it.
    pub covers: bool,
}

/// On which D-Bus the speakers are media players (MPRIS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mpris {
    #[default]
    Off,
    /// Of the person who is logged in.
    Session,
    /// Of the machine.
    System,
}

/// Where other programs ask the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Socket {
    /// `$RUNTIME_DIRECTORY`, else `$XDG_RUNTIME_DIR/siskin`, else the state directory.
    #[default]
    Usual,
    /// Nowhere.
    Off,
    /// An absolute path.
    At(PathBuf),
}

/// Where programs ask the daemon over TCP, with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// `None`: nowhere.
    pub listen: Option<SocketAddr>,
    /// Names of this machine besides its own and its addresses.
    pub names: Vec<String>,
    /// Pages of other sites that may ask, as browsers name them: `https://house.example`.
    pub origins: Vec<String>,
    /// Whether people find a page there.
    pub page: bool,
    /// What it is encrypted with; `None`: it is not.
    pub tls: Option<Tls>,
}

/// Files (PEM) that HTTPS is spoken with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: Some((Ipv4Addr::LOCALHOST, 7070).into()),
            names: Vec::new(),
            origins: Vec::new(),
            page: true,
            tls: None,
        }
    }
}

/// Signing in by a code that is typed elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing {
    pub offer: Offer,
    /// The OAuth client to be; `None`: the one that librespot signs in with.
    pub client_id: Option<String>,
}

/// When a speaker asks for a code of its own accord.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Offer {
    /// When Spotify refuses the stored login.
    #[default]
    WhenNeeded,
    Never,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Speaker {
    /// Names the speaker's folder in the state directory. Stable while the name may change.
    pub id: String,
    /// What phones show, 1 to 64 bytes of UTF-8.
    pub name: String,
    pub device_type: DeviceType,
    /// Port of the zeroconf endpoint; 0 takes any free one.
    pub port: u16,
    pub audio: Audio,
    pub output: Output,
    pub volume: VolumeSettings,
    pub household: Household,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audio {
    pub bitrate: Bitrate,
    pub normalisation: Normalisation,
    pub normalisation_method: NormalisationMethod,
    /// Added to every track's gain while normalising, −10 to +10 dB.
    pub pregain_db: f64,
    pub gapless: bool,
    /// How long one track fades into the next, 0 to 12 000 ms; 0 is not at all.
    pub crossfade_ms: u32,
    /// How long music fades before a sleep timer pauses it, where nobody says, 0 to 600 000 ms.
    pub sleep_fade_ms: u32,
    pub autoplay: Autoplay,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Bitrate {
    Kbps96,
    Kbps160,
    Kbps320,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Normalisation {
    Off,
    Track,
    Album,
    /// Album gain while an album plays in order, else track gain.
    Auto,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NormalisationMethod {
    Basic,
    Dynamic,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Autoplay {
    /// As set in the Spotify app.
    App,
    On,
    Off,
}

/// What lies ready in a card where nobody says otherwise, in ms: two periods of 1024 frames.
pub const BUFFER_MS: u32 = 46;

/// Where the samples go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Output {
    /// A sound card, by the name `siskin devices` shows; `None` is the default one.
    Card {
        device: Option<String>,
        /// What lies ready in the card itself, 20 to 2000 ms.
        buffer_ms: u32,
    },
    /// A FIFO, or the daemon's own standard output (`None`).
    Pipe {
        path: Option<PathBuf>,
        format: SampleFormat,
    },
    /// A WAV file, written anew at each start.
    Wav { path: PathBuf, format: SampleFormat },
    /// Nowhere, at the pace of music.
    Null,
}

/// Little-endian, interleaved stereo at 44 100 Hz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleFormat {
    S16,
    /// 24 bits in four bytes.
    S24,
    /// 24 bits in three bytes.
    S24In3,
    S32,
    F32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VolumeSettings {
    /// Level at the very first start.
    pub start: Percent,
    /// Never louder than this, whatever the slider says.
    pub max: Percent,
    /// Whether the last level is taken up again at the next start.
    pub remember: bool,
    pub curve: Curve,
    /// How far the quietest step lies below full level, 20 to 100 dB (logarithmic curve only).
    pub range_db: f64,
    /// Steps of the phone's volume buttons, 8 to 256.
    pub steps: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Curve {
    Log,
    Cubic,
    Linear,
    /// The speaker plays at full level always; the phone shows no slider.
    Fixed,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Network {
    /// Interfaces to use, by name, glob or CIDR; empty: every ordinary one.
    pub allow: Vec<String>,
    /// Interfaces never to use, in the same forms. Wins over `allow`.
    pub deny: Vec<String>,
    /// Also announce and listen on IPv6 addresses.
    pub ipv6: bool,
    /// Addresses to advertise instead of all of the interfaces' own.
    pub advertise: Vec<IpAddr>,
    /// Whether `getInfo` names the account that is signed in.
    pub hide_active_user: bool,
    /// `http://host:port` of an HTTP proxy with CONNECT.
    pub proxy: Option<String>,
    /// Use only access points on this port.
    pub ap_port: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// By its name, as the configuration, the command line and orders say it; also in capitals.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "error" => Self::Error,
            "warn" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => return None,
        })
    }
}

impl Default for Audio {
    fn default() -> Self {
        Self {
            bitrate: Bitrate::Kbps320,
            normalisation: Normalisation::Off,
            normalisation_method: NormalisationMethod::Basic,
            pregain_db: 0.0,
            gapless: true,
            crossfade_ms: 0,
            sleep_fade_ms: 10_000,
            autoplay: Autoplay::App,
        }
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::Card {
            device: None,
            buffer_ms: BUFFER_MS,
        }
    }
}

impl Default for VolumeSettings {
    fn default() -> Self {
        Self {
            start: Percent::clamped(30),
            max: Percent::clamped(100),
            remember: true,
            curve: Curve::Log,
            range_db: 60.0,
            steps: 64,
        }
    }
}
