//! The list of tracks: what was, what is and what comes, each line with a name that stays its own.
//!
//! The state knows tracks by their URI, and the same one may come twice. MPRIS wants a name for each
//! line that stays while the line does, so every new list is laid upon the one before.

use super::value::{Facts, Value};
use crate::model::{Link, Playback, Source, Track};

/// In place of a name where there is no track; the specification's own.
pub const NO_TRACK: &str = "/org/mpris/MediaPlayer2/TrackList/NoTrack";
/// Names of lines begin with this.
const TRACKS: &str = "/org/siskin/track/";

#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub serial: u64,
    pub uri: String,
    /// `None`: it is the current one.
    pub source: Option<Source>,
    /// What is known of it, once it was the current one.
    pub known: Option<Track>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lines {
    pub all: Vec<Line>,
    /// Which of them plays.
    pub current: Option<usize>,
    /// Names given so far.
    made: u64,
}

impl Line {
    pub fn id(&self) -> String {
        format!("{TRACKS}{}", self.serial)
    }

    /// The specification's metadata. What is not known is left out.
    pub fn facts(&self) -> Facts {
        let mut facts = vec![("mpris:trackid", Value::Path(self.id()))];
        if let Some(track) = &self.known {
            if track.duration_ms > 0 {
                let length = i64::from(track.duration_ms) * 1_000;
                facts.push(("mpris:length", Value::Int(length)));
            }
            if let Some(cover) = track.covers.first() {
                facts.push(("mpris:artUrl", Value::text(cover)));
            }
            if !track.album.is_empty() {
                facts.push(("xesam:album", Value::text(&track.album)));
            }
            if !track.album_artists.is_empty() {
                let artists = Value::texts(&track.album_artists);
                facts.push(("xesam:albumArtist", artists));
            }
            if !track.artists.is_empty() {
                facts.push(("xesam:artist", Value::texts(&track.artists)));
            }
            facts.push(("xesam:title", Value::text(&track.title)));
        }
        facts.push(("xesam:url", Value::text(&address(&self.uri))));
        facts
    }
}

/// A page that a browser can show, where there is one.
fn address(uri: &str) -> String {
    let id = uri.rsplit(':').next().unwrap_or_default();
    match Link::parse(uri) {
        Ok(link) if link.is_single() => {
            format!("https://open.spotify.com/{}/{id}", link.kind().word())
        }
        _ => uri.to_owned(),
    }
}

impl Lines {
    pub fn playing(&self) -> Option<&Line> {
        self.current.and_then(|at| self.all.get(at))
    }

    pub fn ids(&self) -> Vec<String> {
        self.all.iter().map(Line::id).collect()
    }

    /// The place of a name in the list.
    pub fn find(&self, id: &str) -> Option<usize> {
        let serial: u64 = id.strip_prefix(TRACKS)?.parse().ok()?;
        self.all.iter().position(|line| line.serial == serial)
    }

    /// Lays what is so now upon what was. `None`: nothing plays here.
    pub fn follow(&mut self, playback: Option<&Playback>) {
        let playing = playback.and_then(|one| one.track.as_ref().map(|track| (one, track)));
        let Some((playback, track)) = playing else {
            self.all.clear();
            self.current = None;
            return;
        };
        let before = playback.previous.iter();
        let after = playback.next.iter();
        let wanted: Vec<(&str, Option<Source>)> = before
            .map(|line| (line.uri.as_str(), Some(line.source)))
            .chain([(track.uri.as_str(), None)])
            .chain(after.map(|line| (line.uri.as_str(), Some(line.source))))
            .collect();
        let at = playback.previous.len();
        let kept = self.kept(&wanted, at);
        let mut old: Vec<_> = std::mem::take(&mut self.all)
            .into_iter()
            .map(Some)
            .collect();
        for ((uri, source), from) in wanted.into_iter().zip(kept) {
            let known = from.and_then(|from| old.get_mut(from)?.take());
            let line = known.map(|line| Line { source, ..line });
            let line = line.unwrap_or_else(|| {
                self.made += 1;
                Line {
                    serial: self.made,
                    uri: uri.to_owned(),
                    source,
                    known: None,
                }
            });
            self.all.push(line);
        }
        self.current = Some(at);
        if let Some(line) = self.all.get_mut(at)
            && !track.title.is_empty()
        {
            line.known = Some(track.clone());
        }
    }

    /// For each wanted line the one of now that it goes on from.
    fn kept(&self, wanted: &[(&str, Option<Source>)], at: usize) -> Vec<Option<usize>> {
        let old: Vec<&str> = self.all.iter().map(|line| line.uri.as_str()).collect();
        let new: Vec<&str> = wanted.iter().map(|(uri, _)| *uri).collect();
        if old == new && self.current == Some(at) {
            return (0..new.len()).map(Some).collect();
        }
        laid_upon(&old, self.current, &new, at)
    }
}

/// The longest way in which `new` goes on from `old`, in order; what plays stays itself where that
/// is as good. Lists are short: some forty lines.
fn laid_upon(
    old: &[&str],
    old_at: Option<usize>,
    new: &[&str],
    new_at: usize,
) -> Vec<Option<usize>> {
    let worth = |i: usize, j: usize| match old[i] == new[j] {
        true => 2 + u32::from(old_at == Some(i) && new_at == j),
        false => 0,
    };
    let width = new.len() + 1;
    let mut best = vec![0; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let apart = best[(i + 1) * width + j].max(best[i * width + j + 1]);
            let together = match worth(i, j) {
                0 => 0,
                worth => worth + best[(i + 1) * width + j + 1],
            };
            best[i * width + j] = apart.max(together);
        }
    }
    let mut kept = vec![None; new.len()];
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        let here = best[i * width + j];
        let worth = worth(i, j);
        if worth > 0 && here == worth + best[(i + 1) * width + j + 1] {
            kept[j] = Some(i);
            (i, j) = (i + 1, j + 1);
        } else if here == best[(i + 1) * width + j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    kept
}
