//! What people want to see of Spotify: covers and names, asked for once however many look, and the
//! last few answers kept.
//!
//! A place of its own beside the [`super::clerk`]: fifty browsers that want the next cover from a
//! slow line must not stand in the way of whoever wants silence.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};

use crate::{
    bus::{Answer, Reason, Unable},
    model::{Known, Query},
    speaker::Knock,
};

/// Questions under way at once.
const AT_WORK: usize = 8;
/// Who may wait for one answer.
const WAITING: usize = 64;
/// What is kept of answers: so many, and so many bytes of them. A large cover has about 100 kB.
const KEPT: usize = 8;
const KEPT_BYTES: usize = 768 * 1024;

type Waits = oneshot::Sender<Result<Answer, Unable>>;
/// Which speaker is asked, and what.
type Asked = (String, Query);

#[derive(Default)]
pub struct Queries {
    /// The newest last.
    kept: VecDeque<(Query, Arc<Known>)>,
    open: HashMap<Asked, Vec<Waits>>,
    at_work: JoinSet<(Asked, Result<Arc<Known>, Unable>)>,
}

impl Queries {
    /// Answers from what is kept, joins those who wait for the same, or asks, for `limit` at most.
    pub fn take(
        &mut self,
        speaker: String,
        query: Query,
        door: mpsc::Sender<Knock>,
        limit: Duration,
        answer: Waits,
    ) {
        if let Some(known) = self.kept(&query) {
            // Who has left needs no answer, here and below.
            return drop(answer.send(Ok(Answer::Known(known))));
        }
        let asked = (speaker, query);
        if let Some(waiting) = self.open.get_mut(&asked) {
            waiting.retain(|waits| !waits.is_closed());
            if waiting.len() < WAITING {
                return waiting.push(answer);
            }
        }
        if self.open.contains_key(&asked) || self.at_work.len() >= AT_WORK {
            let help = "ask again in a moment";
            let busy = Unable::new(Reason::Unavailable, "too much is asked at once", help);
            return drop(answer.send(Err(busy)));
        }
        self.open.insert(asked.clone(), vec![answer]);
        self.at_work.spawn(async move {
            let told = timeout(limit, ask(door, asked.1.clone())).await;
            let result = told.unwrap_or_else(|_| Err(Unable::timed_out(limit)));
            (asked, result)
        });
    }

    /// Waits for an answer and hands it to all who want it; for ever when nothing is asked. Cancel
    /// safe.
    pub async fn work(&mut self) {
        match self.at_work.join_next().await {
            Some(Ok((asked, result))) => self.answered(asked, result),
            // A question that broke inside: whoever waited is dropped, and told so by the bus.
            Some(Err(_)) if self.at_work.is_empty() => self.open.clear(),
            Some(Err(_)) => {}
            None => std::future::pending().await,
        }
    }

    fn answered(&mut self, asked: Asked, result: Result<Arc<Known>, Unable>) {
        for waits in self.open.remove(&asked).unwrap_or_default() {
            let _ = waits.send(result.clone().map(Answer::Known));
        }
        let whole = |known: &&Arc<Known>| match &***known {
            Known::Picture(_) => true,
            Known::Tracks { tracks } => tracks.iter().all(Option::is_some),
        };
        if let Some(known) = result.as_ref().ok().filter(whole) {
            self.keep(asked.1, known.clone());
        }
    }

    fn kept(&mut self, query: &Query) -> Option<Arc<Known>> {
        let at = self.kept.iter().position(|(known, _)| known == query)?;
        let entry = self.kept.remove(at)?;
        let known = entry.1.clone();
        self.kept.push_back(entry);
        Some(known)
    }

    fn keep(&mut self, query: Query, known: Arc<Known>) {
        self.kept.retain(|(other, _)| *other != query);
        self.kept.push_back((query, known));
        let weight = |kept: &VecDeque<(Query, Arc<Known>)>| -> usize {
            kept.iter().map(|(_, known)| known.weight()).sum()
        };
        while self.kept.len() > KEPT || weight(&self.kept) > KEPT_BYTES {
            self.kept.pop_front();
        }
    }
}

async fn ask(door: mpsc::Sender<Knock>, query: Query) -> Result<Arc<Known>, Unable> {
    let help = "siskin status tells whether Spotify can be reached; ask again later";
    let unable = |why: String| Unable::new(Reason::Unavailable, why, help);
    let (answer, answered) = oneshot::channel();
    let knocked = door.send(Knock::Ask { query, answer }).await;
    let told = match knocked {
        Ok(()) => answered.await,
        Err(_) => return Err(unable("the speaker does not listen".to_owned())),
    };
    match told {
        Ok(Ok(known)) => Ok(Arc::new(known)),
        Ok(Err(why)) => Err(unable(format!("Spotify was asked in vain: {why}"))),
        Err(_) => Err(unable("the engine that was asked is gone".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Picture;

    const LIMIT: Duration = Duration::from_secs(4);

    fn cover(number: usize) -> Query {
        let address = format!("https://i.scdn.co/image/{number}");
        Query::Picture { address }
    }

    fn picture(bytes: usize) -> Known {
        let bytes = [&[0xFF, 0xD8, 0xFF][..], &vec![0; bytes]].concat();
        Known::Picture(Picture::read(bytes).expect("a picture"))
    }

    #[tokio::test]
    async fn many_who_look_at_the_same_ask_once_and_later_ones_not_at_all() {
        let (door, mut knocked) = mpsc::channel(8);
        let mut queries = Queries::default();
        let ask = |queries: &mut Queries| {
            let (answer, answered) = oneshot::channel();
            queries.take("main".into(), cover(1), door.clone(), LIMIT, answer);
            answered
        };
        let answers = [ask(&mut queries), ask(&mut queries)];
        let speaker = async {
            let Some(Knock::Ask { answer, .. }) = knocked.recv().await else {
                panic!("a question");
            };
            let _ = answer.send(Ok(picture(10)));
        };
        tokio::join!(queries.work(), speaker);
        for answer in answers {
            assert!(answer.await.expect("an answer").is_ok());
        }
        let later = ask(&mut queries).await.expect("an answer");
        assert_eq!(later, Ok(Answer::Known(Arc::new(picture(10)))));
        assert!(knocked.try_recv().is_err(), "nobody was asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_nobody_answers_keeps_its_place_for_a_while_only() {
        let (door, _knocked) = mpsc::channel(AT_WORK);
        let mut queries = Queries::default();
        let ask = |queries: &mut Queries, number| {
            let (answer, answered) = oneshot::channel();
            queries.take("main".into(), cover(number), door.clone(), LIMIT, answer);
            answered
        };
        let answers: Vec<_> = (0..AT_WORK).map(|it| ask(&mut queries, it)).collect();
        for answer in answers {
            queries.work().await;
            let unable = answer.await.expect("an answer").expect_err("too late");
            assert_eq!(unable.code, Reason::TimedOut);
        }
        let mut next = ask(&mut queries, AT_WORK);
        assert!(next.try_recv().is_err(), "there is room for it");
    }

    #[tokio::test]
    async fn what_is_kept_is_bounded_and_a_no_is_not_kept() {
        let mut queries = Queries::default();
        for number in 0..30 {
            let known = Arc::new(picture(300 * 1024));
            queries.answered(("main".into(), cover(number)), Ok(known));
        }
        assert_eq!(queries.kept.len(), 2, "bytes");
        for number in 0..30 {
            queries.answered(("main".into(), cover(number)), Ok(Arc::new(picture(1))));
        }
        assert_eq!(queries.kept.len(), KEPT);
        let no = Unable::new(Reason::Unavailable, "no", "later");
        queries.answered(("main".into(), cover(99)), Err(no));
        assert!(queries.kept(&cover(99)).is_none());
    }
}
