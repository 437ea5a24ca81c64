//! The device as the phone sees it: one pure state machine.
//!
//! [`Connect::step`] takes one thing that happened and returns what is to be done about it. No
//! socket, no clock, no channel: a shell carries the actions out (`librespot::connect`) and hands
//! their outcomes back as inputs. Start at [`Connect::step`]; `commands` is what apps ask for,
//! `sound` what the player says, `lineup` what comes next.
//!
//! **When a command is answered.** Play, transfer and skip: when the track is known to exist and
//! its file is on its way, or sounds; pause, resume and seek: when the player has done it; what
//! only changes the order of things: at once. A command that a later one made pointless was obeyed
//! and is answered "yes"; one that waits when another device takes over is answered "no". After
//! 1.8 s it is answered by how things stand: "yes" while it is still on its way, "no" when it is not
//! or when music sounds that was to pause.

mod action;
mod advance;
mod chance;
mod cluster;
mod commands;
mod context;
mod failures;
mod input;
mod later;
mod lineup;
mod orders;
mod peers;
mod play;
mod questions;
mod replies;
mod shown;
mod sleep;
mod sound;
mod standing;
mod twice;
mod uri;

#[cfg(test)]
mod tests;

use std::collections::HashSet;

pub use action::{Action, PutReason};
pub use context::{BARE_LIST, MAX_TRACKS, TRACKS_AHEAD};
pub use input::*;
pub use lineup::{MAX_QUEUE, Modes, Provider};
pub use shown::{Shown, ShownTrack};
pub use uri::{Entry, Uid, Uri};

use crate::model::{Obstacle, Peer, Playback, Track, Volume};
use chance::Chance;
use failures::Failures;
use later::Retry;
use lineup::Lineup;
use questions::{Following, Paging, Resolving};
use replies::{By, Replies, Wants};
use sleep::Rest;
use standing::Standing;
use twice::Told;

/// Names of unknown commands that were logged already.
const MAX_LOGGED: usize = 32;

/// What a device begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its id in the cluster.
    pub id: String,
    /// As the picker shows it.
    pub name: String,
    pub volume: Volume,
    pub settings: Settings,
    /// How long music fades before a sleep timer pauses it, where nobody says; 0: not at all.
    pub sleep_fade_ms: u32,
    /// The play session; a new one for every sign-in.
    pub session_id: String,
    /// Where shuffled orders and names come from.
    pub seed: u64,
}

/// What sounds, as far as the player has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is loaded. There may be a track that would be.
    Idle,
    /// What to play is being asked for: a context, a page, what follows the end.
    Waiting,
    Loading,
    Playing,
    Paused,
}

/// A position that was true at a tick.
#[derive(Debug, Clone, Copy, Default)]
struct Position {
    ms: u32,
    tick: u64,
}

/// A place that the player was sent to and has not told of yet.
#[derive(Debug, Clone, Copy)]
struct Aim {
    /// After that it is not waited for any more.
    until_tick: u64,
}

/// The player has carried a seek out, or will not, after this.
const SEEK_MS: u64 = 2_000;

/// A player that is no further from its aim than this has got there.
const NEAR_MS: u32 = 1_000;

/// The track that the player has ready, or is getting ready.
#[derive(Debug)]
struct Prepared {
    id: LoadId,
    uri: Uri,
    track: Option<Box<Track>>,
    /// It could not be had for a reason that may pass.
    retry: Retry,
}

/// What is to be done with a context that was asked for.
#[derive(Debug)]
enum Then {
    /// A track of it plays already; this is the name of its place, when it has another one.
    Adopt { anchor: Option<Uid> },
    /// As `Adopt`, where an app has told a part of it, unless it has told that in another order.
    Extend,
    /// Begin there.
    Start { skip_to: SkipTo, position_ms: u32 },
    /// As `Adopt`, with the shuffled order of before.
    Restore {
        key: context::ShuffleKey,
        index: usize,
    },
}

/// What is waited for in [`Phase::Waiting`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    Begin,
    Next,
}

/// A place of the context that is to be begun at, and is not known yet.
#[derive(Debug)]
struct Beginning {
    skip_to: SkipTo,
    position_ms: u32,
}

/// The state machine. See the module.
#[derive(Debug)]
pub struct Connect {
    name: String,
    volume: Volume,
    /// How loud it was before it was muted here.
    loud: Option<Volume>,
    settings: Settings,
    rest: Rest,
    standing: Standing,
    lineup: Lineup,
    replies: Replies,
    failures: Failures,
    chance: Chance,
    phase: Phase,
    waiting: Waiting,
    /// Whether it is to be heard once it can be.
    want_play: bool,
    /// It waits for its output, and goes on by itself unless somebody decides otherwise.
    held: bool,
    position: Position,
    aim: Option<Aim>,
    /// The order that is current.
    load: LoadId,
    loads: LoadId,
    described: Option<Box<Track>>,
    /// Which track was asked about that is not loaded.
    asked_about: Option<Uri>,
    prepared: Option<Prepared>,
    origin: Origin,
    session_id: String,
    playback_id: String,
    last_command: Sender,
    told: Option<Told>,
    resolving: Option<Resolving>,
    beginning: Option<Beginning>,
    paging: Option<Paging>,
    following: Option<Following>,
    /// Nothing follows this context, as the service said.
    no_following: Option<String>,
    tickets: Ticket,
    puts: u64,
    listed: bool,
    /// There is a connection whose first PUT was not answered yet.
    fresh: bool,
    /// It stopped because nothing would load, not because it was over.
    halted: bool,
    logged: HashSet<String>,
    timer: Option<u64>,
    /// The other devices of the account.
    peers: Vec<Peer>,
    /// Where playback is to go.
    sending: Option<String>,
    published: Option<Playback>,
    published_tick: u64,
    /// Something that others see has changed.
    touched: bool,
    now: Now,
    out: Vec<Action>,
}

impl Connect {
    pub fn new(device: Device) -> Self {
        let mut chance = Chance::new(device.seed);
        let lineup = Lineup::new(Chance::new(chance.next()));
        Self {
            name: device.name,
            volume: device.volume,
            loud: None,
            settings: device.settings,
            rest: Rest::new(device.sleep_fade_ms),
            standing: Standing::new(device.id),
            lineup,
            replies: Replies::default(),
            failures: Failures::default(),
            phase: Phase::Idle,
            waiting: Waiting::Begin,
            want_play: false,
            held: false,
            position: Position::default(),
            aim: None,
            load: 0,
            loads: 0,
            described: None,
            asked_about: None,
            prepared: None,
            origin: Origin::default(),
            session_id: device.session_id,
            playback_id: String::new(),
            last_command: Sender::default(),
            told: None,
            resolving: None,
            beginning: None,
            paging: None,
            following: None,
            no_following: None,
            tickets: 0,
            puts: 0,
            listed: false,
            fresh: false,
            halted: false,
            logged: HashSet::new(),
            timer: None,
            peers: Vec::new(),
            sending: None,
            published: None,
            published_tick: 0,
            touched: false,
            now: Now::default(),
            out: Vec::new(),
            chance,
        }
    }

    /// Takes one thing that happened; returns what is to be done, in order.
    pub fn step(&mut self, input: Input, now: Now) -> Vec<Action> {
        self.now = now;
        match input {
            Input::Connected => {
                self.fresh = true;
                self.put(PutReason::NewDevice);
            }
            Input::Command {
                ticket,
                from,
                command,
            } => self.command(ticket, from, command),
            Input::SetVolume(volume) => self.set_volume(volume),
            Input::Logout => self.log_out(),
            Input::Rename(name) => {
                self.name = name;
                self.put(PutReason::NewDevice);
            }
            Input::Cluster(cluster) => self.cluster(cluster, None),
            Input::PutAnswered { number, cluster } => self.cluster(cluster, Some(number)),
            Input::Resolved { ticket, listing } => self.resolved(ticket, listing),
            Input::Paged { ticket, pages } => self.paged(ticket, pages),
            Input::Track(track) => self.told_of(track),
            Input::Autoplay { ticket, listing } => self.autoplay(ticket, listing),
            Input::ContextChanged { uri } => self.context_changed(&uri),
            Input::Player(heard) => self.heard(heard),
            Input::Clock { id, position_ms } => self.clock(id, position_ms),
            Input::Order(order) => self.order(order, None),
            Input::Asked { ticket, order } => self.order(order, Some(ticket)),
            Input::NotFetched { why } => self.not_fetched(&why),
            Input::NotSent { why } => self.not_sent(&why),
            Input::Settings(settings) => self.set_settings(settings),
            Input::Level(volume) => self.level(volume),
            Input::Timer => {}
        }
        self.fall_asleep();
        self.answer_due();
        self.look_ahead();
        self.dim();
        self.tell();
        self.set_timer();
        self.remember_answer();
        std::mem::take(&mut self.out)
    }

    /// Whether this is the active device.
    pub fn is_active(&self) -> bool {
        self.standing.is_active()
    }

    /// The name in the picker.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn modes(&self) -> Modes {
        self.lineup.modes()
    }

    /// Where the music is.
    fn position_ms(&self) -> u32 {
        let gone = if self.phase == Phase::Playing {
            self.now.tick_ms.saturating_sub(self.position.tick)
        } else {
            0
        };
        let gone = u32::try_from(gone).unwrap_or(u32::MAX);
        let position = self.position.ms.saturating_add(gone);
        match &self.described {
            Some(track) if track.duration_ms > 0 => position.min(track.duration_ms),
            _ => position,
        }
    }

    fn set_position(&mut self, ms: u32) {
        self.position = Position {
            ms,
            tick: self.now.tick_ms,
        };
        self.aim = None;
    }

    /// Sends the player there. To the listener it is there already.
    fn aim_at(&mut self, position_ms: u32) {
        self.set_position(position_ms);
        self.rest.begin_anew();
        self.aim = Some(Aim {
            until_tick: self.now.tick_ms + SEEK_MS,
        });
        self.push(Action::Seek { position_ms });
    }

    /// The player says where it is. What it says on its way to another place is of before: who steps
    /// on from what he sees would land beside it. False when it is not taken.
    fn is_at(&mut self, position_ms: u32) -> bool {
        let on_its_way = self.aim.is_some_and(|aim| {
            let near = self.position_ms().abs_diff(position_ms) <= NEAR_MS;
            !near && self.now.tick_ms < aim.until_tick
        });
        if !on_its_way {
            self.set_position(position_ms);
        }
        !on_its_way
    }

    fn push(&mut self, action: Action) {
        self.out.push(action);
    }

    fn note(&mut self, line: String) {
        self.push(Action::Note(line));
    }

    fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        self.tickets
    }

    fn put(&mut self, reason: PutReason) {
        self.puts += 1;
        self.push(Action::Put {
            number: self.puts,
            reason,
        });
    }

    fn settle(&mut self, is_it: impl Fn(Wants) -> bool, result: Result<(), String>) {
        let obstacle = Obstacle::Unplayable;
        self.replies.settle(is_it, &result, obstacle, &mut self.out);
    }

    /// Becomes the active device.
    fn activate(&mut self) {
        if self.standing.activate(self.now, self.puts + 1) {
            self.touched = true;
        }
    }

    /// Stops being the active device, and forgets what it played.
    fn retire(&mut self, why: &str) {
        self.standing.deactivate();
        self.silence();
        let result = Err(why.to_owned());
        self.replies
            .settle(|_| true, &result, Obstacle::NotActive, &mut self.out);
        self.lineup = Lineup::new(Chance::new(self.chance.next()));
        self.failures = Failures::default();
        self.resolving = None;
        self.beginning = None;
        self.paging = None;
        self.following = None;
        self.no_following = None;
        self.want_play = false;
        self.origin = Origin::default();
        self.rest.is_off();
        self.set_position(0);
        self.push(Action::PutInactive);
        self.touched = true;
    }

    /// Lets go of the player.
    fn silence(&mut self) {
        if matches!(self.phase, Phase::Loading | Phase::Playing | Phase::Paused) {
            self.push(Action::Stop);
        }
        self.phase = Phase::Idle;
        self.halted = false;
        self.described = None;
        self.prepared = None;
    }

    fn set_volume(&mut self, volume: Volume) {
        self.push(Action::SetVolume(volume));
        self.level(volume);
    }

    fn level(&mut self, volume: Volume) {
        if self.volume != volume {
            self.volume = volume;
            self.put(PutReason::VolumeChanged);
            self.touched = true;
        }
    }

    /// What the account's owner changes holds from now on, also for what was chosen before; the track
    /// that plays is left alone.
    fn set_settings(&mut self, settings: Settings) {
        let before = std::mem::replace(&mut self.settings, settings);
        self.no_following = None;
        if before.autoplay && !settings.autoplay {
            self.following = None;
            self.touched |= self.lineup.drop_autoplay();
        }
        if before.filter_explicit && !settings.filter_explicit {
            self.touched |= self.lineup.forgive_explicit();
        }
        let explicit = |it: &&Prepared| it.track.as_ref().is_some_and(|track| track.explicit);
        let next = self.prepared.as_ref().filter(explicit).map(|it| it.id);
        if let Some(id) = next.filter(|_| settings.filter_explicit) {
            self.failed(id, Why::Explicit);
        }
    }

    fn log_out(&mut self) {
        self.leave();
        self.push(Action::LoggedOut);
    }

    fn leave(&mut self) {
        if self.is_active() {
            self.retire("the speaker leaves");
        }
        self.push(Action::Delete);
    }

    /// Those who have waited long enough are told how things stand.
    fn answer_due(&mut self) {
        for (who, wants) in self.replies.due(self.now.tick_ms) {
            let under_way = self.phase != Phase::Idle;
            let result = match wants {
                // Still on its way. Should it fail after all, the state says so.
                Wants::Known(_) | Wants::Begun | Wants::Sought | Wants::Playing if under_way => {
                    // An app takes "not yet" for "no"; this house is told as it is.
                    match who.0 {
                        By::App => Ok(()),
                        By::House => Err("it is still under way".to_owned()),
                    }
                }
                Wants::Pulled => Err("nothing has come from elsewhere yet".to_owned()),
                Wants::Sent => Err("the other device has not taken over yet".to_owned()),
                Wants::Paused if self.phase != Phase::Playing => Ok(()),
                Wants::Paused => Err("the player did not pause".to_owned()),
                _ => Err("there is nothing to play".to_owned()),
            };
            self.push(replies::reply(who, result, Obstacle::TooLate));
        }
    }

    fn set_timer(&mut self) {
        let sleep = self.rest.next_due(self.now.tick_ms);
        let due = self.replies.next_due();
        let prepared = self.prepared.as_ref().and_then(|it| it.retry.due());
        let all = [sleep, due, prepared, self.asks_again_at()];
        let next = all.into_iter().flatten().min();
        if let Some(tick_ms) = next
            && self.timer != next
        {
            self.push(Action::SetTimer { tick_ms });
        }
        self.timer = next;
    }
}
