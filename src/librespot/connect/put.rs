//! The machine's state as connect-state takes it. What each field has to be so that the official
//! apps show the right thing was read from librespot-connect 0.8.

use librespot_core::{config::DeviceType, version};
use librespot_protocol::{
    connect::{Capabilities, Device, DeviceInfo, MemberType, PutStateReason, PutStateRequest},
    media::AudioQuality,
    player::{
        ContextIndex, ContextPlayerOptions, PlayOrigin, PlayerState, ProvidedTrack, Restrictions,
        Suppressions,
    },
};
use protobuf::{EnumOrUnknown, MessageField};

use crate::{
    connect::{Provider, PutReason, Shown, ShownTrack, Why},
    model::Forbidden,
};

use super::{
    newer,
    translate::{IS_AUTOPLAY, IS_QUEUED},
};

/// What does not change while the engine lives.
#[derive(Debug, Clone)]
pub struct Facts {
    pub device_id: String,
    pub kind: DeviceType,
    pub client_id: String,
    /// Steps of the phone's volume keys.
    pub volume_steps: u16,
    /// The phone may not change the volume.
    pub volume_fixed: bool,
}

/// The body of a PUT. Reason and number are its own; all else is the state.
pub fn request(shown: &Shown, facts: &Facts, reason: PutReason) -> PutStateRequest {
    let now = u64::try_from(shown.at_ms).unwrap_or(0);
    let since = shown.active_since_ms.and_then(|ms| u64::try_from(ms).ok());
    PutStateRequest {
        member_type: EnumOrUnknown::new(MemberType::CONNECT_STATE),
        put_state_reason: self::reason(reason),
        is_active: shown.active,
        started_playing_at: since.unwrap_or(0),
        has_been_playing_for_ms: since.map_or(0, |since| now.saturating_sub(since)),
        client_side_timestamp: now,
        last_command_message_id: shown.last_command.message,
        last_command_sent_by_device_id: shown.last_command.device.clone(),
        device: MessageField::some(Device {
            device_info: MessageField::some(device_info(shown, facts)),
            player_state: MessageField::some(player_state(shown)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(super) fn reason(reason: PutReason) -> EnumOrUnknown<PutStateReason> {
    EnumOrUnknown::new(match reason {
        PutReason::NewDevice => PutStateReason::NEW_DEVICE,
        PutReason::StateChanged => PutStateReason::PLAYER_STATE_CHANGED,
        PutReason::VolumeChanged => PutStateReason::VOLUME_CHANGED,
    })
}

fn device_info(shown: &Shown, facts: &Facts) -> DeviceInfo {
    DeviceInfo {
        can_play: true,
        volume: shown.volume.0.into(),
        name: shown.name.clone(),
        device_id: facts.device_id.clone(),
        device_type: EnumOrUnknown::new(facts.kind.into()),
        device_software_version: version::SEMVER.to_owned(),
        spirc_version: version::SPOTIFY_SPIRC_VERSION.to_owned(),
        client_id: facts.client_id.clone(),
        capabilities: MessageField::some(Capabilities {
            volume_steps: facts.volume_steps.into(),
            disable_volume: facts.volume_fixed,
            gaia_eq_connect_id: true,
            can_be_player: true,
            needs_full_player_state: true,
            is_observable: true,
            is_controllable: true,
            supports_gzip_pushes: true,
            supports_logout: true,
            supports_rename: true,
            // Files of the phone ("audio/local") cannot be played here.
            supported_types: vec!["audio/episode".into(), "audio/track".into()],
            supports_playlist_v2: true,
            supports_transfer_command: true,
            supports_command_request: true,
            supports_set_options_command: true,
            supported_audio_quality: EnumOrUnknown::new(AudioQuality::VERY_HIGH),
            command_acks: true,
            special_fields: newer::capabilities(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn player_state(shown: &Shown) -> PlayerState {
    let list = |tracks: &[ShownTrack]| tracks.iter().map(|it| track(it, shown)).collect();
    let origin = &shown.origin;
    PlayerState {
        timestamp: shown.at_ms,
        context_uri: shown.context_uri.clone(),
        context_url: shown.context_url.clone(),
        context_metadata: shown.context_metadata.iter().cloned().collect(),
        context_restrictions: MessageField::some(Restrictions::new()),
        play_origin: MessageField::some(PlayOrigin {
            feature_identifier: origin.feature_identifier.clone(),
            feature_version: origin.feature_version.clone(),
            view_uri: origin.view_uri.clone(),
            external_referrer: origin.external_referrer.clone(),
            referrer_identifier: origin.referrer_identifier.clone(),
            device_identifier: origin.device_identifier.clone(),
            feature_classes: origin.feature_classes.clone(),
            ..Default::default()
        }),
        index: shown
            .index
            .map(|track| ContextIndex {
                page: 0,
                track,
                ..Default::default()
            })
            .into(),
        track: shown.track.as_ref().map(|it| track(it, shown)).into(),
        playback_id: shown.playback_id.clone(),
        playback_speed: if shown.paused { 0.0 } else { 1.0 },
        position_as_of_timestamp: shown.position_ms.into(),
        position: 0,
        duration: shown.duration_ms.into(),
        // The apps grey the play button out, or show nothing, unless a paused device says that it
        // plays, is paused and buffers, all three.
        is_playing: shown.playing,
        is_paused: shown.paused,
        is_buffering: shown.playing && (shown.paused || shown.buffering),
        is_system_initiated: !shown.active,
        options: MessageField::some(ContextPlayerOptions {
            shuffling_context: shown.modes.shuffle,
            repeating_context: shown.modes.repeat_context,
            repeating_track: shown.modes.repeat_track,
            ..Default::default()
        }),
        restrictions: MessageField::some(restrictions(shown)),
        suppressions: MessageField::some(Suppressions::new()),
        prev_tracks: list(&shown.previous),
        next_tracks: list(&shown.next),
        session_id: shown.session_id.clone(),
        queue_revision: shown.queue_revision.clone(),
        special_fields: newer::sleep_timer(shown.sleep),
        ..Default::default()
    }
}

fn track(track: &ShownTrack, shown: &Shown) -> ProvidedTrack {
    let mut answer = ProvidedTrack {
        uri: track.uri.clone(),
        uid: track.uid.clone(),
        provider: match track.provider {
            Provider::Context => "context",
            Provider::Queue => "queue",
            Provider::Autoplay => "autoplay",
        }
        .to_owned(),
        ..Default::default()
    };
    let mut tell = |key: &str, value: &str| {
        answer.metadata.insert(key.to_owned(), value.to_owned());
    };
    if let Some(round) = track.delimiter {
        tell("hidden", "true");
        tell("iteration", &round.to_string());
        return answer;
    }
    tell("context_uri", &shown.context_uri);
    tell("entity_uri", &shown.context_uri);
    match track.provider {
        Provider::Queue => tell(IS_QUEUED, "true"),
        Provider::Autoplay => tell(IS_AUTOPLAY, "true"),
        Provider::Context => {}
    }
    if let Some(why) = track.barred {
        bar(why, tell);
    }
    answer
}

/// How the official app knows a line of its queue that it shows grey and does not let anybody pick
/// *(seen in the classes of the Android app)*: any word in `availability_restrictions`, or
/// `is_explicit` while the account filters that, which it explains to whoever taps it. Which words
/// Spotify itself writes is not known; where its Web API has one for the same thing, it is that.
/// `removed` and `blocked` of the track stay empty: what belongs there is not known either.
fn bar(why: Why, mut tell: impl FnMut(&str, &str)) {
    match why {
        Why::Explicit => return tell("is_explicit", "true"),
        Why::Local => tell("is_local", "true"),
        _ => {}
    }
    let word = match why {
        Why::Unavailable => "market",
        Why::Local => "local",
        _ => "unplayable",
    };
    tell("availability_restrictions", word);
}

fn restrictions(shown: &Shown) -> Restrictions {
    let mut restrictions = Restrictions::new();
    let because = |reason: &str| vec![reason.to_owned()];
    if shown.playing && shown.paused {
        restrictions.disallow_pausing_reasons = because("not_playing");
    } else if shown.playing {
        restrictions.disallow_resuming_reasons = because("not_paused");
    }
    let back = shown.previous.iter().any(|track| track.barred.is_none());
    if !back && !shown.modes.repeat_context {
        restrictions.disallow_peeking_prev_reasons = because("no previous tracks");
        restrictions.disallow_skipping_prev_reasons = because("no previous tracks");
    }
    for one in &shown.restrictions {
        let reasons = match one.what {
            Forbidden::Pause => &mut restrictions.disallow_pausing_reasons,
            Forbidden::Resume => &mut restrictions.disallow_resuming_reasons,
            Forbidden::Seek => &mut restrictions.disallow_seeking_reasons,
            Forbidden::Next => &mut restrictions.disallow_skipping_next_reasons,
            Forbidden::Previous => &mut restrictions.disallow_skipping_prev_reasons,
            Forbidden::Shuffle => &mut restrictions.disallow_toggling_shuffle_reasons,
            Forbidden::RepeatContext => &mut restrictions.disallow_toggling_repeat_context_reasons,
            Forbidden::RepeatTrack => &mut restrictions.disallow_toggling_repeat_track_reasons,
            Forbidden::Queue => &mut restrictions.disallow_add_to_queue_reasons,
        };
        *reasons = because(&one.why);
    }
    restrictions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        connect::{Connect, Device as Own, Settings},
        model::Volume,
    };

    #[test]
    fn a_device_that_does_nothing_is_put_with_what_the_picker_needs() {
        let connect = Connect::new(Own {
            id: "id".into(),
            name: "Kitchen".into(),
            volume: Volume(1_000),
            settings: Settings::default(),
            sleep_fade_ms: 0,
            session_id: "s".into(),
            seed: 1,
        });
        let facts = Facts {
            device_id: "id".into(),
            kind: DeviceType::Speaker,
            client_id: "c".into(),
            volume_steps: 64,
            volume_fixed: false,
        };
        let put = request(&connect.shown(), &facts, PutReason::NewDevice);
        assert!(!put.is_active);
        let info = &put.device.device_info;
        assert_eq!((info.name.as_str(), info.volume), ("Kitchen", 1_000));
        assert!(info.capabilities.can_be_player && info.capabilities.command_acks);
        let player = &put.device.player_state;
        assert!(!player.is_playing && player.track.is_none());
        assert_eq!(player.session_id, "s");
    }
}
