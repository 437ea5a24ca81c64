//! The doctor, asked for by a surface: a process of its own, one at a time, within a limit.
//!
//! It looks at the machine as `siskin doctor` does, but does not ask the daemon, which may have no
//! socket: what it needs to know is handed to it ([`Case`]). What it uses (TLS, ALSA, memory) is no
//! burden for the daemon, and what hangs is killed with it. Music is left alone, see `cli/doctor`.

use std::{process::Stdio, sync::Arc, time::Duration};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    bus::{Answer, Reason, Unable},
    config,
    engine::own_program,
    model::{Examination, House},
};

/// Names, connections and cards that hang each have limits below that.
const LIMIT: Duration = Duration::from_secs(40);
/// Whoever asks again within this gets what was found: nobody needs more, and nobody is to keep the
/// machine busy by asking.
const FRESH: Duration = Duration::from_secs(5);
/// No honest report is longer, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// What the doctor is told of the house that it looks at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    pub network: config::Network,
    /// As they are now, with what was chosen while the daemon ran.
    pub speakers: Vec<config::Speaker>,
    /// With its folder.
    pub cache: Option<config::Cache>,
    pub house: House,
    /// Whether cards that nothing plays on are to be heard for a second.
    pub tone: bool,
}

/// Cheap to clone; all clones are the same doctor.
#[derive(Debug, Clone, Default)]
pub struct Doctor(Arc<Mutex<Option<(Instant, Examination)>>>);

impl Doctor {
    /// Has everything looked at.
    ///
    /// # Errors
    /// When somebody else has that done at the moment, or when it does not come to an end.
    pub async fn look(self, case: Case) -> Result<Answer, Unable> {
        let Ok(mut last) = self.0.try_lock_owned() else {
            let what = "the doctor is looking already";
            let help = "wait for what it finds, then ask again";
            return Err(Unable::new(Reason::Conflict, what, help));
        };
        if let Some((at, known)) = &*last
            && at.elapsed() < FRESH
            && !case.tone
        {
            return Ok(Answer::Examined(known.clone()));
        }
        let found = examine(&case).await?;
        *last = Some((Instant::now(), found.clone()));
        Ok(Answer::Examined(found))
    }
}

async fn examine(case: &Case) -> Result<Examination, Unable> {
    let help = "run siskin doctor on the machine itself";
    let broken = |why: String| {
        let what = format!("the doctor could not look: {why}");
        Unable::new(Reason::Broken, what, help)
    };
    let told = serde_json::to_vec(case).map_err(|error| broken(error.to_string()))?;
    let mut program = own_program();
    let mut child = program
        .args(["doctor", "--json", "--of-daemon"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| broken(error.to_string()))?;
    let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let work = async {
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(broken("it has no standard input or output".to_owned()));
        };
        // It reads everything before it says anything.
        let written = stdin.write_all(&told).await;
        drop(stdin);
        let mut said = Vec::new();
        let read = stdout.take(LONGEST).read_to_end(&mut said).await;
        written
            .and(read)
            .map_err(|error| broken(error.to_string()))?;
        serde_json::from_slice(&said).map_err(|_| broken("what it says makes no sense".to_owned()))
    };
    let found = timeout(LIMIT, work).await;
    if let (Err(_), Some(group)) = (&found, group) {
        // With the tools that it has started.
        let _ = kill_process_group(group, Signal::KILL);
    }
    found.unwrap_or_else(|_| {
        let what = format!("the doctor was not done within {} s", LIMIT.as_secs());
        Err(Unable::new(Reason::TimedOut, what, help))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case() -> Case {
        let around = config::Surroundings {
            variables: Vec::new(),
            host: "kitchen".into(),
            etc: "/nonexistent".into(),
        };
        let loaded = config::load(&config::Request::default(), &around).expect("defaults");
        Case {
            network: loaded.config.network,
            speakers: loaded.config.speakers,
            cache: None,
            house: House::default(),
            tone: false,
        }
    }

    #[test]
    fn a_case_survives_the_way_to_the_doctor() {
        let case = case();
        let text = serde_json::to_vec(&case).expect("plain values");
        assert_eq!(serde_json::from_slice::<Case>(&text).expect("ours"), case);
    }

    #[tokio::test]
    async fn one_looks_at_a_time_and_what_was_just_found_is_told_again() {
        let doctor = Doctor::default();
        let busy = doctor.0.clone().try_lock_owned().expect("idle");
        let refused = doctor.clone().look(case()).await.expect_err("busy");
        assert_eq!(refused.code, Reason::Conflict);
        drop(busy);
        let found = Examination {
            healthy: true,
            facts: vec!["it runs".into()],
            ..Examination::default()
        };
        *doctor.0.lock().await = Some((Instant::now(), found.clone()));
        assert_eq!(doctor.look(case()).await, Ok(Answer::Examined(found)));
    }
}
