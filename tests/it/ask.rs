//! How tests ask a running daemon: with its own command line, or over the socket, byte for byte.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    process::Command,
};

use crate::world::{PATIENCE, World, binary};

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

/// Runs the binary with the configuration of this world's daemon.
pub async fn siskin(world: &World, arguments: &[&str]) -> Said {
    let done = Command::new(binary())
        .args(arguments)
        .arg("--config")
        .arg(world.dir().join("config.toml"))
        .env_clear()
        .env("HOME", world.dir())
        .output()
        .await
        .expect("siskin runs");
    Said {
        code: done.status.code(),
        out: String::from_utf8_lossy(&done.stdout).into_owned(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

/// Runs `siskin status` until it says `words`, and returns all it says then.
pub async fn status_says(world: &World, words: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let said = siskin(world, &["status"]).await;
        if said.out.contains(words) {
            assert_eq!(said.code, Some(0));
            return said.out;
        }
        assert!(Instant::now() < until, "never said “{words}”: {said:?}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// Whether nothing that opens these accounts stands in `text`.
pub fn has_no_secret(world: &World, text: &str) {
    for user in ["kim", "alex"] {
        let user = world.sim.users().get(user).expect("a user");
        let credential = user.stored_credential();
        let own = &credential[user.name.len() + 1..];
        let secrets = [
            user.password.clone(),
            STANDARD.encode(&credential),
            STANDARD.encode(own),
            own.iter().map(|byte| format!("{byte:02x}")).collect(),
        ];
        for secret in secrets {
            assert!(!text.contains(&secret), "{text}");
        }
        assert!(!text.contains("secret"), "{text}");
    }
}

/// Where the daemon of a world is asked, unless it was told otherwise.
pub fn socket(world: &World) -> PathBuf {
    world.dir().join("state/siskin.sock")
}

/// An answer of the daemon.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub json: Value,
}

impl Answer {
    /// The code of a no.
    pub fn code(&self) -> &str {
        let error = &self.json["error"];
        assert!(
            error["message"].is_string() && error["help"].is_string(),
            "{self:?}"
        );
        error["code"].as_str().expect("a code")
    }
}

/// Asks in an orderly manner.
pub async fn ask(world: &World, method: &str, route: &str, body: Option<Value>) -> Answer {
    ask_at(&socket(world), method, route, body).await
}

/// The same of the daemon behind this socket.
pub async fn ask_at(socket: &Path, method: &str, route: &str, body: Option<Value>) -> Answer {
    let body = body.map(|body| body.to_string()).unwrap_or_default();
    let request = format!(
        "{method} {route} HTTP/1.1\r\nHost: siskin\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    send(socket, request.as_bytes())
        .await
        .unwrap_or_else(|| panic!("no answer to {request}"))
}

/// Sends these bytes and reads until the other side ends. `None`: it said nothing, or not in HTTP.
pub async fn send(socket: &Path, bytes: &[u8]) -> Option<Answer> {
    let mut stream = UnixStream::connect(socket).await.expect("somebody listens");
    // Whoever answers before it has read everything closes on the rest.
    let _ = stream.write_all(bytes).await;
    read(stream).await
}

/// Reads an answer to its end.
pub async fn read(mut stream: UnixStream) -> Option<Answer> {
    let mut answer = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(ended.is_ok(), "the connection is still open");
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some(Answer {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head: head.to_lowercase(),
        json: serde_json::from_str(body).unwrap_or(Value::Null),
    })
}
