//! What the head of an answer promises. Servers are not believed: nonsense is an error.

use std::{ops::Range, time::Duration};

use super::line::Reply;

/// No audio file is shorter: a "whole file" that is must be something else.
const SHORTEST: u64 = 4 * 1024;

/// A promise that makes sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Promise {
    /// Bytes up to here (not included), of a file of so many.
    Part { end: u64, len: u64 },
    /// The file ends before what was asked for.
    Past { len: u64 },
}

/// Why there will be no bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NoPromise {
    /// The server said no.
    Status(u16, Option<Duration>),
    /// What it said makes no sense.
    Nonsense(String),
    /// It makes sense, but of a file of this length, and it had another one before. One of the two
    /// is wrong.
    Length(u64),
}

/// Judges the answer to `asked`. `known` is the length of the file, when an earlier answer told it.
pub(super) fn judge<B>(
    reply: &Reply<B>,
    asked: &Range<u64>,
    known: Option<u64>,
) -> Result<Promise, NoPromise> {
    let nonsense = |what: &str| Err(NoPromise::Nonsense(what.to_owned()));
    if reply.content_type.as_deref().is_some_and(is_a_page) {
        return match reply.status {
            200 | 206 => nonsense("a page in place of audio"),
            status => Err(NoPromise::Status(status, reply.retry_after)),
        };
    }
    let agreed = |len: u64| known.is_none_or(|known| known == len);
    let range = reply.content_range.as_deref().and_then(parse);
    match (reply.status, range) {
        (206, Some((Some(part), len))) => {
            let Some(len) = len.or(known) else {
                return nonsense("an answer that does not say how long the file is");
            };
            if part.start != asked.start || part.is_empty() || part.end > len {
                return nonsense("another part than was asked for");
            }
            if !agreed(len) {
                return Err(NoPromise::Length(len));
            }
            let end = part.end.min(asked.end);
            Ok(Promise::Part { end, len })
        }
        (206, _) => nonsense("a part without a range that makes sense"),
        // The range was not read: of use only if the beginning is what we want anyway.
        (200, _) => match reply.content_length {
            Some(len) if asked.start == 0 && len >= SHORTEST && agreed(len) => Ok(Promise::Part {
                end: asked.end.min(len),
                len,
            }),
            _ => nonsense("the whole file in place of a part"),
        },
        (416, Some((None, Some(len)))) if asked.start >= len => match agreed(len) {
            true => Ok(Promise::Past { len }),
            false => Err(NoPromise::Length(len)),
        },
        (416, _) => nonsense("a part refused that should exist"),
        (status, _) => Err(NoPromise::Status(status, reply.retry_after)),
    }
}

/// For the fuzz targets: the part of the file that an answer with this `Content-Range` promises.
#[cfg(any(test, fuzzing))]
pub(crate) fn promised(
    status: u16,
    content_range: &str,
    asked: &Range<u64>,
    known: Option<u64>,
) -> Option<Range<u64>> {
    let reply = Reply {
        status,
        content_range: Some(content_range.to_owned()),
        content_length: known,
        content_type: None,
        retry_after: None,
        body: (),
    };
    match judge(&reply, asked, known) {
        Ok(Promise::Part { end, len }) => {
            assert!(end <= len && known.is_none_or(|known| known == len));
            Some(asked.start..end)
        }
        _ => None,
    }
}

/// Whether this is what a hotel's sign-in page or a server's excuse comes as.
fn is_a_page(kind: &str) -> bool {
    kind.starts_with("text/") || kind.starts_with("application/json")
}

/// `bytes a-b/total`, `bytes a-b/*` or `bytes */total`.
fn parse(header: &str) -> Option<(Option<Range<u64>>, Option<u64>)> {
    let (range, total) = header
        .trim()
        .strip_prefix("bytes")?
        .trim()
        .split_once('/')?;
    let total = match total.trim() {
        "*" => None,
        total => Some(number(total)?),
    };
    let range = match range.trim() {
        "*" => None,
        range => {
            let (first, last) = range.split_once('-')?;
            Some(number(first)?..number(last)?.checked_add(1)?)
        }
    };
    Some((range, total))
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    // `parse` would take a plus sign.
    text.bytes().all(|c| c.is_ascii_digit()).then_some(())?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, range: Option<&str>, length: Option<u64>) -> Reply<()> {
        Reply {
            status,
            content_range: range.map(str::to_owned),
            content_length: length,
            content_type: None,
            retry_after: None,
            body: (),
        }
    }

    #[test]
    fn a_part_is_taken_for_what_it_is() {
        let told = judge(&reply(206, Some("bytes 0-99/1000"), None), &(0..100), None);
        assert_eq!(
            told,
            Ok(Promise::Part {
                end: 100,
                len: 1000
            })
        );
        // Shorter than asked, as at the end of the file; and without a length that is known.
        let told = judge(
            &reply(206, Some("bytes 990-999/*"), None),
            &(990..2000),
            Some(1000),
        );
        assert_eq!(
            told,
            Ok(Promise::Part {
                end: 1000,
                len: 1000
            })
        );
    }

    #[test]
    fn the_whole_file_will_do_when_the_beginning_was_wanted() {
        let whole = reply(200, None, Some(5000));
        assert_eq!(
            judge(&whole, &(0..100), None),
            Ok(Promise::Part {
                end: 100,
                len: 5000
            })
        );
        assert!(judge(&whole, &(1..100), None).is_err());
        assert!(judge(&reply(200, None, None), &(0..100), None).is_err());
    }

    #[test]
    fn a_page_that_says_something_is_no_audio() {
        let mut page = reply(200, None, Some(50_000));
        page.content_type = Some("text/html; charset=utf-8".to_owned());
        assert!(judge(&page, &(0..100), None).is_err());
        assert!(judge(&reply(200, None, Some(16)), &(0..100), None).is_err());
    }

    #[test]
    fn a_place_behind_the_end_tells_where_the_end_is() {
        let refused = reply(416, Some("bytes */1000"), None);
        assert_eq!(
            judge(&refused, &(1000..1100), None),
            Ok(Promise::Past { len: 1000 })
        );
        assert!(judge(&refused, &(900..1100), None).is_err());
    }

    #[test]
    fn another_length_is_told_from_nonsense() {
        let part = reply(206, Some("bytes 0-99/1000"), None);
        let told = judge(&part, &(0..100), Some(999));
        assert_eq!(told, Err(NoPromise::Length(1000)));
        let refused = reply(416, Some("bytes */1000"), None);
        let told = judge(&refused, &(1000..1100), Some(5000));
        assert_eq!(told, Err(NoPromise::Length(1000)));
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic() {
        for header in [
            "",
            "bytes",
            "bytes 0-99",
            "bytes 0-99/",
            "bytes 5-99/1000",
            "bytes 0-18446744073709551615/1000",
            "bytes 99-0/1000",
            "bytes 0-99/50",
            "bytes -1-99/1000",
            "bytes +0-99/1000",
            "bytes ä-99/1000",
            "lines 0-99/1000",
            "bytes */*",
            "bytes 0-99/99999999999999999999999",
        ] {
            let told = judge(&reply(206, Some(header), None), &(0..100), None);
            assert!(
                matches!(told, Err(NoPromise::Nonsense(_))),
                "{header}: {told:?}"
            );
        }
    }

    #[test]
    fn any_other_status_is_handed_on_with_its_wish() {
        let mut busy = reply(503, None, None);
        busy.retry_after = Some(Duration::from_secs(3));
        let told = judge(&busy, &(0..1), None);
        assert_eq!(
            told,
            Err(NoPromise::Status(503, Some(Duration::from_secs(3))))
        );
    }
}
