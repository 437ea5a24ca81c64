//! Settings of the way to the house's MQTT broker.

use std::path::PathBuf;

use url::Url;

use super::value::{Fault, Value};
use crate::model::Secret;

/// How the broker is spoken to, and under which names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mqtt {
    /// `None`: nobody is connected to.
    pub broker: Option<Broker>,
    pub version: MqttVersion,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Read at every connection; its first line is the password.
    pub password_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted instead of the machine's own.
    pub ca_file: Option<PathBuf>,
    /// Tells the siskins of one broker apart: 1 to 32 of a–z, 0–9, - and _.
    pub node: String,
    /// What every topic begins with.
    pub prefix: String,
    /// Where Home Assistant looks for devices; `None`: it is told nothing.
    pub discovery_prefix: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broker {
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// A name or an address; IPv6 in brackets.
    pub host: String,
    pub port: u16,
}

/// Of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MqttVersion {
    #[default]
    V3_1_1,
    V5,
}

impl Default for Mqtt {
    fn default() -> Self {
        Self {
            broker: None,
            version: MqttVersion::default(),
            user: None,
            password: None,
            password_file: None,
            ca_file: None,
            node: "siskin".into(),
            prefix: "siskin".into(),
            discovery_prefix: Some("homeassistant".into()),
        }
    }
}

/// A topic may have 65 535 bytes; nobody wants to read more than this.
const PREFIX_BYTES: usize = 64;
const NODE_BYTES: usize = 32;

/// The text itself is not shown where it might hold a password.
pub(super) fn broker(given: &Value) -> Result<Option<Broker>, Fault> {
    let help = r#"use "mqtt://host", "mqtt://host:1883", or "mqtts://host:8883" for TLS"#;
    let text = given.text()?;
    if text.is_empty() {
        return Ok(None);
    }
    let url = Url::parse(text).map_err(|why| Fault::new(format!("is no URL ({why})"), help))?;
    if !url.username().is_empty() || url.password().is_some() {
        let what = "holds a user name or password";
        let help = "take it out, and use mqtt.user and mqtt.password_file";
        return Err(Fault::new(what, help));
    }
    let tls = match url.scheme() {
        "mqtt" => false,
        "mqtts" => true,
        _ => return Err(Fault::new(format!("is {given}, not a broker"), help)),
    };
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    let host = url.host_str().filter(|host| !host.is_empty() && bare);
    let Some(host) = host else {
        return Err(Fault::new(format!("is {given}, not a broker"), help));
    };
    if tls && host.starts_with('[') {
        let what = format!("is {given}, and certificates are not compared with such addresses");
        return Err(Fault::new(what, "use the broker's name"));
    }
    let port = url.port().unwrap_or(if tls { 8883 } else { 1883 });
    if port == 0 {
        return Err(Fault::new(format!("is {given}, not a broker"), help));
    }
    Ok(Some(Broker {
        tls,
        host: host.to_owned(),
        port,
    }))
}

pub(super) fn version(given: &Value) -> Result<MqttVersion, Fault> {
    match given.text() {
        Ok("3.1.1") => Ok(MqttVersion::V3_1_1),
        Ok("5") => Ok(MqttVersion::V5),
        _ => Err(Fault::new(
            format!("is {given}, which is none of its values"),
            r#"use "3.1.1" or "5", in quotes"#,
        )),
    }
}

/// Never shown, whatever is wrong with it.
pub(super) fn password(given: &Value) -> Result<Option<Secret>, Fault> {
    let text = given
        .text()
        .map_err(|_| Fault::new("is not a text", "put it in quotes"))?;
    Ok((!text.is_empty()).then(|| Secret::new(text.as_bytes().to_vec())))
}

/// `None` where nothing stands in the quotes: the host name.
pub(super) fn node(given: &Value) -> Result<Option<String>, Fault> {
    let text = given.text()?;
    let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    if text.is_empty() {
        Ok(None)
    } else if text.len() <= NODE_BYTES && text.bytes().all(fits) {
        Ok(Some(text.to_owned()))
    } else {
        Err(Fault::new(
            format!("is {given}, which cannot name a part of a topic"),
            "use 1 to 32 of a–z, 0–9, - and _",
        ))
    }
}

/// The name of the machine as a part of a topic.
pub(super) fn node_of(host: &str) -> String {
    let plain = |c: char| match c.to_ascii_lowercase() {
        c @ ('a'..='z' | '0'..='9' | '_') => c,
        _ => '-',
    };
    let node: String = host.chars().map(plain).take(NODE_BYTES).collect();
    match node.trim_matches('-') {
        "" => "siskin".to_owned(),
        node => node.to_owned(),
    }
}

pub(super) fn prefix(given: &Value) -> Result<String, Fault> {
    let text = given.text()?;
    let plain = |c: char| !c.is_control() && !c.is_whitespace() && !"+#$".contains(c);
    let levels = text.split('/').all(|level| !level.is_empty());
    if text.len() <= PREFIX_BYTES && levels && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err(Fault::new(
            format!("is {given}, which no topic can begin with"),
            r#"use names with / between them, such as "house/siskin""#,
        ))
    }
}

pub(super) fn discovery_prefix(given: &Value) -> Result<Option<String>, Fault> {
    match given.text()? {
        "none" => Ok(None),
        _ => prefix(given).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::value::Origin;

    fn given(text: &str) -> Value {
        Value::loose(text, Origin::Default)
    }

    #[test]
    fn a_broker_is_a_url_with_a_host_and_no_secret() {
        let at = |text: &str| {
            let broker = broker(&given(text)).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            broker.map(|it| (it.tls, it.host, it.port))
        };
        assert_eq!(at(""), None);
        assert_eq!(at("mqtt://hub"), Some((false, "hub".into(), 1883)));
        assert_eq!(at("mqtts://hub/"), Some((true, "hub".into(), 8883)));
        assert_eq!(at("mqtt://[::1]:9"), Some((false, "[::1]".into(), 9)));
        for wrong in [
            "hub",
            "hub:1883",
            "http://hub",
            "mqtt://",
            "mqtt://hub/topic",
            "mqtt://hub:0",
            "mqtts://[::1]",
        ] {
            assert!(broker(&given(wrong)).is_err(), "{wrong}");
        }
        let fault = broker(&given("mqtt://kim:hush@hub")).expect_err("a secret");
        assert!(!format!("{fault:?}").contains("hush"), "{fault:?}");
    }

    #[test]
    fn any_machine_has_a_name_that_fits_into_a_topic() {
        assert_eq!(node_of("RaspberryPi"), "raspberrypi");
        assert_eq!(node_of("küche #1"), "k-che--1");
        assert_eq!(node_of("日本"), "siskin");
        assert!(node(&given(&node_of(&"x".repeat(80)))).is_ok());
        for wrong in ["Kitchen", "a/b", "+", "a b"] {
            assert!(node(&given(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_is_whole_levels_without_wildcards() {
        assert_eq!(prefix(&given("house/siskin")), Ok("house/siskin".into()));
        for wrong in ["", "/a", "a/", "a//b", "a/+", "#", "$SYS", "a b"] {
            assert!(prefix(&given(wrong)).is_err(), "{wrong}");
        }
        assert_eq!(discovery_prefix(&given("none")), Ok(None));
    }
}
