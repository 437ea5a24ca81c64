//! A phone that does what its script says: looks for speakers, asks who they
//! are, signs people in, and misbehaves when told to.
//!
//! Owns the client side of mDNS and zeroconf, cryptography included, built
//! from the description of the protocol and not from the code under test.
//! Knows nothing of the back end. Every wait has a limit.
//!
//! Sockets and the mDNS thread are opened in the network namespace of the
//! calling thread: enter it first ([`crate::rigs::Namespace`]), then build
//! the runtime.

mod blob;
mod browse;
mod hostile;
mod http;
mod info;

use std::{net::IpAddr, time::Duration};

use serde_json::Value;

pub use blob::{Login, Parcel, seal, seal_inner};
pub use browse::{Found, SERVICE_TYPE, Sighting, Watch};
pub use hostile::{Hostile, Taken};
pub use http::Reply;
pub use info::Info;

/// Longer than any honest answer of a receiver takes: it may wait for the
/// login before it answers `addUser`.
const PATIENCE: Duration = Duration::from_secs(30);

/// A phone with a name. Cheap to make; holds no connection.
#[derive(Debug, Clone)]
pub struct Phone {
    name: String,
    device_id: String,
    patience: Duration,
    from: Option<IpAddr>,
}

/// What a receiver said to a zeroconf request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub http_status: u16,
    /// `null` if the body is no JSON.
    pub json: Value,
    /// From the first byte sent to the last byte received, connecting included.
    pub latency: Duration,
    pub reply: Reply,
}

/// What went wrong between the phone and a receiver.
#[derive(Debug, thiserror::Error)]
pub enum PhoneError {
    #[error("no speaker like that was announced within {limit:?}; seen: {seen:?}")]
    NotFound { limit: Duration, seen: Vec<String> },
    #[error("{0} has no address a phone could call")]
    NoAddress(String),
    #[error("mDNS does not work here: {0}")]
    Mdns(String),
    #[error("{step} took longer than {limit:?}")]
    Slow { step: &'static str, limit: Duration },
    #[error("{step} failed")]
    Io {
        step: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("the answer is not HTTP: {0}")]
    NotHttp(String),
    #[error("the getInfo answer has no usable {0}")]
    BadInfo(&'static str),
}

impl Phone {
    pub fn new(name: &str) -> Phone {
        let device_id = hex::encode(name.as_bytes());
        Phone {
            name: name.into(),
            device_id,
            patience: PATIENCE,
            from: None,
        }
    }

    /// The longest wait for one answer; 30 s unless told.
    pub fn with_patience(mut self, patience: Duration) -> Phone {
        self.patience = patience;
        self
    }

    /// Calls from this address of the machine, so that several phones are told apart.
    pub fn at(mut self, from: IpAddr) -> Phone {
        self.from = Some(from);
        self
    }

    /// All speakers that are announced while the phone looks: always takes
    /// the whole `limit`.
    pub async fn browse(&self, limit: Duration) -> Result<Vec<Found>, PhoneError> {
        Ok(Watch::start()?.gather(limit).await)
    }

    /// The first speaker that fits.
    pub async fn wait_for(
        &self,
        fits: impl Fn(&Found) -> bool,
        limit: Duration,
    ) -> Result<Found, PhoneError> {
        Watch::start()?.until(fits, limit).await
    }

    /// The first speaker of that name.
    pub async fn find(&self, instance: &str, limit: Duration) -> Result<Found, PhoneError> {
        self.wait_for(|found| found.instance == instance, limit)
            .await
    }

    /// Keeps looking: for arrivals, changes and goodbyes.
    pub fn watch(&self) -> Result<Watch, PhoneError> {
        Watch::start()
    }

    /// `getInfo`, read and taken apart; [`Info::faults`] judges it.
    pub async fn get_info(&self, found: &Found) -> Result<Info, PhoneError> {
        let query = "action=getInfo&version=2.10.0";
        let answer = self.get(found, query).await?;
        Info::read(answer)
    }

    /// Signs `user` in, the way the app does.
    pub async fn add_user(
        &self,
        found: &Found,
        info: &Info,
        user: &str,
        login: &Login,
    ) -> Result<Answer, PhoneError> {
        let parcel = seal(&info.public_key()?, &info.device_id, user, login);
        self.add_user_fields(found, &self.fields(user, &parcel))
            .await
    }

    /// The form fields of an `addUser`, for tests that leave out or spoil one.
    pub fn fields(&self, user: &str, parcel: &Parcel) -> Vec<(String, String)> {
        let fields = [
            ("action", "addUser"),
            ("userName", user),
            ("blob", &parcel.blob),
            ("clientKey", &parcel.client_key),
            ("deviceName", &self.name),
            ("deviceId", &self.device_id),
            ("tokenType", "default"),
            ("version", "2.10.0"),
            ("loginId", ""),
        ];
        fields.map(|(k, v)| (k.to_string(), v.to_string())).to_vec()
    }

    /// Posts the fields as they are.
    pub async fn add_user_fields(
        &self,
        found: &Found,
        fields: &[(String, String)],
    ) -> Result<Answer, PhoneError> {
        self.post(found, "", fields).await
    }

    /// Asks the receiver to forget everybody.
    pub async fn reset_users(&self, found: &Found) -> Result<Answer, PhoneError> {
        self.post(found, "", &[("action".into(), "resetUsers".into())])
            .await
    }

    /// Any GET below the announced path.
    pub async fn get(&self, found: &Found, query: &str) -> Result<Answer, PhoneError> {
        let head = http::head("GET", &target(found, query), &found.host_header()?, &[]);
        self.ask(found, head.into_bytes()).await
    }

    /// Any form POST below the announced path.
    pub async fn post(
        &self,
        found: &Found,
        query: &str,
        fields: &[(String, String)],
    ) -> Result<Answer, PhoneError> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        let extra = [
            (
                "Content-Type",
                "application/x-www-form-urlencoded".to_string(),
            ),
            ("Content-Length", body.len().to_string()),
        ];
        let head = http::head("POST", &target(found, query), &found.host_header()?, &extra);
        self.ask(found, [head, body].concat().into_bytes()).await
    }

    /// Sends a whole request as it is and reads one answer.
    pub async fn ask(&self, found: &Found, request: Vec<u8>) -> Result<Answer, PhoneError> {
        let to = found.address()?;
        let (reply, latency) = http::exchange(self.from, to, &request, self.patience).await?;
        let json = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
        Ok(Answer {
            http_status: reply.status,
            json,
            latency,
            reply,
        })
    }
}

impl Answer {
    /// The zeroconf status: 101 is fine.
    pub fn status(&self) -> Option<i64> {
        self.json["status"].as_i64()
    }

    pub fn status_string(&self) -> Option<&str> {
        self.json["statusString"].as_str()
    }
}

fn target(found: &Found, query: &str) -> String {
    let path = found.cpath();
    if query.is_empty() {
        path
    } else {
        format!("{path}?{query}")
    }
}

#[cfg(test)]
mod tests;
