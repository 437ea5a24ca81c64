//! The device authorization grant (RFC 8628): a code is fetched, shown, and asked about until
//! somebody has typed it at `spotify.com/pair`.

use std::{
    cell::Cell,
    future::pending,
    time::{Duration, Instant},
};

use oauth2::{
    AccessToken, RequestTokenError, StandardDeviceAuthorizationResponse as Grant, TokenResponse,
    basic::BasicTokenResponse,
};
use tokio::{sync::Notify, time::sleep};
use tracing::debug;
use url::Url;

use super::{
    client::{self, OAuth},
    http::Door,
    pace::{End, Next, Pace, Said, back_off},
};
use crate::model::{Pairing, unix_ms};

/// No code that a person types is longer.
const MAX_CODE: usize = 32;

/// Runs until somebody has approved.
///
/// # Errors
/// When the flow is over without that.
pub async fn run(
    oauth: &OAuth,
    door: &Door,
    flow_ends: Instant,
    show: &impl Fn(Pairing),
) -> Result<AccessToken, End> {
    loop {
        let grant = code(oauth, door, flow_ends, show).await?;
        if let Some(token) = wait(oauth, door, &grant, flow_ends, show).await? {
            return Ok(token);
        }
    }
}

/// Fetches a code, however often that takes.
async fn code(
    oauth: &OAuth,
    door: &Door,
    flow_ends: Instant,
    show: &impl Fn(Pairing),
) -> Result<Grant, End> {
    show(Pairing::Asking { trouble: None });
    let mut failures = 0;
    loop {
        let asked = oauth
            .exchange_device_code()
            .add_scopes(client::scopes())
            .request_async(door)
            .await;
        let trouble = match asked {
            Ok(grant) if is_showable(&grant) => return Ok(grant),
            Ok(_) => "Spotify's answer makes no sense".to_owned(),
            Err(error) => match client::said(&error) {
                Said::No(end) => return Err(end),
                Said::Trouble(why) => why,
                other => format!("Spotify's answer makes no sense ({other:?})"),
            },
        };
        failures += 1;
        if Instant::now() >= flow_ends {
            return Err(End::nobody_came());
        }
        let trouble = Some(trouble);
        show(Pairing::Asking { trouble });
        sleep(back_off(failures)).await;
    }
}

/// Asks about one code until it is approved, or of no use any more (`None`).
async fn wait(
    oauth: &OAuth,
    door: &Door,
    grant: &Grant,
    flow_ends: Instant,
    show: &impl Fn(Pairing),
) -> Result<Option<AccessToken>, End> {
    let now = Instant::now();
    let mut pace = Pace::new(grant.interval(), grant.expires_in(), now, flow_ends);
    let life = pace.code_ends() - now;
    let expires_at_ms = unix_ms() + i64::try_from(life.as_millis()).unwrap_or(i64::MAX);
    show(waiting(grant, expires_at_ms, None));
    let mut after = pace.first();
    let mut shown = None;
    loop {
        sleep(after).await;
        let said = match ask(oauth, door, grant).await {
            Ok(token) => return Ok(Some(token)),
            Err(said) => said,
        };
        match pace.step(said, Instant::now()) {
            Next::Over(end) => return Err(end),
            Next::FreshCode => return Ok(None),
            Next::Ask {
                after: then,
                trouble,
            } => {
                after = then;
                debug!("nobody has approved the code yet; asking again in {after:?}");
                if trouble != shown {
                    shown.clone_from(&trouble);
                    show(waiting(grant, expires_at_ms, trouble));
                }
            }
        }
    }
}

/// One question. The library would go on asking by itself, at a pace of its own and without a word
/// about it; it is stopped where it begins to wait.
async fn ask(oauth: &OAuth, door: &Door, grant: &Grant) -> Result<AccessToken, Said> {
    let (waits, begins) = (Cell::new(Duration::ZERO), Notify::new());
    door.take_trouble();
    let asking = oauth.exchange_device_access_token(grant).request_async(
        door,
        |pause| {
            waits.set(pause);
            begins.notify_one();
            pending::<()>()
        },
        None,
    );
    let answer: Result<BasicTokenResponse, RequestTokenError<_, _>> = tokio::select! {
        biased;
        answer = asking => answer,
        () = begins.notified() => return Err(match door.take_trouble() {
            Some(why) => Said::Trouble(why),
            None if waits.get() > grant.interval() => Said::SlowDown,
            None => Said::Pending,
        }),
    };
    match answer {
        Ok(token) => Ok(token.access_token().clone()),
        Err(error) => Err(client::said_of_code(&error)),
    }
}

/// Whether code and address may be put on a terminal: they come from outside.
fn is_showable(grant: &Grant) -> bool {
    let code = grant.user_code().secret();
    let plain = !code.is_empty() && code.len() <= MAX_CODE;
    plain
        && code.bytes().all(|byte| byte.is_ascii_graphic())
        && is_https(grant.verification_uri().url())
}

fn is_https(url: &Url) -> bool {
    url.scheme() == "https" && url.has_host() && url.as_str().len() <= 512
}

fn waiting(grant: &Grant, expires_at_ms: i64, trouble: Option<String>) -> Pairing {
    let address = grant.verification_uri().url();
    let complete = grant
        .verification_uri_complete()
        .and_then(|complete| Url::parse(complete.secret()).ok())
        .filter(is_https);
    Pairing::Waiting {
        code: grant.user_code().secret().clone(),
        address: address.to_string(),
        complete_address: complete.as_ref().unwrap_or(address).to_string(),
        expires_at_ms,
        trouble,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(code: &str, address: &str, complete: &str) -> Option<Grant> {
        let json = serde_json::json!({
            "device_code": "hush",
            "user_code": code,
            "verification_uri": address,
            "verification_uri_complete": complete,
            "expires_in": 600,
        });
        serde_json::from_value(json).ok()
    }

    #[test]
    fn what_could_play_tricks_on_a_terminal_is_not_shown() {
        let good = grant("ABCD12", "https://spotify.com/pair", "").expect("an answer");
        assert!(is_showable(&good));
        assert_eq!(good.interval(), Duration::from_secs(5), "of the RFC");
        for (code, address) in [
            ("", "https://spotify.com/pair"),
            ("AB\u{1b}[2J", "https://spotify.com/pair"),
            ("ABCD12", "http://spotify.com/pair"),
            ("ABCD12", "javascript:alert(1)"),
        ] {
            let strange = grant(code, address, "").expect("an answer");
            assert!(!is_showable(&strange), "{code:?} {address}");
        }
        assert!(grant("ABCD12", "no address", "").is_none());
    }

    #[test]
    fn a_complete_address_that_is_none_is_replaced_by_the_plain_one() {
        let plain = "https://spotify.com/pair";
        for (given, expected) in [
            (
                "https://spotify.com/pair?code=ABCD12",
                "https://spotify.com/pair?code=ABCD12",
            ),
            ("\u{1b}[2J", plain),
            ("", plain),
        ] {
            let grant = grant("ABCD12", plain, given).expect("an answer");
            let Pairing::Waiting {
                complete_address, ..
            } = waiting(&grant, 0, None)
            else {
                panic!("waiting");
            };
            assert_eq!(complete_address, expected);
        }
    }
}
