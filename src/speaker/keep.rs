//! What a speaker reads from disk and writes there: who sits on it, how loud it was for whom, what
//! Spotify said of an account. A disk that takes nothing is a condition, never the end of the music.

use std::{io, path::PathBuf, time::Duration};

use tokio::{sync::oneshot, time::Instant};
use tracing::info;

use super::{
    News, Speaker, Waiting,
    phase::{Input, Seat, Ticket},
    policy::{self, Circumstances, Who},
    trouble,
};
use crate::{
    accounts::{Damage, SignedIn, Store},
    config::{self, ForAccount},
    engine::note,
    model::{
        Account, CameBy, Condition, ConditionCode, KeyAnswer, Login, Volume, local_minute, masked,
        unix_ms,
    },
};

/// A level is kept on disk when nobody has changed it for this long.
const LEVEL_SETTLES: Duration = Duration::from_secs(2);

/// How the disk takes what is to be kept.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// What was found damaged, or could not be removed: that stays so.
    damage: Option<Condition>,
    /// The last write failed.
    fails: bool,
}

/// A level that is to be kept.
#[derive(Debug)]
pub(super) struct Unkept {
    /// When it is written if nobody changes it any more.
    pub at: Instant,
    user: Option<String>,
    level: Volume,
}

/// What an engine is told about its account.
pub(super) struct Briefing {
    pub speaker: config::Speaker,
    pub level: Volume,
    pub keys_from_ms: Option<i64>,
}

impl Speaker {
    /// What an earlier start left: who sat here, and how loud it was.
    pub(super) async fn recall(&mut self) -> Input {
        let recalled = self.on_disk(|store, speaker| {
            let (seat, mut damage) = store.seat(speaker);
            let (volume, more) = store.level(speaker, None);
            damage.extend(more);
            ((seat, volume), damage)
        });
        let (seat, volume) = recalled.await.unwrap_or_default();
        if let Some(volume) = volume.filter(|_| self.settings.speaker.volume.remember) {
            self.level = volume;
        }
        if self.settings.speaker.volume.curve == config::Curve::Fixed {
            self.level = Volume::FULL;
        }
        Input::Start {
            login: seat.login,
            owner: seat.owner,
        }
    }

    pub(super) fn note_file(&self) -> Option<PathBuf> {
        let store = self.store.as_ref()?;
        Some(store.note_file(&self.settings.speaker.id))
    }

    /// The first who signs in may have heard music when the daemon before this one died: it goes on.
    /// Looked for no sooner, so that the engine that was left behind has had time to say so.
    pub(super) async fn look_for_note(&mut self, seat: Seat, user: String) {
        let (Some(began), Some(path)) = (self.began.take(), self.note_file()) else {
            return;
        };
        let taking = move || note::take(&path, &user, began);
        let found = tokio::task::spawn_blocking(taking).await;
        if let Ok(Some(playback)) = found {
            info!("what played when siskin was ended by force goes on");
            self.step(Input::LeftBehind { seat, playback }).await;
        }
    }

    /// Whether a login that a phone hands over may be tried, and what its account is to the speaker.
    pub(super) async fn at_the_door(&mut self, login: &Login) -> Result<Who, policy::Denied> {
        let user = login.user.clone();
        let known =
            self.on_disk(move |store, _| ((store.remembers(&user), store.is_empty()), Vec::new()));
        let (remembered, empty) = known.await.unwrap_or((false, true));
        let who = self.seats.who(&login.user, remembered);
        let house = &self.settings.speaker.household;
        let at = Circumstances {
            who,
            playing: self.seats.is_playing(),
            quiet: policy::is_quiet(house.quiet_hours, local_minute()),
            // Who sits here is of the house, also where nothing can be kept.
            empty_house: empty && self.seats.user().is_none(),
        };
        policy::admit(house.guests, at).map(|()| who)
    }

    /// The login of a remembered account, or why there is none.
    pub(super) async fn kept_login(&mut self, user: &str) -> Result<Login, String> {
        let user = user.to_owned();
        let found = self.on_disk(move |store, _| store.login_of(&user)).await;
        found.flatten().ok_or_else(|| {
            "this account is not remembered here, or its file cannot be opened; see siskin status"
                .to_owned()
        })
    }

    /// How the engine of `login` is to be set up.
    pub(super) async fn briefing(&mut self, login: &Login) -> Briefing {
        let user = login.user.clone();
        let kept = self.on_disk(move |store, speaker| {
            let (level, damage) = store.level(speaker, Some(&user));
            let keys_from_ms = store.ask_keys_from(&user, unix_ms());
            ((store.account(&user), level, keys_from_ms), damage)
        });
        let (account, level, keys_from_ms) = kept.await.unwrap_or_default();
        let speaker = self.settings.speaker.clone();
        let own = level
            .filter(|_| speaker.volume.remember && speaker.volume.curve != config::Curve::Fixed);
        Briefing {
            speaker: for_account(speaker, &login.user, account.as_ref()),
            level: own.unwrap_or(self.level),
            keys_from_ms,
        }
    }

    /// Somebody was let in.
    pub(super) async fn keep(
        &mut self,
        login: Login,
        country: Option<String>,
        came_by: Option<CameBy>,
    ) {
        info!("{} is signed in", masked(&login.user));
        let user = login.user.clone();
        let new = SignedIn {
            login,
            country,
            came_by,
            at_ms: unix_ms(),
        };
        self.write("the account", move |store, _| store.signed_in(new))
            .await;
        self.remind_of_keys(&user).await;
    }

    /// Tells again what is known of an account that gets no audio keys.
    async fn remind_of_keys(&mut self, user: &str) {
        let account = {
            let user = user.to_owned();
            self.on_disk(move |store, _| (store.account(&user), Vec::new()))
                .await
                .flatten()
        };
        let code = account.as_ref().and_then(|it| it.keys_refused_code);
        let since = account.and_then(|account| account.keys_refused_ms);
        let news = match since {
            Some(since) => News::Raised(trouble::account_keys_refused(user, since, code)),
            None => News::Cleared(ConditionCode::AccountKeysRefused),
        };
        self.tell_all(news).await;
    }

    /// Spotify answered when the account asked for an audio key. One that was ever given some is
    /// not blamed for a track whose key is refused.
    pub(super) async fn keys(&mut self, user: String, answer: KeyAnswer) {
        let name = user.clone();
        self.write("what Spotify said of the account", move |store, _| {
            if answer != KeyAnswer::Given && store.had_keys(&name) {
                return Ok(());
            }
            store.keys(&name, answer, unix_ms())
        })
        .await;
        self.remind_of_keys(&user).await;
    }

    /// Takes accounts off the disk; the answer to who asked for it.
    pub(super) async fn forget(&mut self, user: Option<String>) -> Result<(), String> {
        self.removed(move |store| match user {
            Some(user) => store.forget_account(&user).map(|_| ()),
            None => store.forget_all().map(|_| ()),
        })
        .await
    }

    /// Signs this user out and forgets him; when `None`, whoever could sign in here. Off the disk
    /// first, so that nobody who is told of it finds them there.
    pub(super) async fn reset(
        &mut self,
        ticket: Ticket,
        user: Option<String>,
        answer: oneshot::Sender<bool>,
    ) {
        if !policy::may_reset(self.settings.speaker.household.guests) {
            // Whoever hung up meanwhile needs no answer.
            let _ = answer.send(false);
            return;
        }
        match self.take_off(user.clone()).await {
            Ok(()) => drop(self.answers.insert(ticket, Waiting::ForYesOrNo(answer))),
            Err(why) => self.damaged(trouble::not_forgotten(&why)).await,
        }
        self.step(Input::Forget { ticket, user }).await;
    }

    /// Takes this user, or everybody, off this speaker; who sits on another stays there.
    pub(super) async fn take_off(&self, user: Option<String>) -> Result<(), String> {
        let speaker = self.settings.speaker.id.clone();
        let others = self.settings.others.clone();
        self.removed(move |store| store.reset(&speaker, &others, user.as_deref()))
            .await
    }

    async fn removed(
        &self,
        job: impl FnOnce(&Store) -> io::Result<()> + Send + 'static,
    ) -> Result<(), String> {
        let Some(store) = self.store.clone() else {
            return Ok(());
        };
        match tokio::task::spawn_blocking(move || job(&store)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(format!("the files could not be removed: {error}")),
            Err(failed) => Err(failed.to_string()),
        }
    }

    /// Whoever sits here has it at another level.
    pub(super) async fn level_changed(&mut self) {
        let user = self.seats.user().map(str::to_owned);
        // What somebody else has set before is his.
        let others = self.unkept.as_ref().is_some_and(|it| it.user != user);
        if others {
            self.keep_level().await;
        }
        self.unkept = Some(Unkept {
            at: Instant::now() + LEVEL_SETTLES,
            user,
            level: self.level,
        });
    }

    pub(super) async fn keep_level(&mut self) {
        let Some(Unkept { user, level, .. }) = self.unkept.take() else {
            return;
        };
        self.write("the volume", move |store, speaker| {
            // Of one who was forgotten meanwhile nothing is kept.
            let user = user.filter(|user| store.remembers(user));
            store.keep_level(speaker, user.as_deref(), level)
        })
        .await;
    }

    /// Tells when the disk does not take something, and when it does again.
    pub(super) async fn write(
        &mut self,
        what: &'static str,
        job: impl FnOnce(&Store, &str) -> io::Result<()> + Send + 'static,
    ) {
        let written = self.on_disk(move |store, speaker| (job(store, speaker), Vec::new()));
        let news = match written.await {
            Some(Err(error)) => {
                self.disk.fails = true;
                News::Raised(trouble::not_kept(what, &error))
            }
            Some(Ok(())) if std::mem::take(&mut self.disk.fails) => {
                let over = News::Cleared(ConditionCode::StateDamaged);
                self.disk.damage.clone().map_or(over, News::Raised)
            }
            _ => return,
        };
        self.tell_all(news).await;
    }

    /// Something of the state is damaged, and stays so whatever is written next.
    pub(super) async fn damaged(&mut self, condition: Condition) {
        self.disk.damage = Some(condition.clone());
        self.tell_all(News::Raised(condition)).await;
    }

    /// Runs a disk job where it may block. What is wrong becomes conditions.
    pub(super) async fn on_disk<T: Send + 'static>(
        &mut self,
        job: impl FnOnce(&Store, &str) -> (T, Vec<Damage>) + Send + 'static,
    ) -> Option<T> {
        let store = self.store.clone()?;
        let speaker = self.settings.speaker.id.clone();
        let done = tokio::task::spawn_blocking(move || job(&store, &speaker)).await;
        let (value, damage) = done.ok()?;
        for Damage(condition) in damage {
            self.damaged(condition).await;
        }
        Some(value)
    }

    /// Says no to a phone, in the log and as a condition.
    pub(super) async fn deny(&mut self, ticket: Ticket, login: &Login, denied: policy::Denied) {
        let condition: Condition = trouble::guest_denied(login, denied);
        self.tell_all(News::Raised(condition)).await;
        self.answer(ticket, Err(format!("{denied}; {}", denied.cure())));
    }

    /// Whether the one who sits here would get other settings from `new` than from those in force.
    pub(super) async fn differs_for_resident(&mut self, new: &config::Speaker) -> bool {
        let Some(user) = self.seats.user().map(str::to_owned) else {
            return false;
        };
        let name = user.clone();
        let account = self
            .on_disk(move |store, _| (store.account(&name), Vec::new()))
            .await
            .flatten();
        let engine = |speaker: &config::Speaker| {
            let speaker = for_account(speaker.clone(), &user, account.as_ref());
            (speaker.audio, speaker.volume)
        };
        engine(new) != engine(&self.settings.speaker)
    }
}

/// The settings of a speaker while `user` sits on it. What a later `[[account]]` says comes first.
fn for_account(
    mut speaker: config::Speaker,
    user: &str,
    account: Option<&Account>,
) -> config::Speaker {
    let all = std::mem::take(&mut speaker.household.accounts);
    let is_meant = |one: &&ForAccount| {
        one.user == user || account.is_some_and(|account| account.answers_to(&one.user))
    };
    for own in all.iter().filter(is_meant) {
        let (audio, volume) = (&mut speaker.audio, &mut speaker.volume);
        audio.bitrate = own.bitrate.unwrap_or(audio.bitrate);
        audio.normalisation = own.normalisation.unwrap_or(audio.normalisation);
        volume.max = own.max_volume.unwrap_or(volume.max).min(volume.max);
    }
    speaker
}

#[cfg(test)]
mod tests {
    use std::{path::Path, sync::Arc};

    use tokio::sync::mpsc;

    use super::*;
    use crate::config::{Bitrate, Household, LogLevel, Network, Request, Surroundings, load};
    use crate::engine::messages::Event;
    use crate::model::{DeviceId, Percent, Playback, Secret};
    use crate::speaker::{Settings, phase::Now};

    /// A speaker that keeps things in the folder, and what it tells.
    fn keeper(dir: &Path) -> (Speaker, mpsc::Receiver<(Arc<str>, News)>) {
        let settings = Settings {
            hold_ms: None,
            cache: None,
            device: DeviceId::from_bytes([1; 20]),
            speaker: speaker(Vec::new()),
            others: Vec::new(),
            network: Network::default(),
            log: LogLevel::Info,
        };
        let store = Arc::new(Store::open(dir).expect("an empty folder will do"));
        let (tell, told) = mpsc::channel(64);
        let speaker = Speaker::new(settings, Some(store), "kitchen".into(), tell);
        (speaker, told)
    }

    #[tokio::test]
    async fn a_disk_that_takes_things_again_is_whole_again_but_for_what_was_damaged() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut speaker, mut told) = keeper(dir.path());
        let mut heard = || match told.try_recv() {
            Ok((_, News::Raised(condition))) => Some(Ok(condition.what)),
            Ok((_, News::Cleared(code))) => Some(Err(code)),
            _ => None,
        };
        let full = || Err(io::Error::other("no space left"));
        let not_kept = trouble::not_kept("", &io::Error::other("")).what;
        speaker.write("the volume", |_, _| Ok(())).await;
        assert_eq!(heard(), None);
        speaker.write("the volume", move |_, _| full()).await;
        assert_eq!(heard(), Some(Ok(not_kept.clone())));
        speaker.write("the volume", |_, _| Ok(())).await;
        assert_eq!(heard(), Some(Err(ConditionCode::StateDamaged)));
        let damage = trouble::not_forgotten("read-only");
        speaker.damaged(damage.clone()).await;
        assert_eq!(heard(), Some(Ok(damage.what.clone())));
        speaker.write("the volume", move |_, _| full()).await;
        assert_eq!(heard(), Some(Ok(not_kept)));
        speaker.write("the volume", |_, _| Ok(())).await;
        assert_eq!(heard(), Some(Ok(damage.what)), "as before");
    }

    #[tokio::test]
    async fn a_level_is_kept_for_whoever_set_it_also_when_somebody_else_sits_down_at_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut speaker, _told) = keeper(dir.path());
        let login = |user: &str| Login {
            user: user.into(),
            kind: 1,
            secret: Secret::new(vec![1]),
        };
        let mut levels = Vec::new();
        for (seat, user, percent) in [(1, "kim", 70), (2, "alex", 20)] {
            let start = Input::Start {
                login: Some(login(user)),
                owner: None,
            };
            let now = Now { ms: 0, dice: 0.5 };
            speaker.keep(login(user), None, None).await;
            speaker.seats.step(start, now);
            let (login, country) = (login(user), None);
            let event = Event::Ready { login, country };
            speaker.seats.step(Input::Engine { seat, event }, now);
            let level = Percent::clamped(percent).volume();
            speaker.show(Box::new(Playback::silent(level))).await;
            levels.push((user, level));
        }
        speaker.keep_level().await;
        let store = speaker.store.clone().expect("a store");
        let id = speaker.settings.speaker.id.clone();
        for (user, level) in levels {
            assert_eq!(store.level(&id, Some(user)).0, Some(level), "{user}");
        }
    }

    fn speaker(accounts: Vec<ForAccount>) -> config::Speaker {
        let around = Surroundings {
            variables: Vec::new(),
            host: "kitchen".into(),
            etc: "/nonexistent".into(),
        };
        let config = load(&Request::default(), &around).expect("defaults").config;
        let household = Household {
            accounts,
            ..Household::default()
        };
        config::Speaker {
            household,
            ..config.speakers[0].clone()
        }
    }

    #[test]
    fn an_account_gets_its_own_settings_by_user_or_name_and_never_a_louder_cap() {
        let own = |user: &str, cap: u8, bitrate| ForAccount {
            user: user.into(),
            speaker: None,
            max_volume: Percent::new(cap),
            bitrate,
            normalisation: None,
        };
        let all = vec![
            own("31xyz", 40, None),
            own("Kim", 60, Some(Bitrate::Kbps96)),
        ];
        let account = Account {
            user: "31xyz".into(),
            name: "kim".into(),
            premium: None,
            country: None,
            came_by: CameBy::Phone,
            last_used_ms: 0,
            keys_refused_ms: None,
            keys_refused_code: None,
        };
        let for_kim = for_account(speaker(all.clone()), "31xyz", Some(&account));
        assert_eq!(for_kim.volume.max, Percent::clamped(40));
        assert_eq!(for_kim.audio.bitrate, Bitrate::Kbps96);
        assert!(
            for_kim.household.accounts.is_empty(),
            "nobody else's business"
        );
        let unnamed = for_account(speaker(all.clone()), "31xyz", None);
        assert_eq!(unnamed.audio.bitrate, Bitrate::Kbps320);
        let other = for_account(speaker(all), "alex", None);
        assert_eq!(other.volume.max, Percent::clamped(100));
    }
}
