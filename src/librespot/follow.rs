//! From librespot's events and Spotify's cluster to one [`Playback`], the truth for everybody else.

use librespot_metadata::audio::{AudioItem, UniqueFields};
use librespot_playback::player::PlayerEvent;
use librespot_protocol::player::PlayerState as ClusterPlayer;

use crate::model::{PlayState, Playback, Repeat, Track, Volume};

/// Keeps the picture up to date. Every method returns true when the picture changed.
pub struct Follower {
    pub playback: Playback,
    /// The request that is current; events of earlier ones come late and are not about now.
    request: Option<u64>,
    /// Whether what was resolved last is an album. What connect-state shows may be older than that.
    album: bool,
}

impl Follower {
    pub fn new(volume: Volume) -> Self {
        Self {
            playback: Playback::silent(volume),
            request: None,
            album: false,
        }
    }

    /// The play request that is current, as librespot counts them.
    pub fn request(&self) -> Option<u64> {
        self.request
    }

    /// Takes an event of the player. `now_ms` is Unix time.
    pub fn event(&mut self, event: &PlayerEvent, now_ms: i64) -> bool {
        if let PlayerEvent::PlayRequestIdChanged { play_request_id } = event {
            self.request = Some(*play_request_id);
            return false;
        }
        let stale = event
            .get_play_request_id()
            .is_some_and(|id| self.request.is_some_and(|now| id < now));
        if stale {
            return false;
        }
        let before = self.playback.clone();
        self.take(event, now_ms);
        self.playback != before
    }

    fn take(&mut self, event: &PlayerEvent, now_ms: i64) {
        match event {
            PlayerEvent::Loading { position_ms, .. } => {
                self.at(PlayState::Loading, *position_ms, now_ms)
            }
            PlayerEvent::Playing { position_ms, .. } => {
                self.at(PlayState::Playing, *position_ms, now_ms)
            }
            PlayerEvent::Paused { position_ms, .. } => {
                self.at(PlayState::Paused, *position_ms, now_ms)
            }
            PlayerEvent::Seeked { position_ms, .. }
            | PlayerEvent::PositionCorrection { position_ms, .. } => {
                self.at(self.playback.state, *position_ms, now_ms);
            }
            PlayerEvent::Stopped { .. } => self.at(PlayState::Stopped, 0, now_ms),
            PlayerEvent::TrackChanged { audio_item } => {
                self.playback.track = Some(track(audio_item))
            }
            PlayerEvent::VolumeChanged { volume } => self.playback.volume = Volume(*volume),
            PlayerEvent::ShuffleChanged { shuffle } => self.playback.shuffle = *shuffle,
            PlayerEvent::RepeatChanged { context, track } => {
                self.playback.repeat = repeat(*context, *track);
            }
            PlayerEvent::SessionConnected { .. } => self.playback.active = true,
            PlayerEvent::SessionDisconnected { .. } => {
                self.playback.active = false;
                self.at(PlayState::Stopped, 0, now_ms);
            }
            _ => {}
        }
    }

    /// The context that a command led to.
    pub fn context(&mut self, uri: String) -> bool {
        let album = uri.starts_with("spotify:album:");
        let news = self.playback.context.as_ref() != Some(&uri) || album != self.album;
        self.album = album;
        if news {
            self.playback.index = None;
            self.playback.context = Some(uri);
        }
        news
    }

    /// Whether an album plays in its own order, where the gain of the album is better than each
    /// track's own: quiet tracks stay quieter than loud ones.
    pub fn plays_album_in_order(&self) -> bool {
        self.album && !self.playback.shuffle
    }

    /// Takes what connect-state shows about us while we are the active device.
    pub fn cluster(&mut self, player: &ClusterPlayer) -> bool {
        let before = self.playback.clone();
        if player.context_uri.starts_with("spotify:") {
            let bare_list = player.context_uri == "spotify:web-api";
            self.playback.context = (!bare_list).then(|| player.context_uri.clone());
            self.playback.index = player.index.as_ref().map(|index| index.track);
        }
        if let Some(options) = player.options.as_ref() {
            self.playback.shuffle = options.shuffling_context;
            self.playback.repeat = repeat(options.repeating_context, options.repeating_track);
        }
        self.playback != before
    }

    fn at(&mut self, state: PlayState, position_ms: u32, now_ms: i64) {
        self.playback.state = state;
        self.playback.position_ms = position_ms;
        self.playback.at_ms = now_ms;
    }
}

fn repeat(context: bool, track: bool) -> Repeat {
    match (context, track) {
        (_, true) => Repeat::Track,
        (true, false) => Repeat::Context,
        (false, false) => Repeat::Off,
    }
}

fn track(item: &AudioItem) -> Track {
    let (artists, album) = match &item.unique_fields {
        UniqueFields::Track { artists, album, .. } => (
            artists.0.iter().map(|artist| artist.name.clone()).collect(),
            album.clone(),
        ),
        UniqueFields::Local { artists, album, .. } => (
            artists.iter().cloned().collect(),
            album.clone().unwrap_or_default(),
        ),
        UniqueFields::Episode { show_name, .. } => (vec![show_name.clone()], show_name.clone()),
    };
    let mut covers: Vec<_> = item.covers.iter().collect();
    covers.sort_by_key(|cover| std::cmp::Reverse(cover.width));
    Track {
        uri: item.uri.clone(),
        title: item.name.clone(),
        artists,
        album,
        duration_ms: item.duration_ms,
        explicit: item.is_explicit,
        covers: covers.into_iter().map(|cover| cover.url.clone()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use librespot_core::SpotifyUri;

    fn song() -> SpotifyUri {
        SpotifyUri::from_uri("spotify:track:4uLU6hMCjMI75M1A2tKUQC").expect("a track")
    }

    fn playing(request: u64, position_ms: u32) -> PlayerEvent {
        PlayerEvent::Playing {
            play_request_id: request,
            track_id: song(),
            position_ms,
        }
    }

    #[test]
    fn late_events_of_an_earlier_request_change_nothing() {
        let mut follower = Follower::new(Volume::FULL);
        follower.event(&PlayerEvent::PlayRequestIdChanged { play_request_id: 2 }, 0);
        assert!(!follower.event(&playing(1, 9), 5));
        assert!(follower.event(&playing(2, 7), 5));
        assert_eq!(follower.playback.position_at(105), 107);
    }

    #[test]
    fn losing_the_active_role_ends_playback_in_the_picture() {
        let mut follower = Follower::new(Volume::FULL);
        follower.event(&playing(1, 0), 0);
        let gone = PlayerEvent::SessionDisconnected {
            connection_id: "c".into(),
            user_name: "u".into(),
        };
        assert!(follower.event(&gone, 9));
        assert_eq!(follower.playback.state, PlayState::Stopped);
        assert!(!follower.playback.active);
    }

    #[test]
    fn an_album_in_its_own_order_is_told_from_everything_else() {
        let mut follower = Follower::new(Volume::FULL);
        assert!(!follower.plays_album_in_order());
        follower.context("spotify:album:1".into());
        assert!(follower.plays_album_in_order());
        follower.event(&PlayerEvent::ShuffleChanged { shuffle: true }, 0);
        assert!(!follower.plays_album_in_order());
        follower.event(&PlayerEvent::ShuffleChanged { shuffle: false }, 0);
        follower.context("spotify:playlist:1".into());
        assert!(!follower.plays_album_in_order());
    }

    #[test]
    fn the_cluster_tells_the_context_and_a_bare_list_has_none() {
        let mut follower = Follower::new(Volume::FULL);
        let mut player = ClusterPlayer {
            context_uri: "spotify:album:1".into(),
            ..Default::default()
        };
        assert!(follower.cluster(&player));
        assert_eq!(
            follower.playback.context.as_deref(),
            Some("spotify:album:1")
        );
        player.context_uri = "spotify:web-api".into();
        follower.cluster(&player);
        assert_eq!(follower.playback.context, None);
    }
}
