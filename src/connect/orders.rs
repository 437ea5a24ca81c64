//! What this house asks for: buttons, the socket, the daemon after a loss.

use super::{Action, Connect, Order, Phase, replies::Answer};
use crate::model::Repeat;

impl Connect {
    /// As an app's command, but nobody waits for an answer.
    pub(super) fn order(&mut self, order: Order) {
        self.failures.asked();
        let is_idle = self.phase == Phase::Idle && self.lineup.current().is_none();
        let answer = match order {
            Order::SetVolume(volume) => {
                self.set_volume(volume);
                return;
            }
            Order::Restore(then) => {
                self.restore(*then);
                return;
            }
            Order::Leave => {
                self.leave();
                return;
            }
            // What plays elsewhere, or played last, is asked to come here.
            Order::Play if !self.is_active() || is_idle => {
                self.push(Action::FetchPlayback);
                return;
            }
            _ if !self.is_active() => Answer::No("this is not the active device".to_owned()),
            Order::Play => self.resume(),
            Order::Pause => self.pause(),
            Order::Next => self.skip_next(None),
            Order::Previous => self.skip_prev(),
            Order::Seek { position_ms } => self.seek(position_ms),
            Order::Shuffle(on) => {
                self.lineup.set_shuffle(on);
                self.touched = true;
                Answer::Yes
            }
            Order::Repeat(mode) => {
                let (context, track) = (mode == Repeat::Context, mode == Repeat::Track);
                self.lineup.set_repeat(Some(context), Some(track));
                self.touched = true;
                Answer::Yes
            }
        };
        if let Answer::No(why) = answer {
            self.note(format!("an order was not carried out: {why}"));
        }
    }
}
