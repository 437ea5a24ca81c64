//! What is done while a connection stands: the state is told, wishes are carried out.
//!
//! Told is what differs from what was told last. Nothing is waited for but the line: what does not
//! get through yet waits, the newest of each topic. Each speaker's wishes are carried out one after
//! the other, in the order in which they came.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::oneshot,
    task::JoinSet,
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    End,
    client::{Ears, Heard, Message, Mouth, Trouble},
    commands,
    topics::{Meant, OFFLINE, ONLINE, Sight, Topics, Tree},
};
use crate::bus::{Bus, Order, Reason, Unable};

/// How long is looked for what an earlier siskin of our name left behind.
const SWEEP: Duration = Duration::from_secs(3);
/// Wishes of one speaker that may wait.
const WISHES: usize = 16;
/// What may wait for the line beside the state, whose topics are counted. More is left out.
const REMARKS: usize = 64;
/// Speakers whose sound cards are looked for at once.
const LOOKS: usize = 1;
/// An id is shorter; so nobody makes us publish at length.
const MAX_ID: usize = 64;

/// Why a session is over.
#[derive(Debug)]
pub enum Over {
    Told,
    Lost(Trouble),
}

pub struct Session<'a> {
    tree: &'a Tree,
    bus: Bus,
    mouth: Mouth,
    ears: Ears,
    sight: Sight,
    /// What stands on the broker, as far as we have seen to it.
    told: Topics,
    waiting: VecDeque<Message>,
    delivered: u64,
    lanes: BTreeMap<Lane, VecDeque<Wish>>,
    at_work: JoinSet<(Wish, Result<(), Unable>)>,
    /// Speakers whose outputs are known here, or are about to be.
    looked: BTreeSet<String>,
    looking: JoinSet<()>,
}

/// A speaker, and whether its output is meant: another one takes seconds to open, and a pause does
/// not wait for that.
type Lane = (String, bool);

/// Something a speaker is to do.
#[derive(Debug)]
struct Wish {
    speaker: String,
    command: String,
    order: Order,
}

impl Wish {
    fn lane(&self) -> Lane {
        let output = matches!(self.order, Order::Output { .. });
        (self.speaker.clone(), output)
    }
}

/// What is told of a command that came to nothing.
#[derive(Serialize)]
struct Remark<'a> {
    command: &'a str,
    #[serde(flatten)]
    unable: &'a Unable,
}

impl<'a> Session<'a> {
    pub fn new(tree: &'a Tree, bus: Bus, mouth: Mouth, ears: Ears) -> Self {
        let house = bus.now();
        // A broker that comes and goes is no reason to look again.
        let known = house.speakers.iter().filter(|one| one.outputs.len() > 1);
        let looked = known.map(|speaker| speaker.id.clone()).collect();
        Self {
            tree,
            bus,
            mouth,
            ears,
            sight: Sight::default(),
            told: Topics::new(),
            waiting: VecDeque::new(),
            delivered: 0,
            lanes: BTreeMap::new(),
            at_work: JoinSet::new(),
            looked,
            looking: JoinSet::new(),
        }
    }

    /// Goes on until the line breaks, or `stop` says how to end. `deaf` is called when the broker
    /// does not let us listen.
    pub async fn run(mut self, stop: &mut oneshot::Receiver<End>, deaf: impl Fn()) -> Over {
        for filter in self.tree.filters() {
            self.mouth.listen(filter);
        }
        self.mouth.listen(self.tree.everything());
        self.publish(self.tree.availability(), ONLINE.into());
        self.look();
        let mut sweep_ends = Some(Instant::now() + SWEEP);
        let mut house_stands = true;
        loop {
            tokio::select! {
                end = &mut *stop => {
                    // Whoever drops the other end wants us gone as well.
                    let end = end.unwrap_or(End::Leave);
                    self.farewell(end).await;
                    return Over::Told;
                }
                heard = self.ears.next() => match heard {
                    Heard::Up => {}
                    Heard::Delivered => self.delivered += 1,
                    Heard::Deaf => deaf(),
                    Heard::Message(message) => self.take(message),
                    Heard::Down(trouble) => return Over::Lost(trouble),
                },
                changed = self.bus.changed(), if house_stands => match changed {
                    Some(_) => self.look(),
                    None => house_stands = false,
                },
                () = hand(&self.mouth, self.waiting.front()) => self.handed(),
                Some(done) = self.at_work.join_next() => if let Ok((wish, result)) = done {
                    self.done(&wish, result);
                },
                Some(_) = self.looking.join_next() => self.look_for_outputs(),
                () = until(sweep_ends) => {
                    sweep_ends = None;
                    self.mouth.ignore(self.tree.everything());
                }
            }
        }
    }

    /// Tells what is different now.
    fn look(&mut self) {
        let house = self.bus.seen();
        let version = env!("CARGO_PKG_VERSION");
        let new = self.sight.topics(self.tree, &house, version);
        let old = std::mem::take(&mut self.told);
        for topic in old.keys().filter(|topic| !new.contains_key(*topic)) {
            self.publish(topic.clone(), String::new());
        }
        // Who wakes up because it plays now finds what it is.
        let is_last = |topic: &str| topic.ends_with("/state") || topic.ends_with("/playing");
        for last in [false, true] {
            for (topic, payload) in &new {
                if is_last(topic) == last && old.get(topic) != Some(payload) {
                    self.publish(topic.clone(), payload.clone());
                }
            }
        }
        self.told = new;
        self.look_for_outputs();
    }

    /// Cards are looked for when somebody asks; who only reads topics cannot. So it is done once for
    /// each speaker, and again when Home Assistant begins anew. What is found comes as state.
    fn look_for_outputs(&mut self) {
        let house = self.bus.now();
        self.looked.retain(|id| house.speaker(id).is_some());
        for speaker in &house.speakers {
            if self.looking.len() >= LOOKS {
                return;
            }
            if self.looked.insert(speaker.id.clone()) {
                let (bus, speaker) = (self.bus.clone(), speaker.id.clone());
                self.looking.spawn(async move {
                    // Without them there is still the one that is configured.
                    let _ = bus.order(Order::Outputs { speaker }).await;
                });
            }
        }
    }

    fn take(&mut self, message: Message) {
        let Message {
            topic,
            payload,
            retained,
        } = message;
        match self.tree.meant(&topic) {
            // It begins anew, and knows nothing. A retained one is as old as itself.
            Meant::Home if !retained && payload == ONLINE.as_bytes() => {
                self.told.clear();
                self.looked.clear();
                self.publish(self.tree.availability(), ONLINE.into());
                self.look();
            }
            // The will of a connection before this one, which the broker has only now given up.
            Meant::Availability if !retained && payload == OFFLINE.as_bytes() => {
                self.publish(self.tree.availability(), ONLINE.into());
            }
            // A retained one is no wish of now.
            Meant::Command { speaker, command } if !retained => {
                self.command(speaker, command, &payload);
            }
            Meant::Told { speaker }
                if retained && !payload.is_empty() && !self.told.contains_key(&topic) =>
            {
                if self.bus.now().speaker(speaker).is_none()
                    && let Some(description) = self.tree.description(speaker)
                {
                    self.publish(description, String::new());
                }
                self.publish(topic, String::new());
            }
            _ => {}
        }
    }

    fn command(&mut self, speaker: &str, command: &str, payload: &[u8]) {
        if speaker.is_empty() || speaker.len() > MAX_ID {
            return;
        }
        let order = match commands::order(speaker, command, payload) {
            Ok(order) => order,
            Err(unable) => return self.remark(speaker, command, &unable),
        };
        let wish = Wish {
            speaker: speaker.to_owned(),
            command: command.to_owned(),
            order,
        };
        match self.lanes.get_mut(&wish.lane()) {
            None => {
                self.lanes.insert(wish.lane(), VecDeque::new());
                self.begin(wish);
            }
            Some(lane) if lane.len() < WISHES => lane.push_back(wish),
            Some(_) => {
                let what = "too many commands wait for this speaker";
                let unable = Unable::new(Reason::Unavailable, what, "send fewer, or later");
                self.remark(speaker, command, &unable);
            }
        }
    }

    fn begin(&mut self, wish: Wish) {
        let bus = self.bus.clone();
        self.at_work.spawn(async move {
            let result = bus.order(wish.order.clone()).await.map(drop);
            (wish, result)
        });
    }

    fn done(&mut self, wish: &Wish, result: Result<(), Unable>) {
        if let Err(unable) = result {
            self.remark(&wish.speaker, &wish.command, &unable);
        }
        let lane = self.lanes.get_mut(&wish.lane());
        match lane.and_then(VecDeque::pop_front) {
            Some(next) => self.begin(next),
            None => drop(self.lanes.remove(&wish.lane())),
        }
    }

    fn remark(&mut self, speaker: &str, command: &str, unable: &Unable) {
        let passing = self.waiting.iter().filter(|message| !message.retained);
        if passing.count() >= REMARKS {
            return;
        }
        let remark = Remark { command, unable };
        self.waiting.push_back(Message {
            topic: self.tree.of(speaker, "error"),
            payload: serde_json::to_vec(&remark).unwrap_or_default(),
            retained: false,
        });
    }

    /// To be retained. What waits for the same topic is not true any more.
    fn publish(&mut self, topic: String, payload: String) {
        let waiting = self.waiting.iter_mut();
        let same = waiting.filter(|message| message.retained && message.topic == topic);
        let payload = payload.into_bytes();
        match same.last() {
            Some(message) => message.payload = payload,
            None => self.waiting.push_back(Message {
                topic,
                payload,
                retained: true,
            }),
        }
    }

    fn handed(&mut self) {
        if self.waiting.pop_front().is_some() {
            self.mouth.handed += 1;
        }
    }

    /// Says goodbye, and waits until it has arrived; not for long.
    async fn farewell(&mut self, end: End) {
        // Nobody is to see a state that nobody looks after as the last of it.
        self.waiting.clear();
        match end {
            End::Leave => self.publish(self.tree.availability(), OFFLINE.into()),
            End::Forget => {
                for topic in std::mem::take(&mut self.told).into_keys() {
                    self.publish(topic, String::new());
                }
                self.publish(self.tree.availability(), String::new());
            }
        }
        let limit = Instant::now() + end.patience();
        let said = async {
            while !self.waiting.is_empty() || self.delivered < self.mouth.handed {
                tokio::select! {
                    heard = self.ears.next() => match heard {
                        Heard::Delivered => self.delivered += 1,
                        Heard::Down(_) => return,
                        _ => {}
                    },
                    () = hand(&self.mouth, self.waiting.front()) => self.handed(),
                }
            }
            self.mouth.leave().await;
            while !matches!(self.ears.next().await, Heard::Down(_)) {}
        };
        if timeout_at(limit, said).await.is_err() {
            tracing::debug!("the MQTT broker did not take the goodbye in time");
        }
    }
}

/// Waits for ever when there is nothing to hand over.
async fn hand(mouth: &Mouth, message: Option<&Message>) {
    match message {
        Some(message) => mouth.hand(message).await,
        None => std::future::pending().await,
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
