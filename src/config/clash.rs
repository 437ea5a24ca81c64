//! What two speakers must not share.

use std::path::PathBuf;

use super::{
    problem::Problem,
    settings::{Output, Speaker},
    value::Origin,
};

/// Where the things stand that two speakers must not share.
pub(super) struct Origins {
    /// The head of its `[[speaker]]`.
    pub section: Option<Origin>,
    pub id: Origin,
    pub name: Origin,
    pub port: Origin,
    pub output: Origin,
}

impl Origins {
    /// `own`, or the head of the section where the value was not written there.
    fn place(&self, own: &Origin) -> Origin {
        match (own, &self.section) {
            (Origin::Default | Origin::HostName, Some(section)) => section.clone(),
            _ => own.clone(),
        }
    }
}

/// Tells of every pair that wants the same; the later one is pointed at.
pub(super) fn clashes(speakers: &[Speaker], places: &[Origins], problems: &mut Vec<Problem>) {
    for (later, (speaker, place)) in speakers.iter().zip(places).enumerate() {
        for (earlier, other) in speakers[..later].iter().enumerate() {
            let (one, two) = (earlier + 1, later + 1);
            let mut clash = |own: &Origin, what: String, help: &str| {
                problems.push(Problem::new(place.place(own), what, help));
            };
            if speaker.id == other.id {
                let what = format!("speakers {one} and {two} both have the id {:?}", other.id);
                clash(&place.id, what, "give each speaker an id of its own");
            }
            if is_same_name(&speaker.name, &other.name) {
                let what = format!("speakers {one} and {two} are both called {:?}", other.name);
                let help = match speaker.name == other.name {
                    true => "give each speaker a name of its own",
                    false => {
                        "give each speaker a name of its own; large and small letters are the same"
                    }
                };
                clash(&place.name, what, help);
            }
            if speaker.port == other.port && speaker.port != 0 {
                let what = format!("speakers {one} and {two} both want port {}", other.port);
                let help = "give each speaker a port of its own, or none";
                clash(&place.port, what, help);
            }
            if let Some(shared) = shared(&speaker.output, &other.output) {
                let what = format!("speakers {one} and {two} both play into {shared}");
                clash(
                    &place.output,
                    what,
                    "give each speaker an output of its own",
                );
            }
        }
    }
}

/// As people tell names apart, and as `--speaker` does.
pub fn is_same_name(one: &str, two: &str) -> bool {
    one.trim().to_lowercase() == two.trim().to_lowercase()
}

/// The card and the device on it that a name leads to, as far as the name itself tells: `alsa:` may
/// stand before any, and `hw:` and `plughw:` lead to the same. That a card has a number and an id as
/// well, only the machine knows.
fn place(device: Option<&str>) -> (&str, &str) {
    let name = device.unwrap_or("default").trim();
    let name = name.strip_prefix("alsa:").unwrap_or(name);
    let raw = name
        .strip_prefix("hw:")
        .or_else(|| name.strip_prefix("plughw:"));
    let Some(arguments) = raw else {
        return (name, "");
    };
    let (mut card, mut number) = ("0", "0");
    for (at, argument) in arguments.split(',').map(str::trim).enumerate() {
        match (argument.split_once('='), at) {
            (Some(("CARD", id)), _) => card = id,
            (Some(("DEV", id)), _) => number = id,
            (None, 0) => card = argument,
            (None, 1) => number = argument,
            _ => {}
        }
    }
    (card, number)
}

/// What two outputs have in common that only one of them can have.
pub fn shared(one: &Output, two: &Output) -> Option<String> {
    fn file(output: &Output) -> Option<&PathBuf> {
        match output {
            Output::Pipe { path, .. } => path.as_ref(),
            Output::Wav { path, .. } => Some(path),
            _ => None,
        }
    }
    match (one, two) {
        (Output::Card { device: a, .. }, Output::Card { device: b, .. })
            if place(a.as_deref()) == place(b.as_deref()) =>
        {
            Some(match a {
                Some(device) => format!("the card {device:?}"),
                None => "the default card".to_owned(),
            })
        }
        (Output::Pipe { path: None, .. }, Output::Pipe { path: None, .. }) => {
            Some("standard output".to_owned())
        }
        _ => match (file(one), file(two)) {
            (Some(a), Some(b)) if a == b => Some(a.display().to_string()),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_known_by_each_of_the_names_that_lead_to_it() {
        let card = |device: &str| Output::Card {
            device: (!device.is_empty()).then(|| device.to_owned()),
            buffer_ms: 46,
        };
        for (one, two) in [
            ("hw:0", "alsa:hw:0"),
            ("hw:0", "plughw:0,0"),
            ("hw:CARD=DAC,DEV=0", "alsa:plughw:CARD=DAC"),
            ("hw:DAC,1", "plughw:DEV=1,CARD=DAC"),
            ("", "default"),
            ("", "alsa:default"),
        ] {
            assert!(shared(&card(one), &card(two)).is_some(), "{one:?} {two:?}");
        }
        for (one, two) in [
            ("hw:0", "hw:1"),
            ("hw:0,0", "hw:0,1"),
            ("hw:CARD=DAC,DEV=0", "hw:CARD=DAC,DEV=1"),
            ("", "hw:0"),
            ("living", "kitchen"),
        ] {
            assert_eq!(shared(&card(one), &card(two)), None);
        }
    }
}
