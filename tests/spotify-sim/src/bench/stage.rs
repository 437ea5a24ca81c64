//! Where measuring happens: a network of its own with a simulated Spotify, a phone, and the steps
//! that every measurement begins with.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    thread,
    time::{Duration, Instant},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::{
    Result,
    ear::{Awaited, Ear, Spent},
};
use crate::{
    Controller, PlayOptions, Sim, SimOptions,
    catalogue::Album,
    faults::Place,
    phone::{Found, Info, Login, Phone, Watch},
    receiver::{Binary, Launch, Receiver, Sound},
    rigs::Namespace,
};

/// For every single step.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Who is handed over.
pub const USER: &str = "kim";
/// The simulation lets a listener's finger be this slow, so that a command it is given later goes
/// out at once.
const SETTLE: Duration = Duration::from_millis(400);
/// Sound that stops for so long has ended.
const STILL: Duration = Duration::from_millis(300);

pub struct Stage {
    pub sim: Sim,
    pub phone: Phone,
}

/// A receiver on a stage, and its ear.
pub struct Guest {
    pub receiver: Receiver,
    pub ear: Ear,
    pub at: Found,
}

/// From the start of the process.
pub struct Birth {
    pub announced: Duration,
    pub info: Duration,
}

/// From the moment `addUser` was sent.
pub struct Handoff {
    pub answered: Duration,
    pub registered: Duration,
    pub app: Controller,
}

/// Runs `act` in a network namespace of its own; ends when it has ended.
///
/// # Errors
/// What `act` says, or why there is no namespace.
pub fn on_stage<T: Send + 'static>(
    options: SimOptions,
    act: impl AsyncFnOnce(&Stage) -> Result<T> + Send + 'static,
) -> Result<T> {
    // The namespace belongs to the thread; the runtime's threads and all processes inherit it.
    let stage = thread::spawn(move || -> Result<T> {
        let _namespace = Namespace::enter()?;
        mounts_of_our_own()?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()?;
        runtime.block_on(async {
            let stage = Stage {
                sim: Sim::start(options).await?,
                phone: Phone::new("Bench"),
            };
            let done = act(&stage).await;
            stage.sim.stop().await;
            done
        })
    });
    stage.join().map_err(|_| "the measuring thread panicked")?
}

/// What is mounted on the stage is seen by nobody else, and goes with its last process.
fn mounts_of_our_own() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none)?;
    Ok(())
}

impl Stage {
    /// Starts a receiver and measures how it becomes visible.
    pub async fn start(&self, binary: &Binary) -> Result<(Guest, Birth)> {
        self.start_with(binary, None, Vec::new()).await
    }

    /// The same, with a sound of its own instead of the ear's, and more in its environment.
    pub async fn start_with(
        &self,
        binary: &Binary,
        sound: Option<Sound>,
        env: Vec<(String, String)>,
    ) -> Result<(Guest, Birth)> {
        let (mut guest, mut watch) = self.launch(binary, sound, env, String::new()).await?;
        let started = guest.receiver.started;
        let born = tokio::try_join!(
            async {
                announced(&mut watch, &guest.at).await?;
                Result::Ok(started.elapsed())
            },
            async {
                self.answers(&guest.at).await?;
                Result::Ok(started.elapsed())
            }
        );
        match born {
            Ok((announced, info)) => Ok((guest, Birth { announced, info })),
            Err(why) => Err(guest.explain(&why.to_string()).into()),
        }
    }

    /// Starts a receiver that nobody has asked anything yet: siskin takes `getInfo` for a sign that
    /// a phone is about to pick it.
    pub async fn start_unasked(&self, binary: &Binary) -> Result<Guest> {
        self.start_unasked_with(binary, Vec::new(), String::new())
            .await
    }

    /// The same, with more in its environment and its configuration.
    pub async fn start_unasked_with(
        &self,
        binary: &Binary,
        env: Vec<(String, String)>,
        sections: String,
    ) -> Result<Guest> {
        let (mut guest, mut watch) = self.launch(binary, None, env, sections).await?;
        match announced(&mut watch, &guest.at).await {
            Ok(()) => Ok(guest),
            Err(why) => Err(guest.explain(&why.to_string()).into()),
        }
    }

    async fn launch(
        &self,
        binary: &Binary,
        sound: Option<Sound>,
        env: Vec<(String, String)>,
        sections: String,
    ) -> Result<(Guest, Watch)> {
        let ear = self.ear()?;
        let launch = Launch {
            name: "Bench".to_owned(),
            port: free_port()?,
            sound: sound.unwrap_or_else(|| Sound::Pipe(ear.path().to_owned())),
            volume: 100,
            in_this_environment: false,
            env,
            sections,
        };
        let watch = self.phone.watch()?;
        // Its first question is on the wire before there is anybody to answer.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let receiver = Receiver::start(binary, &self.sim, &launch)?;
        let at = SocketAddr::from((Ipv4Addr::LOCALHOST, launch.port));
        let at = Found::at(at, "/");
        Ok((Guest { receiver, ear, at }, watch))
    }

    fn ear(&self) -> Result<Ear> {
        let (record, bytes) = (self.sim.record(), self.sim.audio_meter());
        Ok(Ear::start(move || Spent {
            requests: record.count(Place::Cdn),
            bytes: bytes(),
        })?)
    }

    /// What has been spent so far.
    pub fn spent(&self) -> Spent {
        Spent {
            requests: self.sim.record().count(Place::Cdn),
            bytes: self.sim.audio_sent(),
        }
    }

    /// Asks until the endpoint is there.
    pub async fn answers(&self, at: &Found) -> Result<Info> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.phone.get_info(at).await {
                Ok(info) => return Ok(info),
                Err(why) if Instant::now() > until => return Err(why.into()),
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }

    /// Hands an account over and measures how it becomes usable.
    pub async fn hand_over(&self, guest: &Guest) -> Result<Handoff> {
        let info = self.phone.get_info(&guest.at).await?;
        let user = self.sim.users().get(USER).ok_or("no such user")?;
        let login = Login::stored(&user.stored_credential());
        let app = self.sim.controller(USER);
        let sent = Instant::now();
        let (answered, (registered, device)) = tokio::try_join!(
            async {
                let answer = self.phone.add_user(&guest.at, &info, USER, &login).await?;
                match answer.status() {
                    Some(101) => Result::Ok(answer.latency),
                    other => Err(format!("addUser was answered {other:?}").into()),
                }
            },
            async {
                let device = app.wait_for_device(&guest.receiver.name, PATIENCE).await?;
                Result::Ok((sent.elapsed(), device.id))
            }
        )?;
        Ok(Handoff {
            answered,
            registered,
            app: app.on(&device),
        })
    }

    /// Ends a receiver, and waits until the app has forgotten it.
    pub async fn leave(&self, guest: Guest) -> Result<()> {
        let app = self.sim.controller(USER);
        let name = guest.receiver.name.clone();
        guest.receiver.stop().await;
        Ok(app.wait_until_gone(&name, PATIENCE).await?)
    }

    pub fn road(&self) -> &Album {
        self.sim.catalogue().titled("Long")
    }

    /// Its pitch climbs: a place far on sounds higher than one at the beginning.
    pub fn staircase(&self) -> &Album {
        self.sim.catalogue().titled("Staircase")
    }

    /// A low tone and a high one.
    pub fn two_tones(&self) -> Result<Vec<String>> {
        let of = |album: &str| self.sim.catalogue().titled(album).tracks.clone();
        let (low, high) = (of("Tones"), of("Dozen"));
        let both = low.first().into_iter().chain(high.last());
        Ok(both.map(|track| track.uri()).collect())
    }
}

impl Guest {
    /// Plays the first thing ever; from the command on the wire to the first sample at the far
    /// end, and what that cost.
    pub async fn play(&self, app: &Controller, uri: &str) -> Result<(Duration, Spent)> {
        tokio::time::sleep(SETTLE).await;
        let reply = app.play(uri, PlayOptions::default()).await?;
        let sent = Instant::now().checked_sub(reply.latency);
        let sent = sent.ok_or("the clock began just now")?;
        let (began, spent) = self.until("made a sound", || self.ear.began()).await?;
        Ok((began.saturating_duration_since(sent), spent))
    }

    /// From a command to what it leads to; what had been spent by then.
    pub async fn leads_to<R, E>(
        &self,
        what: Awaited,
        command: impl Future<Output = std::result::Result<R, E>>,
    ) -> Result<(Duration, Spent)>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        tokio::time::sleep(SETTLE).await;
        self.ear.listen_for(what);
        let sent = Instant::now();
        command.await?;
        let (came, spent) = self.until("went there", || self.ear.came()).await?;
        Ok((came.saturating_duration_since(sent), spent))
    }

    async fn until<T>(&self, what: &str, seen: impl Fn() -> Option<T>) -> Result<T> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if let Some(seen) = seen() {
                return Ok(seen);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Err(format!("{} never {what}", self.receiver.kind.name()).into())
    }

    /// From the command to the last sound.
    pub async fn pause(&self, app: &Controller) -> Result<Duration> {
        self.falls_silent(app.pause()).await
    }

    /// From a command to the last sound.
    pub async fn falls_silent<R, E: Into<Box<dyn std::error::Error + Send + Sync>>>(
        &self,
        command: impl Future<Output = std::result::Result<R, E>>,
    ) -> Result<Duration> {
        let sent = Instant::now();
        command.await.map_err(Into::into)?;
        let last = self.ear.silence(STILL, PATIENCE).await;
        let last = last.ok_or("the music did not stop")?;
        Ok(last.saturating_duration_since(sent))
    }

    /// Why something did not happen, with the end of its log.
    pub fn explain(&mut self, why: &str) -> String {
        let ended = self.receiver.ended();
        let ended = ended.map_or_else(String::new, |status| format!(" (it ended: {status})"));
        let log = self.receiver.log();
        let lines: Vec<_> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(15)..].join("\n");
        let name = self.receiver.kind.name();
        format!("{name}: {why}{ended}\nits log:\n{last}")
    }
}

/// A port that was free a moment ago. The network is our own, so it still is.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    Ok(listener.local_addr()?.port())
}

async fn announced(watch: &mut Watch, at: &Found) -> Result<()> {
    watch.until(|found| found.port == at.port, PATIENCE).await?;
    Ok(())
}
