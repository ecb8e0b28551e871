//! What does a record cost, in instructions? Time says nothing on a machine that others use; this number is the same each
//! time, so that whoever makes the way of a record longer hears of it here.
//!
//! The built binary ships two logs of records under `valgrind --tool=callgrind`, and the difference is that of the records
//! alone. It is held to what `tests/instructions/recorded.txt` has for the target and the optimisation of this build,
//! both ways: who makes it shorter records that, too.
//!
//! ```text
//! INFERLOG_RECORD_INSTRUCTIONS=1 cargo test --test all -- instructions::
//! ```
//!
//! valgrind's processor has no SHA instructions: hashes are counted as software, which is some of each record, and always
//! the same.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::numbered::report;
use crate::place::{Place, pipeline_of};
use crate::scripted::{Answer, scripted};
use crate::support::provided;

const TEST: &str = "instructions a record";

const FEW: u64 = 500;
const MANY: u64 = 2_500;

/// How far from what was recorded, in percent. From run to run it is some hundredths.
const TOLERANCE_PERCENT: f64 = 8.0;

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/instructions/recorded.txt");

/// Of which build a number is.
fn build() -> String {
    format!("{} opt-level {}", env!("INFERLOG_TARGET"), env!("INFERLOG_OPT_LEVEL"))
}

/// So many records as a model server writes them.
fn log(records: u64) -> String {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::new();
    for n in 0..records {
        let _ = writeln!(
            text,
            "{{\"event\": \"inference\", \"request_id\": \"{:032x}\", \"model_version\": \"anomaly-3.2.1\", \"features\": \
             {{\"amount\": {}.{:02}, \"country\": \"DE\", \"age\": {}, \"merchant\": \"m-{:04}\", \"score\": 0.{:04}}}, \
             \"prediction\": \"fraud\", \"confidence\": 0.{:03}, \"latency_ms\": 12.{}, \"status\": \"success\", \
             \"level\": \"info\", \"timestamp\": \"2026-11-23T10:00:{:02}.{:06}Z\"}}",
            random.u128(..),
            random.u16(1..2_000),
            random.u8(1..100),
            random.u8(18..90),
            random.u16(0..10_000),
            random.u16(1..10_000),
            random.u16(1..1_000),
            random.u8(0..10),
            n / 100 % 60,
            n % 1_000_000,
        );
    }
    text
}

/// How many instructions a run takes that ships so many records.
fn instructions(valgrind: &str, records: u64) -> u64 {
    let url = scripted(|asked| Answer::created(&asked.body));
    let sink = format!("{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: logs-ml.inference-default }} }}");
    let redact = "- redact: { fields: [user.email] }";
    // What is sent together must not depend on how slow a machine is.
    let batch = "batch: { bytes_max: 256KiB, linger: 60s }\n";
    let place = Place::new(&(pipeline_of("paths: [\"logs/*.ndjson\"]", redact, &sink) + batch));
    place.append(log(records));
    let plain = place.run_command(&["--once", "--listen", "off"]);
    let mut command = Command::new(valgrind);
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(plain.get_program());
    command.args(plain.get_args()).current_dir(place.path("")).env_clear().env("HOME", place.path("home"));
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    collected.and_then(|(_, number)| number.trim().parse().ok()).unwrap_or_else(|| panic!("no number: {said}"))
}

/// The recorded number of a build.
fn recorded(text: &str, build: &str) -> Option<u64> {
    let numbers = text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.rsplit_once(": "));
    numbers.filter(|(of, _)| *of == build).find_map(|(_, number)| number.parse().ok())
}

/// The text with the number of a build put in.
fn with_number(text: &str, build: &str, number: u64) -> String {
    let is_other = |line: &&str| line.rsplit_once(": ").is_none_or(|(of, _)| of != build);
    let mut lines: Vec<String> = text.lines().filter(is_other).map(ToOwned::to_owned).collect();
    lines.push(format!("{build}: {number}"));
    lines.join("\n") + "\n"
}

#[test]
fn a_record_takes_no_more_instructions_than_recorded() {
    let is_recorded = std::env::var_os("INFERLOG_RECORD_INSTRUCTIONS").is_some();
    let valgrind = if is_recorded { Some("valgrind".to_owned()) } else { provided("INFERLOG_TEST_VALGRIND", TEST) };
    let Some(valgrind) = valgrind else { return };
    let [few, many] = [FEW, MANY].map(|records| {
        let valgrind = valgrind.clone();
        std::thread::spawn(move || instructions(&valgrind, records))
    });
    let (few, many) = (few.join().unwrap(), many.join().unwrap());
    let found = (many - few) / (MANY - FEW);
    let (build, text) = (build(), fs::read_to_string(RECORDED).unwrap());
    report(&format!("a record takes {found} instructions ({build})"));
    if is_recorded {
        return fs::write(RECORDED, with_number(&text, &build, found)).unwrap();
    }
    let again = "`INFERLOG_RECORD_INSTRUCTIONS=1 cargo test --test all -- instructions::` records it";
    let Some(recorded) = recorded(&text, &build) else { panic!("no number for {build}: {again}") };
    let percent = 100.0 * (found as f64 / recorded as f64 - 1.0);
    assert!(
        percent.abs() <= TOLERANCE_PERCENT,
        "a record takes {found} instructions, {percent:+.1} % of the {recorded} that are recorded for {build}. \
         If that is meant: {again}"
    );
}

#[test]
fn recorded_numbers_are_told_apart_by_build() {
    let text = "# a: 1\nx opt-level 0: 10\nx opt-level 1: 20\n";
    assert_eq!(recorded(text, "x opt-level 1"), Some(20));
    assert_eq!(recorded(text, "y opt-level 1"), None);
    let changed = with_number(text, "x opt-level 0", 30);
    assert_eq!((recorded(&changed, "x opt-level 0"), recorded(&changed, "x opt-level 1")), (Some(30), Some(20)));
    assert!(changed.starts_with("# a: 1\n"));
}
