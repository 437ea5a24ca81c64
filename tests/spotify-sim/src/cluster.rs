//! What the devices of one user know of each other: who is there, who plays,
//! and what. Takes values and returns values; sockets and clocks are outside.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
    time::Instant,
};

use librespot_protocol::{
    connect::{Cluster, DeviceInfo, PutStateRequest},
    player::PlayerState,
};
use tokio::sync::watch;

use crate::shared::lock;

/// States kept per user, the oldest go first.
const KEPT: usize = 5_000;

/// How far a reported position may be from the expected one before it counts
/// as news.
const DRIFT_MS: i64 = 1_000;

pub(crate) struct Member {
    pub info: DeviceInfo,
    /// Its dealer socket; `None` for a device that only pretends.
    pub connection: Option<String>,
    /// When it was last pushed a cluster in which it is not active.
    pub told_inactive: Option<Instant>,
}

impl Member {
    pub fn new(info: DeviceInfo, connection: Option<String>) -> Self {
        Self {
            info,
            connection,
            told_inactive: None,
        }
    }
}

/// The cluster of one user.
#[derive(Default)]
pub(crate) struct State {
    pub members: BTreeMap<String, Member>,
    pub active: Option<String>,
    /// When it became active, in Unix milliseconds.
    active_since: i64,
    /// A device that is being asked to play: it may still say that it does not.
    pub called: Option<String>,
    pub player: PlayerState,
    /// Offered to a device that arrives while nothing is active.
    pub transfer_data: Vec<u8>,
    changed_at: i64,
    /// All that was put, oldest first, with the device's id.
    pub puts: Vec<(String, PutStateRequest)>,
}

impl State {
    /// Takes a device's word about itself. Returns whether others should hear.
    pub fn put(
        &mut self,
        device: &str,
        request: &PutStateRequest,
        connection: Option<&str>,
        now: i64,
    ) -> bool {
        if self.puts.len() == KEPT {
            self.puts.remove(0);
        }
        self.puts.push((device.to_owned(), request.clone()));
        let info = request.device.device_info.clone().unwrap_or_default();
        let mut news = self
            .members
            .get(device)
            .is_none_or(|member| member.info != info);
        let connection = connection.map(str::to_owned);
        let mut member = Member::new(info, connection);
        member.told_inactive = self
            .members
            .get(device)
            .and_then(|member| member.told_inactive);
        self.members.insert(device.to_owned(), member);

        let is_active = self.active.as_deref() == Some(device);
        if request.is_active && !is_active && self.may_claim(request) {
            self.activate(device, now);
            news = true;
        } else if !request.is_active && is_active && self.gave_up(device, request) {
            self.active = None;
            news = true;
        }
        if self.active.as_deref() == Some(device) && request.is_active {
            let player = request.device.player_state.clone().unwrap_or_default();
            news |= is_news(&self.player, &player);
            self.player = player;
        }
        self.note(news, now)
    }

    /// A state that was on its way when another device took over must not
    /// take playback back.
    fn may_claim(&self, request: &PutStateRequest) -> bool {
        let since = i64::try_from(request.started_playing_at).unwrap_or(i64::MAX);
        self.active.is_none() || since >= self.active_since
    }

    /// A device that was just called to play may have put "inactive" before
    /// it heard of it.
    fn gave_up(&self, device: &str, request: &PutStateRequest) -> bool {
        let said_at = i64::try_from(request.client_side_timestamp).unwrap_or(i64::MAX);
        self.called.as_deref() != Some(device) && said_at >= self.active_since
    }

    pub fn activate(&mut self, device: &str, now: i64) {
        self.active = Some(device.to_owned());
        self.active_since = now;
        self.transfer_data.clear();
        self.changed_at = now;
    }

    /// The device says goodbye to playback, not to the others.
    pub fn deactivate(&mut self, device: &str, now: i64) -> bool {
        let was = self.active.as_deref() == Some(device);
        if was {
            self.active = None;
            let position = position_now(&self.player, now);
            self.player.position_as_of_timestamp = position;
            self.player.timestamp = now;
            self.player.is_paused = true;
        }
        self.note(was, now)
    }

    pub fn remove(&mut self, device: &str, now: i64) -> bool {
        self.deactivate(device, now);
        let was = self.members.remove(device).is_some();
        self.note(was, now)
    }

    /// The device that came by this dealer socket, if it has no newer one.
    pub fn by_connection(&self, connection: &str) -> Option<String> {
        let mut members = self.members.iter();
        members
            .find(|(_, member)| member.connection.as_deref() == Some(connection))
            .map(|(id, _)| id.clone())
    }

    /// A cluster is about to be pushed to all devices but `skipped`.
    pub fn note_push(&mut self, skipped: Option<&str>) {
        for (id, member) in &mut self.members {
            if Some(id) != self.active.as_ref() && Some(id.as_str()) != skipped {
                member.told_inactive = Some(Instant::now());
            }
        }
    }

    fn note(&mut self, news: bool, now: i64) -> bool {
        if news {
            self.changed_at = now;
        }
        news
    }

    pub fn to_proto(&self, now: i64) -> Cluster {
        let devices = self
            .members
            .iter()
            .map(|(id, member)| (id.clone(), member.info.clone()));
        Cluster {
            changed_timestamp_ms: self.changed_at,
            active_device_id: self.active.clone().unwrap_or_default(),
            player_state: Some(self.player.clone()).into(),
            device: devices.collect(),
            transfer_data: self.transfer_data.clone(),
            transfer_data_timestamp: if self.transfer_data.is_empty() {
                0
            } else {
                now as u64
            },
            server_timestamp_ms: now,
            ..Default::default()
        }
    }
}

/// Where playback is at `now`, in milliseconds.
pub(crate) fn position_now(player: &PlayerState, now: i64) -> i64 {
    let moving = player.is_playing && !player.is_paused && !player.is_buffering;
    let since = if moving {
        (now - player.timestamp).max(0)
    } else {
        0
    };
    let position = player.position_as_of_timestamp + since;
    if player.duration > 0 {
        position.min(player.duration)
    } else {
        position
    }
}

/// Whether a listener would see a difference. A device answers each cluster
/// with its state again, so that pushing what is no news would never end.
fn is_news(old: &PlayerState, new: &PlayerState) -> bool {
    let plain = |player: &PlayerState| {
        let mut player = player.clone();
        player.timestamp = 0;
        player.position_as_of_timestamp = 0;
        player.position = 0;
        player
    };
    let expected = position_now(old, new.timestamp);
    let drift = (expected - new.position_as_of_timestamp).abs();
    drift > DRIFT_MS || plain(old) != plain(new)
}

/// The clusters of all users.
pub(crate) struct Clusters {
    users: Mutex<HashMap<String, State>>,
    changed: watch::Sender<u64>,
}

impl Clusters {
    pub fn new() -> Self {
        Self {
            users: Mutex::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Looks at or changes a user's cluster. Whoever waits for a change hears
    /// of it afterwards with [`Clusters::changed`].
    pub fn with<T>(&self, user: &str, act: impl FnOnce(&mut State) -> T) -> T {
        let mut users = lock(&self.users);
        act(users.entry(user.to_owned()).or_default())
    }

    pub fn changed(&self) {
        self.changed.send_modify(|version| *version += 1);
    }

    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use librespot_protocol::connect::Device;
    use protobuf::MessageField;

    use super::*;

    fn playing(started_at: u64, position: i64, at: i64) -> PutStateRequest {
        let player = PlayerState {
            is_playing: true,
            timestamp: at,
            position_as_of_timestamp: position,
            ..Default::default()
        };
        let device = Device {
            player_state: MessageField::some(player),
            ..Default::default()
        };
        PutStateRequest {
            device: MessageField::some(device),
            is_active: true,
            started_playing_at: started_at,
            client_side_timestamp: at as u64,
            ..Default::default()
        }
    }

    fn idle(at: i64) -> PutStateRequest {
        PutStateRequest {
            client_side_timestamp: at as u64,
            ..Default::default()
        }
    }

    #[test]
    fn a_device_that_arrives_is_news_and_the_same_again_is_not() {
        let mut cluster = State::default();
        assert!(cluster.put("a", &idle(1), Some("socket"), 1));
        assert!(!cluster.put("a", &idle(2), Some("socket"), 2));
        assert_eq!(cluster.by_connection("socket").as_deref(), Some("a"));
        assert!(cluster.remove("a", 3));
        assert!(cluster.by_connection("socket").is_none());
    }

    #[test]
    fn playing_on_as_expected_is_no_news_and_a_jump_is() {
        let mut cluster = State::default();
        assert!(cluster.put("a", &playing(10, 0, 10), None, 10));
        assert!(!cluster.put("a", &playing(10, 5_000, 5_010), None, 5_010));
        assert!(cluster.put("a", &playing(10, 60_000, 6_010), None, 6_010));
    }

    #[test]
    fn a_state_sent_before_another_device_took_over_takes_nothing_back() {
        let mut cluster = State::default();
        cluster.put("a", &playing(10, 0, 10), None, 10);
        cluster.activate("b", 100);
        cluster.put("a", &playing(10, 90, 101), None, 101);
        assert_eq!(cluster.active.as_deref(), Some("b"));
        cluster.put("a", &playing(200, 0, 200), None, 200);
        assert_eq!(cluster.active.as_deref(), Some("a"));
    }

    #[test]
    fn a_device_called_to_play_may_still_say_that_it_does_not() {
        let mut cluster = State {
            called: Some("a".to_owned()),
            ..State::default()
        };
        cluster.activate("a", 100);
        cluster.put("a", &idle(101), None, 101);
        assert_eq!(cluster.active.as_deref(), Some("a"));
        cluster.called = None;
        cluster.put("a", &idle(99), None, 102);
        assert_eq!(cluster.active.as_deref(), Some("a"));
        cluster.put("a", &idle(103), None, 103);
        assert_eq!(cluster.active, None);
    }

    #[test]
    fn the_position_moves_only_while_it_plays() {
        let mut player = PlayerState {
            is_playing: true,
            timestamp: 1_000,
            duration: 9_000,
            ..Default::default()
        };
        assert_eq!(position_now(&player, 3_000), 2_000);
        assert_eq!(position_now(&player, 30_000), 9_000);
        player.is_paused = true;
        assert_eq!(position_now(&player, 3_000), 0);
    }
}
