//! The storm: an endpoint that fails a third of its answers, rotation by rename every half second, and `kill -9` every
//! few seconds, at 8,000 records a second. At the end nothing is missing and nothing is there twice.
//!
//! `INFERLOG_TEST_SEED=n` repeats the faults, kills and pauses of a run as far as timing lets it.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::endpoint::Endpoint;
use crate::numbered::{Workshop, is_long, judge, line, report, seed};

const RECORDS_PER_SECOND: u64 = 8_000;
const ROTATED_EVERY: Duration = Duration::from_millis(500);
/// Rotated files are deleted after this many rotations, and not before they are delivered: what is deleted while nobody reads it is
/// lost to everybody, and on a busy machine that may be for long.
const ROTATIONS_KEPT: u64 = 24;

/// How long a writer waits for a file to be delivered.
const DELIVERED_WITHIN: Duration = Duration::from_secs(120);

/// How the writer names rotated files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Naming {
    /// app.log.1 is the newest; all others are renamed at each rotation.
    Numbered,
    /// app.log-0017: named once.
    Dated,
}

/// A writer with one open file, which it rotates itself as Python's `RotatingFileHandler` does.
struct Writer {
    folder: PathBuf,
    checkpoint: PathBuf,
    naming: Naming,
    records_per_second: u64,
    random: fastrand::Rng,
    rotations: u64,
}

impl Writer {
    /// Writes at the pace for as long as told; gives the number of records.
    fn run(mut self, duration: Duration, written: &AtomicU64) -> u64 {
        let started = Instant::now();
        let mut rotated = Instant::now();
        let mut number = 0;
        let mut file = self.open();
        while started.elapsed() < duration {
            let due = (started.elapsed().as_micros() as u64 * self.records_per_second) / 1_000_000;
            while number < due {
                self.write(&mut file, number);
                number += 1;
            }
            written.store(number, Ordering::Release);
            if rotated.elapsed() >= ROTATED_EVERY {
                rotated = Instant::now();
                drop(file);
                self.rotate();
                file = self.open();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        number
    }

    /// Writes a line, now and then in two pieces.
    fn write(&mut self, file: &mut File, number: u64) {
        let line = line(number);
        let cut = if self.random.u8(..50) == 0 { self.random.usize(..line.len()) } else { 0 };
        for piece in [&line[..cut], &line[cut..]] {
            file.write_all(piece.as_bytes()).unwrap();
            if !piece.is_empty() && piece.len() < line.len() && self.random.u8(..20) == 0 {
                std::thread::sleep(Duration::from_millis(self.random.u64(..8)));
            }
        }
    }

    fn open(&self) -> File {
        File::options().create(true).append(true).open(self.folder.join("app.log")).unwrap()
    }

    fn rotate(&mut self) {
        self.rotations += 1;
        let name = |number: u64| match self.naming {
            Naming::Numbered => self.folder.join(format!("app.log.{number}")),
            Naming::Dated => self.folder.join(format!("app.log-{number:04}")),
        };
        match self.naming {
            Naming::Numbered => {
                if self.rotations > ROTATIONS_KEPT {
                    self.wait_until_delivered(&name(ROTATIONS_KEPT));
                }
                for number in (1..self.rotations.min(ROTATIONS_KEPT)).rev() {
                    fs::rename(name(number), name(number + 1)).unwrap();
                }
                fs::rename(self.folder.join("app.log"), name(1)).unwrap();
            }
            Naming::Dated => {
                fs::rename(self.folder.join("app.log"), name(self.rotations)).unwrap();
                if self.rotations > ROTATIONS_KEPT {
                    let oldest = name(self.rotations - ROTATIONS_KEPT);
                    self.wait_until_delivered(&oldest);
                    fs::remove_file(oldest).unwrap();
                }
            }
        }
    }

    /// Waits until the checkpoint says that a file is delivered to its end.
    fn wait_until_delivered(&self, path: &Path) {
        let metadata = fs::metadata(path).unwrap();
        let deadline = Instant::now() + DELIVERED_WITHIN;
        while !is_delivered(&self.checkpoint, metadata.ino(), metadata.len()) {
            assert!(Instant::now() < deadline, "{} is not delivered within {DELIVERED_WITHIN:?}", path.display());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Whether a checkpoint says that so many bytes of a file are delivered.
fn is_delivered(checkpoint: &Path, inode: u64, bytes: u64) -> bool {
    let Ok(text) = fs::read(checkpoint) else { return false };
    let checkpoint: Value = serde_json::from_slice(&text).unwrap();
    let files = checkpoint["files"].as_array().unwrap();
    files.iter().any(|file| file["inode"] == inode && file["committed"]["offset_bytes"].as_u64() >= Some(bytes))
}

pub(crate) fn start_writer(
    workshop: &Workshop,
    naming: Naming,
    records_per_second: u64,
    seed: u64,
    duration: Duration,
) -> (JoinHandle<u64>, Arc<AtomicU64>) {
    let random = fastrand::Rng::with_seed(seed);
    let (folder, checkpoint) = (workshop.path("logs"), workshop.path("data/p/checkpoint.json"));
    let writer = Writer { folder, checkpoint, naming, records_per_second, random, rotations: 0 };
    let written = Arc::new(AtomicU64::new(0));
    let progress = Arc::clone(&written);
    (std::thread::spawn(move || writer.run(duration, &progress)), written)
}

/// `pause_ms_max`: how long the program stays away after a kill.
fn storm(naming: Naming, paths: &str, pause_ms_max: u64, workers: u32) {
    let seed = seed();
    let endpoint = Endpoint::start(seed, 1.0 / 3.0);
    let workshop = Workshop::new(paths, &endpoint.sink());
    workshop.set_workers(workers);
    let duration = Duration::from_secs(if is_long() { 60 } else { 12 });
    let (writer, _) = start_writer(&workshop, naming, RECORDS_PER_SECOND, seed, duration);
    let mut random = fastrand::Rng::with_seed(seed + 1);
    let mut kills = 0;
    let mut running = workshop.start(&[]);
    while !writer.is_finished() {
        let until = Instant::now() + Duration::from_millis(random.u64(500..3_500));
        workshop.wait_until("a while", || writer.is_finished() || Instant::now() >= until);
        running.kill();
        kills += 1;
        std::thread::sleep(Duration::from_millis(random.u64(..=pause_ms_max)));
        running = workshop.start(&[]);
    }
    let written = writer.join().unwrap();
    let caught_up = Instant::now();
    let is_complete = || judge(written, true, &endpoint.documents(), &workshop.dead()).missing.is_empty();
    let expected_about = written * 46 / 50;
    let deadline = Instant::now() + Duration::from_secs(30);
    workshop.wait_until("all is delivered", || {
        Instant::now() > deadline || (endpoint.count() >= expected_about && is_complete())
    });
    running.stop();
    workshop.must_be_exact(&format!("storm, seed {seed}"), written, true, &endpoint.documents());
    report(&format!(
        "storm ({naming:?}, {paths}, {workers} workers, seed {seed}): {written} records in {duration:?}, {kills} kills, caught up {:.1} s \
         after the writer; {}; {} lines in the log; 0 missing, 0 doubled",
        caught_up.elapsed().as_secs_f64(),
        endpoint.summary(),
        workshop.said().lines().count()
    ));
}

#[test]
fn storm_with_numbered_rotation() {
    storm(Naming::Numbered, "[\"logs/app.log*\"]", 700, 1);
}

#[test]
fn storm_with_numbered_rotation_and_three_workers() {
    storm(Naming::Numbered, "[\"logs/app.log*\"]", 700, 3);
}

#[test]
fn storm_with_rotation_out_of_the_glob() {
    // A name outside of the globs is only found by who was there when the file got it, so a kill, a pause and a start
    // must fit between two rotations, on a busy machine, too.
    storm(Naming::Dated, "[\"logs/app.log\"]", 50, 1);
}
