//! The task that keeps a window filled: decides, asks, and mends what goes wrong.

use std::{collections::VecDeque, future::Future, ops::Range, pin::Pin, sync::Arc, time::Duration};

use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::debug;

use super::{
    Failure, Key,
    cipher::looks_plain,
    line::{Line, UrlsError},
    places::{Gone, Pick, Places, Spot, rest},
    plan::{AT_ONCE, View},
    pull::{End, Order, Outcome, pull},
    shared::{Shared, State},
    window::BLOCK,
};

/// A track is given up after so long without a byte while the reader has nothing.
pub(super) const GIVE_UP: Duration = Duration::from_secs(20);
/// For one answer to where the file lies.
const LIST_LIMIT: Duration = Duration::from_secs(5);
/// So many empty lists mean that there is no such file.
const EMPTY_LISTS: u32 = 3;
/// So many questions for a fresh list are enough while something is left of the old one.
const FRESH_LISTS: u32 = 3;
/// A body that broke off after so much is no reason to distrust the server.
const A_GOOD_PART: u64 = 4 * 1024;
/// So much of an encrypted file tells it from one that is not.
const HEAD: usize = 4 * 1024;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Listed = Result<Vec<String>, UrlsError>;
pub(super) type Keyed = Result<Key, Failure>;

pub(super) struct Pump<L: Line> {
    line: Arc<L>,
    shared: Arc<Shared>,
    places: Places,
    epoch: u64,
    /// Everything before this was asked for.
    planned: u64,
    /// The length of the file that was reckoned with.
    len: Option<u64>,
    /// What was asked for and did not come, in order.
    holes: VecDeque<Range<u64>>,
    flights: Vec<Range<u64>>,
    pulls: FuturesUnordered<Boxed<Outcome>>,
    listing: Option<Boxed<Listed>>,
    list_failures: u32,
    empty_lists: u32,
    /// Fresh lists in a row of which no server would give us the file.
    denials: u32,
    /// Not to be asked for a list before.
    list_after: Option<Instant>,
    key: Option<Boxed<Keyed>>,
    /// There is no key; the file may be one that needs none.
    refused: Option<Failure>,
    dry_since: Option<Instant>,
    /// What went wrong last.
    why: String,
}

enum News {
    Pulled(Outcome),
    Listed(Listed),
    Keyed(Keyed),
    Look,
}

impl<L: Line> Pump<L> {
    pub fn new(line: L, shared: Arc<Shared>, key: Boxed<Keyed>) -> Self {
        let (epoch, planned) = {
            let state = shared.lock();
            (state.epoch, state.origin)
        };
        Self {
            line: Arc::new(line),
            shared,
            places: Places::default(),
            epoch,
            planned,
            len: None,
            holes: VecDeque::new(),
            flights: Vec::new(),
            pulls: FuturesUnordered::new(),
            listing: None,
            list_failures: 0,
            empty_lists: 0,
            denials: 0,
            list_after: None,
            key: Some(key),
            refused: None,
            dry_since: None,
            why: "the audio servers did not answer".to_owned(),
        }
    }

    /// Fetches until nobody reads any more, or until the file is given up.
    pub async fn run(mut self) {
        let failure = loop {
            let wake = match self.turn(Instant::now()) {
                Ok(Some(wake)) => wake,
                Ok(None) => return,
                Err(failure) => break failure,
            };
            let news = tokio::select! {
                Some(outcome) = self.pulls.next(), if !self.pulls.is_empty() => News::Pulled(outcome),
                list = settled(&mut self.listing) => News::Listed(list),
                key = settled(&mut self.key) => News::Keyed(key),
                () = self.shared.changed() => News::Look,
                () = woken(wake.0) => News::Look,
            };
            let now = Instant::now();
            let taken = match news {
                News::Pulled(outcome) => self.pulled(outcome, now),
                News::Listed(list) => self.listed(list, now),
                News::Keyed(key) => {
                    self.keyed(key);
                    Ok(())
                }
                News::Look => Ok(()),
            };
            if let Err(failure) = taken {
                break failure;
            }
        };
        debug!("given up: {failure}");
        self.shared.fail(failure);
    }

    /// Looks at everything once. `None` when nobody reads any more.
    fn turn(&mut self, now: Instant) -> Result<Option<Wake>, Failure> {
        let shared = self.shared.clone();
        let mut state = shared.lock();
        if state.closed {
            return Ok(None);
        }
        if state.epoch != self.epoch {
            self.jump(&state);
        }
        if state.len != self.len {
            self.learn_length(&state);
        }
        if let Some(refusal) = self.refused.take() {
            self.without_key(&mut state, refusal)?;
        }
        let base = state.window.base();
        self.holes.retain(|hole| hole.end > base);
        let mut wake = Wake(None);
        self.check_dryness(&state, now, &mut wake)?;
        if self.places.wants_list() {
            self.ask_for_list(now, &mut wake);
        }
        while self.flights.len() < AT_ONCE {
            let hole = self.holes.front().cloned();
            let wanted = hole.clone().or_else(|| {
                let length = self.view(&state).next()?;
                Some(self.planned..self.planned + length)
            });
            let Some(range) = wanted else { break };
            match self.places.pick(now) {
                Pick::Ask(spot, url) => {
                    if hole.is_some() {
                        self.holes.pop_front();
                    } else {
                        self.planned = range.end;
                    }
                    self.ask(&mut state, spot, url, range);
                }
                Pick::Wait(until) => {
                    wake.at(until);
                    break;
                }
                // It was asked for.
                Pick::List => break,
            }
        }
        state.elsewhere = self.places.elsewhere(now);
        if self.flights.is_empty() {
            state.meter.rest(now);
        }
        let view = self.view(&state);
        state.wants_room = view.lacks_room();
        state.wake_at = view.woken_at();
        if state.wake_at <= state.reader {
            // It waits for something else than the reader.
            state.wake_at = u64::MAX;
        }
        Ok(Some(wake))
    }

    /// The reader has gone elsewhere: what is under way is of no use.
    fn jump(&mut self, state: &State) {
        self.epoch = state.epoch;
        self.planned = state.origin;
        self.holes.clear();
        self.flights.clear();
        // Dropped, they end.
        self.pulls = FuturesUnordered::new();
        self.dry_since = None;
    }

    /// The file ends elsewhere than was thought. Requests end with a block or with the file, so that
    /// the next one never begins in the middle of a block that another one fills.
    fn learn_length(&mut self, state: &State) {
        self.len = state.len;
        if self.len.is_none_or(|len| self.planned < len) {
            self.planned -= (self.planned - state.origin) % BLOCK;
        }
    }

    fn view(&self, state: &State) -> View {
        let missing =
            |flight: &Range<u64>| flight.end - state.window.filled_to(flight.start).min(flight.end);
        View {
            budget: state.budget,
            origin: state.origin,
            base: state.window.base(),
            reader: state.reader,
            planned: self.planned,
            len: state.len,
            in_flight: self.flights.len(),
            left: self.flights.iter().map(missing).sum(),
            request: state.meter.request(),
            lead: state.meter.lead(),
        }
    }

    fn check_dryness(
        &mut self,
        state: &State,
        now: Instant,
        wake: &mut Wake,
    ) -> Result<(), Failure> {
        if state.is_fed() {
            self.dry_since = None;
            return Ok(());
        }
        let since = *self.dry_since.get_or_insert(now);
        let until = since.max(state.gained_at) + GIVE_UP;
        if now >= until {
            return Err(Failure::line(&self.why));
        }
        wake.at(until);
        Ok(())
    }

    fn ask(&mut self, state: &mut State, spot: Spot, url: String, range: Range<u64>) {
        debug!("asking {} for {}..{}", host(&url), range.start, range.end);
        state.tally.requests += 1;
        if self.flights.is_empty() {
            state.drought.begins(Instant::now());
        }
        if state.slow == Some(spot) {
            // There is no better one after all.
            state.slow = None;
        }
        self.flights.push(range.clone());
        let order = Order {
            spot,
            url,
            range,
            epoch: self.epoch,
            patience: state.meter.patience(),
            lead: state.meter.lead(),
        };
        let pulling = pull(self.line.clone(), self.shared.clone(), order);
        self.pulls.push(Box::pin(pulling));
    }

    fn ask_for_list(&mut self, now: Instant, wake: &mut Wake) {
        match self.list_after {
            _ if self.listing.is_some() => {}
            Some(after) if after > now => wake.at(after),
            _ => {
                let line = self.line.clone();
                self.listing = Some(Box::pin(async move {
                    timeout(LIST_LIMIT, line.urls()).await.unwrap_or_else(|_| {
                        Err(UrlsError::Trouble {
                            why: "Spotify does not say where the audio lies".to_owned(),
                            retry_after: None,
                        })
                    })
                }));
            }
        }
    }

    fn listed(&mut self, list: Listed, now: Instant) -> Result<(), Failure> {
        let (why, wish) = match list {
            Ok(urls) if !urls.is_empty() => {
                self.places.renew(urls);
                self.list_failures = 0;
                self.empty_lists = 0;
                return Ok(());
            }
            Ok(_) => {
                self.empty_lists += 1;
                let why = "Spotify names no server that has it".to_owned();
                if self.places.is_of_use() {
                    return self.do_without_list(&why);
                }
                if self.empty_lists >= EMPTY_LISTS {
                    return Err(Failure::Gone { why });
                }
                (why, None)
            }
            Err(UrlsError::Gone(why)) if self.places.is_of_use() => {
                return self.do_without_list(&why);
            }
            Err(UrlsError::Gone(why)) => return Err(Failure::Gone { why }),
            Err(UrlsError::Trouble { why, retry_after }) => (why, retry_after),
        };
        debug!("no list of servers: {why}");
        self.list_failures += 1;
        if self.list_failures >= FRESH_LISTS && self.places.is_of_use() {
            return self.do_without_list(&why);
        }
        self.why = why;
        self.list_after = Some(now + rest(self.list_failures, wish));
        Ok(())
    }

    /// What is left of the old list has to do.
    fn do_without_list(&mut self, why: &str) -> Result<(), Failure> {
        debug!("no fresh list of servers: {why}");
        (self.list_failures, self.list_after) = (0, None);
        self.places.make_do();
        Ok(())
    }

    fn pulled(&mut self, outcome: Outcome, now: Instant) -> Result<(), Failure> {
        let Outcome {
            spot,
            range,
            at,
            end,
            ..
        } = outcome;
        if outcome.epoch != self.epoch {
            return Ok(());
        }
        self.flights.retain(|flight| *flight != range);
        let came = at - range.start;
        let len = self.shared.lock().len;
        let rest = at..range.end.min(len.unwrap_or(u64::MAX));
        if !rest.is_empty() {
            let before = self.holes.partition_point(|hole| hole.start < rest.start);
            self.holes.insert(before, rest);
        }
        match end {
            End::Done if came > 0 => self.good(spot),
            End::Past | End::Stale | End::Early => {}
            End::Done => self.places.bad(spot, now, None),
            End::BrokeOff if came >= A_GOOD_PART => self.good(spot),
            End::BrokeOff => {
                self.why = "the audio breaks off again and again".to_owned();
                self.places.bad(spot, now, None);
            }
            End::Slow(rate) => {
                debug!("after {came} bytes: too slow ({rate} bytes a second)");
                self.places.slow(spot, rate, now);
            }
            End::Trouble(why) => {
                debug!("after {came} bytes: {why}");
                self.why = why;
                self.places.bad(spot, now, None);
            }
            End::Status(status, wish) => self.status(spot, status, wish, now)?,
        }
        Ok(())
    }

    fn good(&mut self, spot: Spot) {
        self.denials = 0;
        self.places.good(spot);
    }

    fn status(
        &mut self,
        spot: Spot,
        status: u16,
        wish: Option<Duration>,
        now: Instant,
    ) -> Result<(), Failure> {
        debug!("an audio server answered with status {status}");
        self.why = format!("the audio servers answer with status {status}");
        let later = matches!(status, 408 | 425 | 429) || !(400..500).contains(&status);
        if later {
            self.places.bad(spot, now, wish);
            return Ok(());
        }
        match self.places.gone(spot, status) {
            Gone::Perhaps => {}
            Gone::Everywhere(status) => {
                let why = format!("no server has the file (status {status})");
                return Err(Failure::Gone { why });
            }
            Gone::Denied(_) => {
                self.denials += 1;
                self.list_after = Some(now + rest(self.denials, None));
            }
        }
        Ok(())
    }

    fn keyed(&mut self, key: Keyed) {
        match key {
            Ok(key) => self.shared.open(key),
            Err(refusal) => {
                self.refused = Some(refusal);
                self.shared.lock().eager = true;
            }
        }
    }

    /// Without a key the file opens only if it was never locked.
    fn without_key(&mut self, state: &mut State, refusal: Failure) -> Result<(), Failure> {
        let short = state.len.is_some_and(|len| len < HEAD as u64);
        let head = match state.window.raw_head() {
            _ if state.origin != 0 => return Err(refusal),
            Some(head) if head.len() >= HEAD || short && Some(head.len() as u64) == state.len => {
                head
            }
            _ => {
                self.refused = Some(refusal);
                return Ok(());
            }
        };
        if !looks_plain(head) {
            return Err(refusal);
        }
        debug!("it is not encrypted");
        state.window.open(Key::None);
        state.eager = false;
        self.shared.tell_reader();
        Ok(())
    }
}

/// When to look again without news.
struct Wake(Option<Instant>);

impl Wake {
    fn at(&mut self, time: Instant) {
        self.0 = Some(self.0.map_or(time, |known| known.min(time)));
    }
}

async fn woken(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The result of what is in the slot, which is empty after that; never when it is empty.
async fn settled<T>(slot: &mut Option<Boxed<T>>) -> T {
    match slot {
        Some(work) => {
            let result = work.await;
            *slot = None;
            result
        }
        None => std::future::pending().await,
    }
}

/// The name of the server. The rest of an address opens the file to anybody, and is not for a log.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split(['/', '?', '#']).next().unwrap_or_default()
}
