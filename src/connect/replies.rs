//! Answers that are owed: to the dealer, and to this house. Each is given once, truthfully, and in
//! time.

use super::{
    action::Action,
    input::{LoadId, Ticket},
};
use crate::model::{Obstacle, Unmet};

/// How long an effect may be waited for. The app's limit is two seconds; the way takes some of it.
pub const LIMIT_MS: u64 = 1_800;

/// The same for orders of this house, which are answered within 2.5 s.
pub const HOUSE_LIMIT_MS: u64 = 2_400;

/// Commands that may wait at once. A phone sends one at a time.
const MAX_PENDING: usize = 64;

/// What makes an answer a "yes".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// The track of this order is known to exist and is on its way, or sounds already.
    Known(LoadId),
    /// A context, without which nothing can begin.
    Begun,
    /// Playback that is to come from elsewhere.
    Pulled,
    /// Playback that is to go elsewhere.
    Sent,
    Paused,
    Playing,
    Sought,
}

/// Who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    App,
    House,
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    Yes,
    No(String),
    Later(Wants),
}

#[derive(Debug)]
struct Pending {
    by: By,
    ticket: Ticket,
    wants: Wants,
    due: u64,
}

#[derive(Debug, Default)]
pub struct Replies(Vec<Pending>);

impl Replies {
    /// Answers now, or notes that an answer is owed.
    pub fn take(
        &mut self,
        (by, ticket): (By, Ticket),
        answer: Answer,
        tick_ms: u64,
        out: &mut Vec<Action>,
    ) {
        let result = match answer {
            Answer::Yes => Ok(()),
            Answer::No(why) => Err(why),
            Answer::Later(_) if self.0.len() >= MAX_PENDING => {
                Err("too many commands at once".to_owned())
            }
            Answer::Later(wants) => {
                let limit = match by {
                    By::App => LIMIT_MS,
                    By::House => HOUSE_LIMIT_MS,
                };
                self.0.push(Pending {
                    by,
                    ticket,
                    wants,
                    due: tick_ms + limit,
                });
                return;
            }
        };
        out.push(reply((by, ticket), result, Obstacle::Conflict));
    }

    /// Answers all that waited for something that `is_it`; a house is told a "no" as `obstacle`.
    pub fn settle(
        &mut self,
        is_it: impl Fn(Wants) -> bool,
        result: &Result<(), String>,
        obstacle: Obstacle,
        out: &mut Vec<Action>,
    ) {
        self.0.retain(|pending| {
            let done = is_it(pending.wants);
            if done {
                let who = (pending.by, pending.ticket);
                out.push(reply(who, result.clone(), obstacle));
            }
            !done
        });
    }

    /// What the command of this ticket waits for, if it does.
    pub fn wants(&self, ticket: Ticket) -> Option<Wants> {
        let by_app = self.0.iter().filter(|pending| pending.by == By::App);
        let mut waiting = by_app.filter(|pending| pending.ticket == ticket);
        waiting.next().map(|pending| pending.wants)
    }

    /// Another track is loaded for the same wish.
    pub fn follow(&mut self, from: Wants, to: Wants) {
        for pending in &mut self.0 {
            if pending.wants == from {
                pending.wants = to;
            }
        }
    }

    /// Those whose time has come.
    pub fn due(&mut self, tick_ms: u64) -> Vec<((By, Ticket), Wants)> {
        let mut due = Vec::new();
        self.0.retain(|pending| {
            let is_due = pending.due <= tick_ms;
            if is_due {
                due.push(((pending.by, pending.ticket), pending.wants));
            }
            !is_due
        });
        due
    }

    pub fn next_due(&self) -> Option<u64> {
        self.0.iter().map(|pending| pending.due).min()
    }
}

/// The answer in the words of whoever waits for it.
pub fn reply((by, ticket): (By, Ticket), result: Result<(), String>, obstacle: Obstacle) -> Action {
    match by {
        By::App => Action::Reply { ticket, result },
        By::House => Action::Done {
            ticket,
            result: result.map_err(|why| Unmet::new(obstacle, why)),
        },
    }
}
