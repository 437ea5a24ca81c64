//! From the text of a file to values that know their place.

use std::{collections::BTreeMap, fs::File, io::Read, path::Path, sync::Arc};

use toml::de::{DeTable, DeValue};

use super::{
    foreign,
    problem::Problem,
    schema::{self, Scope},
    value::{Origin, Value},
};

/// Values by the path of their key.
pub(super) type Table = BTreeMap<&'static str, Value>;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub top: Table,
    pub speakers: Vec<Section>,
    pub accounts: Vec<Section>,
    pub hooks: Vec<Section>,
}

/// One `[[speaker]]`, `[[account]]` or `[[hook]]`.
#[derive(Debug)]
pub(super) struct Section {
    pub origin: Origin,
    pub values: Table,
}

/// A configuration is a page of text. Whatever is larger is another file.
const MAX_BYTES: u64 = 1 << 20;
/// Each speaker is a process with a sound card; nobody has that many.
const MAX_SPEAKERS: usize = 16;
/// A large household on many speakers.
const MAX_ACCOUNTS: usize = 256;
/// Each may be a process at any time.
const MAX_HOOKS: usize = 32;

/// The text of `path`, when it can be read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut text));
    match read {
        Err(why) => Err(Problem::with_file(
            path,
            format!("cannot be read ({why})"),
            "check that the file is there and that this user may read it",
        )),
        Ok(_) if text.len() as u64 > MAX_BYTES => Err(Problem::with_file(
            path,
            "is larger than 1 MiB",
            "name a configuration file",
        )),
        Ok(_) => Ok(text),
    }
}

/// What the file says; what cannot be used is told in `problems` and left out.
pub(super) fn parse(path: &Path, bytes: &[u8], problems: &mut Vec<Problem>) -> Document {
    let mut reader = Reader {
        file: path.into(),
        text: "",
        problems,
        document: Document::default(),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            reader.text = text;
            reader.document();
        }
        Err(why) => {
            let readable = &bytes[..why.valid_up_to()];
            // Valid up to there, as the error says.
            reader.text = std::str::from_utf8(readable).unwrap_or_default();
            let place = reader.place(readable.len());
            reader.problems.push(Problem::new(
                place,
                "this byte is no UTF-8",
                "save the file as UTF-8",
            ));
        }
    }
    reader.document
}

struct Reader<'a> {
    file: Arc<Path>,
    text: &'a str,
    problems: &'a mut Vec<Problem>,
    document: Document,
}

impl Reader<'_> {
    fn document(&mut self) {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        if errors.is_empty() {
            let top = self.table(table.get_ref(), "", Scope::Top);
            self.document.top = top;
        }
        // One error a line: what follows the first is mostly its echo.
        let mut told = Vec::new();
        for error in errors {
            let place = self.place(error.span().map_or(0, |span| span.start));
            let (_, line, _) = place.order();
            if !told.contains(&line) {
                told.push(line);
                let what = format!("this is not TOML: {}", error.message());
                self.problem(place, &what, r#"write key = value, with texts in "quotes""#);
            }
        }
    }

    fn table(&mut self, table: &DeTable<'_>, section: &str, scope: Scope) -> Table {
        let mut values = Table::new();
        for (key, value) in table {
            let name = match section {
                "" => key.get_ref().to_string(),
                _ => format!("{section}.{}", key.get_ref()),
            };
            let place = self.place(key.span().start);
            if let Some(path) = schema::find(scope, &name) {
                let value = Value::from_toml(value, &|offset| self.place(offset));
                values.insert(path, value);
            } else if schema::is_section(scope, &name) {
                match value.get_ref() {
                    DeValue::Table(inner) => values.extend(self.table(inner, &name, scope)),
                    _ => self.problem(
                        place,
                        &format!("{name} is a section, not a value"),
                        &format!("write [{name}] on a line of its own"),
                    ),
                }
            } else if scope == Scope::Top && name == "speaker" {
                let speakers = self.sections(place, value.get_ref(), Scope::Speaker);
                self.document.speakers = speakers;
            } else if scope == Scope::Top && name == "account" {
                let accounts = self.sections(place, value.get_ref(), Scope::Account);
                self.document.accounts = accounts;
            } else if scope == Scope::Top && name == "hook" {
                let hooks = self.sections(place, value.get_ref(), Scope::Hook);
                self.document.hooks = hooks;
            } else if let (Scope::Top, foreign::GLOBAL, DeValue::Table(inner)) =
                (scope, name.as_str(), value.get_ref())
            {
                let what = "there is no section [global]";
                self.problem(place, what, foreign::INSTEAD_OF_GLOBAL);
                // What in there is called otherwise, or belongs elsewhere, is told in the same go.
                self.table(inner, "", scope);
            } else {
                let is_table = matches!(value.get_ref(), DeValue::Table(_));
                self.unknown(place, &name, scope, is_table);
            }
        }
        values
    }

    /// A list of sections: `[[speaker]]`, `[[account]]` or `[[hook]]`.
    fn sections(&mut self, place: Origin, value: &DeValue<'_>, scope: Scope) -> Vec<Section> {
        let (word, a_word, most) = match scope {
            Scope::Account => ("account", "an account", MAX_ACCOUNTS),
            Scope::Hook => ("hook", "a hook", MAX_HOOKS),
            _ => ("speaker", "a speaker", MAX_SPEAKERS),
        };
        let help = format!("write [[{word}]], in double brackets");
        let mut sections = Vec::new();
        let DeValue::Array(items) = value else {
            self.problem(place, &format!("{word} is not a list of sections"), &help);
            return sections;
        };
        if items.len() > most {
            let what = format!("there are {} {word}s", items.len());
            self.problem(place, &what, &format!("use at most {most}"));
            return sections;
        }
        for item in items.iter() {
            let origin = self.place(item.span().start);
            match item.get_ref() {
                DeValue::Table(table) => {
                    let values = self.table(table, "", scope);
                    sections.push(Section { origin, values });
                }
                _ => self.problem(
                    origin,
                    &format!("{a_word} is a section, not a value"),
                    &help,
                ),
            }
        }
        sections
    }

    fn unknown(&mut self, place: Origin, name: &str, scope: Scope, is_table: bool) {
        let what = match (is_table, scope) {
            (true, Scope::Top) => format!("there is no section [{name}]"),
            (true, Scope::Speaker) => format!("there is no section [speaker.{name}]"),
            (true, Scope::Account) => format!("there is no section [account.{name}]"),
            (true, Scope::Hook) => format!("there is no section [hook.{name}]"),
            (false, Scope::Top) => format!("there is no key {name}"),
            (false, Scope::Speaker) => format!("a speaker has no key {name}"),
            (false, Scope::Account) => format!("an account has no key {name}"),
            (false, Scope::Hook) => format!("a hook has no key {name}"),
        };
        let help = cure(name, scope)
            .unwrap_or_else(|| "take it out; config.example.toml lists every key".to_owned());
        self.problem(place, &what, &help);
    }

    fn problem(&mut self, place: Origin, what: &str, help: &str) {
        self.problems.push(Problem::new(place, what, help));
    }

    /// The origin at a byte offset.
    fn place(&self, offset: usize) -> Origin {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Origin::File {
            file: self.file.clone(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// What a person who wrote the unknown `name` probably meant.
fn cure(name: &str, scope: Scope) -> Option<String> {
    if matches!(scope, Scope::Top | Scope::Speaker)
        && let Some(theirs) = foreign::setting(name)
    {
        return Some(theirs.cure());
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    let elsewhere = schema::names(scope)
        .find_map(|(known, _)| known.split_once('.').filter(|(_, key)| *key == last));
    if let Some((section, key)) = elsewhere {
        let section = in_brackets(section, scope);
        return Some(format!("{key} belongs in {section}"));
    }
    if scope == Scope::Speaker && schema::find(Scope::Top, name).is_some() {
        return Some(format!(
            "{name} holds for the whole daemon: move it above the speakers"
        ));
    }
    if let Some(near) = schema::nearest(name, schema::names(scope).map(|(known, _)| known)) {
        return Some(format!("did you mean {near}?"));
    }
    let sections = schema::names(scope).filter_map(|(known, _)| known.split_once('.'));
    let sections = sections.map(|(section, _)| section).chain(
        ["speaker", "account", "hook"]
            .into_iter()
            .filter(|_| scope == Scope::Top),
    );
    schema::nearest(name, sections).map(|section| match section {
        "speaker" | "account" | "hook" => format!("did you mean [[{section}]]?"),
        _ => format!("did you mean {}?", in_brackets(section, scope)),
    })
}

fn in_brackets(section: &str, scope: Scope) -> String {
    match scope {
        Scope::Top => format!("[{section}]"),
        Scope::Speaker => format!("[speaker.{section}]"),
        Scope::Account => format!("[account.{section}]"),
        Scope::Hook => format!("[hook.{section}]"),
    }
}
