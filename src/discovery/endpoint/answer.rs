//! The answers: the status table and the fields of `getInfo`.

use serde_json::{Value, json};

use crate::discovery::Identity;

/// Who answers, in every answer.
const SOURCE: &str = "siskin";
/// Of the ZeroConf interface described by the current guide.
const API_VERSION: &str = "2.10.0";
/// librespot's, which the session signs in with as well.
const CLIENT_ID: &str = "65b708073fc0480ea92a077233ca87bd";

/// The status table. Each has a number, a text and an HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Ok,
    /// The request is broken: not UTF-8, too large, too slow.
    Bad,
    Unknown,
    /// Neither GET (or HEAD) nor POST, or something that the house does not do for the network.
    NotImplemented,
    LoginFailed,
    /// The blob was made for another public key: the phone reads `getInfo` again and retries.
    InvalidPublicKey,
    MissingAction,
    InvalidAction,
    InvalidArguments,
}

impl Status {
    fn row(self) -> (u16, u16, &'static str) {
        match self {
            Self::Ok => (101, 200, "OK"),
            Self::Bad => (102, 400, "ERROR-BAD-REQUEST"),
            Self::Unknown => (103, 500, "ERROR-UNKNOWN"),
            Self::NotImplemented => (104, 501, "ERROR-NOT-IMPLEMENTED"),
            Self::LoginFailed => (202, 200, "ERROR-LOGIN-FAILED"),
            // Not in the public table. 200 like the other failure of a login, because a phone
            // that looks at the HTTP status first must still read the number and retry.
            Self::InvalidPublicKey => (203, 200, "ERROR-INVALID-PUBLICKEY"),
            Self::MissingAction => (301, 400, "ERROR-MISSING-ACTION"),
            Self::InvalidAction => (302, 400, "ERROR-INVALID-ACTION"),
            Self::InvalidArguments => (303, 400, "ERROR-INVALID-ARGUMENTS"),
        }
    }

    pub fn http(self) -> u16 {
        self.row().1
    }

    /// The four fields of every answer.
    pub fn body(self) -> Value {
        let (status, _, text) = self.row();
        json!({
            "status": status,
            "statusString": text,
            "spotifyError": 0,
            "responseSource": SOURCE,
        })
    }
}

/// The answer to `getInfo`. `active_user` is empty when nobody is signed in, or when it is hidden.
pub fn info(identity: &Identity, public_key: &str, active_user: &str) -> Value {
    let mut answer = Status::Ok.body();
    let details = json!({
        "version": API_VERSION,
        "deviceID": identity.device.as_str(),
        "deviceType": identity.device_type.wire(),
        "remoteName": identity.name,
        "publicKey": public_key,
        "brandDisplayName": "siskin",
        // Controllers that know librespot by this name send it logins of another kind.
        "modelDisplayName": "siskin",
        "libraryVersion": concat!("siskin-", env!("CARGO_PKG_VERSION")),
        "resolverVersion": "1",
        "groupStatus": "NONE",
        // With "accesstoken", phones fail to connect.
        "tokenType": "default",
        "clientID": CLIENT_ID,
        "productID": 0,
        "scope": "streaming",
        "availability": "",
        "supported_drm_media_formats": [],
        "supported_capabilities": 1,
        "accountReq": "PREMIUM",
        "activeUser": active_user,
        "aliases": [],
    });
    if let (Value::Object(answer), Value::Object(details)) = (&mut answer, details) {
        answer.extend(details);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{DeviceId, DeviceType};

    #[test]
    fn getinfo_has_every_required_field_in_its_size() {
        let identity = Identity {
            device: DeviceId::from_bytes([1; 20]),
            name: "Küche \"oben\"".into(),
            device_type: DeviceType::AudioDongle,
            port: 0,
        };
        let answer = info(&identity, "key", "kim");
        let texts = [
            ("statusString", 64),
            ("responseSource", 64),
            ("version", 16),
            ("deviceID", 64),
            ("publicKey", 149),
            ("remoteName", 64),
            ("deviceType", 15),
            ("brandDisplayName", 32),
            ("modelDisplayName", 30),
            ("libraryVersion", 30),
            ("resolverVersion", 15),
            ("groupStatus", 15),
            ("tokenType", 30),
            ("clientID", 32),
            ("scope", 64),
            ("availability", 15),
            ("activeUser", 64),
        ];
        for (field, longest) in texts {
            let text = answer[field].as_str().expect(field);
            assert!(text.len() <= longest, "{field}: {text}");
        }
        for field in ["status", "spotifyError", "productID"] {
            assert!(answer[field].is_i64(), "{field}");
        }
        assert_eq!(answer["status"], 101);
        assert_eq!(answer["remoteName"], "Küche \"oben\"");
        assert_eq!(answer["deviceType"], "AUDIODONGLE");
        assert_ne!(answer["modelDisplayName"], "librespot");
    }
}
