//! Whether this is the active device. Clusters and commands come by separate ways and overtake each
//! other; the service's own time stamps tell which is older.

use super::input::{Cluster, Now};

/// "Nobody is active" is answered with our state at most this often.
const REASSERT_MS: u64 = 2_000;

/// No message is so much faster than all that came before it.
const LEAP_MS: i64 = 10_000;

/// What a cluster means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Same,
    /// Another device plays: stop at once.
    Yield,
    /// The service does not know that we play: tell it again.
    Reassert,
}

#[derive(Debug)]
struct Active {
    since_ms: i64,
    /// The service's time was at least this when we became active; clusters from before know
    /// nothing of it.
    floor: Option<i64>,
    /// The latest service time at which we were named as active.
    confirmed: Option<i64>,
    /// Who was active before us.
    before: String,
    /// The first PUT that tells of it.
    first_put: u64,
    denials: u32,
}

#[derive(Debug)]
pub struct Standing {
    own: String,
    active: Option<Active>,
    /// Who was named as active last.
    named: String,
    /// The service's time less our tick, as seen at the arrival of its messages: never too late.
    offset: Option<i64>,
    reasserted: Option<u64>,
    /// An offset that lies far ahead of what was seen so far, until a second message agrees.
    leap: Option<i64>,
}

impl Standing {
    pub fn new(own: String) -> Self {
        Self {
            own,
            active: None,
            named: String::new(),
            offset: None,
            reasserted: None,
            leap: None,
        }
    }

    pub fn is_own(&self, id: &str) -> bool {
        self.own == id
    }

    pub fn is_active(&self) -> bool {
        self.active.is_some()
    }

    /// Since when, in Unix ms.
    pub fn since_ms(&self) -> Option<i64> {
        self.active.as_ref().map(|active| active.since_ms)
    }

    /// Becomes active, if it is not; `next_put` is the number of the PUT that will tell so.
    /// Returns whether that is news.
    pub fn activate(&mut self, now: Now, next_put: u64) -> bool {
        if self.active.is_some() {
            return false;
        }
        self.active = Some(Active {
            since_ms: now.unix_ms,
            floor: self.offset.map(|offset| offset + ticks(now)),
            confirmed: None,
            before: std::mem::take(&mut self.named),
            first_put: next_put,
            denials: 0,
        });
        true
    }

    pub fn deactivate(&mut self) {
        self.active = None;
    }

    /// When the service wrote this, if that is to be believed. One machine of theirs whose clock is
    /// ahead would make everything after it look old; when two agree, it is our time that stood still.
    fn service_time(&mut self, server_ms: i64, now: Now) -> Option<i64> {
        let at = Some(server_ms).filter(|ms| *ms > 0)?;
        let offset = at.saturating_sub(ticks(now));
        let Some(known) = self.offset else {
            self.offset = Some(offset);
            return Some(at);
        };
        let leaps = offset > known.saturating_add(LEAP_MS);
        let before = std::mem::replace(&mut self.leap, leaps.then_some(offset));
        if leaps && before.is_none_or(|before| before.abs_diff(offset) > LEAP_MS as u64) {
            return None;
        }
        self.offset = Some(known.max(offset));
        Some(at)
    }

    /// Takes a cluster: pushed, or the answer to the PUT of this number.
    pub fn cluster(&mut self, cluster: &Cluster, answers: Option<u64>, now: Now) -> Verdict {
        let at = self.service_time(cluster.server_ms, now);
        let Some(active) = &mut self.active else {
            self.named.clone_from(&cluster.active);
            return Verdict::Same;
        };
        if cluster.active == self.own {
            active.confirmed = active.confirmed.max(at.or(Some(0)));
            active.denials = 0;
            return Verdict::Same;
        }
        let is_older = |than: Option<i64>| at.zip(than).is_some_and(|(at, than)| at < than);
        let to_older = answers.is_some_and(|number| number < active.first_put);
        if to_older || is_older(active.floor) || is_older(active.confirmed) {
            return Verdict::Same;
        }
        if cluster.active.is_empty() {
            let lately = self
                .reasserted
                .is_some_and(|then| now.tick_ms.saturating_sub(then) < REASSERT_MS);
            if answers.is_some() {
                // It took our word, whatever it says of it.
                let now_ms = self.offset.map_or(0, |offset| offset + ticks(now));
                active.confirmed = active.confirmed.max(Some(now_ms));
                return Verdict::Same;
            }
            if active.confirmed.is_none() || lately {
                return Verdict::Same;
            }
            self.reasserted = Some(now.tick_ms);
            return Verdict::Reassert;
        }
        if active.confirmed.is_some() || cluster.active != active.before {
            self.named.clone_from(&cluster.active);
            return Verdict::Yield;
        }
        // The one from which we took over, and nobody has confirmed us yet: most likely news from
        // before. The answer to our own word decides; one that crossed with it may err once.
        if answers.is_none() {
            return Verdict::Same;
        }
        active.denials += 1;
        if active.denials > 1 {
            self.named.clone_from(&cluster.active);
            Verdict::Yield
        } else {
            Verdict::Reassert
        }
    }
}

fn ticks(now: Now) -> i64 {
    i64::try_from(now.tick_ms).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tick_ms: u64) -> Now {
        Now {
            unix_ms: 1_000_000 + tick_ms as i64,
            tick_ms,
        }
    }

    fn says(active: &str, server_ms: i64) -> Cluster {
        Cluster {
            active: active.into(),
            server_ms,
            ..Cluster::default()
        }
    }

    /// Taken over from the phone at tick 100; the service's clock is 5000 ahead of ours.
    fn taken_over() -> Standing {
        let mut standing = Standing::new("own".into());
        standing.cluster(&says("phone", 5_000), None, at(0));
        assert!(standing.activate(at(100), 7));
        standing
    }

    #[test]
    fn a_cluster_from_before_does_not_end_what_came_after() {
        let mut standing = taken_over();
        let old = says("phone", 5_050);
        assert_eq!(standing.cluster(&old, None, at(110)), Verdict::Same);
        let third = says("tv", 5_099);
        assert_eq!(standing.cluster(&third, None, at(110)), Verdict::Same);
        let answer = says("phone", 5_150);
        assert_eq!(standing.cluster(&answer, Some(6), at(150)), Verdict::Same);
    }

    #[test]
    fn a_cluster_that_may_be_from_before_waits_for_the_answer_to_our_own_word() {
        let mut standing = taken_over();
        let crossing = says("phone", 5_105);
        assert_eq!(standing.cluster(&crossing, None, at(120)), Verdict::Same);
        let answer = says("own", 5_140);
        assert_eq!(standing.cluster(&answer, Some(7), at(150)), Verdict::Same);
        assert_eq!(standing.cluster(&crossing, None, at(160)), Verdict::Same);
        let taken = says("phone", 5_200);
        assert_eq!(standing.cluster(&taken, None, at(210)), Verdict::Yield);
    }

    #[test]
    fn whoever_took_over_is_taken_over_from_as_well_as_the_first_time() {
        let mut standing = taken_over();
        standing.cluster(&says("own", 5_140), Some(7), at(150));
        let taken = says("phone", 5_200);
        assert_eq!(standing.cluster(&taken, None, at(210)), Verdict::Yield);
        standing.deactivate();
        assert!(standing.activate(at(260), 8));
        let crossing = says("phone", 5_265);
        assert_eq!(standing.cluster(&crossing, None, at(290)), Verdict::Same);
    }

    #[test]
    fn a_service_that_takes_our_word_without_naming_anybody_has_confirmed_us() {
        let mut standing = taken_over();
        let crossing = says("phone", 5_105);
        assert_eq!(standing.cluster(&crossing, None, at(120)), Verdict::Same);
        assert_eq!(
            standing.cluster(&says("", 0), Some(7), at(150)),
            Verdict::Same
        );
        assert_eq!(standing.cluster(&crossing, None, at(160)), Verdict::Same);
        let taken = says("phone", 9_000);
        assert_eq!(standing.cluster(&taken, None, at(4_001)), Verdict::Yield);
    }

    #[test]
    fn one_clock_that_is_ahead_makes_nothing_look_old_and_two_that_agree_are_believed() {
        let mut standing = Standing::new("own".into());
        standing.cluster(&says("phone", 5_000), None, at(0));
        standing.cluster(&says("phone", 3_600_000), None, at(50));
        assert!(standing.activate(at(100), 7));
        standing.cluster(&says("own", 5_140), Some(7), at(150));
        standing.cluster(&says("own", 3_600_200), Some(8), at(200));
        let taken = says("tv", 5_300);
        assert_eq!(standing.cluster(&taken, None, at(300)), Verdict::Yield);

        // The machine slept for an hour.
        let mut standing = taken_over();
        standing.cluster(&says("own", 5_140), Some(7), at(150));
        let old = says("tv", 3_605_150);
        standing.cluster(&says("own", 3_605_200), Some(8), at(200));
        standing.cluster(&says("own", 3_605_250), None, at(250));
        assert_eq!(standing.cluster(&old, None, at(260)), Verdict::Same);
    }

    #[test]
    fn another_device_takes_over_at_once() {
        let mut standing = taken_over();
        let third = says("tv", 5_200);
        assert_eq!(standing.cluster(&third, None, at(205)), Verdict::Yield);
    }

    #[test]
    fn two_answers_that_deny_us_are_believed() {
        let mut standing = taken_over();
        let answer = says("phone", 5_150);
        assert_eq!(
            standing.cluster(&answer, Some(7), at(160)),
            Verdict::Reassert
        );
        let again = says("phone", 5_250);
        assert_eq!(standing.cluster(&again, Some(8), at(260)), Verdict::Yield);
    }

    #[test]
    fn a_service_that_forgot_us_is_told_again_and_not_without_end() {
        let mut standing = taken_over();
        standing.cluster(&says("own", 5_150), Some(7), at(160));
        let nobody = says("", 6_000);
        assert_eq!(
            standing.cluster(&nobody, None, at(1_000)),
            Verdict::Reassert
        );
        let nobody = says("", 6_100);
        assert_eq!(standing.cluster(&nobody, None, at(1_100)), Verdict::Same);
        let nobody = says("", 9_000);
        assert_eq!(
            standing.cluster(&nobody, None, at(4_000)),
            Verdict::Reassert
        );
    }
}
