//! What a process uses, as the kernel tells it.

use std::fs;

/// Clock ticks in a second, as the kernel shows them to programs on every machine that siskin is
/// built for.
const TICKS: f64 = 100.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    pub resident_bytes: u64,
    /// Processor time in seconds, of the user and of the kernel together.
    pub cpu_s: f64,
}

/// `None` when there is no such process, or it is not to be looked at.
pub fn usage(pid: u32) -> Option<Usage> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    read(&status, &stat)
}

fn read(status: &str, stat: &str) -> Option<Usage> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kb: u64 = line.split_whitespace().next()?.parse().ok()?;
    // The name comes before, in brackets, and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let (user, kernel) = (ticks()?, ticks()?);
    Some(Usage {
        resident_bytes: kb * 1024,
        cpu_s: (user + kernel) as f64 / TICKS,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_also_of_a_process_with_a_strange_name() {
        let status = "Name:\tx\nVmRSS:\t    1024 kB\nThreads:\t1\n";
        let stat = "7 (a) R 1) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 1 0 5 6 7";
        let expected = Usage {
            resident_bytes: 1 << 20,
            cpu_s: 2.0,
        };
        assert_eq!(read(status, stat), Some(expected));
        assert!(usage(std::process::id()).expect("ours").resident_bytes > 100_000);
        assert_eq!(usage(u32::MAX), None);
    }
}
