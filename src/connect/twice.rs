//! A command that comes twice: over a dealer that was replaced meanwhile, or from an app that has not
//! heard the answer. It is obeyed once, and answered twice.

use std::mem::{Discriminant, discriminant};

use super::{Action, Command, Connect, Sender, Ticket, replies::Answer};

/// A message that comes again does so within this time. Later it is another one, of an app that
/// does not count its messages.
const AGAIN_MS: u64 = 5_000;

/// The command that was obeyed last.
#[derive(Debug)]
pub struct Told {
    from: Sender,
    kind: Discriminant<Command>,
    tick_ms: u64,
    ticket: Ticket,
    result: Option<Result<(), String>>,
}

impl Connect {
    /// The answer to a command that was obeyed already; `None` for one that is new.
    pub(super) fn answered_before(
        &mut self,
        ticket: Ticket,
        from: &Sender,
        command: &Command,
    ) -> Option<Answer> {
        let now = self.now.tick_ms;
        let kind = discriminant(command);
        // An app that does not count says 0.
        let again = self.told.as_ref().filter(|told| {
            let is_new = now.saturating_sub(told.tick_ms) < AGAIN_MS;
            told.from == *from && from.message != 0 && told.kind == kind && is_new
        });
        if let Some(told) = again {
            return Some(match &told.result {
                Some(Ok(())) => Answer::Yes,
                Some(Err(why)) => Answer::No(why.clone()),
                None => Answer::Later(self.replies.wants(told.ticket)?),
            });
        }
        self.told = Some(Told {
            from: from.clone(),
            kind,
            tick_ms: now,
            ticket,
            result: None,
        });
        None
    }

    /// Looks for the answer to the command that was told last.
    pub(super) fn remember_answer(&mut self) {
        let Some(told) = &mut self.told else { return };
        let answer = self.out.iter().find_map(|action| match action {
            Action::Reply { ticket, result } if *ticket == told.ticket => Some(result),
            _ => None,
        });
        if let Some(result) = answer {
            told.result = Some(result.clone());
        }
    }
}
