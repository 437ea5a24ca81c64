//! What is printed for packagers: completions and the manual page.

use clap::CommandFactory as _;
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::Cli;

pub fn completions(shell: Shell) -> Vec<u8> {
    let mut out = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "siskin", &mut out);
    out
}

/// One page for everything: the flags of `run` stand in it, too.
pub fn man() -> Vec<u8> {
    let mut out = Vec::new();
    let page = Man::new(Cli::command()).manual("siskin");
    let mut command = Cli::command();
    command.build();
    let run = command.find_subcommand("run").cloned().map(Man::new);
    // Writing to a Vec does not fail.
    let _ = page
        .render_title(&mut out)
        .and_then(|()| page.render_name_section(&mut out))
        .and_then(|()| page.render_synopsis_section(&mut out))
        .and_then(|()| page.render_description_section(&mut out))
        .and_then(|()| page.render_subcommands_section(&mut out))
        .and_then(|()| match run {
            Some(run) => run.render_options_section(&mut out),
            None => Ok(()),
        });
    // The commands have no pages of their own to refer to.
    let mut text = String::from_utf8_lossy(&out).into_owned();
    for name in command.get_subcommands().map(clap::Command::get_name) {
        text = text.replace(
            &format!("siskin\\-{name}(1)"),
            &format!("\\fBsiskin {name}\\fR"),
        );
    }
    text += &remote(&command);
    text += REST;
    text.into_bytes()
}

/// What is asked of a running siskin. Those commands are hidden from the help, which fits a small
/// terminal; here is room for them.
fn remote(command: &clap::Command) -> String {
    let mut text = String::from(".SH REMOTE CONTROL\nAsked of a siskin that runs.\n");
    let hidden = command.get_subcommands().filter(|it| it.is_hide_set());
    for it in hidden.filter(|it| it.get_name() != "engine") {
        let mut words = vec![it.get_name().to_owned()];
        for argument in it.get_positionals() {
            let name = argument.get_id().as_str().to_uppercase();
            words.push(match argument.is_required_set() {
                true => name,
                false => format!("[{name}]"),
            });
        }
        let about = it.get_about().map(ToString::to_string).unwrap_or_default();
        let line = format!(".TP\n\\fBsiskin {}\\fR\n{about}\n", words.join(" "));
        text += &line.replace('-', "\\-");
    }
    text
}

const REST: &str = r#".SH FILES
.TP
\fB~/.config/siskin/config.toml\fR, \fB/etc/siskin/config.toml\fR
The configuration; the first that is there is read. All settings are explained in
config.example.toml.
.TP
\fB~/.local/state/siskin\fR
Accounts and device ids. Under systemd: /var/lib/siskin.
.SH ENVIRONMENT
.TP
\fBSISKIN_CONFIG\fR
The file to read, as \-\-config.
.TP
\fBSISKIN_NAME\fR, \fBSISKIN_AUDIO_BITRATE\fR, ...
Every setting by its name, with _ for each dot. They win over the file, and flags win over them.
.SH EXIT STATUS
.TP
\fB0\fR
Told to stop, and stopped.
.TP
\fB1\fR
What was asked of a running siskin could not be done, or none runs.
.TP
\fB64\fR
The command line makes no sense.
.TP
\fB75\fR
It could not start now; starting again may help.
.TP
\fB78\fR
The configuration is wrong.
.TP
\fB130\fR
A sign-in was cancelled.
.SH SIGNALS
SIGTERM and SIGINT stop the daemon within 5 seconds; SIGHUP reads the configuration again.
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_gets_completions_that_know_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let script = String::from_utf8(completions(shell)).expect("text");
            assert!(script.contains("explain"), "{shell}");
        }
    }

    #[test]
    fn the_manual_page_names_commands_flags_and_exit_codes() {
        let page = String::from_utf8(man()).expect("text");
        for word in [
            "devices",
            "bitrate",
            "EXIT STATUS",
            "78",
            ".TH",
            "siskin volume TO\\fR",
            "siskin play [URI]\\fR",
            "siskin log\\-level LEVEL",
        ] {
            assert!(page.contains(word), "no {word} in\n{page}");
        }
        assert!(!page.contains("engine"), "the hidden command shows");
        assert!(
            !page.contains("(1)"),
            "a page is referred to that is not there"
        );
    }
}
