//! The doors: a Unix socket, or an address of this machine.

use std::{io, net::IpAddr, path::PathBuf};

use tokio::net::UnixStream;

use super::socket::{self, Socket};
#[cfg(feature = "http")]
use super::tcp;
#[cfg(feature = "http")]
use crate::model::unix_ms;
use crate::model::{Condition, ConditionCode};

/// Where is to be listened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Socket(PathBuf),
    #[cfg(feature = "http")]
    Tcp(tcp::Address),
}

/// Why nobody can be heard there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Socket(socket::Trouble),
    #[cfg(feature = "http")]
    Tcp(tcp::Trouble),
}

/// An open door.
#[derive(Debug)]
pub enum Door {
    Socket(Socket),
    #[cfg(feature = "http")]
    Tcp(tcp::Listener),
}

/// Somebody who came in.
pub enum Guest {
    Socket(UnixStream),
    #[cfg(feature = "http")]
    Tcp(tcp::Guest),
}

impl Guest {
    /// Where a stranger comes from; `None`: by way of the socket, so no stranger.
    pub fn peer(&self) -> Option<IpAddr> {
        match self {
            Self::Socket(_) => None,
            #[cfg(feature = "http")]
            Self::Tcp(guest) => Some(guest.ends.there.ip().to_canonical()),
        }
    }
}

impl Place {
    pub async fn open(&self) -> Result<Door, Trouble> {
        match self {
            Self::Socket(path) => match Socket::make(path).await {
                Ok(socket) => Ok(Door::Socket(socket)),
                Err(trouble) => Err(Trouble::Socket(trouble)),
            },
            #[cfg(feature = "http")]
            Self::Tcp(address) => match address.open().await {
                Ok(listener) => Ok(Door::Tcp(listener)),
                Err(trouble) => Err(Trouble::Tcp(trouble)),
            },
        }
    }
}

impl Trouble {
    /// In the listener's words.
    pub fn condition(&self) -> Condition {
        match self {
            Self::Socket(trouble) => trouble.condition(),
            #[cfg(feature = "http")]
            Self::Tcp(trouble) => trouble.condition(),
        }
    }

    /// What it is called.
    pub fn code(&self) -> ConditionCode {
        match self {
            Self::Socket(_) => ConditionCode::NoSocket,
            #[cfg(feature = "http")]
            Self::Tcp(trouble) => trouble.code(),
        }
    }
}

impl Door {
    /// Whether whoever looks for it finds it.
    pub fn is_in_place(&self) -> bool {
        match self {
            Self::Socket(socket) => socket.is_in_place(),
            #[cfg(feature = "http")]
            Self::Tcp(_) => true,
        }
    }

    /// Takes over what the files that it is made of hold now. It stays open in any case.
    pub async fn renew(&mut self) -> Result<(), Trouble> {
        match self {
            // It is made of nothing but its name.
            Self::Socket(_) => Ok(()),
            #[cfg(feature = "http")]
            Self::Tcp(listener) => listener.renew().await.map_err(Trouble::Tcp),
        }
    }

    /// What is wrong with it now, though it stands open.
    pub fn ails(&self) -> Option<Trouble> {
        match self {
            Self::Socket(_) => None,
            #[cfg(feature = "http")]
            Self::Tcp(listener) => listener.ails(unix_ms()).map(Trouble::Tcp),
        }
    }

    /// Cancel safe.
    pub async fn accept(&self) -> io::Result<Guest> {
        match self {
            Self::Socket(socket) => Ok(Guest::Socket(socket.accept().await?)),
            #[cfg(feature = "http")]
            Self::Tcp(listener) => Ok(Guest::Tcp(listener.accept().await?)),
        }
    }
}
