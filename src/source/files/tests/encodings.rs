//! Files in other encodings than UTF-8: their lines, offsets and commits, wherever reading begins again.

use super::scripts::append;
use super::*;

const LINE_BYTES_MAX: usize = 64;

/// A bench whose file has this content, up to a length.
fn bench(encoding: Encoding, content: &[u8]) -> Bench {
    let mut bench = Bench::new(&["*.log*"], &[], FirstSeen::Beginning, LINE_BYTES_MAX);
    bench.options.encoding = encoding;
    bench.restart(&[]);
    append(&bench.path("a.log"), content);
    bench
}

fn texts(bench: &Bench) -> Vec<(u64, &str)> {
    bench.seen.iter().map(|seen| (seen.offset_bytes, seen.text.as_str())).collect()
}

fn utf16(text: &str, encoding: Encoding) -> Vec<u8> {
    let unit = |unit: u16| if encoding == Encoding::Utf16Be { unit.to_be_bytes() } else { unit.to_le_bytes() };
    text.encode_utf16().flat_map(unit).collect()
}

const LINES: &str = "{\"a\":\"Käse\"}\r\n{\"b\":\"\u{a0a}\"}\nthird\n";

/// Written byte by byte and read on after each, with a start in the middle, also from a compressed copy.
#[test]
fn utf_16_is_read_by_its_mark_or_by_option_wherever_a_start_falls() {
    for (encoding, option, mark) in [
        (Encoding::Utf16Le, Encoding::Utf8, "\u{feff}"),
        (Encoding::Utf16Be, Encoding::Utf8, "\u{feff}"),
        (Encoding::Utf16Le, Encoding::Utf16Le, ""),
        (Encoding::Utf16Be, Encoding::Utf16Be, ""),
    ] {
        let content = utf16(&format!("{mark}{LINES}"), encoding);
        let at = 2 * mark.chars().count() as u64;
        let expected = [(at, "{\"a\":\"Käse\"}"), (at + 28, "{\"b\":\"\u{a0a}\"}"), (at + 48, "third")];
        for cut in 0..content.len() {
            let mut bench = bench(option, &content[..cut]);
            bench.look_later();
            bench.commit_all();
            let entries = bench.saved_entries();
            bench.restart(&entries);
            append(&bench.path("a.log"), &content[cut..]);
            bench.look_later();
            assert_eq!(texts(&bench), expected, "{encoding:?}, cut at {cut}");
            assert_eq!(bench.files.lag_bytes(), content.len() as u64 - committed(&entries));
            bench.commit_all();
            assert_eq!((bench.files.lag_bytes(), bench.counters.source_unreadable_total.get()), (0, 0));
        }
    }
}

fn committed(entries: &[FileEntry]) -> u64 {
    entries.iter().map(|entry| entry.committed.offset_bytes).sum()
}

#[test]
fn utf_16_is_read_on_in_a_compressed_copy_and_from_the_end() {
    let content = utf16(&format!("\u{feff}{LINES}{LINES}"), Encoding::Utf16Le);
    let half = utf16(&format!("\u{feff}{LINES}"), Encoding::Utf16Le).len();
    let mut bench = bench(Encoding::Utf8, &content[..half]);
    bench.look_later();
    bench.commit_all();
    let entries = bench.saved_entries();
    fs_err::remove_file(bench.path("a.log")).unwrap();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, &content).unwrap();
    append(&bench.path("a.log.1.gz"), &encoder.finish().unwrap());
    bench.restart(&entries);
    for _ in 0..3 {
        bench.look_later();
    }
    let seen: Vec<&str> = bench.seen.iter().map(|seen| seen.text.as_str()).collect();
    assert_eq!((seen.len(), seen[3..].to_vec()), (6, seen[..3].to_vec()));
    let mut bench = Bench::new(&["*.log"], &[], FirstSeen::End, LINE_BYTES_MAX);
    append(&bench.path("a.log"), &content[..half]);
    bench.look_later();
    append(&bench.path("a.log"), &content[half..]);
    bench.look_later();
    assert_eq!(bench.seen.len(), 3, "{:?}", texts(&bench));
}

#[test]
fn long_lines_and_gaps_of_utf_16_are_passed_over_by_their_bytes() {
    for encoding in [Encoding::Utf16Le, Encoding::Utf16Be] {
        let (long, short) = (format!("{}\n", "x".repeat(80)), "{\"a\":1}\n");
        let whole = utf16(&format!("\u{feff}{short}{long}{short}"), encoding);
        let mut long_bench = bench(Encoding::Utf8, &whole);
        long_bench.look_later();
        assert_eq!(texts(&long_bench), [(2, "{\"a\":1}"), (18, "<160 bytes>"), (180, "{\"a\":1}")], "{encoding:?}");
        let torn = [utf16(&format!("\u{feff}{short}"), encoding), vec![0; 64], utf16(short, encoding)].concat();
        let mut torn_bench = bench(Encoding::Utf8, &torn);
        torn_bench.look_later();
        assert_eq!(texts(&torn_bench).first(), Some(&(2, "{\"a\":1}")), "{encoding:?}");
        assert_eq!(texts(&torn_bench).last(), Some(&(82, "{\"a\":1}")), "{encoding:?}");
    }
}

#[test]
fn latin_1_is_read_by_option_and_offsets_stay_those_of_the_file() {
    let mut bench = bench(Encoding::Latin1, b"{\"a\":\"K\xe4se\"}\n{\"b\":\"\x80\"}\n");
    bench.look_later();
    assert_eq!(texts(&bench), [(0, "{\"a\":\"Käse\"}"), (13, "{\"b\":\"€\"}")]);
}
