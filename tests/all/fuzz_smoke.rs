//! The fuzz targets on the pinned toolchain: mutations of the seeds in `fuzz/corpus`, for a second each, or a minute with
//! `./test --long`.
//!
//! `FUZZ_SEED=n` begins with another seed, `FUZZ_SECONDS=n` goes on for longer. What fails is saved in `fuzz/artifacts`;
//! put into the corpus, it is tried first of all.

#![allow(clippy::print_stdout, reason = "a failing seed is to be seen")]

// The other runner needs them public.
#[allow(unreachable_pub)]
#[path = "../../fuzz/targets.rs"]
mod targets;

use std::io::Write as _;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use targets::{TARGETS, Target};

/// As much as the thread of a pipeline has.
const STACK_BYTES: usize = 4 * 1024 * 1024;
const INPUT_BYTES_MAX: usize = 4_096;
const INTERESTING: &[u8] =
    b"\0\x01\x1f\x20\x7f\x80\xbf\xc3\xed\xef\xf0\xff\n\r\t\"\\{}[]():,.-+eE0179 aundtf*<>=$'#&!|";

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

fn fuzz_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let folder = fuzz_folder().join("corpus").join(name);
    let mut paths: Vec<PathBuf> = fs_err::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs_err::read(path).unwrap()).collect()
}

/// A part of so many bytes, of at most a few dozen.
fn part(random: &mut fastrand::Rng, bytes: usize) -> Range<usize> {
    let start = random.usize(..=bytes);
    let length_max = (bytes - start).min(1 << random.u32(..7));
    start..start + random.usize(..=length_max)
}

/// Some seed with a few changes.
fn mutated(random: &mut fastrand::Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus[random.usize(..corpus.len())].clone();
    for _ in 0..random.u32(1..6) {
        let range = part(random, input.len());
        let at = range.start;
        match random.u32(..8) {
            0 if at < input.len() => input[at] ^= 1 << random.u32(..8),
            1 if at < input.len() => input[at] = INTERESTING[random.usize(..INTERESTING.len())],
            2 => input.insert(at, INTERESTING[random.usize(..INTERESTING.len())]),
            3 => drop(input.drain(range)),
            4 => {
                let own = part(random, input.len());
                drop(input.splice(at..at, input[own].to_vec()));
            }
            5 => {
                let repeated = input[range.clone()].repeat(random.usize(1..20));
                drop(input.splice(range, repeated));
            }
            6 => {
                let other = &corpus[random.usize(..corpus.len())];
                drop(input.splice(range, other[part(random, other.len())].to_vec()));
            }
            _ if random.u32(..8) == 0 => input.truncate(at),
            _ => input.insert(at, random.u8(..)),
        }
        input.truncate(INPUT_BYTES_MAX);
    }
    input
}

/// Tries one input; what fails is saved, and said where.
fn attempt(name: &str, target: Target, input: &[u8], origin: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        let folder = fuzz_folder().join("artifacts").join(name);
        fs_err::create_dir_all(&folder).unwrap();
        let path = folder.join(origin.replace(' ', "-"));
        fs_err::write(&path, input).unwrap();
        let _ = writeln!(
            std::io::stderr(),
            "fuzz {name}: {origin} fails, saved as {}\n{}",
            path.display(),
            input.escape_ascii()
        );
        resume_unwind(panic);
    }
}

fn fuzz(name: &str, target: Target) {
    let is_long = std::env::var_os("INFERLOG_TEST_LONG").is_some();
    let seed = number("FUZZ_SEED").unwrap_or_else(|| if is_long { fastrand::u64(..1_000_000) } else { 1 });
    let duration = Duration::from_secs(number("FUZZ_SECONDS").unwrap_or(if is_long { 60 } else { 1 }));
    let corpus = seeds(name);
    assert!(corpus.len() >= 3, "{name} has only {} seeds", corpus.len());
    corpus.iter().enumerate().for_each(|(n, input)| attempt(name, target, input, &format!("corpus {n}")));
    let mut random = fastrand::Rng::with_seed(seed);
    let started = Instant::now();
    let mut executions: u64 = 0;
    while started.elapsed() < duration {
        attempt(name, target, &mutated(&mut random, &corpus), &format!("seed {seed} execution {executions}"));
        executions += 1;
    }
    let per_second = executions as f64 / started.elapsed().as_secs_f64();
    // Past the capture of test output.
    let _ = writeln!(std::io::stderr(), "fuzz {name}: seed {seed}, {executions} executions, {per_second:.0} a second");
}

fn check(name: &'static str) {
    let (_, target) = TARGETS.into_iter().find(|(target, _)| *target == name).unwrap();
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || fuzz(name, target));
    if let Err(panic) = thread.unwrap().join() {
        resume_unwind(panic);
    }
}

#[test]
fn decode_survives() {
    check("decode");
}

#[test]
fn framing_survives() {
    check("framing");
}

#[test]
fn entries_are_the_same_whenever_they_are_read() {
    check("entries");
}

#[test]
fn record_survives() {
    check("record");
}

#[test]
fn bulk_answer_survives() {
    check("bulk_answer");
}

#[test]
fn checkpoint_survives() {
    check("checkpoint");
}

#[test]
fn pipeline_file_survives() {
    check("pipeline_file");
}

#[test]
fn kql_survives() {
    check("kql");
}

#[test]
fn canonical_survives() {
    check("canonical");
}
