//! One request, from the asking to the last byte of its body.

use std::{ops::Range, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout};

use super::{
    cache, gauge,
    head::{NoPromise, Promise, judge},
    line::{Body, Line, Reply},
    places::Spot,
    shared::{Shared, Taken},
};

/// A body that brings less than [`CRAWL_BYTES`] in this time is as good as silent.
const CRAWL_TIME: Duration = Duration::from_secs(5);
const CRAWL_BYTES: u64 = 4 * 1024;

/// One request to make.
pub(super) struct Order {
    pub spot: Spot,
    pub url: String,
    pub range: Range<u64>,
    pub epoch: u64,
    /// How long the server may be silent.
    pub patience: Duration,
    /// When no more than this is left, the task wants to hear of it.
    pub lead: u64,
}

/// What became of it.
pub(super) struct Outcome {
    pub spot: Spot,
    pub range: Range<u64>,
    pub epoch: u64,
    /// The first byte that did not come.
    pub at: u64,
    pub end: End,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All that was promised came.
    Done,
    /// The file ends before this part of it.
    Past,
    /// The server said no.
    Status(u16, Option<Duration>),
    /// The body ended too early.
    BrokeOff,
    /// It brings so many bytes a second (0: as few as another of its bodies), and another server may
    /// bring more.
    Slow(u64),
    /// What comes after something that has yet to come. Nobody's fault.
    Early,
    /// It could not be reached, fell silent or made no sense.
    Trouble(String),
    /// Nobody wants it any more.
    Stale,
}

pub(super) async fn pull<L: Line>(line: Arc<L>, shared: Arc<Shared>, order: Order) -> Outcome {
    let mut at = order.range.start;
    let end = run(&*line, &shared, &order, &mut at).await;
    Outcome {
        spot: order.spot,
        range: order.range,
        epoch: order.epoch,
        at,
        end,
    }
}

/// How far the body reaches, by the head of the answer; or why there is none.
fn head<B>(
    reply: &Reply<B>,
    shared: &Shared,
    order: &Order,
    after: Duration,
    now: Instant,
) -> Result<u64, End> {
    let mut state = shared.lock();
    state.meter.answered(after, now);
    if !cache::is_here(&order.url) {
        gauge::answered(after);
    }
    let least = state.least;
    let is_fragment = |len: u64| len == order.range.end && len < least;
    let mut told = judge(reply, &order.range, state.len);
    if let Err(NoPromise::Length(len)) = told
        && (is_fragment(len) || state.is_said_again(len))
    {
        told = judge(reply, &order.range, None);
    }
    let trouble = |what: &str| Err(End::Trouble(what.to_owned()));
    match told {
        // What calls itself the whole file and is just what was asked for may be a part of it, from
        // somebody between here and the server who keeps parts. How long the file is, an answer says
        // that reaches its end...
        Ok(Promise::Part { end, len }) if is_fragment(len) => Ok(end),
        // ...and where nobody knows how long it should be, it is believed when it is said again.
        Ok(Promise::Part { len, .. })
            if state.len.is_none() && len == order.range.end && !state.is_said_again(len) =>
        {
            trouble("the audio server seems to take a part of the file for the whole")
        }
        Ok(Promise::Part { end, len }) => {
            state.learn_length(len);
            Ok(end)
        }
        Ok(Promise::Past { len }) => {
            state.learn_length(len);
            drop(state);
            shared.tell_reader();
            Err(End::Past)
        }
        Err(NoPromise::Status(status, wish)) => Err(End::Status(status, wish)),
        Err(NoPromise::Length(_)) => {
            trouble("the audio servers do not agree on how long the file is")
        }
        Err(NoPromise::Nonsense(what)) => trouble(&format!("the audio server sent {what}")),
    }
}

async fn run<L: Line>(line: &L, shared: &Shared, order: &Order, at: &mut u64) -> End {
    let asked = Instant::now();
    let answer = timeout(order.patience, line.get(&order.url, order.range.clone()));
    let mut reply = match answer.await {
        Err(_) => return silent(order.patience),
        Ok(Err(error)) => return End::Trouble(error.to_string()),
        Ok(Ok(reply)) => reply,
    };
    let now = Instant::now();
    let end = match head(&reply, shared, order, now - asked, now) {
        Ok(end) => end,
        Err(no) => return no,
    };
    let mut mark = (now, *at);
    let mut told = false;
    while *at < end {
        let chunk = match timeout(order.patience, reply.body.chunk()).await {
            Err(_) => return silent(order.patience),
            Ok(None | Some(Err(_))) => return End::BrokeOff,
            Ok(Some(Ok(chunk))) => chunk,
        };
        let bytes = chunk.as_ref();
        let left = usize::try_from(end - *at).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(left)];
        let taken = shared.receive(order.epoch, order.spot, *at, bytes);
        *at += bytes.len() as u64;
        match taken {
            Taken::Gladly => {}
            Taken::Slowly(rate) if *at < end => return End::Slow(rate),
            Taken::Slowly(_) => {}
            Taken::Unwanted => return End::Stale,
            Taken::Refused(from) => {
                *at = from;
                return End::Early;
            }
        }
        if !told && end - *at <= order.lead {
            told = true;
            shared.tell_task();
        }
        let now = Instant::now();
        if now - mark.0 >= CRAWL_TIME {
            if *at - mark.1 < CRAWL_BYTES && *at < end {
                return End::Trouble("the audio comes too slowly to be played".to_owned());
            }
            mark = (now, *at);
        }
    }
    End::Done
}

fn silent(patience: Duration) -> End {
    let seconds = patience.as_secs_f32();
    End::Trouble(format!("the audio server was silent for {seconds:.1} s"))
}
