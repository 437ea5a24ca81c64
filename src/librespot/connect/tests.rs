//! What comes over the wire, in our words.

use librespot_core::dealer::protocol::Request;
use librespot_protocol::{
    connect::{Cluster, ClusterUpdate},
    context_track::ContextTrack,
    transfer_state::TransferState,
};
use protobuf::Message;
use serde_json::{Value, json};

use super::{json as plain, translate};
use crate::connect::{Command, Entry, Options, Play, SkipTo, Uid, Uri};

const SONG: &str = "spotify:track:4uLU6hMCjMI75M1A2tKUQC";

/// As it comes out of the dealer: through librespot-core's own parser.
fn command(command: Value) -> Command {
    let request = json!({
        "message_id": 7, "sent_by_device_id": "phone", "target_alias_id": null,
        "command": command,
    });
    let request: Request = serde_json::from_str(&request.to_string()).expect("a request");
    let (sender, command) = translate::command(request);
    assert_eq!((sender.device.as_str(), sender.message), ("phone", 7));
    command
}

fn play(value: Value) -> Play {
    match command(value) {
        Command::Play(play) => *play,
        other => panic!("{other:?}"),
    }
}

/// Each of these with and without `logging_params`: without them librespot-core passes on raw
/// JSON, and both ways have to lead to the same.
fn both(value: Value) -> Command {
    let raw = command(value.clone());
    let mut strict = value;
    strict["logging_params"] = json!({});
    assert_eq!(command(strict), raw);
    raw
}

#[test]
fn simple_commands_are_understood_with_and_without_what_librespot_wants() {
    assert_eq!(both(json!({"endpoint": "pause"})), Command::Pause);
    assert_eq!(both(json!({"endpoint": "resume"})), Command::Resume);
    assert_eq!(both(json!({"endpoint": "skip_prev"})), Command::SkipPrev);
    assert_eq!(
        both(json!({"endpoint": "skip_next"})),
        Command::SkipNext { track: None }
    );
    assert_eq!(
        both(json!({"endpoint": "seek_to", "value": 5, "position": 5})),
        Command::SeekTo { position_ms: 5 }
    );
    let from_here = json!({"endpoint": "seek_to", "relative": "current", "position": -15_000});
    assert_eq!(command(from_here), Command::SeekBy { ms: -15_000 });
    assert_eq!(
        both(json!({"endpoint": "seek_to", "value": 9})),
        Command::SeekTo { position_ms: 9 }
    );
    assert_eq!(
        both(json!({"endpoint": "set_shuffling_context", "value": true})),
        Command::Shuffle(true)
    );
    assert_eq!(
        both(json!({"endpoint": "set_repeating_context", "value": false})),
        Command::RepeatContext(false)
    );
    assert_eq!(
        both(json!({"endpoint": "set_repeating_track", "value": true})),
        Command::RepeatTrack(true)
    );
    let options = Options {
        repeat_track: Some(true),
        ..Options::default()
    };
    assert_eq!(
        both(json!({"endpoint": "set_options", "repeating_track": true})),
        Command::Options(options)
    );
}

#[test]
fn a_command_to_play_is_read_whole() {
    let value = json!({
        "endpoint": "play",
        "context": {"uri": "spotify:album:x", "url": "context://spotify:album:x", "metadata": {}},
        "play_origin": {"feature_identifier": "album", "device_identifier": "phone"},
        "options": {
            "skip_to": {"track_uri": SONG, "track_uid": "0a", "track_index": 3},
            "seek_to": 1234, "initially_paused": true, "license": "premium",
            "player_options_override": {"shuffling_context": true},
        },
    });
    let Command::Play(play) = both(value) else {
        panic!("play");
    };
    assert_eq!(play.context.uri, "spotify:album:x");
    assert_eq!(play.origin.feature_identifier, "album");
    let skip_to = SkipTo {
        uid: Some(Uid::new("0a")),
        uri: Some(Uri::new(SONG)),
        index: Some(3),
    };
    assert_eq!(play.skip_to, skip_to);
    assert_eq!((play.seek_to, play.paused), (Some(1_234), true));
    assert_eq!(play.options.shuffle, Some(true));
    assert_eq!(play.options.repeat_context, None);
}

#[test]
fn pages_and_fields_that_nobody_knows_do_not_fail_a_command() {
    let play = play(json!({
        "endpoint": "play", "logging_params": {}, "play_origin": {"novelty": 1},
        "context": {
            "pages": [{"tracks": [{"uri": SONG, "uid": "u", "novelty": {"a": 1}}, {"uri": ""}]}],
            "novelty": true,
        },
        "options": {"skip_to": {"track_index": 0}, "novelty": []},
    }));
    assert_eq!(play.context.uri, "");
    assert_eq!(play.context.pages[0].tracks, [Entry::new(SONG, "u")]);

    let raw = command(json!({
        "endpoint": "play", "context": {"uri": "spotify:album:x", "restrictions": "odd"},
        "options": {"skip_to": null, "seek_to": "77"},
    }));
    assert!(matches!(raw, Command::Play(play) if play.seek_to == Some(77)));
}

#[test]
fn queue_commands_tell_what_is_queued() {
    let track = json!({"uri": SONG, "metadata": {"is_queued": "true"}, "provider": "queue"});
    assert_eq!(
        both(json!({"endpoint": "add_to_queue", "track": track})),
        Command::AddToQueue(Entry::new(SONG, ""))
    );
    let next = json!([
        {"uri": SONG, "uid": "q0", "provider": "queue"},
        {"uri": SONG, "uid": "07", "provider": "context", "metadata": {}},
    ]);
    let set = both(json!({
        "endpoint": "set_queue", "next_tracks": next, "prev_tracks": [], "queue_revision": "1",
    }));
    let Command::SetQueue { next } = set else {
        panic!("{set:?}");
    };
    assert_eq!((next[0].queued, next[1].queued), (true, false));
    assert_eq!(next[1].entry, Entry::new(SONG, "07"));
}

#[test]
fn what_is_unknown_or_broken_says_so() {
    assert_eq!(
        command(json!({"endpoint": "dance", "logging_params": {}})),
        Command::Unknown("dance".into())
    );
    for broken in [
        json!({"endpoint": "seek_to"}),
        json!({"endpoint": "add_to_queue"}),
        json!({"endpoint": "set_shuffling_context"}),
        json!({"endpoint": "play"}),
        json!({"endpoint": "transfer", "data": "%%%"}),
    ] {
        assert!(matches!(command(broken), Command::Malformed(_)));
    }
}

fn state(queue: bool) -> TransferState {
    let track = |uri: &str| {
        let mut track = ContextTrack::new();
        track.set_uri(uri.to_owned());
        track
    };
    let mut state = TransferState::new();
    let options = state.options.mut_or_insert_default();
    options.set_repeating_context(true);
    let playback = state.playback.mut_or_insert_default();
    playback.set_timestamp(900);
    playback.set_position_as_of_timestamp(100);
    playback.current_track = Some(track(SONG)).into();
    let session = state.current_session.mut_or_insert_default();
    session.set_current_uid("0b".to_owned());
    session
        .context
        .mut_or_insert_default()
        .set_uri("spotify:album:x".to_owned());
    let queued = state.queue.mut_or_insert_default();
    queued.set_is_playing_queue(queue);
    queued.tracks = vec![track("spotify:track:a"), track("spotify:track:b")];
    state
}

fn transfer_command(state: &TransferState, options: Value) -> Value {
    use base64::{Engine, prelude::BASE64_STANDARD};
    let data = BASE64_STANDARD.encode(state.write_to_bytes().expect("bytes"));
    json!({
        "endpoint": "transfer", "data": data, "options": options,
        "from_device_identifier": "phone",
    })
}

#[test]
fn a_transfer_carries_track_place_options_and_queue() {
    let Command::Transfer(Some(transfer)) = both(transfer_command(&state(false), json!({}))) else {
        panic!("a transfer");
    };
    assert_eq!(transfer.track, Some(Entry::new(SONG, "")));
    assert_eq!(transfer.current_uid, Some(Uid::new("0b")));
    assert_eq!((transfer.position_ms, transfer.at_ms), (100, 900));
    assert_eq!(transfer.options.repeat_context, Some(true));
    assert_eq!(transfer.queue.len(), 2);
    assert!(!transfer.paused && !transfer.playing_queue);

    let paused = json!({"restore_paused": "pause"});
    let Command::Transfer(Some(transfer)) = both(transfer_command(&state(true), paused)) else {
        panic!("a transfer");
    };
    assert_eq!(transfer.track, Some(Entry::new("spotify:track:a", "")));
    assert_eq!(transfer.queue.len(), 1);
    assert!(transfer.paused && transfer.playing_queue);
}

#[test]
fn a_cluster_tells_who_is_active_and_when_that_was() {
    let cluster = Cluster {
        active_device_id: "phone".into(),
        server_timestamp_ms: 77,
        changed_timestamp_ms: 70,
        transfer_data: state(false).write_to_bytes().expect("bytes"),
        ..Default::default()
    };
    let update = ClusterUpdate {
        cluster: Some(cluster).into(),
        devices_that_changed: vec!["tv".into()],
        ..Default::default()
    };
    let cluster = translate::cluster_update(update).expect("a cluster");
    assert_eq!((cluster.active.as_str(), cluster.server_ms), ("phone", 77));
    assert_eq!(cluster.changed, ["tv"]);
    assert!(cluster.offered.is_some());
    assert_eq!(translate::cluster_update(ClusterUpdate::new()), None);
}

#[test]
fn a_context_is_read_whatever_else_it_holds() {
    let listing = plain::listing(&json!({
        "uri": "spotify:playlist:x", "url": "context://spotify:playlist:x", "novelty": 1,
        "metadata": {"context_description": "Mine", "odd": 5},
        "pages": [
            {"tracks": [{"uri": format!("{SONG}?v=1"), "uid": "01", "metadata": {"a": "b"}}],
             "next_page_url": "hm://more"},
            {"page_url": "hm://artistplaycontext/v1/page/spotify/album/y/km_artist"},
        ],
    }));
    assert_eq!(
        listing.metadata,
        [("context_description".into(), "Mine".into())]
    );
    assert_eq!(listing.pages[0].tracks, [Entry::new(SONG, "01")]);
    assert_eq!(listing.pages[0].next_url.as_deref(), Some("hm://more"));
    assert!(listing.pages[1].url.is_some());
    let more = |raw| serde_json::from_value::<plain::Answer>(raw).map(plain::Answer::into_pages);
    let page = more(json!({"tracks": [{"uri": SONG}]})).expect("a page");
    assert_eq!(page[0].tracks.len(), 1);
    assert_eq!(more(json!({})).expect("a page")[0].tracks.len(), 0);
}
