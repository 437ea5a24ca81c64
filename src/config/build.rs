//! From what was said to what holds: every value looked up, checked and explained.

use std::{fmt, path::PathBuf};

use super::{
    check::{self, Kind},
    clash::{Origins, clashes},
    file::{Section, Table},
    hooks::{self, Hook, Occasion},
    household::{self, ForAccount, Household},
    layers::Layers,
    mqtt::{self, Mqtt},
    problem::Problem,
    schema::{self, Scope},
    settings::{
        Audio, Cache, Config, Http, Metadata, Network, Output, Pairing, SampleFormat, Speaker, Tls,
        VolumeSettings,
    },
    value::{Fault, Origin, Raw, Value},
};

/// For every setting its value and who said so. Prints as TOML with comments.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Explained {
    groups: Vec<Group>,
}

#[derive(Debug, Clone, PartialEq)]
struct Group {
    scope: Scope,
    /// The number and id of a `[[speaker]]` or `[[account]]`; empty for the top level.
    title: String,
    entries: Vec<(&'static str, Value)>,
}

impl fmt::Display for Explained {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for group in &self.groups {
            match group.scope {
                Scope::Top => {}
                Scope::Speaker => writeln!(out, "\n# speaker {}", group.title)?,
                Scope::Account => writeln!(out, "\n# account {}", group.title)?,
                Scope::Hook => writeln!(out, "\n# hook {}", group.title)?,
            }
            for (name, path) in schema::names(group.scope) {
                if let Some((_, value)) = group.entries.iter().find(|(known, _)| *known == path) {
                    let setting = format!("{name} = {value}");
                    writeln!(out, "{setting:<40}  # {}", value.origin)?;
                }
            }
        }
        Ok(())
    }
}

/// The configuration; what is wrong is told in `problems`, and its default stands in.
pub(super) fn build(
    layers: &Layers,
    default_name: &str,
    problems: &mut Vec<Problem>,
) -> (Config, Explained) {
    let file = &layers.document;
    let common = [&layers.flags, &layers.variables, &file.top];
    let mut daemon = Lookup::new(common.to_vec(), problems);
    let network = daemon.network();
    let log = daemon.get("log", check::log);
    let state_dir = daemon.get("state_dir", check::path);
    let pairing = Pairing {
        offer: daemon.get("pairing", check::offer),
        client_id: daemon.get("client_id", check::client_id),
    };
    let socket = daemon.get("socket", check::socket);
    let http = daemon.http();
    let mpris = daemon.get("mpris.bus", check::mpris);
    let mqtt = daemon.mqtt(default_name);
    let account_key_file = daemon.get("account_key_file", check::path);
    let (cache, cache_path) = daemon.cache();
    let mut groups = vec![daemon.group];

    let mut speakers = Vec::new();
    let mut places = Vec::new();
    let mut metadata = Vec::new();
    if file.speakers.is_empty() {
        let mut lookup = Lookup::new(common.to_vec(), problems);
        speakers.push(lookup.speaker("main".to_owned(), default_name));
        metadata.extend(lookup.metadata("main", &[]));
        places.push(lookup.origins());
        groups[0].entries.extend(lookup.group.entries);
    }
    for (index, section) in file.speakers.iter().enumerate() {
        let order = vec![&layers.flags, &layers.variables, &section.values, &file.top];
        let mut lookup = Lookup::new(order, problems);
        let id = lookup.id(section, index + 1);
        speakers.push(lookup.speaker(id.clone(), default_name));
        metadata.extend(lookup.metadata(&id, &metadata));
        let mut origins = lookup.origins();
        origins.section = Some(section.origin.clone());
        places.push(origins);
        lookup.group.scope = Scope::Speaker;
        lookup.group.title = format!("{} ({id})", index + 1);
        groups.push(lookup.group);
    }
    for (index, section) in file.accounts.iter().enumerate() {
        let mut lookup = Lookup::new(vec![&section.values], problems);
        let account = lookup.account(section, &speakers);
        lookup.group.scope = Scope::Account;
        lookup.group.title = format!("{} ({})", index + 1, account.user);
        groups.push(lookup.group);
        let here = |speaker: &&mut Speaker| {
            let named = account.speaker.as_ref();
            named.is_none_or(|id| *id == speaker.id)
        };
        for speaker in speakers.iter_mut().filter(here) {
            speaker.household.accounts.push(account.clone());
        }
    }
    let mut hooks = Vec::new();
    for (index, section) in file.hooks.iter().enumerate() {
        let mut lookup = Lookup::new(vec![&section.values], problems);
        hooks.extend(lookup.hook(section, &speakers));
        lookup.group.scope = Scope::Hook;
        lookup.group.title = (index + 1).to_string();
        groups.push(lookup.group);
    }
    clashes(&speakers, &places, problems);
    let config = Config {
        speakers,
        network,
        log,
        pairing,
        state_dir,
        socket,
        http,
        mpris,
        mqtt,
        account_key_file,
        cache,
        cache_path,
        hooks,
        metadata,
    };
    (config, Explained { groups })
}

/// Looks a setting up, in the layers given, the strongest first.
struct Lookup<'a> {
    layers: Vec<&'a Table>,
    problems: &'a mut Vec<Problem>,
    group: Group,
}

type Check<T> = fn(&Value) -> Result<T, Fault>;

impl<'a> Lookup<'a> {
    fn new(layers: Vec<&'a Table>, problems: &'a mut Vec<Problem>) -> Self {
        let group = Group {
            scope: Scope::Top,
            title: String::new(),
            entries: Vec::new(),
        };
        Self {
            layers,
            problems,
            group,
        }
    }

    fn get<T>(&mut self, path: &'static str, check: Check<T>) -> T {
        let value = match self.find(path) {
            Some((_, value)) => value.clone(),
            None => schema::default(path),
        };
        self.take(path, value, check)
    }

    /// The strongest layer that says something on `path`, 0 being the strongest of all.
    fn find(&self, path: &str) -> Option<(usize, &'a Value)> {
        let mut layers = self.layers.iter().enumerate();
        layers.find_map(|(rank, layer)| layer.get(path).map(|value| (rank, value)))
    }

    fn take<T>(&mut self, path: &'static str, value: Value, check: Check<T>) -> T {
        let checked = check(&value);
        let place = value.origin.clone();
        let mut shown = value;
        if schema::SECRETS.contains(&path) && shown.text() != Ok("") {
            shown.raw = Raw::Text("***".to_owned());
        }
        self.group.entries.push((path, shown));
        checked.unwrap_or_else(|fault| {
            self.problems.push(Problem::new(
                fault.within.unwrap_or(place),
                format!("{path} {}", fault.what),
                fault.help,
            ));
            check(&schema::default(path))
                .unwrap_or_else(|_| unreachable!("the default of {path} passes its own check"))
        })
    }

    fn wrong(&mut self, place: &Origin, what: &str, help: &str) {
        self.problems.push(Problem::new(place.clone(), what, help));
    }

    fn network(&mut self) -> Network {
        Network {
            allow: self.get("network.allow", check::interfaces),
            deny: self.get("network.deny", check::interfaces),
            ipv6: self.get("network.ipv6", check::switch),
            advertise: self.get("network.advertise", check::addresses),
            hide_active_user: !self.get("network.show_active_user", check::switch),
            proxy: self.get("network.proxy", check::proxy),
            ap_port: self.get("network.ap_port", check::ap_port),
        }
    }

    fn http(&mut self) -> Http {
        Http {
            listen: self.get("http.listen", check::listen),
            names: self.get("http.names", check::host_names),
            origins: self.get("http.origins", check::origins),
            page: self.get("http.page", check::switch),
            tls: self.tls(),
        }
    }

    /// Neither of the two files says anything without the other.
    fn tls(&mut self) -> Option<Tls> {
        let certificate = self.get("http.certificate", check::path);
        let key = self.get("http.key", check::path);
        let (there, missing) = match (certificate, key) {
            (Some(certificate), Some(key)) => return Some(Tls { certificate, key }),
            (None, None) => return None,
            (Some(_), None) => ("http.certificate", "http.key"),
            (None, Some(_)) => ("http.key", "http.certificate"),
        };
        if let Some((_, value)) = self.find(there) {
            let what = format!("{there} is set, and {missing} is not");
            let help =
                "set both, to the same file where one holds both; or neither, for plain HTTP";
            self.wrong(&value.origin, &what, help);
        }
        None
    }

    /// What is to be kept; or, if nothing is, where it would be.
    fn cache(&mut self) -> (Option<Cache>, Option<PathBuf>) {
        let path = self.get("cache.path", check::full_path);
        match self.get("cache.size", check::size) {
            Some(bytes) => (Some(Cache { bytes, path }), None),
            None => (None, path),
        }
    }

    fn mqtt(&mut self, default_name: &str) -> Mqtt {
        let node = self.get("mqtt.node", mqtt::node);
        let mqtt = Mqtt {
            broker: self.get("mqtt.broker", mqtt::broker),
            version: self.get("mqtt.version", mqtt::version),
            user: self.get("mqtt.user", check::text),
            password: self.get("mqtt.password", mqtt::password),
            password_file: self.get("mqtt.password_file", check::path),
            ca_file: self.get("mqtt.ca_file", check::path),
            node: node.unwrap_or_else(|| mqtt::node_of(default_name)),
            prefix: self.get("mqtt.prefix", mqtt::prefix),
            discovery_prefix: self.get("mqtt.discovery_prefix", mqtt::discovery_prefix),
        };
        let place = |path: &str| self.find(path).map(|(_, value)| value.origin.clone());
        if mqtt.password.is_some()
            && mqtt.password_file.is_some()
            && let Some(place) = place("mqtt.password_file")
        {
            let what = "mqtt.password_file and mqtt.password are both set";
            self.wrong(&place, what, "take one of the two out; a file is safer");
        } else if (mqtt.password.is_some() || mqtt.password_file.is_some())
            && mqtt.user.is_none()
            && let Some(place) = place("mqtt.password").or_else(|| place("mqtt.password_file"))
        {
            let what = "there is a password for the broker, and no mqtt.user";
            self.wrong(&place, what, "set mqtt.user, too");
        }
        mqtt
    }

    fn speaker(&mut self, id: String, default_name: &str) -> Speaker {
        Speaker {
            id,
            name: self.name(default_name),
            device_type: self.get("device_type", check::device_type),
            port: self.get("network.port", check::port),
            audio: Audio {
                bitrate: self.get("audio.bitrate", check::bitrate),
                normalisation: self.get("audio.normalisation", check::normalisation),
                normalisation_method: self
                    .get("audio.normalisation_method", check::normalisation_method),
                pregain_db: self.get("audio.pregain_db", check::pregain_db),
                gapless: self.get("audio.gapless", check::switch),
                crossfade_ms: self.get("audio.crossfade", check::crossfade),
                sleep_fade_ms: self.get("audio.sleep_fade", check::sleep_fade),
                autoplay: self.get("audio.autoplay", check::autoplay),
            },
            output: self.output(),
            volume: VolumeSettings {
                start: self.get("volume.start", check::percent),
                max: self.get("volume.max", check::percent),
                remember: self.get("volume.remember", check::switch),
                curve: self.get("volume.curve", check::curve),
                range_db: self.get("volume.range_db", check::range_db),
                steps: self.get("volume.steps", check::steps),
            },
            household: Household {
                guests: self.get("guests", check::guests),
                quiet_hours: self.get("quiet_hours", household::quiet_hours),
                guest_timeout: self.get("guest_timeout", household::patience),
                accounts: Vec::new(),
            },
        }
    }

    /// What an `[[account]]` says. Its keys have no defaults, and no other layer knows them.
    fn account(&mut self, section: &Section, speakers: &[Speaker]) -> ForAccount {
        if !section.values.contains_key("user") {
            let what = "this account has no user";
            let help = "add user, the name that siskin accounts shows";
            self.wrong(&section.origin, what, help);
        }
        let speaker = self.one_speaker(section, speakers);
        ForAccount {
            user: self.said("user", check::user).unwrap_or_default(),
            speaker,
            max_volume: self.said("max_volume", check::percent),
            bitrate: self.said("bitrate", check::bitrate),
            normalisation: self.said("normalisation", check::normalisation),
        }
    }

    /// The speaker that a section is about; `None`: all of them.
    fn one_speaker(&mut self, section: &Section, speakers: &[Speaker]) -> Option<String> {
        let speaker = self.said("speaker", check::id);
        if let Some(id) = &speaker
            && !speakers.iter().any(|known| known.id == *id)
            && let Some(value) = section.values.get("speaker")
        {
            let ids: Vec<_> = speakers.iter().map(|known| known.id.as_str()).collect();
            let what = format!("speaker is {id:?}, and there is no such speaker");
            let help = format!("use the id of a speaker: {}", ids.join(", "));
            self.wrong(&value.origin, &what, &help);
        }
        speaker
    }

    /// What a `[[hook]]` says; `None` where that is not enough to run anything.
    fn hook(&mut self, section: &Section, speakers: &[Speaker]) -> Option<Hook> {
        for (key, help) in [
            ("on", r#"say when it is run: on = ["playing"]"#),
            (
                "run",
                r#"say what is run: run = ["/usr/local/bin/amplifier", "on"]"#,
            ),
        ] {
            if !section.values.contains_key(key) {
                let what = format!("this hook has no {key}");
                self.wrong(&section.origin, &what, help);
            }
        }
        let on = self.said("on", hooks::occasions);
        let run = self.said("run", hooks::program);
        let speaker = self.one_speaker(section, speakers);
        let timeout = self.said("timeout", hooks::timeout);
        let inactive_delay = self.said("inactive_delay", hooks::inactive_delay);
        let wait = self.said("wait", hooks::wait);
        let (on, run) = (on?, run?);
        for (key, needs) in [
            ("wait", &[Occasion::BeforePlay][..]),
            ("inactive_delay", &[Occasion::Active, Occasion::Inactive]),
        ] {
            if let Some(value) = section.values.get(key)
                && !on.iter().any(|one| needs.contains(one))
            {
                let words: Vec<_> = needs.iter().map(|one| format!("{:?}", one.key())).collect();
                let what = format!("{key} says nothing without {}", words.join(" or "));
                self.wrong(&value.origin, &what, "add that to on, or take it out");
            }
        }
        Some(Hook {
            on,
            run,
            speaker,
            timeout: timeout.unwrap_or(hooks::TIMEOUT),
            inactive_delay,
            wait: wait.unwrap_or(hooks::WAIT),
        })
    }

    /// Where this speaker tells what it plays. Two in one pipe could not be told apart.
    fn metadata(&mut self, speaker: &str, known: &[Metadata]) -> Option<Metadata> {
        let covers = self.get("metadata.covers", check::switch);
        let pipe = self.get("metadata.pipe", check::full_path)?;
        let place = self
            .find("metadata.pipe")
            .map(|(_, value)| value.origin.clone());
        if let Some(other) = known.iter().find(|other| other.pipe == pipe) {
            let what = format!(
                "metadata.pipe of the speakers {} and {speaker} is the same",
                other.speaker
            );
            let help = "give each speaker a pipe of its own, in [speaker.metadata]";
            self.wrong(&place.unwrap_or(Origin::Default), &what, help);
        }
        Some(Metadata {
            speaker: speaker.to_owned(),
            pipe,
            covers,
        })
    }

    /// A setting that has no default.
    fn said<T>(&mut self, path: &'static str, check: Check<T>) -> Option<T> {
        let (_, value) = self.find(path)?;
        let checked = check(value);
        self.group.entries.push((path, value.clone()));
        checked
            .map_err(|fault| {
                let what = format!("{path} {}", fault.what);
                let place = fault.within.unwrap_or_else(|| value.origin.clone());
                self.wrong(&place, &what, &fault.help);
            })
            .ok()
    }

    /// Its own id, or its number in the file.
    fn id(&mut self, section: &Section, number: usize) -> String {
        let value = section.values.get(schema::ID).cloned().unwrap_or(Value {
            raw: Raw::Text(number.to_string()),
            origin: Origin::Default,
        });
        let id = check::id(&value).unwrap_or_else(|fault| {
            let what = format!("id {}", fault.what);
            self.wrong(&value.origin, &what, &fault.help);
            number.to_string()
        });
        self.group.entries.push((schema::ID, value));
        id
    }

    fn name(&mut self, default_name: &str) -> String {
        match self.get("name", check::name) {
            Some(name) => name,
            None => {
                if let Some((_, value)) = self.group.entries.last_mut() {
                    value.raw = Raw::Text(default_name.to_owned());
                    value.origin = Origin::HostName;
                }
                default_name.to_owned()
            }
        }
    }

    /// Kind, device and path belong together, and may come from different layers. A device
    /// without a kind beside it means a card. What a weaker layer says is left out where it does
    /// not fit the kind; in the same layer, or a stronger one, it is a mistake.
    fn output(&mut self) -> Output {
        let said = |found: Option<(usize, &'a Value)>| {
            found.filter(|(_, value)| !value.text().is_ok_and(str::is_empty))
        };
        let kind_said = self.find("output.kind");
        let device_said = said(self.find("output.device"));
        let path_said = said(self.find("output.path"));
        let device_rank = device_said.map_or(usize::MAX, |(rank, _)| rank);

        let (kind_rank, kind_value) = match (kind_said, device_said) {
            (Some((rank, value)), _) if rank <= device_rank => (rank, value.clone()),
            (_, Some((rank, device))) => {
                let mut implied = schema::default("output.kind");
                implied.origin = device.origin.clone();
                (rank, implied)
            }
            _ => (usize::MAX, schema::default("output.kind")),
        };
        let sure = check::kind(&kind_value).is_ok();
        let kind = self.take("output.kind", kind_value, check::kind);
        let word = match kind {
            Kind::Card => "card",
            Kind::Pipe => "pipe",
            Kind::Wav => "wav",
            Kind::Null => "null",
        };
        if let Some((rank, device)) = device_said
            && sure
            && kind != Kind::Card
            && rank <= kind_rank
        {
            let what = format!("output.device names a card, but output.kind is \"{word}\"");
            let help = r#"take one of the two out, or set output.kind to "card""#;
            self.wrong(&device.origin, &what, help);
        }
        if let Some((rank, path)) = path_said
            && sure
            && matches!(kind, Kind::Card | Kind::Null)
            && rank <= kind_rank
        {
            let what = match kind_said {
                Some(_) => format!("output.path names a file, but output.kind is \"{word}\""),
                None => "output.path names a file, but output.kind does not say of what".to_owned(),
            };
            let help = r#"take it out, or set output.kind to "pipe" or "wav""#;
            self.wrong(&path.origin, &what, help);
        }
        let device = self.get("output.device", check::text);
        let path = self.get("output.path", check::path);
        let format = self.get("output.format", check::format);
        let buffer_ms = self.get("output.buffer_ms", check::buffer_ms);
        let place = kind_said.map_or(Origin::Default, |(_, value)| value.origin.clone());
        match kind {
            Kind::Card => Output::Card { device, buffer_ms },
            Kind::Null => Output::Null,
            Kind::Pipe => self.pipe(path, format, &place),
            Kind::Wav => self.wav(path, format, &place),
        }
    }

    fn pipe(&mut self, path: Option<PathBuf>, format: SampleFormat, place: &Origin) -> Output {
        if path.is_none() {
            let help = r#"set output.path to a FIFO, or to "-" for standard output"#;
            self.wrong(place, "the pipe output has no output.path", help);
        }
        let path = path.filter(|path| path.as_os_str() != "-");
        Output::Pipe { path, format }
    }

    fn wav(&mut self, path: Option<PathBuf>, format: SampleFormat, place: &Origin) -> Output {
        if path.as_ref().is_none_or(|path| path.as_os_str() == "-") {
            let help = "set output.path to the file to write";
            self.wrong(place, "the wav output has no output.path", help);
        }
        let path = path.unwrap_or_default();
        Output::Wav { path, format }
    }

    fn origins(&self) -> Origins {
        let of = |path: &str| {
            let mut entries = self.group.entries.iter().rev();
            entries
                .find(|(name, _)| *name == path)
                .map_or(Origin::Default, |(_, value)| value.origin.clone())
        };
        Origins {
            section: None,
            id: of(schema::ID),
            name: of("name"),
            port: of("network.port"),
            output: match of("output.path") {
                Origin::Default => of("output.device"),
                path => path,
            },
        }
    }
}
