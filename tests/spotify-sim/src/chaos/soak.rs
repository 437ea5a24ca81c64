//! A random fault every half minute, for as long as it is asked for.

use std::time::{Duration, Instant};

use rand::Rng;

use super::{
    Options,
    holds::{A_HANDFUL, Holds},
    list::{FAULTS, Fault, Rig, Strike},
    wanted,
    watch::{Mood, Scene},
};
use crate::{
    bench::{Result, stage::Stage},
    receiver::Binary,
};

const EVERY: Duration = Duration::from_secs(30);

pub async fn run(
    stage: &Stage,
    binary: &Binary,
    length: Duration,
    options: &Options,
) -> Result<()> {
    let fits = |fault: &&Fault| {
        let stays = !matches!(fault.strike, Strike::Daemon | Strike::Load(..))
            && !fault.strike.needs_symbols();
        // The next fault waits for half a minute only, and all share one receiver.
        let short = !fault.slow && fault.rig == Rig::Plain;
        stays && short && wanted(fault, options) && fault.moods.contains(&Mood::Playing)
    };
    let faults: Vec<_> = FAULTS.iter().filter(fits).collect();
    let mut scene = Scene::set(stage, binary, Rig::Plain).await?;
    // What the first of them leaves is what playing takes; whatever grows after it is lost.
    let mut before: Option<Holds> = None;
    let begun = Instant::now();
    let mut round = 0;
    while begun.elapsed() < length {
        let fault = faults[rand::rng().random_range(0..faults.len())];
        let next = Instant::now() + EVERY;
        match scene.suffer(fault, Mood::Playing, round).await {
            Ok(cost) => println!(
                "{:>5} s  {:<45} back after {} ms, silent for {} ms; holds {}",
                begun.elapsed().as_secs(),
                fault.name,
                cost.recovery.as_millis(),
                cost.silence.as_millis(),
                scene.holds()?
            ),
            Err(why) => return Err(format!("after “{}”: {why}", fault.name).into()),
        }
        if before.is_none() {
            before = Some(scene.holds_at_rest().await?);
        }
        round += 1;
        tokio::time::sleep(next.saturating_duration_since(Instant::now())).await;
    }
    let Some(before) = before else {
        return Ok(());
    };
    let now = scene.holds_at_rest().await?;
    println!("at rest after the first: {before}; after {round}: {now}");
    match before.leaked(now, A_HANDFUL) {
        None => Ok(()),
        Some(leak) => Err(format!("after {round} faults: {leak}").into()),
    }
}
