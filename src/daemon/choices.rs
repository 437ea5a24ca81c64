//! What was chosen while the daemon ran: the name of a speaker, where its sound goes, how much is
//! logged. Lies over the configuration and, but for the log, outlives the daemon.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::spawn_blocking,
    time::timeout,
};

use crate::{
    accounts::{Choice, Damage, Store},
    bus::{Reason, Unable},
    config::{self, Config, LogLevel, Output, Speaker},
    engine::{
        Engine, Heard,
        messages::{Event, Outputs, PROTOCOL},
    },
    model::{AS_CONFIGURED, OutputChoice},
    speaker::Knock,
};

/// A child that looks for sound cards needs a fraction of this.
const LOOK: Duration = Duration::from_secs(4);

/// One process at a time, however many ask.
static LOOKING: Semaphore = Semaphore::const_new(1);

/// One thing that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chosen {
    /// `None`: as configured.
    Name(Option<String>),
    Output(Option<String>),
}

impl Chosen {
    fn note(self, choice: &mut Choice) {
        match self {
            Self::Name(name) => choice.name = name,
            Self::Output(output) => choice.output = output,
        }
    }
}

/// Everything that was chosen, by the ids of the speakers.
#[derive(Debug, Default)]
pub struct Choices {
    speakers: BTreeMap<String, Choice>,
    /// Until the next start, or until the configuration is read anew.
    pub log: Option<LogLevel>,
}

impl Choices {
    /// What an earlier start left. A few hundred bytes each.
    pub fn recall(store: Option<&Store>, speakers: &[Speaker]) -> (Self, Vec<Damage>) {
        let (mut choices, mut damage) = (Self::default(), Vec::new());
        for speaker in speakers {
            let Some(store) = store else { break };
            let (choice, more) = store.choice(&speaker.id);
            damage.extend(more);
            choices.speakers.insert(speaker.id.clone(), choice);
        }
        (choices, damage)
    }

    pub fn note(&mut self, speaker: &str, chosen: Chosen) {
        chosen.note(self.speakers.entry(speaker.to_owned()).or_default());
    }

    /// The output that was chosen for this speaker.
    pub fn output(&self, speaker: &str) -> Option<&str> {
        self.speakers.get(speaker)?.output.as_deref()
    }

    /// The configuration with what was chosen over it. A choice that would take something from another
    /// speaker by now is passed over.
    pub fn over(&self, configured: &Config) -> Config {
        let mut config = configured.clone();
        config.log = self.log.unwrap_or(config.log);
        for speaker in &mut config.speakers {
            let Some(choice) = self.speakers.get(&speaker.id) else {
                continue;
            };
            if let Some(name) = &choice.name {
                speaker.name.clone_from(name);
            }
            if let Some(card) = &choice.output {
                speaker.output = card_of(&speaker.output, card);
            }
        }
        // All of them first: one may have what another has given up.
        let (chosen, configured) = (&mut config.speakers, &configured.speakers);
        let same = |one: &Speaker, two: &Speaker| config::is_same_name(&one.name, &two.name);
        while let Some(at) = last_clash(chosen, configured, |one| &one.name, same) {
            chosen[at].name.clone_from(&configured[at].name);
        }
        let same =
            |one: &Speaker, two: &Speaker| config::shared(&one.output, &two.output).is_some();
        while let Some(at) = last_clash(chosen, configured, |one| &one.output, same) {
            chosen[at].output.clone_from(&configured[at].output);
        }
        config
    }
}

/// The last speaker whose choice takes something from another. What is configured clashes with
/// nothing, so each one that is undone leaves less to undo.
fn last_clash<T: PartialEq>(
    speakers: &[Speaker],
    configured: &[Speaker],
    value: impl Fn(&Speaker) -> &T,
    same: impl Fn(&Speaker, &Speaker) -> bool,
) -> Option<usize> {
    (0..speakers.len()).rev().find(|&at| {
        let mut others = speakers
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != at);
        value(&speakers[at]) != value(&configured[at])
            && others.any(|(_, other)| same(other, &speakers[at]))
    })
}

/// The card of this name, with what the settings say of cards.
pub fn card_of(configured: &Output, name: &str) -> Output {
    let buffer_ms = match configured {
        Output::Card { buffer_ms, .. } => *buffer_ms,
        _ => config::BUFFER_MS,
    };
    let device = Some(name.to_owned());
    Output::Card { device, buffer_ms }
}

/// An output in words, for people who choose.
pub fn words(output: &Output) -> String {
    let file = |path: &Path| path.display().to_string();
    match output {
        Output::Card { device: None, .. } => "the default sound card".to_owned(),
        Output::Card {
            device: Some(name), ..
        } => format!("the sound card {name}"),
        Output::Pipe { path: None, .. } => "standard output".to_owned(),
        Output::Pipe {
            path: Some(path), ..
        } => format!("the pipe {}", file(path)),
        Output::Wav { path, .. } => format!("the file {}", file(path)),
        Output::Null => "nowhere".to_owned(),
    }
}

/// Looks for sound cards, in a process of its own: what ALSA keeps in memory for that, and a device
/// that hangs, are no burden for the daemon.
///
/// # Errors
/// When that does not work.
pub async fn cards(log: LogLevel) -> Result<Vec<OutputChoice>, Unable> {
    let broken = |why: String| {
        let what = format!("the sound cards could not be looked for: {why}");
        let help = "see whether the machine is out of memory or processes";
        Unable::new(Reason::Broken, what, help)
    };
    // It is never closed.
    let _turn = LOOKING.acquire().await;
    let protocol = PROTOCOL;
    let (ear, mut heard) = mpsc::channel(4);
    let engine = Engine::spawn(Outputs { protocol, log }, ear, |heard| heard)
        .map_err(|error| broken(error.to_string()))?;
    let told = async {
        loop {
            match heard.recv().await {
                Some(Heard::Event(Event::Outputs { cards })) => return Ok(cards),
                Some(Heard::Event(_)) => {}
                Some(Heard::Ended { how }) => return Err(how),
                None => return Err("it says nothing".to_owned()),
            }
        }
    };
    let told = timeout(LOOK, told).await;
    // Dropped, it is killed; it has nothing to end in order.
    drop(engine);
    match told {
        Ok(Ok(cards)) => Ok(cards),
        Ok(Err(why)) => Err(broken(why)),
        Err(_) => Err(broken("it takes too long".to_owned())),
    }
}

/// What a name is to be, as it may be kept; `speakers` as they are now.
///
/// # Errors
/// When it cannot be a name, or is another speaker's.
pub fn named(
    speakers: &[Speaker],
    configured: &[Speaker],
    speaker: &str,
    name: &str,
) -> Result<Option<String>, Unable> {
    let fault = |what: String, help| Unable::new(Reason::Invalid, what, help);
    let name = config::speaker_name(name)
        .map_err(|(what, help)| fault(format!("the name {what}"), help))?;
    let usual = configured.iter().find(|one| one.id == speaker);
    let new = name.as_ref().or_else(|| usual.map(|one| &one.name));
    let same = |other: &Speaker| new.is_some_and(|new| config::is_same_name(&other.name, new));
    if speakers
        .iter()
        .any(|other| other.id != speaker && same(other))
    {
        let what = "another speaker of this house has that name";
        let help = "give each speaker a name of its own";
        return Err(Unable::new(Reason::Conflict, what, help));
    }
    Ok(name)
}

/// What an order for an output needs to know.
pub struct Wish {
    pub store: Option<Arc<Store>>,
    pub speaker: String,
    pub door: mpsc::Sender<Knock>,
    pub configured: Output,
    /// Of the other speakers.
    pub taken: Vec<Output>,
    pub log: LogLevel,
    pub device: String,
}

/// Leads the sound to another device, and keeps that. Also tells which cards were found on the way.
///
/// # Errors
/// When there is no such device, or it cannot be opened; the sound goes where it went before.
pub async fn lead(wish: Wish) -> (Vec<OutputChoice>, Result<Chosen, Unable>) {
    let mut cards = Vec::new();
    let chosen = match wish.device.trim() {
        "" | AS_CONFIGURED => None,
        device => {
            match self::cards(wish.log).await {
                Ok(found) => cards = found,
                Err(unable) => return (cards, Err(unable)),
            }
            if !cards.iter().any(|card| card.name == device) {
                let what = format!("there is no output {device:?}");
                let help = "siskin output, without a name, lists those that there are";
                return (cards, Err(Unable::new(Reason::NoOutput, what, help)));
            }
            Some(device.to_owned())
        }
    };
    let output = match &chosen {
        Some(name) => card_of(&wish.configured, name),
        None => wish.configured.clone(),
    };
    let mut taken = wish.taken.iter();
    if let Some(shared) = taken.find_map(|other| config::shared(other, &output)) {
        let what = format!("another speaker plays into {shared}");
        let help = "give each speaker an output of its own";
        return (cards, Err(Unable::new(Reason::Conflict, what, help)));
    }
    let (answer, answered) = oneshot::channel();
    let gone = || {
        let help = "look at the status, then ask again";
        Unable::new(Reason::Unavailable, "the speaker does not listen", help)
    };
    if wish
        .door
        .send(Knock::Output { output, answer })
        .await
        .is_err()
    {
        return (cards, Err(gone()));
    }
    let done = match answered.await {
        Ok(Ok(())) => keep(wish.store, wish.speaker, Chosen::Output(chosen)).await,
        Ok(Err(unmet)) => Err(Unable::unmet(unmet)),
        Err(_) => Err(gone()),
    };
    (cards, done)
}

/// Writes down what was chosen. Where nothing can be kept, it holds until the end of the daemon.
///
/// # Errors
/// When the disk does not take it.
pub async fn keep(
    store: Option<Arc<Store>>,
    speaker: String,
    chosen: Chosen,
) -> Result<Chosen, Unable> {
    let Some(store) = store else {
        return Ok(chosen);
    };
    let new = chosen.clone();
    let written = spawn_blocking(move || store.choose(&speaker, |choice| new.note(choice))).await;
    match written.map_err(std::io::Error::other) {
        Ok(Ok(())) => Ok(chosen),
        Ok(Err(error)) | Err(error) => Err(Unable::new(
            Reason::Broken,
            format!("it could not be kept: {error}"),
            "check the disk and who owns the state directory",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Request, Surroundings, load};

    fn configured() -> Config {
        let around = Surroundings {
            variables: Vec::new(),
            host: "kitchen".into(),
            etc: "/nonexistent".into(),
        };
        let mut config = load(&Request::default(), &around).expect("defaults").config;
        let mut second = config.speakers[0].clone();
        second.id = "bath".into();
        second.name = "Bath".into();
        second.output = Output::Null;
        config.speakers.push(second);
        config
    }

    #[test]
    fn a_choice_lies_over_the_configuration_and_takes_nothing_from_others() {
        let configured = configured();
        let mut choices = Choices::default();
        assert_eq!(choices.over(&configured), configured);
        choices.note("main", Chosen::Name(Some("Den".into())));
        choices.note("main", Chosen::Output(Some("hw:1".into())));
        let config = choices.over(&configured);
        assert_eq!(config.speakers[0].name, "Den");
        let card = card_of(&configured.speakers[0].output, "hw:1");
        assert_eq!(config.speakers[0].output, card);
        choices.note("bath", Chosen::Output(Some("hw:1".into())));
        choices.note("main", Chosen::Name(Some("Bath".into())));
        let config = choices.over(&configured);
        assert_eq!(config.speakers[0].name, configured.speakers[0].name);
        assert_eq!(config.speakers[1].output, Output::Null);
        choices.note("main", Chosen::Name(None));
        choices.note("main", Chosen::Output(None));
        choices.note("bath", Chosen::Output(None));
        assert_eq!(choices.over(&configured), configured);
    }

    #[test]
    fn what_one_speaker_gave_up_another_may_have() {
        let configured = configured();
        let mut choices = Choices::default();
        let names = |choices: &Choices| {
            let speakers = choices.over(&configured).speakers;
            [speakers[0].name.clone(), speakers[1].name.clone()]
        };
        choices.note("bath", Chosen::Name(Some("Den".into())));
        choices.note("main", Chosen::Name(Some("BATH".into())));
        assert_eq!(names(&choices), ["BATH", "Den"]);
        // Names that people cannot tell apart are one.
        choices.note("bath", Chosen::Name(None));
        assert_eq!(names(&choices), [&configured.speakers[0].name, "Bath"]);
        let speakers = choices.over(&configured).speakers;
        let named = |of: &str, name: &str| named(&speakers, &configured.speakers, of, name);
        assert!(named("main", "bath").is_err());
        assert!(named("bath", "bath").is_ok(), "its own");

        choices.note("bath", Chosen::Output(Some("hw:1".into())));
        choices.note("main", Chosen::Output(Some("hw:2".into())));
        choices.note("bath", Chosen::Output(Some("default".into())));
        let speakers = choices.over(&configured).speakers;
        let card = |name| card_of(&configured.speakers[0].output, name);
        assert_eq!(speakers[0].output, card("hw:2"));
        assert_eq!(speakers[1].output, card("default"), "main left it");
    }

    #[test]
    fn the_configured_name_is_not_taken_back_from_who_has_it_now() {
        let configured = configured();
        let mut choices = Choices::default();
        choices.note("bath", Chosen::Name(Some("Den".into())));
        choices.note("main", Chosen::Name(Some("Bath".into())));
        let speakers = choices.over(&configured).speakers;
        let named = |of: &str| named(&speakers, &configured.speakers, of, "");
        assert_eq!(named("bath").expect_err("main's").code, Reason::Conflict);
        assert_eq!(named("main").ok(), Some(None));
    }

    #[test]
    fn a_name_has_a_length_letters_that_can_be_shown_and_one_owner() {
        let speakers = configured().speakers;
        let named = |name: &str| named(&speakers, &speakers, "main", name);
        assert_eq!(named(" Den ").ok(), Some(Some("Den".to_owned())));
        assert_eq!(named("").ok(), Some(None));
        for (name, code) in [
            ("a\nb", Reason::Invalid),
            (&"x".repeat(65), Reason::Invalid),
            ("bath", Reason::Conflict),
        ] {
            assert_eq!(named(name).expect_err(name).code, code);
        }
    }
}
