//! What is deleted or overwritten before it is delivered: how many bytes are reported, once.

use super::scripts::{Step, Step::*, check};

const ONE: &[(&str, u32, u64, &str)] = &[("a.log", 0, 0, "1")];

/// Plays the steps and compares the counter, which a second start does not raise.
fn check_lost(steps: &[Step], expected_bytes: u64) {
    let mut bench = check(steps);
    assert_eq!(bench.counters.source_lost_bytes_total.get(), expected_bytes, "{steps:#?}");
    bench.commit_all();
    let entries = bench.saved_entries();
    bench.restart(&entries);
    bench.look();
    assert_eq!(bench.counters.source_lost_bytes_total.get(), expected_bytes, "again after {steps:#?}");
}

#[test]
fn bytes_of_files_that_are_gone_at_the_start_are_reported() {
    // Deleted, with 3 bytes read but not delivered.
    check_lost(
        &[
            Append("a.log", "1\n"),
            Look(ONE),
            Commit,
            Append("a.log", "22\n"),
            Look(&[("a.log", 0, 2, "22")]),
            Restart,
            Remove("a.log"),
            Look(&[]),
        ],
        3,
    );
    // Deleted, with 3 bytes that were seen and not read.
    check_lost(&[Append("a.log", "1\n222"), Look(ONE), Commit, Restart, Remove("a.log"), Look(&[])], 3);
    // Delivered to its end, deleted; there is nothing to report.
    check_lost(&[Append("a.log", "1\n"), Look(ONE), Commit, Restart, Remove("a.log"), Look(&[])], 0);
    // Another file stands under its name.
    check_lost(
        &[
            Append("a.log", "1\n222"),
            Look(ONE),
            Commit,
            Restart,
            Append("b", "3\n"),
            Rename("b", "a.log"),
            Look(&[("a.log", 0, 0, "3")]),
        ],
        3,
    );
    // Its content was replaced.
    check_lost(
        &[
            Append("a.log", "1\n222"),
            Look(ONE),
            Commit,
            Restart,
            Cut("a.log", 0),
            Append("a.log", "3\n"),
            Look(&[("a.log", 1, 0, "3")]),
        ],
        3,
    );
    // What was not delivered was cut off.
    check_lost(&[Append("a.log", "1\n222"), Look(ONE), Commit, Restart, Cut("a.log", 3), Look(&[])], 2);
    // It is found again, under another name and behind a link.
    check_lost(
        &[
            Append("a.log", "1\n22"),
            Look(ONE),
            Commit,
            Restart,
            Rename("a.log", "b"),
            Append("b", "\n"),
            Look(&[("b", 0, 2, "22")]),
        ],
        0,
    );
    // It comes back after all: reported, and delivered from where it ended.
    check_lost(
        &[
            Append("a.log", "1\n22"),
            Look(ONE),
            Commit,
            Restart,
            Folder("away"),
            Rename("a.log", "away/a"),
            Look(&[]),
            Rename("away/a", "a.log"),
            Append("a.log", "\n"),
            Look(&[("a.log", 0, 2, "22")]),
        ],
        2,
    );
}

#[test]
fn bytes_cut_away_while_running_are_reported() {
    check_lost(&[Append("a.log", "1\n222"), Look(ONE), Cut("a.log", 0), Look(&[])], 3);
    check_lost(&[Append("a.log", "1\n222"), Look(ONE), Cut("a.log", 4), Look(&[])], 1);
    // Grown past the old end between two looks: what is there was never anything else's.
    check_lost(
        &[
            Append("a.log", "1\n222"),
            Look(ONE),
            Cut("a.log", 0),
            Append("a.log", "333333\n"),
            Look(&[("a.log", 1, 0, "333333")]),
        ],
        3,
    );
    check_lost(
        &[
            Append("a.log", "1\n"),
            Look(ONE),
            Cut("a.log", 0),
            Append("a.log", "333333\n"),
            Look(&[("a.log", 1, 0, "333333")]),
        ],
        0,
    );
}

#[test]
fn what_was_in_flight_when_its_file_was_overwritten_is_reported_after_a_crash() {
    let steps = [
        Append("a.log", "1\n"),
        Look(&[("a.log", 0, 0, "1")]),
        Cut("a.log", 0),
        Append("a.log", "2\n3\n"),
        Look(&[("a.log", 1, 0, "2"), ("a.log", 1, 2, "3")]),
    ];
    let mut bench = check(&steps);
    let crashed = bench.saved_entries();
    bench.commit(1);
    let delivered = bench.saved_entries();
    for (entries, expected_bytes) in [(delivered, 0), (crashed, 2)] {
        bench.restart(&entries);
        bench.look();
        assert_eq!(bench.counters.source_lost_bytes_total.get(), expected_bytes);
    }
}
