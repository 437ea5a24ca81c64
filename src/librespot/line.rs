//! The pace of sign-ins, and whether there is a way to Spotify at all.
//!
//! An attempt that Spotify heard of is repeated ever more slowly. One that got no further than this
//! machine or its router was heard by nobody, and would cost many seconds of waiting each time: in
//! its place somebody knocks, that is, opens a connection to where the first question goes, and
//! closes it. That is a small packet or two a second while nobody answers, which is little enough
//! for a line that is down, and often enough that nobody waits for one that is back.
//! No two sign-ins begin within a second, whoever is in a hurry.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use librespot_core::SessionConfig;
use tokio::{
    net::{TcpStream, lookup_host},
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};

use crate::engine::{back_off, unheard};

/// From one sign-in to the next: Spotify shuts accounts out that try in haste.
const BETWEEN: Duration = Duration::from_secs(1);
/// From one knock to the next when somebody is in a hurry.
const KNOCKS: Duration = Duration::from_millis(200);
/// Where somebody takes connections and nothing gets through (a page that wants a password first, a
/// proxy without a line of its own, a clock that stands in the past), attempts come no later than the
/// one of this number.
const AT_THE_DOOR: u32 = 4;
/// So long without a way, and it is tried as if there was one: should knocking be wrong about that,
/// nobody has to come and restart the engine.
const ANYWAY: Duration = Duration::from_secs(300);

/// How what we say of a question ends that had no answer. On a line that swallows everything, none
/// has.
pub const LATE: &str = "did not answer in time";
/// Where the first question of every sign-in goes.
const RESOLVER: (&str, u16) = ("apresolve.spotify.com", 443);
/// What librespot says when that question failed, for whatever reason.
const UNRESOLVED: &str = "No access point available";
/// A line that is up connects within this.
const KNOCK_LIMIT: Duration = Duration::from_secs(1);
/// A resolver that is up answers within this; after that what it said last is good enough.
const NAME_LIMIT: Duration = Duration::from_millis(300);
/// Addresses of one family that are tried. All at the same time: half of what a name stands for may
/// lead nowhere, as where IPv6 is announced and does not work.
const ADDRESSES: usize = 2;

/// Where the first question went last. A line that is back is known by that before its resolver is,
/// which repeats a question only every few seconds.
static KNOWN: Mutex<Vec<SocketAddr>> = Mutex::new(Vec::new());

/// When to sign in next, for as long as it takes.
pub struct Pace {
    config: SessionConfig,
    hurry: Arc<Notify>,
    /// The number of the attempt to come, from 1.
    attempt: u32,
    /// When the last one began.
    tried: Option<Instant>,
    pause: Duration,
    /// Since when nothing gets as far as Spotify.
    away: Option<Instant>,
    /// A name that is being looked up. One at a time: that may take half a minute and a thread.
    lookup: Option<JoinHandle<io::Result<Vec<SocketAddr>>>>,
}

impl Pace {
    /// Begins with the attempt of this number. Whoever notifies `hurry` ends a wait: the line may be
    /// another one now.
    pub fn new(config: SessionConfig, attempt: u32, hurry: Arc<Notify>) -> Self {
        Self {
            config,
            hurry,
            attempt,
            tried: None,
            pause: back_off(attempt, rand::random()),
            away: None,
            lookup: None,
        }
    }

    /// Waits until the next attempt is to be made, which is now. May be dropped and asked again.
    pub async fn turn(&mut self) {
        let from = self.tried.unwrap_or_else(Instant::now);
        match self.away {
            None => self.wait_until(from + self.pause).await,
            Some(since) => self.wait_for_line(since, from).await,
        }
        if let Some(tried) = self.tried {
            sleep_until(tried + BETWEEN).await;
        }
        self.tried = Some(Instant::now());
    }

    /// The attempt has failed, with these words. True when nobody at Spotify has heard of it.
    pub async fn failed(&mut self, why: &str) -> bool {
        let of_the_line = is_of_the_line(why);
        let in_doubt = of_the_line || is_in_doubt(why);
        if in_doubt && !self.knock().await {
            self.away.get_or_insert_with(Instant::now);
            return true;
        }
        self.away = None;
        self.attempt = self.attempt.saturating_add(1);
        let attempt = match of_the_line {
            true => self.attempt.min(AT_THE_DOOR),
            false => self.attempt,
        };
        self.pause = back_off(attempt, rand::random());
        of_the_line
    }

    /// The number of the last attempt.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    async fn wait_until(&self, due: Instant) {
        tokio::select! {
            () = sleep_until(due) => {}
            () = self.hurry.notified() => {}
        }
    }

    async fn wait_for_line(&mut self, since: Instant, tried: Instant) {
        let mut last = tried;
        while tried.elapsed() < ANYWAY {
            self.wait_until(last + unheard(since.elapsed(), rand::random()))
                .await;
            sleep_until(last + KNOCKS).await;
            last = Instant::now();
            if self.knock().await {
                return;
            }
        }
    }

    /// Whether somebody takes a connection where the first question goes.
    async fn knock(&mut self) -> bool {
        let proxy = self.config.proxy.as_ref();
        let through = proxy.and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
        let (host, port) = through.unwrap_or(RESOLVER);
        let host = host.trim_matches(['[', ']']).to_owned();
        let addresses = self.addresses(host, port).await;
        let mut knocks = JoinSet::new();
        for address in addresses {
            knocks.spawn(TcpStream::connect(address));
        }
        let answered = async {
            while let Some(knock) = knocks.join_next().await {
                if matches!(knock, Ok(Ok(_))) {
                    return true;
                }
            }
            false
        };
        timeout(KNOCK_LIMIT, answered).await.unwrap_or(false)
    }

    async fn addresses(&mut self, host: String, port: u16) -> Vec<SocketAddr> {
        if let Ok(ip) = host.parse() {
            return vec![SocketAddr::new(ip, port)];
        }
        let lookup = self
            .lookup
            .get_or_insert_with(|| tokio::spawn(look_up(host, port)));
        match timeout(NAME_LIMIT, &mut *lookup).await {
            Ok(Ok(Ok(found))) => {
                self.lookup = None;
                *known() = found.clone();
                found
            }
            // Without a name nobody can sign in.
            Ok(_) => {
                self.lookup = None;
                Vec::new()
            }
            Err(_) => known().clone(),
        }
    }
}

impl Drop for Pace {
    fn drop(&mut self) {
        if let Some(lookup) = &self.lookup {
            lookup.abort();
        }
    }
}

/// Notes where the first question goes, while the line is well. Nobody waits for it.
pub fn learn(config: &SessionConfig) {
    if config.proxy.is_some() {
        return;
    }
    tokio::spawn(async {
        let (host, port) = RESOLVER;
        if let Ok(found) = look_up(host.to_owned(), port).await {
            *known() = found;
        }
    });
}

fn known() -> std::sync::MutexGuard<'static, Vec<SocketAddr>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn look_up(host: String, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found: Vec<_> = lookup_host((host, port)).await?.collect();
    Ok(a_few(&found))
}

/// Some of each family.
fn a_few(all: &[SocketAddr]) -> Vec<SocketAddr> {
    let of = |v6: bool| all.iter().filter(move |it| it.is_ipv6() == v6);
    let few = [true, false].map(|v6| of(v6).take(ADDRESSES));
    few.into_iter().flatten().copied().collect()
}

/// Whether these words may be about Spotify or about the way there.
fn is_in_doubt(why: &str) -> bool {
    [UNRESOLVED, LATE, "timed out", "took too long"]
        .iter()
        .any(|words| why.contains(words))
}

/// Whether these are the words of a connection that was never made. (The kinds of librespot's errors
/// do not tell.)
fn is_of_the_line(why: &str) -> bool {
    const WORDS: [&str; 6] = [
        "client error (Connect)",
        "dns error",
        "failed to lookup",
        "Connection refused",
        "No route to host",
        "Network is unreachable",
    ];
    WORDS.iter().any(|words| why.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF_THE_LINE: &str = "Connection refused (os error 111)";

    /// A pace whose knocks go to this port of our own.
    fn through(port: u16, first: u32) -> (Pace, Arc<Notify>) {
        let hurry = Arc::new(Notify::new());
        let proxy = format!("http://127.0.0.1:{port}");
        let config = SessionConfig {
            proxy: Some(proxy.parse().expect("an address")),
            ..SessionConfig::default()
        };
        (Pace::new(config, first, hurry.clone()), hurry)
    }

    async fn taken(pace: &mut Pace) -> Duration {
        let begun = Instant::now();
        pace.turn().await;
        begun.elapsed()
    }

    #[test]
    fn what_never_got_to_spotify_is_told_from_what_it_said() {
        for line in [
            "Service unavailable { client error (Connect) }",
            "Connection refused (os error 111)",
            "failed to lookup address information: Temporary failure in name resolution",
        ] {
            assert!(is_of_the_line(line), "{line}");
        }
        for word in [
            "no access point took the sign-in",
            "status 503",
            "end of file",
        ] {
            assert!(!is_of_the_line(word) && !is_in_doubt(word), "{word}");
        }
        assert!(is_in_doubt(&format!("the access point {LATE}")));
    }

    #[test]
    fn a_name_with_many_addresses_is_knocked_at_by_a_few_of_each_family() {
        let all: Vec<SocketAddr> = ["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]
            .map(|it| it.parse().expect("an address"))
            .into();
        assert_eq!(a_few(&all), [all[0], all[1], all[3]]);
    }

    #[tokio::test]
    async fn a_line_that_is_back_is_noticed_within_a_second_or_so_and_at_once_when_told() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = closed.local_addr().expect("its address");
        drop(closed);
        let (mut pace, hurry) = through(at.port(), 1);
        assert!(taken(&mut pace).await < BETWEEN / 2, "the first at once");
        assert!(pace.failed(OF_THE_LINE).await, "nobody heard of it");
        let waiting = timeout(Duration::from_millis(2_600), pace.turn()).await;
        assert!(waiting.is_err(), "nobody is there");
        let _back = std::net::TcpListener::bind(at).expect("the same port");
        hurry.notify_one();
        assert!(taken(&mut pace).await < BETWEEN / 2, "somebody is");
        assert!(pace.failed(OF_THE_LINE).await);
        let again = taken(&mut pace).await;
        assert!(again >= BETWEEN && again < BETWEEN * 2, "{again:?}");
    }

    #[tokio::test]
    async fn where_a_page_wants_a_password_first_it_is_tried_every_few_seconds_and_no_faster() {
        let door = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let (mut pace, _hurry) = through(door.local_addr().expect("its address").port(), 1);
        for attempt in 2..10 {
            assert!(
                pace.failed("client error (Connect)").await,
                "Spotify heard nothing"
            );
            assert!(pace.away.is_none(), "somebody is there");
            let longest = back_off(attempt.min(AT_THE_DOOR), 1.0);
            assert!(
                pace.pause >= BETWEEN && pace.pause <= longest,
                "{:?}",
                pace.pause
            );
        }
    }

    #[tokio::test]
    async fn no_two_sign_ins_come_within_a_second_however_often_somebody_hurries() {
        let (mut pace, hurry) = through(9, 1);
        pace.turn().await;
        for _ in 0..2 {
            assert!(!pace.failed("status 503").await, "it was heard");
            hurry.notify_one();
            let took = taken(&mut pace).await;
            assert!(took >= BETWEEN - Duration::from_millis(20), "{took:?}");
        }
        assert_eq!(pace.attempt(), 3);
    }
}
