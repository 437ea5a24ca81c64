//! One connection to the broker, in either version of the protocol.
//!
//! Owns the task that speaks to it; dropped, that ends, and the broker publishes the will. A line
//! that broke is never mended: what it had not delivered yet is not true any more by then. The
//! next one tells everything anew.

use std::{path::Path, sync::Arc, time::Duration};

use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, LastWill, MqttOptions,
    Packet, QoS, SubscribeReasonCode, TlsConfiguration, Transport,
    v5::{self, mqttbytes::v5 as packets},
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use tokio::{sync::mpsc, task::JoinHandle, time::timeout};

use super::topics::{OFFLINE, Tree};
use crate::config::{Broker, Mqtt, MqttVersion};

/// Packets that wait for the wire. More wait with whoever sends them.
const WAITING: usize = 16;
/// So much silence is broken by a ping; half as much again, and the broker publishes the will.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
/// A wire on which nothing moves for so long, not even a ping, is broken.
const SILENCE: Duration = Duration::from_secs(45);
/// For a connection to be made and accepted, and for anything that is written.
const CONNECT_S: u64 = 5;
/// Larger packets end the connection. Our own longest is a tenth of it.
const MAX_PACKET: usize = 256 * 1024;

/// Something to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    /// Retained and empty: takes away what is retained.
    pub payload: Vec<u8>,
    pub retained: bool,
}

/// What is heard on a line.
#[derive(Debug)]
pub enum Heard {
    /// The broker lets us in. Heard once, and before all others.
    Up,
    Message(Message),
    /// A message of ours has arrived.
    Delivered,
    /// Something may not be listened to.
    Deaf,
    /// The line is broken. Nothing follows.
    Down(Trouble),
}

/// Why there is no line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody there, or nobody who can be spoken to.
    Away(String),
    /// The broker does not let us in.
    Refused(String),
    /// Our own files do not hold what they should.
    Unreadable(String),
}

/// The end that speaks.
pub struct Mouth {
    client: Client,
    /// Messages given to the wire.
    pub handed: u64,
}

/// The end that hears.
pub struct Ears {
    heard: mpsc::Receiver<Heard>,
    task: JoinHandle<()>,
}

enum Client {
    Old(AsyncClient),
    New(v5::AsyncClient),
}

/// Begins to connect. Whether that succeeds is heard.
///
/// # Errors
/// When what it takes cannot be read.
pub async fn open(settings: &Mqtt, broker: &Broker, tree: &Tree) -> Result<(Mouth, Ears), Trouble> {
    let password = password(settings).await?;
    let login = settings.user.clone().map(|user| (user, password));
    let tls = match broker.tls {
        true => Some(encrypted(settings.ca_file.as_deref()).await?),
        false => None,
    };
    let (told, heard) = mpsc::channel(WAITING);
    let (client, task) = match settings.version {
        MqttVersion::V3_1_1 => {
            let (client, wire) = AsyncClient::new(old(broker, tree, login, tls), WAITING);
            (Client::Old(client), tokio::spawn(listen_old(wire, told)))
        }
        MqttVersion::V5 => {
            let (client, wire) = v5::AsyncClient::new(new(broker, tree, login, tls), WAITING);
            (Client::New(client), tokio::spawn(listen_new(wire, told)))
        }
    };
    Ok((Mouth { client, handed: 0 }, Ears { heard, task }))
}

impl Mouth {
    /// Gives a message to the wire, as soon as there is room. Cancelled, it may have been given.
    pub async fn hand(&self, message: &Message) {
        let Message {
            topic,
            payload,
            retained,
        } = message.clone();
        // That the wire is gone is heard at the other end.
        let _ = match &self.client {
            Client::Old(client) => client
                .publish(topic, QoS::AtLeastOnce, retained, payload)
                .await
                .is_ok(),
            Client::New(client) => client
                .publish(topic, v5::mqttbytes::QoS::AtLeastOnce, retained, payload)
                .await
                .is_ok(),
        };
    }

    /// Listens to `filter`. Few fit into the line at once: told at its beginning only.
    pub fn listen(&self, filter: String) {
        let _ = match &self.client {
            Client::Old(client) => client.try_subscribe(filter, QoS::AtLeastOnce).is_ok(),
            Client::New(client) => client
                .try_subscribe(filter, v5::mqttbytes::QoS::AtLeastOnce)
                .is_ok(),
        };
    }

    /// Listens to it no more. One that does not get through costs only echoes.
    pub fn ignore(&self, filter: String) {
        let _ = match &self.client {
            Client::Old(client) => client.try_unsubscribe(filter).is_ok(),
            Client::New(client) => client.try_unsubscribe(filter).is_ok(),
        };
    }

    /// Ends the conversation in order: the will is void.
    pub async fn leave(&self) {
        let _ = match &self.client {
            Client::Old(client) => client.disconnect().await.is_ok(),
            Client::New(client) => client.disconnect().await.is_ok(),
        };
    }
}

impl Ears {
    /// Waits for what is heard next. Cancel safe.
    pub async fn next(&mut self) -> Heard {
        let gone = || Heard::Down(Trouble::Away("the connection has ended".into()));
        self.heard.recv().await.unwrap_or_else(gone)
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Login = (String, String);

fn old(broker: &Broker, tree: &Tree, login: Option<Login>, tls: Option<Transport>) -> MqttOptions {
    let mut options = MqttOptions::new(tree.client_id(), &broker.host, broker.port);
    let will = LastWill::new(tree.availability(), OFFLINE, QoS::AtLeastOnce, true);
    options.set_last_will(will).set_keep_alive(KEEP_ALIVE);
    options.set_max_packet_size(MAX_PACKET, MAX_PACKET);
    if let Some((user, password)) = login {
        options.set_credentials(user, password);
    }
    if let Some(tls) = tls {
        options.set_transport(tls);
    }
    options
}

fn new(
    broker: &Broker,
    tree: &Tree,
    login: Option<Login>,
    tls: Option<Transport>,
) -> v5::MqttOptions {
    let mut options = v5::MqttOptions::new(tree.client_id(), &broker.host, broker.port);
    let topic = tree.availability();
    let will = packets::LastWill::new(topic, OFFLINE, v5::mqttbytes::QoS::AtLeastOnce, true, None);
    options.set_last_will(will).set_keep_alive(KEEP_ALIVE);
    options.set_connection_timeout(CONNECT_S);
    options.set_max_packet_size(u32::try_from(MAX_PACKET).ok());
    if let Some((user, password)) = login {
        options.set_credentials(user, password);
    }
    if let Some(tls) = tls {
        options.set_transport(tls);
    }
    options
}

async fn password(settings: &Mqtt) -> Result<String, Trouble> {
    let bytes = match (&settings.password, &settings.password_file) {
        (Some(password), _) => password.expose().to_vec(),
        (None, Some(file)) => read(file).await?,
        (None, None) => Vec::new(),
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| Trouble::Unreadable("the password is no UTF-8".into()))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

async fn read(file: &Path) -> Result<Vec<u8>, Trouble> {
    let read = tokio::fs::read(file).await;
    read.map_err(|why| Trouble::Unreadable(format!("{}: {why}", file.display())))
}

/// With the certificates of this file alone, or with the machine's own.
async fn encrypted(ca_file: Option<&Path>) -> Result<Transport, Trouble> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(file) => {
            let text = read(file).await?;
            let found = CertificateDer::pem_slice_iter(&text).filter_map(Result::ok);
            roots.add_parsable_certificates(found);
            if roots.is_empty() {
                let why = format!("{} holds no certificate", file.display());
                return Err(Trouble::Unreadable(why));
            }
        }
        None => {
            let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
            roots.add_parsable_certificates(found.map(|found| found.certs).unwrap_or_default());
        }
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let config = TlsConfiguration::Rustls(Arc::new(config));
    Ok(Transport::tls_with_config(config))
}

async fn listen_old(mut wire: EventLoop, told: mpsc::Sender<Heard>) {
    loop {
        let heard = match timeout(SILENCE, wire.poll()).await {
            Err(_) => Heard::Down(Trouble::silent()),
            Ok(Err(error)) => Heard::Down(Trouble::of_old(&error)),
            Ok(Ok(Event::Incoming(packet))) => match packet {
                Packet::ConnAck(_) => Heard::Up,
                Packet::PubAck(_) => Heard::Delivered,
                Packet::SubAck(ack) if ack.return_codes.contains(&SubscribeReasonCode::Failure) => {
                    Heard::Deaf
                }
                Packet::Publish(message) => Heard::Message(Message {
                    topic: message.topic,
                    payload: message.payload.to_vec(),
                    retained: message.retain,
                }),
                _ => continue,
            },
            Ok(Ok(Event::Outgoing(_))) => continue,
        };
        if !tell(&told, heard).await {
            return;
        }
    }
}

async fn listen_new(mut wire: v5::EventLoop, told: mpsc::Sender<Heard>) {
    use packets::{Packet, SubscribeReasonCode};
    loop {
        let heard = match timeout(SILENCE, wire.poll()).await {
            Err(_) => Heard::Down(Trouble::silent()),
            Ok(Err(error)) => Heard::Down(Trouble::of_new(&error)),
            Ok(Ok(v5::Event::Incoming(packet))) => match packet {
                Packet::ConnAck(_) => Heard::Up,
                Packet::PubAck(_) => Heard::Delivered,
                Packet::SubAck(ack)
                    if !ack
                        .return_codes
                        .iter()
                        .all(|code| matches!(code, SubscribeReasonCode::Success(_))) =>
                {
                    Heard::Deaf
                }
                Packet::Publish(message) => Heard::Message(Message {
                    topic: String::from_utf8_lossy(&message.topic).into_owned(),
                    payload: message.payload.to_vec(),
                    retained: message.retain,
                }),
                _ => continue,
            },
            Ok(Ok(v5::Event::Outgoing(_))) => continue,
        };
        if !tell(&told, heard).await {
            return;
        }
    }
}

/// Whether there is more to be told.
async fn tell(told: &mpsc::Sender<Heard>, heard: Heard) -> bool {
    let ended = matches!(heard, Heard::Down(_));
    told.send(heard).await.is_ok() && !ended
}

impl Trouble {
    fn silent() -> Self {
        let why = format!("the broker was silent for {} s", SILENCE.as_secs());
        Self::Away(why)
    }

    fn of_old(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::ConnectionRefused(
                ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
            ) => Self::unwelcome(),
            ConnectionError::ConnectionRefused(code) => Self::answered(code),
            ConnectionError::NetworkTimeout | ConnectionError::FlushTimeout => Self::slow(),
            other => Self::Away(other.to_string()),
        }
    }

    fn of_new(error: &v5::ConnectionError) -> Self {
        use packets::ConnectReturnCode as Code;
        match error {
            v5::ConnectionError::ConnectionRefused(
                Code::BadUserNamePassword | Code::NotAuthorized | Code::Banned,
            ) => Self::unwelcome(),
            v5::ConnectionError::ConnectionRefused(code) => Self::answered(code),
            v5::ConnectionError::Timeout(_) => Self::slow(),
            other => Self::Away(other.to_string()),
        }
    }

    fn unwelcome() -> Self {
        Self::Refused("it does not accept this user with this password".into())
    }

    fn answered(code: &impl std::fmt::Debug) -> Self {
        Self::Away(format!("it answered: {code:?}"))
    }

    fn slow() -> Self {
        Self::Away(format!("it did not answer within {CONNECT_S} s"))
    }
}
