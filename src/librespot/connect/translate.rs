//! From what the dealer and the service say to the machine's own words. Leniently: librespot-core
//! parses commands strictly and passes on what it cannot parse as raw JSON, which is read here.

use base64::{Engine, prelude::BASE64_STANDARD};
use librespot_core::dealer::protocol::{Command as Wire, Request, SkipTo as WireSkipTo};
use librespot_protocol::{
    connect::{Cluster as WireCluster, ClusterUpdate},
    context::Context,
    context_page::ContextPage,
    context_track::ContextTrack,
    player::{PlayOrigin, ProvidedTrack},
    restrictions::Restrictions,
    transfer_state::TransferState,
};
use protobuf::Message;

use crate::{
    connect::{
        Cluster, Command, Entry, Listing, Options, Order, Origin, Page, Play, Provided, Sender,
        SkipTo, Transfer, Uid, Uri,
    },
    model::{Forbidden, LinkKind, Load, Peer, Restriction, Transport},
};

use super::json;

/// Set by the service on tracks that a listener queued.
pub(super) const IS_QUEUED: &str = "is_queued";
/// Set on tracks that the service chose.
pub(super) const IS_AUTOPLAY: &str = "autoplay.is_autoplay";

/// A command of an app, and who sent it.
pub fn command(request: Request) -> (Sender, Command) {
    let sender = Sender {
        device: request.sent_by_device_id,
        message: request.message_id,
    };
    let command = match request.command {
        Wire::Play(play) => {
            let overrides = play.options.player_options_override;
            Command::Play(Box::new(Play {
                context: listing(play.context),
                origin: origin(play.play_origin),
                skip_to: play.options.skip_to.map(skip_to).unwrap_or_default(),
                seek_to: play.options.seek_to,
                paused: play.options.initially_paused.unwrap_or(false),
                options: overrides
                    .map(|it| Options {
                        shuffle: it.shuffling_context,
                        repeat_context: it.repeating_context,
                        repeat_track: it.repeating_track,
                    })
                    .unwrap_or_default(),
            }))
        }
        Wire::Transfer(transfer) => {
            let paused = transfer.options.restore_paused;
            Command::Transfer(transfer.data.map(|data| {
                let mut transfer = self::transfer(data);
                restore_paused(&mut transfer, paused.as_deref());
                Box::new(transfer)
            }))
        }
        Wire::Pause(_) => Command::Pause,
        Wire::Resume(_) => Command::Resume,
        Wire::SkipPrev(_) => Command::SkipPrev,
        Wire::SkipNext(skip) => Command::SkipNext {
            track: skip.track.map(provided_entry).filter(is_named),
        },
        Wire::SeekTo(seek) => Command::SeekTo {
            position_ms: seek.value,
        },
        Wire::SetShufflingContext(set) => Command::Shuffle(set.value),
        Wire::SetRepeatingContext(set) => Command::RepeatContext(set.value),
        Wire::SetRepeatingTrack(set) => Command::RepeatTrack(set.value),
        Wire::SetOptions(set) => Command::Options(Options {
            shuffle: set.shuffling_context,
            repeat_context: set.repeating_context,
            repeat_track: set.repeating_track,
        }),
        Wire::AddToQueue(add) => Command::AddToQueue(provided_entry(add.track)),
        Wire::SetQueue(set) => Command::SetQueue {
            next: set.next_tracks.into_iter().map(provided).collect(),
        },
        Wire::UpdateContext(update) => Command::UpdateContext(listing(update.context)),
        Wire::Unknown(raw) => json::command(&raw),
    };
    (sender, command)
}

/// The device that gives playback away may say how it is to go on.
pub(super) fn restore_paused(transfer: &mut Transfer, word: Option<&str>) {
    match word {
        Some("pause") => transfer.paused = true,
        Some("resume") => transfer.paused = false,
        _ => {}
    }
}

fn skip_to(skip_to: WireSkipTo) -> SkipTo {
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    SkipTo {
        uid: some(skip_to.track_uid).map(|uid| Uid::new(&uid)),
        uri: some(skip_to.track_uri).map(|uri| track_uri(&uri)),
        index: skip_to.track_index,
    }
}

/// Some addresses carry a query, which is no part of the name.
pub(super) fn track_uri(uri: &str) -> Uri {
    Uri::new(uri.split('?').next().unwrap_or_default())
}

fn is_named(entry: &Entry) -> bool {
    !entry.uri.is_empty() || !entry.uid.is_empty()
}

fn provided_entry(track: ProvidedTrack) -> Entry {
    Entry {
        uri: track_uri(&track.uri),
        uid: Uid::new(&track.uid),
    }
}

fn provided(track: ProvidedTrack) -> Provided {
    let flagged = track.metadata.get(IS_QUEUED).is_some_and(|is| is == "true");
    Provided {
        queued: flagged || track.provider == "queue",
        entry: provided_entry(track),
    }
}

pub fn listing(context: Context) -> Listing {
    Listing {
        uri: context.uri.unwrap_or_default(),
        url: context.url.unwrap_or_default(),
        metadata: context.metadata.into_iter().collect(),
        restrictions: context
            .restrictions
            .as_ref()
            .map(restrictions)
            .unwrap_or_default(),
        pages: context.pages.into_iter().map(page).collect(),
    }
}

fn restrictions(said: &Restrictions) -> Vec<Restriction> {
    let all = [
        (&said.disallow_pausing_reasons, Forbidden::Pause),
        (&said.disallow_resuming_reasons, Forbidden::Resume),
        (&said.disallow_seeking_reasons, Forbidden::Seek),
        (&said.disallow_skipping_next_reasons, Forbidden::Next),
        (&said.disallow_skipping_prev_reasons, Forbidden::Previous),
        (&said.disallow_toggling_shuffle_reasons, Forbidden::Shuffle),
        (
            &said.disallow_toggling_repeat_context_reasons,
            Forbidden::RepeatContext,
        ),
        (
            &said.disallow_toggling_repeat_track_reasons,
            Forbidden::RepeatTrack,
        ),
        (&said.disallow_add_to_queue_reasons, Forbidden::Queue),
    ];
    all.into_iter()
        .filter_map(|(reasons, what)| Some(json::restriction(what, reasons.first()?)))
        .collect()
}

fn page(page: ContextPage) -> Page {
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    Page {
        tracks: page.tracks.into_iter().filter_map(entry).collect(),
        url: some(page.page_url),
        next_url: some(page.next_page_url),
    }
}

fn entry(track: ContextTrack) -> Option<Entry> {
    let uri = match track.uri.filter(|uri| !uri.is_empty()) {
        Some(uri) => track_uri(&uri),
        None => Uri::of_gid(&track.gid.unwrap_or_default())?,
    };
    Some(Entry {
        uri,
        uid: Uid::new(&track.uid.unwrap_or_default()),
    })
}

fn origin(origin: PlayOrigin) -> Origin {
    Origin {
        feature_identifier: origin.feature_identifier,
        feature_version: origin.feature_version,
        view_uri: origin.view_uri,
        external_referrer: origin.external_referrer,
        referrer_identifier: origin.referrer_identifier,
        device_identifier: origin.device_identifier,
        feature_classes: origin.feature_classes,
    }
}

/// What another device was doing.
pub fn transfer(state: TransferState) -> Transfer {
    let playback = state.playback.unwrap_or_default();
    let session = state.current_session.unwrap_or_default();
    let queue = state.queue.unwrap_or_default();
    let options = state.options.unwrap_or_default();
    let playing_queue = queue.is_playing_queue() && !queue.tracks.is_empty();
    let mut queued = queue.tracks.into_iter();
    let current = if playing_queue {
        queued.next()
    } else {
        playback.current_track.clone().into_option()
    };
    let chosen = current.as_ref().is_some_and(|track| {
        track
            .metadata
            .get(IS_AUTOPLAY)
            .is_some_and(|is| is == "true")
    });
    let origin = session.play_origin.unwrap_or_default();
    let context = listing(session.context.unwrap_or_default());
    Transfer {
        autoplay: chosen || context.uri.starts_with("spotify:station:"),
        context,
        origin: Origin {
            feature_identifier: origin.feature_identifier.unwrap_or_default(),
            feature_version: origin.feature_version.unwrap_or_default(),
            view_uri: origin.view_uri.unwrap_or_default(),
            external_referrer: origin.external_referrer.unwrap_or_default(),
            referrer_identifier: origin.referrer_identifier.unwrap_or_default(),
            device_identifier: origin.device_identifier.unwrap_or_default(),
            feature_classes: origin.feature_classes,
        },
        track: current.and_then(entry),
        current_uid: session
            .current_uid
            .filter(|uid| !uid.is_empty())
            .map(|uid| Uid::new(&uid)),
        playing_queue,
        queue: queued.filter_map(entry).collect(),
        position_ms: u32::try_from(playback.position_as_of_timestamp.unwrap_or(0)).unwrap_or(0),
        at_ms: playback.timestamp.unwrap_or(0),
        paused: playback.is_paused.unwrap_or(false),
        options: Options {
            shuffle: options.shuffling_context,
            repeat_context: options.repeating_context,
            repeat_track: options.repeating_track,
        },
    }
}

pub(super) fn transfer_from_base64(data: &str) -> Result<Transfer, String> {
    let bytes = BASE64_STANDARD
        .decode(data)
        .map_err(|error| format!("the transferred state is no base64: {error}"))?;
    TransferState::parse_from_bytes(&bytes)
        .map(transfer)
        .map_err(|error| format!("the transferred state cannot be read: {error}"))
}

/// A cluster that was pushed. `None` when it holds nothing.
pub fn cluster_update(update: ClusterUpdate) -> Option<Cluster> {
    let cluster = update.cluster.into_option()?;
    Some(Cluster {
        changed: update.devices_that_changed,
        ..self::cluster(cluster)
    })
}

pub fn cluster(cluster: WireCluster) -> Cluster {
    let offered = (!cluster.transfer_data.is_empty())
        .then(|| TransferState::parse_from_bytes(&cluster.transfer_data).ok())
        .flatten();
    let devices = cluster.device.into_iter().map(|(id, device)| Peer {
        id,
        kind: format!("{:?}", device.device_type.enum_value_or_default()).to_lowercase(),
        name: device.name,
        active: false,
    });
    Cluster {
        devices: devices.collect(),
        active: cluster.active_device_id,
        server_ms: if cluster.server_timestamp_ms > 0 {
            cluster.server_timestamp_ms
        } else {
            cluster.changed_timestamp_ms
        },
        changed: Vec::new(),
        session_id: cluster
            .player_state
            .into_option()
            .map(|player| player.session_id)
            .unwrap_or_default(),
        offered: offered.map(|state| Box::new(transfer(state))),
    }
}

/// A wish about what plays. `user` is who is signed in: whose saved tracks are meant.
pub fn order(wish: Transport, user: &str) -> Order {
    match wish {
        Transport::Play => Order::Play,
        Transport::Pause => Order::Pause,
        Transport::Toggle => Order::Toggle,
        Transport::Stop => Order::Stop,
        Transport::Next => Order::Next,
        Transport::Previous => Order::Previous,
        Transport::Seek { position_ms } => Order::Seek { position_ms },
        Transport::SeekBy { ms } => Order::SeekBy { ms },
        Transport::Volume { percent } => Order::SetVolume(percent.volume()),
        Transport::VolumeBy { points } => Order::VolumeBy(points),
        Transport::Mute { on } => Order::Mute(on),
        Transport::Shuffle { on } => Order::Shuffle(on),
        Transport::Repeat { mode } => Order::Repeat(mode),
        Transport::Load(load) => Order::Load(Box::new(self::load(*load, user))),
        Transport::Enqueue { link } => Order::Enqueue(Uri::new(link.uri())),
        Transport::Pull => Order::Pull,
        Transport::Send { device } => Order::Send(device),
        Transport::Sleep { timer, fade_ms } => Order::Sleep { timer, fade_ms },
    }
}

fn load(load: Load, user: &str) -> Play {
    let uri = match load.link.kind() {
        LinkKind::Collection => format!("spotify:user:{user}:collection"),
        _ => load.link.uri().to_owned(),
    };
    Play {
        context: Listing {
            url: format!("context://{uri}"),
            uri,
            ..Listing::default()
        },
        skip_to: SkipTo {
            uid: None,
            uri: load.track.map(|track| Uri::new(track.uri())),
            index: load.index,
        },
        seek_to: Some(load.position_ms),
        paused: load.paused,
        options: Options {
            shuffle: load.shuffle,
            ..Options::default()
        },
        ..Play::default()
    }
}
