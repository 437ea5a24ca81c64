//! The servers that have the file, and which of them to ask.

use std::time::Duration;

use tokio::time::Instant;

/// More than the service ever names.
const MOST: usize = 8;

const FIRST_REST: Duration = Duration::from_millis(250);
const LONGEST_REST: Duration = Duration::from_secs(4);
/// A server that wants to be left alone for longer is asked again after this.
const LONGEST_WISH: Duration = Duration::from_secs(60);
/// How long a server is remembered to be slow.
const SLOW_FOR: Duration = Duration::from_secs(300);

/// How long to wait after so many failures in a row.
fn back_off(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(8);
    (FIRST_REST * (1 << doublings)).min(LONGEST_REST)
}

/// The same, unless the server wishes for more.
pub(super) fn rest(failures: u32, wish: Option<Duration>) -> Duration {
    back_off(failures).max(wish.unwrap_or_default().min(LONGEST_WISH))
}

/// A list of servers, and what became of each.
#[derive(Debug, Default)]
pub(super) struct Places {
    list: Vec<Place>,
    at: usize,
    /// Counts the lists. What is said of a place of an earlier list is about nothing.
    edition: u32,
    /// The list was asked for because a file was gone from an earlier one.
    renewed: bool,
    want_list: bool,
}

#[derive(Debug)]
struct Place {
    url: String,
    failures: u32,
    /// Not to be asked before.
    rests_until: Option<Instant>,
    /// The status with which it said that the file is not, or no longer, there for us.
    gone: Option<u16>,
    /// It brought too little: so many bytes a second, and until when that is remembered.
    slow: Option<(u64, Instant)>,
}

impl Place {
    fn is_ready(&self, now: Instant) -> bool {
        self.gone.is_none() && self.rests_until.is_none_or(|until| until <= now)
    }

    /// How slow it is known to be.
    fn slowness(&self, now: Instant) -> Option<u64> {
        self.slow.filter(|slow| now < slow.1).map(|slow| slow.0)
    }
}

/// A place in the list of one edition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    edition: u32,
    index: usize,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pick {
    Ask(Spot, String),
    /// All have failed of late.
    Wait(Instant),
    /// There is no list, or nothing is left of it.
    List,
}

/// What a place that says "gone" means for the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Gone {
    /// Another place, or a fresh list, may have it.
    Perhaps,
    /// A fresh list is no better: none of its servers has the file, said with this status.
    Everywhere(u16),
    /// None of the servers of a fresh list lets us have it.
    Denied(u16),
}

impl Places {
    pub fn renew(&mut self, urls: Vec<String>) {
        let mut list: Vec<Place> = Vec::new();
        for url in urls {
            if list.len() < MOST && list.iter().all(|known| known.url != url) {
                list.push(Place {
                    url,
                    failures: 0,
                    rests_until: None,
                    gone: None,
                    slow: None,
                });
            }
        }
        self.list = list;
        self.at = 0;
        self.edition += 1;
        self.renewed = self.want_list;
        self.want_list = false;
    }

    /// Whether the list has grown old, and a fresh one is to be asked for. What is left of this one
    /// is good until then.
    pub fn wants_list(&self) -> bool {
        self.want_list || !self.is_of_use()
    }

    /// Whether there is a place that may have the file.
    pub fn is_of_use(&self) -> bool {
        self.list.iter().any(|place| place.gone.is_none())
    }

    /// A fresh list is not to be had: what is left of this one has to do.
    pub fn make_do(&mut self) {
        self.want_list = false;
    }

    pub fn pick(&mut self, now: Instant) -> Pick {
        if !self.is_of_use() {
            return Pick::List;
        }
        let count = self.list.len();
        let order = (0..count).map(|step| (self.at + step) % count);
        let mut ready = order.filter(|index| self.list[*index].is_ready(now));
        let slowness = |index: &usize| self.list[*index].slowness(now);
        let best = ready.clone().find(|index| slowness(index).is_none());
        match best.or_else(|| ready.by_ref().max_by_key(slowness)) {
            Some(index) => {
                self.at = index;
                let spot = Spot {
                    edition: self.edition,
                    index,
                };
                Pick::Ask(spot, self.list[index].url.clone())
            }
            None => Pick::Wait(
                self.list
                    .iter()
                    .filter(|place| place.gone.is_none())
                    .filter_map(|place| place.rests_until)
                    .min()
                    .unwrap_or(now + LONGEST_REST),
            ),
        }
    }

    /// It delivered.
    pub fn good(&mut self, spot: Spot) {
        if let Some(place) = self.known(spot) {
            place.failures = 0;
            place.rests_until = None;
            self.renewed = false;
        }
    }

    /// It brings too little, so many bytes a second: others are asked before it, and when they are no
    /// better, the least slow. (0 adds nothing to what is known.)
    pub fn slow(&mut self, spot: Spot, rate: u64, now: Instant) {
        if let Some(place) = self.known(spot) {
            let known = place.slow.filter(|_| rate == 0);
            place.slow = known.or(Some((rate, now + SLOW_FOR)));
        }
    }

    /// What the best of the places that were not asked last may bring, in bytes a second: no limit is
    /// known of one that was never too slow.
    pub fn elsewhere(&self, now: Instant) -> u64 {
        let others = self.list.iter().enumerate().filter(|it| it.0 != self.at);
        let ready = others.map(|it| it.1).filter(|place| place.is_ready(now));
        let rates = ready.map(|place| place.slowness(now).unwrap_or(u64::MAX));
        rates.max().unwrap_or(0)
    }

    /// It failed, and may be better later.
    pub fn bad(&mut self, spot: Spot, now: Instant, retry_after: Option<Duration>) {
        let Some(place) = self.known(spot) else {
            return;
        };
        place.failures += 1;
        place.rests_until = Some(now + rest(place.failures, retry_after));
        if self.at == spot.index {
            self.at = (spot.index + 1) % self.list.len();
        }
    }

    /// It says, with this status, that it has nothing for us.
    pub fn gone(&mut self, spot: Spot, status: u16) -> Gone {
        let renewed = self.renewed;
        let Some(place) = self.known(spot) else {
            return Gone::Perhaps;
        };
        place.gone = Some(status);
        if !renewed {
            // Links die of old age, and all at once.
            self.want_list = true;
            return Gone::Perhaps;
        }
        if self.list.iter().any(|place| place.gone.is_none()) {
            return Gone::Perhaps;
        }
        self.want_list = true;
        let missing = |place: &Place| matches!(place.gone, Some(404 | 410));
        if self.list.iter().all(missing) {
            Gone::Everywhere(status)
        } else {
            Gone::Denied(status)
        }
    }

    fn known(&mut self, spot: Spot) -> Option<&mut Place> {
        let current = spot.edition == self.edition;
        self.list.get_mut(spot.index).filter(|_| current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> Places {
        let mut places = Places::default();
        assert_eq!(places.pick(Instant::now()), Pick::List);
        places.renew(["a", "b", "c", "a"].map(str::to_owned).to_vec());
        places
    }

    fn ask(places: &mut Places, now: Instant) -> (Spot, String) {
        match places.pick(now) {
            Pick::Ask(spot, url) => (spot, url),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_server_that_delivers_is_asked_again_and_one_that_fails_is_not() {
        let (mut places, now) = (three(), Instant::now());
        let (spot, url) = ask(&mut places, now);
        assert_eq!(url, "a");
        places.good(spot);
        assert_eq!(ask(&mut places, now).1, "a");
        places.bad(spot, now, None);
        assert_eq!(ask(&mut places, now).1, "b");
        // Nobody turns back to it because it is rested.
        assert_eq!(ask(&mut places, now + LONGEST_REST).1, "b");
    }

    #[test]
    fn when_all_have_failed_the_first_to_be_rested_is_waited_for() {
        let (mut places, now) = (three(), Instant::now());
        for wish in [None, Some(Duration::from_secs(9)), None] {
            let (spot, _) = ask(&mut places, now);
            places.bad(spot, now, wish);
        }
        assert_eq!(places.pick(now), Pick::Wait(now + FIRST_REST));
        assert_eq!(ask(&mut places, now + FIRST_REST).1, "a");
    }

    #[test]
    fn a_link_that_is_gone_leads_to_a_fresh_list_and_then_to_all_of_it() {
        let (mut places, now) = (three(), Instant::now());
        let (spot, _) = ask(&mut places, now);
        assert_eq!(places.gone(spot, 403), Gone::Perhaps);
        assert!(places.wants_list());
        // Until it is there, the others will do.
        assert_eq!(ask(&mut places, now).1, "b");
        places.renew(vec!["d".into(), "e".into()]);
        assert!(!places.wants_list());
        // What comes late from the old list says nothing.
        assert_eq!(places.gone(spot, 404), Gone::Perhaps);
        let (spot, _) = ask(&mut places, now);
        assert_eq!(places.gone(spot, 404), Gone::Perhaps);
        let (spot, url) = ask(&mut places, now);
        assert_eq!(url, "e");
        assert_eq!(places.gone(spot, 410), Gone::Everywhere(410));
    }

    #[test]
    fn the_slow_come_last_and_of_those_the_least_slow_comes_first() {
        let (mut places, now) = (three(), Instant::now());
        assert_eq!(places.elsewhere(now), u64::MAX);
        for (rate, next) in [(3, "b"), (9, "c"), (5, "b")] {
            let (spot, _) = ask(&mut places, now);
            places.slow(spot, rate, now);
            // Another body of the same server says nothing new.
            places.slow(spot, 0, now);
            assert_eq!(ask(&mut places, now).1, next);
        }
        // Of those that were not asked last.
        assert_eq!(places.elsewhere(now), 5);
        assert_eq!(places.elsewhere(now + SLOW_FOR), u64::MAX);
    }

    #[test]
    fn a_file_that_is_denied_may_still_exist() {
        let (mut places, now) = (three(), Instant::now());
        let (spot, _) = ask(&mut places, now);
        places.gone(spot, 404);
        places.renew(vec!["d".into()]);
        let (spot, _) = ask(&mut places, now);
        assert_eq!(places.gone(spot, 403), Gone::Denied(403));
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        assert_eq!(back_off(1), FIRST_REST);
        assert_eq!(back_off(3), FIRST_REST * 4);
        assert_eq!(back_off(u32::MAX), LONGEST_REST);
    }
}
