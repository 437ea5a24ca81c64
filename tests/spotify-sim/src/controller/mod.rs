//! What the Spotify app does through the cloud: it sees the devices of its
//! user, tells one of them what to do, and shows what is playing.

mod commands;
mod seldom;
mod state;
mod transfer;

use std::{fmt, sync::Arc, time::Duration};

use sha1::{Digest, Sha1};

use crate::{
    cluster::State,
    shared::{Shared, now_ms},
};

pub use commands::{PlayOptions, Reply};
pub use seldom::OldNews;
pub use state::{AppState, DeviceShown};

/// How long a command may take before the app gives up on it.
const LIMIT: Duration = Duration::from_secs(10);

/// Exchanges shown when something did not happen.
const SHOWN: usize = 20;

/// The app in the hands of one user. Clones are the same app.
#[derive(Clone)]
pub struct Controller {
    shared: Arc<Shared>,
    user: String,
    /// The phone's own device id.
    phone: String,
    /// The device chosen with [`Controller::on`], by name or id.
    target: Option<String>,
    limit: Duration,
}

/// Why something asked of a receiver did not happen, with what did.
pub struct ControlError(String);

impl Controller {
    pub(crate) fn new(shared: Arc<Shared>, user: &str) -> Self {
        let phone = hex::encode(Sha1::digest(format!("phone of {user}")));
        Self {
            shared,
            user: user.to_owned(),
            phone,
            target: None,
            limit: LIMIT,
        }
    }

    /// The same app with this device picked, by name or id. Otherwise
    /// commands go to the active device, or to the only one there is.
    pub fn on(&self, device: &str) -> Self {
        Self {
            target: Some(device.to_owned()),
            ..self.clone()
        }
    }

    /// The same app with another patience for commands (10 s by default).
    pub fn within(&self, limit: Duration) -> Self {
        Self {
            limit,
            ..self.clone()
        }
    }

    pub fn user(&self) -> &str {
        &self.user
    }

    /// The id under which the app itself appears.
    pub fn phone_id(&self) -> &str {
        &self.phone
    }

    /// The devices as the app lists them.
    pub fn devices(&self) -> Vec<DeviceShown> {
        self.look(|state| state::devices(state))
    }

    /// What the app shows now.
    pub fn state(&self) -> AppState {
        self.look(|state| state::shown(state, &self.shared.catalogue, now_ms()))
    }

    /// Waits until the app shows what `wanted` accepts. Looks whenever a
    /// device has said something.
    ///
    /// # Errors
    /// When that did not happen within `limit`, with what the app shows
    /// instead and the last exchanges.
    pub async fn wait_until(
        &self,
        limit: Duration,
        wanted: impl Fn(&AppState) -> bool,
    ) -> Result<AppState, ControlError> {
        let looked = self.watch(limit, || {
            let state = self.state();
            wanted(&state).then_some(state)
        });
        looked
            .await
            .ok_or_else(|| self.failed(format!("not as wanted within {limit:?}")))
    }

    /// Waits until a device of this name or id is listed.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn wait_for_device(
        &self,
        device: &str,
        limit: Duration,
    ) -> Result<DeviceShown, ControlError> {
        let looked = self.watch(limit, || {
            self.devices().into_iter().find(|shown| shown.is(device))
        });
        looked.await.ok_or_else(|| {
            self.failed(format!(
                "no device \"{device}\" was listed within {limit:?}"
            ))
        })
    }

    /// Waits until no device of this name or id is listed.
    ///
    /// # Errors
    /// When it is still there after `limit`.
    pub async fn wait_until_gone(&self, device: &str, limit: Duration) -> Result<(), ControlError> {
        let looked = self.watch(limit, || {
            self.devices()
                .iter()
                .all(|shown| !shown.is(device))
                .then_some(())
        });
        looked
            .await
            .ok_or_else(|| self.failed(format!("\"{device}\" is still listed after {limit:?}")))
    }

    async fn watch<T>(&self, limit: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
        let mut changes = self.shared.clusters.subscribe();
        let search = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = look() {
                    return found;
                }
                // The sender lives in `shared`, so this cannot fail.
                let _ = changes.changed().await;
            }
        };
        tokio::time::timeout(limit, search).await.ok()
    }

    fn look<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        self.shared.clusters.with(&self.user, act)
    }

    fn failed(&self, what: impl fmt::Display) -> ControlError {
        ControlError(format!(
            "{}: {what}\nthe app shows: {:#?}\nthe last exchanges:\n{}",
            self.user,
            self.state(),
            self.shared.record.last(SHOWN),
        ))
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As `Display`, so that an `unwrap` in a test shows lines and not `\n`.
impl fmt::Debug for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ControlError {}
