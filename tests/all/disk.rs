//! A full disk, and a stop with the sink down.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::endpoint::Endpoint;
use crate::numbered::{Found, Workshop, is_long, lines, report};
use crate::place::{Place, append, pipeline_of};

/// A small file system in memory; unmounted when dropped.
struct Tmpfs<'w> {
    folder: &'w Path,
}

impl<'w> Tmpfs<'w> {
    /// `None`, and a word, where mounting is not allowed.
    fn mount(folder: &'w Path, size: &str, test: &str) -> Option<Tmpfs<'w>> {
        let mounted = mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"], folder);
        if !mounted {
            report(&format!("left out: {test} (needs the right to mount a tmpfs)"));
        }
        mounted.then_some(Tmpfs { folder })
    }

    fn resize(&self, size: &str) {
        assert!(mount(&["-o", &format!("remount,size={size}")], self.folder));
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.folder).status();
    }
}

fn mount(arguments: &[&str], folder: &Path) -> bool {
    let output = Command::new("mount").args(arguments).arg(folder).output();
    output.is_ok_and(|output| output.status.success())
}

/// An address at which nothing listens, as a sink.
fn nowhere() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    format!("{{ elasticsearch: {{ hosts: [\"http://{address}\"], data_stream: logs-storm-default }} }}")
}

/// Fills the disk below `data/`, waits until the pipeline says so, makes room, and judges. `words` are what it says.
fn check_full(what: &str, sink: &str, refusing: bool, size: &str, words: &str, indexed: impl Fn(&Workshop) -> Found) {
    const RECORDS: u64 = 30_000;
    let workshop = Workshop::new("[\"logs/*.log\"]", sink);
    let data = workshop.path("data");
    let Some(disk) = Tmpfs::mount(&data, size, what) else { return };
    let (first, second) = (lines(0..RECORDS / 2), lines(RECORDS / 2..RECORDS));
    fs::write(workshop.log("a.log"), &first).unwrap();
    fs::write(workshop.log("b.log"), &second).unwrap();
    let mut running = workshop.start(&[]);
    workshop.wait_until("it says that the disk is full", || workshop.said().contains(words));
    // Again where there was some room in between, which is a matter of turns, but not at every try for ever.
    let tries = Duration::from_secs(3);
    let (mut said, mut last) = (0, Instant::now());
    workshop.wait_until("it repeats nothing for several tries", || {
        let now = workshop.said().matches(words).count();
        if now != said {
            (said, last) = (now, Instant::now());
        }
        last.elapsed() > tries
    });
    assert!(running.is_running());
    disk.resize("200m");
    let made_room = Instant::now();
    workshop.wait_until("all is delivered", || indexed(&workshop).len() as u64 >= RECORDS * 46 / 50);
    let took = made_room.elapsed();
    running.stop();
    workshop.must_be_exact(what, RECORDS, refusing, &indexed(&workshop));
    assert!(fs::read_to_string(workshop.log("a.log")).unwrap() == first, "a log file was written to");
    assert!(fs::read_to_string(workshop.log("b.log")).unwrap() == second, "a log file was written to");
    assert_eq!(fs::read_dir(workshop.path("logs")).unwrap().count(), 2);
    report(&format!(
        "full disk ({what}): said {said} times, all {RECORDS} records delivered {:.1} s after there was room; 0 missing, \
         0 doubled",
        took.as_secs_f64()
    ));
}

#[test]
fn a_full_disk_below_the_store_is_waited_for() {
    check_full("store", "{ store: {} }", false, "3m", "full", Workshop::stored);
}

#[test]
fn a_full_disk_below_the_dead_letter_is_waited_for() {
    let endpoint = Endpoint::start(1, 0.0);
    check_full("dead letter", &endpoint.sink(), true, "160k", "No space left on device", |_| endpoint.documents());
}

/// A pipeline whose sink is down, with something read.
fn stuck() -> Workshop {
    let workshop = Workshop::new("[\"logs/*.log\"]", &nowhere());
    fs::write(workshop.log("a.log"), lines(0..1_000)).unwrap();
    workshop
}

#[test]
fn a_second_signal_stops_at_once() {
    let workshop = stuck();
    let mut running = workshop.start(&[]);
    workshop.wait_until("it has tried", || workshop.said().contains("no answer from"));
    running.terminate();
    workshop.wait_until("it stops", || workshop.said().contains("a second signal stops at once"));
    let began = Instant::now();
    running.terminate();
    assert_eq!(running.code(), Some(1));
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert!(workshop.said().contains("what was not acknowledged is read again"), "{}", workshop.last_words());
}

#[test]
fn a_stop_with_the_sink_down_ends_in_time_and_says_what_is_read_again() {
    if !is_long() {
        return report("left out: a stop with the sink down (takes 25 s; `./test --long`)");
    }
    let workshop = stuck();
    let mut running = workshop.start(&[]);
    workshop.wait_until("it has tried", || workshop.said().contains("no answer from"));
    let began = Instant::now();
    running.terminate();
    assert_eq!(running.code(), Some(1));
    let took = began.elapsed();
    assert!((Duration::from_secs(20)..Duration::from_secs(27)).contains(&took), "{took:?}");
    assert!(workshop.said().contains("are read again at the next start"), "{}", workshop.last_words());
    report(&format!("a stop with the sink down took {:.1} s", took.as_secs_f64()));
}

#[test]
fn a_signal_after_one_of_two_pipelines_has_ended_stops_the_other() {
    let workshop = stuck();
    fs::rename(workshop.path("p.yaml"), workshop.path("q.yaml")).unwrap();
    workshop.write_pipeline("p", "[\"logs/*.log\"]", "{ store: {} }");
    let mut running = workshop.start(&["q.yaml", "--once"]);
    workshop.wait_until("q has tried", || workshop.said().contains("no answer from"));
    // It is known to have ended when what it read is in the store and committed.
    let p_ended = || {
        fs::read_to_string(workshop.path("data/p/checkpoint.json"))
            .is_ok_and(|text| !text.contains("\"offset_bytes\": 0,"))
    };
    workshop.wait_until("p has ended", p_ended);
    std::thread::sleep(Duration::from_millis(500));
    running.terminate();
    workshop.wait_until("it stops", || workshop.said().contains("a second signal stops at once"));
    // Whether the program survives that shows soon after.
    std::thread::sleep(Duration::from_millis(300));
    assert!(running.is_running(), "{}", workshop.last_words());
    running.terminate();
    assert_eq!(running.code(), Some(1), "{}", workshop.last_words());
}

/// Volumes that are made anew number their files alike, and model servers of one kind begin their logs alike.
#[test]
fn files_of_two_fresh_volumes_with_the_same_inode_and_the_same_lines_are_two() {
    const LINES: &str = "{\"event\":\"start\"}\n{\"event\":\"inference\",\"confidence\":0.5}\n";
    let files = "paths: [\"logs/*/a.ndjson\"], poll_interval: 50ms";
    let place = Place::new(&pipeline_of(files, "", "{ store: {} }"));
    let folders = ["1", "2"].map(|volume| place.path("logs").join(volume));
    folders.iter().for_each(|folder| fs::create_dir_all(folder).unwrap());
    let what = "two fresh volumes";
    let Some(_first) = Tmpfs::mount(&folders[0], "1m", what) else { return };
    let Some(_second) = Tmpfs::mount(&folders[1], "1m", what) else { return };
    let logs = folders.each_ref().map(|folder| folder.join("a.ndjson"));
    logs.iter().for_each(|log| fs::write(log, LINES).unwrap());
    let inodes = logs.each_ref().map(|log| fs::metadata(log).unwrap().ino());
    assert_eq!(inodes[0], inodes[1], "what is to be shown");
    for round in 1..=3 {
        place.run_once();
        assert_eq!(place.store().count(), 2 * round + 2, "in round {round}");
        let text = format!("{{\"event\":\"inference\",\"n\":{round}}}\n");
        logs.iter().for_each(|log| append(log, &text));
    }
}
