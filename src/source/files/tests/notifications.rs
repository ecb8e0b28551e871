//! With notifications: they bring the next look forward, and tell of names that no scan has seen.

use super::scripts::append;
use super::*;

fn with_notifications(paths: &[&str], poll_interval: Duration) -> (Bench, Wake) {
    let mut bench = Bench::new(paths, &[], FirstSeen::Beginning, 64);
    bench.options.poll_interval = poll_interval;
    let wake = Wake::default();
    bench.files = Files::new(bench.options.clone(), None, bench.counters.clone(), wake.clone()).unwrap();
    (bench, wake)
}

/// Reads whatever comes until there are this many lines.
fn read_until(bench: &mut Bench, wake: &Wake, lines: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while bench.seen.len() < lines {
        assert!(Instant::now() < deadline, "{} of {lines} lines were found", bench.seen.len());
        while bench.read_chunk() {}
        wake.wait(Duration::from_millis(10));
    }
}

/// Lets no scan come before it is asked for.
fn hold_scans(bench: &mut Bench) {
    let later = Instant::now() + AN_HOUR;
    (bench.files.schedule.next, bench.files.schedule.earliest) = (later, later);
}

#[test]
fn a_folder_that_is_made_again_is_watched_again() {
    let (mut bench, wake) = with_notifications(&["logs/*.log"], AN_HOUR);
    for round in 1..=3 {
        fs_err::create_dir(bench.path("logs")).unwrap();
        // The scan that finds the folder stands for a poll.
        bench.look();
        // Other lines each time: the same ones would be those of a restored file.
        append(&bench.path("logs/a.log"), format!("{round}.1\n").as_bytes());
        append(&bench.path("logs/a.log"), format!("{round}.2\n").as_bytes());
        read_until(&mut bench, &wake, 2 * round);
        fs_err::remove_dir_all(bench.path("logs")).unwrap();
    }
}

#[test]
fn a_file_is_followed_out_of_the_globs_before_any_scan_has_seen_it() {
    // Waits for the news after each rename, or after all of them.
    for at_once in [false, true] {
        let (mut bench, _wake) = with_notifications(&["a.log"], AN_HOUR);
        bench.look();
        hold_scans(&mut bench);
        let mut expected = Vec::new();
        for number in 0..5 {
            append(&bench.path("a.log"), format!("{number}\n").as_bytes());
            expected.push(number.to_string());
            // As logrotate does: all others move on, then the newest.
            for older in (1..=number).rev() {
                fs_err::rename(bench.path(&format!("a.log.{older}")), bench.path(&format!("a.log.{}", older + 1)))
                    .unwrap();
            }
            fs_err::rename(bench.path("a.log"), bench.path("a.log.1")).unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            while (!at_once || number == 4) && bench.files.open_files() <= number {
                assert!(Instant::now() < deadline, "{} files were found, at once: {at_once}", bench.files.open_files());
                bench.files.look();
            }
        }
        // Names that were never ours are left alone.
        append(&bench.path("b"), b"b\n");
        fs_err::rename(bench.path("b"), bench.path("c")).unwrap();
        append(&bench.path("a.log"), b"last\n");
        bench.look();
        expected.push("last".to_owned());
        let mut seen: Vec<String> = bench.seen.iter().map(|seen| seen.text.clone()).collect();
        seen.sort();
        assert_eq!(seen, expected, "at once: {at_once}");
        // What is written to them after the rename comes out as well.
        append(&bench.path("a.log.5"), b"more\n");
        bench.look();
        assert_eq!(bench.seen.last().map(|seen| seen.text.as_str()), Some("more"));
    }
}

#[test]
fn new_bytes_are_found_by_polling_and_by_notifications() {
    for (poll_interval, notifications) in
        [(Duration::from_millis(1), false), (Duration::from_secs(1), true), (Duration::from_millis(1), true)]
    {
        let (mut bench, wake) = match notifications {
            true => with_notifications(&["later/*.log"], poll_interval),
            false => (Bench::new(&["later/*.log"], &[], FirstSeen::Beginning, 64), Wake::default()),
        };
        bench.files.ground.options.poll_interval = poll_interval;
        bench.look();
        fs_err::create_dir(bench.path("later")).unwrap();
        for number in 0..10 {
            append(&bench.path("later/a.log"), format!("{number}\n").as_bytes());
            let deadline = Instant::now() + Duration::from_secs(20);
            while bench.seen.len() <= number {
                assert!(Instant::now() < deadline, "line {number} was not found, notifications: {notifications}");
                while bench.read_chunk() {}
                wake.wait(bench.files.next_look().saturating_duration_since(Instant::now()));
            }
        }
    }
}
