//! One of several, by what a person typed: a name, or the beginning of one.

use super::status::with_id;

/// The place in `all` of the one that `given` means: one called exactly so, else the only one whose
/// name begins so. Large and small letters are the same.
///
/// # Errors
/// What went wrong, and which ones there are.
pub fn pick<'a, T>(
    kind: &str,
    given: &str,
    all: &'a [T],
    names: impl Fn(&'a T) -> [&'a String; 2],
) -> Result<usize, (String, String)> {
    let wanted = given.trim().to_lowercase();
    let those = |fits: &dyn Fn(&str) -> bool| -> Vec<usize> {
        let all = all.iter().enumerate();
        all.filter(|(_, one)| names(one).iter().any(|name| fits(&name.to_lowercase())))
            .map(|(at, _)| at)
            .collect()
    };
    let exact = those(&|name| name == wanted);
    let begun = those(&|name| !wanted.is_empty() && name.starts_with(&wanted));
    match (exact.as_slice(), begun.as_slice()) {
        ([one], _) | ([], [one]) => Ok(*one),
        ([], []) => Err((
            format!("there is no {kind} {given:?}"),
            match all.is_empty() {
                true => format!("there is no {kind} at all"),
                false => format!("there is: {}", listed(0..all.len(), all, &names)),
            },
        )),
        (several, begun) => {
            let several = if several.is_empty() { begun } else { several };
            Err((
                format!("{given:?} is the {kind} of more than one"),
                format!(
                    "say which: {}",
                    listed(several.iter().copied(), all, &names)
                ),
            ))
        }
    }
}

fn listed<'a, T>(
    which: impl Iterator<Item = usize>,
    all: &'a [T],
    names: &impl Fn(&'a T) -> [&'a String; 2],
) -> String {
    let shown = which.map(|at| {
        let [name, id] = names(&all[at]);
        with_id(name, id)
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(given: &str) -> Result<usize, (String, String)> {
        let all = [("Kim", "31x"), ("Kimberley", "kb"), ("Alex", "Kim2")];
        let all = all.map(|(name, id)| [name.to_owned(), id.to_owned()]);
        let all: &'static [[String; 2]] = all.to_vec().leak();
        pick("account", given, all, |[name, id]| [name, id])
    }

    #[test]
    fn a_name_an_id_or_an_unambiguous_beginning_will_do() {
        assert_eq!(picked("kim"), Ok(0), "exactly so wins");
        assert_eq!(picked("KIMB"), Ok(1));
        assert_eq!(picked("31"), Ok(0));
        let (what, help) = picked("ki").expect_err("three of them");
        assert!(what.contains("more than one"), "{what}");
        assert_eq!(help, "say which: Kim (31x), Kimberley (kb), Alex (Kim2)");
        let (what, help) = picked("zoe").expect_err("nobody");
        assert_eq!(what, "there is no account \"zoe\"");
        assert!(help.starts_with("there is: Kim (31x)"), "{help}");
        assert!(picked("").is_err());
    }
}
