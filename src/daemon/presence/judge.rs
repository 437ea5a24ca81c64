//! What to do about a part of a speaker that is not found, and for how long to hope: pure.

use std::time::Duration;

use tokio::time::Instant;

use crate::discovery::Repair;

/// Between two looks while all is well.
pub const CALM: Duration = Duration::from_secs(20);
/// Between two looks while something is being repaired.
pub const BUSY: Duration = Duration::from_secs(3);
/// Quick looks before it is left to the calm pace: what three repairs did not mend, haste will not.
const QUICK: u32 = 6;
/// From one try of the dearest repair to the next.
const DEAREST: Duration = Duration::from_secs(60);
/// How long a part may be under repair before the daemon itself counts as broken.
pub const BOUND: Duration = Duration::from_secs(180);

/// What of a speaker is looked at from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Announcement,
    Endpoint,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Fine,
    Failed,
    /// It failed, and not by our doing: nothing that is done here would help.
    Blocked,
    /// There is nothing to look at.
    Nothing,
}

/// How one part of one speaker has fared.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Trail {
    /// Since when it fails, and how often it was looked at since.
    failed: Option<(Instant, u32)>,
    blocked: bool,
    /// When the dearest repair was tried last.
    dearest: Option<Instant>,
}

impl Trail {
    /// Follows what was seen, and says what to repair: the cheapest first, then the next dearer one.
    pub fn follow(&mut self, part: Part, seen: Seen, now: Instant) -> Option<Repair> {
        let was_blocked = std::mem::replace(&mut self.blocked, seen == Seen::Blocked);
        if seen != Seen::Failed {
            self.failed = None;
            self.dearest = None;
            // Nobody has heard what was said meanwhile.
            let back = was_blocked && seen == Seen::Fine && part == Part::Announcement;
            return back.then_some(Repair::Announce);
        }
        let (since, looks) = self.failed.unwrap_or((now, 0));
        self.failed = Some((since, looks + 1));
        match (part, looks) {
            (Part::Announcement, 0) => Some(Repair::Announce),
            (Part::Endpoint, 0) => Some(Repair::Listen),
            _ => self.dearest(part, now),
        }
    }

    fn dearest(&mut self, part: Part, now: Instant) -> Option<Repair> {
        if self.dearest.is_some_and(|last| now - last < DEAREST) {
            return None;
        }
        self.dearest = Some(now);
        Some(match part {
            Part::Announcement => Repair::Renew,
            Part::Endpoint => Repair::Listen,
        })
    }

    /// Whether it holds, or is still being repaired within its time.
    pub fn is_within_bound(&self, now: Instant) -> bool {
        self.failed.is_none_or(|(since, _)| now - since < BOUND)
    }

    /// When to look again.
    pub fn pace(&self) -> Duration {
        match self.failed {
            Some((_, looks)) if looks <= QUICK => BUSY,
            _ => CALM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_announcement_is_said_again_then_made_anew_then_now_and_then() {
        let (mut trail, begun) = (Trail::default(), Instant::now());
        let mut fail = |after: u64| {
            let now = begun + Duration::from_secs(after);
            trail.follow(Part::Announcement, Seen::Failed, now)
        };
        assert_eq!(fail(0), Some(Repair::Announce));
        assert_eq!(fail(3), Some(Repair::Renew));
        assert_eq!(fail(6), None);
        assert_eq!(fail(62), None);
        assert_eq!(fail(63), Some(Repair::Renew));
        assert!(trail.is_within_bound(begun + BOUND / 2));
        assert!(!trail.is_within_bound(begun + BOUND));
        assert_eq!(trail.follow(Part::Announcement, Seen::Fine, begun), None);
        assert!(trail.is_within_bound(begun + BOUND), "healed");
    }

    #[test]
    fn a_dead_endpoint_is_opened_anew() {
        let (mut trail, now) = (Trail::default(), Instant::now());
        assert_eq!(
            trail.follow(Part::Endpoint, Seen::Failed, now),
            Some(Repair::Listen)
        );
        assert_eq!(trail.pace(), BUSY);
        assert_eq!(trail.follow(Part::Endpoint, Seen::Fine, now), None);
        assert_eq!(trail.pace(), CALM);
    }

    #[test]
    fn what_a_firewall_does_is_no_fault_of_ours_and_everything_is_said_when_it_is_over() {
        let (mut trail, now) = (Trail::default(), Instant::now());
        for _ in 0..100 {
            assert_eq!(trail.follow(Part::Announcement, Seen::Blocked, now), None);
            assert!(trail.is_within_bound(now + BOUND));
        }
        let said = trail.follow(Part::Announcement, Seen::Fine, now);
        assert_eq!(said, Some(Repair::Announce));
        assert_eq!(trail.follow(Part::Announcement, Seen::Fine, now), None);
    }

    #[test]
    fn without_a_network_nothing_is_repaired_and_nobody_is_broken() {
        let (mut trail, now) = (Trail::default(), Instant::now());
        trail.follow(Part::Announcement, Seen::Failed, now);
        assert_eq!(trail.follow(Part::Announcement, Seen::Nothing, now), None);
        assert!(trail.is_within_bound(now + BOUND));
        assert_eq!(trail.pace(), CALM);
    }
}
