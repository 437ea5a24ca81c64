//! Client tokens, access tokens and the list of servers: the three answers a
//! receiver needs before it may talk to anything else.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hyper::StatusCode;
use librespot_protocol::{
    clienttoken_http::{
        ClientTokenRequest, ClientTokenResponse, ClientTokenResponseType, GrantedTokenResponse,
        TokenDomain,
    },
    login5::{LoginError, LoginOk, LoginRequest, LoginResponse, login_request::Login_method},
};
use protobuf::{EnumOrUnknown, Message};

use crate::{
    faults::Place,
    http::{self, Answer, Ask},
    shared::{Shared, lock, random_text},
};

pub(crate) const INVALID_CREDENTIALS: i32 = LoginError::INVALID_CREDENTIALS as i32;

/// How many entries each list of servers has. A client takes each only once
/// and asks again when one list is empty.
const ENTRIES: usize = 6;

struct Grant {
    user: String,
    device: String,
    until: Instant,
}

/// The tokens given out so far.
#[derive(Default)]
pub(crate) struct Tokens {
    client: Mutex<HashSet<String>>,
    access: Mutex<HashMap<String, Grant>>,
}

impl Tokens {
    /// User and device of a valid access token.
    pub fn holder(&self, token: &str) -> Option<(String, String)> {
        let access = lock(&self.access);
        let grant = access.get(token)?;
        (grant.until > Instant::now()).then(|| (grant.user.clone(), grant.device.clone()))
    }

    fn knows_client(&self, token: &str) -> bool {
        lock(&self.client).contains(token)
    }

    /// An access token such as a web login yields.
    pub fn grant(&self, user: &str, device: &str, life: Duration) -> String {
        let token = format!("access-{}", random_text());
        let grant = Grant {
            user: user.to_owned(),
            device: device.to_owned(),
            until: Instant::now() + life,
        };
        lock(&self.access).insert(token.clone(), grant);
        token
    }

    /// Everything given out so far that must never be seen anywhere.
    pub fn all(&self) -> Vec<String> {
        let client = lock(&self.client).iter().cloned().collect::<Vec<_>>();
        let access = lock(&self.access).keys().cloned().collect::<Vec<_>>();
        [client, access].concat()
    }

    /// All tokens given out so far are worthless from now on.
    pub fn revoke_all(&self) {
        lock(&self.client).clear();
        lock(&self.access).clear();
    }
}

pub(crate) fn client_token(shared: &Shared, ask: &Ask) -> Answer {
    if ClientTokenRequest::parse_from_bytes(&ask.body).is_err() {
        return http::status(StatusCode::BAD_REQUEST);
    }
    let token = format!("client-{}", random_text());
    lock(&shared.tokens.client).insert(token.clone());
    let seconds = whole_seconds(shared.options.token_life);
    let mut granted = GrantedTokenResponse::new();
    granted.token = token;
    granted.expires_after_seconds = seconds;
    granted.refresh_after_seconds = seconds;
    granted.domains.push(TokenDomain {
        domain: "spotify.com".to_owned(),
        ..Default::default()
    });
    let mut response = ClientTokenResponse::new();
    response.response_type =
        EnumOrUnknown::new(ClientTokenResponseType::RESPONSE_GRANTED_TOKEN_RESPONSE);
    response.set_granted_token(granted);
    http::message(&response)
}

pub(crate) fn login5(shared: &Shared, ask: &Ask) -> Answer {
    let Ok(request) = LoginRequest::parse_from_bytes(&ask.body) else {
        return http::status(StatusCode::BAD_REQUEST);
    };
    if !ask
        .header("client-token")
        .is_some_and(|token| shared.tokens.knows_client(token))
    {
        return http::status(StatusCode::UNAUTHORIZED);
    }
    let device = request.client_info.device_id.as_str();
    let user = match &request.login_method {
        Some(Login_method::StoredCredential(stored)) => shared
            .users
            .by_credential(&stored.data)
            .filter(|user| user.name == stored.username),
        Some(Login_method::Password(given)) => shared
            .users
            .get(&given.id)
            .filter(|user| user.password == given.password),
        _ => None,
    };
    let Some(user) = user else {
        shared
            .record
            .add(Place::Other, None, Some(device), "  wrong credentials");
        return login5_error(INVALID_CREDENTIALS);
    };
    let life = shared.options.token_life;
    let ok = LoginOk {
        username: user.name.clone(),
        access_token: shared.tokens.grant(&user.name, device, life),
        stored_credential: user.stored_credential(),
        access_token_expires_in: whole_seconds(life),
        ..Default::default()
    };
    let mut response = LoginResponse::new();
    response.set_ok(ok);
    http::message(&response)
}

/// A login5 answer that says no, by its code.
pub(crate) fn login5_error(code: i32) -> Answer {
    let mut response = LoginResponse::new();
    response.response = Some(librespot_protocol::login5::login_response::Response::Error(
        EnumOrUnknown::from_i32(code),
    ));
    http::message(&response)
}

pub(crate) fn resolve(shared: &Arc<Shared>) -> Answer {
    let entries = vec![shared.authority(); ENTRIES];
    let lists = serde_json::json!({
        "accesspoint": entries, "dealer": entries, "spclient": entries,
    });
    http::ok(lists.to_string())
}

fn whole_seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
