//! The authorization code grant with PKCE (RFC 7636): a browser signs in at Spotify and is led back
//! to a port of ours on this machine, or its last address is pasted.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use oauth2::{
    AccessToken, AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
    TokenResponse,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::Receiver,
    time::{sleep, timeout},
};
use url::Url;

use super::{
    client::{self, OAuth},
    http::Door,
    pace::{End, Said, back_off},
};
use crate::model::{Pairing, Secret, unix_ms};

/// The address that is asked for when nobody listens at it: the one that librespot's own tools use.
const PASTED: &str = "http://127.0.0.1:5588/login";

/// How long one browser may take to say what it wants.
const REQUEST_LIMIT: Duration = Duration::from_secs(5);

/// A request line with a code of Spotify's takes a kilobyte.
const MAX_REQUEST: usize = 16 * 1024;

/// Runs until the browser came back, or somebody pasted where it was led to.
///
/// # Errors
/// When the flow is over without that.
pub async fn run(
    oauth: OAuth,
    door: &Door,
    mut paste: Option<Receiver<Secret>>,
    flow_ends: Instant,
    show: &impl Fn(Pairing),
) -> Result<AccessToken, End> {
    let listener = match paste {
        None => Some(listen().await?),
        Some(_) => None,
    };
    let redirect = match listener.as_ref().map(TcpListener::local_addr) {
        Some(Ok(ours)) => format!("http://{ours}/login"),
        _ => PASTED.to_owned(),
    };
    let redirect = RedirectUrl::new(redirect).map_err(|_| {
        End::new(
            "siskin knows no address to be led back to",
            "please report this",
        )
    })?;
    let oauth = oauth.set_redirect_uri(redirect);
    let left = flow_ends.saturating_duration_since(Instant::now());
    let expires_at_ms = unix_ms() + i64::try_from(left.as_millis()).unwrap_or(i64::MAX);
    loop {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (address, state) = oauth
            .authorize_url(CsrfToken::new_random)
            .add_scopes(client::scopes())
            .set_pkce_challenge(challenge)
            .url();
        let shown = |trouble| Pairing::Browser {
            address: address.to_string(),
            expires_at_ms,
            trouble,
        };
        show(shown(None));
        let back = async {
            loop {
                let given = match (&listener, &mut paste) {
                    (Some(listener), _) => visitor(listener, &state).await,
                    (None, Some(paste)) => pasted(paste, &state).await,
                    (None, None) => std::future::pending().await,
                };
                match given {
                    Back::Code(code) => return Ok(code),
                    Back::Denied => return Err(client::denied()),
                    Back::Other(why) => show(shown(Some(why))),
                }
            }
        };
        let code = timeout(left, back)
            .await
            .map_err(|_| End::nobody_came())??;
        match redeem(&oauth, door, code, verifier, &shown, show).await? {
            Some(token) => return Ok(token),
            // The code was of no use; the browser is asked once more.
            None if Instant::now() < flow_ends => {}
            None => return Err(End::nobody_came()),
        }
    }
}

async fn listen() -> Result<TcpListener, End> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .map_err(|why| {
            End::new(
                format!("no port on this machine can be listened on ({why})"),
                "use siskin login --browser --paste",
            )
        })
}

/// What came back, by browser or by hand.
#[derive(Debug, PartialEq, Eq)]
enum Back {
    Code(String),
    Denied,
    /// Nothing of use, in words.
    Other(String),
}

/// Reads the address that the browser was led to. `state` proves that it belongs to this flow.
fn read(address: &str, state: &str) -> Back {
    let given = Url::parse(address.trim())
        .or_else(|_| Url::parse("http://127.0.0.1/").and_then(|base| base.join(address.trim())));
    let Ok(given) = given else {
        return Back::Other("that is no address".to_owned());
    };
    let find = |name: &str| {
        let mut pairs = given.query_pairs();
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    };
    if find("state").as_deref() != Some(state) {
        return Back::Other("that address does not belong to this sign-in".to_owned());
    }
    match (find("code"), find("error").as_deref()) {
        (Some(code), _) if !code.is_empty() => Back::Code(code),
        (_, Some("access_denied")) => Back::Denied,
        (_, Some(word)) => Back::Other(format!("Spotify answered {}", client::shown(word))),
        _ => Back::Other("that address holds no code".to_owned()),
    }
}

/// For the fuzz targets: nothing that does not hold our own word is a code.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_address(address: &str) {
    if let Back::Code(code) = read(address, "mine") {
        assert!(!code.is_empty() && address.contains("mine"));
    }
}

async fn pasted(paste: &mut Receiver<Secret>, state: &CsrfToken) -> Back {
    match paste.recv().await {
        Some(address) => read(&String::from_utf8_lossy(address.expose()), state.secret()),
        None => std::future::pending().await,
    }
}

async fn visitor(listener: &TcpListener, state: &CsrfToken) -> Back {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let asked = timeout(REQUEST_LIMIT, request(&mut stream)).await;
        // Browsers also open connections that they do not use, and ask for an icon.
        let Ok(Some(target)) = asked else { continue };
        if !target.starts_with("/login") {
            let _ = timeout(REQUEST_LIMIT, answer(&mut stream, "404 Not Found", "")).await;
            continue;
        }
        let back = read(&target, state.secret());
        let text = match &back {
            Back::Code(_) => "Thank you. siskin goes on in the terminal.",
            Back::Denied => "Nobody was signed in.",
            Back::Other(_) => "This page belongs to another sign-in.",
        };
        let _ = timeout(REQUEST_LIMIT, answer(&mut stream, "200 OK", text)).await;
        return back;
    }
}

/// The target of a GET; `None` for anything else.
async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut piece = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = stream
            .read(&mut piece)
            .await
            .ok()
            .filter(|read| *read > 0)?;
        head.extend_from_slice(&piece[..read]);
        if head.len() > MAX_REQUEST {
            return None;
        }
    }
    let head = String::from_utf8(head).ok()?;
    let mut words = head.lines().next()?.split(' ');
    (words.next()? == "GET").then(|| words.next().map(str::to_owned))?
}

async fn answer(stream: &mut TcpStream, status: &str, text: &str) -> std::io::Result<()> {
    let page = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Referrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{text}",
        text.len()
    );
    stream.write_all(page.as_bytes()).await?;
    stream.shutdown().await
}

/// Turns the code into a token. Codes are good once and for a minute or so: `None` when this one is
/// of no use any more.
async fn redeem(
    oauth: &OAuth,
    door: &Door,
    code: String,
    verifier: PkceCodeVerifier,
    shown: &impl Fn(Option<String>) -> Pairing,
    show: &impl Fn(Pairing),
) -> Result<Option<AccessToken>, End> {
    let (code, verifier) = (AuthorizationCode::new(code), verifier.into_secret());
    for failures in 1..=5 {
        let asked = oauth
            .exchange_code(code.clone())
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.clone()))
            .request_async(door)
            .await;
        let error = match asked {
            Ok(token) => return Ok(Some(token.access_token().clone())),
            Err(error) => error,
        };
        if client::is_invalid_grant(&error) {
            return Ok(None);
        }
        match client::said(&error) {
            Said::No(end) => return Err(end),
            Said::Trouble(why) => show(shown(Some(why))),
            _ => {}
        }
        sleep(back_off(failures)).await;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_that_came_back_is_read_and_must_belong_to_this_flow() {
        let whole = "http://127.0.0.1:5588/login?code=abc&state=mine";
        assert_eq!(read(whole, "mine"), Back::Code("abc".into()));
        assert_eq!(
            read(" /login?code=abc&state=mine\n", "mine"),
            Back::Code("abc".into())
        );
        assert!(matches!(read(whole, "other"), Back::Other(_)));
        let denied = "/login?error=access_denied&state=mine";
        assert_eq!(read(denied, "mine"), Back::Denied);
        for strange in [
            "",
            "nonsense",
            "/login?state=mine",
            "/login?code=&state=mine",
            "http://[",
        ] {
            assert!(matches!(read(strange, "mine"), Back::Other(_)), "{strange}");
        }
    }

    #[tokio::test]
    async fn a_browser_is_thanked_and_what_is_not_it_is_left_standing() {
        let listener = listen().await.expect("a port");
        let ours = listener.local_addr().expect("bound");
        let state = CsrfToken::new("mine".to_owned());
        let said = async |text: &str| {
            let mut stream = TcpStream::connect(ours).await.expect("listening");
            stream.write_all(text.as_bytes()).await.expect("open");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("an end");
            answer
        };
        let browser = async {
            let icon = said("GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n").await;
            let thanks = said("GET /login?code=abc&state=mine HTTP/1.1\r\n\r\n").await;
            (icon, thanks)
        };
        let (back, (icon, thanks)) = tokio::join!(visitor(&listener, &state), browser);
        assert_eq!(back, Back::Code("abc".into()));
        assert!(icon.starts_with("HTTP/1.1 404"), "{icon}");
        assert!(thanks.contains("Thank you"), "{thanks}");
        assert!(!thanks.contains("abc"), "the code is not shown again");
    }
}
