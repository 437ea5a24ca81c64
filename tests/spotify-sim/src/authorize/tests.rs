//! The desk by itself; over HTTPS it is met in `tests/wire`.

use super::*;
use crate::{Sim, SimOptions};

const CLIENT: &str = "65b708073fc0480ea92a077233ca87bd";

async fn sim() -> (Sim, Authorization) {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let authorization = sim.authorization();
    authorization.codes(Duration::from_secs(60), Duration::ZERO);
    (sim, authorization)
}

fn hand_out(authorization: &Authorization) -> (String, String) {
    let mut desk = lock(&authorization.shared.desks.desk);
    let code = desk.hand_out(CLIENT);
    (code.device_code.clone(), code.user_code.clone())
}

fn ask(authorization: &Authorization, device_code: &str) -> Result<String, &'static str> {
    lock(&authorization.shared.desks.desk).ask(device_code, CLIENT)
}

#[tokio::test]
async fn a_code_is_pending_until_somebody_says_yes_and_good_once() {
    let (_sim, listener) = sim().await;
    let (device, user) = hand_out(&listener);
    assert_eq!(listener.open_code().as_deref(), Some(user.as_str()));
    assert_eq!(ask(&listener, &device), Err("authorization_pending"));
    listener.approve(&user, "kim");
    assert_eq!(listener.open_code(), None);
    assert_eq!(ask(&listener, &device).as_deref(), Ok("kim"));
    assert_eq!(ask(&listener, &device), Err("invalid_grant"));
    assert_eq!(ask(&listener, "made up"), Err("invalid_grant"));
}

#[tokio::test]
async fn a_denied_or_expired_code_says_so() {
    let (_sim, listener) = sim().await;
    let (device, user) = hand_out(&listener);
    listener.deny(&user);
    assert_eq!(ask(&listener, &device), Err("access_denied"));
    let (device, user) = hand_out(&listener);
    listener.expire(&user);
    assert_eq!(ask(&listener, &device), Err("expired_token"));
    listener.codes(Duration::ZERO, Duration::ZERO);
    let (device, _) = hand_out(&listener);
    assert_eq!(ask(&listener, &device), Err("expired_token"));
}

#[tokio::test]
async fn who_asks_too_early_is_told_to_slow_down_and_counted() {
    let (_sim, listener) = sim().await;
    let (device, _) = hand_out(&listener);
    listener.slow_down(1);
    assert_eq!(ask(&listener, &device), Err("slow_down"));
    assert_eq!(listener.asked_too_early(), 0);
    assert_eq!(ask(&listener, &device), Err("slow_down"));
    assert_eq!(listener.asked_too_early(), 1);
}

#[tokio::test]
async fn a_browser_is_led_back_and_its_code_needs_the_verifier() {
    let (_sim, listener) = sim().await;
    let verifier = "a verifier that nobody else knows, of the proper length";
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
    let redirect = "http://127.0.0.1:5588/login";
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("response_type", "code")
        .append_pair("client_id", CLIENT)
        .append_pair("redirect_uri", redirect)
        .append_pair("code_challenge_method", "S256")
        .append_pair("code_challenge", &challenge)
        .append_pair("state", "mine")
        .finish();
    let address = format!("https://accounts.spotify.com/authorize?{query}");
    let redeem = |led: &str, verifier: &str| {
        let code = led.split(['=', '&']).nth(1).unwrap().to_owned();
        lock(&listener.shared.desks.desk).redeem(&code, CLIENT, redirect, verifier)
    };
    let led = listener.browse(&address, "kim").unwrap();
    assert!(
        led.starts_with(redirect) && led.ends_with("state=mine"),
        "{led}"
    );
    assert_eq!(redeem(&led, "another"), Err("invalid_grant"));
    let led = listener.browse(&address, "kim").unwrap();
    assert_eq!(redeem(&led, verifier).as_deref(), Ok("kim"));
    assert_eq!(redeem(&led, verifier), Err("invalid_grant"), "good once");
    assert!(listener.browse("https://spotify.com/pair", "kim").is_err());
}
