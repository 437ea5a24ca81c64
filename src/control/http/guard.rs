//! Who may ask over TCP. Pages of strangers run in browsers of the house, so a connection from
//! 127.0.0.1 proves nothing.
//!
//! - `Host` must be the address that was connected to, `localhost`, this machine's own name, or one
//!   that is listed: a foreign name that leads here (DNS rebinding) is refused.
//! - A page of another origin is refused unless listed.
//! - A bearer token is required, except for `/healthz`, `/readyz` and the files of the page, and
//!   compared in constant time.
//! - Each address may ask so often, and be wrong about the token far less often.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    extract::{Extension, Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq as _;

use super::answer::Failed;
use crate::model::Secret;

/// Requests that an address may send at once, and in a second after that.
const BURST: f64 = 600.0;
const PER_SECOND: f64 = 300.0;
/// What a wrong token costs, in requests: ten in a row, then five a second.
const WRONG_TOKEN: f64 = 60.0;
/// Addresses that are remembered. The quietest one is forgotten first.
const ADDRESSES: usize = 64;

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Ends {
    pub here: SocketAddr,
    pub there: SocketAddr,
}

/// What a door over TCP asks of everybody.
pub struct Guard {
    token: Secret,
    /// In lower case, without ports.
    names: Vec<String>,
    /// Of proxies and machines that pass on to us what they are asked.
    addresses: Vec<IpAddr>,
    /// As browsers write them: `https://house.example:8443`.
    origins: Vec<String>,
    /// How our own page is asked for.
    scheme: &'static str,
    /// Paths besides the healths' that anybody may read.
    open: fn(&str) -> bool,
    tempers: Mutex<HashMap<IpAddr, Temper>>,
}

/// How much an address may still ask.
#[derive(Debug, Clone, Copy)]
struct Temper {
    left: f64,
    at: Instant,
}

impl fmt::Debug for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Guard").finish_non_exhaustive()
    }
}

impl Guard {
    pub fn new(token: Secret, names: &[String], origins: &[String]) -> Self {
        let lower = |name: &String| name.to_ascii_lowercase();
        let mut names: Vec<_> = names.iter().map(lower).collect();
        names.push("localhost".to_owned());
        let addresses = names.iter().filter_map(|name| name.parse().ok());
        Self {
            token,
            addresses: addresses.map(|ip: IpAddr| ip.to_canonical()).collect(),
            names,
            origins: origins.iter().map(lower).collect(),
            scheme: "http",
            open: |_| false,
            tempers: Mutex::default(),
        }
    }

    /// Our own page comes over HTTPS.
    pub fn encrypted(mut self) -> Self {
        self.scheme = "https";
        self
    }

    /// Lets everybody read what lies at these paths, too.
    pub fn open_to(mut self, paths: fn(&str) -> bool) -> Self {
        self.open = paths;
        self
    }

    /// Whether a request with this head may be looked at; the origin that is to be told so.
    fn judge(
        &self,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        ends: Ends,
    ) -> Result<Option<HeaderValue>, Failed> {
        self.spend(ends.there.ip(), 1.0)?;
        let host = host(uri, headers)?;
        if !self.is_ours(&host, ends.here.ip()) {
            return Err(Failed::new(
                StatusCode::MISDIRECTED_REQUEST,
                "foreign_host",
                format!("{:?} is no name of this machine", host.host()),
                "ask by an address of this machine, or list in http.names what is asked for",
            ));
        }
        let origin = self.origin(headers, &host)?;
        let is_open = matches!(uri.path(), "/healthz" | "/readyz") || (self.open)(uri.path());
        let is_preflight = method == Method::OPTIONS && origin.is_some();
        if !is_open && !is_preflight && !self.knows(headers) {
            self.spend(ends.there.ip(), WRONG_TOKEN)?;
            return Err(Failed::new(
                StatusCode::UNAUTHORIZED,
                "no_token",
                "the token is missing or wrong",
                "send Authorization: Bearer TOKEN, with what siskin token prints",
            ));
        }
        Ok(origin)
    }

    fn is_ours(&self, host: &Authority, here: IpAddr) -> bool {
        let name = host.host().trim_matches(['[', ']']).to_ascii_lowercase();
        match name.parse::<IpAddr>() {
            Ok(ip) => {
                let ip = ip.to_canonical();
                ip == here.to_canonical() || self.addresses.contains(&ip)
            }
            Err(_) => self.names.contains(&name),
        }
    }

    /// The page that asks, if it is one of another origin and may.
    fn origin(&self, headers: &HeaderMap, host: &Authority) -> Result<Option<HeaderValue>, Failed> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return Ok(None);
        };
        let said = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let host = host.as_str().to_ascii_lowercase();
        if said == format!("{}://{host}", self.scheme) {
            return Ok(None);
        }
        if self.origins.contains(&said) {
            return Ok(Some(origin.clone()));
        }
        Err(Failed::new(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "a page of another site may not ask here",
            "list its origin in http.origins if it is yours",
        ))
    }

    fn knows(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(header::AUTHORIZATION);
        let given = given.map_or(b"".as_slice(), HeaderValue::as_bytes);
        let token = match given.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
            _ => b"",
        };
        !self.token.expose().is_empty() && bool::from(token.ct_eq(self.token.expose()))
    }

    fn spend(&self, who: IpAddr, cost: f64) -> Result<(), Failed> {
        let now = Instant::now();
        let mut tempers = self.tempers.lock().unwrap_or_else(|held| held.into_inner());
        if tempers.len() >= ADDRESSES && !tempers.contains_key(&who) {
            let quietest = tempers.iter().min_by_key(|(_, temper)| temper.at);
            if let Some(quietest) = quietest.map(|(who, _)| *who) {
                tempers.remove(&quietest);
            }
        }
        let temper = tempers.entry(who).or_insert(Temper {
            left: BURST,
            at: now,
        });
        let since = now.saturating_duration_since(temper.at).as_secs_f64();
        temper.left = (temper.left + since * PER_SECOND).min(BURST);
        temper.at = now;
        if temper.left < cost {
            return Err(Failed::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too_often",
                "that is too much at once",
                "wait a second; GET /api/v1/events tells what changes without being asked",
            ));
        }
        temper.left -= cost;
        Ok(())
    }
}

/// The one host that a request names.
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Failed> {
    let mut given = headers.get_all(header::HOST).iter();
    let said = given
        .next()
        .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok());
    let foreign = |host: &Authority| uri.authority().is_some_and(|other| other != host);
    match said {
        Some(host) if given.next().is_none() && !foreign(&host) => Ok(host),
        _ => Err(Failed::new(
            StatusCode::BAD_REQUEST,
            "bad_host",
            "the request does not say which host it is for",
            "send one Host header",
        )),
    }
}

/// Stands in front of every route.
pub async fn check(
    State(guard): State<Arc<Guard>>,
    Extension(ends): Extension<Ends>,
    request: Request,
    next: Next,
) -> Response {
    let head = (request.method(), request.uri(), request.headers());
    let origin = match guard.judge(head, ends) {
        Ok(origin) => origin,
        // What comes after the head is not read.
        Err(failed) => return failed.and_close().into_response(),
    };
    let Some(origin) = origin else {
        return next.run(request).await;
    };
    let mut response = if request.method() == Method::OPTIONS {
        let allowed = [
            (
                header::ACCESS_CONTROL_ALLOW_METHODS,
                "GET, POST, PATCH, DELETE",
            ),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                "authorization, content-type, last-event-id",
            ),
            (header::ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        (StatusCode::NO_CONTENT, allowed).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: &str = "192.168.1.20:7070";

    fn guard() -> Guard {
        let token = Secret::new(b"hush".to_vec());
        let names = ["Kitchen.local", "192.168.1.5", "fd00::5"].map(str::to_owned);
        Guard::new(token, &names, &["https://house.example".to_owned()])
    }

    fn judged(guard: &Guard, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name: header::HeaderName = name.parse().expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        let here = ENDS.parse().expect("an address");
        let there = "192.168.1.9:5000".parse().expect("an address");
        let uri = path.parse().expect("a path");
        let judged = guard.judge((&Method::GET, &uri, &map), Ends { here, there });
        match judged {
            Ok(_) => 200,
            Err(failed) => failed.into_response().status().as_u16(),
        }
    }

    #[test]
    fn only_our_own_names_and_addresses_are_hosts() {
        let guard = guard();
        for (host, status) in [
            (ENDS, 200),
            ("192.168.1.20", 200),
            ("localhost:7070", 200),
            ("KITCHEN.local:7070", 200),
            ("192.168.1.5:7070", 200),
            ("[fd00::5]:7070", 200),
            ("192.168.1.21:7070", 421),
            ("evil.example", 421),
            ("kitchen.local.evil.example", 421),
            ("user@localhost/", 400),
            ("", 400),
        ] {
            assert_eq!(
                judged(&guard, "/healthz", &[("host", host)]),
                status,
                "{host}"
            );
        }
        assert_eq!(judged(&guard, "/healthz", &[]), 400);
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert_eq!(judged(&guard, "/healthz", &two), 400);
        let full = "http://evil.example/healthz";
        assert_eq!(judged(&guard, full, &[("host", "localhost")]), 400);
    }

    #[test]
    fn pages_of_other_sites_are_refused_unless_listed() {
        let guard = guard();
        for (origin, status) in [
            ("http://localhost", 200),
            ("https://house.example", 200),
            ("https://localhost", 403),
            ("http://localhost:81", 403),
            ("https://house.example.evil", 403),
            ("null", 403),
        ] {
            let headers = [("host", "localhost"), ("origin", origin)];
            assert_eq!(judged(&guard, "/healthz", &headers), status, "{origin}");
        }
    }

    #[test]
    fn behind_a_certificate_our_own_page_is_one_of_https() {
        let guard = guard().encrypted();
        for (origin, status) in [
            ("https://localhost", 200),
            ("https://house.example", 200),
            ("http://localhost", 403),
        ] {
            let headers = [("host", "localhost"), ("origin", origin)];
            assert_eq!(judged(&guard, "/healthz", &headers), status, "{origin}");
        }
    }

    #[test]
    fn everything_else_takes_the_token_and_guessing_is_slowed_down() {
        let guard = guard();
        let ask = |given: &str| {
            let headers = [("host", "localhost"), ("authorization", given)];
            judged(&guard, "/api/v1/status", &headers)
        };
        assert_eq!(ask("Bearer hush"), 200);
        assert_eq!(ask("bearer hush"), 200);
        for wrong in [
            "Bearer hus",
            "Bearer hush ",
            "Bearer hush1",
            "Basic hush",
            "Bearer",
            "",
        ] {
            assert_eq!(ask(wrong), 401, "{wrong:?}");
        }
        let guesses = (0..40).map(|_| ask("Bearer x"));
        assert!(guesses.into_iter().any(|status| status == 429));
        let none = Guard::new(Secret::new(Vec::new()), &[], &[]);
        let headers = [("host", "localhost"), ("authorization", "Bearer ")];
        assert_eq!(
            judged(&none, "/api/v1/status", &headers),
            401,
            "no token opens nothing"
        );
    }
}
