//! Where the states of a sign-in come from: a child of our own, or a daemon.

use std::time::Duration;

use serde::Serialize;
use tokio::{sync::watch, time::sleep};

use crate::{
    cli::client::{Client, ClientError, Method},
    daemon::pairing::Flow,
    model::{Pairing, Secret, Way},
};

/// Between two looks at what the daemon says. The server sets the true pace; this is for eyes.
const LOOK: Duration = Duration::from_millis(300);

/// A sign-in that is under way, wherever that is.
pub trait Source {
    /// The next state that says something new; `None` when nobody can say any more. Cancel safe.
    async fn next(&mut self) -> Option<Pairing>;

    /// Asks for the end, which comes as a state.
    async fn cancel(&mut self);

    /// Hands the address over that a browser ended up at.
    async fn paste(&mut self, address: String);
}

/// A child of our own.
pub struct Here {
    flow: Flow,
    state: watch::Receiver<Pairing>,
}

impl Here {
    pub fn new(flow: Flow) -> Self {
        let mut state = flow.watch();
        state.mark_changed();
        Self { flow, state }
    }
}

impl Source for Here {
    async fn next(&mut self) -> Option<Pairing> {
        self.state.changed().await.ok()?;
        Some(self.state.borrow_and_update().clone())
    }

    async fn cancel(&mut self) {
        self.flow.cancel();
    }

    async fn paste(&mut self, address: String) {
        self.flow.paste(Secret::new(address.into_bytes()));
    }
}

/// The daemon's.
pub struct There {
    client: Client,
    speaker: String,
    /// Not said yet.
    news: Option<Pairing>,
    last: Option<Pairing>,
}

#[derive(Serialize)]
struct How {
    way: Way,
}

#[derive(Serialize)]
struct Led {
    address: String,
}

impl There {
    /// Begins one.
    ///
    /// # Errors
    /// When the daemon says no, or nothing.
    pub async fn begin(client: Client, speaker: String, way: Way) -> Result<Self, ClientError> {
        let route = ["speakers", &speaker, "pairing"];
        let begun = client
            .send(Method::POST, &route, Some(&How { way }))
            .await?;
        Ok(Self {
            client,
            speaker,
            news: Some(begun),
            last: None,
        })
    }

    fn route(&self) -> [&str; 3] {
        ["speakers", &self.speaker, "pairing"]
    }
}

impl Source for There {
    async fn next(&mut self) -> Option<Pairing> {
        loop {
            if let Some(news) = self.news.take() {
                self.last = Some(news.clone());
                return Some(news);
            }
            sleep(LOOK).await;
            let now: Pairing = self.client.get(&self.route()).await.ok()?;
            if self.last.as_ref() != Some(&now) {
                self.news = Some(now);
            }
        }
    }

    async fn cancel(&mut self) {
        // What came of it is in the next state; a daemon that is gone is noticed there as well.
        let route = self.route();
        let _: Result<serde_json::Value, _> =
            self.client.send(Method::DELETE, &route, None::<&()>).await;
    }

    async fn paste(&mut self, address: String) {
        let led = Led { address };
        let route = self.route();
        let _: Result<serde_json::Value, _> =
            self.client.send(Method::PATCH, &route, Some(&led)).await;
    }
}
