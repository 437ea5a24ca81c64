//! What this house asks for: buttons, the socket, the daemon after a loss.

use super::{
    Action, Connect, Entry, Order, Phase, Ticket, Uid, Uri,
    replies::{Answer, By, Wants},
};
use crate::model::{Obstacle, Percent, Repeat, Unmet, Volume};

/// As loud as this is somebody who was mute from the beginning.
const UNMUTED: Percent = Percent::clamped(30);

impl Connect {
    /// As an app's command; with a ticket, somebody waits for [`Action::Done`].
    pub(super) fn order(&mut self, order: Order, ticket: Option<Ticket>) {
        self.failures.asked();
        let is_load = matches!(order, Order::Load(_));
        let answer = self.obey(order);
        let Some(ticket) = ticket else {
            if let Err(Unmet { why, .. }) | Ok(Answer::No(why)) = answer {
                self.note(format!("an order was not carried out: {why}"));
            }
            return;
        };
        let refused = match answer {
            Ok(Answer::No(why)) if is_load => Unmet::new(Obstacle::Unplayable, why),
            Ok(Answer::No(why)) => Unmet::new(Obstacle::Conflict, why),
            Ok(answer) => {
                let now = self.now.tick_ms;
                self.replies
                    .take((By::House, ticket), answer, now, &mut self.out);
                return;
            }
            Err(unmet) => unmet,
        };
        let result = Err(refused);
        self.push(Action::Done { ticket, result });
    }

    fn obey(&mut self, order: Order) -> Result<Answer, Unmet> {
        let is_idle = self.phase == Phase::Idle && self.lineup.current().is_none();
        if self.is_active()
            && !is_idle
            && let Some(unmet) = self.forbids(&order)
        {
            return Err(unmet);
        }
        let not_active = || Unmet::new(Obstacle::NotActive, super::commands::NOT_ACTIVE);
        Ok(match order {
            Order::SetVolume(volume) => self.be_as_loud(volume),
            Order::VolumeBy(points) => {
                let points = i16::from(self.volume.percent().get()) + i16::from(points);
                let percent = u8::try_from(points.clamp(0, 100)).unwrap_or(0);
                self.be_as_loud(Percent::clamped(percent).volume())
            }
            Order::Mute(on) => self.mute(on),
            Order::Restore(then) => {
                self.restore(*then);
                Answer::Yes
            }
            Order::Leave => {
                self.leave();
                Answer::Yes
            }
            Order::Load(play) => self.play(*play),
            Order::Pull if self.is_active() && !is_idle => Answer::Yes,
            Order::Toggle if self.is_active() && self.want_play && self.phase != Phase::Idle => {
                self.pause()
            }
            // What plays elsewhere, or played last, is asked to come here.
            Order::Play | Order::Toggle | Order::Pull if !self.is_active() || is_idle => {
                self.push(Action::FetchPlayback);
                Answer::Later(Wants::Pulled)
            }
            _ if !self.is_active() => return Err(not_active()),
            Order::Send(to) => self.send(&to)?,
            Order::Play | Order::Toggle | Order::Pull => self.resume(),
            Order::Pause => self.pause(),
            Order::Stop => {
                // Said before it is given up, so that nobody takes it for another device's doing.
                self.silence();
                self.want_play = false;
                self.publish();
                self.retire("the speaker was stopped");
                Answer::Yes
            }
            Order::Next => self.skip_next(None),
            Order::Previous => self.skip_prev(),
            Order::Seek { position_ms } => self.seek(position_ms),
            Order::SeekBy { ms } => self.seek_by(ms),
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
            Order::Enqueue(uri) => self.enqueue(uri),
            Order::Sleep { timer, fade_ms } => self.sleep_at(timer, fade_ms),
        })
    }

    fn enqueue(&mut self, uri: Uri) -> Answer {
        if self.lineup.current().is_none() {
            return Answer::No("there is nothing that it could follow".to_owned());
        }
        let uid = Uid::default();
        self.add_to_queue(Entry { uri, uid })
    }

    fn be_as_loud(&mut self, volume: Volume) -> Answer {
        self.set_volume(volume);
        Answer::Yes
    }

    fn mute(&mut self, on: Option<bool>) -> Answer {
        let is_mute = self.volume == Volume::MUTE;
        match on.unwrap_or(!is_mute) {
            true if !is_mute => {
                self.loud = Some(self.volume);
                self.set_volume(Volume::MUTE);
            }
            false if is_mute => {
                let before = self.loud.take().unwrap_or(UNMUTED.volume());
                self.set_volume(before);
            }
            _ => {}
        }
        Answer::Yes
    }

    /// What was to come here does not.
    pub(super) fn not_fetched(&mut self, why: &str) {
        let why = format!("there is nothing to play, and nothing comes from elsewhere: {why}");
        self.replies.settle(
            |wants| wants == Wants::Pulled,
            &Err(why),
            Obstacle::Conflict,
            &mut self.out,
        );
    }
}
