//! The way to a running daemon: where it is looked for, and how its answer is told.

use std::process::ExitCode;

use super::{
    args::Door,
    client::{Client, ClientError},
    exit, failed, misconfigured, print,
};
use crate::{
    config::{self, Config, Problems, Request, Surroundings},
    daemon::places,
};

/// What went wrong, and what to do about it.
pub type Failure = (String, String);

/// Finds the daemon, has `question` ask it, and prints what comes of it.
pub fn ask(door: &Door, question: impl AsyncFnOnce(Client) -> Result<String, Failure>) -> ExitCode {
    let (config, unread) = match as_far_as_right(door) {
        Ok(settings) => settings,
        Err(problems) => return misconfigured(&problems),
    };
    answer(wait_for(async {
        let found = Client::find(&places::sockets(&config)).await;
        let client = found.map_err(|error| not_found(error, unread && door.socket.is_none()))?;
        question(client).await
    }))
}

/// `unread`: the configuration may say where the daemon is, and could not be understood.
fn not_found(error: ClientError, unread: bool) -> Failure {
    let is_none = matches!(error, ClientError::NoDaemon { .. });
    let (what, help) = told(error);
    if is_none && unread {
        let why =
            "the configuration has mistakes (siskin check), so only the usual places were tried";
        return (
            what,
            format!("{why}; name the place with --socket, or {help}"),
        );
    }
    (what, help)
}

/// The settings that lead to the daemon. A file with mistakes does not keep anybody from asking:
/// the daemon may have better ones in force, and tells what it thinks of the file.
pub fn settings(door: &Door) -> Result<Config, Problems> {
    as_far_as_right(door).map(|(config, _)| config)
}

/// The same, and whether the file or a variable had mistakes.
fn as_far_as_right(door: &Door) -> Result<(Config, bool), Problems> {
    let request = door.request();
    match config::load(&request, &Surroundings::of_this_process()) {
        Ok(loaded) => Ok((loaded.config, false)),
        Err(_) => {
            let flags = Request {
                file: None,
                ..request
            };
            let bare = Surroundings {
                variables: Vec::new(),
                host: String::new(),
                etc: "/nonexistent".into(),
            };
            config::load(&flags, &bare).map(|loaded| (loaded.config, true))
        }
    }
}

/// Runs to its end on this thread.
pub fn wait_for<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(work);
            // What hangs, such as a sound card, has been told of and is not waited for.
            runtime.shutdown_background();
            done
        }
        Err(why) => {
            let help = "see whether the machine is out of files";
            Err((format!("nothing can be asked now ({why})"), help.into()))
        }
    }
}

pub fn told(error: ClientError) -> Failure {
    (error.to_string(), error.help().to_owned())
}

pub fn answer(done: Result<String, Failure>) -> ExitCode {
    match done {
        Ok(text) => print(text.as_bytes()),
        Err((what, help)) => failed(exit::FAILED, &what, &help),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_found_by_a_wrong_file_is_told_of_the_file() {
        let none = || ClientError::NoDaemon {
            tried: vec!["/run/siskin/siskin.sock".into()],
        };
        let (_, help) = not_found(none(), true);
        assert!(help.contains("siskin check"), "{help}");
        assert_eq!(not_found(none(), false), told(none()));
    }
}
