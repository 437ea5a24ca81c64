//! The `getInfo` answer, and what is wrong with it.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::Value;

use super::{Answer, PhoneError};

/// What a receiver says about itself.
#[derive(Debug, Clone)]
pub struct Info {
    pub device_id: String,
    pub remote_name: String,
    /// Base64, as sent.
    pub public_key: String,
    pub active_user: String,
    pub token_type: String,
    pub brand: String,
    pub model: String,
    pub device_type: String,
    pub answer: Answer,
}

/// Strings that must be there, with the longest a phone accepts (bytes).
const STRINGS: [(&str, usize); 12] = [
    ("version", 16),
    ("deviceID", 64),
    ("publicKey", 149),
    ("remoteName", 64),
    ("brandDisplayName", 32),
    ("libraryVersion", 30),
    ("resolverVersion", 16),
    ("groupStatus", 15),
    ("tokenType", 30),
    ("clientID", 32),
    ("scope", 64),
    ("availability", 15),
];
const OPTIONAL_STRINGS: [(&str, usize); 4] = [
    ("deviceType", 15),
    ("modelDisplayName", 30),
    ("accountReq", 15),
    ("activeUser", 64),
];

impl Info {
    pub(super) fn read(answer: Answer) -> Result<Info, PhoneError> {
        let text = |key: &str| answer.json[key].as_str().map(str::to_string);
        let optional = |key: &str| text(key).unwrap_or_default();
        Ok(Info {
            device_id: text("deviceID").ok_or(PhoneError::BadInfo("deviceID"))?,
            public_key: text("publicKey").ok_or(PhoneError::BadInfo("publicKey"))?,
            remote_name: optional("remoteName"),
            active_user: optional("activeUser"),
            token_type: optional("tokenType"),
            brand: optional("brandDisplayName"),
            model: optional("modelDisplayName"),
            device_type: optional("deviceType"),
            answer,
        })
    }

    /// The receiver's public key.
    pub fn public_key(&self) -> Result<Vec<u8>, PhoneError> {
        BASE64
            .decode(&self.public_key)
            .map_err(|_| PhoneError::BadInfo("publicKey"))
    }

    /// Everything that Spotify's description of `getInfo` does not allow.
    /// Empty for a good receiver.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let json = &self.answer.json;
        if self.answer.http_status != 200 {
            faults.push(format!(
                "HTTP status is {}, not 200",
                self.answer.http_status
            ));
        }
        let kind = self
            .answer
            .reply
            .header("content-type")
            .unwrap_or("missing");
        if !kind.starts_with("application/json") {
            faults.push(format!("Content-Type is {kind}, not application/json"));
        }
        for (key, wanted) in [("status", 101), ("spotifyError", 0)] {
            if json[key] != wanted {
                faults.push(format!("{key} is {}, not {wanted}", json[key]));
            }
        }
        for key in ["statusString", "responseSource"] {
            if !json[key].is_string() {
                faults.push(format!("{key} is {}, not a string", json[key]));
            }
        }
        if !json["productID"].is_i64() {
            faults.push(format!(
                "productID is {}, not an integer",
                json["productID"]
            ));
        }
        for (key, longest) in STRINGS {
            match &json[key] {
                Value::String(text) => too_long(&mut faults, key, text, longest),
                other => faults.push(format!("{key} is {other}, not a string")),
            }
        }
        for (key, longest) in OPTIONAL_STRINGS {
            match &json[key] {
                Value::Null => {}
                Value::String(text) => too_long(&mut faults, key, text, longest),
                other => faults.push(format!("{key} is {other}, not a string")),
            }
        }
        match self.public_key() {
            Ok(key) if (90..=96).contains(&key.len()) => {}
            Ok(key) => faults.push(format!(
                "publicKey has {} bytes, not 96 or few less",
                key.len()
            )),
            Err(_) => faults.push("publicKey is not base64".into()),
        }
        for key in ["deviceID", "remoteName"] {
            if json[key] == "" {
                faults.push(format!("{key} is empty"));
            }
        }
        faults
    }
}

fn too_long(faults: &mut Vec<String>, key: &str, text: &str, longest: usize) {
    if text.len() > longest {
        faults.push(format!(
            "{key} has {} bytes, more than {longest}",
            text.len()
        ));
    }
}
