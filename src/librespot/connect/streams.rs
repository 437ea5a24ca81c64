//! What the dealer pushes, as one stream of the machine's own words.

use std::time::Duration;

use futures_util::StreamExt;
use librespot_core::{
    Error, Session,
    dealer::{
        manager::{BoxedStream, BoxedStreamResult, Reply, RequestReply},
        protocol::Message,
    },
};
use librespot_protocol::{
    connect::{ClusterUpdate, LogoutCommand, RenameCommand, SetVolumeCommand},
    explicit_content_pubsub::UserAttributesUpdate,
    playlist4_external::PlaylistModificationInfo,
    user_attributes::UserAttributesMutation,
};
use tokio::{sync::mpsc::UnboundedSender, time::timeout};
use tracing::debug;

use super::translate;
use crate::{
    connect::{Command, Input, Sender, Settings},
    model::Volume,
};

/// How long the dealer may take to open.
const START_LIMIT: Duration = Duration::from_secs(5);

/// One thing that the dealer said.
pub enum Said {
    /// A connection, with its id.
    Connected(String),
    Command {
        from: Sender,
        command: Command,
        answer: UnboundedSender<Reply>,
    },
    /// The speaker is to be called so.
    Renamed(String),
    Other(Input),
}

pub struct Streams {
    session: Session,
    connections: BoxedStreamResult<String>,
    clusters: BoxedStreamResult<ClusterUpdate>,
    commands: BoxedStream<RequestReply>,
    volumes: BoxedStreamResult<SetVolumeCommand>,
    logouts: BoxedStreamResult<LogoutCommand>,
    renames: BoxedStreamResult<RenameCommand>,
    playlists: BoxedStreamResult<PlaylistModificationInfo>,
    updates: BoxedStreamResult<UserAttributesUpdate>,
    mutations: BoxedStreamResult<UserAttributesMutation>,
}

impl Streams {
    /// Listens. To be done before the dealer is started, or its first words are lost.
    ///
    /// # Errors
    /// When somebody listens already.
    pub fn listen(session: Session) -> Result<Self, Error> {
        let dealer = session.dealer();
        Ok(Self {
            connections: dealer.listen_for("hm://pusher/v1/connections/", connection)?,
            clusters: dealer.listen_for("hm://connect-state/v1/cluster", Message::from_raw)?,
            commands: dealer.handle_for("hm://connect-state/v1/player/command")?,
            volumes: dealer
                .listen_for("hm://connect-state/v1/connect/volume", Message::from_raw)?,
            logouts: dealer
                .listen_for("hm://connect-state/v1/connect/logout", Message::from_raw)?,
            // Beside the two above, as its message stands beside theirs; nobody has written it down.
            renames: dealer
                .listen_for("hm://connect-state/v1/connect/rename", Message::from_raw)?,
            playlists: dealer.listen_for("hm://playlist/v2/playlist/", Message::from_raw)?,
            updates: dealer.listen_for("spotify:user:attributes:update", Message::from_raw)?,
            mutations: dealer.listen_for("spotify:user:attributes:mutated", Message::from_raw)?,
            session,
        })
    }

    /// Opens the dealer. The session has to be signed in.
    ///
    /// # Errors
    /// When it cannot be opened in time.
    pub async fn start(&mut self) -> Result<(), String> {
        match timeout(START_LIMIT, self.session.dealer().start()).await {
            Ok(started) => started.map_err(|error| error.to_string()),
            Err(_) => Err("the dealer does not answer".to_owned()),
        }
    }

    /// What the account's own settings say now.
    pub fn settings(&self) -> Settings {
        settings(&self.session)
    }

    /// The next thing; `None` when the dealer is gone for good. May be dropped at any time.
    pub async fn next(&mut self) -> Option<Said> {
        loop {
            let said = tokio::select! {
                // A connection is told before anything that came over it.
                biased;
                said = self.connections.next() => said?.ok().map(Said::Connected),
                said = self.clusters.next() => said?
                    .ok()
                    .and_then(translate::cluster_update)
                    .map(|cluster| Said::Other(Input::Cluster(cluster))),
                said = self.commands.next() => {
                    let (request, answer) = said?;
                    debug!("an app asks: {}", request.command);
                    let (from, command) = translate::command(request);
                    Some(Said::Command { from, command, answer })
                }
                said = self.volumes.next() => said?.ok().map(|it| Said::Other(volume(&it))),
                said = self.logouts.next() => said?.ok().map(|_| Said::Other(Input::Logout)),
                said = self.renames.next() => said?.ok().map(|it| Said::Renamed(it.rename_to)),
                said = self.playlists.next() => said?.ok().and_then(playlist).map(Said::Other),
                said = self.updates.next() => said?.ok().map(|it| self.update(it)),
                said = self.mutations.next() => said?.ok().map(|it| self.mutate(&it)),
            };
            if said.is_some() {
                return said;
            }
        }
    }

    fn update(&self, update: UserAttributesUpdate) -> Said {
        let pairs = update.pairs.into_iter();
        let attributes = pairs.collect();
        self.session.set_user_attributes(attributes);
        Said::Other(Input::Settings(self.settings()))
    }

    /// The names of attributes that were switched over.
    fn mutate(&self, mutation: &UserAttributesMutation) -> Said {
        for field in &mutation.fields {
            let now = match self.session.get_user_attribute(&field.name).as_deref() {
                Some("0") => "1",
                Some("1") => "0",
                _ => continue,
            };
            self.session.set_user_attribute(&field.name, now);
        }
        Said::Other(Input::Settings(self.settings()))
    }
}

/// What an account's settings say; `autoplay` may be overridden by the configuration.
pub fn settings(session: &Session) -> Settings {
    Settings {
        autoplay: session.autoplay(),
        filter_explicit: session.filter_explicit_content(),
    }
}

fn connection(message: Message) -> Result<String, Error> {
    let name = "Spotify-Connection-Id";
    let found = message
        .headers
        .iter()
        .find(|(key, _)| key.eq_ignore_ascii_case(name));
    found
        .map(|(_, id)| id.clone())
        .ok_or_else(|| Error::invalid_argument("a connection without an id"))
}

fn volume(command: &SetVolumeCommand) -> Input {
    let volume = command.volume.clamp(0, i32::from(u16::MAX));
    Input::SetVolume(Volume(volume as u16))
}

fn playlist(info: PlaylistModificationInfo) -> Option<Input> {
    let uri = String::from_utf8(info.uri?).ok()?;
    Some(Input::ContextChanged { uri })
}
