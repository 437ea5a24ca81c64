//! The local network, as a phone finds it: interfaces, announcements, firewalls.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
    path::Path,
    process::Stdio,
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{process::Command, time::timeout};

use super::findings::Report;
use crate::{
    config::Network,
    discovery::{
        interfaces::{self, Selection},
        probe::{self, Answered},
    },
    model::{Finding, House},
};

/// How long answers to a question to everybody are waited for.
const LISTEN: Duration = Duration::from_millis(1500);
/// What is told where a firewall's rules are hidden.
pub const UNREAD: &str = "the firewall's rules could not be read (only root may)";
/// How long a firewall's own tool may take.
const TOOL: Duration = Duration::from_secs(3);

pub async fn look(report: &mut Report, network: &Network, house: Option<&House>) {
    report.looks_at("the network interfaces");
    let selection = match interfaces::list().await {
        Ok(all) => interfaces::select(&all, network),
        Err(error) => {
            report.found(Finding::trouble(
                "no_network",
                "the network interfaces of this machine cannot be read",
                error.to_string(),
                "ask as root, or as the user that siskin runs as",
            ));
            return;
        }
    };
    of_interfaces(report, &selection, network);
    report.looks_at("announcements on the network");
    let ways = selection.wanted.iter().filter_map(|interface| {
        let v4 = interface.addresses.iter().find_map(|ip| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        });
        v4.map(|from| (interface.name.clone(), from))
    });
    let asked = ways.map(async |(name, from)| {
        let back = probe::comes_back(from).await;
        (name, from, back, probe::around(from, LISTEN).await)
    });
    for (name, from, back, around) in join_all(asked).await {
        match back {
            Ok(true) => {}
            Ok(false) => report.found(Finding::trouble(
                "multicast_blocked",
                format!("multicast does not come back on {name}"),
                "what was sent to UDP port 5353 was not heard again on this machine: a firewall \
                 drops it, or the interface cannot multicast",
                "allow UDP port 5353 in and out (nft list ruleset, ufw status, firewall-cmd --list-all)",
            )),
            Err(error) => report.found(deaf(&name, &error)),
        }
        match around {
            Ok(found) => answers(report, &name, from, &found, house, &selection),
            Err(error) => report.found(deaf(&name, &error)),
        }
    }
    if let Some(house) = house {
        endpoints(report, house).await;
    }
    firewall(report, house).await;
}

fn deaf(name: &str, error: &std::io::Error) -> Finding {
    Finding::trouble(
        "multicast_blocked",
        format!("nothing can be sent on {name}"),
        error.to_string(),
        "see whether the address is still there, and what the firewall forbids this machine to send",
    )
}

fn of_interfaces(report: &mut Report, selection: &Selection, network: &Network) {
    for interface in &selection.wanted {
        let addresses: Vec<_> = interface
            .addresses
            .iter()
            .map(ToString::to_string)
            .collect();
        report.fact(format!(
            "used: {} ({})",
            interface.name,
            addresses.join(", ")
        ));
    }
    let mut reasons = Vec::new();
    for skipped in &selection.skipped {
        report.fact(format!("not used: {}: {}", skipped.name, skipped.reason));
        reasons.push(format!("{}: {}", skipped.name, skipped.reason));
    }
    if selection.wanted.is_empty() && !report.has("no_network") {
        let (why, cure) = match interfaces::unfound(selection, network) {
            Some(why) => (why, interfaces::RENAME),
            None => (
                reasons.join("; "),
                "connect it to the network, or name the interface to use in network.allow",
            ),
        };
        let what = "no phone can reach this machine";
        report.found(Finding::trouble("no_network", what, why, cure));
    }
}

/// Who answered a question for speakers on one interface.
fn answers(
    report: &mut Report,
    interface: &str,
    from: Ipv4Addr,
    found: &[Answered],
    house: Option<&House>,
    selection: &Selection,
) {
    let own = selection.addresses();
    let is_own = |one: &&Answered| own.contains(&one.by);
    for one in found {
        let whose = if own.contains(&one.by) {
            "this machine"
        } else {
            "another device"
        };
        report.fact(format!(
            "{interface}: “{}” is announced by {whose} ({})",
            one.name, one.by
        ));
    }
    let Some(house) = house else { return };
    for speaker in &house.speakers {
        let announced_here = speaker
            .addresses
            .iter()
            .any(|at| at.ip() == IpAddr::V4(from));
        let called = |one: &&Answered| is_called(&one.name, &speaker.name);
        if announced_here && !found.iter().filter(is_own).any(|one| called(&one)) {
            report.found(Finding::trouble(
                "announcement_unheard",
                format!("{} does not answer a question for speakers on {interface}", speaker.name),
                "the daemon says that it is announced, but nobody answered for it",
                "another mDNS program may hold UDP port 5353 for itself; siskin repairs its own side",
            ));
        }
        let stranger = found.iter().find(|one| called(one) && !is_own(one));
        if let Some(other) = stranger {
            report.found(Finding::notice(
                "name_taken",
                format!(
                    "another device on the network is called {} too",
                    speaker.name
                ),
                format!("{} announces the same name", other.by),
                "give one of them another name",
            ));
        }
    }
    let alone = found.iter().all(|one| own.contains(&one.by));
    let wireless = Path::new("/sys/class/net")
        .join(interface)
        .join("wireless")
        .exists();
    if alone && wireless && neighbours(interface).len() <= 1 {
        report.found(Finding::notice(
            "isolated_maybe",
            format!("nobody but the router was seen on {interface}"),
            "no other device answered, which is how a guest Wi-Fi with client isolation looks",
            "put phone and speaker into the same Wi-Fi, and switch off “client” or “AP isolation” \
             in the access point",
        ));
    }
}

/// Whether an announcement is of a speaker of this name: its name, and mostly an id behind it.
fn is_called(announced: &str, name: &str) -> bool {
    let announced = announced.to_lowercase();
    let name = name.to_lowercase();
    let cut = announced.rsplit_once(' ').map(|(cut, _)| cut);
    // A long name is cut to what a label holds.
    announced == name
        || cut.is_some_and(|cut| cut == name || (cut.len() > 40 && name.starts_with(cut)))
}

/// Who has been spoken with on an interface lately.
fn neighbours(interface: &str) -> BTreeSet<String> {
    let table = std::fs::read_to_string("/proc/net/arp").unwrap_or_default();
    let lines = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .filter(|columns| columns.last() == Some(&interface) && columns.get(2) != Some(&"0x0"))
        .filter_map(|columns| columns.first().map(ToString::to_string))
        .collect()
}

async fn endpoints(report: &mut Report, house: &House) {
    report.looks_at("what phones hand accounts over to");
    for speaker in &house.speakers {
        for at in &speaker.addresses {
            if let Err(why) = probe::get_info(*at, None).await {
                report.found(Finding::trouble(
                    "endpoint_dead",
                    format!(
                        "phones find {}, but cannot hand an account over",
                        speaker.name
                    ),
                    why,
                    "siskin opens its port anew by itself; where network.advertise names other \
                     addresses, see that they lead to its port",
                ));
            }
        }
    }
}

/// Whether there were rules to be read, and what of them may keep phones out.
pub async fn firewall(report: &mut Report, house: Option<&House>) -> bool {
    report.looks_at("the firewall");
    let ports: Vec<u16> = house
        .into_iter()
        .flat_map(|house| &house.speakers)
        .flat_map(|speaker| speaker.addresses.iter().map(|at| at.port()))
        .collect();
    let mut looked = false;
    for (tool, words) in [("nft", &["list", "ruleset"][..]), ("iptables-save", &[])] {
        let Some(rules) = output(tool, words).await else {
            continue;
        };
        looked = true;
        for hint in hints(&rules, &ports) {
            report.found(Finding::notice(
                "firewall",
                "the firewall of this machine may keep phones out",
                hint,
                "allow UDP port 5353 and the TCP port of the speaker; fix that with port in the configuration",
            ));
        }
    }
    if !looked {
        report.fact(UNREAD);
    }
    looked
}

async fn output(tool: &str, words: &[&str]) -> Option<String> {
    let asked = Command::new(tool)
        .args(words)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let done = timeout(TOOL, asked).await.ok()?.ok()?;
    done.status
        .success()
        .then(|| String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Rules that look as if they stood in the way, as `nft list ruleset` or `iptables-save` print them.
fn hints(rules: &str, ports: &[u16]) -> Vec<String> {
    let lines: Vec<&str> = rules.lines().map(str::trim).collect();
    let words = |line: &str| -> Vec<String> {
        let parts = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        parts.map(str::to_lowercase).collect()
    };
    let refuses = |line: &str| {
        words(line)
            .iter()
            .any(|word| word == "drop" || word == "reject")
    };
    let about = |line: &str| {
        words(line).iter().any(|word| {
            word == "5353" || word == "mdns" || ports.iter().any(|port| *word == port.to_string())
        })
    };
    let mut found: Vec<String> = lines
        .iter()
        .filter(|line| refuses(line) && about(line))
        .map(|line| format!("this rule: {line}"))
        .collect();
    let closed = lines.iter().any(|line| {
        let is_input = line.contains("hook input") || line.starts_with(":INPUT ");
        is_input && refuses(line)
    });
    let opened = lines
        .iter()
        .any(|line| about(line) && words(line).iter().any(|word| word == "accept"));
    if closed && !opened {
        found.push("what comes in is dropped unless a rule allows it, and none allows 5353".into());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_drop_our_ports_are_quoted_and_a_closed_door_is_told() {
        let nft = "table inet filter {\n chain input {\n  type filter hook input priority 0; policy drop;\n  \
                   tcp dport 22 accept\n  udp dport 5353 drop\n }\n}";
        let found = hints(nft, &[4070]);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!(found[0], "this rule: udp dport 5353 drop");
        let saved =
            "*filter\n:INPUT DROP [0:0]\n-A INPUT -p udp -m udp --dport 5353 -j ACCEPT\nCOMMIT";
        assert_eq!(hints(saved, &[]), Vec::<String>::new());
        let ours = "-A INPUT -p tcp -m tcp --dport 4070 -j REJECT";
        assert_eq!(hints(ours, &[4070]).len(), 1);
        assert!(hints(ours, &[407]).is_empty());
        assert!(hints("", &[1]).is_empty());
    }

    #[test]
    fn an_announcement_is_known_by_its_name_with_or_without_the_id_behind_it() {
        assert!(is_called("Kitchen 0a1b2c3d", "kitchen"));
        assert!(is_called("Kitchen", "Kitchen"));
        assert!(!is_called("Kitchen table 0a1b2c3d", "Kitchen"));
    }
}
