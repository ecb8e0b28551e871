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

/// Access lines, records and tracebacks, as a server's output that is redirected to a file has them.
fn mixed(records: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for n in records {
        text += &format!("INFO:     127.0.0.1:{n} - \"POST /v1/completions HTTP/1.1\" 200 OK for a.b@example.com\n");
        text += &format!("{}\n", record(n));
        if n % 5 == 0 {
            text += "Traceback (most recent call last):\n  File \"/srv/app/predict.py\", line 41, in predict\n    \
                     out = model(x)\nRuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB\n";
        }
    }
    text
}

#[test]
fn text_between_the_records_is_dropped_by_name_or_wrapped_or_entered_once() {
    for (decode, code, dead, documents_expected) in [
        ("{ json: { other_text: drop } }", 0, 0, 100),
        ("{ json: { other_text: wrap } }", 0, 0, 220),
        ("json", 1, 120, 100),
    ] {
        let place = Place::new(&pipeline("", decode));
        // The last line is that of a traceback, which might go on.
        place.append(mixed(1..51));
        place.run_once_to(code);
        place.append(mixed(51..101));
        let ended = place.run_once_to(code);
        let entries = place.dead_letters();
        assert_eq!((entries.len(), place.store().count()), (dead, documents_expected), "{decode}: {ended:?}");
        assert!(entries.iter().all(|entry| entry["reason"] == "not_an_object"), "{decode}: {entries:?}");
        let traceback = entries.iter().filter(|entry| entry["detail"].as_str().unwrap().starts_with("4 lines"));
        assert_eq!(traceback.count(), if dead > 0 { 20 } else { 0 }, "{decode}");
        let proven = reconcile(&place);
        assert_eq!(proven.code, Some(0), "{decode}: {proven:?}");
        let shipped = place.store().documents().concat();
        assert!(!shipped.contains("example.com"), "{decode}");
    }
}

#[test]
fn wrapped_text_has_its_level_and_is_no_inference() {
    let place =
        Place::new(&(pipeline("", "{ json: { other_text: wrap, prefix: skip } }") + "observe: [model_metrics]\n"));
    place.append(format!("{}10:00:00 WARNING model: {}\n", mixed(0..1), record(7)));
    let running = place.run();
    crate::place::wait_for("the documents", || (place.store().count() == 4).then_some(()));
    let metrics = running.get("/metrics").1;
    let requests = metrics.lines().filter(|line| line.starts_with("model_requests_total{"));
    let counts: Vec<&str> = requests.filter_map(|line| line.rsplit(' ').next()).collect();
    assert_eq!(counts, ["2"], "{metrics}");
    running.stop();
    let mut found: Vec<String> = documents(&place)
        .iter()
        .map(|document| {
            let of = |name: &str| document.get(name).map(ToString::to_string).unwrap_or_default();
            format!("{} {} {} {}", of("request_id"), of("log.level"), of("inferlog.lines"), of("inferlog.prefix"))
        })
        .collect();
    found.sort();
    assert_eq!(
        found,
        [" \"error\" 4 ", " \"info\" 1 ", "\"r0\"   ", "\"r7\" \"warning\"  \"10:00:00 WARNING model:\""]
    );
}

/// A line of a program as Docker's `json-file` has it, in parts of so many bytes.
fn docker(line: &str, stream: &str, part_bytes: usize) -> Vec<String> {
    parts(&format!("{line}\n"), part_bytes)
        .map(|part| {
            let time = "2026-11-23T10:00:09.123456789Z";
            format!("{{\"log\":{},\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n", Value::from(part))
        })
        .collect()
}

/// The same as a CRI runtime has it.
fn cri(line: &str, stream: &str, part_bytes: usize) -> Vec<String> {
    let parts: Vec<&str> = parts(line, part_bytes).collect();
    let tag = |number: usize| if number + 1 == parts.len() { 'F' } else { 'P' };
    let line =
        |(number, part): (usize, &&str)| format!("2026-11-23T10:00:09.123456789Z {stream} {} {part}\n", tag(number));
    parts.iter().enumerate().map(line).collect()
}

fn parts(line: &str, part_bytes: usize) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let mut end = part_bytes.min(rest.len());
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (part, behind) = rest.split_at(end);
        rest = behind;
        (!part.is_empty()).then_some(part)
    })
}

type Wrap = fn(&str, &str, usize) -> Vec<String>;

/// Records on stdout, every third one in parts, with a text line on stderr between its first and second part.
fn wrapped(wrap: Wrap, records: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for n in records {
        let mut lines = wrap(&record(n), "stdout", if n % 3 == 0 { 40 } else { 1 << 14 });
        if n % 3 == 0 {
            lines.splice(1..1, wrap(&format!("INFO: {n}"), "stderr", 1 << 14));
        }
        text += &lines.concat();
    }
    text
}

const WRAPS: [(&str, Wrap); 2] = [("docker", docker), ("cri", cri)];

#[test]
fn wrapped_lines_are_records_with_their_stream_and_the_rest_is_what_the_format_says() {
    for (name, wrap) in WRAPS {
        for runtime in [name, "auto"] {
            let place = Place::new(&pipeline("", &format!("[{runtime}, {{ json: {{ other_text: wrap }} }}]")));
            place.append(wrapped(wrap, 0..30));
            let no_time = record(99).replace("timestamp", "when");
            place.append(wrap(&no_time, "stdout", 1 << 14).concat());
            place.append(wrap("", "stdout", 1 << 14).concat());
            if name == "docker" {
                // A line end inside of what a program wrote as one line, which no document may have.
                place.append(wrap("{\"request_id\":\"two\",\n\"n\":1}", "stdout", 1 << 14).concat());
                place.append(wrap("{\"request_id\":\"three\",\n\"n\":NaN}", "stdout", 1 << 14).concat());
            }
            let ended = place.run_once_to(0);
            let documents = documents(&place);
            let over_lines = if name == "docker" { 2 } else { 0 };
            assert_eq!(documents.len(), 41 + over_lines, "{runtime}, {name}: {ended:?}");
            assert!(place.store().documents().iter().all(|document| !document.contains('\n')), "{runtime}, {name}");
            let of = |id: &str| documents.iter().find(|document| document["request_id"] == id).unwrap();
            assert_eq!(of("r3")["log.iostream"], "stdout");
            assert_eq!(
                (&of("r3")["@timestamp"], &of("r3")["label"]),
                (&"2026-11-23T10:00:01.000Z".into(), &"Käse €".into())
            );
            let timeless = of("r99");
            assert_eq!(timeless["@timestamp"], "2026-11-23T10:00:09.123456789Z", "{timeless}");
            assert_eq!(timeless["inferlog.notes"], serde_json::json!(["container_time"]));
            let text = documents.iter().find(|document| document["message"] == "INFO: 27").unwrap();
            assert_eq!((&text["log.iostream"], &text["log.level"]), (&"stderr".into(), &"info".into()));
            let proven = reconcile(&place);
            assert_eq!(proven.code, Some(0), "{runtime}, {name}: {proven:?}");
        }
    }
}

/// A runtime wraps a traceback line by line; a run is killed in the middle of it, and another one ends there.
#[test]
fn a_traceback_inside_of_wrapped_lines_is_one_document_whenever_it_is_read() {
    let traceback = "Traceback (most recent call last):\n  File \"/srv/app/predict.py\", line 41\n    out = model(x)\n\
                     RuntimeError: CUDA out of memory\n\nDuring handling of the above exception, another exception \
                     occurred:\n\nTraceback (most recent call last):\n  File \"/srv/app/serve.py\", line 7\nAbort: stopped";
    for (name, wrap) in WRAPS {
        let blank = "2026-11-23T10:00:09.123456789Z stderr F \n";
        let wrapped = |text: &str, stream| {
            let of_line = |line: &str| match wrap(line, stream, 1 << 14) {
                lines if lines.is_empty() => vec![blank.to_owned()],
                lines => lines,
            };
            text.split('\n').flat_map(of_line).collect()
        };
        let mut lines: Vec<String> = wrapped(&record(0), "stdout");
        lines.extend::<Vec<String>>(wrapped(traceback, "stderr"));
        lines.extend::<Vec<String>>(wrapped("INFO: next", "stderr"));
        lines.extend::<Vec<String>>(wrapped(&record(1), "stdout"));
        let mut ids = Vec::new();
        for cut in [0, 2, 5, 8, lines.len()] {
            let place = Place::new(&pipeline("", &format!("[{name}, {{ json: {{ other_text: wrap }} }}]")));
            place.append(lines[..cut].concat());
            if cut > 0 {
                let running = place.run();
                let whole = if cut == lines.len() { 4 } else { 1 };
                crate::place::wait_for("what is whole", || (place.store().count() == whole).then_some(()));
                running.signal(crate::place::Signal::KILL);
                drop(running);
            }
            place.append(lines[cut..].concat());
            place.run_once_to(0);
            let documents = documents(&place);
            assert_eq!(documents.len(), 4, "{name}, {cut}: {documents:?}");
            let joined = documents.iter().find(|document| document["log.level"] == "error").unwrap();
            assert_eq!(joined["message"], traceback, "{name}, {cut}");
            assert_eq!((&joined["inferlog.lines"], &joined["log.iostream"]), (&10.into(), &"stderr".into()), "{name}");
            let mut offsets: Vec<u64> = documents.iter().map(|it| it["log.offset"].as_u64().unwrap()).collect();
            offsets.sort_unstable();
            ids.push(offsets);
            let proven = reconcile(&place);
            assert_eq!(proven.code, Some(0), "{name}, {cut}: {proven:?}");
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "{name}: other entries at another time: {ids:?}");
    }
}

/// The kubelet renames the file and makes a new one; a run is killed in the middle of a line's parts, and again.
#[test]
fn parts_survive_a_kill_and_a_rotation_and_are_read_once() {
    for (name, wrap) in WRAPS {
        let place = Place::new(&pipeline("", &format!("[{name}, {{ json: {{ other_text: drop }} }}]")));
        let text = wrapped(wrap, 0..40);
        let halves: Vec<&str> = text.split_inclusive('\n').collect();
        // Behind the first part of a record.
        let cut = halves.iter().position(|line| line.contains("r36")).unwrap() + 1;
        place.append(halves[..cut].concat());
        let running = place.run();
        crate::place::wait_for("the whole records", || (place.store().count() == 36).then_some(()));
        running.signal(crate::place::Signal::KILL);
        drop(running);
        place.append(halves[cut..cut + 1].concat());
        let running = place.run();
        place.append(halves[cut + 1..].concat());
        crate::place::wait_for("the record in parts", || (place.store().count() == 40).then_some(()));
        std::fs::rename(place.log(), place.path("logs/a.ndjson.1")).unwrap();
        place.append(wrapped(wrap, 40..60));
        crate::place::wait_for("the next file", || (place.store().count() == 60).then_some(()));
        running.stop();
        assert_eq!(place.dead_letters().len(), 0, "{name}");
        let proven = reconcile(&place);
        assert_eq!(proven.code, Some(0), "{name}: {proven:?}");
    }
}

#[test]
fn a_line_whose_last_part_is_missing_is_named_and_replayed_as_it_is() {
    let place = Place::new(&pipeline(", unterminated_after: 1s", "[cri, json]"));
    let lines = cri(&record(0), "stdout", 40);
    place.append(format!("{}not wrapped\n{}", cri(&record(1), "stdout", 1 << 14).concat(), lines[..2].concat()));
    // It may go on: it is left unread, and said.
    let ended = place.run_once_to(1);
    assert!(ended.stderr.contains("left unread"), "{ended:?}");
    assert_eq!(reasons(&place), ["not_wrapped"]);
    let running = place.run();
    crate::place::wait_for("the cut line", || (place.dead_letters().len() == 2).then_some(()));
    running.stop();
    assert_eq!(reasons(&place), ["not_wrapped", "partial_line"]);
    let replayed = start(place.inferlog(&["dead-letter", "replay", "p.yaml", "--data-dir", "data"])).wait();
    assert_eq!(replayed.code, Some(1), "{replayed:?}");
    // What wraps no line is read where it is recognised.
    place.set_pipeline(&pipeline("", "[auto, { json: { other_text: wrap } }]"));
    let replayed =
        start(place.inferlog(&["dead-letter", "replay", "p.yaml", "--data-dir", "data", "--reason", "not_wrapped"]))
            .wait();
    assert_eq!((replayed.code, place.dead_letters().len(), place.store().count()), (Some(0), 1, 2), "{replayed:?}");
}

#[test]
fn a_whole_file_that_is_one_array_gives_its_elements() {
    let place = Place::new(&pipeline("", "json_array"));
    let pretty = record(1).replace(',', ",\n    ").replace('{', "{\n    ");
    place.append(format!("[\n  {},\n  {pretty}", record(0)));
    // The first is whole, and so is the second: more may come.
    place.run_once_to(0);
    place.append(format!(",\n  {{\"broken\": nul}},\n  {}\n]\n", record(2)));
    place.run_once_to(1);
    assert_eq!((place.store().count(), reasons(&place)), (3, vec!["invalid_json".to_owned()]));
    let offset = place.dead_letters()[0]["origin"]["offset_bytes"].as_u64().unwrap() as usize;
    assert!(std::fs::read(place.log()).unwrap()[offset..].starts_with(b"{\"broken\""));
    assert!(place.store().documents().iter().all(|document| !document.contains('\n')));
    let proven = reconcile(&place);
    assert_eq!(proven.code, Some(0), "{proven:?}");
}

/// The runtime renames a file in the middle of a line's parts, and goes on in a new one.
#[test]
fn a_line_that_a_rotation_cuts_is_named_in_both_files_and_nothing_else_is_lost() {
    for (name, wrap) in WRAPS {
        let place = Place::new(&pipeline("", &format!("[{name}, json]")));
        let parts = wrap(&record(1), "stdout", 40);
        let (before, behind) = parts.split_at(2);
        place.append(wrap(&record(0), "stdout", 1 << 14).concat() + &before.concat());
        let running = place.run();
        crate::place::wait_for("the whole record", || (place.store().count() == 1).then_some(()));
        std::fs::rename(place.log(), place.path("logs/a.ndjson.1")).unwrap();
        place.append(behind.concat() + &wrap(&record(2), "stdout", 1 << 14).concat());
        crate::place::wait_for("the next record", || (place.store().count() == 2).then_some(()));
        crate::place::wait_for("both parts", || (place.dead_letters().len() == 2).then_some(()));
        running.stop();
        let mut found = reasons(&place);
        found.sort();
        // The rest is no object any more.
        assert_eq!(found, ["not_an_object", "partial_line"], "{name}");
        let proven = reconcile(&place);
        assert_eq!(proven.code, Some(0), "{name}: {proven:?}");
    }
}

#[test]
fn what_was_recognised_is_said_once_for_each_file() {
    let place = Place::new(&pipeline("", "[auto, json]"));
    place.append(docker(&record(0), "stdout", 1 << 14).concat());
    std::fs::write(place.path("logs/b.ndjson"), cri(&record(1), "stdout", 1 << 14).concat()).unwrap();
    std::fs::write(place.path("logs/c.ndjson"), record(2) + "\n" + &record(3) + "\n").unwrap();
    let ended = place.run_once_to(0);
    assert_eq!(place.store().count(), 4, "{ended:?}");
    let said: Vec<&str> = ended.stderr.lines().filter(|line| line.contains("recognised what wraps")).collect();
    assert_eq!(said.len(), 3, "{ended:?}");
    for (file, wrapped_by) in [("a", "docker"), ("b", "cri"), ("c", "nothing")] {
        let of_file = said.iter().find(|line| line.contains(&format!("{file}.ndjson"))).unwrap();
        assert!(of_file.contains(&format!("wrapped_by=\"{wrapped_by}\"")), "{of_file}");
    }
}
