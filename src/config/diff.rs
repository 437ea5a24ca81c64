//! What a reload has to do: the difference between two configurations, as data.

use super::{
    hooks::Hook,
    mqtt::Mqtt,
    settings::{
        Config, Http, LogLevel, Metadata, Mpris, Network, Pairing, Socket, Speaker, VolumeSettings,
    },
};

/// One thing that is different now.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Log(LogLevel),
    /// For the next sign-in by a code.
    Pairing(Pairing),
    /// Interfaces, addresses or what `getInfo` shows.
    Announcement(Network),
    /// Proxy or access point port.
    WayToSpotify(Network),
    /// Where audio files are kept, and how many.
    Cache,
    /// The state folder cannot move under a running daemon, nor its key change.
    StateDir,
    /// Where other programs ask; music knows nothing of it.
    Socket(Socket),
    /// The same over TCP.
    Http(Http),
    /// The same on D-Bus.
    Mpris(Mpris),
    /// The way to the broker.
    Mqtt(Box<Mqtt>),
    /// Which programs are run when something happens.
    Hooks(Vec<Hook>),
    /// Where displays read what plays.
    Metadata(Vec<Metadata>),
    Added(Box<Speaker>),
    Removed {
        id: String,
    },
    Name {
        id: String,
        name: String,
    },
    /// Its icon in the app.
    DeviceType(Box<Speaker>),
    Port {
        id: String,
        port: u16,
    },
    Audio(Box<Speaker>),
    Output(Box<Speaker>),
    /// Where the level begins and whether it is remembered: for the next start.
    FirstLevel(Box<Speaker>),
    /// Curve, range, steps or the loudest level.
    Volume(Box<Speaker>),
    /// Who may come and when, and what holds for single accounts. Whether an engine must be started
    /// anew for that, the speaker knows: it depends on who sits there.
    Household(Box<Speaker>),
}

/// What it takes for a change to hold. Ordered from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Taken over at once; music goes on.
    AtOnce,
    /// The speaker is announced anew; music goes on.
    Announce,
    /// The speaker's engine is started anew and takes up what it played.
    Engine,
    /// A speaker comes or goes.
    Speaker,
    /// Only a restart of the daemon helps; until then the old value stands.
    Daemon,
}

impl Change {
    pub fn effort(&self) -> Effort {
        match self {
            Self::Log(_)
            | Self::Pairing(_)
            | Self::FirstLevel(_)
            | Self::Household(_)
            | Self::Output(_)
            | Self::Socket(_)
            | Self::Http(_)
            | Self::Mpris(_)
            | Self::Mqtt(_)
            | Self::Hooks(_)
            | Self::Metadata(_) => Effort::AtOnce,
            Self::Announcement(_) | Self::Port { .. } | Self::Name { .. } => Effort::Announce,
            // The engine tells Spotify kind and volume steps when it signs in.
            Self::DeviceType(_)
            | Self::WayToSpotify(_)
            | Self::Cache
            | Self::Audio(_)
            | Self::Volume(_) => Effort::Engine,
            Self::Added(_) | Self::Removed { .. } => Effort::Speaker,
            Self::StateDir => Effort::Daemon,
        }
    }
}

impl Change {
    /// The one speaker it is about; `None` when it is about all of them.
    pub fn speaker(&self) -> Option<&str> {
        match self {
            Self::Log(_)
            | Self::Pairing(_)
            | Self::Announcement(_)
            | Self::WayToSpotify(_)
            | Self::Cache
            | Self::StateDir
            | Self::Socket(_)
            | Self::Http(_)
            | Self::Mpris(_)
            | Self::Mqtt(_)
            | Self::Hooks(_)
            | Self::Metadata(_) => None,
            Self::Removed { id } | Self::Name { id, .. } | Self::Port { id, .. } => Some(id),
            Self::Added(speaker)
            | Self::DeviceType(speaker)
            | Self::Audio(speaker)
            | Self::Output(speaker)
            | Self::FirstLevel(speaker)
            | Self::Volume(speaker)
            | Self::Household(speaker) => Some(&speaker.id),
        }
    }

    /// Whether phones see something else now.
    pub fn is_seen(&self) -> bool {
        matches!(
            self,
            Self::Announcement(_)
                | Self::Port { .. }
                | Self::Name { .. }
                | Self::DeviceType(_)
                | Self::Added(_)
                | Self::Removed { .. }
        )
    }
}

/// Everything that differs, what concerns the whole daemon first. Speakers are matched by id.
pub fn diff(old: &Config, new: &Config) -> Vec<Change> {
    let mut changes = Vec::new();
    if old.log != new.log {
        changes.push(Change::Log(new.log));
    }
    if old.pairing != new.pairing {
        changes.push(Change::Pairing(new.pairing.clone()));
    }
    if old.state_dir != new.state_dir || old.account_key_file != new.account_key_file {
        changes.push(Change::StateDir);
    }
    if old.cache != new.cache {
        changes.push(Change::Cache);
    }
    if old.socket != new.socket {
        changes.push(Change::Socket(new.socket.clone()));
    }
    if old.http != new.http {
        changes.push(Change::Http(new.http.clone()));
    }
    if old.mpris != new.mpris {
        changes.push(Change::Mpris(new.mpris));
    }
    if old.mqtt != new.mqtt {
        changes.push(Change::Mqtt(Box::new(new.mqtt.clone())));
    }
    if old.hooks != new.hooks {
        changes.push(Change::Hooks(new.hooks.clone()));
    }
    if old.metadata != new.metadata {
        changes.push(Change::Metadata(new.metadata.clone()));
    }
    network(&old.network, &new.network, &mut changes);
    for gone in &old.speakers {
        if !new.speakers.iter().any(|speaker| speaker.id == gone.id) {
            changes.push(Change::Removed {
                id: gone.id.clone(),
            });
        }
    }
    for speaker in &new.speakers {
        match old.speakers.iter().find(|known| known.id == speaker.id) {
            Some(known) => changed(known, speaker, &mut changes),
            None => changes.push(Change::Added(Box::new(speaker.clone()))),
        }
    }
    changes
}

fn network(old: &Network, new: &Network, changes: &mut Vec<Change>) {
    // Taken apart by name, so that a new field cannot be forgotten here.
    let Network {
        allow,
        deny,
        ipv6,
        advertise,
        hide_active_user,
        proxy,
        ap_port,
    } = new;
    if *allow != old.allow
        || *deny != old.deny
        || *ipv6 != old.ipv6
        || *advertise != old.advertise
        || *hide_active_user != old.hide_active_user
    {
        changes.push(Change::Announcement(new.clone()));
    }
    if *proxy != old.proxy || *ap_port != old.ap_port {
        changes.push(Change::WayToSpotify(new.clone()));
    }
}

fn changed(old: &Speaker, new: &Speaker, changes: &mut Vec<Change>) {
    let Speaker {
        id,
        name,
        device_type,
        port,
        audio,
        output,
        volume,
        household,
    } = new;
    if *name != old.name {
        changes.push(Change::Name {
            id: id.clone(),
            name: name.clone(),
        });
    }
    if *device_type != old.device_type {
        changes.push(Change::DeviceType(Box::new(new.clone())));
    }
    if *port != old.port {
        changes.push(Change::Port {
            id: id.clone(),
            port: *port,
        });
    }
    if *audio != old.audio {
        changes.push(Change::Audio(Box::new(new.clone())));
    }
    if *output != old.output {
        changes.push(Change::Output(Box::new(new.clone())));
    }
    let VolumeSettings {
        start,
        max,
        remember,
        curve,
        range_db,
        steps,
    } = volume;
    if *start != old.volume.start || *remember != old.volume.remember {
        changes.push(Change::FirstLevel(Box::new(new.clone())));
    }
    let was = &old.volume;
    if (*curve, *range_db, *steps, *max) != (was.curve, was.range_db, was.steps, was.max) {
        changes.push(Change::Volume(Box::new(new.clone())));
    }
    if *household != old.household {
        changes.push(Change::Household(Box::new(new.clone())));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Output, Request, Surroundings, load};

    fn config() -> Config {
        let around = Surroundings {
            variables: Vec::new(),
            host: "kitchen".into(),
            etc: "/nonexistent".into(),
        };
        load(&Request::default(), &around).expect("defaults").config
    }

    #[test]
    fn the_same_configuration_changes_nothing() {
        assert_eq!(diff(&config(), &config()), []);
    }

    #[test]
    fn each_changed_setting_is_named_with_what_it_takes() {
        let mut new = config();
        new.log = LogLevel::Debug;
        new.socket = Socket::Off;
        new.network.deny = vec!["wg0".into()];
        new.speakers[0].name = "Den".into();
        new.speakers[0].output = Output::Null;
        new.speakers[0].volume.remember = false;
        new.speakers[0].volume.steps = 100;
        let efforts: Vec<_> = diff(&config(), &new).iter().map(Change::effort).collect();
        use Effort::{Announce, AtOnce, Engine};
        assert_eq!(
            efforts,
            [AtOnce, AtOnce, Announce, Announce, AtOnce, AtOnce, Engine]
        );
    }

    #[test]
    fn a_speaker_with_another_id_is_another_speaker() {
        let mut new = config();
        new.speakers[0].id = "den".into();
        let changes = diff(&config(), &new);
        assert_eq!(changes[0], Change::Removed { id: "main".into() });
        assert!(matches!(&changes[1], Change::Added(speaker) if speaker.id == "den"));
    }
}
