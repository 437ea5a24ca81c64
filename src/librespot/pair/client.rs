//! The OAuth client that we are, and what its refusals mean.

use oauth2::{
    AuthUrl, Client, ClientId, DeviceAuthorizationUrl, DeviceCodeErrorResponseType as DeviceError,
    EndpointNotSet, EndpointSet, ErrorResponse, RequestTokenError, Scope, StandardErrorResponse,
    StandardRevocableToken, TokenUrl,
    basic::{
        BasicErrorResponse, BasicErrorResponseType as Word, BasicRevocationErrorResponse,
        BasicTokenIntrospectionResponse, BasicTokenResponse,
    },
};

use super::{
    http::Trouble,
    pace::{End, Said},
};

/// The client that librespot signs in with on this system (`KEYMASTER_CLIENT_ID` of
/// librespot-core 0.8, `src/config.rs`). Spotify admits only some clients to these flows.
const CLIENT_ID: &str = "65b708073fc0480ea92a077233ca87bd";

/// What a speaker has to be allowed: to stream, to see and steer playback, and to know whether the
/// account is Premium. (librespot's own sign-in by browser asks for all there is; a speaker needs
/// neither playlists nor follows.)
const SCOPES: [&str; 5] = [
    "streaming",
    "user-read-playback-state",
    "user-modify-playback-state",
    "user-read-currently-playing",
    "user-read-private",
];

const AUTHORIZE: &str = "https://accounts.spotify.com/authorize";
const DEVICE: &str = "https://accounts.spotify.com/oauth2/device/authorize";
const TOKEN: &str = "https://accounts.spotify.com/api/token";

/// The longest word of an error that is shown.
const WORD: usize = 60;

pub type OAuth = Client<
    BasicErrorResponse,
    BasicTokenResponse,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointSet,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// # Errors
/// Never, while the addresses above are addresses.
pub fn oauth(client_id: Option<&str>) -> Result<OAuth, End> {
    let id = ClientId::new(client_id.unwrap_or(CLIENT_ID).to_owned());
    let broken = |_| End::new("siskin knows no address to ask at", "please report this");
    Ok(Client::new(id)
        .set_auth_uri(AuthUrl::new(AUTHORIZE.to_owned()).map_err(broken)?)
        .set_device_authorization_url(
            DeviceAuthorizationUrl::new(DEVICE.to_owned()).map_err(broken)?,
        )
        .set_token_uri(TokenUrl::new(TOKEN.to_owned()).map_err(broken)?))
}

pub fn scopes() -> impl Iterator<Item = Scope> {
    SCOPES.map(|scope| Scope::new(scope.to_owned())).into_iter()
}

/// What an answer without a token means, in a plain OAuth flow.
pub fn said(error: &RequestTokenError<Trouble, BasicErrorResponse>) -> Said {
    match error {
        RequestTokenError::ServerResponse(answer) => word_said(answer.error()),
        other => unanswered(other),
    }
}

/// The same, for a question about a code.
pub fn said_of_code(
    error: &RequestTokenError<Trouble, StandardErrorResponse<DeviceError>>,
) -> Said {
    match error {
        RequestTokenError::ServerResponse(answer) => match answer.error() {
            DeviceError::AuthorizationPending => Said::Pending,
            DeviceError::SlowDown => Said::SlowDown,
            DeviceError::AccessDenied => Said::No(denied()),
            DeviceError::ExpiredToken => Said::Expired,
            // RFC 6749: the grant "is invalid, expired, revoked"; only a fresh code helps.
            DeviceError::Basic(Word::InvalidGrant) => Said::Expired,
            DeviceError::Basic(word) => word_said(word),
        },
        other => unanswered(other),
    }
}

/// Whether the grant itself is of no use any more.
pub fn is_invalid_grant(error: &RequestTokenError<Trouble, BasicErrorResponse>) -> bool {
    matches!(error, RequestTokenError::ServerResponse(answer) if *answer.error() == Word::InvalidGrant)
}

/// Never shows the answer itself: it may hold a token.
fn unanswered<T: ErrorResponse>(error: &RequestTokenError<Trouble, T>) -> Said {
    Said::Trouble(match error {
        RequestTokenError::Request(Trouble(why)) => why.clone(),
        _ => "Spotify's answer makes no sense".to_owned(),
    })
}

fn word_said(word: &Word) -> Said {
    match word {
        Word::UnauthorizedClient | Word::InvalidClient => Said::No(not_admitted(word)),
        Word::Extension(word) if word == "access_denied" => Said::No(denied()),
        Word::Extension(word) => Said::Trouble(format!("Spotify answered {}", shown(word))),
        word => Said::No(End::new(
            format!(
                "Spotify does not take this way to sign in ({})",
                shown(word.as_ref())
            ),
            "pick the speaker in the Spotify app instead; please report this",
        )),
    }
}

pub fn denied() -> End {
    End::new(
        "the sign-in was denied at Spotify",
        "ask again, and say yes there",
    )
}

fn not_admitted(word: &Word) -> End {
    End::new(
        format!(
            "Spotify does not admit this client to this way of signing in ({})",
            word.as_ref()
        ),
        "Spotify admits only some client ids: set client_id to one that it admits, or pick the \
         speaker in the Spotify app",
    )
}

/// A word from outside, fit for a terminal.
pub fn shown(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(WORD)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    type Error = RequestTokenError<Trouble, StandardErrorResponse<DeviceError>>;

    fn answered(word: &str) -> Said {
        let json = format!("{{\"error\": \"{word}\"}}");
        let answer = serde_json::from_str(&json).expect("an error of OAuth");
        said_of_code(&Error::ServerResponse(answer))
    }

    #[test]
    fn every_word_of_the_rfc_has_its_meaning() {
        assert_eq!(answered("authorization_pending"), Said::Pending);
        assert_eq!(answered("slow_down"), Said::SlowDown);
        assert_eq!(answered("access_denied"), Said::No(denied()));
        assert_eq!(answered("expired_token"), Said::Expired);
        assert_eq!(answered("invalid_grant"), Said::Expired);
        for word in ["unauthorized_client", "invalid_client"] {
            let Said::No(end) = answered(word) else {
                panic!("{word} is a clear no");
            };
            assert!(end.cure.contains("client_id"), "{end:?}");
        }
        assert!(matches!(answered("invalid_scope"), Said::No(_)));
        assert!(matches!(answered("server_error"), Said::Trouble(_)));
    }

    #[test]
    fn an_answer_without_sense_is_trouble_and_is_not_shown() {
        let lost = Error::Request(Trouble("connection refused".into()));
        let refused = Said::Trouble("connection refused".into());
        assert_eq!(said_of_code(&lost), refused);
        let nonsense = Error::Other("\u{1b}[2Jsecret".into());
        let Said::Trouble(why) = said_of_code(&nonsense) else {
            panic!("trouble");
        };
        assert!(!why.contains("secret"));
        let Said::Trouble(why) = answered("\\u001b[2J whatever") else {
            panic!("trouble");
        };
        assert!(!why.contains('\u{1b}'), "{why}");
    }

    #[test]
    fn the_client_is_the_one_that_librespot_signs_in_with() {
        let theirs = librespot_core::SessionConfig::default().client_id;
        assert_eq!(theirs, CLIENT_ID);
        assert!(oauth(None).is_ok());
    }
}
