//! Playback that moves between the phone itself and a receiver.

use std::time::Instant;

use base64::{Engine, prelude::BASE64_STANDARD};
use librespot_protocol::{
    connect::{Capabilities, ClusterUpdateReason, DeviceInfo},
    context_track::ContextTrack,
    devices::DeviceType,
    player::{PlayerState, ProvidedTrack},
    transfer_state::TransferState,
};
use protobuf::{EnumOrUnknown, Message};
use serde_json::json;

use super::{ControlError, Controller, Reply};
use crate::{
    cluster::{Member, State, position_now},
    connect, metadata,
    shared::now_ms,
};

const QUEUE: &str = "queue";

impl Controller {
    /// The phone itself plays from here on: the receiver has to stop. The
    /// latency is the time until the receiver has said goodbye to playback.
    ///
    /// # Errors
    /// When an active receiver has not said so in time.
    pub async fn transfer_away(&self) -> Result<Reply, ControlError> {
        let since = Instant::now();
        let mark = self.shared.record.mark();
        let before = self.take_over(|_| {});
        self.note(&self.phone, "plays on the phone itself");
        let Some(receiver) = before.filter(|id| *id != self.phone) else {
            return Ok(Reply {
                success: true,
                latency: since.elapsed(),
            });
        };
        let goodbye = self.shared.record.wait_for(self.limit, mark, |entry| {
            entry.device.as_deref() == Some(&receiver)
                && (entry.text == "PUT inactive" || entry.text == "DELETE")
        });
        match goodbye.await {
            Ok(_) => Ok(Reply {
                success: true,
                latency: since.elapsed(),
            }),
            Err(_) => Err(self.failed("the receiver did not stop being the active device")),
        }
    }

    /// Whether this is the id of the phone itself.
    pub(crate) fn is_phone(&self, id: &str) -> bool {
        self.phone == id
    }

    /// The phone itself plays from here on, and says so.
    pub(crate) fn plays_on_phone(&self) {
        self.take_over(|_| {});
        self.note(&self.phone, "plays on the phone itself");
    }

    /// The phone itself plays this context, from this track and position.
    ///
    /// # Errors
    /// As [`Controller::transfer_away`], or when there is no such track.
    pub async fn play_on_phone(
        &self,
        uri: &str,
        index: usize,
        position_ms: u32,
    ) -> Result<Reply, ControlError> {
        let tracks = self
            .shared
            .catalogue
            .context_tracks(uri)
            .unwrap_or_default();
        let Some(track) = tracks.get(index).cloned() else {
            return Err(self.failed(format!("{uri} has no track {index}")));
        };
        let provided = |track: &crate::catalogue::Track| ProvidedTrack {
            uri: track.uri(),
            uid: metadata::uid(uri, track),
            provider: "context".to_owned(),
            ..Default::default()
        };
        let reply = self.transfer_away().await?;
        self.take_over(|player| {
            *player = PlayerState {
                timestamp: now_ms(),
                context_uri: uri.to_owned(),
                context_url: format!("context://{uri}"),
                track: Some(provided(&track)).into(),
                playback_speed: 1.0,
                position_as_of_timestamp: position_ms.into(),
                duration: track.duration_ms().into(),
                is_playing: true,
                prev_tracks: tracks[..index]
                    .iter()
                    .map(|track| provided(track))
                    .collect(),
                next_tracks: tracks[index + 1..]
                    .iter()
                    .map(|track| provided(track))
                    .collect(),
                ..Default::default()
            };
        });
        Ok(reply)
    }

    /// Pauses or resumes what plays on the phone itself.
    pub fn pause_on_phone(&self, paused: bool) {
        self.take_over(|player| {
            let now = now_ms();
            player.position_as_of_timestamp = position_now(player, now);
            player.timestamp = now;
            player.is_paused = paused;
        });
    }

    /// Moves what plays (or is paused) now to this receiver, by name or id.
    ///
    /// # Errors
    /// As every command.
    pub async fn transfer_here(&self, device: &str) -> Result<Reply, ControlError> {
        let (data, from) = self.look(|state| {
            let from = state.active.clone().unwrap_or_else(|| self.phone.clone());
            (transfer_state(state, now_ms()), from)
        });
        let data = data.write_to_bytes().map_err(|why| self.failed(why))?;
        let command = json!({
            "endpoint": "transfer",
            "data": BASE64_STANDARD.encode(data),
            "options": { "restore_paused": "restore", "restore_position": "restore",
                "restore_track": "always_play_something" },
            "from_device_identifier": from,
        });
        self.on(device)
            .start(command, &format!("from {from}"))
            .await
    }

    /// The phone goes away and leaves what plays on offer: a receiver that
    /// arrives while nothing is active goes on with it by itself.
    pub fn leave_playback(&self) {
        self.look(|state| {
            let now = now_ms();
            let data = transfer_state(state, now).write_to_bytes();
            state.remove(&self.phone, now);
            state.transfer_data = data.unwrap_or_default();
        });
        let reason = ClusterUpdateReason::DEVICES_DISAPPEARED;
        connect::tell(&self.shared, &self.user, &self.phone, reason, true);
    }

    /// Makes the phone the active device; returns the one before.
    fn take_over(&self, change: impl FnOnce(&mut PlayerState)) -> Option<String> {
        let before = self.look(|state| {
            let info = self.phone_info();
            state
                .members
                .insert(self.phone.clone(), Member::new(info, None));
            let before = state.active.clone();
            state.activate(&self.phone, now_ms());
            change(&mut state.player);
            before
        });
        let reason = ClusterUpdateReason::DEVICE_STATE_CHANGED;
        connect::tell(&self.shared, &self.user, &self.phone, reason, true);
        before
    }

    fn phone_info(&self) -> DeviceInfo {
        DeviceInfo {
            can_play: true,
            volume: u32::from(u16::MAX),
            name: format!("{}'s phone", self.user),
            device_id: self.phone.clone(),
            device_type: EnumOrUnknown::new(DeviceType::SMARTPHONE),
            capabilities: Some(Capabilities {
                can_be_player: true,
                is_controllable: true,
                volume_steps: 64,
                ..Default::default()
            })
            .into(),
            ..Default::default()
        }
    }
}

/// What a device needs to go on where another one is.
fn transfer_state(state: &State, now: i64) -> TransferState {
    let player = &state.player;
    let mut transfer = TransferState::new();
    let options = transfer.options.mut_or_insert_default();
    options.set_shuffling_context(player.options.shuffling_context);
    options.set_repeating_context(player.options.repeating_context);
    options.set_repeating_track(player.options.repeating_track);

    let playback = transfer.playback.mut_or_insert_default();
    playback.set_timestamp(now);
    let position = i32::try_from(position_now(player, now)).unwrap_or_default();
    playback.set_position_as_of_timestamp(position);
    playback.set_playback_speed(1.0);
    playback.set_is_paused(player.is_paused);
    if !player.track.uri.is_empty() {
        playback.current_track = Some(context_track(&player.track)).into();
    }

    let session = transfer.current_session.mut_or_insert_default();
    session.set_current_uid(player.track.uid.clone());
    session
        .play_origin
        .mut_or_insert_default()
        .set_feature_identifier("album".to_owned());
    let context = session.context.mut_or_insert_default();
    context.set_uri(player.context_uri.clone());
    context.set_url(format!("context://{}", player.context_uri));

    let playing_queue = player.track.provider == QUEUE;
    let queued = player
        .next_tracks
        .iter()
        .filter(|track| track.provider == QUEUE);
    let queue = transfer.queue.mut_or_insert_default();
    queue.set_is_playing_queue(playing_queue);
    queue.tracks = player
        .track
        .iter()
        .filter(|_| playing_queue)
        .chain(queued)
        .map(context_track)
        .collect();
    transfer
}

fn context_track(track: &ProvidedTrack) -> ContextTrack {
    let mut answer = ContextTrack::new();
    answer.set_uri(track.uri.clone());
    answer.set_uid(track.uid.clone());
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_carries_context_track_position_options_and_queue() {
        let track = |uri: &str, provider: &str| ProvidedTrack {
            uri: uri.to_owned(),
            provider: provider.to_owned(),
            ..Default::default()
        };
        let mut state = State::default();
        state.player = PlayerState {
            context_uri: "spotify:album:x".to_owned(),
            track: Some(track("spotify:track:a", "context")).into(),
            next_tracks: vec![
                track("spotify:track:q", QUEUE),
                track("spotify:track:b", "context"),
            ],
            is_playing: true,
            timestamp: 1_000,
            position_as_of_timestamp: 500,
            ..Default::default()
        };
        state
            .player
            .options
            .mut_or_insert_default()
            .repeating_context = true;
        let transfer = transfer_state(&state, 3_000);
        assert_eq!(transfer.playback.position_as_of_timestamp(), 2_500);
        assert_eq!(transfer.playback.current_track.uri(), "spotify:track:a");
        assert_eq!(transfer.current_session.context.uri(), "spotify:album:x");
        assert!(transfer.options.repeating_context());
        let queue: Vec<_> = transfer
            .queue
            .tracks
            .iter()
            .map(|track| track.uri())
            .collect();
        assert_eq!(queue, ["spotify:track:q"]);
    }
}
