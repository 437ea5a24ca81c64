//! Carries out what surfaces ask for, beside the daemon's loop: no order holds up another.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task::{JoinSet, spawn_blocking},
    time::{Instant, timeout, timeout_at},
};

use super::{
    choices::{self, Chosen},
    doctor::Doctor,
    house::House,
    pairing,
    queries::Queries,
};
use crate::{
    accounts::Store,
    bus::{Answer, Asked, Order, Reason, Unable},
    config::LogLevel,
    model::{self, Account, OutputChoice, Transport},
    speaker::Knock,
};

/// Orders under way at once. Each has its limit; the next one is told to come back.
const AT_WORK: usize = 32;
/// How long an engine may take to say what it measures.
const MEASURING: Duration = Duration::from_millis(500);

/// An answer that waits for the state that shows it.
pub type Owed = oneshot::Sender<Result<Answer, Unable>>;

/// What the house has to follow, once an order is carried out.
pub enum Effect {
    Nothing,
    /// An account that is called, or known, otherwise now.
    Account(Account),
    /// So much is to be logged.
    Log {
        level: LogLevel,
        owed: Owed,
    },
    /// These sound cards were found; and what came of the order besides, where it was for more.
    Cards {
        speaker: String,
        cards: Vec<OutputChoice>,
        owed: Owed,
    },
    /// Something was chosen, and is kept.
    Chosen {
        speaker: String,
        cards: Vec<OutputChoice>,
        result: Result<Chosen, Unable>,
        owed: Owed,
    },
}

/// Dropped, it leaves what is under way; whoever waits is told.
pub struct Clerk {
    store: Option<Arc<Store>>,
    at_work: JoinSet<Effect>,
    queries: Queries,
    doctor: Doctor,
}

impl Clerk {
    pub fn new(store: Option<Arc<Store>>) -> Self {
        Self {
            store,
            at_work: JoinSet::new(),
            queries: Queries::default(),
            doctor: Doctor::default(),
        }
    }

    /// Begins with an order. `now` is the state as it is shown.
    pub fn take(&mut self, asked: Asked, house: &mut House, now: &model::House) {
        let Asked { order, answer } = asked;
        let limit = order.limit();
        let order = match order {
            // Has a bound of its own, so that nobody who only looks stands in the way.
            Order::Ask { speaker, query } => match house.doors(Some(&speaker)).pop() {
                Some(door) => return self.queries.take(speaker, query, door, limit, answer),
                None => return drop(answer.send(Err(Unable::unknown_speaker(&speaker)))),
            },
            order => order,
        };
        if self.at_work.len() >= AT_WORK {
            let help = "ask again in a moment";
            let busy = Unable::new(Reason::Unavailable, "too much is asked at once", help);
            // Who has left needs no answer, here and below.
            return drop(answer.send(Err(busy)));
        }
        let store = self.store.clone();
        let order = match pairing::begin(order, house) {
            Ok(done) => return self.begin(answer, done),
            Err(order) => order,
        };
        match order {
            Order::Accounts => self.begin(answer, list(store)),
            Order::RenameAccount { user, name } => {
                self.at_work.spawn(async move {
                    let done = rename(store, user, name).await;
                    let effect = done.as_ref().ok().cloned().map(Effect::Account);
                    let _ = answer.send(done.map(|_| Answer::Done));
                    effect.unwrap_or(Effect::Nothing)
                });
            }
            Order::UseAccount { speaker, user } => match house.doors(Some(&speaker)).pop() {
                Some(door) => self.begin(answer, sign_in(store, door, user)),
                None => drop(answer.send(Err(Unable::unknown_speaker(&speaker)))),
            },
            Order::ForgetAccount { user } => {
                self.begin(answer, forget(store, house.doors(None), user));
            }
            Order::Transport { speaker, wish } => match house.doors(Some(&speaker)).pop() {
                Some(_) if is_volume(&wish) && house.has_fixed_volume(&speaker) => {
                    let _ = answer.send(Err(fixed_volume()));
                }
                Some(door) => self.begin(answer, transport(door, wish, limit)),
                None => drop(answer.send(Err(Unable::unknown_speaker(&speaker)))),
            },
            Order::LetPlay { speaker } => {
                for door in house.doors(Some(&speaker)) {
                    // One that is too busy for it lets the music go by itself.
                    let _ = door.try_send(Knock::LetPlay);
                }
                let _ = answer.send(Ok(Answer::Done));
            }
            Order::Measure => {
                let doors = house.speakers().iter().filter_map(|speaker| {
                    let door = house.doors(Some(&speaker.id)).pop()?;
                    Some((speaker.id.clone(), door))
                });
                self.begin(answer, measure(doors.collect()));
            }
            Order::Examine { tone } => {
                let case = house.case(now.clone(), tone);
                self.begin(answer, self.doctor.clone().look(case));
            }
            Order::Log { level } => match LogLevel::named(&level) {
                Some(level) => {
                    let owed = answer;
                    self.at_work
                        .spawn(async move { Effect::Log { level, owed } });
                }
                None => {
                    let what = format!("{level:?} is no level of the log");
                    let help = "use error, warn, info, debug or trace";
                    let _ = answer.send(Err(Unable::new(Reason::Invalid, what, help)));
                }
            },
            Order::Outputs { speaker }
            | Order::Output { speaker, .. }
            | Order::Name { speaker, .. }
                if house.doors(Some(&speaker)).is_empty() =>
            {
                drop(answer.send(Err(Unable::unknown_speaker(&speaker))));
            }
            Order::Outputs { speaker } => {
                let log = house.log();
                self.at_work.spawn(async move {
                    match choices::cards(log).await {
                        Ok(cards) => Effect::Cards {
                            speaker,
                            cards,
                            owed: answer,
                        },
                        Err(unable) => {
                            let _ = answer.send(Err(unable));
                            Effect::Nothing
                        }
                    }
                });
            }
            Order::Output { speaker, device } => {
                let Some(wish) = house.output_wish(&speaker, device) else {
                    return drop(answer.send(Err(Unable::unknown_speaker(&speaker))));
                };
                self.at_work.spawn(async move {
                    let (cards, result) = choices::lead(wish).await;
                    Effect::Chosen {
                        speaker,
                        cards,
                        result,
                        owed: answer,
                    }
                });
            }
            Order::Name { speaker, name } => {
                let named = house.named(&speaker, &name);
                self.at_work.spawn(async move {
                    let result = match named {
                        Ok(name) => choices::keep(store, speaker.clone(), Chosen::Name(name)).await,
                        Err(unable) => Err(unable),
                    };
                    Effect::Chosen {
                        speaker,
                        cards: Vec::new(),
                        result,
                        owed: answer,
                    }
                });
            }
            // Taken above.
            Order::Ask { .. }
            | Order::Pair { .. }
            | Order::Pairing { .. }
            | Order::Paste { .. }
            | Order::CancelPairing { .. } => {}
        }
    }

    fn begin(
        &mut self,
        answer: oneshot::Sender<Result<Answer, Unable>>,
        work: impl Future<Output = Result<Answer, Unable>> + Send + 'static,
    ) {
        self.at_work.spawn(async move {
            let _ = answer.send(work.await);
            Effect::Nothing
        });
    }

    /// Waits until an order is done; for ever when none is under way. Cancel safe.
    pub async fn work(&mut self) -> Effect {
        tokio::select! {
            Some(done) = self.at_work.join_next() => done.unwrap_or(Effect::Nothing),
            () = self.queries.work() => Effect::Nothing,
        }
    }
}

async fn list(store: Option<Arc<Store>>) -> Result<Answer, Unable> {
    // Where nothing can be kept, nobody is.
    let Some(store) = store else {
        return Ok(Answer::Accounts(Vec::new()));
    };
    let (accounts, _) = on_disk(move || store.accounts()).await?;
    Ok(Answer::Accounts(accounts))
}

async fn rename(store: Option<Arc<Store>>, user: String, name: String) -> Result<Account, Unable> {
    let store = store.ok_or_else(|| unknown(&user))?;
    let renamed = on_disk(move || {
        if store.rename(&user, &name)? {
            Ok((store.account(&user), user))
        } else {
            Ok((None, user))
        }
    });
    match renamed.await? {
        Ok((Some(account), _)) => Ok(account),
        Ok((None, user)) => Err(unknown(&user)),
        Err(why) => Err(not_kept(&why)),
    }
}

async fn sign_in(
    store: Option<Arc<Store>>,
    door: mpsc::Sender<Knock>,
    user: String,
) -> Result<Answer, Unable> {
    if !remembers(store, &user).await? {
        return Err(unknown(&user));
    }
    let why = knock(&door, |answer| Knock::Use { user, answer }).await?;
    let help = "siskin status tells what is wrong; whoever was signed in still is";
    why.map(|()| Answer::Done)
        .map_err(|why| Unable::new(Reason::Refused, why, help))
}

async fn forget(
    store: Option<Arc<Store>>,
    doors: Vec<mpsc::Sender<Knock>>,
    user: Option<String>,
) -> Result<Answer, Unable> {
    if let Some(user) = &user
        && !remembers(store, user).await?
    {
        return Err(unknown(user));
    }
    // Every speaker is told, whatever becomes of the others; the first trouble is the answer.
    let mut trouble = None;
    for door in doors {
        let user = user.clone();
        if let Err(why) = knock(&door, |answer| Knock::Forget { user, answer }).await? {
            trouble.get_or_insert(why);
        }
    }
    match trouble {
        None => Ok(Answer::Done),
        Some(why) => {
            let help = "check the disk and who owns the state directory, then forget it again";
            Err(Unable::new(Reason::Broken, why, help))
        }
    }
}

/// Nobody waits for longer than `limit`, so that no engine that hangs keeps a place here.
async fn transport(
    door: mpsc::Sender<Knock>,
    order: Transport,
    limit: Duration,
) -> Result<Answer, Unable> {
    let (answer, answered) = oneshot::channel();
    let gone = || {
        let help = "look at the status, then ask again";
        Unable::new(Reason::Unavailable, "the speaker does not listen", help)
    };
    let done = timeout(limit, async {
        let wish = Knock::Wish { order, answer };
        door.send(wish).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())
    });
    let done = done.await.map_err(|_| Unable::timed_out(limit))??;
    done.map(|()| Answer::Done).map_err(Unable::unmet)
}

/// Asks all of them at once; who does not answer in time is left out.
async fn measure(doors: Vec<(String, mpsc::Sender<Knock>)>) -> Result<Answer, Unable> {
    let mut asked = Vec::new();
    for (speaker, door) in doors {
        let (answer, answered) = oneshot::channel();
        // One that is too busy to be asked has no time to answer.
        if door.try_send(Knock::Measure { answer }).is_ok() {
            asked.push((speaker, answered));
        }
    }
    let until = Instant::now() + MEASURING;
    let mut measured = Vec::new();
    for (speaker, answered) in asked {
        if let Ok(Ok(measures)) = timeout_at(until, answered).await {
            measured.push((speaker, measures));
        }
    }
    Ok(Answer::Measures(measured))
}

fn is_volume(wish: &Transport) -> bool {
    matches!(
        wish,
        Transport::Volume { .. } | Transport::VolumeBy { .. } | Transport::Mute { .. }
    )
}

fn fixed_volume() -> Unable {
    let what = "the volume of this speaker is fixed";
    let help = "set it at the amplifier, or choose another volume.curve";
    Unable::new(Reason::Conflict, what, help)
}

/// Puts a wish before a speaker and waits for its words.
async fn knock(
    door: &mpsc::Sender<Knock>,
    wish: impl FnOnce(oneshot::Sender<Result<(), String>>) -> Knock,
) -> Result<Result<(), String>, Unable> {
    let gone = || {
        let help = "look at the status, then ask again";
        Unable::new(Reason::Unavailable, "the speaker does not listen", help)
    };
    let (answer, answered) = oneshot::channel();
    door.send(wish(answer)).await.map_err(|_| gone())?;
    answered.await.map_err(|_| gone())
}

async fn remembers(store: Option<Arc<Store>>, user: &str) -> Result<bool, Unable> {
    let user = user.to_owned();
    match store {
        Some(store) => on_disk(move || store.remembers(&user)).await,
        None => Ok(false),
    }
}

async fn on_disk<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> Result<T, Unable> {
    spawn_blocking(job).await.map_err(|why| {
        let help = "please report it; the log says more";
        Unable::new(
            Reason::Broken,
            format!("that went wrong inside ({why})"),
            help,
        )
    })
}

fn unknown(user: &str) -> Unable {
    Unable::new(
        Reason::UnknownAccount,
        format!("no account {user:?} is remembered here"),
        "GET /api/v1/accounts lists every account with its user",
    )
}

fn not_kept(why: &io::Error) -> Unable {
    if why.kind() == io::ErrorKind::InvalidInput {
        return Unable::new(Reason::Invalid, why.to_string(), "use another name");
    }
    Unable::new(
        Reason::Broken,
        format!("the name could not be kept: {why}"),
        "check the disk and who owns the state directory",
    )
}
