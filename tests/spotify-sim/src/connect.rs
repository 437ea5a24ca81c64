//! Connect-state: devices put what they are and do, and hear of each other.

use std::sync::Arc;

use hyper::{Method, StatusCode};
use librespot_protocol::connect::{
    ClusterUpdate, ClusterUpdateReason, PutStateReason, PutStateRequest,
};
use protobuf::{EnumOrUnknown, Message};

use crate::{
    cluster::State,
    controller::Controller,
    dealer::To,
    faults::Place,
    http::{self, Answer, Ask},
    shared::{Shared, now_ms, random_text},
};

pub(crate) const DEVICES: &str = "/connect-state/v1/devices/";
pub(crate) const TRANSFER: &str = "/connect-state/v1/connect/transfer/from/";
const CLUSTER: &str = "hm://connect-state/v1/cluster";

pub(crate) fn answer(shared: &Arc<Shared>, ask: &Ask) -> Answer {
    let (Some(user), Some(path)) = (&ask.user, ask.rest(DEVICES)) else {
        return http::status(StatusCode::NOT_FOUND);
    };
    let record = |device: &str, text: String| {
        shared
            .record
            .add(Place::ConnectState, Some(user), Some(device), text);
    };
    match (&ask.method, path.split_once('/')) {
        (&Method::PUT, None) => put(shared, ask, user, path),
        (&Method::PUT, Some((device, "inactive"))) => {
            record(device, "PUT inactive".to_owned());
            let news = shared
                .clusters
                .with(user, |state| state.deactivate(device, now_ms()));
            tell(
                shared,
                user,
                device,
                ClusterUpdateReason::DEVICE_STATE_CHANGED,
                news,
            );
            cluster(shared, user)
        }
        (&Method::DELETE, None) => {
            record(path, "DELETE".to_owned());
            let news = shared
                .clusters
                .with(user, |state| state.remove(path, now_ms()));
            tell(
                shared,
                user,
                path,
                ClusterUpdateReason::DEVICES_DISAPPEARED,
                news,
            );
            cluster(shared, user)
        }
        _ => http::status(StatusCode::NOT_FOUND),
    }
}

/// A device asks that playback move, as `POST …/from/{id}/to/{id}`; the two
/// are the same when it wants what the active device has.
pub(crate) async fn transfer(shared: &Arc<Shared>, ask: &Ask) -> Answer {
    let to = ask.path.rsplit('/').next().unwrap_or_default();
    let Some(user) = &ask.user else {
        return http::status(StatusCode::UNAUTHORIZED);
    };
    shared.record.add(
        Place::ConnectState,
        Some(user),
        ask.device.as_deref(),
        format!("transfer to {to}"),
    );
    let controller = Controller::new(shared.clone(), user);
    if controller.is_phone(to) {
        // The phone plays at once; the receiver hears of it from the cluster.
        controller.plays_on_phone();
        return http::status(StatusCode::OK);
    }
    let moved = controller.transfer_here(to).await;
    http::status(match moved {
        Ok(reply) if reply.success => StatusCode::OK,
        Ok(_) => StatusCode::BAD_GATEWAY,
        Err(_) => StatusCode::NOT_FOUND,
    })
}

fn put(shared: &Arc<Shared>, ask: &Ask, user: &str, device: &str) -> Answer {
    let Ok(request) = PutStateRequest::parse_from_bytes(&ask.body) else {
        return http::status(StatusCode::BAD_REQUEST);
    };
    let reason = request.put_state_reason.enum_value_or_default();
    let text = describe(shared, &request, reason);
    shared
        .record
        .add(Place::ConnectState, Some(user), Some(device), text);
    let connection = ask.header("x-spotify-connection-id").unwrap_or_default();
    if !shared.dealers.knows(connection, user) {
        shared.record.add(
            Place::Other,
            Some(user),
            Some(device),
            "  unknown connection id",
        );
        return http::status(StatusCode::BAD_REQUEST);
    }
    let news = shared.clusters.with(user, |state| {
        state.put(device, &request, Some(connection), now_ms())
    });
    let reason = match reason {
        PutStateReason::NEW_DEVICE => ClusterUpdateReason::NEW_DEVICE_APPEARED,
        PutStateReason::VOLUME_CHANGED => ClusterUpdateReason::DEVICE_VOLUME_CHANGED,
        _ => ClusterUpdateReason::DEVICE_STATE_CHANGED,
    };
    tell(shared, user, device, reason, news);
    cluster(shared, user)
}

fn describe(shared: &Shared, request: &PutStateRequest, reason: PutStateReason) -> String {
    let info = &request.device.device_info;
    let player = &request.device.player_state;
    let does = match (
        request.is_active,
        player.is_playing,
        player.is_paused,
        player.is_buffering,
    ) {
        (false, ..) => "inactive",
        (true, true, true, _) => "paused",
        (true, true, false, true) => "loading",
        (true, true, false, false) => "playing",
        (true, false, ..) => "stopped",
    };
    let track = shared.catalogue.track(&player.track.uri);
    let track = track
        .map(|track| format!(" \"{}\"", track.title))
        .unwrap_or_default();
    let position = player.position_as_of_timestamp;
    format!(
        "PUT {reason:?} of \"{}\": {does}{track} at {position} ms, volume {}",
        info.name, info.volume
    )
}

fn cluster(shared: &Shared, user: &str) -> Answer {
    http::message(&shared.clusters.with(user, |state| state.to_proto(now_ms())))
}

/// Lets those who wait look again and, if it is news, pushes the cluster to
/// all devices of the user, also to the one that changed it. Only a new
/// device is left out: it has the cluster as the answer to its own word, and
/// may have begun to play on the strength of it.
pub(crate) fn tell(
    shared: &Shared,
    user: &str,
    device: &str,
    reason: ClusterUpdateReason,
    news: bool,
) {
    if news {
        let is_new = reason == ClusterUpdateReason::NEW_DEVICE_APPEARED;
        let (cluster, skipped) = shared.clusters.with(user, |state: &mut State| {
            state.note_push(is_new.then_some(device));
            let skipped = state.members.get(device).filter(|_| is_new);
            let skipped = skipped.and_then(|member| member.connection.clone());
            (state.to_proto(now_ms()), skipped)
        });
        let update = ClusterUpdate {
            cluster: Some(cluster).into(),
            update_reason: EnumOrUnknown::new(reason),
            ack_id: random_text(),
            devices_that_changed: vec![device.to_owned()],
            ..Default::default()
        };
        let to = skipped.as_deref().map_or(To::All, To::AllBut);
        shared.dealers.push(user, to, CLUSTER, &update);
    }
    shared.clusters.changed();
}

/// A dealer socket ended. Its device stays listed for a while, as it may come
/// back by another.
pub(crate) fn lost(shared: &Arc<Shared>, user: &str, connection: &str) {
    let Some(device) = shared
        .clusters
        .with(user, |state| state.by_connection(connection))
    else {
        return;
    };
    let (user, connection, waiting) = (user.to_owned(), connection.to_owned(), shared.clone());
    shared.spawn(async move {
        tokio::time::sleep(waiting.options.grace).await;
        let gone = waiting.clusters.with(&user, |state| {
            let same = state.by_connection(&connection).as_deref() == Some(device.as_str());
            same && state.remove(&device, now_ms())
        });
        if gone {
            let text = "taken off the list: it did not come back";
            waiting
                .record
                .add(Place::Other, Some(&user), Some(&device), text);
            tell(
                &waiting,
                &user,
                &device,
                ClusterUpdateReason::DEVICES_DISAPPEARED,
                true,
            );
        }
    });
}
