//! Audio keys, from an access point that may take its time.
//!
//! `AudioKeyManager::request` gives up after 1.5 s, though the answer that comes later would still
//! find the way to it. [`Late`] does not let it: the request is polled once, so that it is sent, and
//! then only when its answer has come. Its limit, which would end it at the next poll, is slept
//! through.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_util::{
    stream::{FuturesUnordered, StreamExt},
    task::AtomicWaker,
};
use librespot_core::{
    Error, FileId, Session, SpotifyId,
    audio_key::{AudioKey, AudioKeyError},
};
use tokio::{
    task::unconstrained,
    time::{Instant, sleep_until},
};
use tracing::debug;

use super::super::current::Current;
use crate::fetch::{Failure, Key};

/// When the crate gives a request up.
const CRATES_LIMIT: Duration = Duration::from_millis(1_500);
/// A key is waited for at least this long.
const PATIENCE: Duration = Duration::from_secs(8);
/// An answer that has not come by then may never come: it is asked for once more beside.
const ASK_AGAIN: Duration = Duration::from_secs(3);
/// At most so many are waited for at once.
const UNANSWERED: usize = 4;
/// Before a refusal is taken for what it is.
const SECOND_THOUGHTS: Duration = Duration::from_millis(500);

/// The code of a refusal, which the crate writes into its log and nowhere else: `error audio key 0 1`,
/// two bytes, hexadecimal.
pub fn refusal(line: &str) -> Option<u16> {
    let (high, low) = line.strip_prefix("error audio key ")?.split_once(' ')?;
    let byte = |text: &str| u8::from_str_radix(text, 16).ok();
    Some(u16::from_be_bytes([byte(high)?, byte(low.trim())?]))
}

/// Why one request for a key brought none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NoKey {
    Refused,
    /// The link to the access point is gone.
    Lost,
}

/// The key to `file`, asked for in the name of each of `ids` in turn: a track that has moved may be
/// known under its old id or its new one.
///
/// Waits while `playing` says that something else is left to play, and for 8 s in any case. While
/// there is no session, that does not count.
///
/// # Errors
/// [`Failure::KeyRefused`] after two refusals; [`Failure::Line`] when no answer came.
pub async fn obtain(
    current: Current,
    ids: Vec<SpotifyId>,
    file: FileId,
    playing: impl Fn() -> bool + Send + Sync,
) -> Result<Key, Failure> {
    loop {
        let (session, number) = current.standing().await;
        // The answer that a lost link owes never comes: asked anew, with all patience.
        tokio::select! {
            key = of_session(&session, &ids, file, &playing) => {
                if key.is_ok() || !session.is_invalid() {
                    return key;
                }
            }
            () = current.fallen(number) => {}
        }
    }
}

async fn of_session(
    session: &Session,
    ids: &[SpotifyId],
    file: FileId,
    playing: &(impl Fn() -> bool + Send + Sync),
) -> Result<Key, Failure> {
    let ask = |turn: usize| {
        let (session, id) = (session.clone(), ids.get(turn % ids.len().max(1)).copied());
        async move {
            let Some(id) = id else {
                return Err(NoKey::Lost);
            };
            let request = async { session.audio_key().request(id, file).await };
            let AudioKey(key) = Late::new(request).await.map_err(why)?;
            Ok(key)
        }
    };
    ask_until(ask, playing).await.map(Key::Aes)
}

fn why(error: Error) -> NoKey {
    match error.error.downcast_ref() {
        Some(AudioKeyError::AesKey) => NoKey::Refused,
        _ => NoKey::Lost,
    }
}

async fn ask_until<F>(
    ask: impl Fn(usize) -> F,
    playing: impl Fn() -> bool,
) -> Result<[u8; 16], Failure>
where
    F: Future<Output = Result<[u8; 16], NoKey>>,
{
    let began = Instant::now();
    let mut turn = 0;
    let mut refused = 0;
    let mut next = Some(began);
    let mut asks = FuturesUnordered::new();
    loop {
        let ended = began + PATIENCE;
        let answer = tokio::select! {
            biased;
            Some(answer) = asks.next(), if !asks.is_empty() => answer,
            () = at(next) => {
                if began.elapsed() >= PATIENCE && !playing() {
                    return Err(Failure::line("the access point gave no key"));
                }
                if asks.len() < UNANSWERED {
                    asks.push(ask(turn));
                    turn += 1;
                }
                next = Some(Instant::now() + ASK_AGAIN);
                continue;
            }
            () = sleep_until(ended), if began.elapsed() < PATIENCE => {
                if playing() {
                    continue;
                }
                return Err(Failure::line(format!(
                    "the access point gave no key within {} s",
                    PATIENCE.as_secs()
                )));
            }
        };
        match answer {
            Ok(key) => return Ok(key),
            Err(NoKey::Refused) if refused > 0 => return Err(Failure::KeyRefused),
            Err(NoKey::Refused) => {
                debug!("the key was refused; asking once more");
                refused += 1;
                next = Some(Instant::now() + SECOND_THOUGHTS);
            }
            Err(NoKey::Lost) => next = Some(Instant::now() + ASK_AGAIN),
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

/// A request that is never polled because its limit has passed.
struct Late<F: Future> {
    request: Pin<Box<tokio::task::coop::Unconstrained<F>>>,
    ear: Arc<Ear>,
    sent: Option<Instant>,
}

/// Counts how often the request asked to be polled.
#[derive(Default)]
struct Ear {
    wakes: AtomicU32,
    task: AtomicWaker,
}

impl Wake for Ear {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Ordering::AcqRel);
        self.task.wake();
    }
}

impl<F: Future> Late<F> {
    fn new(request: F) -> Self {
        Self {
            // A task that has done much would have its channel say "not now" and wake at once, which
            // would be taken for the limit.
            request: Box::pin(unconstrained(request)),
            ear: Arc::default(),
            sent: None,
        }
    }

    /// Whether a wake can have come from the answer. The limit wakes once, and never early: so the
    /// first wake before it, or the second wake after it, means that the answer is there.
    fn answered(&self, sent: Instant) -> bool {
        let wakes = self.ear.wakes.load(Ordering::Acquire);
        let enough = if sent.elapsed() < CRATES_LIMIT { 1 } else { 2 };
        wakes >= enough
    }
}

impl<F: Future> Future for Late<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.ear.task.register(cx.waker());
        if let Some(sent) = self.sent
            && !self.answered(sent)
        {
            return Poll::Pending;
        }
        // Before the poll: what is measured may not be shorter than the crate's own measure.
        self.sent.get_or_insert_with(Instant::now);
        let waker = Waker::from(self.ear.clone());
        self.request.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::{
        sync::oneshot,
        time::{sleep, timeout},
    };

    use super::*;

    /// As the crate waits for an answer, here one that comes after `ms`.
    async fn crates_request(ms: u64) -> Result<u32, &'static str> {
        let (answer, comes) = oneshot::channel();
        tokio::spawn(async move {
            sleep(Duration::from_millis(ms)).await;
            let _ = answer.send(7);
        });
        match timeout(CRATES_LIMIT, comes).await {
            Ok(key) => key.map_err(|_| "closed"),
            Err(_) => Err("given up"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_taken_however_late_it_comes() {
        for ms in [0, 1, 500, 1_499, 1_500, 1_501, 3_000, 60_000] {
            let began = Instant::now();
            assert_eq!(Late::new(crates_request(ms)).await, Ok(7), "{ms}");
            let took = began.elapsed().as_millis() as u64;
            assert!(took <= ms.max(1_500) + 2, "{ms}: {took}");
        }
        assert_eq!(crates_request(1_600).await, Err("given up"));
    }

    #[tokio::test(start_paused = true)]
    async fn other_work_of_the_same_task_does_not_end_a_request() {
        let late = Late::new(crates_request(3_000));
        let busy = async {
            for _ in 0..500 {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert_eq!(tokio::join!(late, busy).0, Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_asked_again_once() {
        let asked = Cell::new(0);
        let ask = |turn| {
            asked.set(asked.get() + 1);
            async move {
                match turn {
                    0 => Err(NoKey::Refused),
                    _ => Ok([turn as u8; 16]),
                }
            }
        };
        assert_eq!(ask_until(ask, || false).await, Ok([1; 16]));
        let refuse = |_| async { Err(NoKey::Refused) };
        let refused = ask_until(refuse, || false).await;
        assert_eq!(refused, Err(Failure::KeyRefused));
        assert_eq!(asked.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn no_answer_is_waited_for_eight_seconds_or_while_something_plays() {
        let began = Instant::now();
        let silent = |_| std::future::pending();
        let nothing = ask_until(silent, || false).await;
        assert!(matches!(nothing, Err(Failure::Line { .. })));
        assert_eq!(began.elapsed(), PATIENCE);
        let began = Instant::now();
        let playing = || began.elapsed() < Duration::from_secs(30);
        let nothing = ask_until(silent, playing).await;
        assert!(matches!(nothing, Err(Failure::Line { .. })));
        assert!((30..34).contains(&began.elapsed().as_secs()));
    }

    #[test]
    fn the_code_is_read_from_the_log() {
        assert_eq!(refusal("error audio key 0 1"), Some(1));
        assert_eq!(refusal("error audio key a ff"), Some(0x0aff));
        assert_eq!(refusal("error audio key"), None);
        assert_eq!(refusal("Audio key response timeout"), None);
    }
}
