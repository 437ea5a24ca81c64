//! From when until when a certificate holds: two fields of its DER. Pure.
//!
//! Whoever connects looks at that; we do, too, so that a house hears of it from us. Only the way
//! there is read (RFC 5280, 4.1), nothing is believed of it, and nothing else depends on it.

use crate::model::unix_ms_of;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// Unix times in ms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    pub from_ms: i64,
    pub until_ms: i64,
}

impl Validity {
    /// `None`: it cannot be read, so nothing is known.
    pub fn of(certificate: &[u8]) -> Option<Self> {
        let (mut whole, _) = value(certificate, SEQUENCE)?;
        let (mut fields, _) = value(whole, SEQUENCE)?;
        if fields.first() == Some(&VERSION) {
            (_, fields) = next(fields)?;
        }
        // Serial number, signature algorithm, issuer.
        for _ in 0..3 {
            (_, fields) = next(fields)?;
        }
        (whole, _) = value(fields, SEQUENCE)?;
        let (from_ms, rest) = time(whole)?;
        let (until_ms, _) = time(rest)?;
        Some(Self { from_ms, until_ms })
    }

    /// Whether it holds now, and ends within so many ms, or within the last third of its whole time
    /// where that is shorter.
    pub fn ends_within(self, ms: i64, now_ms: i64) -> bool {
        let third = self.until_ms.saturating_sub(self.from_ms) / 3;
        let soon = self.until_ms.saturating_sub(ms.min(third));
        (soon..=self.until_ms).contains(&now_ms)
    }
}

/// What the first value holds, and what follows it; its tag has to be that.
fn value(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = next(der)?;
    (der[0] == tag).then_some((found, rest))
}

fn next(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = digits
                .iter()
                .fold(0, |sum, &digit| sum << 8 | usize::from(digit));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

fn time(der: &[u8]) -> Option<(i64, &[u8])> {
    let (text, rest) = next(der)?;
    let text = std::str::from_utf8(text).ok()?;
    let full = match der[0] {
        // Two digits: of 1950 to 2049.
        UTC_TIME if text.as_bytes().first()? < &b'5' => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let digits = full.strip_suffix('Z')?;
    if digits.len() != 14 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| digits[from..to].parse::<u32>().ok();
    let day = [part(0, 4)?, part(4, 6)?, part(6, 8)?];
    let clock = [part(8, 10)?, part(10, 12)?, part(12, 14)?];
    Some((unix_ms_of(day, clock)?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(from: i32, until: i32) -> Vec<u8> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let names = vec!["localhost".to_owned()];
        let mut wanted = rcgen::CertificateParams::new(names).expect("a name");
        wanted.not_before = rcgen::date_time_ymd(from, 1, 1);
        wanted.not_after = rcgen::date_time_ymd(until, 3, 1);
        wanted.self_signed(&key).expect("signed").der().to_vec()
    }

    #[test]
    fn both_ways_to_write_a_time_are_read() {
        let of = |from, until| Validity::of(&made(from, until)).expect("known");
        let new_year_2001 = 978_307_200_000;
        let march_2026 = 1_772_323_200_000;
        let march_2150 = 5_685_379_200_000;
        let told = of(2001, 2026);
        assert_eq!((told.from_ms, told.until_ms), (new_year_2001, march_2026));
        assert_eq!(of(2001, 2150).until_ms, march_2150);
        assert_eq!(of(1975, 2026).from_ms, 157_766_400_000);
    }

    #[test]
    fn its_end_is_near_for_some_days_or_for_a_third_of_its_time() {
        const DAY: i64 = 86_400_000;
        let of = |days: i64, left: i64| {
            let (from_ms, until_ms) = (5 * DAY, (5 + days) * DAY);
            Validity { from_ms, until_ms }.ends_within(14 * DAY, until_ms - left)
        };
        assert!(!of(90, 15 * DAY) && of(90, 14 * DAY) && of(90, DAY) && of(90, 0));
        assert!(!of(90, -1), "that is told otherwise");
        assert!(!of(6, 3 * DAY) && of(6, 2 * DAY));
        let odd = Validity {
            from_ms: i64::MAX,
            until_ms: i64::MIN,
        };
        assert!(!odd.ends_within(14 * DAY, 0));
    }

    proptest! {
        #[test]
        fn nothing_breaks_it(der in prop::collection::vec(any::<u8>(), 0..200), cut in 0_usize..400) {
            let _ = Validity::of(&der);
            let whole = made(2001, 2026);
            let _ = Validity::of(&whole[..cut.min(whole.len())]);
        }

        #[test]
        fn nor_does_damage(at in 0_usize..200, to in any::<u8>()) {
            let mut der = made(2001, 2026);
            der[at] = to;
            let _ = Validity::of(&der);
        }
    }
}
