//! One speaker's place on the bus: connected, named, answering, and connected again when that is lost.
//!
//! Calls that only look are answered at once. Those that are orders are carried out one after the
//! other, in the order in which they came, and answered when they have taken effect, after
//! everybody was told of that.

use std::{
    collections::VecDeque, convert::Infallible, future::Future, pin::Pin, process, sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::info;
use zbus::{Connection, DBusError, Message, MessageStream, connection::Builder, message::Type};

use super::{
    fault::Fault,
    heard::{Answer, Heard, heard},
    name::names,
    request::{self, Request},
    speech,
    told::Told,
    trouble::{Trouble, word},
    view::{Now, View},
};
use crate::{
    bus::{Bus, Order},
    config,
    model::{House, unix_ms},
};

/// A bus answers at once, or not at all.
const PATIENCE: Duration = Duration::from_secs(5);
/// Until the next try, at first and at most; some of it is left to chance.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Who was on the bus for so long is not thrown out again and again.
const STEADY: Duration = Duration::from_secs(60);
/// Orders that may wait for the one that is carried out.
const WAITING: usize = 32;
/// For the bus to take the farewell.
const FAREWELL: Duration = Duration::from_millis(200);

/// The bus's own name and object.
const BUS: &str = "org.freedesktop.DBus";
const BUS_OBJECT: &str = "/org/freedesktop/DBus";
/// Of `RequestName`: do not wait in line. And what it answers when the name is ours.
const DO_NOT_QUEUE: u32 = 4;
const OWNER: [u32; 2] = [1, 4];

/// What a seat has to say: which speaker's, and what is wrong, if anything.
pub type Report = (Arc<str>, Option<Trouble>);

pub struct Seat {
    pub id: Arc<str>,
    pub at: config::Mpris,
    pub bus: Bus,
    pub reports: mpsc::Sender<Report>,
}

type Doing = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>;

/// A seat that is taken.
struct Seated<'a> {
    seat: &'a mut Seat,
    connection: &'a Connection,
    name: String,
    view: View,
    told: Told,
    waiting: VecDeque<(Message, Request)>,
    doing: Option<(Message, Doing)>,
}

impl Seat {
    /// Keeps the speaker on the bus until `stop`.
    pub async fn keep(mut self, stop: CancellationToken) {
        let mut tries = 0;
        loop {
            let began = Instant::now();
            let mut connection = None;
            let sat = stop.run_until_cancelled(self.sit(&mut connection)).await;
            if let Some(connection) = connection {
                let _ = timeout(FAREWELL, connection.close()).await;
            }
            let Some(trouble) = sat else { return };
            if began.elapsed() > STEADY {
                tries = 0;
            }
            // A bus that is started anew is not worth a word; one that is gone is.
            let is_blip = trouble == Trouble::Lost && tries == 0;
            let pause = pause(tries, rand::random());
            tries += 1;
            let id = self.id.clone();
            let told = async {
                if !is_blip {
                    let _ = self.reports.send((id, Some(trouble))).await;
                }
                sleep(pause).await;
            };
            if stop.run_until_cancelled(told).await.is_none() {
                return;
            }
        }
    }

    /// Takes the seat and answers until that is over. The connection is left in `kept`.
    async fn sit(&mut self, kept: &mut Option<Connection>) -> Trouble {
        match self.serve(kept).await {
            Ok(never) => match never {},
            Err(trouble) => trouble,
        }
    }

    async fn serve(&mut self, kept: &mut Option<Connection>) -> Result<Infallible, Trouble> {
        let connection = self.connect().await?;
        *kept = Some(connection.clone());
        // From the beginning, so that no call is lost that comes with the name.
        let calls = MessageStream::from(&connection);
        let name = self.claim(&connection).await?;
        let house = self.bus.seen();
        let now = now();
        let mut view = View::new(now.tick);
        if let Some(speaker) = house.speaker(&self.id) {
            view.follow(speaker, now);
            let bus = word(self.at);
            info!("“{}” is on the {bus} bus as {name}", speaker.name);
        }
        let _ = self.reports.send((self.id.clone(), None)).await;
        let seated = Seated {
            told: Told::all_of(&view, now.tick),
            seat: self,
            connection: &connection,
            name,
            view,
            waiting: VecDeque::new(),
            doing: None,
        };
        seated.run(calls).await
    }

    async fn connect(&self) -> Result<Connection, Trouble> {
        let builder = match self.at {
            config::Mpris::System => Builder::system(),
            config::Mpris::Session | config::Mpris::Off => Builder::session(),
        };
        let why = match timeout(PATIENCE, builder.method_timeout(PATIENCE).build()).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("it does not answer within {} s", PATIENCE.as_secs()),
        };
        Err(Trouble::Unreachable { why })
    }

    /// The first name that is to be had.
    async fn claim(&self, connection: &Connection) -> Result<String, Trouble> {
        let [first, others @ ..] = names(&self.id, process::id());
        for name in [&first].into_iter().chain(&others) {
            let wish = (name.as_str(), DO_NOT_QUEUE);
            let asked =
                connection.call_method(Some(BUS), BUS_OBJECT, Some(BUS), "RequestName", &wish);
            let answered = asked.await.and_then(|answer| answer.body().deserialize());
            match answered {
                Ok(code) if OWNER.contains(&code) => return Ok(name.clone()),
                Ok(_) => {}
                Err(zbus::Error::FDO(error)) => {
                    let why = error.description().unwrap_or_default().to_owned();
                    let name = name.clone();
                    return Err(Trouble::Forbidden { name, why });
                }
                Err(error) => {
                    let why = error.to_string();
                    return Err(Trouble::Unreachable { why });
                }
            }
        }
        Err(Trouble::Taken { name: first })
    }
}

impl Seated<'_> {
    async fn run(mut self, mut calls: MessageStream) -> Result<Infallible, Trouble> {
        loop {
            let now = self.look();
            self.tell(now.tick).await?;
            let settles = self.view.settles_at().filter(|at| *at > now.tick);
            tokio::select! {
                message = calls.next() => match message {
                    Some(Ok(message)) => self.hear(message).await?,
                    Some(Err(_)) | None => return Err(Trouble::Lost),
                },
                outcome = done(&mut self.doing) => self.answer_order(outcome).await?,
                () = changed(&mut self.seat.bus) => {}
                () = until(settles) => {}
            }
            self.begin();
        }
    }

    /// Takes over what is so now. What was just ordered is in it.
    fn look(&mut self) -> Now {
        let house: Arc<House> = self.seat.bus.now();
        let now = now();
        if let Some(speaker) = house.speaker(&self.seat.id) {
            self.view.follow(speaker, now);
        }
        now
    }

    async fn hear(&mut self, message: Message) -> Result<(), Trouble> {
        if message.message_type() != Type::MethodCall {
            return self.heard_of_name(&message);
        }
        let now = self.look();
        let heard = heard(&message, &self.view, now.tick);
        match heard {
            Ok(Heard::Request(level @ Request::Volume(_))) if self.waits_with_level() => {
                // A slider that is drawn: the newest place counts, and the one before has passed.
                let passed = self.waiting.pop_back();
                self.waiting.push_back((message, level));
                match passed {
                    Some((call, _)) => {
                        speech::answer(self.connection, &call, &Answer::Nothing).await
                    }
                    None => Ok(()),
                }
            }
            Ok(Heard::Request(_)) if self.waiting.len() >= WAITING => {
                speech::refuse(self.connection, &message, &Fault::too_much()).await
            }
            Ok(Heard::Request(request)) => {
                self.waiting.push_back((message, request));
                Ok(())
            }
            Ok(Heard::Answer(answer)) => speech::answer(self.connection, &message, &answer).await,
            Err(fault) => speech::refuse(self.connection, &message, &fault).await,
        }
    }

    /// Whether the last order that waits is one of a slider.
    fn waits_with_level(&self) -> bool {
        let last = self.waiting.back();
        last.is_some_and(|(_, request)| matches!(request, Request::Volume(_)))
    }

    /// Whoever takes the name away takes the seat.
    fn heard_of_name(&self, message: &Message) -> Result<(), Trouble> {
        let header = message.header();
        let is_loss = header.sender().is_some_and(|sender| sender.as_str() == BUS)
            && header
                .member()
                .is_some_and(|member| member.as_str() == "NameLost");
        match is_loss && message.body().deserialize::<String>().as_ref() == Ok(&self.name) {
            true => Err(Trouble::Lost),
            false => Ok(()),
        }
    }

    /// Carries the next order out, if none is under way.
    fn begin(&mut self) {
        if self.doing.is_some() {
            return;
        }
        let Some((message, request)) = self.waiting.pop_front() else {
            return;
        };
        let now = self.look();
        let orders = request::orders(&request, &self.view, now.tick);
        let (bus, speaker) = (self.seat.bus.clone(), self.seat.id.to_string());
        let doing = async move {
            for wish in orders? {
                let speaker = speaker.clone();
                bus.order(Order::Transport { speaker, wish }).await?;
            }
            Ok(())
        };
        self.doing = Some((message, Box::pin(doing)));
    }

    async fn answer_order(&mut self, outcome: Result<(), Fault>) -> Result<(), Trouble> {
        let Some((message, _)) = self.doing.take() else {
            return Ok(());
        };
        let now = self.look();
        self.tell(now.tick).await?;
        match outcome {
            Ok(()) => speech::answer(self.connection, &message, &Answer::Nothing).await,
            Err(fault) => speech::refuse(self.connection, &message, &fault).await,
        }
    }

    /// Tells everybody what is different.
    async fn tell(&mut self, now: Instant) -> Result<(), Trouble> {
        for signal in self.told.news(&self.view, now) {
            speech::emit(self.connection, &signal).await?;
        }
        Ok(())
    }
}

fn now() -> Now {
    Now {
        tick: Instant::now(),
        unix_ms: unix_ms(),
    }
}

/// `chance` is 0.0 to 1.0: speakers that lost the bus together do not all come back at once.
fn pause(tries: u32, chance: f64) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(tries));
    pause.min(LONGEST_PAUSE).mul_f64(0.75 + chance / 2.0)
}

async fn done(doing: &mut Option<(Message, Doing)>) -> Result<(), Fault> {
    match doing {
        Some((_, doing)) => doing.await,
        None => std::future::pending().await,
    }
}

/// The daemon that stops stops us, too.
async fn changed(bus: &mut Bus) {
    if bus.changed().await.is_none() {
        std::future::pending().await
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bus_is_looked_for_less_and_less_often_and_not_by_all_at_once() {
        assert_eq!(pause(0, 0.5), FIRST_PAUSE);
        assert!(pause(3, 0.0) > pause(2, 0.9));
        assert_eq!(pause(u32::MAX, 0.5), LONGEST_PAUSE);
        assert!(pause(1, 0.0) < pause(1, 1.0));
    }
}
