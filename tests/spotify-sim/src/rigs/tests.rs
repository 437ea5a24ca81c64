use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mdns_sd::{ServiceDaemon, ServiceInfo, UnregisterStatus};

use super::*;
use crate::catalogue::Catalogue;
use crate::listen;
use crate::phone::{Phone, SERVICE_TYPE};

const LIMIT: Duration = Duration::from_secs(20);

/// A tone track as S16 at the given length.
fn s16(frames: usize) -> Vec<u8> {
    let samples = Catalogue::standard().titled("Tones").tracks[0].samples();
    samples[..frames]
        .iter()
        .flatten()
        .flat_map(|s| ((s * 32_767.0) as i16).to_le_bytes())
        .collect()
}

fn aplay(config: &str, device: &str, bytes: &[u8]) -> Child {
    let mut child = Command::new("aplay")
        .args([
            "-q", "-D", device, "-t", "raw", "-f", "S16_LE", "-r", "44100", "-c", "2",
        ])
        .env("ALSA_CONFIG_PATH", config)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("aplay is installed (alsa-utils)");
    let mut pipe = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    // Ends by itself: with the music, or when aplay goes away.
    std::thread::spawn(move || pipe.write_all(&bytes));
    child
}

fn complaint(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_card_plays_in_real_time_and_remembers_every_sample() {
    let dac = FakeDac::build().unwrap();
    let music = s16(44_100);
    let begun = Instant::now();
    let child = aplay(&dac.alsa_config(), "usbdac", &music);
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        begun.elapsed() > Duration::from_millis(900),
        "{:?}",
        begun.elapsed()
    );
    let heard = dac.capture();
    // ALSA fills the last period with silence.
    assert!(
        heard.len() >= 44_100,
        "{} {:?}",
        heard.len(),
        dac.usbdac().events()
    );
    assert_eq!(heard[..44_100], listen::from_s16(&music));
    let started = dac
        .usbdac()
        .events()
        .into_iter()
        .find(|e| e.what == "prepare")
        .unwrap();
    assert!(
        started.detail.contains("rate=44100 format=S16_LE"),
        "{started:?}"
    );
}

#[test]
fn a_card_that_takes_only_48_khz_refuses_others_and_plays_behind_the_converter() {
    let dac = FakeDac::build().unwrap();
    let refused = complaint(aplay(&dac.alsa_config(), "dac48", &s16(4_410)));
    assert!(
        refused.contains("format non available") || refused.contains("not available"),
        "{refused}"
    );
    let child = aplay(&dac.alsa_config(), "plug:dac48", &s16(22_050));
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(dac.dac48().heard() >= 23_000, "{}", dac.dac48().heard());
}

#[test]
fn the_default_device_leads_to_the_card() {
    let dac = FakeDac::build().unwrap();
    let child = aplay(&dac.alsa_config(), "default", &s16(8_820));
    assert!(child.wait_with_output().unwrap().status.success());
    assert!(dac.usbdac().heard() >= 8_820);
    let listed = Command::new("aplay")
        .arg("-L")
        .env("ALSA_CONFIG_PATH", dac.alsa_config())
        .output()
        .unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.contains("usbdac") && listed.contains("Fake USB DAC") && listed.contains("dac48"),
        "{listed}"
    );
}

#[test]
fn each_refusal_has_its_own_reason() {
    let dac = FakeDac::build().unwrap();
    for (state, reason) in [
        (State::Busy, "Device or resource busy"),
        (State::Absent, "No such file or directory"),
        (State::Gone, "No such device"),
        (State::Perm, "Permission denied"),
        (State::Eio, "Input/output error"),
    ] {
        dac.set(state);
        let said = complaint(aplay(&dac.alsa_config(), "usbdac", &s16(441)));
        assert!(said.contains(reason), "{state:?}: {said}");
    }
    assert_eq!(dac.usbdac().count("refused"), 5);
    assert_eq!(dac.usbdac().heard(), 0);
}

#[test]
fn only_one_program_at_a_time_has_the_card() {
    let dac = FakeDac::build().unwrap();
    let mut first = aplay(&dac.alsa_config(), "usbdac", &s16(441_000));
    dac.usbdac().wait_heard(100, LIMIT).unwrap();
    assert!(complaint(aplay(&dac.alsa_config(), "usbdac", &s16(441))).contains("busy"));
    first.kill().unwrap();
    first.wait().unwrap();
    let second = aplay(&dac.alsa_config(), "usbdac", &s16(4_410));
    assert!(second.wait_with_output().unwrap().status.success());
}

#[test]
fn pulling_the_plug_ends_the_program_and_what_was_in_the_buffer_is_never_heard() {
    let dac = FakeDac::build().unwrap();
    let child = aplay(&dac.alsa_config(), "usbdac", &s16(441_000));
    dac.usbdac().wait_heard(10_000, LIMIT).unwrap();
    dac.set(State::Gone);
    let said = complaint(child);
    assert!(
        said.contains("No such device") || said.contains("error"),
        "{said}"
    );
    assert_eq!(dac.usbdac().count("unplugged"), 1);
    let heard = dac.capture();
    assert_eq!(heard[..10_000], listen::from_s16(&s16(10_000)));
    dac.set(State::Ok);
    assert!(
        aplay(&dac.alsa_config(), "usbdac", &s16(441))
            .wait()
            .unwrap()
            .success()
    );
}

#[test]
fn a_stalled_card_hangs_without_an_error_and_goes_on_where_it_was() {
    let dac = FakeDac::build().unwrap();
    let child = aplay(&dac.alsa_config(), "usbdac", &s16(44_100));
    dac.usbdac().wait_heard(5_000, LIMIT).unwrap();
    dac.set(State::Stall);
    wait_until("a clock that stands still", LIMIT, || {
        let stood_at = dac.usbdac().heard();
        std::thread::sleep(Duration::from_millis(200));
        (dac.usbdac().heard() == stood_at).then_some(())
    })
    .unwrap();
    assert!(dac.usbdac().heard() < 40_000, "it never stood still");
    dac.set(State::Ok);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(dac.capture()[..44_100], listen::from_s16(&s16(44_100)));
    assert_eq!(dac.usbdac().count("underrun"), 0);
}

#[test]
fn the_sound_server_is_heard_killed_and_comes_back() {
    let mut pulse = PulseServer::start().unwrap();
    let recording = pulse.record().unwrap();
    let child = aplay(&pulse.alsa_config(), "speaker", &s16(44_100));
    let output = child.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let wanted = listen::from_s16(&s16(44_100));
    let found = wait_until("the music in the recording", LIMIT, || {
        listen::align(&recording.so_far(), &wanted).ok()
    });
    let found = found.unwrap();
    let difference = listen::compare(&recording.stop(), &wanted[441..40_000], found.lag + 441);
    assert!(difference.max_error < 0.001, "{difference:?}");
    assert!(pulse.pactl("list short sinks").unwrap().contains("speaker"));
    pulse.kill();
    assert!(complaint(aplay(&pulse.alsa_config(), "default", &s16(441))).contains("refused"));
    pulse.restart().unwrap();
    assert!(
        aplay(&pulse.alsa_config(), "default", &s16(4_410))
            .wait()
            .unwrap()
            .success()
    );
}

#[test]
fn a_paced_reader_takes_a_second_for_a_second() {
    let fifo = Fifo::start(FifoFormat::S16, Pace::RealTime).unwrap();
    let music = s16(22_050);
    let begun = Instant::now();
    let mut pipe = OpenOptions::new().write(true).open(fifo.path()).unwrap();
    pipe.write_all(&music).unwrap();
    fifo.wait_frames(22_050, LIMIT).unwrap();
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(430), "{took:?}");
    assert_eq!(fifo.capture(), listen::from_s16(&music));
    assert_eq!(fifo.intake().last().unwrap().total, music.len());
}

#[test]
fn a_stuck_reader_lets_the_pipe_fill_and_a_fast_one_empties_it() {
    let fifo = Fifo::start(FifoFormat::S16, Pace::Stuck).unwrap();
    let mut pipe = OpenOptions::new().write(true).open(fifo.path()).unwrap();
    let music = s16(220_500);
    let writer = std::thread::spawn(move || pipe.write_all(&music));
    std::thread::sleep(Duration::from_millis(50));
    assert!(!writer.is_finished());
    assert_eq!(fifo.capture().len(), 0);
    let begun = Instant::now();
    fifo.set_pace(Pace::Unpaced);
    fifo.wait_frames(220_500, LIMIT).unwrap();
    writer.join().unwrap().unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_reader_that_goes_away_breaks_the_pipe_and_may_come_back() {
    let mut fifo = Fifo::start(FifoFormat::F32, Pace::Unpaced).unwrap();
    let mut pipe = OpenOptions::new().write(true).open(fifo.path()).unwrap();
    fifo.close();
    let broken = pipe.write_all(&[0; 8]).unwrap_err();
    assert_eq!(broken.kind(), io::ErrorKind::BrokenPipe);
    fifo.resume().unwrap();
    pipe.write_all(&[0; 8]).unwrap();
    fifo.wait_frames(1, LIMIT).unwrap();
}

/// The responder and the name to take back.
fn announce(name: &str, port: u16) -> (ServiceDaemon, String) {
    let daemon = ServiceDaemon::new().unwrap();
    let txt = [("CPath", "/zc"), ("VERSION", "1.0")];
    let info =
        ServiceInfo::new(SERVICE_TYPE, name, "speaker-1.local.", "", port, &txt[..]).unwrap();
    let mut info = info.enable_addr_auto();
    info.set_requires_probe(false);
    let fullname = info.get_fullname().to_string();
    daemon.register(info).unwrap();
    (daemon, fullname)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_phone_finds_a_speaker_in_a_network_with_only_lo_and_hears_its_goodbye() {
    let _inside = Namespace::enter().unwrap();
    let (speaker, fullname) = announce("Kitchen, 1.5 m up", 4_711);
    runtime().block_on(async {
        let mut watch = Phone::new("phone").watch().unwrap();
        let found = watch
            .until(|f| f.instance == "Kitchen, 1.5 m up", LIMIT)
            .await
            .unwrap();
        assert_eq!((found.port, found.cpath().as_str()), (4_711, "/zc"));
        assert!(found.address().unwrap().is_ipv4(), "{found:?}");
        let gone = speaker.unregister(&fullname).unwrap();
        assert!(matches!(
            gone.recv_async().await.unwrap(),
            UnregisterStatus::OK
        ));
        watch.until_gone("Kitchen, 1.5 m up", LIMIT).await.unwrap();
    });
    let _ = speaker.shutdown();
}

#[test]
fn a_phone_at_the_other_end_of_a_cable_sees_only_the_cables_address() {
    let (home, elsewhere) = (Network::bare().unwrap(), Network::bare().unwrap());
    home.cable(
        ("eth0", "10.78.0.1/24"),
        &elsewhere,
        ("eth0", "10.78.0.2/24"),
    )
    .unwrap();
    home.add_bridge("docker0", "172.17.0.1/16").unwrap();
    let _speaker = {
        let _inside = home.enter().unwrap();
        announce("Hall", 4_712)
    };
    let _inside = elsewhere.enter().unwrap();
    let found = runtime()
        .block_on(Phone::new("phone").find("Hall", LIMIT))
        .unwrap();
    assert!(
        found.addresses.contains(&IpAddr::from([10, 78, 0, 1])),
        "{found:?}"
    );
}

#[test]
fn a_network_of_our_own_starts_empty_and_changes_on_demand() {
    let outside = std::fs::read_link("/proc/thread-self/ns/net").unwrap();
    {
        let inside = Namespace::enter().unwrap();
        let network = inside.network();
        assert_ne!(
            std::fs::read_link("/proc/thread-self/ns/net").unwrap(),
            outside
        );
        assert!(UdpSocket::bind("10.77.0.1:0").is_ok());
        assert!(UdpSocket::bind("10.99.0.1:0").is_err());
        network.add_dummy("wlan0", "10.99.0.1/24").unwrap();
        assert!(UdpSocket::bind("10.99.0.1:0").is_ok());
        network.remove_address("wlan0", "10.99.0.1/24").unwrap();
        assert!(UdpSocket::bind("10.99.0.1:0").is_err());
        network.set_link("wlan0", false).unwrap();
        network.remove_link("wlan0").unwrap();
        let wrong = network.remove_link("wlan0").unwrap_err().to_string();
        assert!(wrong.contains("wlan0"), "{wrong}");
    }
    assert_eq!(
        std::fs::read_link("/proc/thread-self/ns/net").unwrap(),
        outside
    );
}
