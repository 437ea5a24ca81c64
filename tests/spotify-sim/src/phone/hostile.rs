//! What a phone would never do, and what anybody on the network may do.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::http::{bounded, parse};
use super::{PhoneError, Reply};

/// Speaks to one address, badly.
#[derive(Debug, Clone, Copy)]
pub struct Hostile {
    to: SocketAddr,
    limit: Duration,
}

/// How a receiver took it.
#[derive(Debug)]
pub struct Taken {
    /// Bytes it let us send.
    pub sent: usize,
    pub received: Vec<u8>,
    /// It ended the connection, by closing or resetting, before our limit.
    pub closed: bool,
    pub after: Duration,
}

impl Taken {
    /// What it said, if that was HTTP.
    pub fn reply(&self) -> Option<Reply> {
        parse(&self.received, true).ok().flatten()
    }
}

impl Hostile {
    /// No attempt takes longer than `limit`.
    pub fn new(to: SocketAddr, limit: Duration) -> Hostile {
        Hostile { to, limit }
    }

    /// Sends these bytes at once, then listens until the receiver hangs up.
    pub async fn send(&self, bytes: &[u8]) -> Result<Taken, PhoneError> {
        self.drip(bytes, usize::MAX, Duration::ZERO).await
    }

    /// Sends `step` bytes, pauses, sends more: the slow-body attack.
    pub async fn drip(
        &self,
        bytes: &[u8],
        step: usize,
        pause: Duration,
    ) -> Result<Taken, PhoneError> {
        let begun = Instant::now();
        let stream = self.connect().await?;
        let (mut from, mut to) = stream.into_split();
        let mut received = Vec::new();
        let mut sent = 0;
        let sending = async {
            for piece in bytes.chunks(step.max(1)) {
                if to.write_all(piece).await.is_err() {
                    break;
                }
                sent += piece.len();
                if !pause.is_zero() {
                    sleep(pause).await;
                }
            }
            // Stay silent and keep the line: only the receiver may hang up.
            std::future::pending::<()>().await;
        };
        let closed = tokio::select! {
            closed = listen(&mut from, &mut received, begun + self.limit) => closed,
            () = sending => false,
        };
        Ok(Taken {
            sent,
            received,
            closed,
            after: begun.elapsed(),
        })
    }

    /// Sends `head`, then `total` bytes of nonsense for as long as they are taken.
    pub async fn flood(&self, head: &[u8], total: usize) -> Result<Taken, PhoneError> {
        let filler = vec![b'x'; 64 * 1024];
        let begun = Instant::now();
        let (mut from, mut to) = self.connect().await?.into_split();
        let mut received = Vec::new();
        let mut sent = 0;
        let sending = async {
            if to.write_all(head).await.is_ok() {
                while sent < total {
                    match to.write(&filler[..filler.len().min(total - sent)]).await {
                        Ok(n) if n > 0 => sent += n,
                        _ => break,
                    }
                }
            }
            std::future::pending::<()>().await;
        };
        let closed = tokio::select! {
            closed = listen(&mut from, &mut received, begun + self.limit) => closed,
            () = sending => false,
        };
        Ok(Taken {
            sent,
            received,
            closed,
            after: begun.elapsed(),
        })
    }

    /// Opens that many connections and says nothing on them. Dropping them
    /// hangs up. Stops early when no more are accepted.
    pub async fn crowd(&self, count: usize) -> Vec<TcpStream> {
        let mut crowd = Vec::new();
        while crowd.len() < count {
            match self.connect().await {
                Ok(stream) => crowd.push(stream),
                Err(_) => break,
            }
        }
        crowd
    }

    async fn connect(&self) -> Result<TcpStream, PhoneError> {
        let end = Instant::now() + self.limit;
        bounded("connecting", end, self.limit, TcpStream::connect(self.to)).await
    }
}

/// True if the other side ended the connection.
async fn listen(
    from: &mut (impl AsyncReadExt + Unpin),
    received: &mut Vec<u8>,
    end: Instant,
) -> bool {
    loop {
        match timeout_at(end, from.read_buf(received)).await {
            Err(_) => return false,
            Ok(Ok(0) | Err(_)) => return true,
            Ok(Ok(_)) => {}
        }
    }
}
