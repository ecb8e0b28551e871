//! Copies go on under the identity of their originals, and files that merely look alike do not.

use super::scripts::{Step, Step::*, append, check};
use super::*;

const ONE: &[(&str, u32, u64, &str)] = &[("a.log", 0, 0, "1")];

/// Plays the steps; afterwards nothing was lost, and every line came from the inode that had it first.
fn check_copies(steps: &[Step]) -> Bench {
    let bench = check(steps);
    assert_eq!(bench.counters.source_lost_bytes_total.get(), 0, "{steps:#?}");
    bench
}

#[test]
fn copytruncate_goes_on_in_the_copy() {
    // The copy is tailed, and seen with the truncation, or before it.
    for early in [false, true] {
        let mut bench =
            check_copies(&[Append("a.log", "1\n"), Look(ONE), Append("a.log", "2\n3"), Copy("a.log", "a.1.log")]);
        let inode = std::os::unix::fs::MetadataExt::ino(&fs_err::metadata(bench.path("a.log")).unwrap());
        bench.seen.clear();
        if early {
            bench.look();
            assert_eq!(bench.seen.drain(..).map(|seen| seen.text).collect::<Vec<_>>(), ["2"]);
        }
        fs_err::write(bench.path("a.log"), "4\n").unwrap();
        bench.look_later();
        bench.look_later();
        let seen = bench.seen.iter().map(|seen| (seen.file.generation, seen.offset_bytes, seen.text.as_str()));
        let mut seen: Vec<_> = seen.collect();
        seen.sort_unstable();
        assert_eq!(
            seen,
            if early { vec![(0, 4, "3"), (1, 0, "4")] } else { vec![(0, 2, "2"), (0, 4, "3"), (1, 0, "4")] }
        );
        assert!(bench.seen.iter().all(|seen| seen.file.inode == inode));
        assert_eq!(bench.counters.source_lost_bytes_total.get(), 0);
        // Acknowledgements of what was read before count for the copy.
        bench.commit_all();
        let entries = bench.saved_entries();
        bench.restart(&entries);
        bench.seen.clear();
        bench.look_later();
        assert_eq!(bench.seen, []);
        append(&bench.path("a.1.log"), b"\n5\n");
        bench.look();
        assert_eq!(
            bench.seen.iter().map(|seen| (seen.file.inode, seen.offset_bytes)).collect::<Vec<_>>(),
            [(inode, 6)]
        );
    }
    // The copy is not tailed, and found beside.
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Append("a.log", "2\n"),
        Copy("a.log", "a.log.1"),
        Cut("a.log", 0),
        Append("a.log", "3\n"),
        Look(&[("a.log", 1, 0, "3"), ("a.log.1", 0, 2, "2")]),
        Commit,
        Restart,
        Look(&[]),
    ]);
    // While down.
    for name in ["a.log.1", "a.1.log", "other"] {
        let mut bench = check_copies(&[
            Append("a.log", "1\n"),
            Look(ONE),
            Commit,
            Restart,
            Append("a.log", "2\n"),
            Copy("a.log", "x"),
            Cut("a.log", 0),
            Append("a.log", "3\n"),
        ]);
        fs_err::rename(bench.path("x"), bench.path(name)).unwrap();
        bench.look();
        let mut seen: Vec<_> =
            bench.seen.iter().map(|seen| (seen.text.as_str(), seen.file.generation, seen.offset_bytes)).collect();
        seen.sort_unstable();
        assert_eq!(seen, [("2", 0, 2), ("3", 1, 0)], "{name}");
    }
}

#[test]
fn copies_of_what_is_gone_are_known() {
    // Copied and deleted, while down: not delivered to its end, or delivered.
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Commit,
        Restart,
        Append("a.log", "2\n"),
        Copy("a.log", "b"),
        Remove("a.log"),
        Look(&[("b", 0, 2, "2")]),
        Commit,
        Restart,
        Append("b", "3\n"),
        Look(&[("b", 0, 4, "3")]),
    ]);
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Commit,
        Append("b", "1\n"),
        Remove("a.log"),
        Later(&[]),
        Rename("b", "a.1.log"),
        Look(&[]),
    ]);
    // Replaced by a copy with more in it.
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Commit,
        Restart,
        Copy("a.log", "b"),
        Append("b", "2\n"),
        Rename("b", "a.log"),
        Look(&[("a.log", 0, 2, "2")]),
    ]);
    // Deleted while its copy is there and its end is not delivered.
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Copy("a.log", "a.2.log"),
        Remove("a.log"),
        Later(&[]),
        Commit,
        Later(&[]),
        Later(&[]),
        Append("a.2.log", "2\n"),
        Look(&[("a.2.log", 0, 2, "2")]),
    ]);
}

#[test]
fn files_that_look_alike_are_files_of_their_own() {
    check_copies(&[
        Append("a.log", "1\n"),
        Append("b.log", "1\n"),
        Look(&[("a.log", 0, 0, "1"), ("b.log", 0, 0, "1")]),
        Commit,
        Restart,
        Look(&[]),
    ]);
    // It could be the copy of a copytruncate, for a while; or it is seen not to be.
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Copy("a.log", "b.log"),
        Look(&[]),
        Later(&[("b.log", 0, 0, "1")]),
    ]);
    check_copies(&[
        Append("a.log", "1\n2\n"),
        Look(&[("a.log", 0, 0, "1"), ("a.log", 0, 2, "2")]),
        Append("b.log", "1\n3\n"),
        Look(&[("b.log", 0, 0, "1"), ("b.log", 0, 2, "3")]),
    ]);
    // The original is there under its name, not open any more.
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Commit,
        Rename("a.log", "a.log.1"),
        Append("a.log", "1\n"),
        Later(&[("a.log", 0, 0, "1")]),
    ]);
    // Short, of another name, and its original was finished long ago.
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Commit,
        Append("b", "1\n"),
        Remove("a.log"),
        Later(&[]),
        Rename("b", "b.log"),
        Look(&[("b.log", 0, 0, "1")]),
    ]);
    // A first megabyte alike.
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, 1 << 20);
    let megabyte = format!("{}\n", "x".repeat(1023)).repeat(1024);
    append(&bench.path("a.log"), megabyte.as_bytes());
    bench.look();
    bench.commit_all();
    append(&bench.path("b.log"), format!("{megabyte}b\n").as_bytes());
    append(&bench.path("a.log"), b"a\n");
    bench.look_later();
    assert_eq!(bench.seen.len(), 2 * 1025);
}

#[test]
fn an_empty_file_may_become_a_copy() {
    check_copies(&[
        Append("a.log", "1\n"),
        Look(ONE),
        Append("a.1.log", ""),
        Look(&[]),
        Append("a.1.log", "1"),
        Look(&[]),
        Append("a.1.log", "\n"),
        Look(&[]),
        Cut("a.log", 0),
        Look(&[]),
        Append("a.1.log", "2\n"),
        Look(&[("a.1.log", 0, 2, "2")]),
    ]);
}

/// Compresses a file as `gzip` and `zstd` do, and removes it.
fn compress(bench: &Bench, name: &str, to: &str) {
    use std::io::Write as _;
    let content = fs_err::read(bench.path(name)).unwrap();
    let file = fs_err::File::create(bench.path(to)).unwrap();
    if to.ends_with(".gz") {
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(&content).unwrap();
        encoder.finish().unwrap();
    } else {
        ruzstd::encoding::compress(content.as_slice(), file, ruzstd::encoding::CompressionLevel::Fastest);
    }
    fs_err::remove_file(bench.path(name)).unwrap();
}

fn texts(bench: &mut Bench) -> Vec<(u64, String)> {
    bench.seen.drain(..).map(|seen| (seen.offset_bytes, seen.text)).collect()
}

#[test]
fn compressed_rotations_are_read_once() {
    for end in ["gz", "zst"] {
        let mut bench = Bench::new(&["a.log*"], &[], FirstSeen::Beginning, 1 << 20);
        let long = format!("{{\"n\":1,\"x\":\"{}\"}}\n", "x".repeat(300_000));
        append(&bench.path("a.log"), long.as_bytes());
        bench.look();
        bench.commit_all();
        let first = bench.seen.pop().unwrap();
        // Not shipped to its end, and compressed while down: read on in the compressed file, with the same origin.
        append(&bench.path("a.log"), b"2\n3");
        let entries = bench.saved_entries();
        bench.restart(&entries);
        let compressed = format!("a.log.1.{end}");
        compress(&bench, "a.log", &compressed);
        append(&bench.path("a.log"), b"new\n");
        bench.look_later();
        bench.look_later();
        let read_on = bench.seen.iter().find(|seen| seen.text == "2").unwrap().clone();
        assert_eq!(
            (read_on.file.inode, read_on.file.first_line_sha256),
            (first.file.inode, first.file.first_line_sha256)
        );
        let length = long.len() as u64;
        let mut seen = texts(&mut bench);
        seen.sort();
        assert_eq!(seen, [(0, "new".to_owned()), (length, "2".to_owned()), (length + 2, "3".to_owned())], "{end}");
        bench.commit_all();
        bench.look_later();
        assert_eq!(bench.counters.source_lost_bytes_total.get(), 0);
        // Known ever after, whatever its name; one that was never seen is read.
        let entries = bench.saved_entries();
        bench.restart(&entries);
        fs_err::rename(bench.path(&compressed), bench.path(&format!("a.log.2.{end}"))).unwrap();
        append(&bench.path("x"), b"other\nlines\n");
        compress(&bench, "x", &format!("a.log.3.{end}"));
        bench.look_later();
        assert_eq!(texts(&mut bench), [(0, "other".to_owned()), (6, "lines".to_owned())], "{end}");
        bench.commit_all();
        bench.look_later();
        assert_eq!(bench.files.open_files(), 1, "{end}: what is delivered is closed");
        let entries = bench.saved_entries();
        bench.restart(&entries);
        bench.look_later();
        assert_eq!(texts(&mut bench), [], "{end}");
    }
}

#[test]
fn what_is_compressed_while_running_is_not_read_twice() {
    for end in ["gz", "zst"] {
        let mut bench = Bench::new(&["a.log*"], &[], FirstSeen::Beginning, 1 << 20);
        append(&bench.path("a.log"), b"1\n2\n");
        bench.look();
        fs_err::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
        bench.look();
        let compressed = format!("a.log.1.{end}");
        let kept = fs_err::read(bench.path("a.log.1")).unwrap();
        compress(&bench, "a.log.1", &compressed);
        // In the making: half of it is there, and the original is.
        let whole = fs_err::read(bench.path(&compressed)).unwrap();
        fs_err::write(bench.path(&compressed), &whole[..whole.len() / 2]).unwrap();
        bench.look();
        fs_err::write(bench.path(&compressed), &whole).unwrap();
        bench.look_later();
        bench.commit_all();
        bench.look_later();
        bench.look_later();
        assert_eq!(texts(&mut bench).len(), 2, "{end}");
        assert!(!bench.files.is_undecided());
        assert_eq!(kept, b"1\n2\n");
        assert_eq!(bench.files.open_files(), 0, "{end}");
    }
}

/// A gzip file of many lines, made without holding them. Returns the length of its content in bytes.
fn write_archive(path: &Path, first: &str, lines: usize) -> u64 {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(fs_err::File::create(path).unwrap(), flate2::Compression::fast());
    encoder.write_all(first.as_bytes()).unwrap();
    for _ in 0..lines {
        encoder.write_all(LINE.as_bytes()).unwrap();
    }
    encoder.finish().unwrap();
    (first.len() + lines * LINE.len()) as u64
}

const LINE: &str =
    "a line of some length, so that a few thousand are some megabytes ..................................\n";

#[test]
fn a_large_archive_does_not_hold_up_the_rest() {
    let mut bench = Bench::new(&["a.log*"], &[], FirstSeen::Beginning, 1 << 20);
    bench.files.ground.waits.decided_after = Duration::ZERO;
    let length = write_archive(&bench.path("a.log.1.gz"), "", 200_000);
    append(&bench.path("a.log"), b"1\n");
    bench.files.schedule.next = Instant::now();
    // The plain file is read at the first turn, when only a little of the archive is decompressed.
    assert!(bench.read_chunk());
    assert_eq!(bench.seen.drain(..).map(|seen| seen.text).collect::<Vec<_>>(), ["1"]);
    assert!(bench.files.is_undecided());
    let mut turns = 1;
    while bench.seen.is_empty() {
        assert!(bench.files.next_look() <= Instant::now(), "there is more to do");
        assert!(bench.read_chunk(), "there is more to do until the archive is read");
        turns += 1;
    }
    assert!(turns >= length as usize >> 20, "{turns} turns for {length} bytes");
    while bench.read_chunk() {}
    assert_eq!(bench.seen.len(), 200_000);
}

#[test]
fn an_archive_that_is_known_is_examined_once_however_often_one_starts() {
    let mut bench = Bench::new(&["a.log*"], &[], FirstSeen::Beginning, 1 << 20);
    let count = 50_000;
    append(&bench.path("a.log"), format!("first\n{}", LINE.repeat(count)).as_bytes());
    bench.look();
    append(&bench.path("a.log"), b"not delivered\n");
    bench.commit_all();
    let entries = bench.saved_entries();
    fs_err::remove_file(bench.path("a.log")).unwrap();
    write_archive(&bench.path("a.log.1.gz"), "first\n", count);
    // Others that begin in other ways, in the globs and beside.
    write_archive(&bench.path("a.log.2.gz"), "second\n", count);
    let turns = |bench: &mut Bench| {
        bench.files.ground.waits.decided_after = Duration::ZERO;
        bench.files.schedule.next = Instant::now();
        (0..).take_while(|_| bench.read_chunk()).count()
    };
    bench.restart(&entries);
    bench.seen.clear();
    assert!(turns(&mut bench) > 5);
    assert_eq!(bench.seen.len(), count + 1, "the second is read, the first is known");
    bench.commit_all();
    bench.look_later();
    assert_eq!(bench.files.open_files(), 0);
    let entries = bench.saved_entries();
    bench.restart(&entries);
    bench.seen.clear();
    assert_eq!((turns(&mut bench), bench.seen.len()), (0, 0), "nothing is decompressed again");
}

#[test]
fn a_missing_file_is_looked_for_in_archives_that_begin_alike() {
    let mut bench = Bench::new(&["a.log"], &[], FirstSeen::Beginning, 1 << 20);
    let count = 50_000;
    append(&bench.path("a.log"), format!("first\n{}", LINE.repeat(count)).as_bytes());
    bench.look();
    bench.commit_all();
    bench.seen.clear();
    // Not delivered when inferlog stops; rotated and compressed meanwhile, beside many older archives.
    append(&bench.path("a.log"), b"2\n");
    bench.look();
    let entries = bench.saved_entries();
    for number in 2..20 {
        write_archive(&bench.path(&format!("a.log.{number}.gz")), &format!("{number}\n"), 1_000);
    }
    compress(&bench, "a.log", "a.log.1.gz");
    append(&bench.path("a.log"), b"new\n");
    bench.restart(&entries);
    bench.files.ground.waits.decided_after = Duration::ZERO;
    bench.seen.clear();
    bench.files.schedule.next = Instant::now();
    assert!(bench.read_chunk());
    assert_eq!(texts(&mut bench), [(0, "new".to_owned())], "the start does not wait");
    assert_eq!(bench.files.open_files(), 2, "of the archives one is open");
    while bench.read_chunk() {}
    assert_eq!(texts(&mut bench), [(6 + (count * LINE.len()) as u64, "2".to_owned())]);
    assert_eq!(bench.counters.source_lost_bytes_total.get(), 0);
    // One that begins alike and goes on in another way is not it: then the file is lost, and the archive is left alone.
    bench.restart(&entries);
    fs_err::remove_file(bench.path("a.log.1.gz")).unwrap();
    write_archive(&bench.path("a.log.1.gz"), "first\n", count - 1);
    bench.files.ground.waits.decided_after = Duration::ZERO;
    bench.look();
    assert_eq!(texts(&mut bench), [(0, "new".to_owned())]);
    assert_eq!((bench.files.open_files(), bench.counters.source_lost_bytes_total.get()), (1, 2));
}

#[test]
fn archives_are_passed_over_at_a_first_start_at_the_end() {
    let mut bench = Bench::new(&["a.log*"], &[], FirstSeen::End, 1 << 20);
    write_archive(&bench.path("a.log.1.gz"), "first\n", 50_000);
    bench.files.ground.waits.decided_after = Duration::ZERO;
    bench.look();
    assert_eq!((bench.chunks, bench.files.open_files()), (0, 0));
    let entries = bench.saved_entries();
    bench.restart(&entries);
    bench.files.ground.waits.decided_after = Duration::ZERO;
    bench.look();
    assert_eq!((bench.chunks, bench.files.open_files()), (0, 0));
}

/// Everything is copied, removed and put in place again, in another order, so that inodes are others; `while_down` or not.
fn check_restored(names: &[&str], contents: &[&str], while_down: bool) -> Bench {
    let mut bench = Bench::new(&["*.log*"], &[], FirstSeen::Beginning, 1 << 20);
    for (name, content) in names.iter().zip(contents) {
        append(&bench.path(name), content.as_bytes());
    }
    bench.look_later();
    bench.commit_all();
    bench.look_later();
    bench.seen.clear();
    let entries = bench.saved_entries();
    fs_err::create_dir(bench.path("backup")).unwrap();
    for name in names {
        fs_err::copy(bench.path(name), bench.path(&format!("backup/{name}"))).unwrap();
    }
    names.iter().for_each(|name| fs_err::remove_file(bench.path(name)).unwrap());
    for name in names.iter().rev() {
        fs_err::copy(bench.path(&format!("backup/{name}")), bench.path(name)).unwrap();
    }
    if while_down {
        bench.restart(&entries);
    }
    bench
}

#[test]
fn what_is_restored_from_a_backup_goes_on_where_it_was() {
    let long = format!("{{\"x\":\"{}\"}}\n", "x".repeat(2_000));
    for while_down in [true, false] {
        let contents = ["{1}\n{2}\n", "{3}\n", &long];
        let mut bench = check_restored(&["a.log", "b.log", "a.log.1"], &contents, while_down);
        for _ in 0..4 {
            bench.look_later();
            bench.commit_all();
        }
        assert_eq!(bench.seen, [], "while down: {while_down}");
        let before = bench.saved_entries().into_iter().find(|entry| entry.path.ends_with("/b.log")).unwrap();
        append(&bench.path("b.log"), b"{4}\n");
        bench.look_later();
        let line = bench.seen.pop().unwrap();
        assert_eq!((line.text.as_str(), line.offset_bytes, line.file.inode), ("{4}", 4, before.inode));
        assert_eq!((bench.seen.len(), bench.counters.source_lost_bytes_total.get()), (0, 0));
    }
}

#[test]
fn what_only_begins_as_something_known_is_read() {
    let long = format!("{{\"x\":\"{}\"}}\n", "x".repeat(100));
    let contents = [format!("{long}{{2}}\n")];
    for older in [long.clone(), format!("{long}{{3}}\n{{4}}\n")] {
        let mut bench = check_restored(&["a.log"], &[&contents[0]], true);
        fs_err::remove_file(bench.path("a.log")).unwrap();
        append(&bench.path("a.log"), older.as_bytes());
        bench.look_later();
        assert_eq!(bench.seen.len(), older.lines().count(), "read, and said by a warning");
    }
}
