//! The two endpoints, as HTTP.

use std::collections::HashMap;

use hyper::{StatusCode, header::CONTENT_TYPE, http::HeaderValue};
use serde_json::{Value, json};

use super::PAIR;
use crate::{
    http::{self, Answer, Ask},
    shared::{Shared, lock, random_text},
};

/// `POST /oauth2/device/authorize`.
pub(crate) fn device(shared: &Shared, ask: &Ask) -> Answer {
    let given = form(ask);
    let mut desk = lock(&shared.desks.desk);
    let client = given.get("client_id").map(String::as_str);
    let Some(client) = client.filter(|client| desk.admits(client)) else {
        return refused("unauthorized_client");
    };
    let streaming = given
        .get("scope")
        .is_some_and(|scope| scope.split(' ').any(|one| one == "streaming"));
    if !streaming {
        return refused("invalid_scope");
    }
    let (life, interval) = (desk.life.as_secs(), desk.interval.as_secs());
    let code = desk.hand_out(client);
    let answer = json!({
        "device_code": code.device_code,
        "user_code": code.user_code,
        "verification_uri": PAIR,
        "verification_uri_complete": format!("{PAIR}?code={}", code.user_code),
        "expires_in": life,
        "interval": interval,
    });
    drop(desk);
    shared.desks.changed.send_replace(());
    said(StatusCode::OK, &answer)
}

/// `POST /api/token`.
pub(crate) fn token(shared: &Shared, ask: &Ask) -> Answer {
    let given = form(ask);
    let get = |name: &str| given.get(name).map_or("", String::as_str);
    let mut desk = lock(&shared.desks.desk);
    let client = get("client_id");
    if !desk.admits(client) {
        return refused("invalid_client");
    }
    let user = match get("grant_type") {
        "urn:ietf:params:oauth:grant-type:device_code" => desk.ask(get("device_code"), client),
        "authorization_code" => desk.redeem(
            get("code"),
            client,
            get("redirect_uri"),
            get("code_verifier"),
        ),
        _ => Err("unsupported_grant_type"),
    };
    let user = match user {
        Ok(user) => user,
        Err(word) => return refused(word),
    };
    let life = shared.options.token_life;
    let access = shared.tokens.grant(&user, "", life);
    let refresh = format!("refresh-{}", random_text());
    desk.secrets.extend([access.clone(), refresh.clone()]);
    let answer = json!({
        "access_token": access,
        "token_type": "Bearer",
        "expires_in": life.as_secs(),
        "refresh_token": refresh,
        "scope": "streaming",
    });
    said(StatusCode::OK, &answer)
}

/// An error in the words of RFC 6749.
pub(crate) fn refused(word: &str) -> Answer {
    said(StatusCode::BAD_REQUEST, &json!({ "error": word }))
}

fn said(code: StatusCode, value: &Value) -> Answer {
    let mut answer = http::bytes(code, value.to_string());
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(CONTENT_TYPE, json);
    answer
}

fn form(ask: &Ask) -> HashMap<String, String> {
    form_urlencoded::parse(&ask.body).into_owned().collect()
}
