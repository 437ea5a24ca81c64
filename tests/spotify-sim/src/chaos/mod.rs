//! Breaks what siskin stands on, one thing at a time, and measures how long it takes until all is as
//! it was: in the app's list, signed in, and the same music playing, paused or silent.
//!
//! [`list`] names the faults, [`strike`] does them, [`watch`] says what "as it was" means, [`table`]
//! writes it down. Like the benchmark, it fails only when nothing can be measured; what did not come
//! back stands in the table.

mod list;
mod soak;
mod strike;
mod surroundings;
mod table;
mod watch;

use std::{path::PathBuf, time::Duration};

use self::{
    list::{FAULTS, Fault},
    table::Table,
    watch::{Cost, Mood, Scene},
};
use crate::{
    SimOptions,
    bench::{Result, stage::on_stage},
    receiver::{Binary, Kind},
};

/// What to break, and where to write what became of it.
#[derive(Clone, Debug)]
pub struct Options {
    pub siskin: PathBuf,
    pub peer: Option<PathBuf>,
    /// How often each fault.
    pub rounds: usize,
    /// Only faults whose name contains this.
    pub only: Option<String>,
    /// A random fault every 30 s for so long, instead of the table.
    pub soak: Option<Duration>,
    /// Where the table goes, besides the terminal.
    pub write: Option<PathBuf>,
}

/// Runs the faults, or the soak.
///
/// # Errors
/// When nothing can be measured; after a soak, also when the speaker is not what it was.
pub fn run(options: &Options) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("siskin-chaos-").tempdir()?;
    let ours = Binary::prepare(Kind::Siskin, &options.siskin, folder.path())?;
    if let Some(length) = options.soak {
        return on_stage(healthy(), async move |stage| {
            soak::run(stage, &ours, length).await
        });
    }
    let mut binaries = vec![ours];
    if let Some(peer) = &options.peer {
        binaries.push(Binary::prepare(Kind::Peer, peer, folder.path())?);
    }
    let wanted = |fault: &&Fault| {
        let only = options.only.as_deref();
        only.is_none_or(|part| fault.name.contains(part))
    };
    let mut table = Table::default();
    for fault in FAULTS.iter().filter(wanted) {
        for binary in &binaries {
            if binary.kind == Kind::Peer && !fault.for_peer {
                continue;
            }
            for mood in fault.moods {
                measure(&mut table, fault, *mood, binary, options.rounds);
                // What was measured is kept, whatever comes later.
                if let Some(file) = &options.write {
                    std::fs::write(file, table.page(options))?;
                }
            }
        }
    }
    println!("{}", table.page(options));
    Ok(())
}

/// One fault in one mood, all its rounds on the same receiver.
fn measure(table: &mut Table, fault: &'static Fault, mood: Mood, binary: &Binary, rounds: usize) {
    let rounds = if fault.slow { rounds.min(2) } else { rounds };
    eprintln!("{}, {}: {}", binary.kind.name(), mood.name(), fault.name);
    let own = binary.clone();
    let done = on_stage(healthy(), async move |stage| {
        let mut scene = Scene::set(stage, &own, fault.rig).await?;
        let mut costs = Vec::new();
        let mut trouble = None;
        // The first round is what playing takes; whatever grows after it is lost.
        let mut before = None;
        for round in 0..rounds {
            match scene.suffer(fault, mood, round).await {
                Ok(cost) => {
                    costs.push(cost);
                    if before.is_none() {
                        before = Some(scene.holds()?);
                    }
                }
                Err(why) => {
                    eprintln!("  {}", scene.guest.explain(&why.to_string()));
                    trouble = Some(why.to_string());
                    break;
                }
            }
        }
        let leak = match before {
            Some(before) if trouble.is_none() && rounds > 1 => scene.leaked(before).await,
            _ => None,
        };
        if let Some(folder) = std::env::var_os("SPOTIFY_SIM_LOGS") {
            let name = format!("{}, {}", fault.name, mood.name());
            std::fs::write(PathBuf::from(folder).join(name), scene.guest.receiver.log())?;
        }
        Ok((costs, trouble, leak))
    });
    let (costs, trouble, leak): (Vec<Cost>, _, _) =
        done.unwrap_or_else(|why| (Vec::new(), Some(why.to_string()), None));
    for cost in &costs {
        let (back, silent) = (cost.recovery.as_millis(), cost.silence.as_millis());
        eprintln!("  back after {back} ms, silent for {silent} ms");
    }
    for why in trouble.iter().chain(&leak) {
        eprintln!("  {}", why.lines().next().unwrap_or_default());
    }
    table.add(fault, mood, binary.kind, costs, trouble, leak);
}

/// A fast line, and an app that forgets soon who left without a word.
fn healthy() -> SimOptions {
    SimOptions {
        grace: Duration::from_millis(100),
        ..SimOptions::default()
    }
}
