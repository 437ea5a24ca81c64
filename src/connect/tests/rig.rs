//! A device with a player and a service that do as they are told.

use crate::{
    connect::{
        Action, Cluster, Command, Connect, Device, Entry, Heard, Input, Listing, LoadId, Missing,
        Now, Page, Play, Sender, Settings, ShownTrack, SkipTo, Ticket, Uri,
    },
    model::{Playback, Track, Volume},
};

pub const OWN: &str = "own";
pub const ALBUM: &str = "spotify:album:1";

/// The service's clock is this much ahead of the ticks.
const SERVER: i64 = 5_000_000;

pub struct Rig {
    pub connect: Connect,
    pub tick: u64,
    ticket: Ticket,
    /// All actions since the last look.
    pub out: Vec<Action>,
    /// What the player has, and where it is.
    pub loaded: Option<(LoadId, Uri)>,
    pub next: Option<(LoadId, Uri)>,
    pub sounding: bool,
    pub published: Option<Playback>,
}

pub fn uri(number: usize) -> String {
    format!("spotify:track:{number:022}")
}

pub fn entry(number: usize) -> Entry {
    Entry::new(&uri(number), &format!("{number:08x}"))
}

pub fn track(uri: &Uri, explicit: bool) -> Box<Track> {
    Box::new(Track {
        uri: uri.to_string(),
        title: "T".into(),
        artists: Vec::new(),
        album: "A".into(),
        duration_ms: 200_000,
        explicit,
        covers: Vec::new(),
        ..Track::default()
    })
}

/// A context of the tracks of these numbers.
pub fn listing(uri: &str, numbers: impl IntoIterator<Item = usize>) -> Listing {
    Listing {
        restrictions: Vec::new(),
        uri: uri.into(),
        url: format!("context://{uri}"),
        metadata: Vec::new(),
        pages: vec![Page {
            tracks: numbers.into_iter().map(entry).collect(),
            ..Page::default()
        }],
    }
}

/// The service does not know, and never will.
pub fn missing(why: &str) -> Missing {
    Missing {
        why: why.to_owned(),
        may_pass: false,
    }
}

/// To play this context, from this track.
pub fn play(uri: &str, from: usize) -> Play {
    Play {
        context: Listing {
            uri: uri.into(),
            ..Listing::default()
        },
        skip_to: SkipTo {
            uri: Some(entry(from).uri),
            uid: Some(entry(from).uid),
            index: None,
        },
        ..Play::default()
    }
}

impl Rig {
    pub fn new(settings: Settings) -> Self {
        Self::made(settings, 0)
    }

    /// One whose timers fade for so long where nobody says.
    pub fn with_fade(sleep_fade_ms: u32) -> Self {
        Self::made(Settings::default(), sleep_fade_ms)
    }

    fn made(settings: Settings, sleep_fade_ms: u32) -> Self {
        let device = Device {
            id: OWN.into(),
            name: "Kitchen".into(),
            volume: Volume::FULL,
            settings,
            sleep_fade_ms,
            session_id: "session".into(),
            seed: 11,
        };
        Self {
            connect: Connect::new(device),
            tick: 0,
            ticket: 0,
            out: Vec::new(),
            loaded: None,
            next: None,
            sounding: false,
            published: None,
        }
    }

    /// One that plays these tracks of the album, from this one.
    pub fn playing(numbers: impl IntoIterator<Item = usize>, from: usize) -> Self {
        let mut rig = Self::new(Settings::default());
        rig.begin(numbers, from);
        rig
    }

    pub fn begin(&mut self, numbers: impl IntoIterator<Item = usize>, from: usize) {
        let ticket = self.command(Command::Play(Box::new(play(ALBUM, from))));
        self.resolve(listing(ALBUM, numbers));
        self.sound();
        assert_eq!(self.reply(ticket), Some(Ok(())));
        self.out.clear();
    }

    pub fn now(&self) -> Now {
        Now {
            unix_ms: 1_000_000 + self.tick as i64,
            tick_ms: self.tick,
        }
    }

    pub fn step(&mut self, input: Input) {
        let now = self.now();
        let actions = self.connect.step(input, now);
        for action in &actions {
            match action {
                Action::Load { id, uri, play, .. } => {
                    self.loaded = Some((*id, uri.clone()));
                    self.next = None;
                    self.sounding = *play;
                }
                Action::Prepare { id, uri } => self.next = Some((*id, uri.clone())),
                Action::DropNext => self.next = None,
                Action::Play => self.sounding = true,
                Action::Pause => self.sounding = false,
                Action::Stop => {
                    self.loaded = None;
                    self.next = None;
                    self.sounding = false;
                }
                Action::Publish(playback) => self.published = Some((**playback).clone()),
                _ => {}
            }
        }
        self.out.extend(actions);
    }

    pub fn command(&mut self, command: Command) -> Ticket {
        self.ticket += 1;
        let ticket = self.ticket;
        let from = Sender {
            device: "phone".into(),
            message: ticket as u32,
        };
        self.step(Input::Command {
            ticket,
            from,
            command,
        });
        ticket
    }

    pub fn reply(&self, ticket: Ticket) -> Option<Result<(), String>> {
        let mut replies = self.out.iter().filter_map(|action| match action {
            Action::Reply { ticket: of, result } if *of == ticket => Some(result.clone()),
            _ => None,
        });
        let reply = replies.next();
        assert_eq!(replies.next(), None, "answered once");
        reply
    }

    /// Answers what was asked for last about contexts.
    pub fn resolve(&mut self, listing: Listing) {
        let asked = self.out.iter().rev().find_map(|action| match action {
            Action::ResolveContext { ticket, .. } => Some(*ticket),
            _ => None,
        });
        let ticket = asked.expect("a question");
        self.step(Input::Resolved {
            ticket,
            listing: Ok(listing),
        });
    }

    pub fn following(&mut self, numbers: impl IntoIterator<Item = usize>) {
        let asked = self.out.iter().rev().find_map(|action| match action {
            Action::ResolveAutoplay { ticket, .. } => Some(*ticket),
            _ => None,
        });
        let ticket = asked.expect("a question");
        self.step(Input::Autoplay {
            ticket,
            listing: Ok(listing("spotify:station:album:1", numbers)),
        });
    }

    /// The player does what it was told.
    pub fn sound(&mut self) {
        let Some((id, uri)) = self.loaded.clone() else {
            return;
        };
        let track = track(&uri, false);
        self.step(Input::Player(Heard::Described { id, track }));
        self.obey();
    }

    pub fn obey(&mut self) {
        let Some((id, _)) = self.loaded.clone() else {
            return;
        };
        let position_ms = self.connect.shown().position_ms;
        let heard = if self.sounding {
            Heard::Started { id, position_ms }
        } else {
            Heard::Paused { id, position_ms }
        };
        self.step(Input::Player(heard));
    }

    /// The track comes to its end, as gapless as may be.
    pub fn end(&mut self) {
        let Some((id, _)) = self.loaded.clone() else {
            return;
        };
        match self.next.take() {
            Some((next, uri)) => {
                self.loaded = Some((next, uri));
                self.step(Input::Player(Heard::Joined { id: next }));
            }
            None => {
                self.loaded = None;
                self.step(Input::Player(Heard::Ended { id }));
            }
        }
    }

    pub fn fail(&mut self, why: crate::connect::Why) {
        let (id, _) = self.loaded.clone().expect("a track");
        self.step(Input::Player(Heard::Failed { id, why }));
    }

    /// A cluster that is true now.
    pub fn says(&self, active: &str) -> Cluster {
        Cluster {
            active: active.into(),
            server_ms: SERVER + self.tick as i64,
            ..Cluster::default()
        }
    }

    pub fn pushed(&mut self, active: &str) {
        let cluster = self.says(active);
        self.step(Input::Cluster(cluster));
    }

    /// The service answers the last PUT, and agrees.
    pub fn confirmed(&mut self) {
        let number = self.out.iter().rev().find_map(|action| match action {
            Action::Put { number, .. } => Some(*number),
            _ => None,
        });
        let cluster = self.says(OWN);
        let number = number.unwrap_or(u64::MAX);
        self.step(Input::PutAnswered { number, cluster });
    }

    pub fn wait(&mut self, ms: u64) {
        self.tick += ms;
        self.step(Input::Timer);
    }

    /// What plays, as a number.
    pub fn current(&self) -> Option<usize> {
        let shown = self.connect.shown();
        shown.track.map(|track| number(&track.uri))
    }

    /// What will play, as numbers.
    pub fn upcoming(&self) -> Vec<usize> {
        let next = self.connect.shown().next;
        let plays = |track: &&ShownTrack| track.delimiter.is_none() && track.barred.is_none();
        let tracks = next.iter().filter(plays);
        tracks.map(|track| number(&track.uri)).collect()
    }

    pub fn did(&self, is_it: impl Fn(&Action) -> bool) -> bool {
        self.out.iter().any(is_it)
    }
}

pub fn number(uri: &str) -> usize {
    let digits = uri.rsplit(':').next().unwrap_or_default();
    digits.parse().expect("a numbered track")
}
