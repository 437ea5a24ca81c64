//! What may be done with the bytes of others: each target takes any bytes, hands them to a part of
//! the house that reads such, and panics when what that part promises does not hold.
//!
//! There for tests and for libFuzzer only (`--cfg fuzzing`, see `fuzz/`): the program holds none of
//! it. What libFuzzer begins with, and what it ever found, lies in `fuzz/seeds/<target>/`; every
//! ordinary test run goes through all of that.
//!
//! An input that stands for several things begins with a byte that chooses among them.

pub(crate) mod control;
mod dealer;
pub(crate) mod login;
pub(crate) mod machine;
mod service;
pub(crate) mod sound;
mod text;

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target and its name: that of its folder of seeds, and of its binary.
pub const TARGETS: [(&str, Target); 9] = [
    ("vorbis", sound::vorbis),
    ("mp3", sound::mp3),
    ("login", login::login),
    ("dealer", dealer::dealer),
    ("service", service::service),
    ("seam", text::seam),
    ("config", text::config),
    ("state", text::state),
    ("control", control::control),
];

/// Runs the target of this name.
///
/// # Panics
/// When there is none, or when it has found something.
pub fn run(name: &str, bytes: &[u8]) {
    let found = TARGETS.iter().find(|(known, _)| *known == name);
    found.expect("a target").1(bytes);
}

/// The first byte, for what is to be done with the others.
fn chosen(bytes: &[u8], among: u8) -> Option<(u8, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    Some((first % among, rest))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    const FUZZ: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");
    /// Of all seeds together: they are there to begin with, not to be a collection.
    const MOST: usize = 300 * 1024;

    #[test]
    fn nothing_breaks_of_what_is_tried_first_and_of_what_was_ever_found() {
        let mut bytes = 0;
        for (name, target) in TARGETS {
            let folder = Path::new(FUZZ).join("seeds").join(name);
            let mut count = 0;
            for entry in fs::read_dir(&folder).expect("a folder of seeds") {
                let seed = entry.expect("an entry").path();
                println!("{}", seed.display());
                let input = fs::read(&seed).expect("readable");
                target(&input);
                bytes += input.len();
                count += 1;
            }
            assert!(count > 0, "{name} begins with nothing");
        }
        assert!(bytes <= MOST, "{bytes} bytes of seeds");
    }

    #[test]
    fn nothing_at_all_is_an_input_as_well() {
        for (_, target) in TARGETS {
            target(b"");
            for byte in 0..=u8::MAX {
                target(&[byte]);
            }
        }
    }

    #[test]
    fn every_target_has_its_binary_and_its_seeds_and_no_other_has() {
        let names = |folder: &str| {
            let entries = fs::read_dir(Path::new(FUZZ).join(folder)).expect("a folder");
            let stem = |entry: fs::DirEntry| entry.path().file_stem().map(|it| it.to_owned());
            let mut names: Vec<String> = entries
                .filter_map(|entry| stem(entry.expect("an entry"))?.into_string().ok())
                .collect();
            names.sort();
            names
        };
        let mut targets = TARGETS.map(|(name, _)| name.to_owned());
        targets.sort();
        assert_eq!(names("fuzz_targets"), targets);
        assert_eq!(names("seeds"), targets);
        let cargo = fs::read_to_string(Path::new(FUZZ).join("Cargo.toml")).expect("readable");
        for name in targets {
            let bin = format!("name = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"");
            assert!(cargo.contains(&bin), "{name}");
        }
    }
}
