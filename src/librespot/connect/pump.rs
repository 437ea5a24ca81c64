//! Carries the state to connect-state: one task, one PUT at a time. Whoever has news hands it over
//! and goes on; an unreachable service delays nothing but the PUTs.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::{Method, body::Bytes};
use librespot_core::Session;
use librespot_protocol::connect::{Cluster, PutStateRequest};
use protobuf::Message;
use tokio::{
    sync::{Notify, mpsc, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tracing::{debug, warn};

use super::{
    schedule::{Due, Parcel, Schedule},
    translate,
};
use crate::{
    connect::{Input, PutReason},
    librespot::service::{self, PROTOBUF, Question, Trouble},
};

/// How long one PUT may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Failures in a row before the log hears of it.
const LOGGED: u32 = 4;

/// Where parcels go: the service, or a test.
pub trait Way: Send + 'static {
    /// Sends one parcel; `state` is there for those that carry one.
    fn send(
        &self,
        parcel: Parcel,
        state: Option<PutStateRequest>,
    ) -> impl Future<Output = Result<Bytes, Trouble>> + Send;
}

/// The way to Spotify.
pub struct ToSpotify(pub Session);

impl Way for ToSpotify {
    async fn send(&self, parcel: Parcel, state: Option<PutStateRequest>) -> Result<Bytes, Trouble> {
        let device = format!("/connect-state/v1/devices/{}", self.0.device_id());
        let body = state.map(|state| state.write_to_bytes()).transpose();
        let body = body.map_err(|error| Trouble::Other(error.to_string()))?;
        let (method, path) = match parcel {
            Parcel::State { .. } => (Method::PUT, device),
            Parcel::Inactive => (Method::PUT, format!("{device}/inactive?notify=false")),
            Parcel::Delete => (Method::DELETE, device),
        };
        let question = Question {
            connection: method == Method::PUT,
            limit: LIMIT,
            ..Question::new(method, path, body.unwrap_or_default(), PROTOBUF)
        };
        service::ask(&self.0, &question).await
    }
}

#[derive(Default)]
struct Waiting {
    schedule: Schedule,
    newest: Option<PutStateRequest>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    news: Notify,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        change(&mut self.lock());
        self.news.notify_one();
    }
}

/// The handle. Dropping it ends the task, whatever it still had to say.
pub struct Pump {
    shared: Arc<Shared>,
    /// How much the service knows, as [`Schedule::known`] counts. It ends with the task.
    known: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pump {
    /// Starts the task. Answers of the service come back as inputs, in order.
    pub fn start(way: impl Way + Sync, answers: mpsc::Sender<Input>) -> Self {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            news: Notify::new(),
        });
        let (tell, known) = watch::channel(0);
        let task = tokio::spawn(run(way, shared.clone(), answers, tell));
        Self {
            shared,
            known,
            task,
        }
    }

    /// This is the state from now on; nothing older is put any more. The reason's own fields of
    /// the request are set when it is sent.
    pub fn put(&self, reason: PutReason, number: u64, request: PutStateRequest) {
        self.shared.change(|waiting| {
            if reason == PutReason::NewDevice {
                waiting.schedule.forget_failures();
            }
            waiting.schedule.put(reason, number);
            waiting.newest = Some(request);
        });
    }

    /// It does not play any more; `request` is the state from now on, for whatever is put next.
    pub fn put_inactive(&self, request: PutStateRequest) {
        self.shared.change(|waiting| {
            waiting.schedule.put_inactive();
            waiting.newest = Some(request);
        });
    }

    pub fn delete(&self) {
        self.shared.change(|waiting| waiting.schedule.delete());
    }

    /// Waits until the service knows everything that was handed over before this call; what still
    /// waits is brought forward as far as the limit of PUTs allows. False when that took longer than
    /// `limit`, or the pump is gone.
    pub fn known(&self, limit: Duration) -> impl Future<Output = bool> + Send + 'static {
        let mut wanted = 0;
        self.shared
            .change(|waiting| wanted = waiting.schedule.hurry());
        let mut known = self.known.clone();
        async move {
            let enough = known.wait_for(|known| *known >= wanted);
            matches!(timeout(limit, enough).await, Ok(Ok(_)))
        }
    }

    /// Waits until the service knows that the device is gone, after [`Pump::delete`]. False when
    /// that took longer than `limit`.
    pub async fn gone(mut self, limit: Duration) -> bool {
        timeout(limit, &mut self.task).await.is_ok()
    }
}

async fn run(
    way: impl Way + Sync,
    shared: Arc<Shared>,
    answers: mpsc::Sender<Input>,
    tell: watch::Sender<u64>,
) {
    let begin = Instant::now();
    let tick = || begin.elapsed().as_millis() as u64;
    let mut failures = 0u32;
    loop {
        let due = shared.lock().schedule.due(tick());
        let parcel = match due {
            Due::Nothing => {
                shared.news.notified().await;
                continue;
            }
            Due::At(at) => {
                let pause = Duration::from_millis(at.saturating_sub(tick()));
                tokio::select! {
                    () = sleep(pause) => {}
                    () = shared.news.notified() => {}
                }
                continue;
            }
            Due::Now(parcel) => parcel,
        };
        let state = {
            let mut waiting = shared.lock();
            waiting.schedule.sent(parcel, tick());
            match parcel {
                Parcel::State { reason, .. } => {
                    let mut state = waiting.newest.clone();
                    if let Some(state) = &mut state {
                        state.put_state_reason = super::put::reason(reason);
                    }
                    state
                }
                _ => None,
            }
        };
        match way.send(parcel, state).await {
            Ok(answer) => {
                failures = 0;
                let known = {
                    let mut waiting = shared.lock();
                    waiting.schedule.arrived(parcel);
                    waiting.schedule.known()
                };
                if parcel == Parcel::Delete {
                    return;
                }
                if let Parcel::State { number, .. } = parcel
                    && let Some(input) = answered(number, &answer)
                    && answers.send(input).await.is_err()
                {
                    return;
                }
                tell.send_replace(known);
            }
            Err(trouble) => {
                failures += 1;
                if failures == LOGGED {
                    warn!("Spotify does not hear what plays here, trying on: {trouble}");
                } else {
                    debug!("a state was not taken: {trouble}");
                }
                let mut waiting = shared.lock();
                waiting
                    .schedule
                    .failed(parcel, trouble.pause(), tick(), rand::random());
            }
        }
    }
}

/// An empty answer is an empty cluster: that it was taken is known all the same.
fn answered(number: u64, answer: &[u8]) -> Option<Input> {
    let cluster = Cluster::parse_from_bytes(answer)
        .inspect_err(|error| debug!("an answer of connect-state cannot be read: {error}"))
        .ok()?;
    let cluster = translate::cluster(cluster);
    Some(Input::PutAnswered { number, cluster })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails a few times, and tells what arrived.
    struct Shaky {
        fails: Mutex<u32>,
        arrived: mpsc::UnboundedSender<(Parcel, u64)>,
    }

    impl Way for Shaky {
        async fn send(
            &self,
            parcel: Parcel,
            state: Option<PutStateRequest>,
        ) -> Result<Bytes, Trouble> {
            {
                let mut fails = self.fails.lock().expect("a lock");
                if *fails > 0 {
                    *fails -= 1;
                    return Err(Trouble::Other("shaky".into()));
                }
            }
            let stamp = state.map_or(0, |state| state.client_side_timestamp);
            let _ = self.arrived.send((parcel, stamp));
            Ok(Bytes::new())
        }
    }

    const PATIENCE: Duration = Duration::from_secs(10);

    fn stamped(stamp: u64) -> PutStateRequest {
        PutStateRequest {
            client_side_timestamp: stamp,
            ..Default::default()
        }
    }

    #[tokio::test]
    async fn what_arrives_after_trouble_is_the_newest_and_then_the_goodbye() {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let (answers, mut inputs) = mpsc::channel(8);
        let way = Shaky {
            fails: Mutex::new(2),
            arrived,
        };
        let pump = Pump::start(way, answers);
        for number in 1..=9 {
            pump.put(PutReason::StateChanged, number, stamped(number));
        }
        let (parcel, stamp) = arrivals.recv().await.expect("a parcel");
        let newest = Parcel::State {
            reason: PutReason::StateChanged,
            number: 9,
        };
        assert_eq!((parcel, stamp), (newest, 9));
        let answer = inputs.recv().await.expect("an answer");
        assert!(matches!(answer, Input::PutAnswered { number: 9, .. }));
        pump.put_inactive(stamped(10));
        pump.delete();
        assert!(pump.gone(Duration::from_secs(5)).await);
        let last = [arrivals.recv().await, arrivals.recv().await];
        let last = last.map(|it| it.expect("a parcel").0);
        assert_eq!(last, [Parcel::Inactive, Parcel::Delete]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_lost_the_music_while_nobody_heard_does_not_claim_it_when_he_is_heard_again() {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let (answers, _inputs) = mpsc::channel(8);
        let way = Shaky {
            fails: Mutex::new(3),
            arrived,
        };
        let pump = Pump::start(way, answers);
        // A new connection, told of with the music that plays; it does not get through.
        pump.put(PutReason::NewDevice, 1, stamped(1));
        sleep(Duration::from_millis(10)).await;
        pump.put_inactive(stamped(2));
        let first = arrivals.recv().await.expect("a parcel");
        assert!(matches!(first, (Parcel::State { .. }, 2)), "{first:?}");
        let (second, _) = arrivals.recv().await.expect("a parcel");
        assert_eq!(second, Parcel::Inactive);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_the_newest_to_be_known_waits_for_its_answer_and_not_for_its_turn() {
        let (arrived, mut arrivals) = mpsc::unbounded_channel();
        let (answers, _inputs) = mpsc::channel(8);
        let fails = Mutex::new(0);
        let pump = Pump::start(Shaky { fails, arrived }, answers);
        let begun = Instant::now();
        pump.put(PutReason::NewDevice, 1, stamped(1));
        assert!(pump.known(PATIENCE).await);
        for number in 2..=4 {
            pump.put(PutReason::StateChanged, number, stamped(number));
            assert!(pump.known(PATIENCE).await);
            let mut newest = 0;
            while let Ok((_, stamp)) = arrivals.try_recv() {
                newest = stamp;
            }
            assert_eq!(newest, number);
        }
        assert!(pump.known(PATIENCE).await, "nothing new");
        assert!(begun.elapsed() < Duration::from_millis(100));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_a_silent_service_longer_than_the_limit_nor_for_a_pump_that_is_gone() {
        let (arrived, _arrivals) = mpsc::unbounded_channel();
        let (answers, _inputs) = mpsc::channel(8);
        let fails = Mutex::new(u32::MAX);
        let pump = Pump::start(Shaky { fails, arrived }, answers);
        pump.put(PutReason::NewDevice, 1, stamped(1));
        let begun = Instant::now();
        assert!(!pump.known(Duration::from_secs(1)).await);
        assert_eq!(begun.elapsed().as_secs(), 1);
        let known = pump.known(PATIENCE);
        drop(pump);
        assert!(!known.await);
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}
