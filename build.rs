//! How the release binary is laid out: functions in the order of their use, relocations packed.
//!
//! The kernel maps 64 kB around every page of code that is touched. Functions that are used lie
//! together, so that the rest is never read into memory. It changes nothing but the place of things:
//! a linker that does not know an option does without it.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Names of functions as the compiler mangles them; made by `make order`. Names that are gone are
/// passed over.
const ORDER: &str = "contrib/link/functions.txt";
/// Left in the build's own folder when the linker goes by that list; a test looks for it.
const ORDERED: &str = "functions-are-ordered";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    let released = env::var_os("PROFILE").is_some_and(|profile| profile == "release");
    let Some(root) = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) else {
        return;
    };
    if !released {
        return;
    }
    let order = root.join(ORDER);
    let ordering = [
        "-Wl,--no-warn-symbol-ordering".to_owned(),
        format!("-Wl,--symbol-ordering-file={}", order.display()),
    ];
    let packing = ["-Wl,-z,pack-relative-relocs".to_owned()];
    // What is read together begins where reading begins.
    let placing = ["-Wl,-z,max-page-size=65536".to_owned()];
    let marker = env::var_os("OUT_DIR").map(|folder| Path::new(&folder).join(ORDERED));
    if let Some(marker) = &marker {
        let _ = fs::remove_file(marker);
    }
    for arguments in [&ordering[..], &packing[..], &placing[..]] {
        if links_with(arguments) {
            if let Some(marker) = marker.as_ref().filter(|_| arguments == ordering) {
                // Without it a test is passed over, no more.
                let _ = fs::write(marker, "");
            }
            for argument in arguments {
                println!("cargo::rustc-link-arg-bin=siskin={argument}");
            }
        }
    }
}

/// Whether this machine's compiler and linker make a program with these arguments.
fn links_with(arguments: &[String]) -> bool {
    let Some(folder) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return false;
    };
    let source = folder.join("empty.rs");
    if fs::write(&source, "fn main() {}").is_err() {
        return false;
    }
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc"));
    let mut command = Command::new(rustc);
    command.arg(&source).arg("-o").arg(folder.join("empty"));
    target(&mut command);
    for argument in arguments {
        command.arg("-C").arg(format!("link-arg={argument}"));
    }
    let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success()) && Path::new(&folder.join("empty")).exists()
}

/// The target and linker that cargo will use.
fn target(command: &mut Command) {
    if let Some(target) = env::var_os("TARGET") {
        command.arg("--target").arg(target);
    }
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        let mut argument = OsString::from("linker=");
        argument.push(linker);
        command.arg("-C").arg(argument);
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    command.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
}
