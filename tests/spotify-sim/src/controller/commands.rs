//! The commands of the app, and how a device is told.

use std::time::{Duration, Instant};

use librespot_protocol::connect::{ClusterUpdateReason, SetVolumeCommand};
use serde_json::{Value, json};

use super::{ControlError, Controller};
use crate::{
    connect,
    dealer::To,
    faults::Place,
    metadata,
    shared::{now_ms, random_text},
};

/// A device's answer to a command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reply {
    pub success: bool,
    /// From sending to the answer.
    pub latency: Duration,
}

/// How to begin with a context.
#[derive(Clone, Debug, Default)]
pub struct PlayOptions {
    /// Begin with this track...
    pub track_uri: Option<String>,
    /// ...or with the one of this index, from 0.
    pub index: Option<u32>,
    /// Milliseconds into the track.
    pub seek_to: Option<u32>,
    pub shuffle: Option<bool>,
    pub repeat_context: Option<bool>,
    pub repeat_track: Option<bool>,
    pub paused: bool,
}

impl PlayOptions {
    pub fn from_track(uri: &str) -> Self {
        Self {
            track_uri: Some(uri.to_owned()),
            ..Self::default()
        }
    }

    pub fn from_index(index: u32) -> Self {
        Self {
            index: Some(index),
            ..Self::default()
        }
    }

    fn to_json(&self, uid: Option<String>) -> Value {
        let mut skip_to = json!({});
        set(&mut skip_to, "track_uri", self.track_uri.as_deref());
        set(&mut skip_to, "track_uid", uid);
        set(&mut skip_to, "track_index", self.index);
        let mut overrides = json!({});
        set(&mut overrides, "shuffling_context", self.shuffle);
        set(&mut overrides, "repeating_context", self.repeat_context);
        set(&mut overrides, "repeating_track", self.repeat_track);
        let mut options = json!({
            "skip_to": skip_to,
            "initially_paused": self.paused,
            "license": "premium",
            "prefetch_level": "none",
            "audio_stream": "default",
        });
        set(&mut options, "seek_to", self.seek_to);
        // Receivers take the mere presence of it as a wish.
        if overrides != json!({}) {
            options["player_options_override"] = overrides;
        }
        options
    }
}

/// A field that is left out when there is no value: receivers refuse `null`.
fn set(object: &mut Value, key: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        object[key] = value.into();
    }
}

/// Every command below fails when there is no device to tell, when it does
/// not answer in time, or when its dealer socket ends before it answers. A
/// device that answers "no" is a [`Reply`], not an error.
impl Controller {
    /// Plays an album, a playlist or a track.
    pub async fn play(&self, uri: &str, options: PlayOptions) -> Result<Reply, ControlError> {
        let uid = options
            .track_uri
            .as_deref()
            .and_then(|track| self.shared.catalogue.track(track))
            .map(|track| metadata::uid(uri, &track));
        let command = json!({
            "endpoint": "play",
            "context": { "uri": uri, "url": format!("context://{uri}"), "metadata": {} },
            "play_origin": self.origin(),
            "options": options.to_json(uid),
        });
        self.start(command, uri).await
    }

    /// Plays these tracks, which belong to no context.
    pub async fn play_tracks(
        &self,
        tracks: &[String],
        options: PlayOptions,
    ) -> Result<Reply, ControlError> {
        let page: Vec<_> = tracks.iter().map(|uri| json!({ "uri": uri })).collect();
        let command = json!({
            "endpoint": "play",
            "context": { "pages": [{ "tracks": page }] },
            "play_origin": self.origin(),
            "options": options.to_json(None),
        });
        self.start(command, "loose tracks").await
    }

    pub async fn pause(&self) -> Result<Reply, ControlError> {
        self.tell(json!({ "endpoint": "pause" }), "").await
    }

    pub async fn resume(&self) -> Result<Reply, ControlError> {
        self.tell(json!({ "endpoint": "resume" }), "").await
    }

    pub async fn seek(&self, position_ms: u32) -> Result<Reply, ControlError> {
        let command = json!({
            "endpoint": "seek_to", "value": position_ms, "position": position_ms,
        });
        self.tell(command, position_ms).await
    }

    pub async fn next(&self) -> Result<Reply, ControlError> {
        self.tell(json!({ "endpoint": "skip_next" }), "").await
    }

    /// Skips to this track among those that come next.
    pub async fn next_to(&self, track_uri: &str) -> Result<Reply, ControlError> {
        let command = json!({ "endpoint": "skip_next", "track": { "uri": track_uri } });
        self.tell(command, track_uri).await
    }

    pub async fn previous(&self) -> Result<Reply, ControlError> {
        self.tell(json!({ "endpoint": "skip_prev" }), "").await
    }

    pub async fn shuffle(&self, on: bool) -> Result<Reply, ControlError> {
        self.tell(
            json!({ "endpoint": "set_shuffling_context", "value": on }),
            on,
        )
        .await
    }

    pub async fn repeat_context(&self, on: bool) -> Result<Reply, ControlError> {
        self.tell(
            json!({ "endpoint": "set_repeating_context", "value": on }),
            on,
        )
        .await
    }

    pub async fn repeat_track(&self, on: bool) -> Result<Reply, ControlError> {
        self.tell(
            json!({ "endpoint": "set_repeating_track", "value": on }),
            on,
        )
        .await
    }

    pub async fn add_to_queue(&self, track_uri: &str) -> Result<Reply, ControlError> {
        let track = json!({
            "uri": track_uri, "metadata": { "is_queued": "true" }, "provider": "queue",
        });
        self.tell(
            json!({ "endpoint": "add_to_queue", "track": track }),
            track_uri,
        )
        .await
    }

    /// Sends a command of any kind; `logging_params` are added.
    pub async fn command(&self, command: Value) -> Result<Reply, ControlError> {
        self.tell(command, "").await
    }

    /// The same for a command that makes the device the active one.
    pub async fn begin(&self, command: Value) -> Result<Reply, ControlError> {
        let name = command["endpoint"].as_str().unwrap_or("nothing").to_owned();
        self.start(command, &name).await
    }

    /// Sets the volume, 0 to 65535. A device does not reply to this: the
    /// latency is the time until its state shows the volume, to within one
    /// percent, as a device may round it to its own steps.
    pub async fn volume(&self, volume: u16) -> Result<Reply, ControlError> {
        let (device, connection) = self.target()?;
        let command = SetVolumeCommand {
            volume: volume.into(),
            ..Default::default()
        };
        self.note(&device, &format!("volume {volume}"));
        let since = Instant::now();
        let uri = "hm://connect-state/v1/connect/volume";
        self.shared
            .dealers
            .push(&self.user, To::One(&connection), uri, &command);
        let near = |shown: u16| shown.abs_diff(volume) <= u16::MAX / 100;
        let shown = self.watch(self.limit, || {
            let devices = self.devices();
            devices
                .iter()
                .any(|shown| shown.id == device && near(shown.volume))
                .then_some(())
        });
        match shown.await {
            Some(()) => Ok(Reply {
                success: true,
                latency: since.elapsed(),
            }),
            None => Err(self.failed(format!("no volume {volume} within {:?}", self.limit))),
        }
    }

    /// A command that makes the device the active one.
    pub(super) async fn start(&self, command: Value, what: &str) -> Result<Reply, ControlError> {
        let (device, _) = self.target()?;
        if let Some(told) = self.look(|state| state.members.get(&device)?.told_inactive) {
            let options = &self.shared.options;
            tokio::time::sleep_until((told + options.settle + options.delay).into()).await;
        }
        // Active before any cluster is pushed, or the device would read there
        // that it is not and stop at once.
        let before = self.look(|state| {
            let before = state.active.clone();
            state.called = Some(device.clone());
            if before.as_deref() != Some(device.as_str()) {
                state.activate(&device, now_ms());
            }
            before
        });
        let reason = ClusterUpdateReason::DEVICE_STATE_CHANGED;
        let taken = before.as_deref() != Some(device.as_str());
        connect::tell(
            &self.shared,
            &self.user,
            &device,
            reason,
            taken && before.is_some(),
        );
        let reply = self.on(&device).tell(command, what).await;
        let refused = !matches!(reply, Ok(Reply { success: true, .. }));
        self.look(|state| {
            state.called = None;
            if refused && taken {
                state.deactivate(&device, now_ms());
            }
        });
        connect::tell(&self.shared, &self.user, &device, reason, taken);
        reply
    }

    async fn tell(
        &self,
        mut command: Value,
        what: impl std::fmt::Display,
    ) -> Result<Reply, ControlError> {
        let (device, connection) = self.target()?;
        command["logging_params"] = json!({
            "command_initiated_time": now_ms(),
            "command_id": random_text(),
            "page_instance_ids": [],
            "interaction_ids": [],
        });
        let name = command["endpoint"].as_str().unwrap_or("nothing").to_owned();
        self.note(&device, format!("{name} {what}").trim_end());
        let since = Instant::now();
        let reply = self
            .shared
            .dealers
            .command(&connection, &self.phone, command)
            .map_err(|why| self.failed(format!("{name}: {why}")))?;
        let reply = match tokio::time::timeout(self.limit, reply).await {
            Ok(Ok(success)) => Reply {
                success,
                latency: since.elapsed(),
            },
            Ok(Err(_)) => {
                return Err(
                    self.failed(format!("{name}: the dealer socket ended before the reply"))
                );
            }
            Err(_) => return Err(self.failed(format!("{name}: no reply within {:?}", self.limit))),
        };
        let verdict = if reply.success { "yes" } else { "no" };
        self.note(
            &device,
            &format!("  {name}: {verdict} after {:?}", reply.latency),
        );
        Ok(reply)
    }

    /// The device to tell, and its dealer socket.
    pub(super) fn target(&self) -> Result<(String, String), ControlError> {
        let found = self.look(|state| {
            let mut real = state.members.iter().filter_map(|(id, member)| {
                Some((id, &member.info.name, member.connection.as_ref()?))
            });
            let chosen = match (&self.target, &state.active) {
                (Some(wanted), _) => real.find(|(id, name, _)| *id == wanted || *name == wanted),
                (None, Some(active)) => real.find(|(id, ..)| *id == active),
                (None, None) => real.next().filter(|_| real.next().is_none()),
            };
            chosen.map(|(id, _, connection)| (id.clone(), connection.clone()))
        });
        found.ok_or_else(|| match &self.target {
            Some(wanted) => self.failed(format!("no device \"{wanted}\" is listed")),
            None => self.failed("no device is active, and not exactly one is listed"),
        })
    }

    fn origin(&self) -> Value {
        json!({
            "feature_identifier": "album",
            "feature_version": "9.0.0",
            "device_identifier": self.phone,
        })
    }

    pub(super) fn note(&self, device: &str, text: &str) {
        self.shared
            .record
            .add(Place::Command, Some(&self.user), Some(device), text);
    }
}
