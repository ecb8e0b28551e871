//! Archives in the making: named before they are written, growing slowly, cut off, damaged.

use std::io::Write as _;

use super::scripts::append;
use super::*;

const ENDS: [&str; 2] = ["gz", "zst"];

fn compressed(content: &[u8], end: &str) -> Vec<u8> {
    if end == "zst" {
        return ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest);
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Lines that do not compress to nothing.
fn lines(range: std::ops::Range<u32>) -> String {
    range.map(|n| format!("{n} {:08x}\n", n.wrapping_mul(2_654_435_761))).collect()
}

fn bench() -> Bench {
    Bench::new(&["a.log*"], &[], FirstSeen::Beginning, 1 << 20)
}

/// What came out since the last call, without its origin.
fn texts(bench: &mut Bench) -> String {
    bench.seen.drain(..).map(|seen| seen.text + "\n").collect()
}

fn unreadable(bench: &Bench) -> u64 {
    bench.counters.source_unreadable_total.get()
}

/// Looks again and again, as time goes by.
fn settle(bench: &mut Bench) {
    for _ in 0..4 {
        bench.look_later();
        bench.commit_all();
    }
}

#[test]
fn an_archive_that_is_named_before_it_is_written_is_no_text() {
    for end in ENDS {
        // Its content was delivered, and is there until the archive is complete; or it was never seen.
        for is_known in [true, false] {
            let mut bench = bench();
            let content = lines(0..2_000);
            let archive = bench.path(&format!("a.log.1.{end}"));
            if is_known {
                append(&bench.path("a.log.1"), content.as_bytes());
                bench.look();
                bench.commit_all();
            }
            texts(&mut bench);
            let whole = compressed(content.as_bytes(), end);
            for length in [0, 1, 2, 3, 5, 11, whole.len() / 2, whole.len() - 1, whole.len()] {
                fs_err::write(&archive, &whole[..length]).unwrap();
                bench.look();
                assert_eq!(texts(&mut bench), "", "{end}, {length} bytes: what is growing is waited for");
            }
            if is_known {
                fs_err::remove_file(bench.path("a.log.1")).unwrap();
            }
            settle(&mut bench);
            assert_eq!(texts(&mut bench), if is_known { "" } else { &content }, "{end}");
            assert_eq!((unreadable(&bench), bench.files.open_files()), (0, 0), "{end}, known: {is_known}");
            assert_eq!(bench.counters.source_lost_bytes_total.get(), 0);
            let entries = bench.saved_entries();
            bench.restart(&entries);
            settle(&mut bench);
            assert_eq!(texts(&mut bench), "", "{end}, known: {is_known}");
        }
    }
}

#[test]
fn a_compressor_that_rests_for_long_is_followed() {
    for end in ENDS {
        let mut bench = bench();
        let content = lines(0..60_000);
        let whole = compressed(content.as_bytes(), end);
        let archive = bench.path(&format!("a.log.1.{end}"));
        let mut seen = String::new();
        for length in [0, 1, 2, 20, whole.len() / 3, whole.len() / 2, whole.len() - 1, whole.len()] {
            fs_err::write(&archive, &whole[..length]).unwrap();
            settle(&mut bench);
            seen += &texts(&mut bench);
            assert!(content.starts_with(&seen), "{end}, {length} bytes: whole lines, each once");
            let entries = bench.saved_entries();
            bench.restart(&entries);
        }
        settle(&mut bench);
        seen += &texts(&mut bench);
        assert_eq!(seen, content, "{end}");
        assert_eq!(bench.counters.source_lost_bytes_total.get(), 0, "{end}");
    }
}

/// Nobody has written to it just now, which is no sign yet that nobody will.
#[test]
fn half_of_an_archive_is_neither_read_nor_called_flawed_before_it_is_left_alone_for_a_while() {
    for end in ENDS {
        let mut bench = bench();
        bench.files.ground.waits = Waits { examined_after: Duration::ZERO, ..Waits::all(AN_HOUR) };
        let content = lines(0..60_000);
        let whole = compressed(content.as_bytes(), end);
        let archive = bench.path(&format!("a.log.1.{end}"));
        for (length, expected) in [(whole.len() / 2, ""), (whole.len(), &content)] {
            fs_err::write(&archive, &whole[..length]).unwrap();
            (0..3).for_each(|_| bench.look());
            assert_eq!((texts(&mut bench).as_str(), unreadable(&bench)), (expected, 0), "{end}, {length} bytes");
        }
    }
}

/// The same while it is held open and not delivered.
#[test]
fn an_archive_grows_while_it_is_read() {
    for end in ENDS {
        let mut bench = bench();
        let content = lines(0..60_000);
        let whole = compressed(content.as_bytes(), end);
        let archive = bench.path(&format!("a.log.1.{end}"));
        fs_err::write(&archive, &whole[..whole.len() / 2]).unwrap();
        bench.look_later();
        bench.look_later();
        let first = texts(&mut bench);
        assert!(content.starts_with(&first) && !first.is_empty(), "{end}");
        assert_eq!(bench.files.open_files(), 1, "not delivered");
        fs_err::write(&archive, &whole).unwrap();
        settle(&mut bench);
        assert_eq!(first + &texts(&mut bench), content, "{end}");
    }
}

#[test]
fn what_can_be_read_of_a_flawed_archive_is_delivered_and_the_rest_told() {
    for end in ENDS {
        let (content, more) = (lines(0..5_000), lines(5_000..5_010));
        let whole = compressed(content.as_bytes(), end);
        let two = compressed(more.as_bytes(), end);
        let all = content.clone() + &more;
        for (bytes, expected, flaws) in [
            ([&whole[..], &two].concat(), &all, 0),
            ([&whole[..], &[0; 512]].concat(), &content, 0),
            ([&whole[..], b"trailing junk"].concat(), &content, 1),
            ([&whole[..], &two[..two.len() - 4]].concat(), &all, 1),
            (content.clone().into_bytes(), &content, 0),
        ] {
            let mut bench = bench();
            fs_err::write(bench.path(&format!("a.log.{end}")), &bytes).unwrap();
            settle(&mut bench);
            let seen = texts(&mut bench);
            // How much of the last block of zstd comes out is the decoder's.
            let is_part = flaws == 1 && end == "zst" && expected.starts_with(&seen) && seen.starts_with(&content);
            assert!(seen == *expected || is_part, "{end}: {} of {} bytes", seen.len(), expected.len());
            assert_eq!((unreadable(&bench), bench.files.is_undecided()), (flaws, false), "{end}");
            let entries = bench.saved_entries();
            bench.restart(&entries);
            settle(&mut bench);
            assert_eq!(texts(&mut bench), "", "{end}: once, whatever is wrong with it");
        }
    }
    // Nothing at all, a beginning without a line, and what is no archive under the name of one.
    for (bytes, flaws) in [(&b""[..], 0), (b"\x1f", 1), (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", 1), (b"\0\0\0\0\0\0", 1)] {
        let mut bench = bench();
        fs_err::write(bench.path("a.log.gz"), bytes).unwrap();
        settle(&mut bench);
        assert_eq!((texts(&mut bench), unreadable(&bench), bench.files.is_undecided()), (String::new(), flaws, false));
    }
}

#[test]
fn a_cut_archive_of_what_was_delivered_is_not_delivered_again() {
    for end in ENDS {
        let mut bench = bench();
        let content = lines(0..60_000);
        append(&bench.path("a.log"), content.as_bytes());
        bench.look();
        bench.commit_all();
        fs_err::remove_file(bench.path("a.log")).unwrap();
        settle(&mut bench);
        assert_eq!((texts(&mut bench), bench.files.open_files()), (content.clone(), 0));
        let whole = compressed(content.as_bytes(), end);
        fs_err::write(bench.path(&format!("a.log.1.{end}")), &whole[..whole.len() / 2]).unwrap();
        settle(&mut bench);
        assert_eq!((texts(&mut bench), unreadable(&bench), bench.files.open_files()), (String::new(), 1, 0), "{end}");
    }
}

#[test]
fn content_tells_an_archive_whatever_its_name() {
    let mut bench = bench();
    let content = lines(0..100);
    fs_err::write(bench.path("a.log.1"), compressed(content.as_bytes(), "gz")).unwrap();
    settle(&mut bench);
    assert_eq!((texts(&mut bench), unreadable(&bench)), (content, 0));
}
