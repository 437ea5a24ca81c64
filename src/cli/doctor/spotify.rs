//! The way to Spotify: names, connections, TLS, through the proxy where one is set.
//!
//! The conversation itself is not tried: that takes an account, and the daemon's conditions tell of it.

use std::{
    io::{self, Read as _, Write as _},
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::Duration,
};

use rustls::{ClientConfig, ClientConnection, RootCertStore, pki_types::ServerName};
use tokio::{task::spawn_blocking, time::timeout};
use url::Url;

use super::findings::Report;
use crate::{config::Network, model::Finding};

/// What the engine asks first; each has its own name and its own servers.
const HOSTS: [&str; 3] = [
    "apresolve.spotify.com",
    "clienttoken.spotify.com",
    "login5.spotify.com",
];
const CONNECT: Duration = Duration::from_secs(4);
/// For one host, from its name to TLS.
const ALL: Duration = Duration::from_secs(12);
/// The head of a proxy's answer.
const MAX_HEAD: usize = 4096;

/// How far the way to a host leads.
#[derive(Debug, PartialEq, Eq)]
enum Broken {
    Name(String),
    Proxy(String),
    Connection(String),
    Tls(String),
}

pub async fn look(report: &mut Report, network: &Network) {
    report.looks_at("the way to Spotify");
    let tries = HOSTS.map(|host| {
        let proxy = network.proxy.clone();
        async move {
            let way = spawn_blocking(move || reach(host, proxy.as_deref()));
            match timeout(ALL, way).await {
                Ok(Ok(reached)) => (host, reached),
                _ => (host, Err(Broken::Connection("it took too long".into()))),
            }
        }
    });
    for (host, reached) in futures_util::future::join_all(tries).await {
        match reached {
            Ok(()) => report.fact(format!("{host} is reached, and proves who it is")),
            Err(broken) => report.found(finding(host, broken)),
        }
    }
}

fn finding(host: &str, broken: Broken) -> Finding {
    match broken {
        Broken::Name(why) => Finding::trouble(
            "dns_failed",
            "the names of Spotify's servers cannot be looked up",
            format!("{host}: {why}"),
            "check the DNS server of this machine (/etc/resolv.conf, resolvectl status)",
        ),
        Broken::Proxy(why) => Finding::trouble(
            "proxy_failed",
            "the proxy that is set does not lead to Spotify",
            format!("{host}: {why}"),
            "correct network.proxy, or allow CONNECT to Spotify's names there",
        ),
        Broken::Connection(why) => Finding::trouble(
            "spotify_unreachable",
            "Spotify cannot be reached",
            format!("{host}: {why}"),
            "check the internet connection, and whether a firewall or an ad blocker forbids the name",
        ),
        Broken::Tls(why) => Finding::trouble(
            "tls_failed",
            "what answers in place of Spotify cannot prove that it is Spotify",
            format!("{host}: {why}"),
            "look at the clock of this machine first, then for a sign-in page of the network \
             (captive portal) or a program that opens TLS",
        ),
    }
}

fn reach(host: &'static str, proxy: Option<&str>) -> Result<(), Broken> {
    let mut stream = match proxy {
        Some(proxy) => through(proxy, host)?,
        None => connect(host, 443, Broken::Name, Broken::Connection)?,
    };
    shake_hands(host, &mut stream).map_err(|error| Broken::Tls(error.to_string()))
}

fn connect(
    host: &str,
    port: u16,
    name: fn(String) -> Broken,
    connection: fn(String) -> Broken,
) -> Result<TcpStream, Broken> {
    let addresses: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| name(error.to_string()))?
        .collect();
    let mut why = "it has no address".to_owned();
    // The second is mostly the other family of addresses.
    for address in addresses.iter().take(2) {
        match TcpStream::connect_timeout(address, CONNECT) {
            Ok(stream) => {
                let limits = stream
                    .set_read_timeout(Some(CONNECT))
                    .and_then(|()| stream.set_write_timeout(Some(CONNECT)));
                return limits
                    .map(|()| stream)
                    .map_err(|error| connection(error.to_string()));
            }
            Err(error) => why = format!("{address}: {error}"),
        }
    }
    Err(connection(why))
}

fn through(proxy: &str, host: &str) -> Result<TcpStream, Broken> {
    let failed = |why: String| Broken::Proxy(why);
    let url = Url::parse(proxy).map_err(|error| failed(error.to_string()))?;
    let (Some(at), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
        return Err(failed("it has no host or port".into()));
    };
    let at = at.trim_matches(['[', ']']);
    let mut stream = connect(at, port, Broken::Proxy, Broken::Proxy)?;
    let asked = ask_proxy(&mut stream, host).map_err(|error| failed(error.to_string()))?;
    match asked.split_whitespace().nth(1) {
        Some("200") => Ok(stream),
        _ => Err(failed(format!(
            "it says: {}",
            asked.lines().next().unwrap_or_default()
        ))),
    }
}

fn ask_proxy(stream: &mut TcpStream, host: &str) -> io::Result<String> {
    write!(
        stream,
        "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n"
    )?;
    read_head(stream)
}

fn read_head(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    // One by one: what comes after the head belongs to TLS.
    while !head.ends_with(b"\r\n\r\n") && head.len() < MAX_HEAD {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn shake_hands(host: &'static str, stream: &mut TcpStream) -> io::Result<()> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    let mut tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    while tls.is_handshaking() {
        tls.complete_io(stream)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{net::TcpListener, thread};

    use super::*;

    #[test]
    fn a_proxy_that_refuses_or_is_not_there_is_told_as_such() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let proxy = format!("http://{}", listener.local_addr().expect("bound"));
        let refusing = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody");
            // What is left unread when it closes would reset the connection.
            read_head(&mut stream).expect("a question");
            stream
                .write_all(b"HTTP/1.1 403 No\r\n\r\n")
                .expect("an answer");
        });
        let refused = reach("login5.spotify.com", Some(&proxy));
        refusing.join().expect("no panic");
        assert_eq!(
            refused,
            Err(Broken::Proxy("it says: HTTP/1.1 403 No".into()))
        );
        let gone = reach("login5.spotify.com", Some(&proxy));
        assert!(matches!(gone, Err(Broken::Proxy(_))), "{gone:?}");
    }
}
