//! A message bus of a test's own, and somebody on it who asks, listens and notes down.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use futures_util::StreamExt;
use serde::{Serialize, de::DeserializeOwned};
use zbus::{
    Connection, DBusError, DynamicType, Message, MessageStream, OwnedVariant, Type, message,
};

use crate::{
    lan::until,
    world::{PATIENCE, World},
};

pub const OBJECT: &str = "/org/mpris/MediaPlayer2";
pub const ROOT: &str = "org.mpris.MediaPlayer2";
pub const PLAYER: &str = "org.mpris.MediaPlayer2.Player";
pub const TRACKS: &str = "org.mpris.MediaPlayer2.TrackList";
pub const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The bus name of the one speaker of a house.
pub const SISKIN: &str = "org.mpris.MediaPlayer2.siskin";

/// Whoever is on the bus may do everything.
pub const OPEN: &str = r#"<policy context="default">
 <allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/>
</policy>"#;

/// A `dbus-daemon`. Dropped, it is killed.
pub struct BusDaemon {
    child: Child,
    folder: PathBuf,
}

impl BusDaemon {
    /// Starts one with this policy, at the same address as any before it in this world.
    pub async fn start(world: &World, policy: &str) -> Self {
        let folder = world.dir().to_owned();
        let socket = folder.join("bus");
        let _ = fs::remove_file(&socket);
        let config = folder.join("bus.conf");
        let text = format!(
            "<busconfig>\n<type>session</type>\n<listen>unix:path={}</listen>\n\
             <auth>EXTERNAL</auth>\n{policy}\n</busconfig>\n",
            socket.display()
        );
        fs::write(&config, text).expect("written");
        let child = Command::new("dbus-daemon")
            .arg("--nofork")
            .arg("--nopidfile")
            .arg(format!("--config-file={}", config.display()))
            .stdin(Stdio::null())
            // It talks of limits that only root could raise.
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-daemon is there: scripts/setup.sh test installs it");
        let bus = Self { child, folder };
        until("a bus", PATIENCE, || {
            std::os::unix::net::UnixStream::connect(&socket).is_ok()
        })
        .await;
        bus
    }

    pub fn address(&self) -> String {
        format!("unix:path={}", self.folder.join("bus").display())
    }

    /// Runs `playerctl`; what it prints, and whether it was content.
    pub async fn playerctl(&self, words: &[&str]) -> (bool, String) {
        let done = tokio::process::Command::new("playerctl")
            .args(words)
            .env("DBUS_SESSION_BUS_ADDRESS", self.address())
            .output()
            .await
            .expect("playerctl is there: scripts/setup.sh test installs it");
        let told = [done.stdout, done.stderr].concat();
        let told = String::from_utf8_lossy(&told).trim_end().to_owned();
        (done.status.success(), told)
    }

    /// The same, where it has to be content.
    pub async fn told(&self, words: &str) -> String {
        let words: Vec<_> = words.split(' ').collect();
        let (content, told) = self.playerctl(&words).await;
        assert!(content, "{words:?}: {told}");
        told
    }

    /// Waits until `playerctl` prints this.
    pub async fn tells(&self, words: &str, wanted: &str) {
        let words: Vec<_> = words.split(' ').collect();
        let end = std::time::Instant::now() + PATIENCE;
        loop {
            let (_, told) = self.playerctl(&words).await;
            if told == wanted {
                return;
            }
            assert!(
                std::time::Instant::now() < end,
                "{words:?} says {told:?}, never {wanted:?}"
            );
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for BusDaemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Settings for a speaker on the session bus; its sound goes nowhere, at the pace of music.
pub fn on_the_bus(world: &World, more: &str) -> String {
    world.settings(&format!("{more}[mpris]\nbus = \"session\"\n"))
}

/// Tells a daemon where its buses are.
pub fn bus_at(address: &str) -> impl FnOnce(&mut Command) {
    let address = address.to_owned();
    move |command| {
        command
            .env("DBUS_SESSION_BUS_ADDRESS", &address)
            .env("DBUS_SYSTEM_BUS_ADDRESS", &address);
    }
}

/// Somebody on the bus.
pub struct Remote {
    pub connection: Connection,
    /// The bus name of the speaker.
    name: String,
    heard: Arc<Mutex<Vec<Message>>>,
}

impl Remote {
    pub async fn new(bus: &BusDaemon, name: &str) -> Self {
        let address = bus.address();
        let connection = zbus::connection::Builder::address(address.as_str());
        let connection = connection.build().await.expect("a bus");
        let rule = format!("type='signal',path='{OBJECT}'");
        let mut stream = MessageStream::from(&connection);
        call_bus(&connection, "AddMatch", &rule).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = heard.clone();
        tokio::spawn(async move {
            while let Some(Ok(message)) = stream.next().await {
                let header = message.header();
                let is_ours = header.path().is_some_and(|path| path.as_str() == OBJECT);
                if is_ours && message.message_type() == message::Type::Signal {
                    into.lock().expect("alone").push(message);
                }
            }
        });
        Self {
            connection,
            name: name.to_owned(),
            heard,
        }
    }

    /// Waits until somebody has the speaker's name.
    pub async fn finds(&self) {
        let end = std::time::Instant::now() + PATIENCE;
        while !self.has_owner(&self.name).await {
            assert!(
                std::time::Instant::now() < end,
                "{} is not there",
                self.name
            );
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    pub async fn has_owner(&self, name: &str) -> bool {
        let answer = call_bus(&self.connection, "NameHasOwner", &name).await;
        answer.body().deserialize().expect("a boolean")
    }

    pub async fn call<B: Serialize + DynamicType>(
        &self,
        interface: &str,
        member: &str,
        body: &B,
    ) -> zbus::Result<Message> {
        let name = self.name.as_str();
        self.connection
            .call_method(Some(name), OBJECT, Some(interface), member, body)
            .await
    }

    /// Calls a method of the player that has to be obeyed.
    pub async fn obeyed<B: Serialize + DynamicType>(&self, member: &str, body: &B) {
        let answer = self.call(PLAYER, member, body).await;
        answer.unwrap_or_else(|error| panic!("{member}: {error}"));
    }

    /// Calls something that is refused; the error's name and sentence.
    pub async fn refused<B: Serialize + DynamicType>(
        &self,
        interface: &str,
        member: &str,
        body: &B,
    ) -> (String, String) {
        match self.call(interface, member, body).await {
            Err(zbus::Error::MethodError(name, text, _)) => {
                (name.to_string(), text.unwrap_or_default())
            }
            Err(zbus::Error::FDO(error)) => (
                error.name().to_string(),
                error.description().unwrap_or_default().to_owned(),
            ),
            other => panic!("{interface}.{member}: {other:?}"),
        }
    }

    pub async fn set(&self, name: &str, value: impl Into<zbus::Variant<'_>>) -> zbus::Result<()> {
        let body = (PLAYER, name, value.into());
        self.call(PROPERTIES, "Set", &body).await.map(drop)
    }

    pub async fn get<T: TryFrom<OwnedVariant>>(&self, interface: &str, name: &str) -> T {
        let answer = self.call(PROPERTIES, "Get", &(interface, name)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        let value: OwnedVariant = answer.body().deserialize().expect("a value");
        T::try_from(value).unwrap_or_else(|_| panic!("{name} is of another type"))
    }

    /// The names of the lines of the list.
    pub async fn lines(&self) -> Vec<String> {
        let answer = self.call(PROPERTIES, "Get", &(TRACKS, "Tracks")).await;
        let value: OwnedVariant = (answer.expect("an answer").body().deserialize()).expect("lines");
        let zbus::Variant::Array(array) = &*value else {
            panic!("{value:?}");
        };
        array.iter().map(text).collect()
    }

    /// What is known of the current track, as text.
    pub async fn metadata(&self, key: &str) -> String {
        let answer = self.call(PROPERTIES, "Get", &(PLAYER, "Metadata")).await;
        let value: OwnedVariant = (answer.expect("an answer").body().deserialize()).expect("facts");
        let zbus::Variant::Dict(dict) = &*value else {
            panic!("{value:?}");
        };
        let mut facts = dict.iter();
        let found = facts.find(|(name, _)| text(name) == key);
        found.map(|(_, value)| text(value)).unwrap_or_default()
    }

    /// The names of the signals so far, of `PropertiesChanged` with what changed:
    /// `Player: PlaybackStatus`.
    pub fn signals(&self) -> Vec<String> {
        let heard = self.heard.lock().expect("alone");
        heard.iter().map(shown).collect()
    }

    pub fn forget_signals(&self) {
        self.heard.lock().expect("alone").clear();
    }

    /// The bodies of all signals of this name.
    pub fn bodies<T: DeserializeOwned + Type>(&self, member: &str) -> Vec<T> {
        let heard = self.heard.lock().expect("alone");
        let named = heard.iter().filter(|message| named(message) == member);
        named
            .map(|message| {
                message
                    .body()
                    .deserialize_ignore_signature()
                    .expect("of this type")
            })
            .collect()
    }
}

async fn call_bus<B: Serialize + DynamicType>(
    connection: &Connection,
    member: &str,
    body: &B,
) -> Message {
    const BUS: &str = "org.freedesktop.DBus";
    let called =
        connection.call_method(Some(BUS), "/org/freedesktop/DBus", Some(BUS), member, body);
    called
        .await
        .unwrap_or_else(|error| panic!("{member}: {error}"))
}

/// Asks the bus for a name, and says whether it was given.
pub async fn takes(connection: &Connection, name: &str) -> bool {
    let answer = call_bus(connection, "RequestName", &(name, 4_u32)).await;
    answer.body().deserialize::<u32>().expect("a number") == 1
}

fn named(message: &Message) -> String {
    let header = message.header();
    header.member().expect("a name").to_string()
}

fn shown(message: &Message) -> String {
    let member = named(message);
    if member != "PropertiesChanged" {
        return member;
    }
    type Changes = (
        String,
        std::collections::BTreeMap<String, OwnedVariant>,
        Vec<String>,
    );
    let (interface, changed, stale): Changes = message.body().deserialize().expect("changes");
    let names: Vec<_> = changed.into_keys().chain(stale).collect();
    let interface = interface.rsplit('.').next().unwrap_or_default();
    format!("{interface}: {}", names.join(" "))
}

/// A value in words: texts as they are, lists with commas.
pub fn text(value: &zbus::Variant<'_>) -> String {
    use zbus::Variant;
    match value {
        Variant::Variant(inner) => text(inner),
        Variant::Str(text) => text.to_string(),
        Variant::ObjectPath(path) => path.to_string(),
        Variant::I64(number) => number.to_string(),
        Variant::Array(all) => {
            let all: Vec<_> = all.iter().map(text).collect();
            all.join(", ")
        }
        other => format!("{other:?}"),
    }
}

/// A file that is shipped.
pub fn shipped(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("contrib")
        .join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
