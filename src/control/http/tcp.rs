//! The door over TCP: an address of this machine, encrypted where a certificate is configured.
//!
//! Owns the listener and the certificate that is shown behind it, which is read again when asked.
//! Who may come in is [`super::guard`]'s business.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc};

use axum::{Router, middleware};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
};

use super::{
    Http, Pace,
    door::Place,
    guard::{self, Ends, Guard},
    routes,
    tls::{Certificate, Fault},
};
use crate::{
    bus::Bus,
    config,
    control::{Notice, web},
    model::{Condition, ConditionCode},
};

/// Programs that wait for their turn.
const BACKLOG: u32 = 128;

/// Where is to be listened, and what with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub at: SocketAddr,
    /// `None`: plain HTTP.
    pub tls: Option<config::Tls>,
}

/// Why nobody can be heard there, or not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    Closed {
        at: SocketAddr,
        encrypted: bool,
        why: String,
    },
    /// Plain HTTP instead would tell everybody the token.
    NoCertificate { at: SocketAddr, fault: Fault },
    /// The one that was read before is still shown.
    OldCertificate(Fault),
    /// Programs do not take it, and browsers ask before they do.
    OutOfTime { at: SocketAddr, fault: Fault },
    /// It will not hold much longer: until that day.
    EndsSoon {
        at: SocketAddr,
        file: PathBuf,
        day: String,
    },
}

/// An open door.
#[derive(Debug)]
pub struct Listener {
    address: Address,
    inner: TcpListener,
    certificate: Option<Certificate>,
}

/// Somebody who came in.
pub struct Guest {
    pub stream: TcpStream,
    pub ends: Ends,
    /// To be shown first.
    pub certificate: Option<Certificate>,
}

impl Http {
    /// Serves at an address of this machine those whom `guard` lets in. With `page`, also the page
    /// that people open in a browser.
    pub async fn start_tcp(
        address: Address,
        guard: Guard,
        page: bool,
        bus: Bus,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let guard = match address.tls {
            Some(_) => guard.encrypted(),
            None => guard,
        };
        let routes = match page {
            // The page holds nothing secret, and asks for the token itself.
            true => guarded(
                routes(bus).merge(web::routes()),
                guard.open_to(web::is_file),
            ),
            false => guarded(routes(bus), guard),
        };
        Self::start_at(Pace::default(), Place::Tcp(address), routes, notices).await
    }
}

/// Behind somebody who looks at every request first.
fn guarded(routes: Router, guard: Guard) -> Router {
    let guard = Arc::new(guard);
    routes.layer(middleware::from_fn_with_state(guard, guard::check))
}

impl Address {
    pub async fn open(&self) -> Result<Listener, Trouble> {
        let certificate = self.certificate().await.map_err(|fault| {
            let at = self.at;
            Trouble::NoCertificate { at, fault }
        })?;
        match listen(self.at) {
            Ok(inner) => Ok(Listener {
                address: self.clone(),
                inner,
                certificate,
            }),
            Err(error) => Err(Trouble::Closed {
                at: self.at,
                encrypted: self.tls.is_some(),
                why: why(&error),
            }),
        }
    }

    async fn certificate(&self) -> Result<Option<Certificate>, Fault> {
        match &self.tls {
            Some(files) => Certificate::read(files).await.map(Some),
            None => Ok(None),
        }
    }
}

impl Listener {
    /// Shows from now on what the files hold now. Connections that stand go on.
    ///
    /// # Errors
    /// When they cannot be used; what was shown before still is.
    pub async fn renew(&mut self) -> Result<(), Trouble> {
        let found = self.address.certificate().await;
        self.certificate = found.map_err(Trouble::OldCertificate)?;
        Ok(())
    }

    /// What is wrong with what is shown, at that Unix time in ms.
    pub fn ails(&self, now_ms: i64) -> Option<Trouble> {
        let files = self.address.tls.as_ref()?;
        let certificate = self.certificate.as_ref()?;
        let (at, file) = (self.address.at, files.certificate.clone());
        if let Some(why) = certificate.is_out_of_time(now_ms) {
            let fault = Fault { file, why };
            return Some(Trouble::OutOfTime { at, fault });
        }
        let day = certificate.expires_soon(now_ms)?;
        Some(Trouble::EndsSoon { at, file, day })
    }

    /// Cancel safe.
    pub async fn accept(&self) -> io::Result<Guest> {
        let (stream, there) = self.inner.accept().await?;
        let here = stream.local_addr()?;
        // Events are short and are to arrive at once.
        let _ = stream.set_nodelay(true);
        Ok(Guest {
            stream,
            ends: Ends { here, there },
            certificate: self.certificate.clone(),
        })
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
        let told = |fault: &Fault| format!("{}: {}", fault.file.display(), fault.why);
        let (what, why, cure) = match self {
            Self::Closed { at, encrypted, why } => {
                let scheme = if *encrypted { "https" } else { "http" };
                (
                    format!("siskin cannot be asked at {scheme}://{at}"),
                    why.clone(),
                    "set http.listen to another address or port, or to \"none\"; it is tried again by itself",
                )
            }
            Self::NoCertificate { at, fault } => (
                format!("siskin cannot be asked at https://{at}: it has no certificate to show"),
                told(fault),
                "put a certificate and its key (PEM) into http.certificate and http.key, where siskin's \
                 user may read them (the service by SupplementaryGroups=, as config.example.toml \
                 shows); it is tried again by itself",
            ),
            Self::OldCertificate(fault) => (
                "siskin still shows the old certificate at its HTTPS address".to_owned(),
                told(fault),
                "put the new one and its key (PEM) into http.certificate and http.key, where siskin's \
                 user may read them (the service by SupplementaryGroups=, as config.example.toml \
                 shows); it is tried again by itself",
            ),
            Self::OutOfTime { at, fault } => (
                format!(
                    "nobody trusts the certificate that siskin shows at https://{at}: it is not valid today"
                ),
                told(fault),
                "renew the certificate in http.certificate and http.key, or set the clock of this machine \
                 right; it is looked at again by itself",
            ),
            Self::EndsSoon { at, file, day } => (
                format!("the certificate that siskin shows at https://{at} expires on {day}"),
                format!("{}: after that day nobody trusts it", file.display()),
                "renew the certificate in http.certificate and http.key; siskin shows the new one by \
                 itself within half a minute",
            ),
        };
        Condition::new(self.code(), what, why, cure)
    }

    /// What it is called.
    pub fn code(&self) -> ConditionCode {
        match self {
            Self::EndsSoon { .. } => ConditionCode::CertificateExpires,
            _ => ConditionCode::NoHttp,
        }
    }
}
