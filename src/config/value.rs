//! Values as they were given, each knowing where it came from.

use std::{fmt, path::Path, sync::Arc};

use toml::{Spanned, de::DeValue};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    Default,
    /// The default of `name`.
    HostName,
    File {
        file: Arc<Path>,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
    },
    /// A file, but no line of it.
    WholeFile(Arc<Path>),
    Variable(String),
    Flag(&'static str),
}

impl Origin {
    /// For the front of a problem: `config.toml:3:11`, `SISKIN_NAME`, `--name`.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Default | Self::HostName => String::new(),
            Self::File { file, line, column } => format!("{}:{line}:{column}", file.display()),
            Self::WholeFile(file) => file.display().to_string(),
            Self::Variable(name) => name.clone(),
            Self::Flag(name) => (*name).to_owned(),
        }
    }

    /// Problems are told in this order: the file from its top, then everything else.
    pub(super) fn order(&self) -> (u8, usize, usize) {
        match self {
            Self::WholeFile(_) => (0, 0, 0),
            Self::File { line, column, .. } => (1, *line, *column),
            Self::Variable(_) => (2, 0, 0),
            Self::Flag(_) => (3, 0, 0),
            Self::Default | Self::HostName => (4, 0, 0),
        }
    }
}

/// For `check --explain`: `default`, `config.toml:3`, `environment SISKIN_NAME`, `flag --name`.
impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::HostName => out.write_str("default, the host name"),
            Self::File { file, line, .. } => write!(out, "{}:{line}", file.display()),
            Self::WholeFile(file) => write!(out, "{}", file.display()),
            Self::Variable(name) => write!(out, "environment {name}"),
            Self::Flag(name) => write!(out, "flag {name}"),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub raw: Raw,
    pub origin: Origin,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Raw {
    /// From the environment or a flag: its type is whatever the key wants.
    Loose(String),
    Text(String),
    Whole(i64),
    Decimal(f64),
    Switch(bool),
    List(Vec<Value>),
    /// Nothing that any key takes, in words ("a date").
    Strange(&'static str),
}

/// What is wrong with a value; the name of its key is put in front.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// Continues the name of the key: "is 300, which Spotify does not stream".
    pub what: String,
    pub help: String,
    /// Where it stands, when that is inside the value.
    pub within: Option<Origin>,
}

impl Fault {
    pub fn new(what: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: help.into(),
            within: None,
        }
    }
}

impl Value {
    pub fn loose(text: impl Into<String>, origin: Origin) -> Self {
        Self {
            raw: Raw::Loose(text.into()),
            origin,
        }
    }

    /// `place` turns a byte offset into an origin.
    pub fn from_toml(given: &Spanned<DeValue<'_>>, place: &dyn Fn(usize) -> Origin) -> Self {
        let raw = match given.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(digits) => {
                match i64::from_str_radix(digits.as_str(), digits.radix()) {
                    Ok(number) => Raw::Whole(number),
                    Err(_) => Raw::Strange("a number out of all range"),
                }
            }
            DeValue::Float(digits) => match digits.as_str().parse() {
                Ok(number) => Raw::Decimal(number),
                Err(_) => Raw::Strange("a number that cannot be read"),
            },
            DeValue::Boolean(on) => Raw::Switch(*on),
            DeValue::Datetime(_) => Raw::Strange("a date"),
            DeValue::Array(items) => Raw::List(
                items
                    .iter()
                    .map(|item| Self::from_toml(item, place))
                    .collect(),
            ),
            DeValue::Table(_) => Raw::Strange("a section"),
        };
        let origin = place(given.span().start);
        Self { raw, origin }
    }

    pub fn text(&self) -> Result<&str, Fault> {
        match &self.raw {
            Raw::Loose(text) | Raw::Text(text) => Ok(text),
            _ => Err(self.not("a text", "put it in quotes")),
        }
    }

    /// `help` says what the key takes.
    pub fn whole(&self, help: &str) -> Result<i64, Fault> {
        match &self.raw {
            Raw::Whole(number) => Ok(*number),
            Raw::Loose(text) => text
                .trim()
                .parse()
                .map_err(|_| self.not("a whole number", help)),
            _ => Err(self.not("a whole number", help)),
        }
    }

    pub fn decimal(&self, help: &str) -> Result<f64, Fault> {
        match &self.raw {
            Raw::Whole(number) => Ok(*number as f64),
            Raw::Decimal(number) => Ok(*number),
            Raw::Loose(text) => text.trim().parse().map_err(|_| self.not("a number", help)),
            _ => Err(self.not("a number", help)),
        }
    }

    pub fn switch(&self) -> Result<bool, Fault> {
        match &self.raw {
            Raw::Switch(on) => Ok(*on),
            Raw::Loose(text) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" | "1" => Ok(true),
                "false" | "no" | "off" | "0" => Ok(false),
                _ => Err(self.not("true or false", "use true or false")),
            },
            _ => Err(self.not("true or false", "use true or false, without quotes")),
        }
    }

    /// A loose value is split at its commas.
    pub fn list(&self) -> Result<Vec<Value>, Fault> {
        match &self.raw {
            Raw::List(items) => Ok(items.clone()),
            Raw::Loose(text) => Ok(text
                .split(',')
                .map(str::trim)
                .filter(|item| !item.is_empty())
                .map(|item| Self::loose(item, self.origin.clone()))
                .collect()),
            _ => Err(self.not("a list", "put it in brackets: [\"…\"]")),
        }
    }

    fn not(&self, wanted: &str, help: &str) -> Fault {
        Fault::new(format!("is {self}, not {wanted}"), help)
    }
}

/// As TOML would write it.
impl fmt::Display for Value {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.raw {
            Raw::Loose(text) if text.parse::<f64>().is_ok() || text.parse::<bool>().is_ok() => {
                out.write_str(text)
            }
            Raw::Loose(text) | Raw::Text(text) => out.write_str(&super::quoted(text)),
            Raw::Whole(number) => write!(out, "{number}"),
            Raw::Decimal(number) => write!(out, "{number:?}"),
            Raw::Switch(on) => write!(out, "{on}"),
            Raw::Strange(words) => out.write_str(words),
            Raw::List(items) => {
                out.write_str("[")?;
                for (number, item) in items.iter().enumerate() {
                    if number > 0 {
                        out.write_str(", ")?;
                    }
                    item.fmt(out)?;
                }
                out.write_str("]")
            }
        }
    }
}
