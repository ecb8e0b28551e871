//! More files than may be open: those that are delivered are closed, and go on where they ended when they change.

use super::scripts::append;
use super::*;

fn bench(open_files_max: usize) -> Bench {
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, 1 << 20);
    bench.options.open_files_max = open_files_max;
    bench.restart(&[]);
    bench
}

/// Looks and delivers until no file waits for a place; gives what came out, sorted.
fn look_until_served(bench: &mut Bench) -> Vec<(u32, u64, String)> {
    bench.seen.clear();
    bench.look();
    for _ in 0..1_000 {
        if bench.files.waiting_files() == 0 {
            break;
        }
        bench.commit_all();
        bench.look();
    }
    assert_eq!(bench.files.waiting_files(), 0);
    bench.commit_all();
    let mut seen: Vec<_> =
        bench.seen.drain(..).map(|seen| (seen.file.generation, seen.offset_bytes, seen.text)).collect();
    seen.sort();
    seen
}

/// Ten files of one delivered line each, `0.log` to `9.log`, of which at most three are open.
fn ten_files() -> Bench {
    let mut bench = bench(3);
    for number in 0..10 {
        append(&bench.path(&format!("{number}.log")), format!("{number}\n").as_bytes());
    }
    let seen = look_until_served(&mut bench);
    assert_eq!(seen, (0..10).map(|number| (0, 0, number.to_string())).collect::<Vec<_>>());
    bench.look();
    assert_eq!((bench.files.open_files(), bench.files.closed_files()), (3, 7));
    bench
}

fn line(generation: u32, offset_bytes: u64, text: &str) -> (u32, u64, String) {
    (generation, offset_bytes, text.to_owned())
}

#[test]
fn every_file_is_read_on_where_it_ended() {
    let mut bench = ten_files();
    for round in 0..3_u64 {
        for number in 0..10 {
            append(&bench.path(&format!("{number}.log")), b"x\n");
        }
        assert_eq!(look_until_served(&mut bench), vec![line(0, 2 + 2 * round, "x"); 10]);
        assert!(bench.files.open_files() <= 3);
    }
    assert_eq!(bench.counters.source_lost_bytes_total.get(), 0);
    // The checkpoint knows them all.
    let entries = bench.saved_entries();
    assert_eq!(entries.iter().filter(|entry| entry.committed.offset_bytes == 8).count(), 10);
    bench.restart(&entries);
    assert_eq!(look_until_served(&mut bench), []);
    assert_eq!((bench.files.open_files(), bench.files.closed_files()), (3, 7));
}

#[test]
fn the_one_that_changed_longest_ago_is_closed_first() {
    let mut bench = bench(2);
    for name in ["a.log", "b.log"] {
        append(&bench.path(name), format!("{name}\n").as_bytes());
        bench.look();
        bench.commit_all();
    }
    append(&bench.path("a.log"), b"2\n");
    bench.look();
    bench.commit_all();
    append(&bench.path("c.log"), b"c\n");
    bench.look();
    let is_open = |name: &str| bench.files.register.roster.files().any(|file| *file.path == *bench.path(name));
    assert_eq!(["a.log", "b.log", "c.log"].map(is_open), [true, false, true]);
}

#[test]
fn what_is_not_delivered_is_not_closed() {
    let mut bench = bench(2);
    append(&bench.path("a.log"), b"1\n");
    append(&bench.path("b.log"), b"2\nhalf");
    append(&bench.path("c.log"), b"3\n");
    bench.look();
    bench.look();
    // `a` is read and not acknowledged, `b` has half a line.
    assert_eq!((bench.files.open_files(), bench.files.waiting_files(), bench.seen.len()), (2, 1, 2));
    assert_eq!(bench.files.lag_bytes(), 10, "what waits counts, too");
    assert!(bench.files.is_undecided(), "`--once` must not end here");
    bench.commit(1);
    bench.look();
    assert_eq!((bench.files.open_files(), bench.files.waiting_files(), bench.seen.len()), (2, 0, 3));
    let open: Vec<bool> =
        ["a.log", "b.log"].map(|name| bench.files.register.closed.under(&bench.path(name)).is_none()).into();
    assert_eq!(open, [false, true]);
}

#[test]
fn a_file_that_waits_and_disappears_is_reported() {
    let mut bench = bench(1);
    append(&bench.path("a.log"), b"1\nhalf");
    append(&bench.path("b.log"), b"12345\n");
    bench.look();
    assert_eq!((bench.files.waiting_files(), bench.counters.source_lost_bytes_total.get()), (1, 0));
    fs_err::remove_file(bench.path("b.log")).unwrap();
    bench.look();
    assert_eq!((bench.files.waiting_files(), bench.counters.source_lost_bytes_total.get()), (0, 6));
    // Those that were delivered and closed: one that grew, one that was cut, one that did not change.
    let mut bench = ten_files();
    let closed: Vec<PathBuf> = bench.files.register.closed.entries().map(|entry| PathBuf::from(entry.path)).collect();
    bench.files.ground.options.open_files_max = 0;
    append(&closed[0], b"12345\n");
    bench.look();
    fs_err::remove_file(&closed[0]).unwrap();
    bench.look();
    assert_eq!(bench.counters.source_lost_bytes_total.get(), 6);
    append(&closed[1], b"12345\n");
    bench.look();
    fs_err::OpenOptions::new().write(true).open(&closed[1]).unwrap().set_len(4).unwrap();
    bench.look();
    assert_eq!(bench.counters.source_lost_bytes_total.get(), 6 + 4);
    fs_err::remove_file(&closed[2]).unwrap();
    bench.look();
    assert_eq!(bench.counters.source_lost_bytes_total.get(), 6 + 4);
}

#[test]
fn a_closed_file_that_is_renamed_is_read_to_its_end() {
    // Within the globs and out of them, with what was written before and after.
    for to in ["new.log", "old"] {
        let mut bench = ten_files();
        append(&bench.path("0.log"), b"x\n");
        fs_err::rename(bench.path("0.log"), bench.path(to)).unwrap();
        append(&bench.path("0.log"), b"new\n");
        assert_eq!(look_until_served(&mut bench), [line(0, 0, "new"), line(0, 2, "x")], "{to}");
        append(&bench.path(to), b"y\n");
        assert_eq!(look_until_served(&mut bench), [line(0, 4, "y")], "{to}");
        // Delivered, and renamed out of the globs: held open for its writer.
        fs_err::rename(bench.path("1.log"), bench.path("older")).unwrap();
        bench.look();
        append(&bench.path("older"), b"z\n");
        assert_eq!(look_until_served(&mut bench), [line(0, 2, "z")], "{to}");
        assert_eq!(bench.counters.source_lost_bytes_total.get(), 0);
    }
}

#[test]
fn a_closed_file_with_other_content_is_a_new_generation() {
    let mut bench = ten_files();
    // As long as before, longer, and longer with the same end.
    for (name, content) in [("0.log", "a\n"), ("1.log", "other\n"), ("2.log", "b\n2\n")] {
        fs_err::write(bench.path(name), content).unwrap();
    }
    let seen = look_until_served(&mut bench);
    assert_eq!(seen, [line(1, 0, "a"), line(1, 0, "b"), line(1, 0, "other"), line(1, 2, "2")]);
    // Only the beginning is another one: what stands before the end is what was there.
    let long = "x".repeat(TAIL_BYTES_MAX);
    append(&bench.path("3.log"), format!("{long}\n").as_bytes());
    assert_eq!(look_until_served(&mut bench), [line(0, 2, &long)]);
    for number in [7, 8, 9] {
        append(&bench.path(&format!("{number}.log")), b"so that the other is closed\n");
    }
    look_until_served(&mut bench);
    assert!(bench.files.register.closed.under(&bench.path("3.log")).is_some());
    fs_err::write(bench.path("3.log"), format!("c\n{long}\n4\n")).unwrap();
    let seen = look_until_served(&mut bench);
    assert_eq!(seen, [line(1, 0, "c"), line(1, 2, &long), line(1, 3 + TAIL_BYTES_MAX as u64, "4")]);
}

#[test]
fn a_copytruncate_of_a_closed_file_goes_on_in_the_copy() {
    for copy in ["0.1.log", "0.log.1"] {
        let mut bench = ten_files();
        append(&bench.path("0.log"), b"x\n");
        fs_err::copy(bench.path("0.log"), bench.path(copy)).unwrap();
        fs_err::write(bench.path("0.log"), "new\n").unwrap();
        let mut seen = look_until_served(&mut bench);
        seen.extend(look_until_served(&mut bench));
        seen.sort();
        assert_eq!(seen, [line(0, 2, "x"), line(1, 0, "new")], "{copy}");
        assert_eq!(bench.counters.source_lost_bytes_total.get(), 0, "{copy}");
    }
    // The copy is there first: it is not read for itself.
    let mut bench = ten_files();
    fs_err::copy(bench.path("0.log"), bench.path("0.1.log")).unwrap();
    assert_eq!(look_until_served(&mut bench), []);
    fs_err::write(bench.path("0.log"), "new\n").unwrap();
    assert_eq!(look_until_served(&mut bench), [line(1, 0, "new")]);
    bench.look_later();
    assert_eq!(bench.seen, []);
}

#[test]
fn a_first_start_at_the_end_passes_over_files_without_a_place() {
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::End, 1 << 20);
    bench.options.open_files_max = 2;
    let discovery = std::mem::replace(&mut bench.files.ground.discovery, Discovery::new(&[], &[]).unwrap());
    let counters = bench.counters.clone();
    bench.files = Files::on(ground(bench.options.clone(), discovery, counters), Notifications::default(), None);
    for number in 0..10 {
        append(&bench.path(&format!("{number}.log")), b"1\n2\n");
    }
    assert_eq!(look_until_served(&mut bench), []);
    append(&bench.path("7.log"), b"3\n");
    assert_eq!(look_until_served(&mut bench), [line(0, 4, "3")]);
}
