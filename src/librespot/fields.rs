//! Messages that librespot-protocol 0.8 does not have, read and written field by field.
//!
//! An empty message carries them: protobuf keeps what it does not know.

use protobuf::{
    Message, SpecialFields, UnknownFields, UnknownValueRef, well_known_types::empty::Empty,
};

/// A message's fields, by their numbers.
pub struct Fields(Empty);

impl Fields {
    /// # Errors
    /// When the bytes are no message.
    pub fn read(bytes: &[u8]) -> Result<Self, protobuf::Error> {
        Empty::parse_from_bytes(bytes).map(Self)
    }

    /// Every message in this field, in order; what is none is passed over.
    pub fn messages(&self, number: u32) -> impl Iterator<Item = Fields> {
        self.bytes(number).filter_map(|it| Self::read(it).ok())
    }

    /// The last message in this field.
    pub fn message(&self, number: u32) -> Option<Fields> {
        self.messages(number).last()
    }

    /// The text in this field, empty when there is none.
    pub fn text(&self, number: u32) -> &str {
        let text = self.bytes(number).last();
        text.and_then(|it| std::str::from_utf8(it).ok())
            .unwrap_or_default()
    }

    /// The whole number in this field, 0 when there is none.
    pub fn number(&self, number: u32) -> u64 {
        match self.0.special_fields.unknown_fields().get(number) {
            Some(UnknownValueRef::Varint(value)) => value,
            _ => 0,
        }
    }

    fn bytes(&self, number: u32) -> impl Iterator<Item = &[u8]> {
        let all = self.0.special_fields.unknown_fields().iter();
        all.filter_map(move |(at, value)| match value {
            UnknownValueRef::LengthDelimited(bytes) if at == number => Some(bytes),
            _ => None,
        })
    }
}

/// The fields to add to a message that is known in part.
pub fn carrying(fill: impl FnOnce(&mut UnknownFields)) -> SpecialFields {
    let mut special = SpecialFields::default();
    fill(special.mut_unknown_fields());
    special
}

/// A whole message.
pub fn message(fill: impl FnOnce(&mut UnknownFields)) -> Vec<u8> {
    let message = Empty {
        special_fields: carrying(fill),
    };
    // Into memory, and nothing in it is required.
    message.write_to_bytes().unwrap_or_default()
}
