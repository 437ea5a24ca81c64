//! Asks, from the outside, whether a phone could pick the speakers now, and has repaired what fails.
//!
//! Every twenty seconds, and at once after a change of the network, each speaker's announcement and
//! endpoint are asked as a phone would. What fails becomes a condition, and is repaired alone, the
//! cheapest way first ([`judge`], pure). The parts that stand in the engine (its process, the session)
//! prove themselves to the speaker, see `speaker::pulse`. The clock is looked at on the way ([`clock`]).

pub mod clock;
mod judge;

use std::{collections::BTreeMap, net::IpAddr};

use futures_util::future::join_all;
use tokio::{
    sync::{mpsc, watch},
    time::{Duration, Instant, sleep_until},
};

use super::board::Place;
use crate::{
    discovery::{
        OnAir, Published, Repair,
        probe::{self, Unheard},
    },
    model::{Condition, ConditionCode, DeviceId, LayerState, unix_ms},
};
use clock::Clock;
pub use judge::Part;
use judge::{CALM, Seen, Trail};

/// After a change, until what was announced anew can answer.
const SETTLE: Duration = Duration::from_millis(700);
/// While the clock is wrong: this soon after it was set, everybody signs in.
const CLOCK: Duration = Duration::from_secs(2);
/// A monitor that has not looked for this long does not turn.
const STALE: Duration = Duration::from_secs(90);

/// What the daemon hears.
#[derive(Debug)]
pub enum Report {
    /// How a part of a speaker was found. Told at every look.
    Found {
        place: Place,
        part: Part,
        state: LayerState,
        why: Option<String>,
    },
    Raised(Place, Condition),
    Cleared(Place, ConditionCode),
    /// `None`: it is right again.
    Clock(Option<Condition>),
    /// Other addresses, another way out, or another time: who waits may try at once.
    Changed,
}

/// Whether the daemon is worth being kept alive, as far as phones are concerned.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    fit: bool,
    looked: Instant,
}

impl Life {
    pub fn begins() -> Self {
        Self {
            fit: true,
            looked: Instant::now(),
        }
    }

    /// Everything holds or is being repaired in time, and somebody looks.
    pub fn goes_on(&self) -> bool {
        self.fit && self.looked.elapsed() < STALE
    }
}

/// Whom to look at, and whom to tell.
pub struct Monitor {
    pub on_air: watch::Receiver<OnAir>,
    pub repairs: mpsc::Sender<Repair>,
    pub places: Vec<(DeviceId, Place)>,
    pub reports: mpsc::Sender<Report>,
    pub life: watch::Sender<Life>,
}

/// What one look at one speaker found.
struct Look {
    place: Place,
    found: [(Part, Seen, Option<String>); 2],
}

impl Monitor {
    /// Looks until it is dropped. Ends by itself when discovery has.
    pub async fn run(mut self) {
        let begun = Instant::now();
        let mut clock = Clock::default();
        let mut trails: BTreeMap<Place, [Trail; 2]> = BTreeMap::new();
        let ways = |on_air: &OnAir| (on_air.interfaces.clone(), on_air.ways_out);
        let mut known = ways(&self.on_air.borrow_and_update());
        let mut due = Instant::now() + SETTLE;
        loop {
            let pace = tokio::select! {
                changed = self.on_air.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = ways(&self.on_air.borrow_and_update());
                    if now != known && !now.0.is_empty() {
                        self.tell(Report::Changed).await;
                    }
                    known = now;
                    SETTLE
                }
                () = sleep_until(due) => {
                    let wrong = self.look_at_clock(&mut clock, begun).await;
                    let pace = self.look(&mut trails).await;
                    if wrong { pace.min(CLOCK) } else { pace }
                }
            };
            due = Instant::now() + pace;
        }
    }

    async fn tell(&self, report: Report) {
        // Whoever listens is the daemon; without it we end as well.
        let _ = self.reports.send(report).await;
    }

    async fn look_at_clock(&self, clock: &mut Clock, begun: Instant) -> bool {
        let now = unix_ms();
        let told = clock.look(now, begun.elapsed());
        if told.news {
            let wrong = told.wrong.then(|| clock::wrong(now));
            self.tell(Report::Clock(wrong)).await;
        }
        if told.stepped && !told.wrong {
            tracing::info!("the clock of this machine was set");
            self.tell(Report::Changed).await;
        }
        told.wrong
    }

    /// Looks at every speaker once. Returns when to look again.
    async fn look(&self, trails: &mut BTreeMap<Place, [Trail; 2]>) -> Duration {
        let on_air = self.on_air.borrow().clone();
        let looks = self.places.iter().map(async |(device, place)| {
            let of = |one: &&Published| one.device == *device;
            let published = on_air.speakers.iter().find(of);
            let (announcement, endpoint) = match published {
                None => ((Seen::Nothing, None), (Seen::Nothing, None)),
                Some(one) => tokio::join!(heard(&on_air, one), answered(one)),
            };
            let place = place.clone();
            Look {
                place,
                found: [
                    (Part::Announcement, announcement.0, announcement.1),
                    (Part::Endpoint, endpoint.0, endpoint.1),
                ],
            }
        });
        let looks = join_all(looks).await;
        if *self.on_air.borrow() != on_air {
            // It changed while we looked: what was found is not true of anything.
            return SETTLE;
        }
        let now = Instant::now();
        let (mut pace, mut fit, mut repairs) = (CALM, true, Vec::new());
        for Look { place, found } in looks {
            let trails = trails.entry(place.clone()).or_default();
            for ((part, seen, why), trail) in found.into_iter().zip(trails) {
                repairs.extend(trail.follow(part, seen, now));
                pace = pace.min(trail.pace());
                fit &= trail.is_within_bound(now);
                self.report(&place, part, seen, why).await;
            }
        }
        self.life.send_replace(Life { fit, looked: now });
        repairs.sort();
        repairs.dedup();
        if repairs.contains(&Repair::Renew) {
            // Another responder says everything anyway.
            repairs.retain(|repair| *repair != Repair::Announce);
        } else {
            repairs.insert(0, Repair::Relieve);
        }
        for repair in repairs {
            let _ = self.repairs.try_send(repair);
        }
        pace
    }

    async fn report(&self, place: &Place, part: Part, seen: Seen, why: Option<String>) {
        let state = match seen {
            Seen::Fine => LayerState::Ok,
            Seen::Failed | Seen::Blocked => LayerState::Failed,
            Seen::Nothing => LayerState::Unknown,
        };
        let code = match part {
            Part::Announcement => ConditionCode::AnnouncementUnheard,
            Part::Endpoint => ConditionCode::EndpointDead,
        };
        let place = place.clone();
        let word = match &why {
            Some(why) => Report::Raised(place.clone(), condition(part, seen, why)),
            None => Report::Cleared(place.clone(), code),
        };
        self.tell(word).await;
        self.tell(Report::Found {
            place,
            part,
            state,
            why,
        })
        .await;
    }
}

fn condition(part: Part, seen: Seen, why: &str) -> Condition {
    match (part, seen) {
        (Part::Announcement, Seen::Blocked) => Condition::new(
            ConditionCode::AnnouncementUnheard,
            "phones cannot find the speaker",
            why,
            "allow UDP port 5353 in the firewall of this machine; siskin announces itself as soon \
             as it is let through",
        ),
        (Part::Announcement, _) => Condition::new(
            ConditionCode::AnnouncementUnheard,
            "phones may not find the speaker",
            why,
            "siskin announces itself anew by itself; should it stay, see siskin doctor",
        ),
        (Part::Endpoint, _) => Condition::new(
            ConditionCode::EndpointDead,
            "phones find the speaker, but cannot hand an account over",
            why,
            "siskin opens its port anew by itself; should it stay, see siskin doctor",
        ),
    }
}

/// Asks for the announcement on every interface that has an IPv4 address.
async fn heard(on_air: &OnAir, one: &Published) -> (Seen, Option<String>) {
    let ways = on_air.interfaces.iter().filter_map(|interface| {
        let from = interface.addresses.iter().find_map(|ip| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        });
        from.map(|from| (&interface.name, from))
    });
    let asked = ways.map(async |(name, from)| {
        let heard = probe::announced(from, &one.instance, one.port, &one.addresses).await;
        heard.map_err(|error| (name, error))
    });
    let asked = join_all(asked).await;
    if asked.is_empty() {
        return (Seen::Nothing, None);
    }
    // Our own failure is told before the firewall's.
    let mut failed: Vec<_> = asked.into_iter().filter_map(Result::err).collect();
    failed.sort_by_key(|(_, error)| *error == Unheard::NotBack);
    match failed.into_iter().next() {
        None => (Seen::Fine, None),
        Some((name, error)) => {
            let seen = match error {
                Unheard::NotBack => Seen::Blocked,
                _ => Seen::Failed,
            };
            (seen, Some(format!("on {name}, {error}")))
        }
    }
}

async fn answered(one: &Published) -> (Seen, Option<String>) {
    let asked = one
        .listens_on
        .iter()
        .map(async |ip| probe::get_info((*ip, one.port).into(), Some(&one.device)).await);
    let asked = join_all(asked).await;
    match asked.into_iter().find_map(Result::err) {
        None => (Seen::Fine, None),
        Some(why) => (Seen::Failed, Some(why)),
    }
}
