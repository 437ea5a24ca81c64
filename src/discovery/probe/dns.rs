//! DNS on the wire, as much as asking for a service takes: one question out, records in.
//!
//! What comes in is a stranger's: every length is checked, names only point backwards, and what is
//! longer than any honest answer is refused (RFC 1035 4.1, RFC 6762 17 and 18).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The largest mDNS packet there may be (RFC 6762 17).
pub const MAX_PACKET: usize = 9000;
/// Records of one answer that are looked at; an honest one has a dozen.
const MAX_RECORDS: usize = 256;
/// What a name may hold, with its lengths.
const MAX_NAME: usize = 255;
const MAX_LABEL: usize = 63;

const HEADER: usize = 12;
const IS_ANSWER: u16 = 0x8000;
const CLASS_IN: u16 = 1;
/// The top bit of a class asks for, or tells of, something that is not the class.
const CLASS: u16 = 0x7fff;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Pointer = 12,
    Service = 33,
}

const A: u16 = 1;
const AAAA: u16 = 28;

/// A name, label by label, without the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(pub Vec<Vec<u8>>);

impl Name {
    pub fn of(labels: &[&str]) -> Self {
        Self(
            labels
                .iter()
                .map(|label| label.as_bytes().to_vec())
                .collect(),
        )
    }

    /// Names do not differ by the case of ASCII letters. Nor, here, by which dots part labels:
    /// responders cut a name like “No. 5” into labels at its dot.
    pub fn is(&self, other: &Self) -> bool {
        self.0
            .join(&b'.')
            .eq_ignore_ascii_case(&other.0.join(&b'.'))
    }

    /// The first label as text: of an announcement, what it is called.
    pub fn first(&self) -> String {
        let first = self.0.first().map(Vec::as_slice).unwrap_or_default();
        String::from_utf8_lossy(first).into_owned()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    Pointer { owner: Name, target: Name },
    Service { owner: Name, port: u16, host: Name },
    Address { owner: Name, ip: IpAddr },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("it is no answer to what was asked")]
    NotOurs,
    #[error("it ends too early, or leads nowhere")]
    Broken,
}

/// The packet that asks for `kind` of `name`. `None` when that is no name.
pub fn question(id: u16, name: &Name, kind: Kind) -> Option<Vec<u8>> {
    let mut packet = Vec::with_capacity(64);
    packet.extend(id.to_be_bytes());
    // No flags, one question, nothing else.
    packet.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in &name.0 {
        if label.is_empty() || label.len() > MAX_LABEL {
            return None;
        }
        packet.push(u8::try_from(label.len()).ok()?);
        packet.extend(label);
    }
    packet.push(0);
    packet.extend((kind as u16).to_be_bytes());
    packet.extend(CLASS_IN.to_be_bytes());
    (packet.len() <= HEADER + MAX_NAME + 4).then_some(packet)
}

/// The records of an answer to question `id`, those of kinds that are not known left out.
///
/// # Errors
/// When it is not an answer to that, or cannot be read to its end.
pub fn answer(id: u16, packet: &[u8]) -> Result<Vec<Record>, Malformed> {
    let mut reader = Reader { packet, at: 0 };
    let (found, flags) = (reader.u16()?, reader.u16()?);
    // Opcode and response code must be zero (RFC 6762 18.3 and 18.11).
    if found != id || flags & IS_ANSWER == 0 || flags & 0x780f != 0 || packet.len() > MAX_PACKET {
        return Err(Malformed::NotOurs);
    }
    let questions = reader.u16()?;
    let counts = [reader.u16()?, reader.u16()?, reader.u16()?];
    for _ in 0..questions {
        reader.name()?;
        reader.take(4)?;
    }
    let all: usize = counts.into_iter().map(usize::from).sum();
    if all > MAX_RECORDS {
        return Err(Malformed::Broken);
    }
    let mut records = Vec::new();
    for _ in 0..all {
        records.extend(reader.record()?);
    }
    Ok(records)
}

struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length).ok_or(Malformed::Broken)?;
        let taken = self.packet.get(self.at..end).ok_or(Malformed::Broken)?;
        self.at = end;
        Ok(taken)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        match self.take(2)? {
            [high, low] => Ok(u16::from_be_bytes([*high, *low])),
            _ => Err(Malformed::Broken),
        }
    }

    fn u8(&mut self) -> Result<u8, Malformed> {
        self.take(1)?.first().copied().ok_or(Malformed::Broken)
    }

    /// A name here, which may go on elsewhere. Each jump leads further back than the last, so there
    /// is an end to them.
    fn name(&mut self) -> Result<Name, Malformed> {
        let mut labels = Vec::new();
        let mut length = 1;
        let mut back = None;
        let mut before = self.at;
        loop {
            let size = self.u8()?;
            match size >> 6 {
                0 if size == 0 => break,
                0 => {
                    length += usize::from(size) + 1;
                    if length > MAX_NAME {
                        return Err(Malformed::Broken);
                    }
                    labels.push(self.take(usize::from(size))?.to_vec());
                }
                3 => {
                    let to = usize::from(size & 0x3f) << 8 | usize::from(self.u8()?);
                    if to >= before {
                        return Err(Malformed::Broken);
                    }
                    back.get_or_insert(self.at);
                    (self.at, before) = (to, to);
                }
                _ => return Err(Malformed::Broken),
            }
        }
        self.at = back.unwrap_or(self.at);
        Ok(Name(labels))
    }

    fn record(&mut self) -> Result<Option<Record>, Malformed> {
        let owner = self.name()?;
        let (kind, class) = (self.u16()?, self.u16()? & CLASS);
        self.take(4)?;
        let length = usize::from(self.u16()?);
        let end = self.at + length;
        if end > self.packet.len() {
            return Err(Malformed::Broken);
        }
        let record = if class == CLASS_IN {
            self.data(owner, kind, length)?
        } else {
            None
        };
        if self.at > end {
            return Err(Malformed::Broken);
        }
        self.at = end;
        Ok(record)
    }

    fn data(&mut self, owner: Name, kind: u16, length: usize) -> Result<Option<Record>, Malformed> {
        let address = |owner, ip| Ok(Some(Record::Address { owner, ip }));
        match (kind, length) {
            (A, 4) => {
                let bytes = <[u8; 4]>::try_from(self.take(4)?).map_err(|_| Malformed::Broken)?;
                address(owner, Ipv4Addr::from(bytes).into())
            }
            (AAAA, 16) => {
                let bytes = <[u8; 16]>::try_from(self.take(16)?).map_err(|_| Malformed::Broken)?;
                address(owner, Ipv6Addr::from(bytes).into())
            }
            (A | AAAA, _) => Err(Malformed::Broken),
            (kind, _) if kind == Kind::Pointer as u16 => {
                let target = self.name()?;
                Ok(Some(Record::Pointer { owner, target }))
            }
            (kind, _) if kind == Kind::Service as u16 => {
                self.take(4)?;
                let port = self.u16()?;
                let host = self.name()?;
                Ok(Some(Record::Service { owner, port, host }))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer to `id`: SRV of `a.local` at port 4070 on `h.local`, and the address of that.
    fn told(id: u16) -> Vec<u8> {
        let mut packet = question(id, &Name::of(&["a", "local"]), Kind::Service).expect("a name");
        packet[2] = 0x84;
        packet[7] = 1;
        packet[11] = 1;
        // a.local, by a pointer to the question.
        packet.extend([0xc0, 12, 0, 33, 0x80, 1, 0, 0, 0, 10, 0, 10]);
        packet.extend([0, 0, 0, 0, 0x0f, 0xe6, 1, b'h', 0xc0, 14]);
        let host = packet.len() - 4;
        packet.extend([
            0xc0, host as u8, 0, 1, 0, 1, 0, 0, 0, 10, 0, 4, 192, 168, 1, 5,
        ]);
        packet
    }

    #[test]
    fn an_answer_is_read_through_its_pointers() {
        let records = answer(7, &told(7)).expect("well formed");
        let expected = [
            Record::Service {
                owner: Name::of(&["a", "local"]),
                port: 4070,
                host: Name::of(&["h", "local"]),
            },
            Record::Address {
                owner: Name::of(&["h", "local"]),
                ip: [192, 168, 1, 5].into(),
            },
        ];
        assert_eq!(records, expected);
        assert_eq!(answer(8, &told(7)), Err(Malformed::NotOurs));
    }

    #[test]
    fn a_name_that_points_at_itself_or_forward_is_refused() {
        for pointer in [12, 40] {
            let mut packet = vec![0, 7, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0xc0, pointer];
            packet.extend([0; 64]);
            assert_eq!(answer(7, &packet), Err(Malformed::Broken));
        }
    }

    #[test]
    fn what_is_no_name_is_not_asked_for() {
        let long = "x".repeat(64);
        for labels in [vec![""], vec![long.as_str()], vec!["abcdefghij"; 30]] {
            assert_eq!(question(1, &Name::of(&labels), Kind::Pointer), None);
        }
    }

    proptest! {
        #[test]
        fn anything_at_all_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let mut packet = vec![0, 7, 0x84, 0];
            packet.extend(bytes);
            if let Ok(records) = answer(7, &packet) {
                crate::fuzz::login::records_are_few(&records);
            }
        }

        #[test]
        fn a_damaged_answer_is_read_or_refused(
            at in 0_usize..70, to in any::<u8>(), length in 0_usize..90,
        ) {
            let mut packet = told(7);
            if let Some(byte) = packet.get_mut(at) {
                *byte = to;
            }
            packet.truncate(length);
            if let Ok(records) = answer(7, &packet) {
                crate::fuzz::login::records_are_few(&records);
            }
        }

        #[test]
        fn what_is_asked_is_a_packet_that_holds_the_name(label in "[a-zA-Z0-9 .]{1,63}") {
            let name = Name::of(&[&label, "_tcp", "local"]);
            let packet = question(7, &name, Kind::Service).expect("a name");
            let mut reader = Reader { packet: &packet, at: HEADER };
            prop_assert_eq!(reader.name(), Ok(name));
        }
    }
}
