//! Values as they travel over D-Bus, made and compared without knowing how.

use std::collections::HashMap;

use zbus::{ObjectPath, Variant};

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Texts(Vec<String>),
    /// The path of an object: made by us, so that it is one.
    Path(String),
    Paths(Vec<String>),
    Facts(Facts),
}

/// Named values, each name once: properties, or what is known of a track.
pub type Facts = Vec<(&'static str, Value)>;

impl Value {
    /// What others wrote. A zero byte cannot travel: the bus would throw us out for it.
    pub fn text(text: &str) -> Self {
        Self::Text(text.replace('\0', ""))
    }

    pub fn texts(texts: &[String]) -> Self {
        Self::Texts(texts.iter().map(|text| text.replace('\0', "")).collect())
    }

    pub fn variant(&self) -> Variant<'_> {
        match self {
            Self::Bool(on) => Variant::from(*on),
            Self::Int(number) => Variant::from(*number),
            Self::Float(number) => Variant::from(*number),
            Self::Text(text) => Variant::from(text.as_str()),
            Self::Texts(texts) => {
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                Variant::from(texts)
            }
            Self::Path(text) => Variant::from(path(text)),
            Self::Paths(texts) => Variant::from(paths(texts)),
            Self::Facts(facts) => Variant::from(dict(facts)),
        }
    }
}

pub fn path(text: &str) -> ObjectPath<'_> {
    ObjectPath::from_str_unchecked(text)
}

pub fn paths(texts: &[String]) -> Vec<ObjectPath<'_>> {
    texts.iter().map(|text| path(text)).collect()
}

pub fn dict(facts: &Facts) -> HashMap<&str, Variant<'_>> {
    let entries = facts.iter().map(|(name, value)| (*name, value.variant()));
    entries.collect()
}
