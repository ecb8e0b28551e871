//! Large files, many files, long lines: what they cost, and that nobody starves.

use super::scripts::append;
use super::*;

#[test]
fn a_huge_file_does_not_starve_small_ones() {
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, 1 << 20);
    let line = format!("{}\n", "x".repeat(999));
    append(&bench.path("0.log"), line.repeat(50_000).as_bytes());
    for number in 1..=1_000 {
        append(&bench.path(&format!("{number}.log")), b"small\n");
    }
    bench.files.schedule.next = Instant::now();
    // One block of the huge file, and each of the small ones.
    for _ in 0..1_001 {
        assert!(bench.read_chunk());
    }
    assert_eq!(bench.seen.iter().filter(|seen| seen.text == "small").count(), 1_000);
    assert!(bench.seen.len() < 1_000 + 2 * BLOCK_BYTES / line.len());
    while bench.read_chunk() {}
    assert_eq!(bench.seen.len(), 51_000);
    assert!(bench.files.buffer.len() <= BLOCK_BYTES + TAIL_BYTES_MAX, "{}", bench.files.buffer.len());
}

#[test]
fn ten_thousand_files_are_read_and_quiet_ones_cost_one_look() {
    let mut bench = Bench::new(&["**/*.log"], &[], FirstSeen::Beginning, 1 << 20);
    for folder in 0..10 {
        fs_err::create_dir(bench.path(&folder.to_string())).unwrap();
        for file in 0..1_000 {
            append(&bench.path(&format!("{folder}/{file}.log")), b"1\n2\n");
        }
    }
    bench.look();
    assert_eq!((bench.seen.len(), bench.files.open_files(), bench.chunks), (20_000, 10_000, 10_000));
    bench.look();
    assert!(bench.files.register.roster.next_turn().is_none());
    append(&bench.path("3/7.log"), b"3\n");
    bench.look();
    assert_eq!((bench.seen.len(), bench.chunks), (20_001, 10_001));
    bench.commit_all();
    let entries = bench.saved_entries();
    bench.restart(&entries);
    bench.look();
    assert_eq!((bench.seen.len(), bench.files.open_files()), (20_001, 10_000));
}

#[test]
fn a_long_line_is_not_held_in_memory() {
    const LIMIT: usize = 300_000;
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, LIMIT);
    let path = bench.path("a.log");
    append(&path, "y".repeat(LIMIT).as_bytes());
    append(&path, b"\n");
    for _ in 0..20 {
        append(&path, "z".repeat(1 << 20).as_bytes());
    }
    append(&path, b"\nnext\n");
    append(&path, "w".repeat(LIMIT + 1).as_bytes());
    bench.look();
    let lengths: Vec<(u64, String)> = bench.seen.iter().map(|seen| (seen.offset_bytes, seen.text.clone())).collect();
    assert_eq!(lengths[0], (0, "y".repeat(LIMIT)));
    let long = LIMIT as u64 + 1;
    assert_eq!(lengths[1..], [(long, format!("<{} bytes>", 20 << 20)), (long + (20 << 20) + 1, "next".to_owned())]);
    assert!(bench.files.buffer.len() <= LIMIT + 1 + TAIL_BYTES_MAX, "{}", bench.files.buffer.len());
    bench.commit_all();
    let entries = bench.saved_entries();
    bench.restart(&entries);
    append(&path, b"\nlast\n");
    bench.seen.clear();
    bench.look();
    let texts: Vec<&str> = bench.seen.iter().map(|seen| seen.text.as_str()).collect();
    assert_eq!(texts, [format!("<{} bytes>", LIMIT + 1).as_str(), "last"]);
}

#[test]
fn an_endless_line_does_not_hold_up_the_rest() {
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, 64);
    append(&bench.path("a.log"), b"1\n");
    let file = fs_err::OpenOptions::new().write(true).open(bench.path("a.log")).unwrap();
    file.set_len(1 << 40).unwrap();
    bench.files.schedule.next = Instant::now();
    for _ in 0..10 {
        assert!(bench.read_chunk());
    }
    assert_eq!(bench.seen.len(), 1);
    bench.commit_all();
    assert_eq!(bench.saved_entries()[0].committed.offset_bytes, 2);
}

/// What is there once a file, whatever it holds: 10,000 files must not be a question of memory. What only few of them have
/// (a gap, an archive's window, a rest in the salvage folder) stands in boxes.
#[test]
fn a_file_takes_few_bytes() {
    for (name, bytes, bytes_max) in [
        ("an open file", size_of::<file::TailedFile>(), 400),
        ("a fingerprint", size_of::<Fingerprint>(), 20),
        ("what people are told of a file", size_of::<SourceFile>(), 80),
    ] {
        assert!(bytes <= bytes_max, "{name} takes {bytes} bytes, of at most {bytes_max}");
    }
}
