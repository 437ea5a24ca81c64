use aes::cipher::{KeyIvInit, StreamCipher};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, Mac};
use librespot_core::authentication::Credentials;
use librespot_core::diffie_hellman::DhLocalKeys;
use protobuf::Enum;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const LIMIT: Duration = Duration::from_secs(10);

fn hmac_sha1(key: &[u8], data: &[u8]) -> Vec<u8> {
    <Hmac<Sha1> as Mac>::new_from_slice(key)
        .unwrap()
        .chain_update(data)
        .finalize()
        .into_bytes()
        .to_vec()
}

/// Opens the outer layer as a receiver does.
fn open(keys: &DhLocalKeys, parcel: &Parcel) -> Result<Vec<u8>, &'static str> {
    let shared = keys.shared_secret(&BASE64.decode(&parcel.client_key).unwrap());
    let base = &Sha1::digest(shared)[..16];
    let blob = BASE64.decode(&parcel.blob).unwrap();
    let (iv, rest) = blob.split_at(16);
    let (sealed, mac) = rest.split_at(rest.len() - 20);
    if hmac_sha1(&hmac_sha1(base, b"checksum"), sealed) != mac {
        return Err("wrong MAC");
    }
    let mut inner = sealed.to_vec();
    let key = &hmac_sha1(base, b"encryption")[..16];
    ctr::Ctr128BE::<aes::Aes128>::new_from_slices(key, iv)
        .unwrap()
        .apply_keystream(&mut inner);
    Ok(inner)
}

#[test]
fn a_sealed_login_opens_with_librespots_own_code() {
    for (user, login) in [
        ("kim", Login::stored(b"a stored credential")),
        (
            "someone-with-a-very-long-name-that-fills-blocks",
            Login::password("x"),
        ),
        (
            "kim",
            Login {
                auth_type: 3,
                auth_data: vec![0xa5; 300],
            },
        ),
        ("ünïcödé", Login::stored(&[0; 127])),
        ("b", Login::stored(&[7; 128])),
    ] {
        let keys = DhLocalKeys::random(&mut rand::rng());
        let parcel = seal(&keys.public_key(), "device-id", user, &login);
        let inner = open(&keys, &parcel).unwrap();
        let got = Credentials::with_blob(user, inner, "device-id").unwrap();
        assert_eq!(got.username.as_deref(), Some(user));
        assert_eq!(got.auth_data, login.auth_data);
        assert_eq!(got.auth_type.value() as u32, login.auth_type);
    }
}

#[test]
fn a_tampered_parcel_fails_the_check() {
    let keys = DhLocalKeys::random(&mut rand::rng());
    let parcel = seal(&keys.public_key(), "id", "kim", &Login::password("secret"));
    assert!(open(&keys, &parcel).is_ok());
    assert_eq!(open(&keys, &parcel.tampered()), Err("wrong MAC"));
}

#[test]
fn a_login_never_shows_its_secret() {
    assert!(!format!("{:?}", Login::password("hunter2")).contains("hunter2"));
}

/// Answers each connection with the next of these and hands back what was asked.
async fn receiver(answers: Vec<&'static [u8]>) -> (Found, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let found = Found::at(listener.local_addr().unwrap(), "/zc");
    let served = tokio::spawn(async move {
        let mut asked = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let n = stream.read(&mut request).await.unwrap();
            asked.push(String::from_utf8_lossy(&request[..n]).into_owned());
            stream.write_all(answer).await.unwrap();
        }
        asked
    });
    (found, served)
}

#[tokio::test]
async fn the_answer_is_read_whatever_its_framing() {
    let (found, served) = receiver(vec![
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"status\":101}trailing",
        b"HTTP/1.1 400 Bad Request\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"sta\r\n9\r\ntus\":303}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{\"status\":101}",
    ])
    .await;
    let phone = Phone::new("Kim's phone").with_patience(LIMIT);
    let first = phone.get(&found, "action=getInfo").await.unwrap();
    assert_eq!((first.http_status, first.status()), (200, Some(101)));
    assert_eq!(first.reply.header("content-type"), Some("application/json"));
    let second = phone.reset_users(&found).await.unwrap();
    assert_eq!((second.http_status, second.status()), (400, Some(303)));
    assert_eq!(phone.get(&found, "").await.unwrap().status(), Some(101));
    let asked = served.await.unwrap();
    assert!(
        asked[0].starts_with("GET /zc?action=getInfo HTTP/1.1\r\nHost: 127.0.0.1:"),
        "{}",
        asked[0]
    );
    assert!(asked[1].starts_with("POST /zc HTTP/1.1"), "{}", asked[1]);
    assert!(asked[1].ends_with("action=resetUsers"), "{}", asked[1]);
}

#[tokio::test]
async fn a_closed_or_silent_receiver_is_told_apart() {
    let (found, served) = receiver(vec![b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"]).await;
    let phone = Phone::new("phone").with_patience(LIMIT);
    let cut = phone.get(&found, "action=getInfo").await.unwrap_err();
    assert!(matches!(cut, PhoneError::NotHttp(_)), "{cut}");
    served.await.unwrap();

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let found = Found::at(silent.local_addr().unwrap(), "");
    let hasty = Phone::new("phone").with_patience(Duration::from_millis(50));
    let slow = hasty.get(&found, "action=getInfo").await.unwrap_err();
    assert!(
        matches!(
            slow,
            PhoneError::Slow {
                step: "the answer",
                ..
            }
        ),
        "{slow}"
    );
}

#[tokio::test]
async fn faults_of_a_poor_get_info_are_named() {
    let (found, _served) = receiver(vec![
        b"HTTP/1.1 200 OK\r\n\r\n{\"status\":\"101\",\"deviceID\":\"id\",\"publicKey\":\"AAAA\",\"remoteName\":\"\"}",
    ])
    .await;
    let info = Phone::new("phone").get_info(&found).await.unwrap();
    let faults = info.faults().join("\n");
    for named in [
        "Content-Type",
        "status is",
        "responseSource",
        "remoteName is empty",
        "publicKey has 3",
    ] {
        assert!(faults.contains(named), "{named} missing in:\n{faults}");
    }
}

#[tokio::test]
async fn a_hang_up_is_noticed_while_dripping() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hostile = Hostile::new(listener.local_addr().unwrap(), LIMIT);
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut one = [0; 1];
        stream.read_exact(&mut one).await.unwrap();
        stream
            .write_all(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
            .await
            .unwrap();
    });
    let taken = hostile
        .drip(&[b'x'; 1_000_000], 1, Duration::from_millis(5))
        .await
        .unwrap();
    serving.await.unwrap();
    assert!(taken.closed && taken.sent < 1_000_000, "{taken:?}");
    assert_eq!(taken.reply().map(|r| r.status), Some(408));
}

#[test]
fn the_path_always_begins_with_a_slash() {
    let at = |path| Found::at("127.0.0.1:1".parse().unwrap(), path).cpath();
    assert_eq!(
        (at("/"), at(""), at("zc")),
        ("/".into(), "/".into(), "/zc".into())
    );
}

#[tokio::test]
async fn a_flood_stops_when_the_receiver_has_enough() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hostile = Hostile::new(listener.local_addr().unwrap(), LIMIT);
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut some = vec![0; 10_000];
        stream.read_exact(&mut some).await.unwrap();
    });
    let taken = hostile
        .flood(b"POST / HTTP/1.1\r\n\r\n", 200_000_000)
        .await
        .unwrap();
    serving.await.unwrap();
    assert!(
        taken.closed && taken.sent < 200_000_000,
        "closed {} after {}",
        taken.closed,
        taken.sent
    );
}

#[tokio::test]
async fn a_crowd_holds_its_connections_until_it_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let crowd = Hostile::new(listener.local_addr().unwrap(), LIMIT)
        .crowd(20)
        .await;
    assert_eq!(crowd.len(), 20);
    let (mut first, _) = listener.accept().await.unwrap();
    drop(crowd);
    assert_eq!(first.read(&mut [0; 1]).await.unwrap(), 0);
}

#[test]
fn an_address_is_one_that_can_be_called() {
    let mut found = Found::at("127.0.0.1:80".parse().unwrap(), "/");
    found.addresses = vec!["fe80::1".parse().unwrap()];
    assert!(matches!(found.address(), Err(PhoneError::NoAddress(_))));
    found.addresses.push("10.0.0.7".parse().unwrap());
    assert_eq!(found.address().unwrap().to_string(), "10.0.0.7:80");
}
