//! A link after the key exchange: login, then packets until one side hangs up.

use std::{future::pending, io, sync::Arc, time::Duration};

use librespot_protocol::{
    authentication::{APWelcome, AccountType, AuthenticationType, ClientResponseEncrypted},
    keyexchange::{APLoginFailed, ErrorCode},
    mercury,
};
use protobuf::{EnumOrUnknown, Message};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, tcp::OwnedReadHalf},
    sync::mpsc,
};

use super::{Packet, cipher::Half, hello::Ciphers, product_packet};
use crate::{
    faults::{Place, Then},
    shared::{Shared, now_ms},
    users::User,
};

const PING: u8 = 0x04;
const REQUEST_KEY: u8 = 0x0c;
const AES_KEY: u8 = 0x0d;
const AES_KEY_ERROR: u8 = 0x0e;
const COUNTRY: u8 = 0x1b;
const PONG: u8 = 0x49;
const PONG_ACK: u8 = 0x4a;
pub(super) const PRODUCT_INFO: u8 = 0x50;
const LOGIN: u8 = 0xab;
const WELCOME: u8 = 0xac;
const LOGIN_FAILED: u8 = 0xad;
const MERCURY_REQUEST: u8 = 0xb2;
pub(super) const MERCURY_EVENT: u8 = 0xb5;

/// Packets read ahead of the one being answered.
const INBOX: usize = 64;

pub(super) async fn serve(
    shared: &Arc<Shared>,
    mut stream: TcpStream,
    ciphers: Ciphers,
) -> io::Result<()> {
    let Ciphers {
        mut from_client,
        mut to_client,
    } = ciphers;
    let (command, payload) = from_client.read(&mut stream).await?;
    if command != LOGIN {
        return Err(io::Error::other(format!(
            "packet {command:#04x} instead of a login"
        )));
    }
    let login = ClientResponseEncrypted::parse_from_bytes(&payload)?;
    let device = login.system_info.device_id().to_owned();
    let user = match sign_in(shared, &login).await {
        Ok(user) => user,
        Err(Refusal::Code(code)) => {
            let mut failed = APLoginFailed::new();
            failed.error_code = Some(EnumOrUnknown::from_i32(code));
            return to_client
                .write(&mut stream, &(LOGIN_FAILED, failed.write_to_bytes()?))
                .await;
        }
        Err(Refusal::HangUp) => return Ok(()),
        Err(Refusal::Garbage) => return stream.write_all(&[0x5a; 64]).await,
    };
    to_client
        .write(&mut stream, &(WELCOME, welcome(&user).write_to_bytes()?))
        .await?;
    let mut open = shared.links.register(&user.name, &device);
    to_client
        .write(&mut stream, &(COUNTRY, user.country.clone().into_bytes()))
        .await?;
    to_client.write(&mut stream, &product_packet(&user)).await?;

    let (reader, mut writer) = stream.into_split();
    let (inbox, mut arriving) = mpsc::channel(INBOX);
    let mut link = Link {
        shared,
        user,
        device,
        ping_at: Some(tokio::time::Instant::now()),
    };
    // Reading a packet cannot be cancelled half way, so it has a future of its own.
    let reading = read_all(reader, from_client, inbox);
    tokio::pin!(reading);
    let ended = loop {
        let due = link.ping_at;
        let ping = async {
            match due {
                Some(at) => {
                    tokio::time::sleep_until(at).await;
                    tokio::time::sleep(into_the_second()).await;
                }
                None => pending().await,
            }
        };
        let answer = tokio::select! {
            () = open.hang_up.cancelled() => break Ok(()),
            () = open.mute.cancelled() => {
                open.hang_up.cancelled().await;
                break Ok(());
            }
            end = &mut reading => break end,
            Some(packet) = open.packets.recv() => Some(packet),
            Some((command, payload)) = arriving.recv() => link.answer(command, &payload).await,
            () = ping => {
                link.ping_at = None;
                let seconds = u32::try_from(now_ms() / 1000).unwrap_or_default();
                Some((PING, seconds.to_be_bytes().to_vec()))
            }
        };
        if let Some(packet) = answer {
            to_client.write(&mut writer, &packet).await?;
        }
    };
    let (user, device) = (link.user.name, link.device);
    shared
        .record
        .add(Place::ApLink, Some(&user), Some(&device), "link ended");
    ended
}

/// Receivers set their clock, in whole seconds, by the ping. One that is sent at the end of a second
/// and read in the next puts all their positions a second off; this one has time to arrive.
fn into_the_second() -> Duration {
    match now_ms().rem_euclid(1000) {
        early @ 0..100 => Duration::from_millis(100 - early as u64),
        late @ 700.. => Duration::from_millis(1_100 - late as u64),
        _ => Duration::ZERO,
    }
}

async fn read_all(
    mut reader: OwnedReadHalf,
    mut cipher: Half,
    inbox: mpsc::Sender<Packet>,
) -> io::Result<()> {
    loop {
        let packet = cipher.read(&mut reader).await?;
        if inbox.send(packet).await.is_err() {
            return Ok(());
        }
    }
}

enum Refusal {
    Code(i32),
    HangUp,
    Garbage,
}

async fn sign_in(shared: &Shared, login: &ClientResponseEncrypted) -> Result<User, Refusal> {
    let credentials = &login.login_credentials;
    let name = credentials.username().to_owned();
    let data = credentials.auth_data();
    let device = login.system_info.device_id();
    let user = match credentials.typ() {
        AuthenticationType::AUTHENTICATION_USER_PASS => shared
            .users
            .get(&name)
            .filter(|user| user.password.as_bytes() == data),
        AuthenticationType::AUTHENTICATION_STORED_SPOTIFY_CREDENTIALS => shared
            .users
            .by_credential(data)
            .filter(|user| user.name == name),
        AuthenticationType::AUTHENTICATION_SPOTIFY_TOKEN => std::str::from_utf8(data)
            .ok()
            .and_then(|token| shared.tokens.holder(token))
            .and_then(|(holder, _)| shared.users.get(&holder)),
        _ => None,
    };
    let known = user
        .as_ref()
        .map_or(name.as_str(), |user| user.name.as_str());
    let verdict = if user.is_some() {
        "accepted"
    } else {
        "wrong credentials"
    };
    let text = format!("login with {:?}: {verdict}", credentials.typ());
    shared
        .record
        .add(Place::ApLogin, Some(known), Some(device), text);
    match shared.faults.take(Place::ApLogin, Some(known)) {
        None => {}
        Some(Then::Delay(time)) => tokio::time::sleep(time).await,
        Some(Then::Stall) => pending().await,
        Some(Then::Drop | Then::Truncate(_)) => return Err(Refusal::HangUp),
        Some(Then::Garbage) => return Err(Refusal::Garbage),
        Some(Then::LoginError(code)) => return Err(Refusal::Code(code)),
        Some(Then::Refuse | Then::Status(..) | Then::BadSignature | Then::Body(_)) => {
            return Err(Refusal::Code(ErrorCode::BadCredentials as i32));
        }
    }
    user.ok_or(Refusal::Code(ErrorCode::BadCredentials as i32))
}

fn welcome(user: &User) -> APWelcome {
    let mut welcome = APWelcome::new();
    welcome.set_canonical_username(user.name.clone());
    welcome.set_account_type_logged_in(AccountType::Spotify);
    welcome.set_credentials_type_logged_in(AccountType::Spotify);
    welcome.set_reusable_auth_credentials_type(
        AuthenticationType::AUTHENTICATION_STORED_SPOTIFY_CREDENTIALS,
    );
    welcome.set_reusable_auth_credentials(user.stored_credential());
    welcome
}

struct Link<'a> {
    shared: &'a Arc<Shared>,
    user: User,
    device: String,
    /// When the next ping goes out; `None` while the answer to one is due.
    ping_at: Option<tokio::time::Instant>,
}

impl Link<'_> {
    async fn answer(&mut self, command: u8, payload: &[u8]) -> Option<Packet> {
        match command {
            PONG => {
                self.note(Place::ApLink, "pong");
                self.ping_at = Some(tokio::time::Instant::now() + self.shared.options.ping_pause);
                Some((PONG_ACK, payload.to_vec()))
            }
            REQUEST_KEY => self.audio_key(payload).await,
            MERCURY_REQUEST..=MERCURY_EVENT => self.mercury(command, payload),
            _ => {
                self.note(Place::ApLink, &format!("packet {command:#04x}, ignored"));
                None
            }
        }
    }

    async fn audio_key(&self, payload: &[u8]) -> Option<Packet> {
        let file: [u8; 20] = payload.get(..20)?.try_into().ok()?;
        let track = payload.get(20..36)?;
        let sequence = payload.get(36..40)?.to_vec();
        self.note(
            Place::AudioKey,
            &format!("key of file {}", hex::encode(file)),
        );
        let refused = [sequence.as_slice(), &[0, 1]].concat();
        let user = self.shared.users.get(&self.user.name);
        let key = self
            .shared
            .catalogue
            .file(file)
            .filter(|(found, _)| found.gid == track)
            .filter(|_| user.is_some_and(|user| user.audio_keys))
            .map(|(found, _)| found.key());
        let answer = match key {
            Some(key) => (AES_KEY, [sequence.as_slice(), &key].concat()),
            None => (AES_KEY_ERROR, refused.clone()),
        };
        match self
            .shared
            .faults
            .take(Place::AudioKey, Some(&self.user.name))
        {
            None => Some(answer),
            Some(Then::Delay(time)) => {
                tokio::time::sleep(time).await;
                Some(answer)
            }
            Some(Then::Stall | Then::Truncate(_)) => None,
            Some(Then::Drop) => {
                self.shared.links.drop_of(Some(&self.user.name));
                None
            }
            Some(Then::Garbage) => Some((AES_KEY, [sequence.as_slice(), &[0x5a; 16]].concat())),
            Some(_) => Some((AES_KEY_ERROR, refused)),
        }
    }

    /// Nothing lives behind the old message bus any more.
    fn mercury(&self, command: u8, payload: &[u8]) -> Option<Packet> {
        let length = usize::from(u16::from_be_bytes(payload.get(..2)?.try_into().ok()?));
        let sequence = payload.get(..2 + length)?;
        self.note(Place::ApLink, "mercury request, not found");
        let mut header = mercury::Header::new();
        header.set_status_code(404);
        let header = header.write_to_bytes().ok()?;
        let mut answer = sequence.to_vec();
        answer.push(1);
        answer.extend(1_u16.to_be_bytes());
        answer.extend(u16::try_from(header.len()).ok()?.to_be_bytes());
        answer.extend(header);
        Some((command, answer))
    }

    fn note(&self, place: Place, text: &str) {
        self.shared
            .record
            .add(place, Some(&self.user.name), Some(&self.device), text);
    }
}

/// How long after a pong the next ping goes out, on the real line.
pub(crate) const PING_PAUSE: Duration = Duration::from_secs(60);
