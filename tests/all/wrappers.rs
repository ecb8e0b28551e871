//! Lines that are not one plain JSON object each: in other encodings, wrapped by a container runtime, among text. What the
//! built binary makes of them, through rotation and `kill -9`.

use serde_json::Value;

use crate::place::{Ended, Place, start};

/// A pipeline into the store that reads `logs/*.ndjson` with these options of `files` and this decoder.
fn pipeline(files: &str, decode: &str) -> String {
    format!(
        "source: {{ files: {{ paths: [\"logs/*.ndjson\"], poll_interval: 50ms{files} }} }}\n\
         decode: {decode}\nenrich: [timestamp: {{ from: [timestamp] }}]\nsink: {{ store: {{}} }}\n"
    )
}

/// A record whose label is not ASCII.
fn record(n: u64) -> String {
    format!(r#"{{"event":"inference","request_id":"r{n}","timestamp":"2026-11-23T10:00:01Z","label":"Käse €"}}"#)
}

fn lines(records: std::ops::Range<u64>) -> String {
    records.map(|n| record(n) + "\r\n").collect()
}

fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(bytes).collect()
}

fn reconcile(place: &Place) -> Ended {
    start(place.inferlog(&["reconcile", "p.yaml", "--data-dir", "data"])).wait()
}

fn check_sample(place: &Place) -> Ended {
    start(place.inferlog(&["check", "p.yaml", "--sample", "logs/a.ndjson"])).wait()
}

fn documents(place: &Place) -> Vec<Value> {
    place.store().documents().iter().map(|document| serde_json::from_str(document).unwrap()).collect()
}

fn reasons(place: &Place) -> Vec<String> {
    place.dead_letters().iter().map(|entry| entry["reason"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn other_encodings_are_read_by_mark_or_by_option_and_proven() {
    let latin1 = |text: &str| -> Vec<u8> {
        text.chars().map(|c| if c == '€' { 0x80 } else { u8::try_from(u32::from(c)).unwrap() }).collect()
    };
    let marked = |text: &str| format!("\u{feff}{text}");
    let (whole, half) = (lines(0..40), lines(0..20));
    for (options, first, all) in [
        ("", utf16(&marked(&half), u16::to_le_bytes), utf16(&marked(&whole), u16::to_le_bytes)),
        ("", utf16(&marked(&half), u16::to_be_bytes), utf16(&marked(&whole), u16::to_be_bytes)),
        (", encoding: utf-16le", utf16(&half, u16::to_le_bytes), utf16(&whole, u16::to_le_bytes)),
        (", encoding: utf-16be", utf16(&half, u16::to_be_bytes), utf16(&whole, u16::to_be_bytes)),
        (", encoding: latin-1", latin1(&half), latin1(&whole)),
    ] {
        let place = Place::new(&pipeline(options, "json"));
        place.append(&first);
        place.run_once_to(0);
        place.append(&all[first.len()..]);
        assert!(check_sample(&place).stderr.contains("40  would be shipped"), "{options}");
        place.run_once_to(0);
        let documents = documents(&place);
        assert_eq!(documents.len(), 40, "{options}");
        assert!(documents.iter().all(|document| document["label"] == "Käse €"), "{options}");
        let offsets: Vec<u64> = documents.iter().map(|document| document["log.offset"].as_u64().unwrap()).collect();
        assert!(offsets.iter().all(|offset| *offset < all.len() as u64), "{options}: {offsets:?}");
        let proven = reconcile(&place);
        assert_eq!(proven.code, Some(0), "{options}: {proven:?}");
        // The same ids again, with the state gone.
        std::fs::remove_file(place.path("data/p/checkpoint.json")).unwrap();
        place.run_once_to(0);
        assert_eq!(place.store().documents().len(), 40, "{options}");
    }
}

#[test]
fn an_encoding_that_is_not_the_files_is_named_and_none_of_it_is_kept() {
    let place = Place::new(&pipeline("", "json"));
    let secret = r#"{"event":"inference","user":"someone@example.com"}"#;
    place.append(record(0) + "\n");
    // PowerShell's `>>` into a file of UTF-8, and a file of UTF-16 without a mark.
    place.append(utf16(&format!("\u{feff}{secret}\r\n{secret}\r\n"), u16::to_le_bytes));
    std::fs::write(place.path("logs/b.ndjson"), utf16(&format!("{secret}\n{secret}\n"), u16::to_be_bytes)).unwrap();
    // Latin-1 without the option.
    std::fs::write(place.path("logs/c.ndjson"), b"{\"label\":\"K\xe4se\"}\n").unwrap();
    let ended = place.run_once_to(1);
    assert_eq!(place.store().count(), 1, "{ended:?}");
    let mut found = reasons(&place);
    found.sort();
    found.dedup();
    assert_eq!(found, ["invalid_utf8", "utf16"]);
    let kept = format!("{:?}", place.dead_letters());
    assert!(!kept.contains("example.com"), "{kept}");
    let in_utf16 = place.dead_letters().into_iter().filter(|entry| entry["reason"] == "utf16");
    assert!(in_utf16.map(|entry| entry["not_kept"].clone()).all(|why| why == "unreadable"), "{kept}");
    let checked = check_sample(&place);
    assert!(checked.stderr.contains("utf16 (decode)") && checked.stderr.contains("encoding: utf-16le"), "{checked:?}");
}
