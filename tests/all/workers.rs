//! `workers`: what several of them ship is what one ships, in the same order, through kills and reloads.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::place::{Place, Signal, append, pipeline_of, start, wait_for};

const FILES: u64 = 8;
const LINES: u64 = 6_000;

/// A log of one model server: every 40th line is no record.
fn log(file: u64, lines: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for number in lines {
        match number % 40 {
            7 => writeln!(text, "a line of a web server, {number}").unwrap(),
            _ => writeln!(
                text,
                "{{\"event\":\"inference\",\"request_id\":\"r-{file}-{number}\",\"features\":{{\"amount\":{number}.50}},\
                 \"prediction\":\"fraud\",\"confidence\":0.{:03},\"timestamp\":\"2026-11-23T10:00:00Z\"}}",
                number % 1_000
            )
            .unwrap(),
        }
    }
    text
}

fn pipeline(workers: u32, sink: &str) -> String {
    let files = "paths: [\"logs/*.ndjson\"], poll_interval: 50ms";
    pipeline_of(files, "- drop: { name: some, when: \"confidence < 0.01\" }", sink) + &format!("workers: {workers}\n")
}

/// What is shipped to standard output, by file, without the digest of the configuration.
fn shipped(place: &Place, workers: u32) -> BTreeMap<String, String> {
    place.set_pipeline(&pipeline(workers, "stdout"));
    let data = format!("data-{workers}");
    let arguments = ["run", "p.yaml", "--once", "--listen", "off", "--data-dir", &data];
    let ended = start(place.inferlog(&arguments)).wait();
    assert_eq!(ended.code, Some(1), "lines went to the dead letter: {}", ended.stderr);
    let mut files = BTreeMap::<String, String>::new();
    for line in ended.stdout.lines() {
        let (before, config) = line.split_once("\"inferlog.config\":\"").unwrap();
        let path = config.split("\"log.file.path\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        writeln!(files.entry(path).or_default(), "{before}{}", &config["12345678".len()..]).unwrap();
    }
    files
}

#[test]
fn several_workers_ship_the_bytes_that_one_ships_and_each_file_in_its_order() {
    let place = Place::new("");
    for file in 0..FILES {
        append(&place.path(&format!("logs/{file}.ndjson")), log(file, 0..LINES));
    }
    let (one, four) = (shipped(&place, 1), shipped(&place, 4));
    assert_eq!(four.len() as u64, FILES);
    for (path, text) in &four {
        let offset = |line: &str| {
            let after = line.split("\"log.offset\":").nth(1).unwrap();
            after.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<u64>().unwrap()
        };
        let offsets: Vec<u64> = text.lines().map(offset).collect();
        assert!(offsets.len() > 5_000 && offsets.is_sorted_by(|one, next| one < next), "{path} is out of order");
        assert!(one[path] == *text, "not the same bytes of {path}");
    }
    let dead = |workers: u32| {
        let folder = place.path(&format!("data-{workers}/p/dead_letter"));
        let files = fs::read_dir(folder).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap());
        let entries = files.collect::<String>();
        let without_time = |line: &str| {
            let mut entry: Value = serde_json::from_str(line).unwrap();
            entry.as_object_mut().unwrap().remove("time");
            entry.to_string()
        };
        entries.lines().map(without_time).collect::<Vec<_>>()
    };
    assert_eq!(dead(1).len() as u64, FILES * LINES / 40);
    // Whose turn it is depends on the block's size; a file's own entries are in its order.
    for file in 0..FILES {
        let of_file = |entries: Vec<String>| {
            let name = format!("/{file}.ndjson\"");
            entries.into_iter().filter(|entry| entry.contains(&name)).collect::<Vec<_>>()
        };
        assert_eq!(of_file(dead(1)), of_file(dead(4)));
    }
}

#[test]
fn nothing_is_missing_through_kills_and_reloads() {
    let place = Place::new(&pipeline(3, "store"));
    let (mut written, mut random) = (0, fastrand::Rng::with_seed(crate::numbered::seed()));
    let mut write = |place: &Place, lines: u64| {
        for file in 0..3 {
            append(&place.path(&format!("logs/{file}.ndjson")), log(file, written..written + lines));
        }
        written += lines;
    };
    for _ in 0..10 {
        write(&place, 2_000);
        let running = place.run();
        std::thread::sleep(std::time::Duration::from_millis(random.u64(..200)));
        drop(running);
    }
    let running = place.run();
    for (round, workers) in [1, 2, 5].into_iter().enumerate() {
        write(&place, 1_000);
        place.set_pipeline(&pipeline(workers, "store"));
        running.signal(Signal::HUP);
        let has_reloaded = || running.stderr().matches("reloaded: restarted: p").count() > round;
        wait_for("a reload", || has_reloaded().then_some(()));
    }
    write(&place, 1_000);
    running.stop();
    let ended = place.run_once();
    assert!(matches!(ended.code, Some(0 | 1)), "{ended:?}");
    let ended = start(place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data"])).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let of_a_file: u64 = (0..written).filter(|number| number % 40 != 7 && number % 1_000 >= 10).count() as u64;
    assert_eq!(place.store().count(), 3 * of_a_file);
}
