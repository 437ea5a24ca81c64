//! Under which names a speaker is found on the bus.

/// Of the speaker of a configuration without `[[speaker]]`; those of others follow a dot.
const NAME: &str = "org.mpris.MediaPlayer2.siskin";
/// The id of that speaker.
const ONLY: &str = "main";

/// The names to try, the best first. They depend on the id of the speaker alone, so that whoever
/// noted one down finds the speaker again; only where another program has the name, the process id
/// is added, as the specification wants it.
pub fn names(id: &str, pid: u32) -> [String; 3] {
    // Ids hold a-z, 0-9, - and _; no part of a name may begin with a digit.
    let name = match id {
        ONLY => NAME.to_owned(),
        _ if id.starts_with(|c: char| c.is_ascii_digit()) => format!("{NAME}.speaker{id}"),
        _ => format!("{NAME}.{id}"),
    };
    let instance = format!("{name}.instance{pid}");
    let another = format!("{instance}_2");
    [name, instance, another]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_the_id_alone_and_is_one() {
        let first = |id: &str| names(id, 7).into_iter().next().expect("a name");
        assert_eq!(first("main"), NAME);
        assert_eq!(first("bath-2"), format!("{NAME}.bath-2"));
        assert_eq!(first("1"), format!("{NAME}.speaker1"));
        assert_eq!(names("main", 7)[1], format!("{NAME}.instance7"));
        for name in ["main", "1", "-x", "_"].iter().flat_map(|id| names(id, 7)) {
            zbus::names::WellKnownName::try_from(name.as_str()).expect("a name");
        }
    }
}
