//! Answers that are owed to the dealer. Each is given once, truthfully, and within two seconds.

use super::{
    action::Action,
    input::{LoadId, Ticket},
};

/// How long an effect may be waited for. The app's limit is two seconds; the way takes some of it.
pub const LIMIT_MS: u64 = 1_800;

/// Commands that may wait at once. A phone sends one at a time.
const MAX_PENDING: usize = 64;

/// What makes an answer a "yes".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// The track of this order is known to exist and is on its way, or sounds already.
    Known(LoadId),
    /// A context, without which nothing can begin.
    Begun,
    Paused,
    Playing,
    Sought,
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
    ticket: Ticket,
    wants: Wants,
    due: u64,
}

#[derive(Debug, Default)]
pub struct Replies(Vec<Pending>);

impl Replies {
    /// Answers now, or notes that an answer is owed.
    pub fn take(&mut self, ticket: Ticket, answer: Answer, tick_ms: u64, out: &mut Vec<Action>) {
        let result = match answer {
            Answer::Yes => Ok(()),
            Answer::No(why) => Err(why),
            Answer::Later(_) if self.0.len() >= MAX_PENDING => {
                Err("too many commands at once".to_owned())
            }
            Answer::Later(wants) => {
                self.0.push(Pending {
                    ticket,
                    wants,
                    due: tick_ms + LIMIT_MS,
                });
                return;
            }
        };
        out.push(Action::Reply { ticket, result });
    }

    /// Answers all that waited for something that `is_it`.
    pub fn settle(
        &mut self,
        is_it: impl Fn(Wants) -> bool,
        result: &Result<(), String>,
        out: &mut Vec<Action>,
    ) {
        self.0.retain(|pending| {
            let done = is_it(pending.wants);
            if done {
                out.push(Action::Reply {
                    ticket: pending.ticket,
                    result: result.clone(),
                });
            }
            !done
        });
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
    pub fn due(&mut self, tick_ms: u64) -> Vec<(Ticket, Wants)> {
        let mut due = Vec::new();
        self.0.retain(|pending| {
            let is_due = pending.due <= tick_ms;
            if is_due {
                due.push((pending.ticket, pending.wants));
            }
            !is_due
        });
        due
    }

    pub fn next_due(&self) -> Option<u64> {
        self.0.iter().map(|pending| pending.due).min()
    }
}
