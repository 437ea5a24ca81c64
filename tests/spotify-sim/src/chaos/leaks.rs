//! Does one fault to one living speaker many times, and looks what it holds then.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use super::{
    Options, crew, healthy,
    holds::{HARDLY_ANY, Holds},
    list::{FAULTS, Fault, NOTHING, Strike},
    table::{LEAKS_HERE, put},
    wanted,
    watch::{Mood, Scene},
};
use crate::{
    bench::{Result, process::machine, stage::on_stage},
    receiver::Binary,
};

/// Rounds before it is looked at first: what playing and mending take the first few times.
const WARM_UP: usize = 5;
/// What takes longer each time (s) is left to the table.
const CHEAP: u64 = 5;

struct Life {
    fault: &'static Fault,
    held: std::result::Result<(Holds, Holds), String>,
}

/// Runs them, says what each left, and writes it down.
///
/// # Errors
/// When something grew that should not have, or could not be measured.
pub fn run(options: &Options, binary: &Binary, rounds: usize) -> Result<()> {
    let wanted = |fault: &&'static Fault| is_cheap(fault) && wanted(fault, options);
    let faults: Vec<_> = FAULTS.iter().chain([&NOTHING]).filter(wanted).collect();
    let lives = Mutex::new(Vec::new());
    crew::work(faults, options.jobs, |fault| {
        let own = binary.clone();
        let held = on_stage(healthy(), async move |stage| {
            let mut scene = Scene::set(stage, &own, fault.rig).await?;
            for round in 0..WARM_UP {
                scene.suffer(fault, Mood::Playing, round).await?;
            }
            let before = scene.holds_at_rest().await?;
            for round in WARM_UP..WARM_UP + rounds {
                scene.suffer(fault, Mood::Playing, round).await?;
            }
            Ok((before, scene.holds_at_rest().await?))
        });
        let held = held.map_err(|why| why.to_string());
        match &held {
            Ok((before, now)) => eprintln!("{}: {before} -> {now}", fault.name),
            Err(why) => eprintln!("{}: {why}", fault.name),
        }
        let mut lives = lives.lock().unwrap_or_else(PoisonError::into_inner);
        lives.push(Life { fault, held });
    });
    let lives = lives.into_inner().unwrap_or_else(PoisonError::into_inner);
    let text = page(&lives, rounds);
    println!("{text}");
    if let Some(file) = &options.write {
        put(file, LEAKS_HERE, &text)?;
    }
    let judged = |life: &Life| match life.held {
        Ok((before, now)) => before.leaked(now, HARDLY_ANY),
        Err(ref why) => Some(why.clone()),
    };
    let leaks: Vec<_> = lives
        .iter()
        .filter_map(|life| Some(format!("{}: {}", life.fault.name, judged(life)?)))
        .collect();
    match leaks.is_empty() {
        true => Ok(()),
        false => Err(leaks.join("\n").into()),
    }
}

/// Strikes music, and does not need a binary with symbols.
fn is_cheap(fault: &Fault) -> bool {
    let strikes_music = fault.moods.contains(&Mood::Playing);
    let as_shipped = !matches!(fault.strike, Strike::Panic(_));
    strikes_music && as_shipped && fault.strike.takes() <= CHEAP
}

fn page(lives: &[Life], rounds: usize) -> String {
    let mut text = format!(
        "{rounds} rounds of each on one speaker that plays, after {WARM_UP} that do not count; what it \
         holds in a pause before and after them, all its processes together, on {}. Memory is what no \
         file backs.\n\n\
         | fault | files | threads | processes | memory | |\n\
         | --- | ---: | ---: | ---: | ---: | --- |\n",
        machine()
    );
    for fault in FAULTS.iter().chain([&NOTHING]) {
        let name = fault.name;
        let Some(life) = lives.iter().find(|life| life.fault.name == name) else {
            continue;
        };
        let row = match &life.held {
            Ok((before, now)) => format!(
                "{} → {} | {} → {} | {} → {} | {:.1} → {:.1} MB | {}",
                before.files,
                now.files,
                before.threads,
                now.threads,
                before.processes,
                now.processes,
                before.megabytes,
                now.megabytes,
                before.leaked(*now, HARDLY_ANY).unwrap_or_default()
            ),
            Err(why) => format!("– | – | – | – | {}", why.lines().next().unwrap_or_default()),
        };
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| {name} | {row} |");
    }
    text
}
