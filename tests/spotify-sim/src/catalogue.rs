//! The music of the simulated service: albums and a playlist, all generated.
//!
//! Every track is made of sounds that tell which track it is, which channel,
//! and (on the staircase) which position, so that a capture at the sound card
//! can be judged without ears. Owns the ids, the source samples and the
//! encoded files; knows nothing of who asks for them. Start at
//! [`Catalogue::standard`].
//!
//! Nothing is generated before somebody asks for it; encoded files are kept
//! on disk and in memory.

mod base62;
mod file;
mod list;
mod service_page;
mod song;

use std::sync::{Arc, LazyLock, Mutex, Weak};

use sha1::{Digest, Sha1};

pub use base62::{decode as decode_base62, encode as encode_base62};
pub use song::{SAMPLE_RATE, Song};

/// Bytes of the service's own page in front of the Ogg Vorbis stream.
pub const SERVICE_PAGE_LEN: usize = service_page::LEN;

/// What the service streams, in kbit/s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Quality {
    Kbps96,
    Kbps160,
    Kbps320,
}

impl Quality {
    pub const ALL: [Quality; 3] = [Quality::Kbps96, Quality::Kbps160, Quality::Kbps320];

    /// The nominal rate in kbit/s.
    pub fn kbps(self) -> u32 {
        match self {
            Quality::Kbps96 => 96,
            Quality::Kbps160 => 160,
            Quality::Kbps320 => 320,
        }
    }
}

/// A file that the service hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    Vorbis(Quality),
    /// Only of some episodes.
    Mp3,
}

/// What stands in the way of a track, and what it is besides music.
#[derive(Debug, Default)]
pub struct Terms {
    /// An episode of this show: its uri begins with `spotify:episode:`.
    pub show: Option<Arc<str>>,
    pub explicit: bool,
    /// The only countries it may be played in, two letters each, without separators.
    pub countries: Option<&'static str>,
    /// It has no files of its own.
    pub empty: bool,
    /// The same recording under another id.
    pub moved_to: Option<Arc<Track>>,
    /// Its files hold what this one's hold, encrypted with a key of its own.
    pub sounds_like: Option<Arc<Track>>,
    /// It comes as this MP3 file and not as Vorbis.
    pub mp3: Option<&'static [u8]>,
}

/// Loudness figures as the service writes them into its page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gains {
    pub track_db: f32,
    /// Linear; 1.0 is full scale.
    pub track_peak: f32,
    pub album_db: f32,
    pub album_peak: f32,
}

/// Everything that can be played.
#[derive(Debug, Clone)]
pub struct Catalogue {
    pub albums: Vec<Album>,
    pub playlists: Vec<Playlist>,
    pub shows: Vec<Show>,
}

#[derive(Debug, Clone)]
pub struct Album {
    pub gid: [u8; 16],
    pub title: String,
    pub artist: String,
    pub tracks: Vec<Arc<Track>>,
}

/// A podcast.
#[derive(Debug, Clone)]
pub struct Show {
    pub gid: [u8; 16],
    pub title: String,
    pub episodes: Vec<Arc<Track>>,
}

#[derive(Debug, Clone)]
pub struct Playlist {
    pub gid: [u8; 16],
    pub title: String,
    pub tracks: Vec<Arc<Track>>,
}

/// One piece of music, with everything the back end hands out about it.
#[derive(Debug)]
pub struct Track {
    pub gid: [u8; 16],
    pub title: String,
    /// Place on its album, from 1.
    pub number: u32,
    pub artist: String,
    pub artist_gid: [u8; 16],
    pub album_title: String,
    pub album_gid: [u8; 16],
    /// What it sounds like.
    pub song: Song,
    pub gains: Gains,
    pub terms: Terms,
    /// Held weakly: four minutes of samples are 85 MB.
    samples: Mutex<Weak<Vec<[f32; 2]>>>,
    files: [Mutex<Option<Arc<Vec<u8>>>>; 3],
}

impl Catalogue {
    /// The albums all tests share. Cheap: audio is made when asked for.
    pub fn standard() -> Catalogue {
        static STANDARD: LazyLock<Catalogue> = LazyLock::new(list::standard);
        STANDARD.clone()
    }

    /// The album of that title. Panics with the titles there are: a typing
    /// error in a test should say so.
    pub fn titled(&self, title: &str) -> &Album {
        self.albums
            .iter()
            .find(|a| a.title == title)
            .unwrap_or_else(|| {
                let titles: Vec<_> = self.albums.iter().map(|a| a.title.as_str()).collect();
                panic!("no album \"{title}\"; there are {titles:?}")
            })
    }

    /// Adds an album of so many short tracks, for lists without end.
    pub fn add_album(&mut self, title: &str, tracks: u32) {
        self.albums.push(list::long(title, tracks));
    }

    /// Adds an album of so many tracks of about a minute, each with an id, a key and files of its
    /// own, of which only a few sound different: hours of music that are made in a moment.
    pub fn add_evening(&mut self, title: &str, tracks: u32) {
        self.albums.extend(list::evening(title, tracks));
    }

    /// All tracks of all albums.
    pub fn tracks(&self) -> impl Iterator<Item = &Arc<Track>> {
        self.albums.iter().flat_map(|a| a.tracks.iter())
    }

    /// The track of a `spotify:track:…` uri.
    pub fn track(&self, uri: &str) -> Option<Arc<Track>> {
        let gid = decode_base62(uri.strip_prefix("spotify:track:")?)?;
        self.tracks().find(|t| t.gid == gid).cloned()
    }

    /// The episode of a `spotify:episode:…` uri.
    pub fn episode(&self, uri: &str) -> Option<Arc<Track>> {
        let gid = decode_base62(uri.strip_prefix("spotify:episode:")?)?;
        self.episodes().find(|t| t.gid == gid).cloned()
    }

    /// All episodes of all shows.
    pub fn episodes(&self) -> impl Iterator<Item = &Arc<Track>> {
        self.shows.iter().flat_map(|show| show.episodes.iter())
    }

    /// The show of a `spotify:show:…` uri.
    pub fn show(&self, uri: &str) -> Option<&Show> {
        let gid = decode_base62(uri.strip_prefix("spotify:show:")?)?;
        self.shows.iter().find(|show| show.gid == gid)
    }

    /// The album of a `spotify:album:…` uri.
    pub fn album(&self, uri: &str) -> Option<&Album> {
        let gid = decode_base62(uri.strip_prefix("spotify:album:")?)?;
        self.albums.iter().find(|a| a.gid == gid)
    }

    /// The playlist of a `spotify:playlist:…` uri.
    pub fn playlist(&self, uri: &str) -> Option<&Playlist> {
        let gid = decode_base62(uri.strip_prefix("spotify:playlist:")?)?;
        self.playlists.iter().find(|p| p.gid == gid)
    }

    /// What is played from an album, playlist, show, track or episode uri, in order.
    pub fn context_tracks(&self, uri: &str) -> Option<Vec<Arc<Track>>> {
        self.album(uri)
            .map(|a| a.tracks.clone())
            .or_else(|| self.playlist(uri).map(|p| p.tracks.clone()))
            .or_else(|| self.show(uri).map(|s| s.episodes.clone()))
            .or_else(|| self.track(uri).map(|t| vec![t]))
            .or_else(|| self.episode(uri).map(|e| vec![e]))
    }

    /// Which track or episode a file id names, and which of its files.
    pub fn file(&self, id: [u8; 20]) -> Option<(Arc<Track>, Form)> {
        let all = self.tracks().chain(self.episodes());
        all.into_iter().find_map(|track| {
            let forms = track.forms();
            let form = forms.into_iter().find(|form| track.id_of(*form) == id)?;
            Some((track.clone(), form))
        })
    }

    /// Which track and quality a file id names.
    pub fn by_file_id(&self, id: [u8; 20]) -> Option<(Arc<Track>, Quality)> {
        let of = |t: &Arc<Track>| Quality::ALL.into_iter().find(|q| t.file_id(*q) == id);
        self.tracks().find_map(|t| of(t).map(|q| (t.clone(), q)))
    }
}

impl Album {
    pub fn uri(&self) -> String {
        format!("spotify:album:{}", encode_base62(self.gid))
    }
}

impl Show {
    pub fn uri(&self) -> String {
        format!("spotify:show:{}", encode_base62(self.gid))
    }
}

impl Playlist {
    pub fn uri(&self) -> String {
        format!("spotify:playlist:{}", encode_base62(self.gid))
    }
}

impl Track {
    pub fn uri(&self) -> String {
        let kind = match self.terms.show {
            Some(_) => "episode",
            None => "track",
        };
        format!("spotify:{kind}:{}", encode_base62(self.gid))
    }

    pub fn duration_ms(&self) -> u32 {
        (self.frames() * 1000 / u64::from(SAMPLE_RATE)) as u32
    }

    /// Length in stereo samples at 44.1 kHz.
    pub fn frames(&self) -> u64 {
        self.song.frames()
    }

    /// The files there are of it.
    pub fn forms(&self) -> Vec<Form> {
        match &self.terms {
            Terms { empty: true, .. } => Vec::new(),
            Terms { mp3: Some(_), .. } => vec![Form::Mp3],
            _ => Quality::ALL.map(Form::Vorbis).to_vec(),
        }
    }

    pub fn id_of(&self, form: Form) -> [u8; 20] {
        match form {
            Form::Vorbis(quality) => self.file_id(quality),
            Form::Mp3 => digest("file mp3", &self.gid),
        }
    }

    /// A file of it as it is before encryption.
    pub fn plain(&self, form: Form) -> Arc<Vec<u8>> {
        match (form, self.terms.mp3) {
            (Form::Vorbis(quality), _) => self.plain_file(quality),
            (Form::Mp3, file) => Arc::new(file.unwrap_or_default().to_vec()),
        }
    }

    pub fn file_id(&self, quality: Quality) -> [u8; 20] {
        digest(&format!("file {}", quality.kbps()), &self.gid)
    }

    /// The AES key of its files, the same for all qualities.
    pub fn key(&self) -> [u8; 16] {
        first16(digest("key", &self.gid))
    }

    /// Service page plus Ogg Vorbis, as it is before encryption.
    pub fn plain_file(&self, quality: Quality) -> Arc<Vec<u8>> {
        if let Some(other) = &self.terms.sounds_like {
            return other.plain_file(quality);
        }
        let cell = &self.files[quality as usize];
        let mut kept = cell.lock().unwrap_or_else(|e| e.into_inner());
        kept.get_or_insert_with(|| Arc::new(file::load_or_make(self, quality)))
            .clone()
    }

    /// The source, as it was before encoding: 44.1 kHz stereo.
    pub fn samples(&self) -> Arc<Vec<[f32; 2]>> {
        let mut kept = self.samples.lock().unwrap_or_else(|e| e.into_inner());
        kept.upgrade().unwrap_or_else(|| {
            let made = Arc::new(self.song.samples());
            *kept = Arc::downgrade(&made);
            made
        })
    }
}

fn digest(what: &str, of: &[u8]) -> [u8; 20] {
    Sha1::new()
        .chain_update(what)
        .chain_update([0])
        .chain_update(of)
        .finalize()
        .into()
}

fn first16(long: [u8; 20]) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&long[..16]);
    short
}

#[cfg(test)]
pub(crate) mod tests;
