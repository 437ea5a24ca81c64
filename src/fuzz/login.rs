//! What strangers on the local network send: logins, and answers to the question who is there.

use std::sync::OnceLock;

use super::chosen;
use crate::{
    discovery::{
        blob::{Keys, record},
        endpoint::form::{self, Call},
        probe::{self, dns},
    },
    model::DeviceId,
};

pub(super) fn login(bytes: &[u8]) {
    match chosen(bytes, 6) {
        Some((0, body)) => handover(true, "", body),
        Some((1, query)) => handover(false, &String::from_utf8_lossy(query), b""),
        Some((2, blob)) => opened(blob),
        Some((3, inner)) => {
            // Found behind two layers of encryption, where noise never gets to.
            let secret = record(inner, "kim").map(|(_, secret)| secret.len());
            assert!(secret.is_none_or(|length| length < inner.len()));
        }
        Some((4, packet)) => {
            if let Ok(records) = dns::answer(7, packet) {
                records_are_few(&records);
            }
        }
        Some((_, answer)) => {
            let _ = probe::judge(answer, Some(&device()));
        }
        None => {}
    }
}

fn device() -> DeviceId {
    DeviceId::from_bytes([0x5a; 20])
}

/// Whatever is asked is answered, and only what has its three fields in their sizes is a login.
pub(crate) fn handover(post: bool, query: &str, body: &[u8]) {
    let Ok(Call::AddUser(login)) = form::parse(post, query, body) else {
        return;
    };
    assert!(post, "a picture on a page could sign somebody in");
    assert!((1..=128).contains(&login.user.len()));
    assert!((1..=2047).contains(&login.blob.len()));
    assert!((1..=511).contains(&login.client_key.len()));
    let shown = login.device_name.unwrap_or_default();
    assert!(shown.chars().count() <= 64 && !shown.contains(char::is_control));
}

/// A blob and a key as they come, parted by a line.
fn opened(bytes: &[u8]) {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    let text = String::from_utf8_lossy(bytes);
    let (blob, key) = text.split_once('\n').unwrap_or((&text, ""));
    // As the form lets through.
    if blob.len() <= 2047 && key.len() <= 511 {
        let opened = KEYS
            .get_or_init(Keys::generate)
            .open(&device(), "kim", blob, key);
        assert!(opened.is_err(), "nobody guesses a checksum");
    }
}

/// What an answer of the network may come to at most.
pub(crate) fn records_are_few(records: &[dns::Record]) {
    assert!(records.len() <= 256);
    for record in records {
        let (owner, other) = match record {
            dns::Record::Pointer { owner, target } => (owner, Some(target)),
            dns::Record::Service { owner, host, .. } => (owner, Some(host)),
            dns::Record::Address { owner, .. } => (owner, None),
        };
        for name in [Some(owner), other].into_iter().flatten() {
            let length: usize = name.0.iter().map(|label| label.len() + 1).sum();
            assert!(length <= 255, "a name of {length}");
        }
    }
}
