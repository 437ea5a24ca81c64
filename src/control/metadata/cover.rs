//! The cover of what plays, for the reader that there is: asked for once a track and only while
//! somebody reads, and handed out when the pipe has room for all of it.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};

use super::{
    items::{Cover, Shown, picture},
    pipe::{Pipe, Sent},
};
use crate::{
    bus::{Answer, Bus, Order},
    model::{Known, Query},
};

/// A reader that is not done with what it was told is looked at again after this, and then less and
/// less often.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// Where the cover of a track stands, for one reader.
#[derive(Debug)]
enum State {
    /// The daemon is asked for it.
    Asked,
    /// To be told; `None`: there is none, and the one before is not to be shown any more.
    Ready(Option<Arc<Known>>),
    Told,
}

/// Dropped, it asks no more.
pub struct Covers {
    bus: Bus,
    speaker: String,
    /// Of which track.
    now: Option<(Cover, State)>,
    asking: JoinSet<Option<Arc<Known>>>,
    pause: Duration,
    look_at: Option<Instant>,
}

impl Covers {
    pub fn new(bus: Bus, speaker: String) -> Self {
        Self {
            bus,
            speaker,
            now: None,
            asking: JoinSet::new(),
            pause: FIRST_LOOK,
            look_at: None,
        }
    }

    /// Whoever reads now has been told of no cover, or nobody reads.
    pub fn forget(&mut self) {
        // Not only called off: one that is done by now would be taken for the next one.
        self.asking = JoinSet::new();
        self.now = None;
        self.look_at = None;
    }

    /// Sees to it that the reader is told the cover of this track, and of no other.
    pub fn want(&mut self, wanted: Option<Cover>) {
        let Some(wanted) = wanted else {
            return self.forget();
        };
        if self.now.as_ref().is_some_and(|(now, _)| *now == wanted) {
            return;
        }
        self.forget();
        self.pause = FIRST_LOOK;
        let state = match wanted.address.clone() {
            None => State::Ready(None),
            Some(address) => {
                let (bus, speaker) = (self.bus.clone(), self.speaker.clone());
                let query = Query::Picture { address };
                self.asking.spawn(async move {
                    match bus.order(Order::Ask { speaker, query }).await {
                        Ok(Answer::Known(known)) => Some(known),
                        _ => None,
                    }
                });
                State::Asked
            }
        };
        self.now = Some((wanted, state));
    }

    /// Tells what is there to be told, if the reader is done with everything before it.
    pub fn tell(&mut self, pipe: &mut Pipe, shown: &Shown) -> Sent {
        let Some((_, state)) = &mut self.now else {
            return Sent::Whole;
        };
        let State::Ready(known) = state else {
            return Sent::Whole;
        };
        if !pipe.is_drained() {
            self.look_at = Some(Instant::now() + self.pause);
            self.pause = (self.pause * 2).min(LAST_LOOK);
            return Sent::Whole;
        }
        self.look_at = None;
        let bytes = match known.as_deref() {
            Some(Known::Picture(picture)) if is_usual(picture.mime()) => picture.bytes(),
            _ => &[],
        };
        let items = match picture(bytes, shown) {
            items if pipe.takes(items.len()) => items,
            _ => picture(&[], shown),
        };
        let sent = pipe.send_large(items);
        if sent != Sent::Gone {
            *state = State::Told;
        }
        sent
    }

    /// Waits until there is something to be told. Cancel safe.
    pub async fn changed(&mut self) {
        tokio::select! {
            Some(asked) = self.asking.join_next() => {
                if let (Ok(known), Some((_, state @ State::Asked))) = (asked, &mut self.now) {
                    *state = State::Ready(known);
                }
            }
            () = super::at(self.look_at) => self.look_at = None,
        }
    }
}

/// Readers of this format know two kinds of pictures.
fn is_usual(mime: &str) -> bool {
    matches!(mime, "image/jpeg" | "image/png")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bus, model::Picture};

    fn cover(track: &str, address: Option<&str>) -> Option<Cover> {
        Some(Cover {
            track: track.into(),
            address: address.map(str::to_owned),
        })
    }

    fn known() -> Arc<Known> {
        let bytes = [&[0xFF, 0xD8, 0xFF][..], &[7; 9]].concat();
        Arc::new(Known::Picture(Picture::read(bytes).expect("a picture")))
    }

    #[tokio::test]
    async fn a_cover_that_comes_late_is_not_shown_for_the_track_after_it() {
        let (bus, mut desk) = bus::open();
        let mut covers = Covers::new(bus, "main".into());
        covers.want(cover("a", Some("https://a")));
        let late = desk.next().await;
        covers.want(cover("b", Some("https://b")));
        covers.want(cover("b", Some("https://b")));
        let asked = desk.next().await;
        let _ = late.answer.send(Ok(Answer::Known(known())));
        let query = Query::Picture {
            address: "https://b".into(),
        };
        let speaker = "main".to_owned();
        assert_eq!(asked.order, Order::Ask { speaker, query });
        let _ = asked.answer.send(Ok(Answer::Known(known())));
        while !matches!(covers.now, Some((_, State::Ready(Some(_))))) {
            covers.changed().await;
        }
        assert!(covers.now.as_ref().is_some_and(|(now, _)| now.track == "b"));
        covers.want(cover("c", None));
        assert!(matches!(covers.now, Some((_, State::Ready(None)))));
        covers.want(None);
        assert!(covers.now.is_none());
    }
}
