//! Short stories of one or two files, and which lines come out.

use chrono::{TimeDelta, Utc};

use super::*;
use crate::source::files::remembered::{ENTRIES_KEPT_MAX, Remembered};

/// What happens. Files are named in the folder; `*.log` is tailed, and `*.skip.log` left out.
#[derive(Debug)]
pub(super) enum Step {
    /// Appends to a file, which is made if it is not there.
    Append(&'static str, &'static str),
    /// Cuts a file to this many bytes, or extends it.
    Cut(&'static str, u64),
    Rename(&'static str, &'static str),
    Remove(&'static str),
    Copy(&'static str, &'static str),
    Symlink(&'static str, &'static str),
    Link(&'static str, &'static str),
    Folder(&'static str),
    /// Everything is read, and these lines come out: file, generation, offset, text.
    Look(&'static [(&'static str, u32, u64, &'static str)]),
    /// The same, but after so long that unterminated ends of rotated files are final.
    Later(&'static [(&'static str, u32, u64, &'static str)]),
    /// Everything that was read is delivered.
    Commit,
    /// The process ends and starts again, with a checkpoint.
    Restart,
}
use Step::*;

fn check_with(first_seen: FirstSeen, line_bytes_max: usize, steps: &[Step]) -> Bench {
    let mut bench = Bench::new(&["*.log"], &["*.skip.log"], first_seen, line_bytes_max);
    for (position, step) in steps.iter().enumerate() {
        let expected = match step {
            Append(name, text) => {
                append(&bench.path(name), text.as_bytes());
                continue;
            }
            Cut(name, length) => {
                fs_err::OpenOptions::new().write(true).open(bench.path(name)).unwrap().set_len(*length).unwrap();
                continue;
            }
            Look(expected) => {
                bench.look();
                expected
            }
            Later(expected) => {
                bench.look_later();
                expected
            }
            step => {
                simple(&mut bench, step);
                continue;
            }
        };
        let mut lines: Vec<(String, u32, u64, String)> = bench
            .seen
            .drain(..)
            .map(|seen| (name(&seen.file.path), seen.file.generation, seen.offset_bytes, seen.text))
            .collect();
        lines.sort_unstable();
        let expected: Vec<(String, u32, u64, String)> = expected
            .iter()
            .map(|(name, generation, offset, text)| ((*name).to_owned(), *generation, *offset, (*text).to_owned()))
            .collect();
        assert_eq!(lines, expected, "at step {position} of {steps:#?}");
    }
    bench
}

fn simple(bench: &mut Bench, step: &Step) {
    match step {
        Rename(from, to) => fs_err::rename(bench.path(from), bench.path(to)).unwrap(),
        Remove(name) => fs_err::remove_file(bench.path(name)).unwrap(),
        Copy(from, to) => drop(fs_err::copy(bench.path(from), bench.path(to)).unwrap()),
        Symlink(to, name) => std::os::unix::fs::symlink(bench.path(to), bench.path(name)).unwrap(),
        Link(to, name) => fs_err::hard_link(bench.path(to), bench.path(name)).unwrap(),
        Folder(name) => fs_err::create_dir(bench.path(name)).unwrap(),
        Commit => bench.commit_all(),
        Restart => {
            let entries = bench.saved_entries();
            bench.restart(&entries);
        }
        step => unreachable!("{step:?} is done elsewhere"),
    }
}

pub(super) fn check(steps: &[Step]) -> Bench {
    check_with(FirstSeen::Beginning, 64, steps)
}

fn name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

pub(super) fn append(path: &Path, bytes: &[u8]) {
    use std::io::Write as _;
    fs_err::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn lines_come_out_when_they_are_whole() {
    check(&[
        Append("a.log", "1\n2\n"),
        Look(&[("a.log", 0, 0, "1"), ("a.log", 0, 2, "2")]),
        Append("a.log", "thr"),
        Look(&[]),
        Append("a.log", "e"),
        Look(&[]),
        Append("a.log", "e\n4\nfi"),
        Look(&[("a.log", 0, 4, "three"), ("a.log", 0, 10, "4")]),
        Later(&[]),
        Append("a.log", "ve\n"),
        Look(&[("a.log", 0, 12, "five")]),
        Look(&[]),
    ]);
    check(&[Append("a.log", "\u{feff}1\r\n\r\n\n2\r\n"), Look(&[("a.log", 0, 3, "1"), ("a.log", 0, 9, "2")])]);
    check(&[Append("a.skip.log", "1\n"), Append("a.txt", "1\n"), Append("b.log", ""), Look(&[])]);
}

#[test]
fn renamed_files_are_read_to_their_end() {
    // While running, to a name that is tailed and to one that is not.
    check(&[
        Append("a.log", "1\n"),
        Look(&[("a.log", 0, 0, "1")]),
        Append("a.log", "2\n"),
        Rename("a.log", "a.1.log"),
        Append("a.log", "3\n"),
        Look(&[("a.1.log", 0, 2, "2"), ("a.log", 0, 0, "3")]),
        Append("a.1.log", "4\n"),
        Rename("a.1.log", "old"),
        Look(&[("a.1.log", 0, 4, "4")]),
        Append("old", "5\n"),
        Look(&[("a.1.log", 0, 6, "5")]),
        Rename("old", "back.log"),
        Append("back.log", "6\n"),
        Look(&[("back.log", 0, 8, "6")]),
    ]);
    // Names are swapped.
    check(&[
        Append("a.log", "a1\n"),
        Append("b.log", "b1\n"),
        Look(&[("a.log", 0, 0, "a1"), ("b.log", 0, 0, "b1")]),
        Rename("a.log", "c"),
        Rename("b.log", "a.log"),
        Rename("c", "b.log"),
        Append("a.log", "b2\n"),
        Append("b.log", "a2\n"),
        Look(&[("a.log", 0, 3, "b2"), ("b.log", 0, 3, "a2")]),
    ]);
    // While down, to names that are tailed and not.
    check(&[
        Append("a.log", "1\n2\n"),
        Look(&[("a.log", 0, 0, "1"), ("a.log", 0, 2, "2")]),
        Commit,
        Restart,
        Append("a.log", "3\n"),
        Rename("a.log", "a.log.1"),
        Append("a.log", "4\n"),
        Look(&[("a.log", 0, 0, "4"), ("a.log.1", 0, 4, "3")]),
        Commit,
        Restart,
        Rename("a.log.1", "z.log"),
        Rename("a.log", "y.log"),
        Append("z.log", "5\n"),
        Append("y.log", "6\n"),
        Look(&[("y.log", 0, 2, "6"), ("z.log", 0, 6, "5")]),
    ]);
    // Over a file that is tailed: what the other had is read first.
    check(&[
        Append("a.log", "1\n"),
        Append("b.log", "2\n"),
        Look(&[("a.log", 0, 0, "1"), ("b.log", 0, 0, "2")]),
        Append("a.log", "3\n"),
        Rename("b.log", "a.log"),
        Look(&[("a.log", 0, 2, "3")]),
    ]);
}

#[test]
fn replaced_content_is_a_new_generation() {
    // Truncated, truncated and grown past the offset, and grown to the very offset.
    for regrown in ["4\n", "4\n5\n6\n", "7890\n"] {
        for restart in [false, true] {
            let mut bench =
                check(&[Append("a.log", "1\n22\n"), Look(&[("a.log", 0, 0, "1"), ("a.log", 0, 2, "22")]), Commit]);
            if restart {
                simple(&mut bench, &Restart);
            }
            fs_err::write(bench.path("a.log"), regrown).unwrap();
            bench.seen.clear();
            bench.look();
            let lines: Vec<&str> = bench.seen.iter().map(|seen| seen.text.as_str()).collect();
            assert_eq!(lines, regrown.lines().collect::<Vec<_>>(), "restart: {restart}");
            assert!(bench.seen.iter().all(|seen| seen.file.generation == 1), "restart: {restart}");
            assert!(bench.files.is_urgent(), "ids hang on the generation");
            bench.saved_entries();
            assert!(bench.files.is_urgent(), "taken, but not on disk yet");
            bench.files.saved();
            assert!(!bench.files.is_urgent() && !bench.files.is_dirty());
        }
    }
    // Looked at while it was empty, and then written again just as it was.
    check(&[
        Append("a.log", "1\n2\n"),
        Look(&[("a.log", 0, 0, "1"), ("a.log", 0, 2, "2")]),
        Cut("a.log", 0),
        Look(&[]),
        Append("a.log", "1\n2\n3\n"),
        Look(&[("a.log", 1, 0, "1"), ("a.log", 1, 2, "2"), ("a.log", 1, 4, "3")]),
    ]);
    // What is not consumed may be cut away.
    check(&[
        Append("a.log", "1\nha"),
        Look(&[("a.log", 0, 0, "1")]),
        Cut("a.log", 2),
        Look(&[]),
        Append("a.log", "2\n"),
        Look(&[("a.log", 0, 2, "2")]),
    ]);
    // Copied and truncated; the copy is not tailed.
    check(&[
        Append("a.log", "1\n"),
        Look(&[("a.log", 0, 0, "1")]),
        Copy("a.log", "a.log.1"),
        Cut("a.log", 0),
        Append("a.log", "2\n"),
        Look(&[("a.log", 1, 0, "2")]),
        Commit,
        Restart,
        Append("a.log", "3\n"),
        Look(&[("a.log", 1, 2, "3")]),
    ]);
    // The head alone, or the end alone, is another one.
    check(&[
        Append("a.log", "one\ntwo\n"),
        Look(&[("a.log", 0, 0, "one"), ("a.log", 0, 4, "two")]),
        Commit,
        Restart,
        Cut("a.log", 0),
        Append("a.log", "ONE\ntwo\n"),
        Look(&[("a.log", 1, 0, "ONE"), ("a.log", 1, 4, "two")]),
        Commit,
        Restart,
        Cut("a.log", 4),
        Append("a.log", "TWO\n3\n"),
        Look(&[("a.log", 2, 0, "ONE"), ("a.log", 2, 4, "TWO"), ("a.log", 2, 8, "3")]),
    ]);
}

#[test]
fn deleted_files_are_read_to_their_end() {
    let mut bench = check(&[
        Append("a.log", "1\n"),
        Look(&[("a.log", 0, 0, "1")]),
        Append("a.log", "2\nhalf"),
        Remove("a.log"),
        Append("a.log", "3\n"),
        Look(&[("a.log", 0, 0, "3"), ("a.log", 0, 2, "2")]),
        Later(&[("a.log", 0, 4, "half")]),
        Later(&[]),
    ]);
    assert_eq!(bench.files.open_files(), 2, "not delivered, so it is held open");
    bench.commit_all();
    bench.look();
    assert_eq!(bench.files.open_files(), 2, "its writer may still write");
    bench.look_later();
    assert_eq!(bench.files.open_files(), 1);
    assert!(bench.files.is_dirty());
    assert_eq!(bench.saved_entries().iter().filter(|entry| entry.finished).count(), 1);
}

#[test]
fn the_end_of_a_rotated_file_is_final_after_a_while() {
    check(&[
        Append("a.log", "1\n2"),
        Look(&[("a.log", 0, 0, "1")]),
        Rename("a.log", "b.log"),
        Later(&[("b.log", 0, 2, "2")]),
        Append("b.log", "3\n"),
        Look(&[("b.log", 0, 3, "3")]),
        Later(&[]),
    ]);
    // However long nothing was written before: the time counts from the rotation.
    let mut bench = check(&[Append("a.log", "half"), Look(&[])]);
    bench.files.ground.waits.final_after = Duration::from_millis(50);
    std::thread::sleep(Duration::from_millis(60));
    let rotated = Instant::now();
    simple(&mut bench, &Rename("a.log", "old"));
    bench.look();
    let too_early = bench.files.next_final_end().is_some();
    assert!(!too_early || rotated.elapsed() >= bench.files.ground.waits.final_after);
}

#[test]
fn an_unterminated_end_can_be_left_unread() {
    let mut bench = check(&[Append("a.log", "1\nhalf"), Look(&[("a.log", 0, 0, "1")])]);
    for _ in 0..2 {
        assert_eq!(bench.files.unterminated_files().len(), 1);
        let number = bench.files.unterminated_files()[0];
        let chunk = bench.files.unterminated(number).unwrap();
        take(&chunk, &mut bench.seen, &mut bench.marks);
        assert_eq!(bench.seen.pop().map(|seen| (seen.offset_bytes, seen.text)), Some((2, "half".to_owned())));
        assert!(bench.files.unterminated_files().is_empty());
        let path = bench.path("a.log");
        assert_eq!(bench.files.leave_unread(number), Some((path, 4)));
    }
    append(&bench.path("a.log"), b" full\n");
    bench.look();
    assert_eq!(bench.seen.pop().map(|seen| seen.text), Some("half full".to_owned()));
    let number = bench.marks[0].file;
    assert_eq!(bench.files.leave_unread(number).map(|(_, bytes)| bytes), Some(0), "there is nothing to take back");
    bench.look();
    assert_eq!(bench.seen, []);
}

#[test]
fn an_unterminated_end_waits_or_is_taken_after_a_while() {
    let mut bench = check(&[Append("a.log", "1\nhalf"), Look(&[("a.log", 0, 0, "1")]), Later(&[])]);
    let said = |bench: &Bench| {
        bench.files.register.roster.files().filter_map(|file| file.warnings.end_said_at).collect::<Vec<_>>()
    };
    assert_eq!(said(&bench), [2], "it is said that it waits");
    for (after, expected) in [(AN_HOUR, None), (Duration::ZERO, Some((2, "half".to_owned())))] {
        bench.files.ground.options.unterminated_after = Some(after);
        bench.seen.clear();
        bench.look();
        while let Some(chunk) = bench.files.next_final_end() {
            take(&chunk, &mut bench.seen, &mut bench.marks);
        }
        assert_eq!(bench.seen.pop().map(|seen| (seen.offset_bytes, seen.text)), expected);
    }
    bench.commit_all();
    append(&bench.path("a.log"), b" more\n");
    bench.look();
    assert_eq!(bench.seen.pop().map(|seen| (seen.offset_bytes, seen.text)), Some((6, " more".to_owned())));
}

#[test]
fn a_file_with_two_names_is_one_file() {
    check(&[
        Append("a.log", "1\n"),
        Link("a.log", "b.log"),
        Symlink("a.log", "c.log"),
        Symlink("elsewhere", "d.log"),
        Look(&[("a.log", 0, 0, "1")]),
        Append("elsewhere", "e\n"),
        Look(&[("d.log", 0, 0, "e")]),
        Append("b.log", "2\n"),
        Look(&[("a.log", 0, 2, "2")]),
        Remove("a.log"),
        Append("b.log", "3\n"),
        Look(&[("b.log", 0, 4, "3")]),
        // The link leads to another file now.
        Append("elsewhere.2", "f\n"),
        Append("elsewhere", "g\n"),
        Remove("d.log"),
        Symlink("elsewhere.2", "d.log"),
        Look(&[("d.log", 0, 0, "f"), ("d.log", 0, 2, "g")]),
    ]);
}

#[test]
fn the_first_start_may_pass_over_what_is_there() {
    check_with(
        FirstSeen::End,
        64,
        &[
            Append("a.log", "1\nha"),
            Append("b.log", "one line without an e"),
            Look(&[]),
            Append("a.log", "lf\n3\n"),
            Append("b.log", "nd\n"),
            Append("c.log", "new\n"),
            Look(&[
                ("a.log", 0, 2, "half"),
                ("a.log", 0, 7, "3"),
                ("b.log", 0, 0, "one line without an end"),
                ("c.log", 0, 0, "new"),
            ]),
        ],
    );
    let bench = check_with(
        FirstSeen::End,
        64,
        &[
            Append("a.log", "1\n"),
            Look(&[]),
            Restart,
            Append("a.log", "2\n"),
            Append("b.log", "3\n"),
            Look(&[("a.log", 0, 2, "2"), ("b.log", 0, 0, "3")]),
        ],
    );
    drop(bench);
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Within(AN_HOUR), 64);
    for (name, age) in [("old.log", 2 * AN_HOUR), ("young.log", AN_HOUR / 2)] {
        append(&bench.path(name), format!("{name}\n").as_bytes());
        let file = fs_err::OpenOptions::new().write(true).open(bench.path(name)).unwrap();
        file.file().set_modified(SystemTime::now() - age).unwrap();
    }
    bench.look();
    assert_eq!(bench.seen.iter().map(|seen| seen.text.as_str()).collect::<Vec<_>>(), ["young.log"]);
}

#[test]
fn lines_that_are_too_long_are_passed_over() {
    const LONG: &str = "0123456789abcdef"; // The limit is 16.
    let check = |steps: &[Step]| check_with(FirstSeen::Beginning, LONG.len(), steps);
    check(&[
        Append("a.log", "0123456789abcde\n0123456789abcdef\n0123456789abcdefg\nshort\n"),
        Look(&[
            ("a.log", 0, 0, "0123456789abcde"),
            ("a.log", 0, 16, LONG),
            ("a.log", 0, 33, "<17 bytes>"),
            ("a.log", 0, 51, "short"),
        ]),
        Append("a.log", "0123456789abcdefg"),
        Look(&[]),
        Append("a.log", "hij"),
        Look(&[]),
        Append("a.log", "k\n1\n"),
        Look(&[("a.log", 0, 57, "<21 bytes>"), ("a.log", 0, 79, "1")]),
        Commit,
        Restart,
        Append("a.log", "2\n0123456789abcdefg"),
        Look(&[("a.log", 0, 81, "2")]),
        // Cut within the long line: what is before it stays.
        Cut("a.log", 85),
        Look(&[]),
        Append("a.log", "!\n"),
        Look(&[("a.log", 0, 83, "01!")]),
        Append("a.log", "0123456789abcdefg"),
        Look(&[]),
        Remove("a.log"),
        Later(&[("a.log", 0, 87, "<17 bytes>")]),
    ]);
    // Replaced while the end of a long line is looked for.
    check(&[
        Append("a.log", "1\n0123456789abcdefg"),
        Look(&[("a.log", 0, 0, "1")]),
        Cut("a.log", 0),
        Append("a.log", "2\n3\n4\n5\n6\n7\n8\n9\n0\n1\n2\n"),
        Look(&[
            ("a.log", 1, 0, "2"),
            ("a.log", 1, 2, "3"),
            ("a.log", 1, 4, "4"),
            ("a.log", 1, 6, "5"),
            ("a.log", 1, 8, "6"),
            ("a.log", 1, 10, "7"),
            ("a.log", 1, 12, "8"),
            ("a.log", 1, 14, "9"),
            ("a.log", 1, 16, "0"),
            ("a.log", 1, 18, "1"),
            ("a.log", 1, 20, "2"),
        ]),
    ]);
}

#[test]
fn what_cannot_be_read_is_told_once() {
    let mut bench = check(&[Symlink("nowhere", "a.log"), Append("b.log", "1\n"), Look(&[("b.log", 0, 0, "1")])]);
    assert_eq!(bench.counters.source_unreadable_total.get(), 1);
    bench.look();
    assert_eq!(bench.counters.source_unreadable_total.get(), 1);
    append(&bench.path("nowhere"), b"2\n");
    bench.look();
    assert_eq!(bench.seen.pop().map(|seen| seen.text), Some("2".to_owned()));
    let mut bench = Bench::new(&["x.log"], &[], FirstSeen::Beginning, 64);
    simple(&mut bench, &Folder("x.log"));
    bench.look();
    bench.look();
    assert_eq!(bench.counters.source_unreadable_total.get(), 1);
    // A file that fails when it is read, as on a broken disk: a folder does, too.
    let handle = fs_err::File::open(bench.path("x.log")).unwrap();
    let metadata = handle.metadata().unwrap();
    bench.files.register.adopt(TailedFile::new(0, &bench.path("x.log"), handle, &metadata));
    for _ in 0..3 {
        bench.look();
    }
    assert_eq!(bench.counters.source_unreadable_total.get(), 2);
}

#[test]
fn checkpoints_resume_where_delivery_ended() {
    let mut bench = check(&[Append("a.log", "1\n2\n"), Look(&[("a.log", 0, 0, "1"), ("a.log", 0, 2, "2")]), Commit]);
    let number = bench.files.register.roster.at(&bench.path("a.log")).unwrap().number;
    append(&bench.path("a.log"), b"3\n");
    bench.look();
    bench.files.observed(number, 6);
    bench.files.observed(number, 4);
    assert_eq!(bench.files.lag_bytes(), 2);
    let entries = bench.saved_entries();
    assert_eq!((entries[0].committed.offset_bytes, entries[0].observed_offset_bytes), (4, 6));
    bench.restart(&entries);
    bench.files.schedule.next = Instant::now();
    let chunk = bench.files.next_chunk().unwrap();
    assert_eq!((chunk.offset_bytes, chunk.observed_offset_bytes), (4, 6), "read again, and not counted again");
    take(&chunk, &mut bench.seen, &mut bench.marks);
    assert_eq!(bench.seen[0], bench.seen[1], "with the same origin");
    // After a reboot devices have other numbers, and another disk may have the same inode numbers.
    let elsewhere = FileEntry { path: "/other/b.log".into(), generation: 7, ..entries[0].clone() };
    let rebooted = FileEntry { device: 1 << 40, ..entries[0].clone() };
    bench.restart(&[FileEntry { device: 1 << 41, ..elsewhere }, rebooted]);
    bench.seen.truncate(1);
    bench.look();
    assert_eq!(bench.seen[0], bench.seen[1]);
    // An inode that had other content, on whatever disk, is the next generation.
    let other = FileEntry { head: Fingerprint::of(b"9\n"), generation: 3, device: 1 << 40, ..entries[0].clone() };
    bench.restart(&[other]);
    bench.seen.clear();
    bench.look();
    assert_eq!(
        bench.seen.iter().map(|seen| (seen.file.generation, seen.offset_bytes)).collect::<Vec<_>>(),
        [(4, 0), (4, 2), (4, 4)]
    );
    assert_eq!(bench.saved_entries().len(), 2, "the other content stays known");
}

#[test]
fn marks_of_replaced_content_do_not_move_the_new_one() {
    let mut bench = check(&[Append("a.log", "1\n2\n"), Look(&[("a.log", 0, 0, "1"), ("a.log", 0, 2, "2")])]);
    fs_err::write(bench.path("a.log"), "3\n4\n5\n").unwrap();
    bench.look();
    bench.commit(1);
    assert_eq!(bench.saved_entries().last().unwrap().committed.offset_bytes, 0);
    bench.commit_all();
    assert_eq!(bench.saved_entries().last().unwrap().committed.offset_bytes, 6);
}

#[test]
fn what_is_gone_is_forgotten_by_number_and_only_after_a_scan() {
    let mut bench = check(&[Append("a.log", "1\n"), Look(&[("a.log", 0, 0, "1")]), Commit]);
    let there = bench.saved_entries().remove(0);
    let gone = |n: u64| FileEntry { inode: u64::MAX - n, path: "/gone".into(), finished: true, ..there.clone() };
    let surplus = 10;
    // Its entry is the oldest of all, since the clock jumped: it was written years ago.
    let ages = (0..ENTRIES_KEPT_MAX as u64 + surplus).map(|n| (n, Utc::now() + TimeDelta::days(400 + n as i64)));
    let mut entries: Vec<FileEntry> = ages.map(|(n, updated)| FileEntry { updated, ..gone(n) }).collect();
    entries.push(FileEntry { updated: chrono::DateTime::UNIX_EPOCH, ..there.clone() });
    bench.restart(&entries);
    assert_eq!(bench.saved_entries().len(), entries.len(), "saved before the first scan, as after a start");
    bench.seen.clear();
    bench.look();
    assert_eq!(bench.seen, [], "the file that is there is known");
    let kept = bench.saved_entries();
    assert_eq!(kept.len(), ENTRIES_KEPT_MAX + 1);
    assert!(kept.iter().all(|entry| u64::MAX - entry.inode >= surplus), "the oldest are forgotten");
    // What is remembered from now on is newer than that, whatever the clock says.
    fs_err::remove_file(bench.path("a.log")).unwrap();
    bench.look_later();
    bench.look_later();
    let newest = bench.saved_entries().into_iter().max_by_key(|entry| entry.updated).unwrap();
    assert_eq!((newest.inode, newest.finished), (there.inode, true));
}

#[test]
fn only_what_is_delivered_and_gone_is_forgotten() {
    let there = check(&[Append("a.log", "1\n"), Look(&[("a.log", 0, 0, "1")]), Commit]).saved_entries().remove(0);
    let (is_there, newer) = (1, Utc::now() + TimeDelta::days(1));
    for (inode, finished, replaced, is_kept) in [
        (2, true, false, false),
        (2, false, false, true),
        (is_there, true, false, true),
        // What was overwritten is gone, whatever stands in its file.
        (is_there, true, true, false),
    ] {
        let mut remembered = Remembered::default();
        remembered.insert(FileEntry { inode, finished, replaced, ..there.clone() });
        for n in 0..=ENTRIES_KEPT_MAX as u64 {
            remembered.insert(FileEntry { inode: 3 + n, finished: true, updated: newer, ..there.clone() });
        }
        assert!(remembered.forget(|inode| inode == is_there));
        let is_found = remembered.iter().any(|entry| entry.inode == inode);
        assert_eq!(is_found, is_kept, "there: {}, finished: {finished}, replaced: {replaced}", inode == is_there);
    }
}

#[test]
fn more_files_than_are_kept_when_gone_are_known_after_a_start() {
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::End, 64);
    let count = ENTRIES_KEPT_MAX + 50;
    for n in 0..count {
        fs_err::write(bench.path(&format!("{n}.log")), format!("{n}\n")).unwrap();
    }
    // No more are held open than a test may open.
    bench.options.open_files_max = 100;
    bench.restart(&[]);
    bench.files.register.phase = register::Phase::VeryFirst;
    bench.look();
    bench.commit_all();
    let entries = bench.saved_entries();
    bench.restart(&entries);
    assert_eq!(bench.saved_entries().len(), count);
    bench.look();
    assert_eq!(bench.seen, [], "none of them ships a second time");
}
