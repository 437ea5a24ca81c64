//! The door over TCP behind a certificate: who speaks HTTPS is served, nobody else is, and what is
//! wrong with the files is told without a word less of music.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use nix::sys::signal::Signal;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    ask::{siskin, status_says},
    http::{answers, get, token},
    lan::{NULL, count, plays},
    mqtt::{certificates, certificates_until, certificates_until_day},
    world::{Daemon, PATIENCE, World, scenario},
};

/// Where the files of a world's certificate are, and who vouches for it.
struct Files {
    root: String,
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    /// A certificate of an authority that nobody has seen before.
    fn new(world: &World) -> Self {
        let mut files = Self {
            root: String::new(),
            certificate: world.dir().join("cert.pem"),
            key: world.dir().join("key.pem"),
        };
        files.renew();
        files
    }

    fn renew(&mut self) {
        self.put(certificates());
    }

    fn put(&mut self, [root, certificate, key]: [String; 3]) {
        fs::write(&self.certificate, certificate).expect("written");
        fs::write(&self.key, key).expect("written");
        self.root = root;
    }

    fn settings(&self, port: u16) -> String {
        format!(
            "[http]\nlisten = \"127.0.0.1:{port}\"\ncertificate = \"{}\"\nkey = \"{}\"\n{NULL}",
            self.certificate.display(),
            self.key.display()
        )
    }

    /// A handshake with whoever shows a certificate of this authority for `localhost`.
    async fn connect(&self, port: u16) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.root.as_bytes()).expect("a certificate");
        roots.add(root).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let name = ServerName::try_from("localhost").expect("a name");
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(name, stream).await
    }

    /// Asks over HTTPS; the status, and the body as JSON.
    async fn ask(&self, port: u16, request: &str) -> (u16, Value) {
        let mut stream = self.connect(port).await.expect("a handshake");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        let read = timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        read.expect("in time").expect("an answer, and its end");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
        let json = serde_json::from_str(body).unwrap_or(Value::Null);
        (status.expect("a status"), json)
    }

    async fn is_healthy(&self, port: u16) {
        let request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
        assert_eq!(self.ask(port, request).await.0, 200);
    }
}

async fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    free.local_addr().expect("its number").port()
}

async fn start(world: &World, files: &Files) -> (Daemon, u16) {
    let port = free_port().await;
    let daemon = world.start(&world.settings(&files.settings(port)));
    status_says(world, "Kitchen").await;
    (daemon, port)
}

#[test]
fn behind_a_certificate_https_is_spoken_and_nothing_else() {
    scenario(async |world| {
        let files = Files::new(&world);
        let (_daemon, port) = start(&world, &files).await;
        answers(port).await;
        files.is_healthy(port).await;
        let token = token(&world).await;
        let pause = |more: &str| {
            format!(
                "POST /api/v1/speakers/main/pause HTTP/1.1\r\nHost: localhost\r\n\
                 Connection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\
                 Authorization: Bearer {token}\r\n{more}\r\n{{}}"
            )
        };
        plays(&world, "kim", "Staircase").await;
        assert_eq!(
            files
                .ask(port, &pause("Origin: http://localhost\r\n"))
                .await
                .0,
            403
        );
        let obeyed = files
            .ask(port, &pause("Origin: https://localhost\r\n"))
            .await;
        assert_eq!(obeyed, (200, serde_json::json!({"done": true})));
        let link = siskin(&world, &["token", "--link"]).await.out;
        let page = format!("https://127.0.0.1:{port}/#token=");
        assert!(link.starts_with(&page), "{link}");

        // Who forgot the s is told so, and no more.
        let known = format!("Host: localhost\r\nAuthorization: Bearer {token}\r\n");
        let (status, told) = get(port, "/api/v1/status", &known).await;
        assert_eq!(
            (status, &told["error"]["code"]),
            (400, &"not_encrypted".into())
        );
        assert!(told["speakers"].is_null(), "{told}");
        // Whom nobody vouches for is no good to a careful client.
        let [other, ..] = certificates();
        let strangers = Files {
            root: other,
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        };
        assert!(strangers.connect(port).await.is_err());
        files.is_healthy(port).await;
    });
}

#[test]
fn who_connects_and_says_nothing_keeps_nobody_out_and_is_let_go() {
    scenario(async |world| {
        let files = Files::new(&world);
        let (_daemon, port) = start(&world, &files).await;
        answers(port).await;
        let mut silent = Vec::new();
        for _ in 0..128 {
            let stream = TcpStream::connect(("127.0.0.1", port)).await;
            silent.push(stream.expect("open"));
        }
        let begun = Instant::now();
        timeout(PATIENCE, files.is_healthy(port))
            .await
            .expect("a turn");
        let took = begun.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        for mut stream in silent {
            let ended = timeout(PATIENCE, stream.read(&mut [0; 8])).await;
            assert!(!matches!(ended, Ok(Ok(1..)) | Err(_)), "{ended:?}");
        }
    });
}

#[test]
fn a_renewed_certificate_is_shown_after_a_reload_and_a_broken_one_is_told() {
    scenario(async |world| {
        let mut files = Files::new(&world);
        let (mut daemon, port) = start(&world, &files).await;
        answers(port).await;
        let token = token(&world).await;
        let mut lasting = files.connect(port).await.expect("a handshake");
        let events = format!(
            "GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        lasting.write_all(events.as_bytes()).await.expect("sent");
        assert!(lasting.read(&mut [0; 4096]).await.expect("events") > 0);

        files.renew();
        daemon.signal(Signal::SIGHUP);
        let end = Instant::now() + PATIENCE;
        while files.connect(port).await.is_err() {
            assert!(Instant::now() < end, "the new one is never shown");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }

        // A new certificate with the old key: half of a renewal.
        let (old, [_, other, _]) = (fs::read(&files.certificate), certificates());
        fs::write(&files.certificate, other).expect("written");
        daemon.signal(Signal::SIGHUP);
        let told = daemon.says("no_http").await;
        assert!(told.contains("still shows the old certificate"), "{told}");
        assert!(told.contains("key.pem: it is not the key of"), "{told}");
        files.is_healthy(port).await;
        assert!(daemon.is_running());
        // Once it is whole, nobody has to say so again.
        fs::write(&files.certificate, old.expect("there")).expect("written");
        daemon.says("over: no http").await;
        files.is_healthy(port).await;

        // Who was connected all that time was not disturbed.
        plays(&world, "kim", "Staircase").await;
        let read = timeout(PATIENCE, lasting.read(&mut [0; 65_536])).await;
        assert!(read.expect("in time").expect("events") > 0);
    });
}

#[test]
fn files_that_cannot_be_used_are_told_and_nothing_is_spoken_in_plain_instead() {
    scenario(async |world| {
        let mut files = Files::new(&world);
        fs::remove_file(&files.certificate).expect("there");
        let (daemon, port) = start(&world, &files).await;
        let told = daemon.says("no_http").await;
        assert!(told.contains("cert.pem: No such file"), "{told}");
        assert!(told.contains("http.certificate"), "{told}");
        plays(&world, "kim", "Staircase").await;
        let open = TcpStream::connect(("127.0.0.1", port)).await;
        assert!(open.is_err(), "nobody is to listen there");
        files.renew();
        daemon.signal(Signal::SIGHUP);
        daemon.says("over: no http").await;
        files.is_healthy(port).await;
        assert_eq!(count(&daemon, "no certificate to show"), 1, "told once");
        let key = fs::read_to_string(&files.key).expect("there");
        let line = key.lines().nth(1).expect("a line of the key");
        assert!(daemon.log().iter().all(|said| !said.contains(line)));
    });
}

#[test]
fn a_certificate_that_ends_soon_is_told_in_time_and_until_it_is_renewed() {
    scenario(async |world| {
        let mut files = Files::new(&world);
        let soon = std::process::Command::new("date")
            .args(["-u", "-d", "+10 days", "+%Y-%m-%d"])
            .output()
            .expect("a date");
        let soon = String::from_utf8(soon.stdout).expect("text");
        let part = |at: usize| soon.trim().split('-').nth(at).expect("a part").parse();
        let day = [0, 1, 2].map(|at| part(at).expect("a number"));
        files.put(certificates_until_day(day[0], day[1] as u8, day[2] as u8));
        let (daemon, port) = start(&world, &files).await;
        let told = daemon.says("certificate_expires").await;
        assert!(told.contains("expires on 20"), "{told}");
        assert_eq!(count(&daemon, "no_http"), 0, "it is good for now");
        files.is_healthy(port).await;
        status_says(&world, "renew the certificate in http.certificate").await;
        files.renew();
        daemon.signal(Signal::SIGHUP);
        daemon.says("over: certificate expires").await;
        files.is_healthy(port).await;
        assert_eq!(count(&daemon, "expires on 20"), 1, "told once");
        // From good to bad without a word between.
        files.put(certificates_until(2021));
        daemon.signal(Signal::SIGHUP);
        daemon.says("not valid today").await;
        files.put(certificates_until_day(day[0], day[1] as u8, day[2] as u8));
        daemon.signal(Signal::SIGHUP);
        daemon.says("over: no http").await;
    });
}

#[test]
fn a_certificate_that_is_out_of_time_is_told_at_the_start_and_until_it_is_renewed() {
    scenario(async |world| {
        let mut files = Files::new(&world);
        files.put(certificates_until(2020));
        let (daemon, port) = start(&world, &files).await;
        let told = daemon.says("no_http").await;
        assert!(told.contains("not valid today"), "{told}");
        assert!(
            told.contains("cert.pem: it was valid until 2020-01-01"),
            "{told}"
        );
        status_says(&world, "renew the certificate").await;
        let refused = files.connect(port).await.expect_err("nobody trusts it");
        assert!(refused.to_string().contains("expired"), "{refused}");
        files.renew();
        daemon.signal(Signal::SIGHUP);
        daemon.says("over: no http").await;
        files.is_healthy(port).await;
        assert_eq!(count(&daemon, "not valid today"), 1, "told once");
        // The other way round: a reload that brings an old one.
        files.put(certificates_until(2021));
        daemon.signal(Signal::SIGHUP);
        let again = async {
            while count(&daemon, "it was valid until 2021-01-01") == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, again).await.expect("told again");
    });
}
