//! The access point as a receiver meets it, on a real socket.

use std::time::Duration;

use hmac::{Hmac, Mac};
use librespot_core::diffie_hellman::DhLocalKeys;
use librespot_protocol::{
    authentication::{APWelcome, AuthenticationType, ClientResponseEncrypted, CpuFamily, Os},
    keyexchange::{
        APLoginFailed, APResponseMessage, BuildInfo, ClientHello, ClientResponsePlaintext,
        Platform, Product,
    },
};
use protobuf::{Message, MessageField};
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha1::{Digest, Sha1};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{cipher::Half, modulus, product_packet};
use crate::{Fault, Place, Sim, SimOptions, Then, catalogue::Quality, faults::access_point_error};

const LIMIT: Duration = Duration::from_secs(20);

/// A receiver's end of a link.
struct Client {
    stream: TcpStream,
    to_server: Half,
    from_server: Half,
}

impl Client {
    async fn connect(sim: &Sim) -> Result<Self, &'static str> {
        let mut stream = TcpStream::connect(("127.0.0.1", sim.port())).await.unwrap();
        let keys = DhLocalKeys::random(&mut rand::rng());
        let mut hello = ClientHello::new();
        let mut build = BuildInfo::new();
        build.set_product(Product::PRODUCT_CLIENT);
        build.set_platform(Platform::PLATFORM_LINUX_X86_64);
        build.set_version(1);
        hello.build_info = MessageField::some(build);
        let exchange = hello
            .login_crypto_hello
            .mut_or_insert_default()
            .diffie_hellman
            .mut_or_insert_default();
        exchange.set_gc(keys.public_key());
        exchange.set_server_keys_known(1);
        hello.set_client_nonce(vec![0; 16]);
        let hello = hello.write_to_bytes().unwrap();
        let mut said = vec![0, 4];
        said.extend((hello.len() as u32 + 6).to_be_bytes());
        said.extend(hello);
        stream.write_all(&said).await.unwrap();

        let size = stream.read_u32().await.map_err(|_| "no answer")?;
        let mut answer = vec![0; size as usize - 4];
        stream
            .read_exact(&mut answer)
            .await
            .map_err(|_| "half an answer")?;
        said.extend(size.to_be_bytes());
        said.extend(&answer);
        let answer = APResponseMessage::parse_from_bytes(&answer).unwrap();
        let exchange = &answer.challenge.login_crypto_challenge.diffie_hellman;
        let pinned = BigUint::from_bytes_be(&modulus());
        let key = RsaPublicKey::new(pinned, BigUint::from(65_537_u32)).unwrap();
        key.verify(
            Pkcs1v15Sign::new::<Sha1>(),
            &Sha1::digest(exchange.gs()),
            exchange.gs_signature(),
        )
        .map_err(|_| "wrong signature")?;

        let secret = keys.shared_secret(exchange.gs());
        let data: Vec<u8> = (1..=5_u8)
            .flat_map(|round| hmac(&secret, &[&said[..], &[round]].concat()))
            .collect();
        let mut proof = ClientResponsePlaintext::new();
        proof
            .login_crypto_response
            .mut_or_insert_default()
            .diffie_hellman
            .mut_or_insert_default()
            .set_hmac(hmac(&data[..20], &said));
        proof.pow_response = MessageField::some(Default::default());
        proof.crypto_response = MessageField::some(Default::default());
        let proof = proof.write_to_bytes().unwrap();
        stream.write_u32(proof.len() as u32 + 4).await.unwrap();
        stream.write_all(&proof).await.unwrap();
        Ok(Self {
            stream,
            to_server: Half::new(&data[0x14..0x34]),
            from_server: Half::new(&data[0x34..0x54]),
        })
    }

    async fn send(&mut self, command: u8, payload: Vec<u8>) {
        self.to_server
            .write(&mut self.stream, &(command, payload))
            .await
            .unwrap();
    }

    async fn read(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let packet = self.from_server.read(&mut self.stream);
        tokio::time::timeout(LIMIT, packet).await.unwrap()
    }

    /// The next packet of this kind; others before it are skipped.
    async fn read_until(&mut self, wanted: u8) -> Vec<u8> {
        loop {
            let (command, payload) = self.read().await.unwrap();
            if command == wanted {
                return payload;
            }
        }
    }

    /// Sends a login and returns the answer to it.
    async fn log_in(&mut self, user: &str, how: AuthenticationType, data: &[u8]) -> (u8, Vec<u8>) {
        let mut login = ClientResponseEncrypted::new();
        let credentials = login.login_credentials.mut_or_insert_default();
        credentials.set_username(user.to_owned());
        credentials.set_typ(how);
        credentials.set_auth_data(data.to_vec());
        let system = login.system_info.mut_or_insert_default();
        system.set_cpu_family(CpuFamily::CPU_X86_64);
        system.set_os(Os::OS_LINUX);
        system.set_device_id("device".to_owned());
        self.send(0xab, login.write_to_bytes().unwrap()).await;
        self.read().await.unwrap()
    }
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

async fn sim() -> Sim {
    Sim::start(SimOptions::default()).await.unwrap()
}

const PASSWORD: AuthenticationType = AuthenticationType::AUTHENTICATION_USER_PASS;
const STORED: AuthenticationType = AuthenticationType::AUTHENTICATION_STORED_SPOTIFY_CREDENTIALS;
const TOKEN: AuthenticationType = AuthenticationType::AUTHENTICATION_SPOTIFY_TOKEN;

#[tokio::test]
async fn a_password_yields_a_credential_that_signs_in_later() {
    let sim = sim().await;
    let mut client = Client::connect(&sim).await.unwrap();
    let (command, welcome) = client.log_in("kim", PASSWORD, b"kim-password").await;
    assert_eq!(command, 0xac);
    let welcome = APWelcome::parse_from_bytes(&welcome).unwrap();
    assert_eq!(welcome.canonical_username(), "kim");
    assert_eq!(client.read_until(0x1b).await, b"DE");
    let product = String::from_utf8(client.read_until(0x50).await).unwrap();
    assert!(product.contains("<type>premium</type>"), "{product}");
    let ping = client.read_until(0x04).await;
    client.send(0x49, ping.clone()).await;
    assert_eq!(client.read_until(0x4a).await, ping);
    assert_eq!(sim.signed_in(), [("kim".to_owned(), "device".to_owned())]);

    let mut again = Client::connect(&sim).await.unwrap();
    let (command, _) = again
        .log_in("kim", STORED, welcome.reusable_auth_credentials())
        .await;
    assert_eq!(command, 0xac);
    let token = sim.access_token("kim");
    let mut third = Client::connect(&sim).await.unwrap();
    assert_eq!(third.log_in("", TOKEN, token.as_bytes()).await.0, 0xac);
    sim.stop().await;
}

#[tokio::test]
async fn wrong_credentials_and_scripted_refusals_carry_their_code() {
    let sim = sim().await;
    let failed = |(command, payload): (u8, Vec<u8>)| {
        assert_eq!(command, 0xad);
        APLoginFailed::parse_from_bytes(&payload)
            .unwrap()
            .error_code() as i32
    };
    let mut client = Client::connect(&sim).await.unwrap();
    let answer = client.log_in("kim", PASSWORD, b"wrong").await;
    assert_eq!(failed(answer), access_point_error::BAD_CREDENTIALS);
    let stale = sim.users().get("kim").unwrap().stored_credential();
    sim.users().revoke("kim");
    let mut client = Client::connect(&sim).await.unwrap();
    let answer = client.log_in("kim", STORED, &stale).await;
    assert_eq!(failed(answer), access_point_error::BAD_CREDENTIALS);
    let code = access_point_error::TRY_ANOTHER;
    sim.faults().add(
        Fault::on(Place::ApLogin)
            .of("alex")
            .then(Then::LoginError(code)),
    );
    let mut client = Client::connect(&sim).await.unwrap();
    assert_eq!(
        failed(client.log_in("alex", PASSWORD, b"alex-password").await),
        code
    );
    let mut client = Client::connect(&sim).await.unwrap();
    assert_eq!(
        client.log_in("alex", PASSWORD, b"alex-password").await.0,
        0xac
    );
}

#[tokio::test]
async fn audio_keys_open_files_and_are_refused_where_they_should() {
    let sim = sim().await;
    let track = sim.catalogue().albums[0].tracks[0].clone();
    let file = track.file_id(Quality::Kbps160);
    let request = |gid: [u8; 16]| [&file[..], &gid, &7_u32.to_be_bytes(), &[0, 0]].concat();
    let mut kim = Client::connect(&sim).await.unwrap();
    kim.log_in("kim", PASSWORD, b"kim-password").await;
    kim.send(0x0c, request(track.gid)).await;
    let answer = kim.read_until(0x0d).await;
    assert_eq!(answer, [&7_u32.to_be_bytes()[..], &track.key()].concat());
    kim.send(0x0c, request([1; 16])).await;
    assert_eq!(kim.read_until(0x0e).await, [0, 0, 0, 7, 0, 1]);
    let mut vera = Client::connect(&sim).await.unwrap();
    vera.log_in("vera", PASSWORD, b"vera-password").await;
    vera.send(0x0c, request(track.gid)).await;
    assert_eq!(vera.read_until(0x0e).await, [0, 0, 0, 7, 0, 1]);
}

#[tokio::test]
async fn a_changed_product_and_a_hang_up_reach_the_receiver() {
    let sim = sim().await;
    let mut client = Client::connect(&sim).await.unwrap();
    client.log_in("kim", PASSWORD, b"kim-password").await;
    client.read_until(0x50).await;
    sim.change_product("kim", "free");
    let told = client.read_until(0x50).await;
    assert_eq!(told, product_packet(&sim.users().get("kim").unwrap()).1);
    assert_eq!(sim.drop_access_points(), 1);
    while client.read().await.is_ok() {}
}

#[tokio::test]
async fn the_key_exchange_fails_as_scripted() {
    let sim = sim().await;
    let faults = [
        (Then::BadSignature, "wrong signature"),
        (Then::Drop, "no answer"),
        (Then::Truncate(100), "half an answer"),
    ];
    for (then, why) in faults {
        sim.faults().add(Fault::on(Place::ApConnect).then(then));
        assert_eq!(Client::connect(&sim).await.err(), Some(why));
    }
    assert!(Client::connect(&sim).await.is_ok());
}
