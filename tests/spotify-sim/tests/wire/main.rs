//! The HTTPS side as a receiver meets it: real sockets, TLS, and trouble.

mod client;
mod puppet;

use std::time::Duration;

use aes::Aes128;
use client::{ask, connect, get};
use ctr::{
    Ctr128BE,
    cipher::{KeyIvInit, StreamCipher},
};
use librespot_protocol::{
    clienttoken_http::{ClientTokenRequest, ClientTokenResponse},
    login5::{LoginRequest, LoginResponse},
    storage_resolve::StorageResolveResponse,
};
use protobuf::Message;
use spotify_sim::{Fault, Place, Sim, SimOptions, Then, catalogue::Quality, faults::login5_error};
use tokio::{io::AsyncReadExt, net::TcpStream};

const LIMIT: Duration = Duration::from_secs(20);

async fn client_token(sim: &Sim) -> String {
    let body = ClientTokenRequest::new().write_to_bytes().unwrap();
    let answer = ask(
        sim,
        "clienttoken.spotify.com",
        "POST /v1/clienttoken",
        &[],
        &body,
    )
    .await;
    let answer = ClientTokenResponse::parse_from_bytes(&answer.unwrap().body).unwrap();
    answer.granted_token().token.clone()
}

async fn login5(sim: &Sim, user: &str, credential: &[u8]) -> LoginResponse {
    let token = client_token(sim).await;
    let mut request = LoginRequest::new();
    request.client_info.mut_or_insert_default().device_id = "device".to_owned();
    let stored = request.mut_stored_credential();
    stored.username = user.to_owned();
    stored.data = credential.to_vec();
    let body = request.write_to_bytes().unwrap();
    let headers = [("client-token", token.as_str())];
    let answer = ask(sim, "login5.spotify.com", "POST /v3/login", &headers, &body).await;
    LoginResponse::parse_from_bytes(&answer.unwrap().body).unwrap()
}

#[tokio::test]
async fn all_servers_that_apresolve_names_are_this_one() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let path = "/?type=accesspoint&type=dealer&type=spclient";
    let answer = ask(
        &sim,
        "apresolve.spotify.com",
        &format!("GET {path}"),
        &[],
        b"",
    )
    .await;
    let lists: serde_json::Value = serde_json::from_slice(&answer.unwrap().body).unwrap();
    for list in ["accesspoint", "dealer", "spclient"] {
        let entries = lists[list].as_array().unwrap();
        assert!(entries.len() > 2);
        assert!(
            entries
                .iter()
                .all(|entry| *entry == format!("localhost:{}", sim.port()))
        );
    }
}

#[tokio::test]
async fn a_stored_credential_opens_what_is_closed_without() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let album = &sim.catalogue().albums[0];
    let path = format!("/context-resolve/v1/{}", album.uri());
    assert_eq!(get(&sim, &path, &[]).await.unwrap().status, 401);
    let kim = sim.users().get("kim").unwrap();
    let wrong = login5(&sim, "alex", &kim.stored_credential()).await;
    assert_eq!(wrong.error() as i32, login5_error::INVALID_CREDENTIALS);
    let right = login5(&sim, "kim", &kim.stored_credential()).await;
    let bearer = format!("Bearer {}", right.ok().access_token);
    let headers = [("Authorization", bearer.as_str())];
    let answer = get(&sim, &path, &headers).await.unwrap();
    let context: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(
        context["pages"][0]["tracks"][1]["uri"],
        album.tracks[1].uri()
    );
    sim.revoke_tokens();
    assert_eq!(get(&sim, &path, &headers).await.unwrap().status, 401);
}

#[tokio::test]
async fn a_file_comes_in_encrypted_ranges() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let track = sim.catalogue().titled("Tune").tracks[0].clone();
    let id: String = track
        .file_id(Quality::Kbps96)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let bearer = format!("Bearer {}", sim.access_token("kim"));
    let path = format!("/storage-resolve/files/audio/interactive/{id}");
    let answer = get(&sim, &path, &[("Authorization", &bearer)])
        .await
        .unwrap();
    let resolved = StorageResolveResponse::parse_from_bytes(&answer.body).unwrap();
    assert!(resolved.cdnurl.len() > 1);
    let link = resolved.cdnurl[0]
        .split_once(&sim.port().to_string())
        .unwrap()
        .1
        .to_owned();
    let plain = track.plain_file(Quality::Kbps96);

    let first = get(&sim, &link, &[("Range", "bytes=0-99")]).await.unwrap();
    assert_eq!((first.status, first.body.len()), (206, 100));
    let wanted = format!("bytes 0-99/{}", plain.len());
    assert!(first.head.contains(&wanted), "{}", first.head);
    let rest = get(&sim, &link, &[("Range", "bytes=100-99999999")])
        .await
        .unwrap();
    let mut whole = [first.body, rest.body].concat();
    let iv = 0x72e067fbddcbcf77ebe8bc643f630d93_u128.to_be_bytes();
    Ctr128BE::<Aes128>::new(&track.key().into(), &iv.into()).apply_keystream(&mut whole);
    assert!(
        whole == *plain,
        "the decrypted file differs from the plain one"
    );
}

#[tokio::test]
async fn trouble_looks_as_it_was_scripted() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let bearer = format!("Bearer {}", sim.access_token("kim"));
    let headers = [("Authorization", bearer.as_str())];
    let path = format!("/context-resolve/v1/{}", sim.catalogue().albums[0].uri());
    let whole = get(&sim, &path, &headers).await.unwrap();
    let fault = |then| {
        sim.faults()
            .add(Fault::on(Place::Context).of("kim").then(then))
    };

    fault(Then::Status(429, Some(Duration::from_secs(7))));
    let answer = get(&sim, &path, &headers).await.unwrap();
    assert_eq!(answer.status, 429);
    assert!(answer.head.contains("retry-after: 7"), "{}", answer.head);
    fault(Then::Drop);
    assert!(get(&sim, &path, &headers).await.is_none());
    fault(Then::Truncate(10));
    let answer = get(&sim, &path, &headers).await.unwrap();
    assert_eq!(
        (answer.status, answer.body),
        (200, whole.body[..10].to_vec())
    );
    fault(Then::Refuse);
    assert_eq!(get(&sim, &path, &headers).await.unwrap().status, 403);
    fault(Then::Stall);
    let patience = Duration::from_millis(300);
    assert!(
        tokio::time::timeout(patience, get(&sim, &path, &headers))
            .await
            .is_err()
    );
    assert_eq!(get(&sim, &path, &headers).await.unwrap().body, whole.body);
    sim.record().assert_count(0, Place::Context, 7);
}

#[tokio::test]
async fn a_dark_service_refuses_and_a_frozen_one_is_silent() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let mut idle = connect(&sim, "spclient.wg.spotify.com").await;
    sim.go_dark().await;
    assert!(TcpStream::connect(("127.0.0.1", sim.port())).await.is_err());
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(LIMIT, idle.read_to_end(&mut rest))
        .await
        .unwrap();
    sim.come_back().await.unwrap();
    assert_eq!(get(&sim, "/nothing", &[]).await.unwrap().status, 404);

    sim.freeze();
    let asked = get(&sim, "/nothing", &[]);
    tokio::pin!(asked);
    assert!(
        tokio::time::timeout(Duration::from_millis(300), &mut asked)
            .await
            .is_err()
    );
    sim.thaw();
    let answer = tokio::time::timeout(LIMIT, asked).await.unwrap();
    assert_eq!(answer.unwrap().status, 404);
}

#[tokio::test]
async fn a_slow_line_is_as_slow_as_it_was_told_to_be() {
    let options = SimOptions {
        delay: Duration::from_millis(80),
        cdn_rate: Some(100_000),
        ..SimOptions::default()
    };
    let sim = Sim::start(options).await.unwrap();
    let track = sim.catalogue().titled("Tune").tracks[0].clone();
    track.plain_file(Quality::Kbps96);
    let id: String = track
        .file_id(Quality::Kbps96)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let since = std::time::Instant::now();
    let range = [("Range", "bytes=0-39999")];
    let answer = get(&sim, &format!("/a/audio/{id}"), &range).await.unwrap();
    assert_eq!(answer.body.len(), 40_000);
    assert!(
        since.elapsed() >= Duration::from_millis(480),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn a_code_approved_elsewhere_becomes_a_token_that_opens_things() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let listener = sim.authorization();
    listener.codes(Duration::from_secs(60), Duration::ZERO);
    let client = "client_id=65b708073fc0480ea92a077233ca87bd";
    let post = async |path: &str, body: String| {
        let form = [("Content-Type", "application/x-www-form-urlencoded")];
        let request = format!("POST {path}");
        let answer = ask(
            &sim,
            "accounts.spotify.com",
            &request,
            &form,
            body.as_bytes(),
        )
        .await;
        let answer = answer.unwrap();
        assert!(answer.head.contains("content-type: application/json"));
        let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status, json)
    };
    let device = "/oauth2/device/authorize";
    let (status, refused) = post(device, client.replace('6', "x")).await;
    assert_eq!(
        (status, &refused["error"]),
        (400, &"unauthorized_client".into())
    );
    let (status, grant) = post(device, format!("{client}&scope=streaming")).await;
    assert_eq!((status, grant["expires_in"].as_u64()), (200, Some(60)));
    let code = listener.code(LIMIT).await.unwrap();
    assert_eq!(grant["user_code"], code);

    let question = format!(
        "{client}&grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code={}",
        grant["device_code"].as_str().unwrap()
    );
    let (status, pending) = post("/api/token", question.clone()).await;
    assert_eq!(
        (status, &pending["error"]),
        (400, &"authorization_pending".into())
    );
    listener.approve(&code, "kim");
    let (status, token) = post("/api/token", question).await;
    assert_eq!(status, 200);
    let bearer = format!("Bearer {}", token["access_token"].as_str().unwrap());
    let path = format!("/context-resolve/v1/{}", sim.catalogue().albums[0].uri());
    let answer = get(&sim, &path, &[("Authorization", &bearer)])
        .await
        .unwrap();
    assert_eq!(answer.status, 200);
    sim.record().assert_count(0, Place::Token, 2);
}
