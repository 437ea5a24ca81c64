//! From an access token to the lasting credential. The token itself is kept nowhere: Spotify's
//! access point takes it once (authentication type 3) and hands out a credential for it.

use std::time::{Duration, Instant};

use librespot_core::{Session, SessionConfig, authentication::Credentials};
use librespot_protocol::authentication::AuthenticationType;
use oauth2::AccessToken;
use protobuf::Enum;
use tokio::time::{sleep, timeout};

use super::pace::{End, back_off};
use crate::{
    engine::messages::Pair,
    librespot::session::{self, Failure},
    model::{Login, Pairing, Refusal, Secret},
};

/// One attempt: two sign-ins at the access point, one after the other.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(25);

/// How long it is tried. A token lives for an hour; a person does not wait that long.
const LIMIT: Duration = Duration::from_secs(600);

/// How long the name of the account may take that people see: somebody waits, and it is a courtesy.
const NAME_LIMIT: Duration = Duration::from_secs(3);

/// An account that Spotify has let in.
pub struct SignedIn {
    /// The lasting credential.
    pub login: Login,
    pub country: Option<String>,
    /// What Spotify shows.
    pub name: Option<String>,
}

/// Signs in.
///
/// # Errors
/// When Spotify refuses the account, or cannot be reached for [`LIMIT`].
pub async fn lasting(
    pair: &Pair,
    token: &AccessToken,
    show: &impl Fn(Pairing),
) -> Result<SignedIn, End> {
    show(Pairing::SigningIn { trouble: None });
    let until = Instant::now() + LIMIT;
    let mut failures = 0;
    loop {
        let attempt = timeout(ATTEMPT_LIMIT, attempt(pair, token)).await;
        let why = match attempt {
            Ok(Ok(signed_in)) => return Ok(signed_in),
            Ok(Err(Failure::Refused(refusal))) => return Err(refused(&refusal)),
            Ok(Err(Failure::Lost(why) | Failure::Broken(why))) => why,
            Err(_) => format!("no sign-in within {} s", ATTEMPT_LIMIT.as_secs()),
        };
        failures += 1;
        if Instant::now() >= until {
            return Err(End::new(
                format!("the sign-in was approved, but Spotify could not be reached ({why})"),
                "check the internet connection, then ask for a code again",
            ));
        }
        show(Pairing::SigningIn { trouble: Some(why) });
        sleep(back_off(failures)).await;
    }
}

/// Each needs a session of its own: librespot's connects once.
async fn attempt(pair: &Pair, token: &AccessToken) -> Result<SignedIn, Failure> {
    let config = SessionConfig {
        device_id: pair.device.as_str().to_owned(),
        proxy: pair
            .network
            .proxy
            .as_deref()
            .and_then(|proxy| proxy.parse().ok()),
        ap_port: pair.network.ap_port,
        ..SessionConfig::default()
    };
    let session = Session::new(config, None);
    let credentials = Credentials::with_access_token(token.secret());
    let connected = session.connect(credentials, false).await;
    connected.map_err(|error| session::classify(&error))?;
    let known = session::premium(&session).await;
    let login = Login {
        user: session.username(),
        kind: AuthenticationType::AUTHENTICATION_STORED_SPOTIFY_CREDENTIALS.value(),
        secret: Secret::new(session.auth_data()),
    };
    let country = Some(session.country()).filter(|country| !country.is_empty());
    let name = match &known {
        Ok(()) => timeout(NAME_LIMIT, session::display_name(&session)).await,
        Err(_) => Ok(None),
    };
    session.shutdown();
    known?;
    Ok(SignedIn {
        login,
        country,
        name: name.ok().flatten(),
    })
}

fn refused(refusal: &Refusal) -> End {
    match refusal {
        // The account said yes a moment ago: it is the way that is not taken.
        Refusal::BadCredentials => End::new(
            "the sign-in was approved, but Spotify's access point does not take it",
            "Spotify admits only some client ids: set client_id to one that it admits, or pick \
             the speaker in the Spotify app",
        ),
        other => End::new(other.to_string(), other.cure()),
    }
}
