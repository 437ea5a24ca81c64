//! The dealer: the socket on which the back end speaks first. Pushes messages
//! to receivers and carries the app's commands and their replies.

use std::{
    collections::HashMap,
    future::pending,
    io::{self, Write},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use futures_util::{SinkExt, StreamExt};
use hyper::{
    Request, Response, StatusCode,
    body::Incoming,
    header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE},
    upgrade::Upgraded,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, handshake::derive_accept_key, protocol::Role},
};
use tokio_util::sync::CancellationToken;

use crate::{
    connect,
    faults::{Place, Then},
    http::{self, Answer},
    shared::{Shared, lock, random_text},
};

/// Messages that may wait for a receiver that does not read.
const OUTBOX: usize = 256;

/// What becomes of the app's commands, by their key.
type Replies = Mutex<HashMap<String, oneshot::Sender<bool>>>;

struct Open {
    user: String,
    messages: mpsc::Sender<Message>,
    replies: Arc<Replies>,
    hang_up: CancellationToken,
    mute: CancellationToken,
}

/// Which of a user's sockets a message is for, by connection id.
#[derive(Clone, Copy)]
pub(crate) enum To<'a> {
    All,
    One(&'a str),
    AllBut(&'a str),
}

/// The open dealer sockets by their connection id.
#[derive(Default)]
pub(crate) struct Dealers {
    open: Mutex<HashMap<String, Open>>,
    commands: AtomicU64,
}

impl Dealers {
    /// Whether this is the connection id of a socket of this user.
    pub fn knows(&self, connection: &str, user: &str) -> bool {
        lock(&self.open)
            .get(connection)
            .is_some_and(|open| open.user == user)
    }

    /// Closes the sockets of this user, or of all. Returns how many.
    pub fn drop_of(&self, user: Option<&str>) -> usize {
        let open = lock(&self.open);
        let ended = open
            .values()
            .filter(|link| user.is_none_or(|user| user == link.user));
        ended.map(|link| link.hang_up.cancel()).count()
    }

    /// Makes the sockets there are half-open: nothing is read or written on
    /// them any more. Returns how many.
    pub fn mute_all(&self) -> usize {
        lock(&self.open)
            .values()
            .map(|link| link.mute.cancel())
            .count()
    }

    /// How many sockets are open.
    pub fn count(&self) -> usize {
        lock(&self.open).len()
    }

    /// Pushes a message to sockets of a user.
    pub fn push(&self, user: &str, to: To<'_>, uri: &str, message: &impl protobuf::Message) {
        let Ok(body) = message.write_to_bytes() else {
            return;
        };
        let text = json!({
            "type": "message",
            "uri": uri,
            "headers": { "Content-Type": "application/octet-stream", "Transfer-Encoding": "gzip" },
            "payloads": [BASE64_STANDARD.encode(gzip(&body))],
        });
        for (id, link) in lock(&self.open).iter() {
            let meant = match to {
                To::All => true,
                To::One(wanted) => wanted == id,
                To::AllBut(skipped) => skipped != id,
            };
            if link.user == user && meant {
                // A receiver that reads nothing loses it.
                let _ = link.messages.try_send(Message::text(text.to_string()));
            }
        }
    }

    /// Sends a player command; the receiver's reply comes by the returned
    /// channel, which closes if the socket ends before.
    ///
    /// # Errors
    /// When there is no such socket or it does not take any more.
    pub fn command(
        &self,
        connection: &str,
        sender: &str,
        command: Value,
    ) -> Result<oneshot::Receiver<bool>, &'static str> {
        let number = self.commands.fetch_add(1, Ordering::Relaxed) + 1;
        let key = format!("{number}/{}", random_text());
        let body = json!({
            "message_id": number,
            "target_alias_id": null,
            "sent_by_device_id": sender,
            "command": command,
        });
        let text = json!({
            "type": "request",
            "message_ident": "hm://connect-state/v1/player/command",
            "key": key,
            "headers": { "Transfer-Encoding": "gzip" },
            "payload": { "compressed": BASE64_STANDARD.encode(gzip(body.to_string().as_bytes())) },
        });
        let open = lock(&self.open);
        let link = open
            .get(connection)
            .ok_or("the device has no dealer socket")?;
        let (answered, reply) = oneshot::channel();
        lock(&link.replies).insert(key, answered);
        link.messages
            .try_send(Message::text(text.to_string()))
            .map_err(|_| "the device does not read its dealer socket")?;
        Ok(reply)
    }
}

/// The upgrade request of a receiver. An error ends the connection unanswered.
pub(crate) async fn open(shared: &Arc<Shared>, request: Request<Incoming>) -> io::Result<Answer> {
    let token = request.uri().query().and_then(|query| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == "access_token")
            .map(|(_, token)| token.into_owned())
    });
    let holder = token.and_then(|token| shared.tokens.holder(&token));
    let (user, device) = holder.clone().unzip();
    shared
        .record
        .add(Place::Dealer, user.as_deref(), device.as_deref(), "open");
    tokio::time::sleep(shared.options.delay).await;
    let mut talk = Talk::Sense;
    match shared.faults.take(Place::Dealer, user.as_deref()) {
        None => {}
        Some(Then::Drop) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Then::Stall) => pending().await,
        Some(Then::Delay(time)) => tokio::time::sleep(time).await,
        Some(Then::Truncate(_)) => talk = Talk::Nothing,
        Some(Then::Garbage) => talk = Talk::Nonsense,
        Some(Then::Status(code, _)) => {
            return Ok(http::status(
                StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY),
            ));
        }
        Some(Then::Refuse | Then::BadSignature | Then::LoginError(_) | Then::Body(_)) => {
            return Ok(http::status(StatusCode::FORBIDDEN));
        }
    }
    let Some((user, device)) = holder else {
        return Ok(http::status(StatusCode::UNAUTHORIZED));
    };
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY).cloned() else {
        return Ok(http::status(StatusCode::BAD_REQUEST));
    };
    let upgrading = hyper::upgrade::on(request);
    let serving = shared.clone();
    shared.serve(async move {
        if let Ok(stream) = upgrading.await {
            socket(&serving, stream, &user, &device, talk).await;
        }
    });
    let mut answer: Answer = Response::new(http::status(StatusCode::OK).into_body());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(
        UPGRADE,
        hyper::header::HeaderValue::from_static("websocket"),
    );
    headers.insert(
        CONNECTION,
        hyper::header::HeaderValue::from_static("Upgrade"),
    );
    let accept = derive_accept_key(key.as_bytes());
    headers.insert(
        SEC_WEBSOCKET_ACCEPT,
        accept.parse().map_err(io::Error::other)?,
    );
    Ok(answer)
}

/// How a socket behaves once it is open.
#[derive(PartialEq, Eq)]
enum Talk {
    Sense,
    Nonsense,
    /// Closed at once.
    Nothing,
}

async fn socket(shared: &Arc<Shared>, stream: Upgraded, user: &str, device: &str, talk: Talk) {
    if talk == Talk::Nothing {
        return;
    }
    let stream = TokioIo::new(stream);
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    if talk == Talk::Nonsense {
        let _ = socket.send(Message::text("{\"type\":\"nonsense\"")).await;
        return;
    }
    // Like the real ones: base64, so that the id needs escaping in an address.
    let connection = format!("{}==", BASE64_STANDARD.encode(random_text()));
    let (sender, mut messages) = mpsc::channel(OUTBOX);
    let (hang_up, mute) = (CancellationToken::new(), CancellationToken::new());
    let replies = Arc::new(Replies::default());
    let open = Open {
        user: user.to_owned(),
        messages: sender,
        replies: replies.clone(),
        hang_up: hang_up.clone(),
        mute: mute.clone(),
    };
    lock(&shared.dealers.open).insert(connection.clone(), open);
    let leave = Leave {
        shared,
        user,
        device,
        connection: &connection,
    };
    if socket
        .send(Message::text(hello(&connection)))
        .await
        .is_err()
    {
        return;
    }
    loop {
        tokio::select! {
            () = hang_up.cancelled() => break,
            () = mute.cancelled() => {
                hang_up.cancelled().await;
                break;
            }
            Some(message) = messages.recv() => {
                if socket.send(message).await.is_err() {
                    break;
                }
            }
            heard = socket.next() => match heard {
                Some(Ok(Message::Text(text))) => {
                    if let Some(answer) = hear(&replies, &text)
                        && socket.send(Message::text(answer)).await.is_err()
                    {
                        break;
                    }
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                // A ping is answered by the library.
                Some(Ok(_)) => {}
            },
        }
    }
    drop(leave);
}

/// Takes a socket off the books, however its task ends.
struct Leave<'a> {
    shared: &'a Arc<Shared>,
    user: &'a str,
    device: &'a str,
    connection: &'a str,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        lock(&self.shared.dealers.open).remove(self.connection);
        let (user, device) = (Some(self.user), Some(self.device));
        self.shared
            .record
            .add(Place::Dealer, user, device, "closed");
        connect::lost(self.shared, self.user, self.connection);
    }
}

fn hello(connection: &str) -> String {
    let escaped: String = form_urlencoded::byte_serialize(connection.as_bytes()).collect();
    json!({
        "type": "message",
        "method": "PUT",
        "uri": format!("hm://pusher/v1/connections/{escaped}"),
        "headers": { "Content-Type": "application/json", "Spotify-Connection-Id": connection },
    })
    .to_string()
}

/// What a receiver says: replies, and pings in JSON.
fn hear(replies: &Replies, text: &str) -> Option<String> {
    let said: Value = serde_json::from_str(text).ok()?;
    match said["type"].as_str()? {
        "ping" => Some(json!({ "type": "pong" }).to_string()),
        "reply" => {
            let answered = lock(replies).remove(said["key"].as_str()?)?;
            let _ = answered.send(said["payload"]["success"].as_bool().unwrap_or(false));
            None
        }
        _ => None,
    }
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(plain).and_then(|()| encoder.finish());
    written.expect("memory takes what is written to it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reply_finds_the_command_it_belongs_to() {
        let replies = Replies::default();
        let (answered, reply) = oneshot::channel();
        lock(&replies).insert("7/x".to_owned(), answered);
        let other = r#"{"type":"reply","key":"8/x","payload":{"success":false}}"#;
        assert_eq!(hear(&replies, other), None);
        let ours = r#"{"type":"reply","key":"7/x","payload":{"success":true}}"#;
        assert_eq!(hear(&replies, ours), None);
        assert!(reply.await.unwrap());
    }

    #[test]
    fn the_first_message_names_the_connection_as_is_and_escaped() {
        let said: Value = serde_json::from_str(&hello("a+b/c==")).unwrap();
        assert_eq!(said["headers"]["Spotify-Connection-Id"], "a+b/c==");
        assert_eq!(said["uri"], "hm://pusher/v1/connections/a%2Bb%2Fc%3D%3D");
    }
}
