//! The names a speaker has on the wire, and whether somebody else has them too.

use std::net::IpAddr;

use super::Identity;
use crate::model::DeviceId;

pub const SERVICE: &str = "_spotify-connect._tcp.local.";
/// What one label of a DNS name holds, in bytes.
const LABEL: usize = 63;

/// The name of the announcement: the shown name, then the start of the device id.
///
/// The Spotify app shows the name from `getInfo`; tools that list announcements show this one, so
/// the readable part comes first. The id makes it ours alone, which is why it needs no probing. Dots
/// and backslashes are left out: the responder escapes them, and then does not know the name when it
/// is asked for it.
pub fn instance(name: &str, device: &DeviceId) -> String {
    let room = LABEL - 1 - device.short().len();
    let mut end = name.len().min(room);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let parts = |c: char| c.is_control() || matches!(c, ' ' | '.' | '\\');
    let words = name[..end].split(parts).filter(|word| !word.is_empty());
    words.chain([device.short()]).collect::<Vec<_>>().join(" ")
}

/// A host name of our own. The machine's belongs to avahi, which renames itself when it is taken.
pub fn host(device: &DeviceId) -> String {
    format!("siskin-{}.local.", device.short())
}

/// An announcement somebody made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Without escapes.
    pub fullname: String,
    /// None as long as they are not known.
    pub addresses: Vec<IpAddr>,
}

/// How an announcement gets in our way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clash {
    /// Another device is shown by this name too.
    Name(String),
    /// A device at this address says that it is us.
    Identity { name: String, address: IpAddr },
}

/// Whether `seen` clashes with one of `ours`, which are announced at `addresses`.
pub fn clash(ours: &[Identity], addresses: &[IpAddr], seen: &Seen) -> Option<Clash> {
    let label = label(&seen.fullname)?;
    let own = ours
        .iter()
        .find(|own| same(&instance(&own.name, &own.device), label));
    if let Some(own) = own {
        let stranger = seen.addresses.iter().find(|ip| !addresses.contains(ip))?;
        return Some(Clash::Identity {
            name: own.name.clone(),
            address: *stranger,
        });
    }
    let shown = shown(label);
    let namesake = ours.iter().find(|own| {
        same(&own.name, label) || same(&own.name, shown) || {
            // Names too long for a label are compared as far as they got.
            let cut = instance(&own.name, &own.device);
            shown.len() < label.len() && same(self::shown(&cut), shown)
        }
    })?;
    Some(Clash::Name(namesake.name.clone()))
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// What stands in front of the device id, if there is one.
fn shown(label: &str) -> &str {
    match label.rsplit_once(' ') {
        Some((name, id)) if id.len() == 8 && id.bytes().all(|b| b.is_ascii_hexdigit()) => name,
        _ => label,
    }
}

/// The first label of an announcement's full name, dots and all: the responder hands out what it
/// received without escapes.
fn label(fullname: &str) -> Option<&str> {
    let end = fullname.len().checked_sub(SERVICE.len() + 1)?;
    let (label, service) = fullname.split_at_checked(end)?;
    if !service[1..].eq_ignore_ascii_case(SERVICE) {
        return None;
    }
    Some(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceType;

    fn speaker(name: &str, id: u8) -> Identity {
        Identity {
            device: DeviceId::from_bytes([id; 20]),
            name: name.into(),
            device_type: DeviceType::Speaker,
            port: 0,
        }
    }

    fn seen(label: &str, address: &str) -> Seen {
        Seen {
            fullname: format!("{label}.{SERVICE}"),
            addresses: address.parse().into_iter().collect(),
        }
    }

    #[test]
    fn an_instance_name_fits_a_label_and_ends_with_the_id() {
        let id = DeviceId::from_bytes([0xab; 20]);
        assert_eq!(instance("Kitchen", &id), "Kitchen abababab");
        assert_eq!(
            instance(r"Küche Nr. 5.1\2 ", &id),
            "Küche Nr 5 1 2 abababab"
        );
        assert_eq!(instance("...", &id), "abababab");
        for name in [
            "ü".repeat(40),
            format!("a{}", "🎵".repeat(16)),
            "x".repeat(64),
        ] {
            let label = instance(&name, &id);
            assert!(label.len() <= 63, "{label}");
            assert!(label.ends_with(" abababab"), "{label}");
        }
    }

    #[test]
    fn our_own_announcement_is_no_clash() {
        let ours = [speaker("Dr. Who", 1)];
        let here = ["10.0.0.1".parse().expect("an address")];
        let own = seen("Dr Who 01010101", "10.0.0.1");
        assert_eq!(clash(&ours, &here, &own), None);
        assert_eq!(clash(&ours, &here, &seen("Dr Who 01010101", "")), None);
    }

    #[test]
    fn another_device_with_our_id_or_our_name_is_one() {
        let ours = [speaker("Kitchen", 1), speaker("Bath", 2)];
        let here = ["10.0.0.1".parse().expect("an address")];
        let found = |label, address| clash(&ours, &here, &seen(label, address));
        assert_eq!(
            found("Kitchen 01010101", "10.0.0.9"),
            Some(Clash::Identity {
                name: "Kitchen".into(),
                address: "10.0.0.9".parse().expect("an address")
            })
        );
        assert_eq!(found("bath", "10.0.0.9"), Some(Clash::Name("Bath".into())));
        assert_eq!(
            found("Bath 99aabbcc", "10.0.0.9"),
            Some(Clash::Name("Bath".into()))
        );
        let dotted = [speaker("Dr. Who", 1)];
        for label in ["Dr. Who", "Dr Who 99aabbcc"] {
            let clash = clash(&dotted, &here, &seen(label, "10.0.0.9"));
            assert_eq!(clash, Some(Clash::Name("Dr. Who".into())), "{label}");
        }
        assert_eq!(found("Attic", "10.0.0.9"), None);
    }

    #[test]
    fn a_name_of_another_service_is_not_looked_at() {
        let ours = [speaker("Kitchen", 1)];
        for fullname in ["", "Kitchen", "Kitchen._http._tcp.local.", "ü"] {
            let seen = Seen {
                fullname: fullname.into(),
                addresses: Vec::new(),
            };
            assert_eq!(clash(&ours, &[], &seen), None, "{fullname}");
        }
    }
}
