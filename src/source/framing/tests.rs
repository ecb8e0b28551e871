use super::*;

fn lines(bytes: &[u8], offset_bytes: u64, form: Form) -> Vec<(u64, Vec<u8>, Option<String>)> {
    let mut lines = Lines::new(bytes, offset_bytes, form);
    let mut found = Vec::new();
    while let Some(line) = lines.next_line() {
        found.push((line.offset_bytes, line.bytes.to_vec(), line.text.map(str::to_owned)));
    }
    found
}

fn check(bytes: &[u8], offset_bytes: u64, expected: &[(u64, &[u8], bool)]) {
    let found = lines(bytes, offset_bytes, Form::default());
    let found: Vec<_> = found.iter().map(|(offset, bytes, text)| (*offset, &bytes[..], text.is_some())).collect();
    assert_eq!(found, expected, "{:?}", bytes.escape_ascii().to_string());
}

#[test]
fn line_ends_marks_and_empty_lines() {
    check(b"", 0, &[]);
    check(b"\n\r\n\n", 0, &[]);
    check(b"a\nbc\n", 10, &[(10, b"a", true), (12, b"bc", true)]);
    check(b"a\r\nb\r\r\n", 0, &[(0, b"a", true), (3, b"b\r", true)]);
    check(b"\xef\xbb\xbfa\nb", 0, &[(3, b"a", true), (5, b"b", true)]);
    check(b"\xef\xbb\xbf\n", 0, &[]);
    check(b"\xef\xbb\xbfa", 7, &[(10, b"a", true)]);
    check(b"a\n\xef\xbb\xbfb\n\xef\xbb\xbf\xef\xbb\xbfc", 0, &[(0, b"a", true), (5, b"b", true), (13, b"c", true)]);
    check(b"\xff\n\xef\xbb\xbfb\n", 0, &[(0, b"\xff", false), (5, b"b", true)]);
    check(b"a\xef\xbb\xbf\n\xef\xbb\n", 0, &[(0, b"a\xef\xbb\xbf", true), (5, b"\xef\xbb", false)]);
    check(b"\xef\xbb\xbf\r\n\xef\xbb\xbf\n", 0, &[]);
    check("é\n€\n".as_bytes(), 0, &[(0, "é".as_bytes(), true), (3, "€".as_bytes(), true)]);
    check(b"ok\n\xff\xfe\nok\n", 0, &[(0, b"ok", true), (3, b"\xff\xfe", false), (6, b"ok", true)]);
    check(b"\xc3\n\xa9\n", 0, &[(0, b"\xc3", false), (2, b"\xa9", false)]);
}

#[test]
fn consumed_bytes_stand_behind_each_line() {
    let mut lines = Lines::new(b"a\n\nbb\n\nc", 0, Form::default());
    let mut consumed = Vec::new();
    while lines.next_line().is_some() {
        consumed.push(lines.consumed_bytes());
    }
    assert_eq!(consumed, [2, 6, 8]);
}

fn utf16(text: &str, encoding: Encoding) -> Vec<u8> {
    let unit = |unit: u16| if encoding == Encoding::Utf16Be { unit.to_be_bytes() } else { unit.to_le_bytes() };
    text.encode_utf16().flat_map(unit).collect()
}

#[test]
fn lines_of_utf16_have_offsets_in_bytes_of_the_file() {
    for encoding in [Encoding::Utf16Le, Encoding::Utf16Be] {
        let form = Form { encoding, ..Form::default() };
        let bytes = utf16("\u{feff}{\"a\":\"Kä\u{a0a}\"}\r\n\r\nü\n\u{feff}b", encoding);
        let found = lines(&bytes, 0, form);
        let texts: Vec<_> = found.iter().map(|(offset, _, text)| (*offset, text.as_deref().unwrap())).collect();
        assert_eq!(texts, [(2, "{\"a\":\"Kä\u{a0a}\"}"), (32, "ü"), (38, "b")], "{encoding:?}");
        assert!(found.iter().all(|(offset, raw, _)| bytes[*offset as usize..].starts_with(raw)));
        assert_eq!(whole_end(&form, &bytes, 0), Some(36));
        // Cut within the line feed: it is no line yet.
        assert_eq!(whole_end(&form, &bytes[..35], 0), Some(32 - 4 + 4));
    }
}

#[test]
fn the_form_of_a_file_is_told_by_its_beginning() {
    let of = |entries| Form { entries, entry_bytes_max: 100, ..Form::default() };
    let wrapped = |runtime| of(Entries::Wrapped(runtime));
    let auto = Framing { entries: EntriesOption::Recognised, ..Framing::of_lines(100) };
    let docker = "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"T\"}\n";
    for (beginning, expected) in [
        (docker.as_bytes().to_vec(), wrapped(Runtime::Docker)),
        ([b"\xef\xbb\xbf\n", docker.as_bytes()].concat(), wrapped(Runtime::Docker)),
        (b"2026-11-23T10:00:00Z stderr F a\n".to_vec(), wrapped(Runtime::Cri)),
        (b"{\"a\":1}\n".to_vec(), of(Entries::Text)),
        (
            utf16(&format!("\u{feff}{docker}"), Encoding::Utf16Le),
            Form { encoding: Encoding::Utf16Le, ..wrapped(Runtime::Docker) },
        ),
    ] {
        assert_eq!(auto.form(&beginning), expected, "{}", beginning.escape_ascii());
    }
    let plain = Framing::of_lines(100);
    for (beginning, encoding, expected) in [
        (&b"\xff\xfea\0"[..], Encoding::Utf8, Encoding::Utf16Le),
        (b"\xfe\xff\0a", Encoding::Utf16Le, Encoding::Utf16Be),
        (b"\xff\xfea", Encoding::Latin1, Encoding::Latin1),
        (b"a\0", Encoding::Utf16Le, Encoding::Utf16Le),
        (b"", Encoding::Utf8, Encoding::Utf8),
    ] {
        assert_eq!(Framing { encoding, ..plain }.form(beginning).encoding, expected);
    }
}

/// Entries of several lines: `|` stands at the start of each, and `…` before what is not known to be whole.
fn check_entries(entries: Entries, entry_bytes_max: u32, expected: &str) {
    let (whole, open) = expected.split_once('…').unwrap_or((expected, ""));
    let form = Form { entries, entry_bytes_max, ..Form::default() };
    let text = expected.replace(['|', '…'], "");
    let end = whole_end(&form, text.as_bytes(), 0).unwrap_or(0);
    assert_eq!(&text[..end], whole.replace('|', ""), "{expected}");
    let found = lines(text.as_bytes(), 0, form);
    let texts: Vec<&str> = found.iter().map(|(_, _, text)| text.as_deref().unwrap()).collect();
    let all = format!("{whole}{open}");
    let wanted: Vec<&str> = all.split('|').map(str::trim_end).filter(|entry| !entry.is_empty()).collect();
    assert_eq!(texts, wanted, "{expected}");
    // The same, from whichever entry it is read on.
    for (offset, _, _) in &found {
        let from = *offset as usize;
        let again = lines(&text.as_bytes()[from..], *offset, form);
        assert_eq!(again, found[found.len() - again.len()..], "{expected}, from {from}");
    }
}

#[test]
fn entries_of_several_lines_are_whole_or_wait() {
    let text = |expected: &str| check_entries(Entries::Text, 1 << 20, expected);
    text("|{}\n|{}\n");
    text("|{}\n…|{\"a\"");
    text("|INFO a\n|INFO b\n");
    text("|{}\n…|  a\n  b\n");
    text("|{}\n|  a\n  b\n…|{");
    text("|{}\n…|  a\n  b\n|c");
    text("|{}\n|  a\n  b\n|c\n");
    text("…|Traceback (most recent call last):\n  a\n");
    text("…|Traceback (most recent call last):\n  a\nKeyError: 'a'\n");
    text("…|Traceback (most recent call last):\n  a\nKeyError: 'a'\n\n");
    text("|Traceback (most recent call last):\n  a\nKeyError: 'a'\n\n|x\n");
    text("|Traceback (most recent call last):\n  a\nKeyError: 'a'\n|Traceback x\n|{}\n");
    let cri = Entries::Wrapped(Runtime::Cri);
    const P: &str = "2026-11-23T10:00:00Z stdout P";
    const F: &str = "2026-11-23T10:00:00Z stdout F";
    check_entries(cri, 1 << 20, &format!("|{F} a\n|{P} b\n{F} c\n…|{P} d\n"));
    check_entries(cri, 1 << 20, &format!("|{F} a\n…|{P} b\n{F} c"));
    // Within bounds: what goes on beyond them is another entry.
    check_entries(cri, 100, &format!("|{P} aa\n{P} bb\n{P} cc\n…|{P} d\n"));
    check_entries(cri, 100, &format!("|{P} aa\n{P} bb\n{P} cc\n|{P} d\n{F} e\n"));
    check_entries(Entries::Text, 20, "|  aaaaaaa\n  bbbbbb\n|  c\n|d\n");
}

#[test]
fn a_wrapped_line_says_what_it_is_when_it_has_ended() {
    let check = |expected: &str| check_entries(Entries::Wrapped(Runtime::Docker), 1 << 20, expected);
    let line = |log: &str| format!("{{\"log\":\"{log}\",\"stream\":\"stderr\",\"time\":\"T\"}}");
    let (part, end, traceback) = (line("a"), line("b\\n"), line("Traceback (most recent call last):\\n"));
    check(&format!("|{part}\n{end}\n…|{end}"));
    check(&format!("…|{part}\n{end}"));
    check(&format!("…|{part}\n{end}, and what stands behind it"));
    check(&format!("…|{traceback}\n|{{\"log\":\"  Fi"));
    check(&format!("|{traceback}\n|{}\n", line("INFO: c\\n")));
}
