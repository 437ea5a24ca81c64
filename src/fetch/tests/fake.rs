//! A line whose every answer is scripted. Time is tokio's, and stands still unless waited for.

use std::{
    collections::VecDeque,
    ops::Range,
    sync::{Arc, Mutex},
    time::Duration,
};

use aes::Aes128;
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use tokio::time::sleep;

use super::super::{Body, Key, Line, LineError, Reply, UrlsError};

pub const KEY: Key = Key::Aes([7; 16]);
const PIECE: usize = 4 * 1024;

/// What one request is answered with.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Good,
    /// The head, later.
    Late(Duration),
    Status(u16, Option<Duration>),
    /// The body ends after so many bytes.
    BreakOff(usize),
    /// It stops and the connection stays.
    Hang(usize),
    /// One byte a second.
    Crawl,
    /// So many bytes a second.
    Drip(u64),
    Silent,
    Unreachable,
    /// 200 and everything.
    Whole,
    /// 206 with less than was asked for.
    Short(u64),
    /// 206 with a range whose end is said to be that of the file.
    Fragment,
    /// 206 with this range.
    Says(&'static str),
}

/// What one question for a list is answered with.
#[derive(Debug, Clone)]
pub enum ListAct {
    Urls(&'static [&'static str]),
    Gone,
    Trouble,
    Silent,
}

pub const URLS: &[&str] = &["https://a/f?k", "https://b/f?k", "https://c/f?k"];

#[derive(Default)]
pub struct Script {
    /// Used up one by one; then all is well.
    pub acts: VecDeque<Act>,
    /// Of one server, always.
    pub always: Vec<(&'static str, Act)>,
    pub lists: VecDeque<ListAct>,
    pub asked: Vec<(String, Range<u64>)>,
    pub lists_asked: u32,
    /// Requests being answered now, and the most there ever were.
    busy: u32,
    pub most: u32,
}

#[derive(Clone)]
pub struct Fake {
    pub plain: Arc<Vec<u8>>,
    /// As it goes over the line.
    pub sent: Arc<Vec<u8>>,
    pub script: Arc<Mutex<Script>>,
    /// Before each head.
    pub latency: Duration,
    /// Bytes a second of a body.
    pub rate: Option<u64>,
}

impl Fake {
    pub fn new(length: usize) -> Self {
        let plain: Vec<u8> = (0..length as u64)
            .map(|at| (at * 31 + at / 255) as u8)
            .collect();
        let mut sent = plain.clone();
        let iv = 0x72e0_67fb_ddcb_cf77_ebe8_bc64_3f63_0d93_u128.to_be_bytes();
        Ctr128BE::<Aes128>::new(&[7; 16].into(), &iv.into()).apply_keystream(&mut sent);
        Self {
            plain: Arc::new(plain),
            sent: Arc::new(sent),
            script: Arc::default(),
            latency: Duration::from_millis(20),
            rate: None,
        }
    }

    pub fn acts(self, acts: impl IntoIterator<Item = Act>) -> Self {
        self.script.lock().unwrap().acts.extend(acts);
        self
    }

    pub fn always(self, server: &'static str, act: Act) -> Self {
        self.script.lock().unwrap().always.push((server, act));
        self
    }

    pub fn lists(self, lists: impl IntoIterator<Item = ListAct>) -> Self {
        self.script.lock().unwrap().lists.extend(lists);
        self
    }

    pub fn line(mut self, latency_ms: u64, rate: u64) -> Self {
        self.latency = Duration::from_millis(latency_ms);
        self.rate = Some(rate);
        self
    }

    /// The file lies there unencrypted.
    pub fn unlocked(mut self, plain: Vec<u8>) -> Self {
        self.plain = Arc::new(plain);
        self.sent = self.plain.clone();
        self
    }

    pub fn asked(&self) -> Vec<(String, Range<u64>)> {
        self.script.lock().unwrap().asked.clone()
    }

    /// The servers in the order they were asked, as in "aab".
    pub fn servers(&self) -> String {
        self.asked().iter().map(|(url, _)| &url[8..9]).collect()
    }
}

impl Line for Fake {
    type Body = FakeBody;

    async fn urls(&self) -> Result<Vec<String>, UrlsError> {
        sleep(self.latency).await;
        let act = {
            let mut script = self.script.lock().unwrap();
            script.lists_asked += 1;
            script.lists.pop_front()
        };
        match act.unwrap_or(ListAct::Urls(URLS)) {
            ListAct::Urls(urls) => Ok(urls.iter().map(|url| (*url).to_owned()).collect()),
            ListAct::Gone => Err(UrlsError::Gone("no such file".into())),
            ListAct::Trouble => Err(UrlsError::Trouble {
                why: "busy".into(),
                retry_after: None,
            }),
            ListAct::Silent => std::future::pending().await,
        }
    }

    async fn get(&self, url: &str, range: Range<u64>) -> Result<Reply<FakeBody>, LineError> {
        let (act, guard) = {
            let mut script = self.script.lock().unwrap();
            script.asked.push((url.to_owned(), range.clone()));
            script.busy += 1;
            script.most = script.most.max(script.busy);
            let of_server = script
                .always
                .iter()
                .find(|(server, _)| url.contains(server));
            let act = match of_server.map(|(_, act)| act.clone()) {
                Some(act) => act,
                None => script.acts.pop_front().unwrap_or(Act::Good),
            };
            (act, Busy(self.script.clone()))
        };
        sleep(self.latency).await;
        let len = self.sent.len() as u64;
        let mut end = range.end.min(len);
        let mut start = range.start;
        let mut status = 206;
        let mut stop = None;
        let mut hang = false;
        let mut pace = self.rate;
        let mut says = None;
        match act {
            Act::Good => {}
            Act::Late(by) => sleep(by).await,
            Act::Status(code, wish) => return Ok(refusal(code, wish, guard)),
            Act::BreakOff(after) => stop = Some(after),
            Act::Hang(after) => (stop, hang) = (Some(after), true),
            Act::Crawl => pace = Some(1),
            Act::Drip(rate) => pace = Some(rate),
            Act::Silent => std::future::pending().await,
            Act::Unreachable => return Err(LineError("connection refused".into())),
            Act::Whole => (status, start, end) = (200, 0, len),
            Act::Short(by) => end = end.saturating_sub(by).max(start + 1).min(end),
            Act::Fragment => says = Some(format!("bytes {start}-{}/{end}", end - 1)),
            Act::Says(range) => says = Some(range.to_owned()),
        }
        if start >= len {
            let mut reply = refusal(416, None, guard);
            reply.content_range = Some(format!("bytes */{len}"));
            return Ok(reply);
        }
        let all = &self.sent[start as usize..end as usize];
        let body = FakeBody {
            left: all[..stop.unwrap_or(all.len()).min(all.len())]
                .to_vec()
                .into(),
            pace,
            hang,
            _busy: guard,
        };
        let range = says.unwrap_or(format!("bytes {start}-{}/{len}", end - 1));
        Ok(Reply {
            status,
            content_range: (status == 206).then_some(range),
            content_length: Some(end - start),
            content_type: None,
            retry_after: None,
            body,
        })
    }
}

fn refusal(status: u16, retry_after: Option<Duration>, busy: Busy) -> Reply<FakeBody> {
    Reply {
        status,
        content_range: None,
        content_length: Some(0),
        content_type: None,
        retry_after,
        body: FakeBody {
            left: VecDeque::new(),
            pace: None,
            hang: false,
            _busy: busy,
        },
    }
}

struct Busy(Arc<Mutex<Script>>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.lock().unwrap().busy -= 1;
    }
}

pub struct FakeBody {
    left: VecDeque<u8>,
    pace: Option<u64>,
    hang: bool,
    _busy: Busy,
}

impl Body for FakeBody {
    type Chunk = Vec<u8>;

    async fn chunk(&mut self) -> Option<Result<Vec<u8>, LineError>> {
        if self.left.is_empty() {
            if self.hang {
                std::future::pending::<()>().await;
            }
            return None;
        }
        let mut size = PIECE.min(self.left.len());
        if let Some(pace) = self.pace {
            size = size.min(usize::try_from(pace).unwrap_or(PIECE).max(1));
            sleep(Duration::from_secs_f64(size as f64 / pace as f64)).await;
        }
        Some(Ok(self.left.drain(..size).collect()))
    }
}
