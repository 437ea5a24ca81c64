//! What can happen to the device.

use crate::model::{Peer, Playback, Repeat, Restriction, SleepTimer, Track, Volume};

use super::uri::{Entry, Uid, Uri};

/// The moment of an input. Both clocks are handed in, so that a test decides what time it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Unix time in ms, as the service counts it: the access point's pings correct the own clock.
    pub unix_ms: i64,
    /// A clock in ms that never jumps; its zero is anywhere.
    pub tick_ms: u64,
}

/// Names one answer that is owed: to the dealer for a command.
pub type Ticket = u64;

/// Names one order to load a track; later ones are greater.
pub type LoadId = u64;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// The dealer gave a connection id: the device has to be put anew, with its true state.
    Connected,
    /// A command of an app, to be answered by [`super::Action::Reply`] with this ticket, once.
    Command {
        ticket: Ticket,
        from: Sender,
        command: Command,
    },
    /// The volume that an app asked for; such a push has no answer.
    SetVolume(Volume),
    /// The account is to be forgotten by this device.
    Logout,
    /// A new name for the device.
    Rename(String),
    /// The cluster as the service pushed it.
    Cluster(Cluster),
    /// The answer to the PUT of this number. Answers come in the order of the PUTs.
    PutAnswered { number: u64, cluster: Cluster },
    /// What a context holds, or that it could not be had.
    Resolved {
        ticket: Ticket,
        listing: Result<Listing, Missing>,
    },
    /// Pages that were asked for.
    Paged {
        ticket: Ticket,
        pages: Result<Vec<Page>, Missing>,
    },
    /// What [`super::Action::Describe`] asked for.
    Track(Box<Track>),
    /// What goes on after a context.
    Autoplay {
        ticket: Ticket,
        listing: Result<Listing, Missing>,
    },
    /// Somebody changed a playlist.
    ContextChanged { uri: String },
    /// What the player did.
    Player(Heard),
    /// Where the music is, by the clock of the sound card.
    Clock { id: LoadId, position_ms: u32 },
    /// An order from this house rather than from an app, that nobody waits for.
    Order(Order),
    /// The same, to be answered by [`super::Action::Done`] with this ticket, once.
    Asked { ticket: Ticket, order: Order },
    /// Nothing comes of [`super::Action::FetchPlayback`].
    NotFetched { why: String },
    /// Nothing comes of [`super::Action::SendTo`].
    NotSent { why: String },
    /// What the account's own settings say.
    Settings(Settings),
    /// The volume was changed here.
    Level(Volume),
    /// The time that [`super::Action::SetTimer`] named has come. Harmless at any other time.
    Timer,
}

/// Who sent a command, as connect-state wants it back in the next PUT.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sender {
    pub device: String,
    pub message: u32,
}

/// The service did not tell what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    pub why: String,
    /// The same question may have an answer later.
    pub may_pass: bool,
}

/// A command of an app.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Play(Box<Play>),
    /// Playback comes from another device; `None` makes this the active device and no more.
    Transfer(Option<Box<Transfer>>),
    Pause,
    Resume,
    SeekTo {
        position_ms: u32,
    },
    /// From where the listener is.
    SeekBy {
        ms: i64,
    },
    /// To the next track, or to this one of those that come.
    SkipNext {
        track: Option<Entry>,
    },
    SkipPrev,
    Shuffle(bool),
    RepeatContext(bool),
    RepeatTrack(bool),
    Options(Options),
    AddToQueue(Entry),
    SetQueue {
        next: Vec<Provided>,
    },
    UpdateContext(Listing),
    Sleep(SleepTimer),
    /// Nothing that is known here: the endpoint's name.
    Unknown(String),
    /// Known, but it cannot be understood: why.
    Malformed(String),
}

/// What an app says about shuffle and repeat; what it does not say stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    pub shuffle: Option<bool>,
    pub repeat_context: Option<bool>,
    pub repeat_track: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Play {
    /// A URI, or pages, or both.
    pub context: Listing,
    pub origin: Origin,
    pub skip_to: SkipTo,
    pub seek_to: Option<u32>,
    pub paused: bool,
    pub options: Options,
}

/// Where in the context to begin; the most exact word counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SkipTo {
    pub uid: Option<Uid>,
    pub uri: Option<Uri>,
    /// Of some page, if a name is given as well.
    pub index: Option<u32>,
}

impl SkipTo {
    /// Whether the track or its place is named, so that the index is no more than a hint.
    pub fn is_named(&self) -> bool {
        self.uid.is_some() || self.uri.is_some()
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transfer {
    pub context: Listing,
    pub origin: Origin,
    /// What plays or is paused.
    pub track: Option<Entry>,
    /// The place in the context that belongs to it.
    pub current_uid: Option<Uid>,
    /// The track is from the queue, not from the context.
    pub playing_queue: bool,
    /// What is queued after it.
    pub queue: Vec<Entry>,
    pub position_ms: u32,
    /// When that position was true, in the service's time; 0 when unknown.
    pub at_ms: i64,
    pub paused: bool,
    pub options: Options,
    /// The track is one that the service chose after the end of the context.
    pub autoplay: bool,
}

/// Who began the playback; shown back to the service as it came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    pub feature_identifier: String,
    pub feature_version: String,
    pub view_uri: String,
    pub external_referrer: String,
    pub referrer_identifier: String,
    pub device_identifier: String,
    pub feature_classes: Vec<String>,
}

/// A context as told by an app or by the service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Empty or "-" for a bare list of tracks.
    pub uri: String,
    pub url: String,
    pub metadata: Vec<(String, String)>,
    /// What may not be done while it plays.
    pub restrictions: Vec<Restriction>,
    pub pages: Vec<Page>,
}

/// A part of a context. Without tracks it is a promise: `url` leads to them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    pub tracks: Vec<Entry>,
    pub url: Option<String>,
    pub next_url: Option<String>,
}

/// One of the tracks to come, as an app puts them in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provided {
    pub entry: Entry,
    pub queued: bool,
}

/// What the cluster tells of interest here.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Cluster {
    /// The active device's id; empty for none.
    pub active: String,
    /// The service's time at which this was true, in ms; 0 when it did not say.
    pub server_ms: i64,
    /// The ids of the devices this is about; empty when unknown.
    pub changed: Vec<String>,
    /// The play session it belongs to; empty for none.
    pub session_id: String,
    /// All devices of the account, this one among them; empty when it does not say.
    pub devices: Vec<Peer>,
    /// Playback left behind by a device that is gone.
    pub offered: Option<Box<Transfer>>,
}

/// What the player says. Everything names the order it is about; late words about earlier orders
/// change nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Heard {
    /// The track exists, and there is a file of it that can be played.
    Described { id: LoadId, track: Box<Track> },
    /// It is to be heard from here on: after loading, after a pause, after the data ran out.
    Started { id: LoadId, position_ms: u32 },
    /// Silent, and waiting at this place.
    Paused { id: LoadId, position_ms: u32 },
    /// There is no output. It waits at this place and goes on by itself.
    Held { id: LoadId, position_ms: u32 },
    /// It goes on, or waits, at another place.
    Seeked { id: LoadId, position_ms: u32 },
    /// The data ran out; it goes on by itself.
    Stalled { id: LoadId, position_ms: u32 },
    /// The track before ended and the prepared one took over, without a gap.
    Joined { id: LoadId },
    /// It is over, and nothing was prepared.
    Ended { id: LoadId },
    /// It cannot be loaded, or broke off for good.
    Failed { id: LoadId, why: Why },
}

/// Why a track does not play.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Not offered any more, or not in this country.
    Unavailable,
    /// Offered, but no server has it. When that is one track, it is the track; when it is all of
    /// them, it is Spotify.
    Absent,
    /// The account does not want such lyrics.
    Explicit,
    /// Nothing that has sound for us, such as a video without an audio file.
    NotPlayable,
    /// A file of somebody's phone or computer.
    Local,
    /// It came, but is no music.
    Broken,
    /// Spotify does not release the key.
    Keys,
    /// Nothing comes over the network.
    Network,
}

impl Why {
    /// Whether other tracks would most likely fail just so.
    pub fn is_common(self) -> bool {
        matches!(self, Self::Keys | Self::Network | Self::Absent)
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Unavailable => "Spotify does not offer it here",
            Self::Absent => "Spotify's servers do not have it",
            Self::Explicit => "the account filters explicit music",
            Self::NotPlayable => "it has no sound that can be played here",
            Self::Local => "it is a file on another device",
            Self::Broken => "its data is damaged",
            Self::Keys => "Spotify does not release its key",
            Self::Network => "its data does not come",
        }
    }
}

/// An order from the daemon, as [`crate::model::Transport`].
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    Play,
    Pause,
    Toggle,
    Stop,
    Next,
    Previous,
    Seek {
        position_ms: u32,
    },
    SeekBy {
        ms: i64,
    },
    SetVolume(Volume),
    /// Points of a hundred.
    VolumeBy(i8),
    /// `None`: the other way round.
    Mute(Option<bool>),
    Load(Box<Play>),
    Enqueue(Uri),
    Pull,
    /// To another device, by its name or id.
    Send(String),
    Sleep {
        timer: SleepTimer,
        /// `None`: as configured.
        fade_ms: Option<u32>,
    },
    Shuffle(bool),
    Repeat(Repeat),
    /// Take up again what played before a loss, as the active device.
    Restore(Box<Playback>),
    /// Stop playing and leave the picker.
    Leave,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Settings {
    /// Go on with similar music after the end.
    pub autoplay: bool,
    /// Skip what is marked explicit.
    pub filter_explicit: bool,
}
