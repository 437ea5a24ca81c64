//! A tune through siskin for somebody without an account or a phone: everything is real except
//! Spotify and the phone.
//!
//! Owns what it starts, in folders of its own: nothing of the user's is read or written but the
//! sound card, or `demo.wav` in the current folder.

mod show;

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use self::show::{Bar, step};
use crate::{
    AppState, Controller, PlayOptions, Sim, SimOptions,
    bench::Result,
    listen,
    phone::{Found, Login, Phone},
    receiver::{Binary, Kind, Launch, Receiver, Sound},
};

/// For each step; siskin needs a fraction of a second.
const PATIENCE: Duration = Duration::from_secs(15);
/// mDNS may be impossible on loopback, which is no reason to give up.
const LOOK: Duration = Duration::from_secs(3);
/// How often the position is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Music that does not play for so long does not play: siskin opens a lost card every two seconds.
const STUCK: Duration = Duration::from_secs(5);
/// The tune takes eight seconds.
const LIMIT: Duration = Duration::from_secs(30);
const NAME: &str = "siskin demo";
const USER: &str = "kim";

#[derive(Clone, Debug)]
pub struct Options {
    /// The release binary.
    pub siskin: PathBuf,
    /// Not the card, whatever there is.
    pub wav: bool,
}

/// How playing went.
enum Played {
    ToTheEnd,
    /// The card does not play, in siskin's words.
    NoSound(String),
}

/// Plays the tune and shows every step.
///
/// # Errors
/// When a step failed, naming it.
#[tokio::main]
pub async fn run(options: &Options) -> Result<()> {
    tokio::select! {
        done = all(options) => done,
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
    }
}

async fn all(options: &Options) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("siskin-demo-").tempdir()?;
    let binary = Binary::prepare(Kind::Siskin, &options.siskin, folder.path())
        .map_err(|why| format!("{why}\n  help: `make build` makes the release binary"))?;
    let sim = Sim::start(SimOptions::default()).await?;
    step("simulated Spotify", &format!("on 127.0.0.1:{}", sim.port()));

    let wav = std::env::current_dir()?.join("demo.wav");
    if !options.wav && has_card(&binary.path).await {
        match play(&binary, &sim, Sound::Card).await? {
            Played::ToTheEnd => {
                step("done", "that was the release binary, on your sound card");
                return Ok(());
            }
            Played::NoSound(why) => {
                step("no sound card", &format!("{why}; once more, into a file"))
            }
        }
    } else {
        step("no sound card", "playing into a file");
    }
    match play(&binary, &sim, Sound::Wav(wav.clone())).await? {
        Played::ToTheEnd => judge(&sim, &wav),
        Played::NoSound(why) => Err(why.into()),
    }
}

/// Whether siskin lists a card. Some of what ALSA lists does not play, which trying tells.
async fn has_card(siskin: &Path) -> bool {
    let listed = tokio::process::Command::new(siskin)
        .arg("devices")
        .kill_on_drop(true)
        .output();
    let listed = tokio::time::timeout(PATIENCE, listed).await;
    listed.is_ok_and(|output| {
        output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("device = "))
    })
}

async fn play(binary: &Binary, sim: &Sim, sound: Sound) -> Result<Played> {
    let is_card = matches!(sound, Sound::Card);
    let launch = Launch {
        name: NAME.to_owned(),
        port: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
            .local_addr()?
            .port(),
        sound,
        // Into ears, a little less than all; into a file, the very samples.
        volume: if is_card { 80 } else { 100 },
        in_this_environment: true,
        env: Vec::new(),
        sections: String::new(),
    };
    let mut siskin = Receiver::start(binary, sim, &launch)?;
    let done = scene(&siskin, sim, launch.port).await;
    let log = siskin.log();
    let ended = siskin.ended();
    let stopped = siskin.stop().await;
    match (done, ended) {
        (Err(why), Some(status)) => Err(format!("{why}\nsiskin ended: {status}\n{log}").into()),
        (Err(why), None) => Err(format!("{why}\nsiskin said:\n{log}").into()),
        (Ok(_), _) if !stopped => Err("siskin did not end well when told to stop".into()),
        (Ok(played), _) => Ok(played),
    }
}

/// What the phone does, from the first look to the last note.
async fn scene(siskin: &Receiver, sim: &Sim, port: u16) -> Result<Played> {
    let phone = Phone::new("Demo phone");
    let found = phone.wait_for(
        |found| found.port == port && found.instance.contains(NAME),
        LOOK,
    );
    let found = match found.await {
        Ok(found) => {
            let address = found.address()?;
            let took = siskin.started.elapsed().as_millis();
            step(
                "found",
                &format!("“{NAME}” at {address}, by mDNS, {took} ms after its start"),
            );
            found
        }
        Err(_) => {
            let at = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            step(
                "found",
                &format!("{at}, asked directly: no mDNS on this loopback"),
            );
            Found::at(at, "/")
        }
    };
    let info = phone.get_info(&found).await?;
    step(
        "asked",
        &format!("it is “{}”, device {}", info.remote_name, info.device_id),
    );

    let user = sim.users().get(USER).ok_or("no such user")?;
    let login = Login::stored(&user.stored_credential());
    let answer = phone.add_user(&found, &info, USER, &login).await?;
    if answer.status() != Some(101) {
        return Err(format!("the handoff was answered {}", answer.json).into());
    }
    let took = answer.latency.as_millis();
    step(
        "handed off",
        &format!("the account of {USER}, answered {took} ms later"),
    );
    let app = sim.controller(USER);
    let device = app.wait_for_device(NAME, PATIENCE).await?;
    step("signed in", &format!("the app lists “{}”", device.name));

    let tune = sim.catalogue().titled("Tune");
    let app = app.on(&device.id);
    // The simulation lets a finger be slow; so is the person who watches.
    tokio::time::sleep(Duration::from_millis(400)).await;
    if !app.play(&tune.uri(), PlayOptions::default()).await?.success {
        return Err("siskin refused to play".into());
    }
    watch(siskin, &app).await
}

/// Shows the position until the tune is over.
async fn watch(siskin: &Receiver, app: &Controller) -> Result<Played> {
    let (begun, mut played) = (Instant::now(), Instant::now());
    let mut bar = Bar::default();
    let mut last = None::<AppState>;
    while begun.elapsed() < LIMIT {
        tokio::time::sleep(TICK).await;
        let state = app.state();
        if state.playing {
            bar.show(&state);
            (played, last) = (Instant::now(), Some(state));
        } else if let Some(last) = &last {
            let is_over = last.position_ms + 1_000 > last.duration_ms;
            if !state.loading && is_over {
                bar.end(last.duration_ms);
                return Ok(Played::ToTheEnd);
            }
        }
        // A card that stumbles is opened anew and goes on by itself.
        if played.elapsed() > STUCK {
            break;
        }
    }
    bar.leave();
    match trouble(&siskin.log()) {
        Some(why) => Ok(Played::NoSound(why)),
        None => Err(format!("the music did not play to its end: {:#?}", app.state()).into()),
    }
}

/// What the log says about an output that does not work.
fn trouble(log: &str) -> Option<String> {
    let line = log.lines().find(|line| line.contains("output_lost"))?;
    let said = line.split_once(" WARN ").map_or(line, |(_, said)| said);
    // What and why; the cure is for the owner of the card, and siskin goes on without it here.
    let said = said.split_once("): ").map_or(said, |(said, _)| said);
    Some(said.trim().replacen(" (", ": ", 1))
}

/// Listens to the file: is it the tune, and all of it?
fn judge(sim: &Sim, wav: &Path) -> Result<()> {
    let (heard, rate) = listen::read_wav(wav)?;
    let tune = &sim.catalogue().titled("Tune").tracks[0];
    let source = tune.samples();
    let found = listen::align(&heard, &source)?;
    let seconds = heard.len() as f64 / f64::from(rate);
    if heard.len() < source.len() {
        return Err(format!("{} holds only {seconds:.1} s", wav.display()).into());
    }
    tracing::debug!("the tune in the file: {found:?}");
    step(
        "listened",
        "the file holds the tune, from the first note to the last",
    );
    step("done", &format!("{} ({seconds:.1} s)", wav.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_with_the_card_is_told_in_its_own_words_and_nothing_else_is() {
        let log = "2026 INFO  started\n2026 WARN  [x] librespot: no context\n";
        assert_eq!(trouble(log), None);
        let log =
            format!("{log}2026 WARN  the card is busy (held by x): stop x condition=output_lost\n");
        assert_eq!(
            trouble(&log).as_deref(),
            Some("the card is busy: held by x")
        );
    }
}
