//! Deleted files that are not delivered: what is kept of them, and that it comes out once, as from the file itself.

use super::scripts::append;
use super::*;

fn bench(salvage_bytes_max: u64) -> Bench {
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::Beginning, 1 << 20);
    bench.options.salvage = Some(bench.path("state/salvage"));
    bench.restart(&[]);
    bench.files.ground.salvage_bytes_max = salvage_bytes_max;
    bench
}

fn salvaged(bench: &Bench) -> usize {
    fs_err::read_dir(bench.path("state/salvage")).map_or(0, Iterator::count)
}

#[test]
fn the_rest_of_a_deleted_file_is_salvaged() {
    use std::os::unix::fs::PermissionsExt as _;
    // At a stop; after a while, with a crash; after a while, growing afterwards, with a stop.
    for (after_a_while, grows) in [(false, false), (true, false), (true, true)] {
        let mut bench = bench(1 << 20);
        let long = format!("{}\n", "x".repeat(200_000));
        append(&bench.path("a.log"), long.as_bytes());
        bench.look();
        bench.commit_all();
        append(&bench.path("a.log"), b"2\n");
        bench.look();
        append(&bench.path("a.log"), b"3\n");
        let mut writer = fs_err::OpenOptions::new().append(true).open(bench.path("a.log")).unwrap();
        fs_err::remove_file(bench.path("a.log")).unwrap();
        bench.look();
        assert_eq!(salvaged(&bench), 0, "it may be delivered yet");
        if after_a_while {
            bench.files.ground.waits.salvaged_after = Duration::ZERO;
            bench.look();
            assert_eq!(salvaged(&bench), 1);
        }
        if grows {
            std::io::Write::write_all(&mut writer, b"4\n").unwrap();
            bench.look();
        }
        if !after_a_while {
            bench.files.salvage(true);
        }
        let before: Vec<Seen> = bench.seen.drain(1..).collect();
        let entries = bench.saved_entries();
        bench.restart(&entries);
        let file = fs_err::read_dir(bench.path("state/salvage")).unwrap().next().unwrap().unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        bench.seen.clear();
        bench.look();
        assert_eq!(bench.seen, before, "after a while: {after_a_while}, grows: {grows}");
        bench.commit_all();
        bench.look();
        let entries = bench.saved_entries();
        assert_eq!(salvaged(&bench), 1, "the checkpoint on disk may want it");
        bench.files.saved();
        assert_eq!((salvaged(&bench), bench.files.open_files()), (0, 0));
        bench.restart(&entries);
        bench.look();
        assert_eq!(bench.seen, before);
        assert_eq!(bench.counters.source_lost_bytes_total.get(), 0);
    }
}

#[test]
fn what_the_limit_leaves_out_is_reported() {
    let mut bench = bench(3);
    append(&bench.path("a.log"), b"1\n2\n");
    bench.look();
    fs_err::remove_file(bench.path("a.log")).unwrap();
    bench.look();
    bench.files.salvage(true);
    assert_eq!((salvaged(&bench), bench.counters.source_lost_bytes_total.get()), (0, 4));
}

#[test]
fn what_is_delivered_in_time_is_not_salvaged() {
    let mut bench = bench(1 << 20);
    append(&bench.path("a.log"), b"1\n2\n");
    bench.look();
    bench.commit_all();
    fs_err::remove_file(bench.path("a.log")).unwrap();
    bench.look();
    bench.files.salvage(true);
    assert_eq!(salvaged(&bench), 0);
}
