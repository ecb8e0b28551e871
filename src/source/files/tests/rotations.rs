//! Rotations of many steps, and names that lead to other files, while running and while down.

use super::scripts::append;
use super::*;

/// What came out since the last call, in the order of the texts.
fn texts(bench: &mut Bench) -> Vec<String> {
    let mut texts: Vec<String> = bench.seen.drain(..).map(|seen| seen.text).collect();
    texts.sort();
    texts
}

fn restart(bench: &mut Bench) {
    bench.commit_all();
    let entries = bench.saved_entries();
    bench.restart(&entries);
}

/// All files with a number move on by one, and `a.log` becomes the first.
fn rotate(bench: &Bench, rotated: usize) {
    for number in (1..=rotated).rev() {
        fs_err::rename(bench.path(&format!("a.log.{number}")), bench.path(&format!("a.log.{}", number + 1))).unwrap();
    }
    fs_err::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
}

#[test]
fn many_numbered_rotations_while_down_lose_and_double_nothing() {
    // Files that are made and rotated while nobody looks are found where the globs match their names.
    for (glob, finds_unseen) in [("a.log*", true), ("a.log", false)] {
        let mut bench = Bench::new(&[glob], &[], FirstSeen::Beginning, 1 << 20);
        append(&bench.path("a.log"), b"1 delivered\n");
        bench.look();
        assert_eq!(texts(&mut bench), ["1 delivered"]);
        restart(&mut bench);
        append(&bench.path("a.log"), b"2 written before\n");
        rotate(&bench, 0);
        append(&bench.path("a.log.1"), b"3 written after\n");
        for (number, text) in [(1, "4 unseen\n"), (2, "5 unseen\n")] {
            append(&bench.path("a.log"), text.as_bytes());
            rotate(&bench, number);
        }
        append(&bench.path("a.log"), b"6 new\n");
        bench.look();
        let mut expected = vec!["2 written before", "3 written after", "6 new"];
        if finds_unseen {
            expected.splice(2..2, ["4 unseen", "5 unseen"]);
        }
        assert_eq!(texts(&mut bench), expected, "{glob}");
        restart(&mut bench);
        bench.look();
        assert_eq!(texts(&mut bench), Vec::<String>::new(), "{glob}");
        assert_eq!(bench.counters.source_lost_bytes_total.get(), 0, "{glob}");
    }
}

#[test]
fn dated_rotations_while_down_lose_and_double_nothing() {
    for glob in ["a.log*", "a.log"] {
        let mut bench = Bench::new(&[glob], &[], FirstSeen::Beginning, 1 << 20);
        for day in 20..24 {
            append(&bench.path("a.log"), format!("{day} first\n").as_bytes());
            bench.look();
            restart(&mut bench);
            append(&bench.path("a.log"), format!("{day} last\n").as_bytes());
            fs_err::rename(bench.path("a.log"), bench.path(&format!("a.log-202611{day}"))).unwrap();
        }
        bench.look();
        let expected: Vec<String> = (20..24).flat_map(|day| [format!("{day} first"), format!("{day} last")]).collect();
        assert_eq!(texts(&mut bench), expected, "{glob}");
    }
}

#[test]
fn a_linked_folder_that_leads_elsewhere_is_followed() {
    use std::os::unix::fs::symlink;
    // As Kubernetes does it: `current` leads to a folder with a date, and is replaced in one step.
    let switch = |bench: &Bench, to: &str| {
        symlink(to, bench.path("next")).unwrap();
        fs_err::rename(bench.path("next"), bench.path("current")).unwrap();
    };
    for down in [false, true] {
        let mut bench = Bench::new(&["current/*.log"], &[], FirstSeen::Beginning, 1 << 20);
        for folder in ["1", "2"] {
            fs_err::create_dir(bench.path(folder)).unwrap();
        }
        append(&bench.path("1/a.log"), b"1\n");
        switch(&bench, "1");
        bench.look();
        assert_eq!(texts(&mut bench), ["1"]);
        if down {
            restart(&mut bench);
        }
        // What is written to the old one before and after the switch is read, if inferlog runs.
        append(&bench.path("1/a.log"), b"2\n");
        append(&bench.path("2/a.log"), b"3\n");
        switch(&bench, "2");
        append(&bench.path("1/a.log"), b"4\n");
        bench.look();
        assert_eq!(texts(&mut bench), if down { vec!["3"] } else { vec!["2", "3", "4"] }, "down: {down}");
        let lost = bench.counters.source_lost_bytes_total.get();
        assert_eq!(lost, 0, "down: {down}; what is gone was delivered as far as anybody knows");
        // Back again: nothing twice.
        switch(&bench, "1");
        append(&bench.path("1/a.log"), b"5\n");
        bench.look();
        assert_eq!(texts(&mut bench), if down { vec!["2", "4", "5"] } else { vec!["5"] }, "down: {down}");
    }
}

#[test]
fn a_file_that_is_replaced_by_another_in_one_step_is_read_from_its_beginning() {
    for down in [false, true] {
        let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, 1 << 20);
        append(&bench.path("a.log"), b"1\n");
        bench.look();
        if down {
            restart(&mut bench);
        }
        append(&bench.path("a.tmp"), b"other\n1\n");
        fs_err::rename(bench.path("a.tmp"), bench.path("a.log")).unwrap();
        bench.seen.clear();
        bench.look();
        assert_eq!(texts(&mut bench), ["1", "other"], "down: {down}");
    }
}

#[test]
fn a_file_that_is_deleted_and_made_again_while_down_is_read_from_its_beginning() {
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, 1 << 20);
    append(&bench.path("a.log"), b"1\n");
    bench.look();
    restart(&mut bench);
    fs_err::remove_file(bench.path("a.log")).unwrap();
    append(&bench.path("a.log"), b"2\n3\n");
    bench.seen.clear();
    bench.look();
    assert_eq!(texts(&mut bench), ["2", "3"]);
}

#[test]
fn a_file_that_grows_byte_by_byte_gives_each_line_once() {
    let text = "{\"n\":1}\n{\"n\":2}\r\n\n{\"n\":3}\n";
    for restarts in [false, true] {
        let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, 1 << 20);
        append(&bench.path("a.log"), b"");
        let mut origins = Vec::new();
        for byte in text.as_bytes() {
            bench.look();
            if restarts {
                restart(&mut bench);
                bench.look();
            }
            append(&bench.path("a.log"), &[*byte]);
        }
        bench.look();
        for seen in &bench.seen {
            origins.push((seen.file.generation, seen.file.first_line_sha256, seen.offset_bytes));
        }
        let first_line = origins[0].1;
        assert_eq!(origins, [(0, first_line, 0), (0, first_line, 8), (0, first_line, 18)], "restarts: {restarts}");
        assert_eq!(texts(&mut bench), ["{\"n\":1}", "{\"n\":2}", "{\"n\":3}"], "restarts: {restarts}");
    }
}
