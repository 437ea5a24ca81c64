//! What is measured for whoever reads the state: how much music lies ready.
//!
//! It changes all the time, so it is no part of what is told in events. The engines are asked when
//! somebody reads, once for all who read at that moment, and only where something plays; a reader
//! waits no longer than [`LIMIT`] for it, and goes without then.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    bus::{Answer, Bus, Order},
    model::{House, PlayState, SpeakerState},
};

/// For the engines' answer. A healthy one takes a millisecond or two.
const LIMIT: Duration = Duration::from_millis(100);
/// So long an answer is as good as new.
const FRESH: Duration = Duration::from_millis(200);
/// Engines that did not answer are asked again after this: readers do not wait time and again.
const AGAIN: Duration = Duration::from_secs(2);

/// By the id of a speaker: what it has ready, in ms.
type Stocks = Arc<Vec<(String, u32)>>;

/// Cheap to clone; all clones ask together.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<Mutex<Option<(Instant, Stocks)>>>);

impl Gauge {
    /// The state as it is now, with what is measured.
    pub async fn read(&self, bus: &Bus) -> House {
        let stocks = match bus.now().speakers.iter().any(is_at_work) {
            true => self.stocks(bus).await,
            false => Stocks::default(),
        };
        let mut house = (*bus.now()).clone();
        for speaker in house.speakers.iter_mut().filter(|one| is_at_work(one)) {
            let mut stocks = stocks.iter();
            let found = stocks.find(|(id, _)| *id == speaker.id);
            speaker.buffered_ms = found.map(|(_, ms)| *ms);
        }
        house
    }

    async fn stocks(&self, bus: &Bus) -> Stocks {
        let mut last = self.0.lock().await;
        if let Some((until, stocks)) = &*last
            && Instant::now() < *until
        {
            return stocks.clone();
        }
        let (holds, stocks) = match timeout(LIMIT, bus.order(Order::Measure)).await {
            Ok(Ok(Answer::Measures(all))) => {
                let stocks = all.into_iter().map(|(id, one)| (id, one.buffered_ms));
                (FRESH, stocks.collect())
            }
            _ => (AGAIN, Vec::new()),
        };
        let stocks = Arc::new(stocks);
        *last = Some((Instant::now() + holds, stocks.clone()));
        stocks
    }
}

/// Whether there is music that could lie ready.
fn is_at_work(speaker: &SpeakerState) -> bool {
    let state = speaker.playback.as_ref().map(|one| one.state);
    state.is_some_and(|state| state != PlayState::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bus,
        model::{Measures, Playback, Volume},
    };

    fn house(state: PlayState) -> House {
        let playback = Playback {
            state,
            ..Playback::silent(Volume::FULL)
        };
        House {
            speakers: vec![SpeakerState {
                id: "main".into(),
                playback: Some(playback),
                ..SpeakerState::default()
            }],
            ..House::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn engines_are_asked_once_for_all_who_read_and_not_while_nothing_plays() {
        let (bus, mut desk) = bus::open();
        let gauge = Gauge::default();
        desk.publish(&house(PlayState::Stopped));
        let none = gauge.read(&bus).await;
        assert_eq!(none.speakers[0].buffered_ms, None);
        desk.publish(&house(PlayState::Playing));
        let engine = async {
            let asked = desk.next().await;
            let measures = Measures {
                buffered_ms: 700,
                ..Measures::default()
            };
            let answer = Answer::Measures(vec![("main".into(), measures)]);
            asked.answer.send(Ok(answer)).expect("somebody waits");
            desk
        };
        let read = async || gauge.read(&bus).await.speakers[0].buffered_ms;
        let (one, other, desk) = tokio::join!(read(), read(), engine);
        assert_eq!((one, other), (Some(700), Some(700)));
        // Nobody answers any more: it costs a reader a moment, and the next one nothing.
        tokio::time::advance(FRESH).await;
        assert_eq!(read().await, None);
        let begun = Instant::now();
        assert_eq!(read().await, None);
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop(desk);
    }
}
