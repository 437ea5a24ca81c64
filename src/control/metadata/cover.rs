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

/// A picture that could not be had is asked for again after these: most often the line was away.
const AGAIN: [Duration; 4] = [
    Duration::from_secs(2),
    Duration::from_secs(8),
    Duration::from_secs(30),
    Duration::from_secs(120),
];

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
    /// How often it could not be had, and when it is asked for again.
    failed: usize,
    ask_at: Option<Instant>,
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
            failed: 0,
            ask_at: None,
        }
    }

    /// Whoever reads now has been told of no cover, or nobody reads.
    pub fn forget(&mut self) {
        // Not only called off: one that is done by now would be taken for the next one.
        self.asking = JoinSet::new();
        self.now = None;
        self.look_at = None;
        self.failed = 0;
        self.ask_at = None;
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
        let state = match &wanted.address {
            None => State::Ready(None),
            Some(_) => State::Asked,
        };
        self.now = Some((wanted, state));
        self.ask();
    }

    fn ask(&mut self) {
        let Some((Cover { address, .. }, _)) = &self.now else {
            return;
        };
        let Some(address) = address.clone() else {
            return;
        };
        let (bus, speaker) = (self.bus.clone(), self.speaker.clone());
        let query = Query::Picture { address };
        self.asking.spawn(async move {
            match bus.order(Order::Ask { speaker, query }).await {
                Ok(Answer::Known(known)) => Some(known),
                _ => None,
            }
        });
    }

    /// What came of a question.
    fn had(&mut self, known: Option<Arc<Known>>) {
        let Some((_, state)) = &mut self.now else {
            return;
        };
        if known.is_none() {
            let pause = AGAIN.get(self.failed);
            self.ask_at = pause.map(|pause| Instant::now() + *pause);
            self.failed += 1;
        }
        // Meanwhile there is none, which is told once.
        if known.is_some() || matches!(state, State::Asked) {
            *state = State::Ready(known);
        }
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
            Some(asked) = self.asking.join_next() => self.had(asked.unwrap_or(None)),
            () = super::at(self.look_at) => self.look_at = None,
            () = super::at(self.ask_at) => {
                self.ask_at = None;
                self.ask();
            }
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
    use crate::{
        bus::{self, Unable},
        model::Picture,
    };

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

    #[tokio::test(start_paused = true)]
    async fn a_cover_that_could_not_be_had_is_asked_for_again_a_few_times() {
        let (bus, mut desk) = bus::open();
        let mut covers = Covers::new(bus, "main".into());
        covers.want(cover("a", Some("https://a")));
        for _ in 0..2 {
            let asked = tokio::select! {
                asked = desk.next() => asked,
                () = async { loop { covers.changed().await } } => unreachable!("it goes on"),
            };
            let _ = asked.answer.send(Err(Unable::no_pairing()));
            covers.changed().await;
            assert!(matches!(covers.now, Some((_, State::Ready(None)))));
        }
        let asked = tokio::select! {
            asked = desk.next() => asked,
            () = async { loop { covers.changed().await } } => unreachable!("it goes on"),
        };
        let _ = asked.answer.send(Ok(Answer::Known(known())));
        covers.changed().await;
        assert!(matches!(covers.now, Some((_, State::Ready(Some(_))))));
        assert_eq!(covers.ask_at, None);
        for _ in 0..9 {
            covers.had(None);
        }
        assert_eq!(covers.ask_at, None, "not for ever");
    }
}
