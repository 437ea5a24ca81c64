//! The device of [`crate::connect`] with a player that does as it is told, and what it promises
//! whatever apps, service and player say.

use std::collections::HashMap;

use crate::{
    connect::{
        Action, Command, Connect, Device, Heard, Input, LoadId, Now, Sender, Settings, Ticket, Uri,
    },
    model::{Playback, Track, Volume},
};

/// What is kept to in any order of things.
#[derive(Default)]
pub(crate) struct Promises {
    /// Commands that were not answered yet, and since when.
    owed: HashMap<Ticket, u64>,
    timer: Option<u64>,
}

impl Promises {
    /// When the timer that was set goes off.
    pub(crate) fn due(&self) -> Option<u64> {
        self.timer
    }

    /// To be told of every input before it is taken.
    pub(crate) fn before(&mut self, input: &Input, tick_ms: u64) {
        match input {
            Input::Command { ticket, .. } => {
                self.owed.insert(*ticket, tick_ms);
            }
            Input::Timer => self.timer = self.timer.filter(|due| *due > tick_ms),
            _ => {}
        }
    }

    /// To be told of what came of it, and whether the player has a track after that.
    ///
    /// # Panics
    /// When a command is answered twice or too late, or when what is shown has grown.
    pub(crate) fn after(
        &mut self,
        connect: &Connect,
        actions: &[Action],
        is_loaded: bool,
        tick_ms: u64,
    ) {
        for action in actions {
            match action {
                Action::Reply { ticket, .. } => {
                    assert!(self.owed.remove(ticket).is_some(), "answered once");
                }
                Action::SetTimer { tick_ms } => self.timer = Some(*tick_ms),
                _ => {}
            }
        }
        let shown = connect.shown();
        assert!(shown.active || !is_loaded, "music, and not the active one");
        let waited = self.owed.values().map(|since| tick_ms - since).max();
        assert!(waited.unwrap_or(0) <= 2_200, "{waited:?} ms");
        assert!(shown.next.len() <= 80 && shown.previous.len() <= 10);
        assert_eq!(connect.playback().active, shown.active);
    }
}

/// A device, from its first moment on.
pub(super) struct Machine {
    connect: Connect,
    promises: Promises,
    tick: u64,
    ticket: Ticket,
    puts: u64,
    /// What the player has.
    loaded: Option<(LoadId, Uri)>,
    next: Option<LoadId>,
    /// Questions about contexts that were not answered yet.
    asked: Vec<Action>,
    pub published: Option<Box<Playback>>,
}

impl Machine {
    pub(super) fn new() -> Self {
        let device = Device {
            id: "own".into(),
            name: "Kitchen".into(),
            volume: Volume::FULL,
            settings: Settings {
                autoplay: true,
                ..Settings::default()
            },
            sleep_fade_ms: 0,
            session_id: "session".into(),
            seed: 11,
        };
        Self {
            connect: Connect::new(device),
            promises: Promises::default(),
            tick: 0,
            ticket: 0,
            puts: 0,
            loaded: None,
            next: None,
            asked: Vec::new(),
            published: None,
        }
    }

    pub(super) fn step(&mut self, input: Input) {
        let now = Now {
            unix_ms: 1_700_000_000_000 + self.tick as i64,
            tick_ms: self.tick,
        };
        self.promises.before(&input, self.tick);
        let actions = self.connect.step(input, now);
        for action in &actions {
            match action {
                Action::Load { id, uri, .. } => {
                    self.loaded = Some((*id, uri.clone()));
                    self.next = None;
                }
                Action::Prepare { id, .. } => self.next = Some(*id),
                Action::DropNext => self.next = None,
                Action::Stop => (self.loaded, self.next) = (None, None),
                Action::Put { number, .. } => self.puts = *number,
                Action::Publish(playback) => self.published = Some(playback.clone()),
                _ => {}
            }
        }
        let is_loaded = self.loaded.is_some();
        self.promises
            .after(&self.connect, &actions, is_loaded, self.tick);
        self.asked
            .extend(actions.into_iter().filter(Action::is_question));
        self.asked.truncate(20);
    }

    /// Lets time pass; the timer goes off in it when its time comes.
    pub(super) fn wait(&mut self, ms: u64) {
        let until = self.tick + ms;
        // As often as a timer can be set in earnest.
        for _ in 0..1_000 {
            match self.promises.due() {
                Some(due) if due <= until => {
                    self.tick = self.tick.max(due);
                    self.step(Input::Timer);
                }
                _ => break,
            }
        }
        self.tick = until;
    }

    pub(super) fn command(&mut self, from: Sender, command: Command) {
        self.ticket += 1;
        let ticket = self.ticket;
        self.step(Input::Command {
            ticket,
            from,
            command,
        });
    }

    /// The ticket of a new order.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.ticket += 1;
        self.ticket
    }

    pub(super) fn last_put(&self) -> u64 {
        self.puts
    }

    pub(super) fn question(&mut self) -> Option<Action> {
        self.asked.pop()
    }

    /// The player says something, as the first byte has it, about what it has.
    pub(super) fn hear(&mut self, kind: u8, position_ms: u32) {
        let loaded = self.loaded.as_ref();
        let id = match kind & 0x80 {
            0 => loaded.map_or(1, |(id, _)| *id),
            _ => self.next.unwrap_or(2),
        };
        let heard = match kind & 15 {
            0 | 1 => Heard::Described {
                id,
                track: Box::new(Track {
                    uri: loaded.map(|(_, uri)| uri.to_string()).unwrap_or_default(),
                    duration_ms: position_ms,
                    explicit: kind & 0x40 != 0,
                    ..Track::default()
                }),
            },
            2 | 3 => Heard::Started { id, position_ms },
            4 => Heard::Paused { id, position_ms },
            5 => Heard::Seeked { id, position_ms },
            6 => Heard::Stalled { id, position_ms },
            7 => Heard::Held { id, position_ms },
            8 => Heard::Ended { id },
            9..=11 => {
                let whys = [
                    crate::connect::Why::Unavailable,
                    crate::connect::Why::Network,
                    crate::connect::Why::Keys,
                ];
                let why = whys[usize::from(kind & 15) - 9];
                Heard::Failed { id, why }
            }
            12 => return self.step(Input::Clock { id, position_ms }),
            _ => Heard::Joined {
                id: self.next.unwrap_or(id),
            },
        };
        self.step(Input::Player(heard));
    }
}
