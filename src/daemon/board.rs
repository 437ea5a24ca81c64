//! The board: what is true of the house and its speakers now, and what is wrong with them.
//!
//! Everything the daemon hears is written down here and nowhere else; the state that surfaces read,
//! the log's conditions and the service manager's one line all come from it.

use std::{net::SocketAddr, sync::Arc};

use tracing::{info, warn};

use crate::{
    config::{self, Bitrate},
    model::{
        AS_CONFIGURED, Account, Condition, ConditionCode, Conditions, House, LayerState,
        OutputChoice, Pairing, Peer, Phase, PlayState, Playback, Presence, Severity, Sound,
        SpeakerState,
    },
};

/// Names a place that conditions belong to: a speaker's id, or [`HOUSE`].
pub type Place = Arc<str>;

/// The daemon itself: network, configuration, certificates.
pub const HOUSE: &str = "";

#[derive(Debug, Default)]
pub struct Board {
    house: House,
}

impl Board {
    /// The state as surfaces read it; its version is counted by the bus.
    pub fn house(&self) -> &House {
        &self.house
    }

    /// Writes down which speakers there are, in the order given. Who is gone is forgotten.
    pub fn introduce(&mut self, speakers: &[config::Speaker]) {
        let mut known = std::mem::take(&mut self.house.speakers);
        for speaker in speakers {
            let at = known.iter().position(|known| known.id == speaker.id);
            let mut state = at.map(|at| known.swap_remove(at)).unwrap_or_default();
            state.id.clone_from(&speaker.id);
            state.name.clone_from(&speaker.name);
            state.output = output(&speaker.output).to_owned();
            state.bitrate = match speaker.audio.bitrate {
                Bitrate::Kbps96 => 96,
                Bitrate::Kbps160 => 160,
                Bitrate::Kbps320 => 320,
            };
            self.house.speakers.push(state);
        }
    }

    /// Where the sound of a speaker can go: as configured, and to these cards (`None`: to those that
    /// were found the last time).
    pub fn outputs(
        &mut self,
        place: &str,
        configured: String,
        chosen: Option<&str>,
        cards: Option<Vec<OutputChoice>>,
    ) {
        let Some(speaker) = self.speaker(place) else {
            return;
        };
        let known = std::mem::take(&mut speaker.outputs);
        let first = OutputChoice {
            name: AS_CONFIGURED.to_owned(),
            about: configured,
            chosen: false,
        };
        let cards = cards.unwrap_or(known);
        let mut all = vec![first];
        all.extend(cards.into_iter().filter(|card| card.name != AS_CONFIGURED));
        if let Some(name) = chosen
            && !all.iter().any(|one| one.name == name)
        {
            all.push(OutputChoice {
                name: name.to_owned(),
                ..OutputChoice::default()
            });
        }
        for one in &mut all {
            one.chosen = one.name == chosen.unwrap_or(AS_CONFIGURED);
        }
        speaker.outputs = all;
    }

    pub fn outputs_of(&self, place: &str) -> Vec<OutputChoice> {
        let speaker = self.house.speaker(place);
        speaker.map(|one| one.outputs.clone()).unwrap_or_default()
    }

    /// What else the account has.
    pub fn devices(&mut self, place: &str, devices: Vec<Peer>) {
        if let Some(speaker) = self.speaker(place) {
            speaker.devices = devices;
        }
    }

    pub fn sound(&mut self, place: &str, sound: Sound) {
        if let Some(speaker) = self.speaker(place) {
            speaker.sound = Some(sound);
        }
    }

    /// Hangs a condition up, and says so once.
    pub fn raise(&mut self, place: &str, condition: Condition, now_ms: i64) {
        let text = format!("{} ({}): {}", condition.what, condition.why, condition.cure);
        let (code, severity) = (condition.code.key(), condition.code.severity());
        let Some(conditions) = self.conditions(place) else {
            return;
        };
        if conditions.raise(condition, now_ms) {
            match severity {
                Severity::Trouble => warn!(condition = code, "{text}"),
                Severity::Notice => info!(condition = code, "{text}"),
            }
        }
    }

    pub fn clear(&mut self, place: &str, code: ConditionCode) {
        if self
            .conditions(place)
            .is_some_and(|conditions| conditions.clear(code))
        {
            info!(
                condition = code.key(),
                "over: {}",
                code.key().replace('_', " ")
            );
        }
    }

    /// Somebody came, went, or is on the way. `holds`: what was told of playback is still so, for the
    /// same person.
    pub fn seat(
        &mut self,
        place: &str,
        phase: Phase,
        account: Option<Account>,
        holds: bool,
        now_ms: i64,
    ) {
        let Some(speaker) = self.speaker(place) else {
            return;
        };
        let user = |account: &Option<Account>| account.as_ref().map(|one| one.user.clone());
        // What somebody else played, or a lost engine, is not true any more.
        if !holds || user(&speaker.account) != user(&account) {
            speaker.playback = None;
            speaker.volume_percent = None;
            speaker.holding = false;
        }
        if user(&speaker.account) != user(&account) {
            speaker.devices.clear();
        }
        speaker.phase = phase;
        speaker.account = account;
        seated(&mut speaker.presence, phase, now_ms);
    }

    /// How a part of the way to a speaker was found.
    pub fn presence(&mut self, place: &str, note: impl FnOnce(&mut Presence)) {
        if let Some(speaker) = self.speaker(place) {
            note(&mut speaker.presence);
        }
    }

    /// Something about an account is different now, wherever it sits.
    pub fn account(&mut self, new: &Account) {
        for speaker in &mut self.house.speakers {
            if let Some(known) = speaker.account.as_mut().filter(|one| one.user == new.user) {
                known.clone_from(new);
            }
        }
    }

    /// A sign-in by a code or a browser stands elsewhere now. While the stored login is refused, the
    /// code is the cure.
    pub fn pairing(&mut self, place: &str, now: Pairing, now_ms: i64) {
        let Some(speaker) = self.speaker(place) else {
            return;
        };
        let refused = speaker.conditions.get(ConditionCode::LoginRefused).cloned();
        let cure = cure(&now);
        speaker.pairing = Some(now);
        if let (Some(refused), Some(cure)) = (refused, cure) {
            self.raise(place, Condition { cure, ..refused }, now_ms);
        }
    }

    pub fn playback(&mut self, place: &str, playback: Playback) {
        if let Some(speaker) = self.speaker(place) {
            speaker.volume_percent = Some(playback.volume.percent());
            speaker.playback = Some(playback);
        }
    }

    /// Music waits to be heard, or does not any more.
    pub fn holding(&mut self, place: &str, on: bool) {
        if let Some(speaker) = self.speaker(place) {
            speaker.holding = on;
        }
    }

    /// Where the speaker of this name is announced now. Names are unique in a house.
    pub fn announced(&mut self, name: &str, addresses: Vec<SocketAddr>) {
        let mut speakers = self.house.speakers.iter_mut();
        if let Some(speaker) = speakers.find(|speaker| speaker.name == name) {
            speaker.addresses = addresses;
        }
    }

    /// Nobody is announced any more.
    pub fn unannounced(&mut self) {
        for speaker in &mut self.house.speakers {
            speaker.addresses.clear();
        }
    }

    fn speaker(&mut self, place: &str) -> Option<&mut SpeakerState> {
        let mut speakers = self.house.speakers.iter_mut();
        speakers.find(|speaker| speaker.id == place)
    }

    /// `None` for a speaker that is gone: its last words come to nothing.
    fn conditions(&mut self, place: &str) -> Option<&mut Conditions> {
        match place {
            HOUSE => Some(&mut self.house.conditions),
            _ => self.speaker(place).map(|speaker| &mut speaker.conditions),
        }
    }

    /// One line for whoever asks the service manager: the first trouble, else what is going on.
    /// Notices are for the log: a guest who was refused an hour ago is no state of the speaker.
    pub fn status(&self) -> String {
        let of_speakers = self.house.speakers.iter();
        let places = of_speakers.map(|speaker| &speaker.conditions);
        let mut troubles = std::iter::once(&self.house.conditions)
            .chain(places)
            .flat_map(Conditions::iter)
            .filter(|(_, found)| found.code.severity() == Severity::Trouble);
        if let Some((_, found)) = troubles.next() {
            return format!("{} ({}); {}", found.what, found.why, found.cure);
        }
        let doing: Vec<_> = self.house.speakers.iter().map(doing).collect();
        doing.join("; ")
    }
}

/// What the phase says about the way to Spotify: a speaker that is listed has all of it.
fn seated(presence: &mut Presence, phase: Phase, now_ms: i64) {
    let state = match phase {
        Phase::Online => LayerState::Ok,
        Phase::Retrying => LayerState::Failed,
        Phase::Nobody | Phase::Refused => LayerState::Unknown,
        // What was lost stays so until it is back.
        Phase::SigningIn => return,
    };
    for layer in [
        &mut presence.session,
        &mut presence.dealer,
        &mut presence.listed,
    ] {
        layer.is(state, None, now_ms);
    }
    if phase != Phase::Retrying {
        presence.engine.is(state, None, now_ms);
    }
}

fn output(output: &config::Output) -> &'static str {
    match output {
        config::Output::Card { .. } => "card",
        config::Output::Pipe { .. } => "pipe",
        config::Output::Wav { .. } => "wav",
        config::Output::Null => "null",
    }
}

fn doing(speaker: &SpeakerState) -> String {
    let state = speaker.playback.as_ref().map(|playback| playback.state);
    let what = match (speaker.phase, state) {
        (Phase::Nobody | Phase::Refused, _) => "waiting to be picked in the Spotify app",
        (Phase::SigningIn | Phase::Retrying, _) => "signing in",
        (Phase::Online, Some(PlayState::Playing | PlayState::Loading)) => "playing",
        (Phase::Online, Some(PlayState::Paused)) => "paused",
        (Phase::Online, _) => "ready",
    };
    format!("{}: {what}", speaker.name)
}

/// How a refused login is mended while a sign-in stands there.
fn cure(pairing: &Pairing) -> Option<String> {
    let pick = "pick the speaker in the Spotify app";
    match pairing {
        Pairing::Waiting {
            code,
            address,
            complete_address,
            ..
        } => Some(format!(
            "{pick}, or type {code} at {address} ({complete_address})"
        )),
        Pairing::Failed { why, .. } => Some(format!(
            "{pick}, or ask for a code with siskin pair (the last one: {why})"
        )),
        Pairing::Cancelled => Some(format!("{pick}, or ask for a code with siskin pair")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Volume;

    fn kitchen() -> Board {
        let mut board = Board::default();
        board.house.speakers.push(SpeakerState {
            id: "kitchen".into(),
            name: "Kitchen".into(),
            ..SpeakerState::default()
        });
        board
    }

    #[test]
    fn the_status_line_tells_trouble_before_anything_else_and_leaves_notices_out() {
        let mut board = kitchen();
        assert_eq!(
            board.status(),
            "Kitchen: waiting to be picked in the Spotify app"
        );
        let lost = Condition::new(
            ConditionCode::OutputLost,
            "no sound card",
            "unplugged",
            "plug it in",
        );
        board.raise("kitchen", lost, 0);
        assert_eq!(board.status(), "no sound card (unplugged); plug it in");
        board.clear("kitchen", ConditionCode::OutputLost);
        let guest = Condition::new(ConditionCode::GuestRefused, "not let in", "Free", "Premium");
        board.raise("kitchen", guest, 0);
        assert!(board.status().starts_with("Kitchen"));
    }

    #[test]
    fn a_code_is_the_cure_of_a_refused_login_and_of_nothing_else() {
        let mut board = kitchen();
        let waiting = Pairing::Waiting {
            code: "AB12".into(),
            address: "https://spotify.com/pair".into(),
            complete_address: "https://spotify.com/pair?code=AB12".into(),
            expires_at_ms: 1,
            trouble: None,
        };
        board.pairing("kitchen", waiting.clone(), 0);
        assert_eq!(board.house.speakers[0].pairing, Some(waiting.clone()));
        assert!(board.status().starts_with("Kitchen"), "no trouble");
        let code = ConditionCode::LoginRefused;
        let refused = Condition::new(code, "nobody is signed in", "refused", "pick it");
        board.raise("kitchen", refused, 0);
        board.pairing("kitchen", waiting, 0);
        assert!(
            board
                .status()
                .contains("type AB12 at https://spotify.com/pair")
        );
        board.pairing("kitchen", Pairing::failed("denied", "again"), 0);
        let status = board.status();
        assert!(
            status.contains("siskin pair") && status.contains("denied"),
            "{status}"
        );
        assert!(!status.contains("AB12"), "{status}");
    }

    fn sits(board: &mut Board, phase: Phase, user: &str, holds: bool) {
        board.seat("kitchen", phase, Some(Account::of(user.into())), holds, 0);
    }

    #[test]
    fn what_was_played_is_not_shown_for_the_next_person_or_without_an_engine() {
        let mut board = kitchen();
        let plays = |board: &Board| board.house.speakers[0].playback.is_some();
        sits(&mut board, Phase::Online, "kim", true);
        board.playback("kitchen", Playback::silent(Volume::FULL));
        sits(&mut board, Phase::Online, "kim", true);
        assert!(plays(&board));
        sits(&mut board, Phase::Online, "alex", true);
        assert!(!plays(&board));
        board.playback("kitchen", Playback::silent(Volume::FULL));
        sits(&mut board, Phase::Retrying, "alex", false);
        assert!(!plays(&board));
    }

    #[test]
    fn what_plays_is_shown_while_the_session_under_it_is_made_anew() {
        let mut board = kitchen();
        sits(&mut board, Phase::Online, "kim", true);
        board.playback("kitchen", Playback::silent(Volume::FULL));
        let before = board.house.speakers[0].clone();
        for phase in [Phase::Retrying, Phase::Online] {
            sits(&mut board, phase, "kim", true);
            let now = &board.house.speakers[0];
            assert_eq!(now.playback, before.playback);
            assert_eq!(now.volume_percent, before.volume_percent);
        }
    }

    #[test]
    fn the_last_words_of_a_speaker_that_is_gone_come_to_nothing() {
        let mut board = kitchen();
        board.introduce(&[]);
        sits(&mut board, Phase::Online, "kim", true);
        let lost = Condition::new(ConditionCode::OutputLost, "no sound", "gone", "plug it in");
        board.raise("kitchen", lost, 0);
        assert_eq!(*board.house(), House::default());
    }
}
