//! `siskin accounts`: the people of the house, by way of the daemon, or on the state directory itself
//! where none runs.

mod desk;

use std::{fmt::Write as _, process::ExitCode};

use self::desk::Desk;
pub use self::desk::is_ours;
use super::{
    args::{Accounts, Door},
    door::{self, Failure},
    misconfigured,
    pick::pick,
    status::{called, plain},
};
use crate::model::{Account, CameBy, local_date};

/// What only the owner of an account can do, at Spotify.
const AT_SPOTIFY: &str = "\
Spotify still knows what was allowed before. To take that back, sign in at
  https://www.spotify.com/account/
and look at \"Manage devices\" for speakers, and at \"Apps\" for what was paired by a code.
";

pub fn run(door: &Door, what: Option<Accounts>) -> ExitCode {
    let config = match door::settings(door) {
        Ok(config) => config,
        Err(problems) => return misconfigured(&problems),
    };
    door::answer(door::wait_for(async {
        let desk = Desk::open(door, &config).await?;
        match what.unwrap_or(Accounts::List) {
            Accounts::List => list(&desk).await,
            Accounts::Use { account, speaker } => sign_in(&desk, &account, speaker).await,
            Accounts::Forget { account, .. } => match account {
                Some(account) => forget(&desk, &account).await,
                None => forget_all(&desk).await,
            },
            Accounts::Rename { account, name } => rename(&desk, &account, &name).await,
        }
    }))
}

async fn list(desk: &Desk) -> Result<String, Failure> {
    let (accounts, troubles) = desk.accounts().await?;
    let seats = desk.seats().await?;
    let mut text = String::new();
    for account in &accounts {
        text += &line(account);
        for speaker in seats.iter().filter(|seat| seat.user == account.user) {
            // Writing to a String does not fail, here and below.
            let _ = write!(text, "; signed in on {}", plain(&speaker.name));
        }
        text.push('\n');
        if let Some(since) = account.keys_refused_ms {
            let since = local_date(since);
            let _ = writeln!(
                text,
                "  ! Spotify refuses this account the keys to its music since {since}"
            );
        }
    }
    if accounts.is_empty() {
        text += "nobody is remembered: pick the speaker in the Spotify app\n";
    }
    for trouble in troubles {
        let _ = writeln!(text, "! {}: {}", plain(&trouble.what), plain(&trouble.why));
        let _ = writeln!(text, "    help: {}", plain(&trouble.cure));
    }
    Ok(text)
}

/// `Kim (31xy): Premium, DE, came by phone, last used 2026-03-01`.
fn line(account: &Account) -> String {
    let mut about = Vec::new();
    match account.premium {
        Some(true) => about.push("Premium".to_owned()),
        Some(false) => about.push("not Premium".to_owned()),
        None => {}
    }
    about.extend(account.country.as_deref().map(plain));
    about.push(
        match account.came_by {
            CameBy::Phone => "came by phone",
            CameBy::Code => "came by a code",
            CameBy::Browser => "came by browser",
        }
        .to_owned(),
    );
    if account.last_used_ms > 0 {
        about.push(format!("last used {}", local_date(account.last_used_ms)));
    }
    format!("{}: {}", called(account), about.join(", "))
}

async fn sign_in(desk: &Desk, given: &str, speaker: Option<String>) -> Result<String, Failure> {
    let account = find(desk, given).await?;
    let speakers = desk.speakers().await?;
    let at = match (&speaker, speakers.len()) {
        (None, 1) => 0,
        (None, _) => {
            let names: Vec<_> = speakers.iter().map(|(name, _)| plain(name)).collect();
            let what = "there are several speakers".to_owned();
            let help = format!("say on which, with --speaker: {}", names.join(", "));
            return Err((what, help));
        }
        (Some(given), _) => pick("speaker", given, &speakers, |(name, id)| [name, id])?,
    };
    let (name, id) = &speakers[at];
    let (who, name) = (called(&account), plain(name));
    Ok(if desk.sign_in(id, &account.user).await? {
        format!("{who} is signed in on {name}\n")
    } else {
        format!("{who} is signed in on {name} when siskin starts\n")
    })
}

async fn forget(desk: &Desk, given: &str) -> Result<String, Failure> {
    let (user, who) = match find(desk, given).await {
        Ok(account) => (account.user.clone(), called(&account)),
        // One whose file cannot be read is in no list, and can be forgotten all the same.
        Err(why) => match desk.forget(given).await {
            Ok(()) => return Ok(format!("{} is forgotten here\n{AT_SPOTIFY}", plain(given))),
            Err(_) => return Err(why),
        },
    };
    desk.forget(&user).await?;
    Ok(format!("{who} is forgotten here\n{AT_SPOTIFY}"))
}

async fn forget_all(desk: &Desk) -> Result<String, Failure> {
    desk.forget_all().await?;
    Ok(format!("everybody is forgotten here\n{AT_SPOTIFY}"))
}

async fn rename(desk: &Desk, given: &str, name: &str) -> Result<String, Failure> {
    let account = find(desk, given).await?;
    desk.rename(&account.user, name).await?;
    let (accounts, _) = desk.accounts().await?;
    let now = accounts.iter().find(|one| one.user == account.user);
    let now = now.map_or_else(|| plain(name), called);
    Ok(format!("{} is {now} from now on\n", called(&account)))
}

async fn find(desk: &Desk, given: &str) -> Result<Account, Failure> {
    let (mut accounts, _) = desk.accounts().await?;
    let at = pick("account", given, &accounts, |account| {
        [&account.name, &account.user]
    })?;
    Ok(accounts.swap_remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_told_in_one_line() {
        let mut kim = Account::of("31xy".into());
        assert_eq!(line(&kim), "31xy: came by phone");
        kim.name = "Kim".into();
        kim.premium = Some(false);
        kim.country = Some("DE".into());
        kim.came_by = CameBy::Code;
        kim.last_used_ms = 1_772_366_400_000;
        assert_eq!(
            line(&kim),
            "Kim (31xy): not Premium, DE, came by a code, last used 2026-03-01"
        );
    }
}
