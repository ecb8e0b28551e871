//! What does a file cost that is open? Whoever tails ten thousand of them counts on little.

use std::fs;

use crate::place::{Place, pipeline, start};

const FEW: u64 = 200;

/// More are not open at once where a process may have 4,096 files.
const MANY: u64 = 3_800;

/// Everything that is there once a file: the file itself, its names, its place in maps, its account. In fact it is 2,200 to
/// 2,750: pages that the allocator has torn up make the difference.
const FILE_BYTES_MAX: u64 = 3_072;

/// The peak of resident memory of a run that delivers so many files with a record each, in bytes.
fn peak_bytes(files: u64) -> u64 {
    let place = Place::new(&pipeline("{ stdout: {} }"));
    for number in 0..files {
        let record = format!("{{\"event\":\"inference\",\"n\":{number}}}\n");
        fs::write(place.path(&format!("logs/a-service-of-many-{number:05}.ndjson")), record).unwrap();
    }
    let (ended, peak_bytes) = start(place.run_command(&["--once", "--listen", "off"])).wait_and_weigh();
    assert_eq!((ended.code, ended.stdout.lines().count() as u64), (Some(0), files), "{}", ended.stderr);
    peak_bytes
}

#[test]
fn an_open_file_takes_little_memory() {
    let (few, many) = (peak_bytes(FEW), peak_bytes(MANY));
    let bytes = many.saturating_sub(few) / (MANY - FEW);
    assert!(
        bytes <= FILE_BYTES_MAX,
        "{bytes} bytes a file, of at most {FILE_BYTES_MAX}: {few} for {FEW}, {many} for {MANY}"
    );
    crate::numbered::report(&format!("an open file takes {bytes} bytes of memory"));
}
