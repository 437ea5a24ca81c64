//! What a receiver costs, as the kernel counts it: of all its processes together.

use std::{fs, path::Path, process::Command, time::Duration};

use nix::{time::clock_getcpuclockid, unistd::Pid};

use super::Result;

/// Proportional share of memory, in MB (10^6 bytes).
pub fn memory_mb(pids: &[u32]) -> Result<f64> {
    let mut kilobytes = 0;
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        kilobytes += field(&rollup, "Pss:").ok_or("smaps_rollup has no Pss")?;
    }
    Ok(kilobytes as f64 * 1024.0 / 1e6)
}

/// Memory that is backed by no file, in MB (10^6 bytes): what a process can leak. What it shares
/// with other processes of the same binary does not come in.
pub fn anonymous_mb(pids: &[u32]) -> Result<f64> {
    let mut kilobytes = 0;
    for pid in pids {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        kilobytes += field(&rollup, "Anonymous:").ok_or("smaps_rollup has no Anonymous")?;
        kilobytes += field(&rollup, "Swap:").unwrap_or(0);
    }
    Ok(kilobytes as f64 * 1024.0 / 1e6)
}

/// Processor time used so far, user and system, threads that have ended included.
pub fn processor_time(pids: &[u32]) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for pid in pids {
        let clock = clock_getcpuclockid(Pid::from_raw(pid.cast_signed()))?;
        sum += Duration::from(clock.now()?);
    }
    Ok(sum)
}

/// How often its threads have gone to sleep by themselves, and so were woken up again.
pub fn wake_ups(pids: &[u32]) -> Result<u64> {
    let mut sum = 0;
    for pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end while we look.
            let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            sum += field(&status, "voluntary_ctxt_switches:").unwrap_or(0);
        }
    }
    Ok(sum)
}

/// Size of a binary without symbols, in MB; as it is where there is no `strip`.
pub fn size_mb(binary: &Path, folder: &Path) -> Result<f64> {
    let copy = folder.join("stripped");
    let stripped = Command::new("strip")
        .arg("-o")
        .arg(&copy)
        .arg(binary)
        .status()
        .is_ok_and(|status| status.success());
    let size = fs::metadata(if stripped { &copy } else { binary })?.len();
    Ok(size as f64 / 1e6)
}

/// The machine in one line.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = info
        .lines()
        .filter(|line| line.starts_with("processor"))
        .count();
    let named = |key: &str| {
        let line = info.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = named("model name")
        .or_else(|| named("Model"))
        .unwrap_or_else(|| "unknown processor".to_owned());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores, {model}, {}, Linux {}",
        std::env::consts::ARCH,
        kernel.trim()
    )
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_lives_has_memory_time_and_wake_ups() {
        let pids = [std::process::id()];
        assert!(memory_mb(&pids).unwrap() > 0.1);
        assert!(anonymous_mb(&pids).unwrap() > 0.1);
        assert!(processor_time(&pids).unwrap() > Duration::ZERO);
        wake_ups(&pids).unwrap();
        assert!(machine().contains("cores"));
    }
}
