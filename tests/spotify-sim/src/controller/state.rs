//! What the app shows, made from the cluster.

use librespot_protocol::player::ProvidedTrack;

use crate::{
    catalogue::Catalogue,
    cluster::{State, position_now},
};

/// One line of the app's list of devices.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceShown {
    pub id: String,
    pub name: String,
    /// Such as "SPEAKER".
    pub kind: String,
    /// 0 to 65535.
    pub volume: u16,
    pub volume_steps: i32,
    /// Whether the app may change the volume.
    pub volume_disabled: bool,
    pub brand: String,
    pub model: String,
    pub is_active: bool,
}

impl DeviceShown {
    pub(super) fn is(&self, name_or_id: &str) -> bool {
        self.id == name_or_id || self.name == name_or_id
    }
}

/// The app's player at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct AppState {
    pub devices: Vec<DeviceShown>,
    /// The device that plays or would resume.
    pub active: Option<DeviceShown>,
    pub context_uri: String,
    /// Empty when there is no track.
    pub track_uri: String,
    pub title: String,
    /// Where playback is now, in milliseconds, by the reported state.
    pub position_ms: i64,
    pub duration_ms: i64,
    /// Sound is to be heard: a device is active, not paused and not loading.
    pub playing: bool,
    pub paused: bool,
    /// To play, but the sound is not there yet.
    pub loading: bool,
    pub shuffle: bool,
    pub repeat_context: bool,
    pub repeat_track: bool,
    /// Uris of what comes next, the queue first.
    pub next: Vec<String>,
    /// Those of `next` that the listener queued.
    pub queued: Vec<String>,
    pub previous: Vec<String>,
    /// Those of `previous` and `next` that the app shows grey and lets nobody pick.
    pub greyed: Vec<String>,
    /// Of the active device.
    pub volume: Option<u16>,
}

pub(super) fn devices(state: &State) -> Vec<DeviceShown> {
    let listed = state
        .members
        .iter()
        .filter(|(_, member)| !member.info.capabilities.hidden);
    listed
        .map(|(id, member)| DeviceShown {
            id: id.clone(),
            name: member.info.name.clone(),
            kind: format!("{:?}", member.info.device_type.enum_value_or_default()),
            volume: u16::try_from(member.info.volume).unwrap_or(u16::MAX),
            volume_steps: member.info.capabilities.volume_steps,
            volume_disabled: member.info.capabilities.disable_volume,
            brand: member.info.brand.clone(),
            model: member.info.model.clone(),
            is_active: state.active.as_deref() == Some(id),
        })
        .collect()
}

pub(super) fn shown(state: &State, catalogue: &Catalogue, now: i64) -> AppState {
    let devices = devices(state);
    let active = devices.iter().find(|device| device.is_active).cloned();
    let player = &state.player;
    let uris = |tracks: &[ProvidedTrack]| tracks.iter().map(|track| track.uri.clone()).collect();
    let queued = player
        .next_tracks
        .iter()
        .filter(|track| track.provider == "queue");
    // As the Android app has it, in an account that filters what is explicit.
    let is_grey = |track: &&ProvidedTrack| {
        let told = |key: &str| track.metadata.get(key).map_or("", String::as_str);
        !told("availability_restrictions").is_empty() || told("is_explicit") == "true"
    };
    let listed = player.prev_tracks.iter().chain(&player.next_tracks);
    let greyed = listed.filter(is_grey);
    let on = active.is_some() && player.is_playing;
    let position_ms = if active.is_some() {
        position_now(player, now)
    } else {
        player.position_as_of_timestamp
    };
    AppState {
        volume: active.as_ref().map(|device| device.volume),
        devices,
        context_uri: player.context_uri.clone(),
        track_uri: player.track.uri.clone(),
        title: catalogue
            .track(&player.track.uri)
            .map(|t| t.title.clone())
            .unwrap_or_default(),
        position_ms,
        duration_ms: player.duration,
        playing: on && !player.is_paused && !player.is_buffering,
        paused: on && player.is_paused,
        loading: on && !player.is_paused && player.is_buffering,
        shuffle: player.options.shuffling_context,
        repeat_context: player.options.repeating_context,
        repeat_track: player.options.repeating_track,
        next: uris(&player.next_tracks),
        queued: queued.map(|track| track.uri.clone()).collect(),
        previous: uris(&player.prev_tracks),
        greyed: greyed.map(|track| track.uri.clone()).collect(),
        active,
    }
}
