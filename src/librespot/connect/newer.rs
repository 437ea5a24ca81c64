//! What connect-state knows and librespot-protocol 0.8 does not: fields by their number.
//!
//! Names and numbers as in the messages that go-librespot carries (connect.proto, player.proto).

use protobuf::SpecialFields;

use crate::{
    librespot::fields::{carrying, message},
    model::SleepTimer,
};

/// `Capabilities.supports_remote_sleep_timer`
const SUPPORTS_SLEEP_TIMER: u32 = 34;
/// `PlayerState.sleep_timer`, one of the following; without it the app shows no timer.
const SLEEP_TIMER: u32 = 38;
/// `SleepTimer.timestamp`: a message whose field 1 is Unix time in ms.
const AT: u32 = 2;
const UNIX_MS: u32 = 1;
/// `SleepTimer.end_of_track`: an empty message.
const AT_END_OF_TRACK: u32 = 3;

pub(super) fn capabilities() -> SpecialFields {
    carrying(|fields| fields.add_varint(SUPPORTS_SLEEP_TIMER, 1))
}

pub(super) fn sleep_timer(timer: SleepTimer) -> SpecialFields {
    let kind = match timer {
        SleepTimer::At { unix_ms } => {
            // A time before 1970 is none.
            let at = message(|fields| fields.add_varint(UNIX_MS, unix_ms.max(0) as u64));
            message(|fields| fields.add_length_delimited(AT, at))
        }
        SleepTimer::EndOfTrack => {
            message(|fields| fields.add_length_delimited(AT_END_OF_TRACK, Vec::new()))
        }
        // The state names the moment, never a length.
        SleepTimer::Off | SleepTimer::In { .. } => return SpecialFields::default(),
    };
    carrying(|fields| fields.add_length_delimited(SLEEP_TIMER, kind))
}

#[cfg(test)]
mod tests {
    use librespot_protocol::player::PlayerState;
    use protobuf::Message;

    use super::*;

    fn put(timer: SleepTimer) -> Vec<u8> {
        let state = PlayerState {
            special_fields: sleep_timer(timer),
            ..Default::default()
        };
        state.write_to_bytes().unwrap()
    }

    #[test]
    fn a_sleep_timer_is_written_as_the_apps_read_it() {
        // Field 38, length 4; field 2, length 2; field 1, 300 as a varint.
        let at = put(SleepTimer::At { unix_ms: 300 });
        assert_eq!(at, [0xb2, 0x02, 5, 0x12, 3, 0x08, 0xac, 0x02]);
        assert_eq!(put(SleepTimer::EndOfTrack), [0xb2, 0x02, 2, 0x1a, 0]);
        assert!(put(SleepTimer::Off).is_empty());
    }
}
