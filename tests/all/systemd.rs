//! The systemd unit, as far as it can be looked at without a systemd that runs: what the service manager is told, whether the
//! unit is right, and how exposed it leaves the service.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::monitoring::{must_succeed, project};
use crate::place::{PATIENCE, Place, Running, Signal, free_address, pipeline, start};
use crate::support::provided;

/// The most that `systemd-analyze security` may find, in tenths of its points (0 to 100): docs/install.md says it.
const EXPOSURE_TENTHS_MAX: &str = "11";

/// A run as a service of `Type=notify` with a watchdog of 200 ms, and the socket at which it says how it is.
fn service(place: &Place) -> (Running, UnixDatagram) {
    let socket = UnixDatagram::bind(place.path("notify")).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = free_address();
    let mut command = place.run_command(&["--listen", &address.to_string()]);
    command.env("NOTIFY_SOCKET", place.path("notify")).env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
    let mut running = start(command);
    running.address = Some(address);
    (running, socket)
}

/// The next message that has this line; what else is said is passed over.
fn heard(socket: &UnixDatagram, line: &str) -> String {
    let mut bytes = [0; 4_096];
    let mut before = Vec::new();
    // The watchdog is heard all along.
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {line}, heard {before:?}");
        let length = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("{line}: {error}, after {before:?}"));
        let message = String::from_utf8(bytes[..length].to_vec()).unwrap();
        if message.lines().any(|said| said == line) {
            return message;
        }
        if before.last() != Some(&message) {
            before.push(message);
        }
    }
}

#[test]
fn the_service_manager_hears_of_start_reload_stop_and_that_it_is_alive() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let (running, socket) = service(&place);
    heard(&socket, "READY=1");
    assert_eq!(running.get("/healthz").0, 200, "who is ready listens");
    for _ in 0..3 {
        let message = heard(&socket, "WATCHDOG=1");
        assert!(message.contains("STATUS=every pipeline runs"), "{message}");
    }
    running.signal(Signal::HUP);
    let reloading = heard(&socket, "RELOADING=1");
    let monotonic = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    assert!(monotonic.unwrap().parse::<u64>().unwrap() > 0, "{reloading}");
    heard(&socket, "READY=1");
    place.set_pipeline("source: 7\n");
    running.signal(Signal::HUP);
    heard(&socket, "RELOADING=1");
    heard(&socket, "READY=1");
    running.signal(Signal::TERM);
    heard(&socket, "STOPPING=1");
    assert_eq!(running.wait().code, Some(0));
}

#[test]
fn a_sink_that_is_down_keeps_no_service_from_starting_and_is_in_its_status() {
    let sink = format!(
        "{{ elasticsearch: {{ hosts: [\"http://{}\"], data_stream: logs-ml.inference-default }} }}",
        free_address()
    );
    let place = Place::new(&pipeline(&sink));
    place.append(crate::place::record(0));
    let (running, socket) = service(&place);
    heard(&socket, "READY=1");
    crate::place::wait_for("the outage in the status", || {
        let message = heard(&socket, "WATCHDOG=1");
        message.contains("STATUS=not ready: pipeline `p`, sink `elasticsearch`: ").then_some(())
    });
    drop(running);
}

#[test]
fn a_service_manager_that_is_gone_stops_nothing() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let (running, socket) = service(&place);
    heard(&socket, "READY=1");
    drop(socket);
    fs::remove_file(place.path("notify")).unwrap();
    place.append(crate::place::record(0));
    running.wait_for_metric("inferlog_settled_lines_total{pipeline=\"p\"}", 1);
    running.stop();
}

fn unit() -> String {
    fs::read_to_string(project("deploy/systemd/inferlog.service")).unwrap()
}

/// The values of a key of the unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// The unit in a folder of its own, with a program that is there.
fn unit_file(place: &Place, unit: &str) -> PathBuf {
    let path = place.path("inferlog.service");
    fs::write(&path, unit.replace("/usr/local/bin/inferlog", env!("CARGO_BIN_EXE_inferlog"))).unwrap();
    path
}

#[test]
fn the_unit_is_right_and_leaves_little_exposed() {
    let test = "systemd::the_unit_is_right_and_leaves_little_exposed";
    let Some(program) = provided("INFERLOG_TEST_SYSTEMD_ANALYZE", test) else { return };
    let analyze = |arguments: &[&str], unit: &str| {
        let place = Place::new("");
        let mut command = Command::new(&program);
        command.args(arguments).arg(unit_file(&place, unit));
        let output = command.output().unwrap();
        // `verify` says what it would ignore, and ends well all the same.
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let verify = |unit: &str| analyze(&["verify", "--man=no"], unit);
    assert_eq!(verify(&unit()), (true, String::new()));
    assert!(verify(&unit().replace("RestartSec=5", "RestartSeconds=5")).1.contains("RestartSeconds"));
    let threshold = format!("--threshold={EXPOSURE_TENTHS_MAX}");
    let exposed = |unit: &str| !analyze(&["security", "--offline=true", "--no-pager", &threshold], unit).0;
    assert!(!exposed(&unit()), "see `systemd-analyze security --offline=true deploy/systemd/inferlog.service`");
    assert!(exposed(&unit().replace("SystemCallFilter=", "#")), "less would be seen");
}

#[test]
fn the_unit_agrees_with_the_binary() {
    let unit = unit();
    let place = Place::new("");
    fs::create_dir(place.path("pipelines")).unwrap();
    fs::write(place.path("pipelines/p.yaml"), pipeline("{ store: {} }").replace("logs/", "../logs/")).unwrap();
    let [start_line] = values(&unit, "ExecStart")[..] else { panic!("one program") };
    let arguments = start_line.strip_prefix("/usr/local/bin/inferlog ").unwrap();
    let arguments = arguments.replace("/etc/inferlog/pipelines", "pipelines");
    let address = free_address().to_string();
    let mut command = place.inferlog(&arguments.split(' ').chain(["--listen", &address]).collect::<Vec<_>>());
    command.env("STATE_DIRECTORY", place.path("state"));
    let mut running = start(command);
    running.address = Some(address.parse().unwrap());
    crate::place::wait_for("the state where systemd wants it", || {
        running.must_run();
        place.path("state/p/checkpoint.json").exists().then_some(())
    });
    running.stop();
    // The service is given longer than inferlog takes at most.
    let seconds: Vec<u64> = values(&unit, "TimeoutStopSec").iter().map(|text| text.parse().unwrap()).collect();
    assert!(seconds[..] == [30], "shutdown_timeout is 25 s");
    for page in values(&unit, "Documentation").iter().flat_map(|pages| pages.split(' ')) {
        let page = page.strip_prefix("man:").and_then(|page| page.strip_suffix("(1)")).unwrap();
        must_succeed(&mut place.inferlog(&["man", "man1"]));
        assert!(place.path(&format!("man1/{page}.1")).exists(), "{page}");
    }
    let watchdog: Duration = Duration::from_secs(values(&unit, "WatchdogSec")[0].parse().unwrap());
    assert!(watchdog >= Duration::from_secs(10), "a disk may be slow for as long");
}
