//! From a Spotify URI to an open track.
//!
//! [`open`] asks what there is by that name and whether it may be played here, chooses a file, and
//! begins to fetch it; the key is asked for beside the first bytes. What it gives back can be read
//! from at once: the reader waits for both.

mod cdn;
mod choice;
mod facts;
pub mod keys;

#[cfg(test)]
mod live;

#[cfg(any(test, fuzzing))]
pub(crate) use cdn::read_places;
#[cfg(any(test, fuzzing))]
pub(crate) use facts::read_any as read_facts;

use std::{sync::Arc, time::Duration};

use hyper::Method;
use librespot_core::{Session, SpotifyId, SpotifyUri};

use super::{
    current::Current,
    service::{self, PROTOBUF, Patience, Question, Trouble},
    session::spotify_ms,
};
use crate::{
    config::Bitrate,
    decode::Kind,
    fetch::{
        self, Budget, Failure, Handle, Reader,
        cache::{Cache, Cached, Name as FileName},
    },
    model::Track,
};
use cdn::Cdn;
use choice::{Chosen, choose};
use facts::{Denied, Item, Rights, Told};

/// Who waits for a track waits so long for what is said about it.
const PATIENCE: Patience = Patience {
    pauses: &[
        Duration::from_millis(200),
        Duration::from_millis(600),
        Duration::from_millis(1_500),
        Duration::from_millis(3_000),
    ],
    limit: Duration::from_secs(15),
};
/// So many other ids of a recording are asked about.
const ALTERNATIVES: usize = 3;

/// How a track is wanted.
#[derive(Clone)]
pub struct Wish {
    pub bitrate: Bitrate,
    pub budget: Budget,
    /// Where whole files are kept, if anywhere.
    pub cache: Option<Cache>,
    /// The byte to begin at: 0, unless the file is known already.
    pub offset: u64,
    /// Whether something else is left to play: then a late key is waited for.
    pub playing: Arc<dyn Fn() -> bool + Send + Sync>,
}

impl Wish {
    /// From the start, with nothing playing before it.
    pub fn now(bitrate: Bitrate) -> Self {
        Self {
            bitrate,
            budget: Budget::Playing,
            cache: None,
            offset: 0,
            playing: Arc::new(|| false),
        }
    }
}

/// A track that is on its way.
pub struct Opened {
    /// What to show. Its URI is the one that was asked for.
    pub facts: Track,
    pub kind: Kind,
    /// As the service says; the file itself knows better.
    pub duration: Duration,
    /// For the decoder's thread. Dropping it ends the fetch.
    pub source: Reader,
    pub fetch: Handle,
    /// The URI whose file it is: another one when the track has moved.
    pub played: String,
    pub file: FileName,
    /// kbit/s, nominal.
    pub kbps: u32,
}

/// Why there is nothing to play.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unopened {
    /// It will not play here, now and later.
    #[error("{0}")]
    Unplayable(Reason),
    /// It might have.
    #[error(transparent)]
    Failed(Failure),
}

/// Why a track cannot be played here, in plain words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    #[error("it is explicit, and the account filters explicit content")]
    Explicit,
    #[error("it is not available in this account's country")]
    Country,
    #[error("it is not released yet")]
    NotYet,
    #[error("Spotify has no audio of it")]
    NoAudio,
    #[error("it is a video without a sound track of its own, which cannot be played here")]
    Video,
    #[error("it comes from another service than Spotify and cannot be played here")]
    Elsewhere,
    #[error("it only comes in formats that cannot be played here")]
    Format,
    #[error("it is a file on the phone or computer, which cannot be played here")]
    Local,
    #[error("it is neither a track nor an episode and cannot be played here")]
    NoTrack,
    #[error("Spotify does not know it")]
    Unknown,
}

/// Opens the track or episode of this URI.
///
/// # Errors
/// When it cannot be played here, or when the service did not answer. What goes wrong with its file
/// or its key after that is told by the source.
pub async fn open(current: &Current, uri: &str, wish: &Wish) -> Result<Opened, Unopened> {
    let session = &current.last();
    let asked = name(uri)?;
    let item = describe(session, &asked).await?;
    if item.shown.explicit && session.filter_explicit_content() {
        return Err(Unopened::Unplayable(Reason::Explicit));
    }
    let (id, chosen) = playable(session, &item, wish.bitrate).await?;
    let file = FileName(chosen.file.0);
    let line = Cached::new(
        Cdn::new(current.clone(), chosen.file),
        wish.cache.clone(),
        file,
    );
    let mut ids = vec![id];
    if id != item.id {
        ids.push(item.id);
    }
    let (owner, playing) = (current.clone(), wish.playing.clone());
    let key = keys::obtain(owner, ids, chosen.file, move || playing());
    let (source, fetch) = fetch::start(line, key, wish.offset, wish.budget);
    let rate = u64::from(chosen.kbps) * 1000 / 8;
    fetch.needs(rate);
    // Quiet music takes a quarter of what it may.
    fetch.expects(u64::from(item.shown.duration_ms / 1000) * rate / 4);
    let duration = Duration::from_millis(item.shown.duration_ms.into());
    Ok(Opened {
        facts: item.shown,
        kind: chosen.kind,
        duration,
        source,
        fetch,
        played: if id == item.id {
            uri.to_owned()
        } else {
            asked.of(id)
        },
        file,
        kbps: chosen.kbps,
    })
}

/// What to show of a track, and whether it can be played, without opening it.
///
/// # Errors
/// As [`open`].
pub async fn look(session: &Session, uri: &str) -> Result<Track, Unopened> {
    Ok(describe(session, &name(uri)?).await?.shown)
}

struct Name {
    uri: String,
    episode: bool,
}

impl Name {
    /// The URI of the same kind of thing with this id.
    fn of(&self, id: SpotifyId) -> String {
        let kind = if self.episode { "episode" } else { "track" };
        format!("spotify:{kind}:{}", id.to_base62().unwrap_or_default())
    }
}

fn name(uri: &str) -> Result<Name, Unopened> {
    let reason = match SpotifyUri::from_uri(uri) {
        Ok(SpotifyUri::Track { .. }) => {
            return Ok(Name {
                uri: uri.to_owned(),
                episode: false,
            });
        }
        Ok(SpotifyUri::Episode { .. }) => {
            return Ok(Name {
                uri: uri.to_owned(),
                episode: true,
            });
        }
        _ if uri.starts_with("spotify:local:") => Reason::Local,
        _ => Reason::NoTrack,
    };
    Err(Unopened::Unplayable(reason))
}

async fn describe(session: &Session, name: &Name) -> Result<Item, Unopened> {
    let endpoint = "/extended-metadata/v0/extended-metadata";
    let asked = facts::question(&name.uri, name.episode);
    let question = question(session, Method::POST, endpoint, asked);
    let answer = service::persist(session, &question, PATIENCE).await;
    let answer = answer.map_err(|trouble| match trouble {
        Trouble::Status {
            status: 404 | 410, ..
        } => Unopened::Unplayable(Reason::Unknown),
        other => failed(other.to_string()),
    })?;
    let covers = session.get_user_attribute("image-url");
    let covers = covers.as_deref().unwrap_or(facts::COVERS);
    match facts::read(&answer, &name.uri, name.episode, covers) {
        Told::Item(item) => Ok(*item),
        Told::Unknown => Err(Unopened::Unplayable(Reason::Unknown)),
        Told::Nonsense => Err(failed(
            "what Spotify says about it makes no sense".to_owned(),
        )),
    }
}

/// A question as the apps ask it here: with the country, and never answered from a cache.
fn question(session: &Session, method: Method, endpoint: &str, body: Vec<u8>) -> Question {
    let country = session.country();
    let salt: u32 = rand::random();
    let path = format!("{endpoint}?product=0&country={country}&salt={salt}");
    Question::new(method, path, body, PROTOBUF)
}

fn failed(why: String) -> Unopened {
    Unopened::Failed(Failure::Line { why })
}

/// The file to play, and the id it belongs to: the track's own, or that of the same recording under
/// another id when this one is not for us or has no files.
async fn playable(
    session: &Session,
    item: &Item,
    bitrate: Bitrate,
) -> Result<(SpotifyId, Chosen), Unopened> {
    let own = allowed(session, &item.rights);
    if own.is_ok()
        && let Some(chosen) = choose(&item.files, bitrate)
    {
        return Ok((item.id, chosen));
    }
    for other in item.alternatives.iter().take(ALTERNATIVES) {
        if allowed(session, &other.rights).is_err() {
            continue;
        }
        if let Some(chosen) = choose(&other.files, bitrate) {
            return Ok((other.id, chosen));
        }
        if !other.files.is_empty() {
            continue;
        }
        let track = Name {
            uri: String::new(),
            episode: false,
        };
        let uri = track.of(other.id);
        let Ok(told) = describe(session, &Name { uri, ..track }).await else {
            continue;
        };
        if allowed(session, &told.rights).is_ok()
            && let Some(chosen) = choose(&told.files, bitrate)
        {
            return Ok((other.id, chosen));
        }
    }
    Err(Unopened::Unplayable(match own {
        Err(Denied::Country) => Reason::Country,
        Err(Denied::NotYet) => Reason::NotYet,
        Ok(()) if !item.files.is_empty() => Reason::Format,
        Ok(()) if item.elsewhere => Reason::Elsewhere,
        Ok(()) if item.video => Reason::Video,
        Ok(()) => Reason::NoAudio,
    }))
}

fn allowed(session: &Session, rights: &Rights) -> Result<(), Denied> {
    let catalogue = session.get_user_attribute("catalogue");
    let catalogue = catalogue.as_deref().unwrap_or("premium");
    let now = spotify_ms(session);
    rights.allow(&session.country(), catalogue, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(uri: &str) -> Option<Unopened> {
        name(uri).err()
    }

    #[test]
    fn what_is_no_track_is_told_in_plain_words() {
        assert_eq!(refused("spotify:track:4uLU6hMCjMI75M1A2tKUQC"), None);
        assert_eq!(refused("spotify:episode:4uLU6hMCjMI75M1A2tKUQC"), None);
        let local = refused("spotify:local:A:B:C:100");
        assert_eq!(local, Some(Unopened::Unplayable(Reason::Local)));
        for other in [
            "spotify:album:4uLU6hMCjMI75M1A2tKUQC",
            "spotify:delimiter",
            "",
            "x:ä",
        ] {
            assert_eq!(
                refused(other),
                Some(Unopened::Unplayable(Reason::NoTrack)),
                "{other}"
            );
        }
    }
}
