//! The composition root: everything is started here, everything is stopped here, in order.
//!
//! [`run`] reads top-down: state, speakers, discovery, surfaces, then one loop for signals, orders,
//! notices and news. It ends when it is told to, and for nothing else.

mod board;
mod choices;
mod clearing;
mod clerk;
pub mod doctor;
mod house;
pub mod pairing;
pub mod places;
pub mod presence;
mod queries;
mod service;
mod surfaces;
#[cfg(feature = "http")]
mod tcp;
#[cfg(feature = "http")]
pub mod token;

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Interval, interval},
};
use tracing::{info, warn};

use crate::{
    accounts::{AccountKey, Damage, Store, StoreError},
    bus::{self, Answer, Asked, Desk, Order},
    config::{Config, LogLevel, Problems},
    control,
    discovery::Notice,
    model::{Condition, ConditionCode, LayerState, unix_ms},
    speaker::News,
};
use board::{Board, HOUSE};
use clerk::{Clerk, Effect};
use house::House;
use pairing::Pairings;
use presence::{Part, Report};
use service::Service;
use surfaces::Surfaces;

/// Why the daemon did not start. Once it runs, nothing ends it but an order.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the signals of this process cannot be listened to: {0}")]
    Signals(#[from] std::io::Error),
}

impl StartError {
    /// What to do; shown after `help:`.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Store(error) => error.help(),
            Self::Signals(_) => "see the reason given; siskin cannot run like this",
        }
    }
}

/// Runs until SIGTERM or SIGINT. `reload` reads the configuration anew on SIGHUP; what it answers
/// when that fails is told as it is. `log_at` has so much logged from then on.
///
/// # Errors
/// When another daemon uses the same state, or the process lacks what it cannot do without.
pub async fn run(
    config: Config,
    reload: impl Fn() -> Result<Config, Problems>,
    log_at: impl Fn(LogLevel),
) -> Result<(), StartError> {
    let mut signals = Signals::listen()?;
    let mut service = Service::default();
    let mut board = Board::default();
    let store = keep(&config, &mut board)?;
    let (news, mut told) = mpsc::channel(64);
    let (notices, mut noticed) = mpsc::channel(64);
    let (reports, mut found) = mpsc::channel(64);
    let (remarks, mut remarked) = mpsc::channel(8);
    let (pairings, mut paired) = mpsc::channel(16);
    let (bus, mut desk) = bus::open();
    let tally = bus.tally().clone();
    let mut clerk = Clerk::new(store.clone());
    let mut house = House::new(
        config.clone(),
        store,
        news,
        notices,
        reports,
        Pairings::new(pairings),
    );
    introduce(&house, &mut board);
    desk.publish(board.house());
    // Side by side: whoever sees it announced finds somebody who answers.
    let ((), mut surfaces) = tokio::join!(house.open(), Surfaces::open(&config, bus, remarks));
    introduce(&house, &mut board);
    service.ready();
    let mut watchdog = service.watchdog().map(interval);
    loop {
        service.status(&board.status());
        desk.publish(board.house());
        tokio::select! {
            wish = signals.next() => match wish {
                Wish::Stop => break,
                Wish::Reload => match reload() {
                    Ok(config) => {
                        let moved = surfaces.change(&config).await;
                        take_over(config, moved, &mut house, &mut board).await;
                    }
                    Err(problems) => refuse(&problems, &mut board),
                },
            },
            asked = desk.next() => clerk.take(asked, &mut house, board.house()),
            effect = clerk.work() => match effect {
                Effect::Log { level, owed } => {
                    log_at(level);
                    house.log_at(level).await;
                    info!("the log tells more or less now: {level:?}");
                    let _ = owed.send(Ok(Answer::Done));
                }
                effect => follow(effect, &mut house, &mut board, &desk).await,
            },
            Some(notice) = noticed.recv() => notice_board(notice, &mut board),
            Some(remark) = remarked.recv() => remark_board(remark, &mut board),
            Some((place, news)) = told.recv() => match news {
                News::Cut(cut) => tally.cut(&place, cut),
                News::Renamed(name) => {
                    clerk.take(renamed(&place, name), &mut house, board.house());
                }
                news => news_board(&place, news, &mut house, &mut board),
            },
            Some((place, now)) = paired.recv() => board.pairing(&place, now, unix_ms()),
            Some(report) = found.recv() => report_board(report, &house, &mut board),
            () = tick(&mut watchdog) => if house.is_fit() {
                service.alive();
            },
        }
    }
    info!("stopping");
    service.stopping();
    // Nobody listens any more, so nobody may wait for being heard, or for an answer.
    drop((told, noticed, remarked, paired, found, desk, clerk));
    surfaces.close().await;
    let (silent, is_silent) = oneshot::channel();
    let closing = async {
        house.close().await;
        let _ = silent.send(());
    };
    tokio::join!(closing, surfaces.say_goodbye(is_silent));
    Ok(())
}

/// Opens the state. A disk that takes nothing is a condition; a second daemon is an error.
fn keep(config: &Config, board: &mut Board) -> Result<Option<Arc<Store>>, StoreError> {
    let dir = places::state_dir(config);
    let key = AccountKey::find(config.account_key_file.as_deref());
    let no_key = key.trouble();
    match Store::open_with(&dir, key) {
        Ok(store) => {
            // Before somebody signs in for the first time, and is not kept.
            if let Some(why) = no_key {
                let what = "nobody who signs in is kept: accounts cannot be encrypted";
                let cure = "make the key as account_key_file says, for siskin's user to read; \
                            then start siskin anew";
                let condition = Condition::new(ConditionCode::StateDamaged, what, why, cure);
                board.raise(HOUSE, condition, unix_ms());
            }
            // Everything is looked at once, also what nobody needs today.
            for Damage(condition) in store.accounts().1 {
                board.raise(HOUSE, condition, unix_ms());
            }
            Ok(Some(Arc::new(store)))
        }
        Err(error @ StoreError::InUse { .. }) => Err(error),
        Err(error) => {
            let what = "nothing can be kept: after a restart, everybody has to sign in again";
            let code = ConditionCode::StateDamaged;
            let condition = Condition::new(code, what, error.to_string(), error.help());
            board.raise(HOUSE, condition, unix_ms());
            Ok(None)
        }
    }
}

/// A changed configuration that is not right: the old one stays in force.
fn refuse(problems: &Problems, board: &mut Board) {
    // Reason and cure stand on two lines where there is room for them; here, and in the log, not.
    let all = problems
        .iter()
        .map(|it| it.to_string().replace("\n  help: ", ": "));
    let why = all.collect::<Vec<_>>().join("; ");
    let what = "the changed configuration was not taken over; the old one stays in force";
    let cure = "correct the file, then reload again";
    let condition = Condition::new(ConditionCode::ConfigRejected, what, why, cure);
    board.raise(HOUSE, condition, unix_ms());
}

async fn take_over(
    config: Config,
    moved: Vec<ConditionCode>,
    house: &mut House,
    board: &mut Board,
) {
    house.change(config).await;
    introduce(house, board);
    board.clear(HOUSE, ConditionCode::ConfigRejected);
    for code in moved {
        // Whatever stands at the new place has said, or will say, so itself.
        board.clear(HOUSE, code);
    }
    info!("the configuration is taken over");
}

/// Who is there, and what was chosen for whom.
fn introduce(house: &House, board: &mut Board) {
    board.introduce(house.speakers());
    for (place, configured, chosen) in house.outputs() {
        board.outputs(place, configured, chosen, None);
    }
}

/// What an order came to; whoever gave it is told once the state shows it.
async fn follow(effect: Effect, house: &mut House, board: &mut Board, desk: &Desk) {
    let (speaker, cards, result, owed) = match effect {
        // The log is no business of the house's.
        Effect::Nothing | Effect::Log { .. } => return,
        Effect::Account(account) => return board.account(&account),
        Effect::Cards {
            speaker,
            cards,
            owed,
        } => (speaker, Some(cards), None, owed),
        Effect::Chosen {
            speaker,
            cards,
            result,
            owed,
        } => {
            let cards = Some(cards).filter(|cards| !cards.is_empty());
            (speaker, cards, Some(result), owed)
        }
    };
    let done = match result {
        Some(Ok(chosen)) => {
            house.choose(&speaker, chosen).await;
            Ok(Answer::Done)
        }
        Some(Err(unable)) => Err(unable),
        None => Ok(Answer::Outputs(Vec::new())),
    };
    introduce(house, board);
    if let Some((place, configured, chosen)) = house.outputs().find(|(id, ..)| *id == speaker) {
        board.outputs(place, configured, chosen, cards);
    }
    desk.publish(board.house());
    let done = done.map(|answer| match answer {
        Answer::Outputs(_) => Answer::Outputs(board.outputs_of(&speaker)),
        other => other,
    });
    // Where nobody waits for the answer, the log is told.
    if let Err(Err(unable)) = owed.send(done) {
        warn!("{unable}: {}", unable.help);
    }
}

/// An app gave this speaker a name: as if it had been said here. Nobody waits for the answer; an app
/// sees what the speaker is called.
fn renamed(speaker: &str, name: String) -> Asked {
    let speaker = speaker.to_owned();
    let (answer, _) = oneshot::channel();
    Asked {
        order: Order::Name { speaker, name },
        answer,
    }
}

fn notice_board(notice: Notice, board: &mut Board) {
    match notice {
        Notice::Announced {
            name,
            port,
            addresses,
        } => {
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port));
            let addresses: Vec<_> = addresses.collect();
            info!("“{name}” is announced at {}", listed(&addresses));
            board.announced(&name, addresses);
        }
        Notice::Unannounced { name } => board.announced(&name, Vec::new()),
        Notice::Skipped { interface, reason } => info!("not on {interface}: {reason}"),
        Notice::Raised(condition) => {
            if condition.code == ConditionCode::NoNetwork {
                board.unannounced();
            }
            board.raise(HOUSE, condition, unix_ms());
        }
        Notice::Cleared(code) => board.clear(HOUSE, code),
    }
}

fn remark_board(remark: control::Notice, board: &mut Board) {
    match remark {
        control::Notice::Raised(condition) => board.raise(HOUSE, condition, unix_ms()),
        control::Notice::Cleared(code) => board.clear(HOUSE, code),
    }
}

fn report_board(report: Report, house: &House, board: &mut Board) {
    match report {
        Report::Found {
            place,
            part,
            state,
            why,
        } => board.presence(&place, |presence| {
            let layer = match part {
                Part::Announcement => &mut presence.announced,
                Part::Endpoint => &mut presence.endpoint,
            };
            layer.is(state, why.as_deref(), unix_ms());
        }),
        Report::Raised(place, condition) => board.raise(&place, condition, unix_ms()),
        Report::Cleared(place, code) => board.clear(&place, code),
        Report::Clock(Some(condition)) => board.raise(HOUSE, condition, unix_ms()),
        Report::Clock(None) => board.clear(HOUSE, ConditionCode::ClockWrong),
        Report::Changed => house.surroundings_changed(),
    }
}

fn state(is_fine: bool) -> LayerState {
    match is_fine {
        true => LayerState::Ok,
        false => LayerState::Failed,
    }
}

fn news_board(place: &str, news: News, house: &mut House, board: &mut Board) {
    match news {
        News::Raised(condition) => {
            let refused = condition.code == ConditionCode::LoginRefused;
            board.raise(place, condition, unix_ms());
            if refused {
                house.offer_a_code(place);
            }
        }
        News::Cleared(code) => {
            if code == ConditionCode::LoginRefused {
                house.pairings().withdraw(place);
            }
            board.clear(place, code);
        }
        News::ActiveUser(user) => house.set_active_user(place, user),
        News::Seat {
            phase,
            account,
            holds,
        } => board.seat(place, phase, account, holds, unix_ms()),
        News::Pulse {
            engine,
            session,
            dealer,
            listed,
        } => board.presence(place, |presence| {
            let links = [
                (&mut presence.engine, Some(engine)),
                (&mut presence.session, session),
                (&mut presence.dealer, dealer),
                (&mut presence.listed, listed),
            ];
            for (layer, found) in links {
                if let Some(found) = found {
                    layer.is(state(found), None, unix_ms());
                }
            }
        }),
        News::Playback(playback) => board.playback(place, *playback),
        News::Holding(on) => board.holding(place, on),
        // Counted, and carried out, elsewhere.
        News::Cut(_) | News::Renamed(_) => {}
        News::Devices(devices) => board.devices(place, devices),
        News::Sound(sound) => board.sound(place, sound),
        // The state is published before anybody who waits gets to run.
        News::Done { answer, result } => drop(answer.send(result)),
    }
}

fn listed(addresses: &[SocketAddr]) -> String {
    let shown: Vec<_> = addresses.iter().map(SocketAddr::to_string).collect();
    shown.join(", ")
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    reload: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            reload: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.reload.recv() => Wish::Reload,
        }
    }
}

enum Wish {
    Stop,
    Reload,
}

async fn tick(watchdog: &mut Option<Interval>) {
    match watchdog {
        Some(watchdog) => drop(watchdog.tick().await),
        None => std::future::pending().await,
    }
}
