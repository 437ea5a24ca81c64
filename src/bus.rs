//! The handle that every control surface holds: one state to read, one way to give orders.
//!
//! State is the truth, events are hints: a surface waits for [`Bus::changed`] and then reads
//! [`Bus::now`]; one that was slow has missed nothing that is still true. An order is answered when
//! it has taken effect, or with why it has not. [`Desk`] is the daemon's end.
//!
//! A new order: a variant of [`Order`] with its limit in [`Order::limit`], a variant of [`Answer`]
//! if it has something to tell, an arm in `daemon/clerk.rs` that carries it out, and a route in
//! `control/http` (see there).

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use serde::Serialize;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use crate::{
    model::{
        Account, Examination, House, Known, Measures, Obstacle, OutputChoice, Pairing, Query,
        Secret, Transport, Unmet, Way, unix_ms,
    },
    tally::Tally,
};

/// Orders that may wait for the daemon; more wait at their senders, within their limits.
const WAITING: usize = 16;

/// What a surface can ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Every account that is remembered.
    Accounts,
    /// Signs a remembered account in. Taken effect when Spotify has let it in.
    UseAccount { speaker: String, user: String },
    /// Signs an account out everywhere here and removes it from the disk; `None`: all of them.
    ForgetAccount { user: Option<String> },
    /// What people call an account; empty: what Spotify calls it.
    RenameAccount { user: String, name: String },
    /// Begins to sign somebody in by a code or a browser. Where that stands is in the state.
    Pair { speaker: String, way: Way },
    /// Where the sign-in that was begun last stands, or how it ended.
    Pairing { speaker: String },
    /// The address that the browser was led to, for a sign-in that waits for it.
    Paste { speaker: String, address: Secret },
    /// Ends a sign-in that is under way.
    CancelPairing { speaker: String },
    /// Something is to play, or to play otherwise.
    Transport { speaker: String, wish: Transport },
    /// Music that is held for hooks may be heard.
    LetPlay { speaker: String },
    /// What every engine that plays measures of itself.
    Measure,
    /// Somebody wants to see something that only Spotify has. The last answers are kept.
    Ask { speaker: String, query: Query },
    /// Looks where the sound could go.
    Outputs { speaker: String },
    /// The sound is to go elsewhere, from now on; [`crate::model::AS_CONFIGURED`] or empty: where the
    /// configuration says.
    Output { speaker: String, device: String },
    /// How much is logged from now on: `error`, `warn`, `info`, `debug` or `trace`.
    Log { level: String },
    /// What phones show, from now on; empty: what the configuration says.
    Name { speaker: String, name: String },
    /// The doctor is to look at the whole way from a phone to the music. One at a time. `tone`: each
    /// card that nothing plays on is to be heard for a second.
    Examine { tone: bool },
}

/// What an order came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Done,
    Accounts(Vec<Account>),
    Pairing(Pairing),
    /// By the id of the speaker; those that did not answer are left out.
    Measures(Vec<(String, Measures)>),
    Known(Arc<Known>),
    Outputs(Vec<OutputChoice>),
    Examined(Examination),
}

/// Why an order has not taken effect. What was there before still is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unable {
    pub code: Reason,
    /// What and why, in a sentence.
    pub message: String,
    /// What can be done about it.
    pub help: String,
}

/// The kinds of no, fit for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    UnknownSpeaker,
    UnknownAccount,
    /// The account has no such device to send playback to.
    UnknownDevice,
    /// There is no such output, or it cannot be opened.
    NoOutput,
    /// Spotify does not allow it at present.
    Restricted,
    /// No sign-in by a code or a browser was asked for.
    NoPairing,
    /// The listener plays on another device, or on none.
    NotActive,
    /// Nobody is signed in on the speaker.
    NobodySignedIn,
    /// It cannot be played here, or there is no such thing.
    Unplayable,
    /// Understood, but there is no such value.
    Invalid,
    /// The wish goes against what is so, or is done, at the moment.
    Conflict,
    /// Spotify or the policy of the house says no.
    Refused,
    /// The disk, or a part of siskin, does not do its work.
    Broken,
    /// Not within the order's limit. It may take effect yet.
    TimedOut,
    /// The daemon is on its way out, or has too much to do.
    Unavailable,
}

impl Reason {
    pub fn key(self) -> &'static str {
        match self {
            Self::UnknownSpeaker => "unknown_speaker",
            Self::UnknownAccount => "unknown_account",
            Self::UnknownDevice => "unknown_device",
            Self::NoOutput => "no_output",
            Self::Restricted => "restricted",
            Self::NoPairing => "no_pairing",
            Self::NotActive => "not_active",
            Self::NobodySignedIn => "nobody_signed_in",
            Self::Unplayable => "unplayable",
            Self::Invalid => "invalid",
            Self::Conflict => "conflict",
            Self::Refused => "refused",
            Self::Broken => "broken",
            Self::TimedOut => "timed_out",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Order {
    /// How long it may take until it has taken effect.
    pub fn limit(&self) -> Duration {
        match self {
            // A sign-in beside whoever plays is decided within 9 s.
            Self::UseAccount { .. } => Duration::from_secs(20),
            Self::ForgetAccount { .. } => Duration::from_secs(10),
            // The engine's own limit is 2.5 s.
            Self::Transport { .. } => Duration::from_secs(3),
            Self::Measure | Self::LetPlay { .. } => Duration::from_secs(1),
            // The engine's own limit is 3.5 s.
            Self::Ask { .. } => Duration::from_secs(4),
            // Cards are looked for, then one is closed and another opened.
            Self::Outputs { .. } => Duration::from_secs(5),
            Self::Output { .. } => Duration::from_secs(10),
            // The doctor's own limit is 40 s.
            Self::Examine { .. } => Duration::from_secs(45),
            Self::Accounts
            | Self::RenameAccount { .. }
            | Self::Name { .. }
            | Self::Log { .. }
            | Self::Pair { .. }
            | Self::Pairing { .. }
            | Self::Paste { .. }
            | Self::CancelPairing { .. } => Duration::from_secs(5),
        }
    }
}

impl Unable {
    pub fn new(code: Reason, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            help: help.into(),
        }
    }

    pub fn unknown_speaker(id: &str) -> Self {
        Self::new(
            Reason::UnknownSpeaker,
            format!("there is no speaker {id:?}"),
            "GET /api/v1/status lists every speaker with its id",
        )
    }

    pub fn timed_out(limit: Duration) -> Self {
        let message = format!("that was not done within {} s", limit.as_secs());
        let help = "look at the status; what is under way may come to its end yet";
        Self::new(Reason::TimedOut, message, help)
    }

    pub fn no_pairing() -> Self {
        Self::new(
            Reason::NoPairing,
            "no sign-in is under way for this speaker",
            "begin one with POST, or with siskin pair",
        )
    }

    /// A speaker's own words, and what can be done about them.
    pub fn unmet(unmet: Unmet) -> Self {
        let (code, help) = match unmet.code {
            Obstacle::NotActive => (
                Reason::NotActive,
                "pull playback here first, or load something",
            ),
            Obstacle::Conflict => (Reason::Conflict, "load something, or look at the state"),
            Obstacle::Unplayable => (
                Reason::Unplayable,
                "see whether it plays in the Spotify app with this account",
            ),
            Obstacle::Restricted => (
                Reason::Restricted,
                "play something else; what is forbidden stands in the state",
            ),
            Obstacle::UnknownDevice => (
                Reason::UnknownDevice,
                "the state of the speaker lists the devices of the account",
            ),
            Obstacle::NoOutput => (
                Reason::NoOutput,
                "the sound goes where it went before; see whether the device is free",
            ),
            Obstacle::Nobody => (
                Reason::NobodySignedIn,
                "pick the speaker in the Spotify app, or use siskin pair",
            ),
            Obstacle::NoSession => (
                Reason::Unavailable,
                "siskin status tells why; it is mended by itself where that can be",
            ),
            Obstacle::TooLate => (
                Reason::TimedOut,
                "look at the state: it may take effect yet",
            ),
        };
        Self::new(code, unmet.why, help)
    }

    fn stopping() -> Self {
        let help = "ask again when the daemon runs";
        Self::new(Reason::Unavailable, "siskin is stopping", help)
    }
}

impl fmt::Display for Unable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.message)
    }
}

/// A surface's end.
#[derive(Debug, Clone)]
pub struct Bus {
    /// Unix time in ms.
    born_ms: i64,
    house: watch::Receiver<Arc<House>>,
    orders: mpsc::Sender<Asked>,
    tally: Tally,
}

/// The daemon's end.
#[derive(Debug)]
pub struct Desk {
    house: watch::Sender<Arc<House>>,
    asked: mpsc::Receiver<Asked>,
}

/// An order and who waits for its answer.
#[derive(Debug)]
pub struct Asked {
    pub order: Order,
    /// Dropping it says that nobody will carry the order out.
    pub answer: oneshot::Sender<Result<Answer, Unable>>,
}

/// Both ends.
pub fn open() -> (Bus, Desk) {
    let (publish, house) = watch::channel(Arc::default());
    let (orders, asked) = mpsc::channel(WAITING);
    let desk = Desk {
        house: publish,
        asked,
    };
    let born_ms = unix_ms();
    let bus = Bus {
        born_ms,
        house,
        orders,
        tally: Tally::default(),
    };
    (bus, desk)
}

impl Bus {
    /// The state as it is now.
    pub fn now(&self) -> Arc<House> {
        self.house.borrow().clone()
    }

    /// The same; [`Bus::changed`] waits for what is newer.
    pub fn seen(&mut self) -> Arc<House> {
        self.house.borrow_and_update().clone()
    }

    /// When this daemon began, in Unix ms: versions of the state are told apart by it.
    pub fn born_ms(&self) -> i64 {
        self.born_ms
    }

    /// What is counted of this daemon.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Waits for a state that this handle has not seen here. `None`: the daemon stops.
    pub async fn changed(&mut self) -> Option<Arc<House>> {
        self.house.changed().await.ok()?;
        Some(self.house.borrow_and_update().clone())
    }

    /// Gives an order and waits until it has taken effect.
    ///
    /// # Errors
    /// Why it has not.
    pub async fn order(&self, order: Order) -> Result<Answer, Unable> {
        let what = match &order {
            Order::Transport { wish, .. } => Some(wish.key()),
            _ => None,
        };
        let begun = Instant::now();
        let result = self.give(order).await;
        if let Some(what) = what {
            match &result {
                Ok(_) => self.tally.order(what, begun.elapsed()),
                Err(unable) => self.tally.refused(unable.code.key()),
            }
        }
        result
    }

    async fn give(&self, order: Order) -> Result<Answer, Unable> {
        let limit = order.limit();
        let (answer, answered) = oneshot::channel();
        let carried_out = async {
            let asked = Asked { order, answer };
            self.orders
                .send(asked)
                .await
                .map_err(|_| Unable::stopping())?;
            answered.await.unwrap_or_else(|_| Err(Unable::stopping()))
        };
        let done = timeout(limit, carried_out).await;
        done.unwrap_or_else(|_| Err(Unable::timed_out(limit)))
    }
}

impl Desk {
    /// Tells every surface, if anything is different. The version is counted here.
    pub fn publish(&self, house: &House) {
        self.house.send_if_modified(|known| {
            let news = !known.is_as(house);
            if news {
                let version = known.version + 1;
                *known = Arc::new(House {
                    version,
                    ..house.clone()
                });
            }
            news
        });
    }

    /// The next order; waits for ever when no surface is left. Cancel safe.
    pub async fn next(&mut self) -> Asked {
        match self.asked.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SpeakerState;

    #[tokio::test]
    async fn a_slow_reader_finds_the_newest_state_and_nothing_twice() {
        let (mut bus, desk) = open();
        let mut house = House::default();
        desk.publish(&house);
        for name in ["a", "b", "b"] {
            house.speakers = vec![SpeakerState {
                name: name.into(),
                ..SpeakerState::default()
            }];
            desk.publish(&house);
        }
        let seen = bus.changed().await.expect("news");
        assert_eq!(
            (seen.version, seen.speakers[0].name.as_str()),
            (2, "b"),
            "what says the same is no news"
        );
        assert_eq!(bus.now(), seen);
        drop(desk);
        assert_eq!(bus.changed().await, None);
    }
}
