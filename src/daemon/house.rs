//! The speakers of the house as running tasks, and discovery in front of them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::{JoinHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    board::Place,
    choices::{self, Choices, Chosen},
    clearing::Clearing,
    doctor::Case,
    pairing::{self, PairError, Pairings},
    places,
    presence::{Life, Monitor, Report},
};
use crate::{
    accounts::{self, Damage, Store},
    bus::Unable,
    config::{self, Change, Config, Effort, LogLevel, diff},
    discovery::{Discovery, Identity, Notice, Request, Speaker as Shown, Verdict},
    model::{self, DeviceId, Pairing, Way},
    speaker::{Knock, NewSettings, News, Settings, Speaker},
};

/// Logins that may wait for a speaker. The endpoint bounds them as well.
const KNOCKS: usize = 8;

/// How long the mDNS goodbye and the endpoint may take to end.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// How long a speaker may take: its engines have 2.5 s of their own.
const SPEAKER_LIMIT: Duration = Duration::from_millis(3_500);

/// One speaker that runs.
struct Running {
    settings: Settings,
    knocks: mpsc::Sender<Knock>,
    changes: mpsc::Sender<NewSettings>,
    /// The engine is to be renewed, and the speaker had no time to hear of it.
    owes_renewal: bool,
    active_user: watch::Sender<Option<String>>,
    asked: Arc<Notify>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn change(&mut self, speaker: config::Speaker, config: &Config, renew: bool) {
        self.settings = Settings {
            device: self.settings.device.clone(),
            speaker,
            others: others(config, &self.settings.speaker.id),
            network: config.network.clone(),
            log: config.log,
            hold_ms: config.hold_ms(&self.settings.speaker.id),
            cache: places::cache(config),
        };
        let renew = renew || self.owes_renewal;
        // Never waited for: the speaker may be waiting to tell us something.
        let new = NewSettings {
            settings: self.settings.clone(),
            renew,
        };
        let told = self.changes.try_send(new);
        // The next change brings the settings as they are then; only this it cannot know.
        self.owes_renewal = renew && told.is_err();
        if told.is_err() {
            warn!("a speaker is too busy for its new settings; reload again");
        }
    }
}

/// The announcement and the endpoints, while they run.
struct Presence {
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// One each speaker, passing logins on; and the one who looks whether all of it can be seen.
    ushers: JoinSet<()>,
}

pub struct House {
    /// As it was read.
    configured: Config,
    choices: Choices,
    /// With what was chosen over it: what holds.
    config: Config,
    store: Option<Arc<Store>>,
    speakers: BTreeMap<Place, Running>,
    presence: Option<Presence>,
    pairings: Pairings,
    news: mpsc::Sender<(Place, News)>,
    notices: mpsc::Sender<Notice>,
    reports: mpsc::Sender<Report>,
    life: watch::Sender<Life>,
    clearing: Clearing,
}

impl House {
    pub fn new(
        config: Config,
        store: Option<Arc<Store>>,
        news: mpsc::Sender<(Place, News)>,
        notices: mpsc::Sender<Notice>,
        reports: mpsc::Sender<Report>,
        pairings: Pairings,
    ) -> Self {
        let (choices, damage) = Choices::recall(store.as_deref(), &config.speakers);
        for (Damage(condition), speaker) in damage.into_iter().zip(&config.speakers) {
            // The channel is fresh and holds more than one condition a speaker.
            let _ = news.try_send((speaker.id.as_str().into(), News::Raised(condition)));
        }
        Self {
            config: choices.over(&config),
            configured: config,
            choices,
            store,
            speakers: BTreeMap::new(),
            presence: None,
            pairings,
            news,
            notices,
            reports,
            life: watch::Sender::new(Life::begins()),
            clearing: Clearing::default(),
        }
    }

    /// Whether the speakers can be found, or are being repaired in time: worth a sign of life.
    pub fn is_fit(&self) -> bool {
        self.life.borrow().goes_on()
    }

    /// Addresses or the time are others now: every speaker tries what it waits to try.
    pub fn surroundings_changed(&self) {
        for running in self.speakers.values() {
            // Never waited for: one that is too busy will find out by itself.
            let _ = running.knocks.try_send(Knock::Surroundings);
        }
    }

    /// Announces the speakers and lets them sign in.
    pub async fn open(&mut self) {
        for speaker in self.config.speakers.clone() {
            self.start(speaker);
        }
        self.appear().await;
        self.clearing.begin(None, &self.config);
    }

    pub fn speakers(&self) -> &[config::Speaker] {
        &self.config.speakers
    }

    /// Begins to sign somebody in; `None` when there is no such speaker. `offered`: by itself.
    pub fn pair(
        &mut self,
        id: &str,
        way: Way,
        offered: bool,
    ) -> Option<Result<Pairing, PairError>> {
        let (place, running) = self.speakers.get_key_value(id)?;
        let Settings {
            device, speaker, ..
        } = &running.settings;
        let pair = pairing::order(device.clone(), &speaker.name, &self.config, way);
        let knocks = running.knocks.clone();
        Some(self.pairings.start(place, pair, knocks, offered))
    }

    pub fn pairings(&self) -> &Pairings {
        &self.pairings
    }

    /// The stored login is of no use any more: a code is asked for without anybody's doing, unless
    /// that is not wanted. Where no phone reaches the speaker, it is the way back.
    pub fn offer_a_code(&mut self, id: &str) {
        if self.config.pairing.offer == config::Offer::Never {
            return;
        }
        if let Some(Err(error @ PairError::Child(_))) = self.pair(id, Way::Code, true) {
            warn!("{error}");
        }
    }

    pub fn set_active_user(&self, place: &str, user: Option<String>) {
        if let Some(running) = self.speakers.get(place) {
            running.active_user.send_replace(user);
        }
    }

    /// The doors of all speakers, or of the one that is asked for.
    pub fn doors(&self, of: Option<&str>) -> Vec<mpsc::Sender<Knock>> {
        let speakers = self.speakers.iter();
        speakers
            .filter(|(place, _)| of.is_none_or(|id| id == &***place))
            .map(|(_, running)| running.knocks.clone())
            .collect()
    }

    /// Whether the volume of this speaker is somebody else's business.
    pub fn has_fixed_volume(&self, id: &str) -> bool {
        let mut speakers = self.config.speakers.iter();
        speakers.any(|speaker| speaker.id == id && speaker.volume.curve == config::Curve::Fixed)
    }

    /// What a speaker is to be called, as it may be kept; empty: as configured.
    ///
    /// # Errors
    /// When it cannot be called so.
    pub fn named(&self, id: &str, name: &str) -> Result<Option<String>, Unable> {
        choices::named(&self.config.speakers, &self.configured.speakers, id, name)
    }

    /// Takes over what was chosen for a speaker.
    pub async fn choose(&mut self, place: &str, chosen: Chosen) {
        self.choices.note(place, chosen);
        let new = self.choices.over(&self.configured);
        self.follow(new).await;
    }

    /// How much is logged from now on, also by engines that are under way.
    pub async fn log_at(&mut self, level: LogLevel) {
        self.choices.log = Some(level);
        let new = self.choices.over(&self.configured);
        self.follow(new).await;
    }

    pub fn log(&self) -> LogLevel {
        self.config.log
    }

    /// What the doctor needs to know. `house` is the state as it is shown.
    pub fn case(&self, house: model::House, tone: bool) -> Case {
        Case {
            tone,
            network: self.config.network.clone(),
            speakers: self.config.speakers.clone(),
            cache: places::cache(&self.config),
            house,
        }
    }

    /// For each speaker: what its output is by the configuration, and what was chosen instead.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, String, Option<&str>)> {
        let configured = self.configured.speakers.iter();
        configured.map(|speaker| {
            let chosen = self.choices.output(&speaker.id);
            (speaker.id.as_str(), choices::words(&speaker.output), chosen)
        })
    }

    /// What it takes to lead the sound of a speaker elsewhere. `None`: there is no such speaker.
    pub fn output_wish(&self, id: &str, device: String) -> Option<choices::Wish> {
        let configured = self.configured.speakers.iter().find(|one| one.id == id)?;
        let others = self.config.speakers.iter().filter(|other| other.id != id);
        Some(choices::Wish {
            store: self.store.clone(),
            speaker: id.to_owned(),
            door: self.doors(Some(id)).pop()?,
            configured: configured.output.clone(),
            taken: others.map(|other| other.output.clone()).collect(),
            log: self.config.log,
            device,
        })
    }

    /// Takes a new configuration over: only what differs is touched.
    pub async fn change(&mut self, new: Config) {
        self.choices.log = None;
        let (mut choices, _) = Choices::recall(self.store.as_deref(), &new.speakers);
        if self.store.is_none() {
            // What cannot be kept still holds.
            choices = std::mem::take(&mut self.choices);
        }
        self.choices = choices;
        self.configured = new;
        let new = self.choices.over(&self.configured);
        self.follow(new).await;
    }

    async fn follow(&mut self, new: Config) {
        let changes = diff(&self.config, &new);
        if changes
            .iter()
            .any(|change| change.effort() == Effort::Daemon)
        {
            warn!("another state directory or key holds from the next start on");
        }
        let seen = changes.iter().any(Change::is_seen);
        if seen {
            self.vanish().await;
        }
        self.dismiss(&new).await;
        if self.config.log != new.log {
            self.pairings.log_at(new.log);
        }
        let before = std::mem::replace(&mut self.config, new);
        self.clearing.begin(Some(&before), &self.config);
        for speaker in self.config.speakers.clone() {
            match self.speakers.get_mut(speaker.id.as_str()) {
                Some(running) => {
                    let concerns =
                        |change: &&Change| change.speaker().is_none_or(|id| id == speaker.id);
                    let renew = changes
                        .iter()
                        .filter(concerns)
                        .any(|change| change.effort() == Effort::Engine);
                    let hold = self.config.hold_ms(&speaker.id);
                    let renew = renew || running.settings.hold_ms != hold;
                    running.change(speaker.clone(), &self.config, renew);
                }
                None => self.start(speaker),
            }
        }
        if seen {
            self.appear().await;
        }
    }

    /// Ends the speakers that the new configuration does not have.
    async fn dismiss(&mut self, new: &Config) {
        let known = |id: &str| new.speakers.iter().any(|speaker| speaker.id == id);
        let gone: Vec<Place> = self
            .speakers
            .keys()
            .filter(|id| !known(id))
            .cloned()
            .collect();
        for id in &gone {
            self.pairings.remove(id);
            if let Some(running) = self.speakers.remove(id) {
                running.stop.cancel();
                await_end(running.task, SPEAKER_LIMIT, "a removed speaker").await;
            }
        }
    }

    /// Goodbye to phones first, then every speaker at once.
    pub async fn close(mut self) {
        // They end while the others do.
        self.pairings.cancel();
        self.vanish().await;
        let running: Vec<_> = std::mem::take(&mut self.speakers).into_values().collect();
        for running in &running {
            running.stop.cancel();
        }
        for running in running {
            await_end(running.task, SPEAKER_LIMIT, "a speaker").await;
        }
        self.pairings.ended().await;
    }

    fn start(&mut self, speaker: config::Speaker) {
        let place: Place = speaker.id.as_str().into();
        let device = self.device(&place);
        let settings = Settings {
            device,
            speaker,
            others: others(&self.config, &place),
            network: self.config.network.clone(),
            log: self.config.log,
            hold_ms: self.config.hold_ms(&place),
            cache: places::cache(&self.config),
        };
        let (knocks, knocked) = mpsc::channel(KNOCKS);
        let (changes, changed) = mpsc::channel(4);
        let (active_user, _) = watch::channel(None);
        let stop = CancellationToken::new();
        let speaker = Speaker::new(
            settings.clone(),
            self.store.clone(),
            place.clone(),
            self.news.clone(),
        );
        let asked = speaker.asked_by();
        let task = tokio::spawn(speaker.run(knocked, changed, stop.clone()));
        let running = Running {
            settings,
            knocks,
            changes,
            owes_renewal: false,
            active_user,
            asked,
            stop,
            task,
        };
        self.speakers.insert(place, running);
    }

    /// The id phones know the speaker by. Read before anything is announced: a few hundred bytes.
    fn device(&self, place: &Place) -> DeviceId {
        let Some(store) = &self.store else {
            return accounts::device(&places::state_dir(&self.config), place);
        };
        let (device, damage) = store.device(place);
        if let Some(Damage(condition)) = damage.into_iter().next() {
            // The channel is fresh and holds more than one condition a speaker.
            let _ = self.news.try_send((place.clone(), News::Raised(condition)));
        }
        device
    }

    async fn appear(&mut self) {
        let mut ushers = JoinSet::new();
        let mut shown = Vec::new();
        for running in self.speakers.values() {
            let (requests, requested) = mpsc::channel(KNOCKS);
            ushers.spawn(usher(requested, running.knocks.clone()));
            let speaker = &running.settings.speaker;
            let identity = Identity {
                device: running.settings.device.clone(),
                name: speaker.name.clone(),
                device_type: speaker.device_type,
                port: speaker.port,
            };
            let active_user = running.active_user.subscribe();
            shown.push(Shown {
                identity,
                requests,
                active_user,
                asked: running.asked.clone(),
            });
        }
        let discovery = Discovery::start(&self.config.network, shown, self.notices.clone()).await;
        self.life.send_replace(Life::begins());
        let places = self.speakers.iter();
        let monitor = Monitor {
            on_air: discovery.on_air(),
            repairs: discovery.repairs(),
            places: places
                .map(|(place, running)| (running.settings.device.clone(), place.clone()))
                .collect(),
            reports: self.reports.clone(),
            life: self.life.clone(),
        };
        ushers.spawn(monitor.run());
        let stop = CancellationToken::new();
        let task = tokio::spawn(discovery.run(stop.clone()));
        self.presence = Some(Presence { stop, task, ushers });
    }

    async fn vanish(&mut self) {
        if let Some(Presence { stop, task, ushers }) = self.presence.take() {
            stop.cancel();
            await_end(task, GOODBYE_LIMIT, "discovery").await;
            drop(ushers);
        }
    }
}

/// Every speaker of the house but this one, by id.
fn others(config: &Config, id: &str) -> Vec<String> {
    let ids = config.speakers.iter().map(|speaker| speaker.id.clone());
    ids.filter(|other| other != id).collect()
}

/// Passes logins from discovery to a speaker, in discovery's and the speaker's own words.
async fn usher(mut requested: mpsc::Receiver<Request>, knocks: mpsc::Sender<Knock>) {
    let mut answering = JoinSet::new();
    loop {
        let request = tokio::select! {
            request = requested.recv() => request,
            Some(_) = answering.join_next() => continue,
        };
        let Some(request) = request else { return };
        let (answer, answered) = oneshot::channel();
        let (knock, phone) = match request {
            Request::AddUser {
                login,
                answer: phone,
                ..
            } => (Knock::AddUser { login, answer }, phone),
            Request::ResetUsers {
                user,
                answer: phone,
            } => (Knock::ResetUsers { user, answer }, phone),
        };
        if knocks.send(knock).await.is_err() {
            return;
        }
        answering.spawn(async move {
            let _ = phone.send(match answered.await {
                Ok(true) => Verdict::Ok,
                Ok(false) => Verdict::Forbidden,
                // The speaker itself is gone.
                Err(_) => Verdict::LoginFailed,
            });
        });
    }
}

async fn await_end(mut task: JoinHandle<()>, limit: Duration, who: &str) {
    match timeout(limit, &mut task).await {
        Ok(Ok(())) => {}
        Ok(Err(failed)) => error!("{who} did not end in order: {failed}"),
        Err(_) => {
            warn!("{who} did not stop within {limit:?}");
            task.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Request, Surroundings, load};

    #[tokio::test]
    async fn an_engine_that_is_owed_a_renewal_gets_it_with_the_next_change() {
        let around = Surroundings {
            variables: Vec::new(),
            host: "kitchen".into(),
            etc: "/nonexistent".into(),
        };
        let config = load(&Request::default(), &around).expect("defaults").config;
        let speaker = config.speakers[0].clone();
        let (knocks, _knocked) = mpsc::channel(1);
        let (changes, mut changed) = mpsc::channel(1);
        let mut running = Running {
            settings: Settings {
                device: DeviceId::from_bytes([1; 20]),
                speaker: speaker.clone(),
                others: Vec::new(),
                network: config.network.clone(),
                log: config.log,
                hold_ms: None,
                cache: None,
            },
            knocks,
            changes,
            owes_renewal: false,
            active_user: watch::channel(None).0,
            asked: Arc::default(),
            stop: CancellationToken::new(),
            task: tokio::spawn(async {}),
        };
        let mut told = || changed.try_recv().map(|new: NewSettings| new.renew).ok();
        running.change(speaker.clone(), &config, false);
        running.change(speaker.clone(), &config, true);
        assert_eq!((told(), told()), (Some(false), None), "too busy");
        running.change(speaker.clone(), &config, false);
        assert_eq!(told(), Some(true), "it was owed");
        running.change(speaker, &config, false);
        assert_eq!(told(), Some(false), "and only once");
    }
}
