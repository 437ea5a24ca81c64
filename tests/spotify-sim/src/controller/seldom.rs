//! What the app does seldom: it puts the queue in order, tells of a changed
//! context, gives a device another name, logs it out. And what the service does in bad moments: news
//! that comes late.

use std::time::Instant;

use librespot_protocol::connect::{ClusterUpdate, LogoutCommand, RenameCommand};
use serde_json::json;

use super::{ControlError, Controller, Reply};
use crate::{dealer::To, shared::now_ms};

/// The cluster as it was at some moment.
#[derive(Clone, Debug)]
pub struct OldNews(ClusterUpdate);

impl Controller {
    /// Puts what comes next in order: tracks of the queue first, then those of
    /// the context, each by its URI and the name of its place, as shown.
    ///
    /// # Errors
    /// As every command.
    pub async fn set_queue(
        &self,
        queue: &[String],
        context: &[(String, String)],
    ) -> Result<Reply, ControlError> {
        let queued = queue.iter().map(
            |uri| json!({ "uri": uri, "provider": "queue", "metadata": { "is_queued": "true" } }),
        );
        let rest = context
            .iter()
            .map(|(uri, uid)| json!({ "uri": uri, "uid": uid, "provider": "context" }));
        let next: Vec<_> = queued.chain(rest).collect();
        let revision = self.look(|state| state.player.queue_revision.clone());
        self.command(json!({
            "endpoint": "set_queue",
            "next_tracks": next,
            "prev_tracks": [],
            "queue_revision": revision,
        }))
        .await
    }

    /// The tracks to come with the names of their places, without the queue.
    pub fn next_places(&self) -> Vec<(String, String)> {
        self.look(|state| {
            let next = state.player.next_tracks.iter();
            next.filter(|track| track.provider == "context")
                .filter(|track| track.uri != "spotify:delimiter")
                .map(|track| (track.uri.clone(), track.uid.clone()))
                .collect()
        })
    }

    /// Skips to the track of this place among those that come next.
    ///
    /// # Errors
    /// As every command.
    pub async fn next_to_place(&self, uri: &str, uid: &str) -> Result<Reply, ControlError> {
        let track = json!({ "uri": uri, "uid": uid });
        self.command(json!({ "endpoint": "skip_next", "track": track }))
            .await
    }

    /// Tells that this context holds these tracks now.
    ///
    /// # Errors
    /// As every command.
    pub async fn update_context(
        &self,
        uri: &str,
        tracks: &[String],
    ) -> Result<Reply, ControlError> {
        let tracks: Vec<_> = tracks.iter().map(|uri| json!({ "uri": uri })).collect();
        self.command(json!({
            "endpoint": "update_context",
            "context": { "uri": uri, "pages": [{ "tracks": tracks }] },
        }))
        .await
    }

    /// Tells a device to forget the account. There is no answer to this.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn log_out(&self) -> Result<(), ControlError> {
        let (device, connection) = self.target()?;
        self.note(&device, "logout");
        let uri = "hm://connect-state/v1/connect/logout";
        let command = LogoutCommand::default();
        let to = To::One(&connection);
        self.shared.dealers.push(&self.user, to, uri, &command);
        Ok(())
    }

    /// Gives the device another name, where it offers that. It does not reply to this: the latency is
    /// the time until it is listed by that name.
    ///
    /// # Errors
    /// When it does not offer it, or is not called so in time.
    pub async fn rename(&self, name: &str) -> Result<Reply, ControlError> {
        let (device, connection) = self.target()?;
        let offered = self.look(|state| {
            let member = state.members.get(&device)?;
            Some(member.info.capabilities.supports_rename)
        });
        if offered != Some(true) {
            return Err(self.failed("the device does not offer to be renamed"));
        }
        let command = RenameCommand {
            rename_to: name.to_owned(),
            ..Default::default()
        };
        self.note(&device, &format!("rename {name}"));
        let since = Instant::now();
        let uri = "hm://connect-state/v1/connect/rename";
        let to = To::One(&connection);
        self.shared.dealers.push(&self.user, to, uri, &command);
        self.wait_for_device(name, self.limit).await?;
        Ok(Reply {
            success: true,
            latency: since.elapsed(),
        })
    }

    /// What the service would tell all devices now...
    pub fn news_of_now(&self) -> OldNews {
        let cluster = self.look(|state| state.to_proto(now_ms()));
        OldNews(ClusterUpdate {
            cluster: Some(cluster).into(),
            ..Default::default()
        })
    }

    /// ...and what it tells them late.
    pub fn deliver_late(&self, news: &OldNews) {
        let uri = "hm://connect-state/v1/cluster";
        self.shared.dealers.push(&self.user, To::All, uri, &news.0);
    }
}
