//! Signing in: from a login to a speaker that the phone lists, or a plain reason why not.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hyper::Method;
use librespot_core::{
    Error, Session, SessionConfig, authentication::Credentials, config::DeviceType as WireType,
};
use librespot_protocol::authentication::AuthenticationType;
use nix::time::{ClockId, clock_gettime};
use protobuf::Enum;
use tokio::time::timeout;

use super::{
    connect::put::Facts,
    line::LATE,
    service::{self, JSON, Patience, Question},
};
use crate::{
    config::{Autoplay, Curve, Network, Speaker},
    engine::messages::Start,
    model::{DeviceId, DeviceType, Login, Refusal, Secret, unix_ms},
};

/// For one answer of the resolver that names access points.
const RESOLVE_LIMIT: Duration = Duration::from_secs(3);
const RESOLVE_TRIES: u32 = 2;
/// For the link to an access point: the first that is silent gives way to the next soon enough for
/// a phone that waits. (librespot tries up to six that refuse in the time of one of these.)
const LINK_LIMITS: [Duration; 2] = [Duration::from_secs(4), Duration::from_secs(10)];
/// For one answer of a token service.
const TOKEN_LIMIT: Duration = Duration::from_secs(3);
const TOKEN_TRIES: u32 = 3;
const TOKEN_PAUSE: Duration = Duration::from_millis(300);

/// Spotify sends the product a moment after the welcome. If it never does, the account is taken
/// for what its working session says it is.
const PRODUCT_LIMIT: Duration = Duration::from_secs(3);

/// Why there is no session, or no going on with it.
#[derive(Debug)]
pub enum Failure {
    Refused(Refusal),
    /// Spotify cannot be asked.
    Lost(String),
    /// Something in this process is broken for good: only another engine helps. Spotify has nothing
    /// to do with it.
    Broken(String),
}

/// What librespot is told about itself.
pub fn session_config(start: &Start) -> SessionConfig {
    config_of(&start.device, &start.network, &start.speaker)
}

/// The same, without anybody to sign in.
pub fn config_of(device: &DeviceId, network: &Network, speaker: &Speaker) -> SessionConfig {
    SessionConfig {
        device_id: device.as_str().to_owned(),
        proxy: network
            .proxy
            .as_deref()
            .and_then(|proxy| proxy.parse().ok()),
        ap_port: network.ap_port,
        autoplay: match speaker.audio.autoplay {
            Autoplay::App => None,
            Autoplay::On => Some(true),
            Autoplay::Off => Some(false),
        },
        ..SessionConfig::default()
    }
}

/// What connect-state has to know about the device.
pub fn facts(start: &Start, session: &Session) -> Facts {
    Facts {
        device_id: start.device.as_str().to_owned(),
        kind: match start.speaker.device_type {
            DeviceType::Speaker => WireType::Speaker,
            DeviceType::Avr => WireType::Avr,
            DeviceType::AudioDongle => WireType::AudioDongle,
            DeviceType::Computer => WireType::Computer,
            DeviceType::Tv => WireType::Tv,
            DeviceType::Stb => WireType::Stb,
        },
        client_id: session.client_id(),
        volume_steps: start.speaker.volume.steps,
        volume_fixed: start.speaker.volume.curve == Curve::Fixed,
    }
}

/// Signs in, up to the token that everything else is asked with. Returns the lasting credential
/// that Spotify handed out for the one we came with.
///
/// # Errors
/// [`Failure::Refused`] when Spotify said no; [`Failure::Lost`] when it could not be asked.
pub async fn sign_in(login: &Login, session: &Session) -> Result<Login, Failure> {
    let credentials = Credentials {
        username: Some(login.user.clone()),
        auth_type: AuthenticationType::from_i32(login.kind)
            .unwrap_or(AuthenticationType::AUTHENTICATION_STORED_SPOTIFY_CREDENTIALS),
        auth_data: login.secret.expose().to_vec(),
    };
    // The client token needs nothing of the account, so it is fetched beside.
    let (linked, _) = tokio::join!(link(credentials, session), client_token(session));
    linked?;
    let login = Login {
        user: session.username(),
        kind: AuthenticationType::AUTHENTICATION_STORED_SPOTIFY_CREDENTIALS.value(),
        secret: Secret::new(session.auth_data()),
    };
    let (token, premium) = tokio::join!(token(session), premium(session));
    premium?;
    token?;
    Ok(login)
}

/// What a sign-in needs that has nothing to do with an account.
pub async fn warm_up(session: &Session) {
    let _ = tokio::join!(resolve(session), client_token(session));
}

/// Asks where the access points are, unless that is known.
async fn resolve(session: &Session) -> Result<(), Failure> {
    for _ in 0..RESOLVE_TRIES {
        // The service for requests comes with the same answer, and is remembered once asked for.
        let asked = timeout(RESOLVE_LIMIT, session.spclient().get_accesspoint()).await;
        match asked {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => return Err(classify(&error)),
            Err(_) => {}
        }
    }
    Err(late("the list of access points"))
}

async fn link(credentials: Credentials, session: &Session) -> Result<(), Failure> {
    resolve(session).await?;
    for limit in LINK_LIMITS {
        let linked = timeout(limit, session.connect(credentials.clone(), false)).await;
        if let Ok(linked) = linked {
            return linked.map_err(|error| classify(&error));
        }
    }
    Err(late("the access point"))
}

/// Whoever needs it later asks again, so that a failure is nobody's.
async fn client_token(session: &Session) {
    let _ = timeout(TOKEN_LIMIT, session.spclient().client_token()).await;
}

/// How long an answer to "are you alive" may take over the access-point link where somebody waits.
pub const ALIVE_LIMIT: Duration = Duration::from_millis(1_200);
/// The same where the session is given up after it: a busy line may hold an answer back for seconds,
/// and another sign-in would not make it quicker.
pub const SURE_LIMIT: Duration = Duration::from_millis(3_200);

/// Whether the access point still answers within `limit`. Any answer will do, a refusal too.
pub async fn is_alive(session: &Session, limit: Duration) -> bool {
    if session.is_invalid() {
        return false;
    }
    let Ok(question) = session.mercury().get("hm://siskin/alive") else {
        return false;
    };
    timeout(limit, question).await.is_ok() && !session.is_invalid()
}

/// The token for everything that is asked over HTTP, asked for once more if need be.
async fn token(session: &Session) -> Result<(), Failure> {
    let mut tries = TOKEN_TRIES;
    loop {
        tries -= 1;
        let asked = timeout(TOKEN_LIMIT, session.login5().auth_token()).await;
        let failure = match asked {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => classify(&error),
            Err(_) => late("the token service"),
        };
        if tries == 0 || matches!(failure, Failure::Refused(_)) {
            return Err(failure);
        }
        tokio::time::sleep(TOKEN_PAUSE).await;
    }
}

fn late(who: &str) -> Failure {
    Failure::Lost(format!("{who} {LATE}"))
}

/// Waits until Spotify has said what kind of account this is.
///
/// # Errors
/// When it is not a Premium account. (librespot itself ends the process then; see `telltale`.)
pub async fn premium(session: &Session) -> Result<(), Failure> {
    let product = timeout(PRODUCT_LIMIT, async {
        loop {
            if let Some(product) = session.get_user_attribute("type") {
                return product;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    match product.await {
        Ok(product) if product != "premium" => {
            Err(Failure::Refused(Refusal::NotPremium { product }))
        }
        _ => Ok(()),
    }
}

/// Nobody waits for the name of an account.
const UNHURRIED: Patience = Patience {
    pauses: &[Duration::from_secs(1), Duration::from_secs(5)],
    limit: Duration::from_secs(20),
};
/// No name is longer, and it is to fit a table.
const NAME_BYTES: usize = 64;

/// What Spotify calls the account where people see it, if it says so.
pub async fn display_name(session: &Session) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Profile {
        name: String,
    }
    let user = in_path(&session.username());
    let path = format!("/user-profile-view/v3/profile/{user}");
    let question = Question::new(Method::GET, path, Vec::new(), JSON);
    let profile = service::persist(session, &question, UNHURRIED).await.ok()?;
    let Profile { name } = serde_json::from_slice(&profile).ok()?;
    presentable(&name)
}

/// A user name as a part of a path: these may hold anything.
fn in_path(user: &str) -> String {
    user.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// A name of somebody else's making, as it may be shown. `None` when nothing is left of it.
fn presentable(name: &str) -> Option<String> {
    let mut clean: String = name.chars().filter(|c| !c.is_control()).collect();
    while clean.len() > NAME_BYTES {
        clean.pop();
    }
    let clean = clean.trim();
    (!clean.is_empty()).then(|| clean.to_owned())
}

/// What the access point's refusals are called: librespot 0.8 keeps the type to itself, so its words
/// (as pinned in `=0.8.0`) are all there is.
const REFUSED: &str = "Login failed with reason: ";

/// What login5 says (`LoginError`, in the words of its `Debug`) comes after this.
const DENIED: &str = "Login request was denied: ";

/// What time it is at Spotify, as last heard from there.
#[derive(Debug, Clone, Copy)]
struct SpotifyTime {
    /// From our clock to Spotify's (s), as the session has it.
    delta: i64,
    /// By [`since_boot`].
    heard: Duration,
    /// Unix time in ms when it was heard.
    ms: i64,
}

impl SpotifyTime {
    /// Goes on evenly from what is known, whatever is done to this machine's clock, until the session
    /// has compared the two clocks again.
    fn follow(known: Option<Self>, delta: i64, wall_ms: i64, now: Duration) -> Self {
        known.filter(|known| known.delta == delta).unwrap_or(Self {
            delta,
            heard: now,
            ms: wall_ms.saturating_add(delta.saturating_mul(1_000)),
        })
    }

    fn at(&self, now: Duration) -> i64 {
        let gone = now.saturating_sub(self.heard).as_millis();
        self.ms
            .saturating_add(i64::try_from(gone).unwrap_or(i64::MAX))
    }
}

/// A clock that nobody sets and that goes on while the machine sleeps, as [`std::time::Instant`] does not.
fn since_boot() -> Duration {
    // Linux has had it since 2.6.39.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

/// Unix time in ms as Spotify has it. One process talks to one Spotify.
pub fn spotify_ms(session: &Session) -> i64 {
    static KNOWN: Mutex<Option<SpotifyTime>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let now = since_boot();
    let time = SpotifyTime::follow(*known, session.time_delta(), unix_ms(), now);
    *known = Some(time);
    time.at(now)
}

/// What an error of the sign-in means for the account.
pub(super) fn classify(error: &Error) -> Failure {
    let words = error.error.to_string();
    let refused = Failure::Refused;
    if let Some(code) = words.strip_prefix(DENIED) {
        return match code {
            "INVALID_CREDENTIALS" | "UNKNOWN_IDENTIFIER" => refused(Refusal::BadCredentials),
            "TOO_MANY_ATTEMPTS" => refused(Refusal::TooOften),
            "TIMEOUT" | "TRY_AGAIN_LATER" => Failure::Lost("Spotify is busy".into()),
            other => refused(Refusal::Other {
                what: other.to_owned(),
            }),
        };
    }
    // login5 wants a code or a captcha solved, which only its own pages can show.
    if words == "Code challenge is not supported" {
        return refused(Refusal::Pending);
    }
    match words.strip_prefix(REFUSED) {
        Some("Bad credentials" | "Could not validate credentials") => {
            refused(Refusal::BadCredentials)
        }
        Some("Premium account required") => refused(Refusal::NotPremium {
            product: "free".into(),
        }),
        Some("Travel restriction") => refused(Refusal::TravelRestriction),
        Some("Extra verification required") => refused(Refusal::Pending),
        // The service is busy, not the account wrong.
        Some("Try another access point") => {
            Failure::Lost("no access point took the sign-in".into())
        }
        Some(other) => refused(Refusal::Other {
            what: other.to_owned(),
        }),
        None if words.to_ascii_lowercase().contains("too many devices") => {
            refused(Refusal::TooManyDevices)
        }
        None => Failure::Lost(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_anybodys_making_can_be_asked_for_and_shown() {
        assert_eq!(in_path("kim.o'neil/ü"), "kim.o%27neil%2F%C3%BC");
        assert_eq!(presentable(" K\u{7}im\n").as_deref(), Some("Kim"));
        assert_eq!(presentable("\u{1b}\t "), None);
        let long = presentable(&"ü".repeat(60)).expect("a name");
        assert_eq!(long, "ü".repeat(32));
    }

    #[test]
    fn a_clock_that_is_set_does_not_change_what_time_it_is_at_spotify() {
        let begun = since_boot();
        let at_first = SpotifyTime::follow(None, 5, 1_000_000, begun);
        let later = begun + Duration::from_secs(10);
        let a_year = 31_536_000_000;
        for wall_ms in [1_010_000, 1_010_000 - a_year, 1_010_000 + a_year] {
            let time = SpotifyTime::follow(Some(at_first), 5, wall_ms, later);
            assert_eq!(time.at(later), 1_015_000);
        }
        let compared = SpotifyTime::follow(Some(at_first), 31_536_005, 1_010_000 - a_year, later);
        assert_eq!(compared.at(later), 1_015_000, "the session has asked again");
        // Of the machine, asleep or not.
        let uptime = std::fs::read_to_string("/proc/uptime").expect("Linux");
        let seconds: f64 = uptime
            .split(' ')
            .next()
            .and_then(|it| it.parse().ok())
            .expect("seconds");
        assert!((since_boot().as_secs_f64() - seconds).abs() < 1.0);
    }

    #[test]
    fn a_refusal_is_told_from_trouble_on_the_way() {
        let said = |words: &str| match classify(&Error::permission_denied(words.to_owned())) {
            Failure::Refused(refusal) => Some(refusal),
            Failure::Lost(_) | Failure::Broken(_) => None,
        };
        let at_access_point = |words: &str| said(&format!("{REFUSED}{words}"));
        let at_login5 = |words: &str| said(&format!("{DENIED}{words}"));
        let wrong = Some(Refusal::BadCredentials);
        assert_eq!(at_access_point("Bad credentials"), wrong);
        assert_eq!(at_access_point("Could not validate credentials"), wrong);
        assert_eq!(at_login5("INVALID_CREDENTIALS"), wrong);
        let pending = Some(Refusal::Pending);
        assert_eq!(at_access_point("Extra verification required"), pending);
        assert_eq!(said("Code challenge is not supported"), pending);
        let abroad = Some(Refusal::TravelRestriction);
        assert_eq!(at_access_point("Travel restriction"), abroad);
        assert_eq!(at_login5("TOO_MANY_ATTEMPTS"), Some(Refusal::TooOften));
        let banned = Refusal::Other {
            what: "Application banned".into(),
        };
        assert_eq!(at_access_point("Application banned"), Some(banned));
        let crowd = Some(Refusal::TooManyDevices);
        assert_eq!(said("Service unavailable: Too many devices"), crowd);
        for busy in ["TIMEOUT", "TRY_AGAIN_LATER"] {
            assert_eq!(at_login5(busy), None);
        }
        assert_eq!(at_access_point("Try another access point"), None);
        assert_eq!(said("connection reset"), None);
    }
}
