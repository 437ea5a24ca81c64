//! Who says what: default < file < environment < flag.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use super::{
    env,
    file::{self, Document, Table},
    hooks::HOOK_VARIABLES,
    problem::Problem,
    schema::{self, Scope},
    value::{Origin, Value},
};

/// What the command line asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The file to read instead of looking for one.
    pub file: Option<PathBuf>,
    pub flags: Vec<Flag>,
}

/// One setting given on the command line.
#[derive(Debug, Clone)]
pub struct Flag {
    /// As typed: `--bitrate`.
    pub flag: &'static str,
    /// The key it sets: `audio.bitrate`.
    pub key: &'static str,
    /// Lists are joined by commas.
    pub value: String,
}

/// What the machine around the process says, gathered once so that tests can say it instead.
#[derive(Debug, Clone)]
pub struct Surroundings {
    pub variables: Vec<(OsString, OsString)>,
    /// As the kernel tells it, with or without a domain.
    pub host: String,
    /// Where the system's configuration is kept.
    pub etc: PathBuf,
}

/// These begin like settings and are none: the file to read, and what the tests are told.
const NOT_SETTINGS: [&str; 2] = ["SISKIN_CONFIG", "SISKIN_PEER"];
const TESTS_ONLY: &str = "SISKIN_TEST_";

impl Surroundings {
    pub fn of_this_process() -> Self {
        Self {
            variables: std::env::vars_os().collect(),
            host: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            etc: PathBuf::from("/etc/siskin"),
        }
    }

    /// The first label of the host name, or "siskin" where the machine has none worth showing.
    pub(super) fn default_name(&self) -> String {
        let label = self.host.split('.').next().unwrap_or_default();
        let shown: String = label.chars().filter(|c| !c.is_control()).take(16).collect();
        let whole = label.len() <= 64 && !label.chars().any(char::is_control);
        match label {
            "" | "localhost" | "(none)" => "siskin".to_owned(),
            _ if whole => label.to_owned(),
            _ => shown,
        }
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.variables
            .iter()
            .find(|(known, value)| known == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// Where a file is looked for, the first first.
    fn places(&self) -> Vec<PathBuf> {
        let absolute = |name: &str| {
            self.variable(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        let home = absolute("XDG_CONFIG_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".config")));
        home.map(|home| home.join("siskin"))
            .into_iter()
            .chain([self.etc.clone()])
            .map(|folder| folder.join("config.toml"))
            .collect()
    }
}

/// Everything that was said, not yet checked.
#[derive(Debug, Default)]
pub(super) struct Layers {
    pub flags: Table,
    pub variables: Table,
    pub document: Document,
    /// Names of variables that are no settings, and no mistakes either.
    pub passed_over: Vec<String>,
}

/// Reads everything there is. The path is that of the file that was read.
pub(super) fn gather(
    request: &Request,
    around: &Surroundings,
    problems: &mut Vec<Problem>,
) -> (Layers, Option<PathBuf>) {
    let mut layers = Layers::default();
    let file = find(request, around);
    if let Some(path) = &file {
        match file::read(path) {
            Ok(bytes) => layers.document = file::parse(path, &bytes, problems),
            Err(problem) => problems.push(problem),
        }
    }
    layers.variables = from_environment(around, &mut layers.passed_over, problems);
    for flag in &request.flags {
        let value = Value::loose(flag.value.clone(), Origin::Flag(flag.flag));
        layers.flags.insert(flag.key, value);
    }
    (layers, file)
}

/// A file that was asked for is taken as it is; of the usual ones, the first that is there. One
/// that is there and cannot be looked at counts as there, so that its error is told.
fn find(request: &Request, around: &Surroundings) -> Option<PathBuf> {
    let asked = request
        .file
        .clone()
        .or_else(|| around.variable("SISKIN_CONFIG").map(PathBuf::from));
    asked.or_else(|| around.places().into_iter().find(|path| is_there(path)))
}

fn is_there(path: &Path) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match path.metadata() {
        Ok(_) => true,
        Err(why) => !matches!(why.kind(), NotFound | NotADirectory),
    }
}

/// An unknown `SISKIN_…` is a mistake like an unknown key: silence would hide it.
fn from_environment(
    around: &Surroundings,
    passed_over: &mut Vec<String>,
    problems: &mut Vec<Problem>,
) -> Table {
    let mut table = Table::new();
    for (name, value) in &around.variables {
        let name = name.to_string_lossy();
        let foreign = !name.starts_with("SISKIN_")
            || name.starts_with(TESTS_ONLY)
            || NOT_SETTINGS.contains(&name.as_ref())
            // A hook may ask siskin for something.
            || HOOK_VARIABLES.contains(&name.as_ref());
        if foreign || value.is_empty() {
            continue;
        }
        if env::of_a_service(&name, &value.to_string_lossy()) {
            passed_over.push(name.into_owned());
            continue;
        }
        let origin = Origin::Variable(name.to_string());
        let path = schema::names(Scope::Top)
            .map(|(_, path)| path)
            .find(|path| schema::variable(path) == name);
        match (path, value.to_str()) {
            (Some(path), Some(text)) => {
                table.insert(path, Value::loose(text, origin));
            }
            (Some(_), None) => {
                problems.push(Problem::new(origin, "is no UTF-8", "set it to plain text"));
            }
            (None, _) => problems.push(Problem::new(
                origin,
                "there is no such setting",
                unknown_cure(&name),
            )),
        }
    }
    table
}

fn unknown_cure(name: &str) -> String {
    // What all have in common would make all of them alike.
    let own = |variable: &str| variable.trim_start_matches("SISKIN_").to_owned();
    let known: Vec<String> = schema::names(Scope::Top)
        .map(|(_, path)| own(&schema::variable(path)))
        .collect();
    match schema::nearest(&own(name), known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean SISKIN_{near}?"),
        None => "unset it; config.example.toml lists every key".to_owned(),
    }
}
