//! Finding a place in a stream with as few requests as possible.
//!
//! Pure but for the pages it is shown. A request starts early and reads on; the landing page's
//! granule decides, whatever table or guess led there.

use super::super::{RATE, service::Table};

/// A landing that needs no more than this to read on is good enough.
const READ_ON: f64 = 384.0 * 1024.0;
/// The same behind the last place that is known exactly, where it saves a request.
const READ_ON_FROM_MARK: f64 = 128.0 * 1024.0;
/// How much earlier than the table says: its entries are rounded, and pages are whole.
const BEFORE_TABLE: u64 = 12 * 1024;
const BEFORE_GUESS: u64 = 16 * 1024;
/// Places remembered: one a second for more than two hours.
const MARKS: usize = 8192;
/// After so many requests, the beginning of the file is the next and last.
const MOST: u32 = 6;

/// A page: the granule it ends with, the offset it begins at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub granule: u64,
    pub offset: u64,
}

/// What is known about the way from samples to bytes.
#[derive(Debug)]
pub(super) struct Map {
    /// Offset of the first page of audio.
    pub audio: u64,
    /// Offset to which the table is relative.
    pub base: u64,
    pub table: Option<Table>,
    /// Bytes for each sample, as the encoder meant it.
    pub nominal: f64,
    /// Samples of the whole track, bytes of the whole file.
    pub total: Option<u64>,
    pub len: Option<u64>,
    /// Pages seen, one a second, in order.
    pub marks: Vec<Mark>,
}

impl Map {
    /// Remembers a page, unless one near it is known.
    pub(super) fn mark(&mut self, mark: Mark) {
        let at = self.marks.partition_point(|known| known < &mark);
        let near = |known: Option<&Mark>| {
            known.is_some_and(|known| known.granule.abs_diff(mark.granule) < u64::from(RATE))
        };
        let before = at.checked_sub(1).and_then(|index| self.marks.get(index));
        if !near(before) && !near(self.marks.get(at)) && self.marks.len() < MARKS {
            self.marks.insert(at, mark);
        }
    }

    /// Where to begin to look for a page that ends at `sample` or shortly before it.
    pub(super) fn first(&self, sample: u64) -> u64 {
        let behind = self.marks.partition_point(|mark| mark.granule <= sample);
        if let Some(mark) = behind.checked_sub(1).and_then(|at| self.marks.get(at)) {
            let gap = sample - mark.granule;
            let between = self
                .marks
                .get(behind)
                .is_some_and(|next| next.granule - mark.granule < 3 * u64::from(RATE));
            if between || gap as f64 * 1.7 * self.nominal <= READ_ON_FROM_MARK {
                return mark.offset;
            }
        }
        let offset = match &self.table {
            Some(table) => (self.base + table.place(sample)).saturating_sub(BEFORE_TABLE),
            None => {
                let (guess, _) = self.between(sample, None);
                guess
                    .saturating_sub(BEFORE_GUESS)
                    .saturating_sub(self.len.unwrap_or(0) / 50)
            }
        };
        offset.max(self.audio)
    }

    /// The linear guess between the two nearest places that are known, and how far the nearer one
    /// is from it.
    fn between(&self, sample: u64, landing: Option<Mark>) -> (u64, u64) {
        let start = Mark {
            granule: 0,
            offset: self.audio,
        };
        let end = self
            .total
            .zip(self.len)
            .map(|(granule, offset)| Mark { granule, offset });
        let known = || self.marks.iter().copied().chain(landing).chain(end);
        let from = known()
            .filter(|mark| mark.granule <= sample)
            .max()
            .unwrap_or(start);
        let to = known()
            .filter(|mark| mark.granule > sample && mark.offset > from.offset)
            .min();
        let gone = (sample - from.granule) as f64;
        let rate = to.map_or(self.nominal, |to| {
            (to.offset - from.offset) as f64 / (to.granule - from.granule) as f64
        });
        let guess = from.offset + (gone * rate) as u64;
        let guess = self.len.map_or(guess, |len| guess.min(len));
        let near = to.map_or(u64::MAX, |to| to.offset.saturating_sub(guess));
        (guess, near.min(guess.saturating_sub(from.offset)))
    }

    /// Bytes from a landing to the target, rather too many.
    fn distance(&self, landing: Mark, sample: u64) -> f64 {
        let most = 1.7 * self.nominal;
        let average = self
            .total
            .zip(self.len)
            .filter(|(total, len)| *total > landing.granule && *len > landing.offset)
            .map(|(total, len)| {
                1.2 * (len - landing.offset) as f64 / (total - landing.granule) as f64
            });
        (sample - landing.granule) as f64 * average.map_or(most, |average| average.min(most))
    }
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Look at the next page, and go back no further than to this offset later.
    On { keep: u64 },
    /// Go there: another request.
    Jump(u64),
    /// Decode from there on: a page, or the first one of the track.
    Land { offset: u64, beginning: bool },
}

/// One search.
#[derive(Debug)]
pub(super) struct Search {
    /// Decoding has to begin with a page that ends here or before.
    early: u64,
    from: u64,
    asked: u32,
    landing: Option<Mark>,
}

impl Search {
    /// For a target of which the decoder needs everything from `early` on.
    pub(super) fn new(early: u64, map: &Map) -> Self {
        Self {
            early,
            from: map.first(early),
            asked: 1,
            landing: None,
        }
    }

    /// Where it begins.
    pub(super) fn from(&self) -> u64 {
        self.from
    }

    /// Takes up the next page with a granule.
    pub(super) fn page(&mut self, page: Mark, map: &Map) -> Step {
        if page.granule <= self.early {
            let first = self.landing.is_none();
            self.landing = Some(page);
            if first && self.asked < 2 && map.distance(page, self.early) > READ_ON {
                let (guess, near) = map.between(self.early, Some(page));
                let jump = guess - near * 3 / 10;
                if jump > page.offset {
                    return self.jump(jump);
                }
            }
            return Step::On { keep: page.offset };
        }
        match self.landing {
            Some(landing) => Step::Land {
                offset: landing.offset,
                beginning: false,
            },
            None if self.from <= map.audio => Step::Land {
                offset: map.audio,
                beginning: true,
            },
            None => {
                let late = (page.granule - self.early + 3072) as f64 * 1.7 * map.nominal;
                let back = (late as u64).saturating_add(BEFORE_GUESS);
                let from = page.offset.min(self.from).saturating_sub(back);
                self.jump(if self.asked < MOST {
                    from.max(map.audio)
                } else {
                    map.audio
                })
            }
        }
    }

    /// The file ended. `None`: the target lies behind the end.
    pub(super) fn end(&mut self, map: &Map) -> Option<Step> {
        (self.landing.is_none() && self.from > map.audio).then(|| {
            let back = (64 * 1024) << (2 * self.asked).min(20);
            self.jump(if self.asked < MOST {
                self.from.saturating_sub(back).max(map.audio)
            } else {
                map.audio
            })
        })
    }

    fn jump(&mut self, offset: u64) -> Step {
        self.asked += 1;
        self.from = offset;
        self.landing = None;
        Step::Jump(offset)
    }
}
