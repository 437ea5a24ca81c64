//! The one port. The first byte of a connection tells what it is: a proxy
//! request, TLS, or the hello of an access point link.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
};
use tokio_util::sync::CancellationToken;

use crate::{accesspoint, faults::Place, http, record::PROXY, shared::Shared};

/// More than any client's CONNECT request.
const MAX_HEAD: usize = 8 * 1024;

/// How often another port is tried when the IPv6 side of one is taken.
const PORT_TRIES: usize = 20;

/// The listening sockets: IPv4, and IPv6 where the machine has it, because
/// clients may look up `localhost` as either.
pub(crate) struct Gate {
    v4: TcpListener,
    v6: Option<TcpListener>,
}

impl Gate {
    /// Binds on loopback; port 0 means any.
    pub fn bind(port: u16) -> io::Result<Self> {
        let mut tries = 0;
        loop {
            let v4 = listen((Ipv4Addr::LOCALHOST, port).into())?;
            let bound = v4.local_addr()?.port();
            tries += 1;
            match listen((Ipv6Addr::LOCALHOST, bound).into()) {
                Ok(v6) => return Ok(Self { v4, v6: Some(v6) }),
                Err(taken)
                    if taken.kind() == io::ErrorKind::AddrInUse
                        && port == 0
                        && tries < PORT_TRIES => {}
                Err(_) => return Ok(Self { v4, v6: None }),
            }
        }
    }

    pub fn port(&self) -> io::Result<u16> {
        Ok(self.v4.local_addr()?.port())
    }

    /// Takes connections until `closed`; then the port refuses.
    pub async fn run(self, shared: Arc<Shared>, closed: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = closed.cancelled() => return,
                accepted = self.v4.accept() => accepted,
                accepted = accept(self.v6.as_ref()) => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let serving = shared.clone();
                    shared.serve(async move {
                        if let Err(why) = route(&serving, stream).await {
                            tracing::debug!("a connection ended: {why}");
                        }
                    });
                }
                // Out of descriptors, most likely: others must end first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(1024)
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

async fn route(shared: &Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut first = peek(&stream).await?;
    if first == b'C' {
        let target = tunnel(&mut stream).await?;
        shared
            .record
            .add(Place::Other, None, None, format!("{PROXY}{target}"));
        first = peek(&stream).await?;
    }
    match first {
        0x00 => accesspoint::serve(shared, stream).await,
        0x16 => {
            let stream = shared.tls.accept(stream).await?;
            http::serve(shared, stream).await
        }
        other => Err(io::Error::other(format!(
            "nobody here speaks what begins with {other:#04x}"
        ))),
    }
}

async fn peek(stream: &TcpStream) -> io::Result<u8> {
    let mut first = [0];
    match stream.peek(&mut first).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(first[0]),
    }
}

/// Answers a CONNECT, wherever to: all roads lead here.
async fn tunnel(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    // Byte by byte, so as not to swallow what comes after the head.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == MAX_HEAD {
            return Err(io::Error::other("a CONNECT request without an end"));
        }
        head.push(stream.read_u8().await?);
    }
    stream
        .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
        .await?;
    let head = String::from_utf8_lossy(&head);
    Ok(head
        .split_whitespace()
        .nth(1)
        .unwrap_or("nowhere")
        .to_owned())
}
