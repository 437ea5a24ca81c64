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
            if speaker.name == other.name {
                let what = format!("speakers {one} and {two} are both called {:?}", other.name);
                clash(&place.name, what, "give each speaker a name of its own");
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
        (Output::Card { device: a, .. }, Output::Card { device: b, .. }) if a == b => {
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
