//! The doors: a Unix socket, or an address of this machine.

use std::{io, net::SocketAddr, path::PathBuf};

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixStream};

use super::{
    guard::Ends,
    socket::{self, Socket},
};
use crate::model::{Condition, ConditionCode};

/// Programs that wait for their turn.
const BACKLOG: u32 = 128;

/// Where is to be listened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Socket(PathBuf),
    Tcp(SocketAddr),
}

/// Why nobody can be heard there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Socket(socket::Trouble),
    Tcp { at: SocketAddr, why: String },
}

/// An open door.
#[derive(Debug)]
pub enum Door {
    Socket(Socket),
    Tcp(TcpListener),
}

/// Somebody who came in.
pub enum Guest {
    Socket(UnixStream),
    Tcp(TcpStream, Ends),
}

impl Place {
    pub async fn open(&self) -> Result<Door, Trouble> {
        match self {
            Self::Socket(path) => match Socket::make(path).await {
                Ok(socket) => Ok(Door::Socket(socket)),
                Err(trouble) => Err(Trouble::Socket(trouble)),
            },
            Self::Tcp(at) => match listen(*at) {
                Ok(listener) => Ok(Door::Tcp(listener)),
                Err(error) => Err(Trouble::Tcp {
                    at: *at,
                    why: why(&error),
                }),
            },
        }
    }

    /// What its trouble is called.
    pub fn code(&self) -> ConditionCode {
        match self {
            Self::Socket(_) => ConditionCode::NoSocket,
            Self::Tcp(_) => ConditionCode::NoHttp,
        }
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = match at {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of the daemon before us do not keep us from the port.
    socket.set_reuseaddr(true)?;
    socket.bind(at)?;
    socket.listen(BACKLOG)
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another program has the port".to_owned(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        _ => error.to_string(),
    }
}

impl Trouble {
    /// In the listener's words.
    pub fn condition(&self) -> Condition {
        match self {
            Self::Socket(trouble) => trouble.condition(),
            Self::Tcp { at, why } => Condition::new(
                ConditionCode::NoHttp,
                format!("siskin cannot be asked at http://{at}"),
                why.clone(),
                "set http.listen to another address or port, or to \"none\"; it is tried again by itself",
            ),
        }
    }
}

impl Door {
    /// Whether whoever looks for it finds it.
    pub fn is_in_place(&self) -> bool {
        match self {
            Self::Socket(socket) => socket.is_in_place(),
            Self::Tcp(_) => true,
        }
    }

    /// Cancel safe.
    pub async fn accept(&self) -> io::Result<Guest> {
        match self {
            Self::Socket(socket) => Ok(Guest::Socket(socket.accept().await?)),
            Self::Tcp(listener) => {
                let (stream, there) = listener.accept().await?;
                let here = stream.local_addr()?;
                // Events are short and are to arrive at once.
                let _ = stream.set_nodelay(true);
                Ok(Guest::Tcp(stream, Ends { here, there }))
            }
        }
    }
}
