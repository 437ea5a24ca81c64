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
    let config = match settings(door) {
        Ok(config) => config,
        Err(problems) => return misconfigured(&problems),
    };
    answer(wait_for(async {
        let client = Client::find(&places::sockets(&config))
            .await
            .map_err(told)?;
        question(client).await
    }))
}

/// The settings that lead to the daemon. A file with mistakes does not keep anybody from asking:
/// the daemon may have better ones in force, and tells what it thinks of the file.
pub fn settings(door: &Door) -> Result<Config, Problems> {
    let request = door.request();
    match config::load(&request, &Surroundings::of_this_process()) {
        Ok(loaded) => Ok(loaded.config),
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
            config::load(&flags, &bare).map(|loaded| loaded.config)
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
