//! Runs of NUL bytes: waited for while they may fill, passed over when they are final, and stable when they fill after all.

use std::os::unix::fs::FileExt as _;

use super::scripts::append;
use super::*;
use crate::flow::line::Form;
use crate::source::files::locate::locate;
use crate::source::framing::Framing;

const LINE_BYTES_MAX: usize = 64;

fn bench() -> Bench {
    Bench::new(&["a.log"], &[], FirstSeen::Beginning, LINE_BYTES_MAX)
}

fn write_at(bench: &Bench, offset_bytes: u64, text: &str) {
    let file = fs_err::OpenOptions::new().write(true).open(bench.path("a.log")).unwrap();
    file.file().write_all_at(text.as_bytes(), offset_bytes).unwrap();
}

fn set_length(bench: &Bench, length_bytes: u64) {
    let options = fs_err::OpenOptions::new().write(true).open(bench.path("a.log")).unwrap();
    options.set_len(length_bytes).unwrap();
}

fn seen(bench: &mut Bench) -> Vec<(u64, String)> {
    bench.seen.drain(..).map(|seen| (seen.offset_bytes, seen.text)).collect()
}

fn given(lines: &[(u64, &str)]) -> Vec<(u64, String)> {
    lines.iter().map(|(offset_bytes, text)| (*offset_bytes, (*text).to_owned())).collect()
}

/// Reads content of a file that nobody writes to; first what comes out at once, then what does when the gaps are final.
fn check(content: &str, at_once: &[(u64, &str)], later: &[(u64, &str)]) {
    let mut bench = bench();
    append(&bench.path("a.log"), content.as_bytes());
    bench.look();
    let name = content.escape_default().to_string();
    assert_eq!(seen(&mut bench), given(at_once), "{name}");
    bench.look_later();
    assert_eq!(seen(&mut bench), given(later), "{name}");
    assert!(!bench.files.is_undecided(), "{name}");
    assert_eq!(bench.counters.source_lost_bytes_total.get(), 0, "{name}");
    bench.commit_all();
    let left_bytes = content.len() as u64 - committed(&bench);
    let told: u64 = bench.files.left_at_gaps().map(|(_, bytes)| bytes).sum();
    assert!(told == left_bytes || !bench.files.unterminated_files().is_empty(), "{name}: {left_bytes} are unread");
    let entries = bench.saved_entries();
    bench.restart(&entries);
    bench.look_later();
    assert_eq!(seen(&mut bench), [], "{name}: once");
}

#[test]
fn only_what_a_gap_destroyed_is_passed_over() {
    // A record and its line end; a record; the end of one and the beginning of the next; the line end alone.
    check("{1}\n\0\0\0\0\0{2}\n{3}\n", &[(0, "{1}")], &[(4, "<5 NUL bytes>"), (9, "{2}"), (13, "{3}")]);
    check("{1}\n\0\0\0\0\0\n{2}\n", &[(0, "{1}")], &[(4, "<6 NUL bytes>"), (10, "{2}")]);
    check("{1}\n{2\0\0\0\0\x003}\n{4}\n", &[(0, "{1}")], &[(4, "<10 NUL bytes>"), (14, "{4}")]);
    check("{1}\n{2}\0\0\0\0{3}\n", &[(0, "{1}")], &[(4, "{2}"), (7, "<4 NUL bytes>"), (11, "{3}")]);
    check("\0\0\0\0{1}\n", &[], &[(0, "<4 NUL bytes>"), (4, "{1}")]);
    check("\0\0\0\0\u{feff}{1}\n", &[], &[(0, "<4 NUL bytes>"), (7, "{1}")]);
    // Several.
    check(
        "{1}\n\0\0\0\0{2}\n\0\0\0\0\0{3}\n",
        &[(0, "{1}")],
        &[(4, "<4 NUL bytes>"), (8, "{2}"), (12, "<5 NUL bytes>"), (17, "{3}")],
    );
    check("{1}\n\0\0\0\0x\0\0\0\0{3}\n", &[(0, "{1}")], &[(4, "<4 NUL bytes>"), (8, "<5 NUL bytes>"), (13, "{3}")]);
    // What stands behind it is waited for until it is a line, and what it ends with is where the next one will stand.
    check("{1}\n\0\0\0\0tail", &[(0, "{1}")], &[]);
    check("{1}\n\0\0\0\0", &[(0, "{1}")], &[]);
    check("\0\0\0\0\0\0\0\0", &[], &[]);
    // No gaps: text of another encoding, or not yet one.
    check("{1}\n{\0\0\0}\n", &[(0, "{1}"), (4, "{\0\0\0}")], &[]);
    check("{1}\n\0\0\0", &[(0, "{1}")], &[]);
    // Longer than a line may be, before it and behind it.
    let long = "x".repeat(3 * LINE_BYTES_MAX);
    let end = 4 + long.len() as u64 + 8;
    check(
        &format!("{{1}}\n{long}\0\0\0\0\0\0\0\0{{2}}\n"),
        &[(0, "{1}")],
        &[(4, &format!("<{} NUL bytes>", long.len() + 8)), (end, "{2}")],
    );
    check(
        &format!("{{1}}\n\0\0\0\0{long}\n{{2}}\n"),
        &[(0, "{1}")],
        &[(4, "<4 NUL bytes>"), (8, &format!("<{} bytes>", long.len())), (9 + long.len() as u64, "{2}")],
    );
}

#[test]
fn a_gap_over_many_blocks_is_one() {
    let mut bench = bench();
    append(&bench.path("a.log"), b"{1}\n");
    set_length(&bench, 20 << 20);
    append(&bench.path("a.log"), b"{2}\n");
    bench.look();
    assert_eq!(seen(&mut bench), given(&[(0, "{1}")]));
    assert!(bench.files.is_undecided(), "`--once` waits for what is behind it");
    bench.look_later();
    let gap_bytes = (20 << 20) - 4;
    assert_eq!(seen(&mut bench), given(&[(4, &format!("<{gap_bytes} NUL bytes>")), (20 << 20, "{2}")]));
    assert_eq!(bench.counters.source_nul_bytes_total.get(), gap_bytes);
}

#[test]
fn space_allocated_ahead_is_filled_line_by_line() {
    let mut bench = bench();
    append(&bench.path("a.log"), b"");
    set_length(&bench, 4096);
    let mut at = 0;
    for n in 0..200 {
        let line = format!("{{\"n\":{n}}}\n");
        // A line may be seen while half of it is there.
        write_at(&bench, at, &line[..3]);
        bench.look();
        bench.look_later();
        assert_eq!(seen(&mut bench), [], "half a line");
        write_at(&bench, at, &line);
        // Written through a mapping, no time and no size tells of it.
        bench.look();
        assert_eq!(seen(&mut bench), given(&[(at, line.trim_end())]));
        at += line.len() as u64;
        assert_eq!(bench.files.lag_bytes(), at - committed(&bench));
        if n % 50 == 0 {
            set_length(&bench, 4096 + n * 100);
            bench.commit_all();
            let entries = bench.saved_entries();
            bench.restart(&entries);
        }
    }
    // Closed properly: cut to what was written.
    set_length(&bench, at);
    bench.look_later();
    bench.commit_all();
    assert_eq!((seen(&mut bench), bench.files.lag_bytes()), (vec![], 0));
    assert_eq!(bench.counters.source_lost_bytes_total.get(), 0, "zeros are no loss");
}

fn committed(bench: &Bench) -> u64 {
    bench.files.register.roster.files().map(|file| file.lag_start()).sum()
}

#[test]
fn blocks_may_come_in_any_order() {
    let mut bench = bench();
    append(&bench.path("a.log"), b"{1}\n");
    bench.look();
    write_at(&bench, 16, "{5}\n");
    bench.look();
    write_at(&bench, 8, "{3}\n{4}\n");
    bench.look();
    assert_eq!(seen(&mut bench), given(&[(0, "{1}")]));
    write_at(&bench, 4, "{2}\n");
    bench.look();
    assert_eq!(seen(&mut bench), given(&[(4, "{2}"), (8, "{3}"), (12, "{4}"), (16, "{5}")]));
    assert!(!bench.files.is_undecided());
}

#[test]
fn zeros_at_the_end_of_a_rotated_file_are_final() {
    for delete in [false, true] {
        let mut bench = bench();
        append(&bench.path("a.log"), b"{1}\n{2\0\0\0\0\0\0");
        bench.look_later();
        assert_eq!((seen(&mut bench), bench.files.lag_bytes()), (given(&[(0, "{1}")]), 6));
        assert_eq!(bench.files.left_at_gaps().map(|(_, bytes)| bytes).collect::<Vec<_>>(), [6]);
        match delete {
            true => fs_err::remove_file(bench.path("a.log")).unwrap(),
            false => fs_err::rename(bench.path("a.log"), bench.path("old")).unwrap(),
        }
        bench.look();
        assert_eq!(seen(&mut bench), [], "its writer may still write");
        bench.look_later();
        bench.look_later();
        assert_eq!(seen(&mut bench), given(&[(4, "<8 NUL bytes>")]), "delete: {delete}");
        bench.commit_all();
        bench.look_later();
        assert_eq!(bench.files.open_files(), 0, "delete: {delete}");
    }
}

#[test]
fn a_writer_that_does_not_append_leaves_a_hole() {
    let mut bench = bench();
    append(&bench.path("a.log"), b"{1}\n{2}\n");
    bench.look();
    bench.commit_all();
    set_length(&bench, 0);
    write_at(&bench, 8, "{3}\n");
    bench.look();
    assert_eq!(seen(&mut bench), given(&[(0, "{1}"), (4, "{2}")]));
    write_at(&bench, 12, "{4}\n");
    bench.look_later();
    assert_eq!(seen(&mut bench), given(&[(0, "<8 NUL bytes>"), (8, "{3}"), (12, "{4}")]));
}

#[test]
fn a_gap_that_is_filled_after_all_changes_nothing() {
    for content in ["\0\0\0\0\0\0\0\0{1}\n", "{0}\n\0\0\0\0{1}\n", "{0}\0\0\0\0\0{1}\n", "{\0\0\0\0\0\0\0{1}\n"] {
        let mut bench = bench();
        append(&bench.path("a.log"), content.as_bytes());
        bench.look_later();
        let origin = bench.seen.last().unwrap().file.clone();
        // Delivered as far as the gap, or to the end.
        for marks in [1, 2, 3] {
            bench.commit(marks.min(bench.marks.len()));
        }
        let entries = bench.saved_entries();
        bench.seen.clear();
        write_at(&bench, 0, &content.replacen("\0\0", "7\n", 1).replace('\0', "8"));
        bench.look_later();
        assert_eq!(seen(&mut bench), [], "{content:?}");
        for restarts in 0..2 {
            bench.restart(&entries);
            bench.look_later();
            assert_eq!(seen(&mut bench), [], "{content:?}, {restarts}");
        }
        append(&bench.path("a.log"), b"{2}\n");
        bench.look_later();
        let line = bench.seen.pop().unwrap();
        assert_eq!((line.text.as_str(), line.offset_bytes), ("{2}", 12), "{content:?}");
        assert_eq!(line.file.first_line_sha256, origin.first_line_sha256, "{content:?}: the ids stay");
        assert_eq!(line.file.generation, origin.generation, "{content:?}");
        assert_eq!(bench.seen.len(), 0);
    }
}

/// What is read again to prove that it is all there is cut into the same lines.
#[test]
fn gaps_are_the_same_when_a_file_is_read_again() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut content = String::new();
        for _ in 0..random.usize(1..12) {
            let long = "l".repeat(random.usize(0..100));
            let zeros = "\0".repeat(random.usize(1..20));
            content += match random.u32(..6) {
                0 | 1 => "{\"a\":1}\n",
                2 => "{\"a\"",
                3 => "}\n",
                4 => &long,
                _ => &zeros,
            };
        }
        let mut bench = bench();
        append(&bench.path("a.log"), content.as_bytes());
        for _ in 0..3 {
            bench.look_later();
        }
        bench.commit_all();
        let entry = bench.saved_entries().remove(0);
        let mut again = Vec::new();
        let mut file = locate(&entry).unwrap_or_else(|| panic!("{seed}: {content:?}"));
        let mut buffer = Vec::new();
        while file.consumed_position().offset_bytes < entry.committed.offset_bytes {
            match file.read(&mut buffer, 1 << 20, &Framing::of_lines(LINE_BYTES_MAX), Gaps::GiveUp).unwrap() {
                Turn::Lines { range, offset_bytes } => {
                    let mut lines = Lines::new(&buffer[range], offset_bytes, Form::default());
                    while let Some(line) = lines.next_line() {
                        again.push((line.offset_bytes, String::from_utf8_lossy(line.bytes).into_owned()));
                    }
                }
                Turn::PassedOver { what, offset_bytes, length_bytes } => {
                    let what = if what == PassedOver::NulBytes { "NUL bytes" } else { "bytes" };
                    again.push((offset_bytes, format!("<{length_bytes} {what}>")));
                }
                Turn::Busy => {}
                turn => panic!("{seed}: {turn:?} in {content:?}"),
            }
        }
        again.retain(|(offset_bytes, _)| *offset_bytes < entry.committed.offset_bytes);
        assert_eq!(again, seen(&mut bench), "{seed}: {content:?}");
    }
}
