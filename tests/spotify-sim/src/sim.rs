//! Starting, steering and stopping a simulated Spotify.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use librespot_protocol::{
    connect::PutStateRequest,
    user_attributes::{MutatedField, UserAttributesMutation},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    accesspoint::{self, Links},
    authorize::{Authorization, Desks},
    catalogue::Catalogue,
    cluster::Clusters,
    controller::Controller,
    dealer::{Dealers, To},
    faults::Faults,
    gate::Gate,
    line::Line,
    record::Record,
    resume::{Bookmarks, LeftAt},
    shared::{Pace, Shared, lock},
    tls,
    tokens::Tokens,
    users::Users,
};

/// How long the rebound port may stay taken by the sockets of before.
const REBIND_LIMIT: Duration = Duration::from_secs(5);

/// What kind of Spotify to be. `SimOptions::default()` is a fast, healthy one.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// 0 for any free port.
    pub port: u16,
    /// How long each HTTP answer (and the opening of the dealer) takes.
    pub delay: Duration,
    /// Bytes per second of the line to the audio files; `None` for no limit.
    pub cdn_rate: Option<u64>,
    /// How long a device stays listed after its dealer socket ended.
    pub grace: Duration,
    /// How long a command that starts playback waits after a cluster in which
    /// the device is not active. Some receivers keep the two in separate
    /// queues and would stop at once if they took the command first; a
    /// listener's finger is never that fast.
    pub settle: Duration,
    /// How long client and access tokens live.
    pub token_life: Duration,
    /// How long links to audio files live. Receivers may drop links with
    /// less than five minutes to go.
    pub link_life: Duration,
    /// From a pong of the access point link to the next ping.
    pub ping_pause: Duration,
    pub users: Users,
    pub catalogue: Catalogue,
    /// What may not be done in contexts of this title: keys of the service's restrictions, such as
    /// "disallow_seeking_reasons".
    pub forbidden: Vec<(String, String)>,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            port: 0,
            delay: Duration::ZERO,
            cdn_rate: None,
            grace: Duration::from_secs(2),
            settle: Duration::from_millis(250),
            token_life: Duration::from_secs(3600),
            link_life: Duration::from_secs(24 * 3600),
            ping_pause: accesspoint::PING_PAUSE,
            users: Users::default(),
            catalogue: Catalogue::standard(),
            forbidden: Vec::new(),
        }
    }
}

/// A running simulation. Dropping it ends everything it started.
pub struct Sim {
    shared: Arc<Shared>,
    folder: TempDir,
    /// Ends the listening; `None` while dark.
    listening: Mutex<Option<Listening>>,
}

struct Listening {
    close: CancellationToken,
    closed: oneshot::Receiver<()>,
}

impl Sim {
    /// Binds a port on loopback, in the network namespace of the calling
    /// thread, and serves on it.
    ///
    /// # Errors
    /// When the port is taken or the certificate cannot be written.
    pub async fn start(options: SimOptions) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("spotify-sim-").tempdir()?;
        let gate = Gate::bind(options.port)?;
        let shared = Arc::new(Shared {
            port: gate.port()?,
            tls: tls::acceptor(&ca_file(folder.path()))?,
            catalogue: Arc::new(options.catalogue.clone()),
            users: options.users.clone(),
            tokens: Tokens::default(),
            desks: Desks::default(),
            faults: Faults::default(),
            record: Record::new(),
            line: Line::new(),
            links: Links::default(),
            dealers: Dealers::default(),
            clusters: Clusters::new(),
            bookmarks: Bookmarks::default(),
            pace: Pace::new(options.cdn_rate),
            sent: AtomicU64::new(0),
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            options,
        });
        let sim = Self {
            shared,
            folder,
            listening: Mutex::new(None),
        };
        sim.listen(gate);
        tokio::task::spawn_blocking(accesspoint::prepare);
        Ok(sim)
    }

    fn listen(&self, gate: Gate) {
        let close = self.shared.stop.child_token();
        let (done, closed) = oneshot::channel();
        let (shared, until) = (self.shared.clone(), close.clone());
        self.shared.tasks.spawn(async move {
            gate.run(shared, until).await;
            // Nobody waits when the simulation ends.
            let _ = done.send(());
        });
        *lock(&self.listening) = Some(Listening { close, closed });
    }

    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// For a receiver that takes an HTTP proxy, with the access point port
    /// set to [`Sim::port`].
    pub fn proxy_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// The authority that a receiver must trust, as PEM.
    pub fn ca_file(&self) -> PathBuf {
        ca_file(self.folder.path())
    }

    /// The environment that a receiver needs.
    pub fn env(&self) -> Vec<(String, String)> {
        vec![(
            "SSL_CERT_FILE".to_owned(),
            self.ca_file().display().to_string(),
        )]
    }

    pub fn users(&self) -> Users {
        self.shared.users.clone()
    }

    pub fn catalogue(&self) -> &Catalogue {
        &self.shared.catalogue
    }

    /// The app in the hands of this user.
    ///
    /// # Panics
    /// When there is no such user.
    #[track_caller]
    pub fn controller(&self, user: &str) -> Controller {
        assert!(
            self.shared.users.get(user).is_some(),
            "the simulation has no user {user}"
        );
        Controller::new(self.shared.clone(), user)
    }

    /// The listener who types codes and signs in by browser.
    pub fn authorization(&self) -> Authorization {
        Authorization::new(self.shared.clone())
    }

    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    pub fn record(&self) -> Record {
        self.shared.record.clone()
    }

    /// Bytes of audio files that went out so far.
    pub fn audio_sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// The same, to be read from anywhere.
    pub fn audio_meter(&self) -> impl Fn() -> u64 + Send + 'static {
        let shared = self.shared.clone();
        move || shared.sent.load(Ordering::Relaxed)
    }

    /// Every state that this user's devices put, oldest first, with the
    /// device's id.
    pub fn puts(&self, user: &str) -> Vec<(String, PutStateRequest)> {
        self.shared.clusters.with(user, |state| state.puts.clone())
    }

    /// Where the user left an episode, as far as Spotify was told.
    pub fn left_at(&self, user: &str, episode: &str) -> Option<LeftAt> {
        self.shared.bookmarks.get(user, episode)
    }

    /// The user leaves an episode there, on another device.
    pub fn leave(&self, user: &str, episode: &str, at: LeftAt) {
        self.shared.bookmarks.set(user, episode, at);
    }

    /// An access token for a login by token (authentication type 3).
    pub fn access_token(&self, user: &str) -> String {
        self.shared
            .tokens
            .grant(user, "", self.shared.options.token_life)
    }

    /// All client and access tokens given out so far, for those who search for leaks.
    pub fn tokens(&self) -> Vec<String> {
        self.shared.tokens.all()
    }

    /// Makes all client and access tokens worthless.
    pub fn revoke_tokens(&self) {
        self.shared.tokens.revoke_all();
    }

    /// Changes an account's product and tells its receivers, as when a
    /// subscription ends.
    #[track_caller]
    pub fn change_product(&self, user: &str, product: &str) {
        self.shared
            .users
            .change(user, |user| user.product = product.to_owned());
        if let Some(user) = self.shared.users.get(user) {
            self.shared
                .links
                .send(&user.name, &accesspoint::product_packet(&user));
        }
    }

    /// Turns an attribute of an account that is "0" or "1" to the other, such
    /// as `autoplay` or `filter-explicit-content`, and tells its receivers
    /// that it has changed.
    #[track_caller]
    pub fn toggle_attribute(&self, user: &str, name: &str) {
        self.shared.users.change(user, |user| {
            let value = user.attributes.entry(name.to_owned()).or_default();
            *value = if value == "1" { "0" } else { "1" }.to_owned();
        });
        let mut mutation = UserAttributesMutation::new();
        mutation.fields.push(MutatedField {
            name: name.to_owned(),
            ..Default::default()
        });
        let uri = "spotify:user:attributes:mutated";
        self.shared.dealers.push(user, To::All, uri, &mutation);
    }

    /// Ends all access point links. Returns how many there were.
    pub fn drop_access_points(&self) -> usize {
        self.shared.links.drop_of(None)
    }

    /// Ends the access point links of one user.
    pub fn drop_access_points_of(&self, user: &str) -> usize {
        self.shared.links.drop_of(Some(user))
    }

    /// Who is signed in at the access point, as (user, device id).
    pub fn signed_in(&self) -> Vec<(String, String)> {
        self.shared.links.devices()
    }

    /// Ends all dealer sockets. Returns how many there were.
    pub fn drop_dealers(&self) -> usize {
        self.shared.dealers.drop_of(None)
    }

    /// Makes the access point links there are half-open: they stay, and
    /// nothing is read or written on them any more. New ones work.
    pub fn mute_access_points(&self) -> usize {
        self.shared.links.mute_all()
    }

    /// Sends an event that ends after its first byte on a user's links. librespot 0.8.0 panics over
    /// it, on the task that reads the link.
    pub fn cut_packet(&self, user: &str) {
        self.shared.links.send(user, &accesspoint::cut_packet());
    }

    /// Makes the dealer sockets there are half-open.
    pub fn mute_dealers(&self) -> usize {
        self.shared.dealers.mute_all()
    }

    /// How many dealer sockets are open.
    pub fn dealers(&self) -> usize {
        self.shared.dealers.count()
    }

    /// The whole service is gone: connections end, the port refuses.
    pub async fn go_dark(&self) {
        let listening = lock(&self.listening).take();
        if let Some(listening) = listening {
            listening.close.cancel();
            let _ = listening.closed.await;
        }
        self.shared.line.cut();
    }

    /// The service is back on the same port.
    ///
    /// # Errors
    /// When somebody else has taken the port in the meantime.
    pub async fn come_back(&self) -> io::Result<()> {
        if lock(&self.listening).is_some() {
            return Ok(());
        }
        let until = Instant::now() + REBIND_LIMIT;
        let gate = loop {
            match Gate::bind(self.port()) {
                Ok(gate) => break gate,
                Err(taken) if Instant::now() > until => return Err(taken),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        self.listen(gate);
        Ok(())
    }

    /// The lines stay open and nothing moves on them any more, in either
    /// direction, until thawed.
    pub fn freeze(&self) {
        self.shared.line.freeze(true);
    }

    pub fn thaw(&self) {
        self.shared.line.freeze(false);
    }

    /// Cuts every connection there is; new ones are served as before.
    pub fn cut(&self) {
        self.shared.line.cut();
    }

    /// Ends everything and waits until it has ended.
    pub async fn stop(self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

fn ca_file(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}
