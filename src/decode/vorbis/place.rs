//! Where in the track the samples of a page belong, by its granule.
//!
//! Pure. The count of samples is what positions, joints and crossfades go by; a granule says
//! whether it is right. What is missing becomes silence, what is too much is cut off.

use std::ops::Range;

/// More than that is not filled with silence: the music goes on at its own place.
const LONGEST_HOLE: u64 = 5 * 48_000;

/// What is known of the position before a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// The first page of the track follows.
    Beginning,
    /// Somewhere, after a seek.
    Unknown,
    /// The next sample is this one.
    Sample(u64),
}

/// A page after decoding.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decoded {
    /// Frames that came out.
    pub frames: u64,
    pub granule: Option<u64>,
    pub last: bool,
    /// Pages before it were lost.
    pub lost: bool,
    /// After how many of the frames a damaged packet left some out.
    pub damaged: Option<u64>,
}

/// What to do with the frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Edit {
    Keep,
    /// Leave these out.
    Drop(Range<u64>),
    /// Put silence in before this one.
    Silence {
        before: u64,
        frames: u64,
    },
}

/// The position of the first frame, after the edit; `None` when nobody knows it.
pub(super) fn place(at: At, page: Decoded, total: Option<u64>) -> (Option<u64>, Edit) {
    let Decoded { frames, .. } = page;
    let at = match at {
        At::Beginning if page.lost => At::Sample(0),
        other => other,
    };
    let drop_front = |count: u64| Edit::Drop(0..count);
    let drop_end = |count: u64| Edit::Drop(frames - count..frames);
    let Some(granule) = page.granule else {
        return match at {
            At::Beginning => (Some(0), Edit::Keep),
            At::Sample(sample) => (Some(sample), Edit::Keep),
            At::Unknown => (None, drop_front(frames)),
        };
    };
    match at {
        // The last granule is trimmed: it says where the track ends and nothing else.
        At::Unknown if page.last => (None, drop_front(frames)),
        At::Beginning if page.last => (Some(0), drop_end(frames.saturating_sub(granule))),
        At::Unknown | At::Beginning => match granule.checked_sub(frames) {
            Some(start) => (Some(start), Edit::Keep),
            None => (Some(0), drop_front(frames - granule)),
        },
        At::Sample(sample) => {
            let end = sample + frames;
            let before = if page.lost {
                0
            } else {
                page.damaged.unwrap_or(frames)
            };
            if granule >= end {
                let hole = granule - end;
                let believed = total.is_none_or(|total| granule <= total + LONGEST_HOLE);
                match hole {
                    0 => (Some(sample), Edit::Keep),
                    1..=LONGEST_HOLE => (
                        Some(sample),
                        Edit::Silence {
                            before,
                            frames: hole,
                        },
                    ),
                    _ if believed => (Some(sample + hole), Edit::Keep),
                    _ => (Some(sample), Edit::Keep),
                }
            } else {
                let more = end - granule;
                match more {
                    // It cannot be right.
                    _ if more > frames => (Some(sample), Edit::Keep),
                    _ if page.last => (Some(sample), drop_end(more)),
                    _ => (Some(sample), drop_front(more)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(frames: u64, granule: u64) -> Decoded {
        Decoded {
            frames,
            granule: Some(granule),
            last: false,
            lost: false,
            damaged: None,
        }
    }

    fn last(frames: u64, granule: u64) -> Decoded {
        Decoded {
            last: true,
            ..page(frames, granule)
        }
    }

    #[test]
    fn the_first_granule_says_where_the_track_begins() {
        let first = |frames, granule| place(At::Beginning, page(frames, granule), None);
        assert_eq!(first(1000, 1000), (Some(0), Edit::Keep));
        assert_eq!(first(1000, 900), (Some(0), Edit::Drop(0..100)));
        assert_eq!(first(1000, 5000), (Some(4000), Edit::Keep));
    }

    #[test]
    fn the_last_granule_cuts_the_end_and_anchors_nothing() {
        let known = At::Sample(5000);
        assert_eq!(
            place(known, last(1000, 5900), None),
            (Some(5000), Edit::Drop(900..1000))
        );
        assert_eq!(
            place(At::Beginning, last(1000, 300), None),
            (Some(0), Edit::Drop(300..1000))
        );
        assert_eq!(
            place(At::Unknown, last(1000, 5900), None),
            (None, Edit::Drop(0..1000))
        );
    }

    #[test]
    fn a_hole_becomes_silence_where_it_was() {
        let lost = Decoded {
            lost: true,
            ..page(1000, 9000)
        };
        let silence = |before, frames| Edit::Silence { before, frames };
        let at = At::Sample(5000);
        assert_eq!(place(at, lost, None), (Some(5000), silence(0, 3000)));
        let damaged = Decoded {
            damaged: Some(400),
            ..page(1000, 6500)
        };
        assert_eq!(place(at, damaged, None), (Some(5000), silence(400, 500)));
    }

    #[test]
    fn a_long_hole_is_jumped_and_a_senseless_granule_ignored() {
        let far = page(1000, 5_000_000);
        let at = At::Sample(5000);
        assert_eq!(place(at, far, None), (Some(4_999_000), Edit::Keep));
        assert_eq!(place(at, far, Some(100_000)), (Some(5000), Edit::Keep));
        assert_eq!(place(at, page(1000, 3), None), (Some(5000), Edit::Keep));
    }
}
