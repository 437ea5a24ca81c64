//! Faults within a process that runs: what no signal and no service can do. A debugger does them, so
//! that the binary is the one that is shipped, without a lever in it.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use tokio::{process::Command, time::sleep};

use crate::bench::Result;

/// For the debugger to come, act and go.
const LIMIT: Duration = Duration::from_secs(30);
/// What is called: any of core's own panics that takes nothing but the place it happened at.
const PANIC: &str = "core::panicking::panic_const::panic_const_div_by_zero";

/// The process calls `exit(1)`, on its main thread, wherever that is. Returns when it had ended and
/// its parent could know.
pub async fn exit(pid: u32) -> Result<Instant> {
    let mut gdb = debugger(pid, &["call ((void(*)(int))exit)(1)".to_owned()]);
    let mut gdb = gdb.spawn().map_err(missing)?;
    let until = Instant::now() + LIMIT;
    while !is_let_go(pid) {
        if Instant::now() > until {
            return Err("gdb did not make it exit".into());
        }
        sleep(Duration::from_millis(1)).await;
    }
    let ended = Instant::now();
    gdb.wait().await?;
    Ok(ended)
}

/// A process that has ended has no file any more. Its parent hears of that when the debugger has.
fn is_let_go(pid: u32) -> bool {
    let ended = fs::read_link(format!("/proc/{pid}/exe")).is_err();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    ended && (status.is_empty() || status.contains("TracerPid:\t0\n"))
}

/// The first thread that calls `function` panics instead, at that very call: the stack is unwound
/// from there as after any other panic.
pub async fn panic(pid: u32, binary: &Path, function: &str) -> Result<()> {
    let base = base(pid)?;
    let function = base + address(binary, function).await?;
    let panic = base + address(binary, PANIC).await?;
    let argument = if cfg!(target_arch = "aarch64") {
        "$x0"
    } else {
        "$rdi"
    };
    let words = [
        format!("break *{function:#x}"),
        "continue".to_owned(),
        // A place (`core::panic::Location`): the name of a file and its length, line, column.
        "set $place = ((long(*)(long))malloc)(64)".to_owned(),
        "set {char[6]}($place + 32) = \"chaos\"".to_owned(),
        "set {long}$place = $place + 32".to_owned(),
        "set {long}($place + 8) = 5".to_owned(),
        "set {int}($place + 16) = 1".to_owned(),
        "set {int}($place + 20) = 1".to_owned(),
        format!("set {argument} = $place"),
        format!("set $pc = {panic:#x}"),
        "delete".to_owned(),
        "detach".to_owned(),
    ];
    let mut gdb = debugger(pid, &words);
    let done = tokio::time::timeout(LIMIT, gdb.output()).await;
    let done = done.map_err(|_| "gdb does not end")?.map_err(missing)?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    if !said.contains("Breakpoint 1,") {
        let why = String::from_utf8_lossy(&done.stderr);
        return Err(format!("gdb: nobody came by: {said}{why}").into());
    }
    // The hook speaks before anything is unwound.
    sleep(Duration::from_millis(20)).await;
    Ok(())
}

fn debugger(pid: u32, words: &[String]) -> Command {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch"]);
    // Where it may leave a core of its own: it does not always survive the end of what it holds.
    gdb.current_dir(std::env::temp_dir());
    // The process stands still while the debugger reads: no more than has to be.
    for little in [
        "set debug-file-directory /none",
        "set auto-solib-add off",
        "set auto-load no",
    ] {
        gdb.args(["-iex", little]);
    }
    gdb.args(["-p", &pid.to_string(), "-ex", "sharedlibrary libc.so"]);
    for quiet in [
        "set pagination off",
        "set confirm off",
        "set language c",
        // Signals are the process's own business.
        "handle all nostop noprint pass",
    ] {
        gdb.args(["-ex", quiet]);
    }
    for word in words {
        gdb.args(["-ex", word]);
    }
    gdb.stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true);
    gdb
}

fn missing(why: std::io::Error) -> String {
    format!("gdb: {why}; see scripts/setup.sh")
}

/// Where the kernel has put the binary of this process.
fn base(pid: u32) -> Result<u64> {
    let exe = fs::read_link(format!("/proc/{pid}/exe"))?;
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let exe = exe.to_string_lossy();
    let line = maps.lines().find(|line| line.ends_with(&*exe));
    let line = line.ok_or("the process has no binary")?;
    let (from, _) = line.split_once('-').ok_or("no address")?;
    Ok(u64::from_str_radix(from, 16)?)
}

/// Where a function is within the binary.
async fn address(binary: &Path, function: &str) -> Result<u64> {
    let listed = Command::new("nm").arg("-C").arg(binary).output().await?;
    let listed = String::from_utf8_lossy(&listed.stdout);
    // Old mangling leaves a hash behind the name.
    let hashed = format!("{function}::h");
    let line = listed.lines().find(|line| {
        let name = line.splitn(3, ' ').nth(2).unwrap_or_default();
        name == function || name.starts_with(&hashed)
    });
    let line = line.ok_or_else(|| {
        format!(
            "{} has no symbol {function}: `cargo build` makes one that has",
            binary.display()
        )
    })?;
    Ok(u64::from_str_radix(
        line.split(' ').next().unwrap_or_default(),
        16,
    )?)
}
