//! Dealer, connect-state and the app, with a device that does nothing but
//! what a test tells it.

use std::{io::Read, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::read::GzDecoder;
use futures_util::{SinkExt, StreamExt};
use librespot_protocol::{
    connect::{ClusterUpdate, PutStateReason, PutStateRequest, SetVolumeCommand},
    player::PlayerState,
};
use protobuf::{EnumOrUnknown, Message as _, MessageField};
use serde_json::{Value, json};
use spotify_sim::{Fault, Place, PlayOptions, Sim, SimOptions, Then};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::{
    LIMIT,
    client::{ask, connect},
};

struct Puppet {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    connection: String,
    bearer: String,
    id: &'static str,
    state: PutStateRequest,
}

impl Puppet {
    /// Opens the dealer socket; not listed before it puts its state.
    async fn open(sim: &Sim, user: &str, id: &'static str) -> Self {
        let token = sim.access_token(user);
        let stream = connect(sim, "dealer.spotify.com").await;
        let url = format!("wss://dealer.spotify.com/?access_token={token}");
        let (mut socket, _) = client_async(url, stream).await.unwrap();
        let hello = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let hello: Value = serde_json::from_str(&hello).unwrap();
        let connection = hello["headers"]["Spotify-Connection-Id"]
            .as_str()
            .unwrap()
            .to_owned();
        let mut state = PutStateRequest::new();
        let device = state.device.mut_or_insert_default();
        device.device_info.mut_or_insert_default().name = format!("Puppet {id}");
        Self {
            socket,
            connection,
            bearer: format!("Bearer {token}"),
            id,
            state,
        }
    }

    async fn put(&mut self, sim: &Sim, reason: PutStateReason) -> u16 {
        self.state.put_state_reason = EnumOrUnknown::new(reason);
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        self.state.client_side_timestamp = now as u64;
        let request = format!("PUT /connect-state/v1/devices/{}", self.id);
        let headers = [
            ("Authorization", self.bearer.as_str()),
            ("X-Spotify-Connection-Id", self.connection.as_str()),
        ];
        let body = self.state.write_to_bytes().unwrap();
        ask(sim, "spclient.wg.spotify.com", &request, &headers, &body)
            .await
            .unwrap()
            .status
    }

    /// Puts that it plays this, from the start.
    async fn put_playing(&mut self, sim: &Sim, track: &str) {
        let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
        let mut player = PlayerState::new();
        player.is_playing = true;
        player.timestamp = now as i64;
        player.track.mut_or_insert_default().uri = track.to_owned();
        self.state.device.as_mut().unwrap().player_state = MessageField::some(player);
        self.state.is_active = true;
        self.state.started_playing_at = now as u64;
        assert_eq!(
            self.put(sim, PutStateReason::PLAYER_STATE_CHANGED).await,
            200
        );
    }

    async fn hear(&mut self) -> Value {
        let heard = tokio::time::timeout(LIMIT, self.socket.next())
            .await
            .unwrap();
        serde_json::from_str(&heard.unwrap().unwrap().into_text().unwrap()).unwrap()
    }

    /// The next push to this address, unpacked; others before it are skipped.
    async fn hear_push(&mut self, uri: &str) -> Vec<u8> {
        loop {
            let heard = self.hear().await;
            if heard["uri"] == uri {
                return unpack(heard["payloads"][0].as_str().unwrap());
            }
        }
    }

    /// Answers the next command; returns it.
    async fn obey(&mut self, success: bool) -> Value {
        loop {
            let heard = self.hear().await;
            if heard["type"] != "request" {
                continue;
            }
            let reply =
                json!({ "type": "reply", "key": heard["key"], "payload": { "success": success } });
            self.socket
                .send(Message::text(reply.to_string()))
                .await
                .unwrap();
            let command = unpack(heard["payload"]["compressed"].as_str().unwrap());
            return serde_json::from_slice::<Value>(&command).unwrap()["command"].clone();
        }
    }
}

fn unpack(packed: &str) -> Vec<u8> {
    let packed = BASE64_STANDARD.decode(packed).unwrap();
    let mut plain = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
    plain
}

const CLUSTER: &str = "hm://connect-state/v1/cluster";

#[tokio::test]
async fn a_device_is_listed_once_it_has_put_its_state_and_until_it_is_gone_for_a_while() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let app = sim.controller("kim");
    let mut puppet = Puppet::open(&sim, "kim", "one").await;
    assert!(app.devices().is_empty());
    assert_eq!(puppet.put(&sim, PutStateReason::NEW_DEVICE).await, 200);
    assert_eq!(app.devices()[0].name, "Puppet one");
    assert!(sim.controller("alex").devices().is_empty());
    assert_eq!(sim.puts("kim").len(), 1);

    drop(puppet);
    let since = std::time::Instant::now();
    app.wait_until_gone("one", LIMIT).await.unwrap();
    assert!(
        since.elapsed() > Duration::from_secs(1),
        "{:?}",
        since.elapsed()
    );
}

#[tokio::test]
async fn a_command_reaches_the_device_and_its_reply_the_app() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let app = sim.controller("kim");
    let mut puppet = Puppet::open(&sim, "kim", "one").await;
    puppet.put(&sim, PutStateReason::NEW_DEVICE).await;
    let album = sim.catalogue().titled("Tones");
    let track = album.tracks[2].uri();
    let uri = album.uri();
    let options = PlayOptions {
        shuffle: Some(true),
        ..PlayOptions::from_track(&track)
    };
    let (reply, command) = tokio::join!(app.play(&uri, options), puppet.obey(true));
    assert!(reply.unwrap().success);
    assert_eq!(command["endpoint"], "play");
    assert_eq!(command["context"]["uri"], uri);
    assert_eq!(command["options"]["skip_to"]["track_uri"], track);
    assert_eq!(
        command["options"]["player_options_override"]["shuffling_context"],
        true
    );
    assert!(command["logging_params"].is_object());

    puppet.put_playing(&sim, &track).await;
    let state = app.wait_until(LIMIT, |state| state.playing).await.unwrap();
    assert_eq!(state.title, "Tone 3");
    let update = puppet.hear_push(CLUSTER).await;
    let update = ClusterUpdate::parse_from_bytes(&update).unwrap();
    assert_eq!(update.cluster.active_device_id, "one");

    let patient = app.within(Duration::from_millis(200));
    assert!(patient.volume(30_000).await.is_err());
    let volume = puppet
        .hear_push("hm://connect-state/v1/connect/volume")
        .await;
    assert_eq!(
        SetVolumeCommand::parse_from_bytes(&volume).unwrap().volume,
        30_000
    );
}

#[tokio::test]
async fn a_device_that_refuses_to_play_is_not_shown_as_the_active_one() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let app = sim.controller("kim");
    let mut puppet = Puppet::open(&sim, "kim", "one").await;
    puppet.put(&sim, PutStateReason::NEW_DEVICE).await;
    let uri = sim.catalogue().albums[0].uri();
    let (reply, _) = tokio::join!(app.play(&uri, PlayOptions::default()), puppet.obey(false));
    assert!(!reply.unwrap().success);
    assert_eq!(app.state().active, None);
}

#[tokio::test]
async fn playing_on_a_second_device_tells_the_first_one_to_stop() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let app = sim.controller("kim");
    let mut one = Puppet::open(&sim, "kim", "one").await;
    let track = sim.catalogue().albums[0].tracks[0].uri();
    one.put_playing(&sim, &track).await;
    let mut two = Puppet::open(&sim, "kim", "two").await;
    two.put(&sim, PutStateReason::NEW_DEVICE).await;
    let uri = sim.catalogue().albums[0].uri();
    let two_plays = app.on("Puppet two");
    let (reply, _) = tokio::join!(two_plays.play(&uri, PlayOptions::default()), two.obey(true));
    assert!(reply.unwrap().success);
    let active = loop {
        let update = one.hear_push(CLUSTER).await;
        let update = ClusterUpdate::parse_from_bytes(&update).unwrap();
        if update.cluster.active_device_id != "one" {
            break update.cluster.active_device_id.clone();
        }
    };
    assert_eq!(active, "two");
}

#[tokio::test]
async fn a_silent_device_makes_an_error_that_shows_what_happened() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let app = sim.controller("kim").within(Duration::from_millis(200));
    let why = app.pause().await.unwrap_err().to_string();
    assert!(why.contains("no device is active"), "{why}");
    let mut puppet = Puppet::open(&sim, "kim", "one").await;
    puppet.put(&sim, PutStateReason::NEW_DEVICE).await;
    let why = app.pause().await.unwrap_err().to_string();
    assert!(why.contains("no reply within 200ms"), "{why}");
    assert!(
        why.contains("Puppet one") && why.contains("PUT NEW_DEVICE"),
        "{why}"
    );
    sim.drop_dealers();
    while sim.dealers() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(app.pause().await.is_err());
}

#[tokio::test]
async fn states_are_taken_only_from_devices_that_can_be_told_something() {
    let sim = Sim::start(SimOptions::default()).await.unwrap();
    let mut puppet = Puppet::open(&sim, "kim", "one").await;
    let connection = std::mem::replace(&mut puppet.connection, "another".to_owned());
    assert_eq!(puppet.put(&sim, PutStateReason::NEW_DEVICE).await, 400);
    puppet.connection = connection;
    sim.faults()
        .add(Fault::on(Place::ConnectState).then(Then::Status(503, None)));
    assert_eq!(puppet.put(&sim, PutStateReason::NEW_DEVICE).await, 503);
    assert_eq!(puppet.put(&sim, PutStateReason::NEW_DEVICE).await, 200);
}
