//! As much HTTP/1.1 as a phone needs, without anything in between that would
//! tidy up what is sent or received.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{Instant, timeout_at};

use super::PhoneError;

/// More than any answer a receiver gives.
const MAX_ANSWER: usize = 1 << 20;

/// One HTTP answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    /// The first header of that name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(n, _)| n.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

pub(super) fn head(method: &str, target: &str, host: &str, extra: &[(&str, String)]) -> String {
    let extra: String = extra
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    format!(
        "{method} {target} HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n{extra}Connection: close\r\n\r\n"
    )
}

/// One connection, one request, one answer.
pub(super) async fn exchange(
    from: Option<IpAddr>,
    to: SocketAddr,
    request: &[u8],
    limit: Duration,
) -> Result<(Reply, Duration), PhoneError> {
    let begun = Instant::now();
    let end = begun + limit;
    let mut stream = bounded("connecting", end, limit, connect(from, to)).await?;
    bounded("sending the request", end, limit, stream.write_all(request)).await?;
    let mut got = Vec::new();
    let reply = loop {
        if let Some(reply) = parse(&got, false)? {
            break reply;
        }
        let read = stream.read_buf(&mut got);
        if bounded("the answer", end, limit, read).await? == 0 {
            break parse(&got, true)?.ok_or_else(|| cut_off(&got))?;
        }
        if got.len() > MAX_ANSWER {
            return Err(PhoneError::NotHttp(format!("more than {MAX_ANSWER} bytes")));
        }
    };
    Ok((reply, begun.elapsed()))
}

async fn connect(from: Option<IpAddr>, to: SocketAddr) -> std::io::Result<TcpStream> {
    let Some(from) = from else {
        return TcpStream::connect(to).await;
    };
    let socket = match to {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    socket.bind((from, 0).into())?;
    socket.connect(to).await
}

pub(super) async fn bounded<T>(
    step: &'static str,
    end: Instant,
    limit: Duration,
    work: impl Future<Output = std::io::Result<T>>,
) -> Result<T, PhoneError> {
    match timeout_at(end, work).await {
        Ok(done) => done.map_err(|source| PhoneError::Io { step, source }),
        Err(_) => Err(PhoneError::Slow { step, limit }),
    }
}

fn cut_off(got: &[u8]) -> PhoneError {
    let shown = String::from_utf8_lossy(&got[..got.len().min(200)]).into_owned();
    PhoneError::NotHttp(format!("closed after {} bytes: {shown:?}", got.len()))
}

/// `None`: not complete yet. `closed`: no more will come.
pub(super) fn parse(got: &[u8], closed: bool) -> Result<Option<Reply>, PhoneError> {
    let Some(end) = got.windows(4).position(|w| w == b"\r\n\r\n") else {
        return Ok(None);
    };
    let bad = |what: &str| PhoneError::NotHttp(what.to_string());
    let head = std::str::from_utf8(&got[..end]).map_err(|_| bad("the head is not text"))?;
    let mut lines = head.split("\r\n");
    let first = lines.next().unwrap_or_default();
    let status = first
        .strip_prefix("HTTP/1.")
        .and_then(|rest| rest.split(' ').nth(1));
    let status = status
        .and_then(|s| s.parse().ok())
        .ok_or_else(|| bad(first))?;
    let headers = lines
        .map(|line| {
            line.split_once(':')
                .map(|(n, v)| (n.to_string(), v.trim().to_string()))
        })
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| bad("a header without a colon"))?;
    let mut reply = Reply {
        status,
        headers,
        body: Vec::new(),
    };
    let rest = &got[end + 4..];
    let body = if reply
        .header("transfer-encoding")
        .is_some_and(|v| v.contains("chunked"))
    {
        unchunk(rest)?
    } else if let Some(length) = reply.header("content-length") {
        let length: usize = length.parse().map_err(|_| bad("a wrong Content-Length"))?;
        rest.get(..length).map(<[u8]>::to_vec)
    } else {
        closed.then(|| rest.to_vec())
    };
    Ok(body.map(|body| {
        reply.body = body;
        reply
    }))
}

fn unchunk(mut rest: &[u8]) -> Result<Option<Vec<u8>>, PhoneError> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|w| w == b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&rest[..end]).ok();
        let size = size.and_then(|s| usize::from_str_radix(s.trim(), 16).ok());
        let size = size.ok_or_else(|| PhoneError::NotHttp("a wrong chunk size".into()))?;
        let Some(data) = rest.get(end + 2..end.saturating_add(2).saturating_add(size)) else {
            return Ok(None);
        };
        if size == 0 {
            return Ok(Some(body));
        }
        body.extend(data);
        let Some(next) = rest.get(end + 4 + size..) else {
            return Ok(None);
        };
        rest = next;
    }
}
