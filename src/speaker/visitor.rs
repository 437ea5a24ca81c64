//! How long a visitor may sit idle, before the owner comes back.

use std::time::Duration;

use tokio::time::Instant;

use super::{Speaker, phase::Input, policy};
use crate::model::local_minute;

/// How often an idle visitor is thought of while there are quiet hours, which begin by the clock.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);

impl Speaker {
    /// Notes whether a visitor sits here idle, and when to think of him.
    pub(super) fn mind_visitor(&mut self) {
        let known = self.visitor_idle_since;
        let idle = self.seats.visitor_is_idle();
        self.visitor_idle_since = idle.then(|| known.unwrap_or_else(Instant::now));
        if self.visitor_idle_since != known {
            self.plan_look();
        }
    }

    pub(super) fn plan_look(&mut self) {
        let house = &self.settings.speaker.household;
        self.look_at_visitor = self.visitor_idle_since.and_then(|since| {
            let over = house.guest_timeout.map(|limit| since + limit);
            let clock = house.quiet_hours.map(|_| Instant::now() + LOOK_AT_CLOCK);
            over.into_iter().chain(clock).min()
        });
    }

    pub(super) async fn look_after_visitor(&mut self) {
        let Some(since) = self.visitor_idle_since else {
            return;
        };
        let house = &self.settings.speaker.household;
        let quiet = policy::is_quiet(house.quiet_hours, local_minute());
        let limit = policy::patience(house.guest_timeout, quiet);
        if limit.is_some_and(|limit| since.elapsed() >= limit) {
            // Should the owner not be let in, he is tried again after as long a time.
            self.visitor_idle_since = Some(Instant::now());
            self.step(Input::VisitOver).await;
        }
        self.plan_look();
    }
}
