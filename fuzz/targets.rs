//! Fuzz targets: does every parser of outside bytes keep its word, whatever the bytes?
//!
//! Each target is one plain function that panics when it does not. Two runners call them: `tests/all/fuzz_smoke.rs`, on
//! the pinned toolchain, with mutations of `corpus/`; and `cargo +nightly fuzz run NAME`, led by coverage.
//!
//! What is right is said by somebody else where there is somebody: serde_json for records and answers,
//! serde_json_canonicalizer for the canonical form, a naive reading for the frames.

use std::collections::HashSet;
use std::path::Path as FilePath;
use std::time::Duration;

use inferlog::config::{Environment, Problem, load_with};
use inferlog::decode::{
    Decode, Decoded, Decoder, Expand, ExpandForm, Format, JsonOptions, OtherText, Pair, Prefix, Reshape, Split, Wrapper,
};
use inferlog::elastic::bulk::read_answer;
use inferlog::elastic::client::Reply;
use inferlog::flow::answer::{Answer, Outcome};
use inferlog::flow::batch::SourceFile;
use inferlog::flow::line::{Entries, Form, Line};
use inferlog::kql::{Expression, TEXT_BYTES_MAX};
use inferlog::record::canonical::{CanonicalError, CanonicalForm, Numbers, Scratch, canonicalize, canonicalize_as};
use inferlog::record::{NESTING_DEPTH_MAX, Path, Record, Space};
use inferlog::source::framing::{Lines, whole_end};
use inferlog::state::checkpoint::{self, Checkpoint, CheckpointError, Loaded};
use inferlog::telemetry::Telemetry;
use inferlog::text::container_line::Runtime;
use inferlog::text::encoding::Encoding;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A target: panics when something is wrong.
pub type Target = fn(&[u8]);

/// All of them, each under the name of its corpus.
pub const TARGETS: [(&str, Target); 9] = [
    ("decode", decode),
    ("framing", framing),
    ("entries", entries),
    ("record", record),
    ("bulk_answer", bulk_answer),
    ("checkpoint", checkpoint),
    ("pipeline_file", pipeline_file),
    ("kql", kql),
    ("canonical", canonical),
];

/// Decoders. The first byte says which format and what is around the line; the rest is the line.
pub fn decode(data: &[u8]) {
    let Some((choice, bytes)) = data.split_first() else { return };
    let formats = [Format::Json, Format::Ecs, Format::CloudEvents, Format::Otlp, Format::JsonArray];
    let entries = [Entries::Text, Entries::Wrapped(Runtime::Docker), Entries::Wrapped(Runtime::Cri)];
    let path = |path: &str| Path::new(path).unwrap();
    let expand = |form| Reshape::Expand(Expand { field: path("a.b"), form, into: None, when: None });
    let copy = vec![(path("a"), path("c"))];
    let first = Expression::parse_condition("n : 1").unwrap();
    let pair = Pair { by: path("id"), first, copy, within: Duration::from_secs(60), bytes_max: 1_000 };
    let reshape = vec![
        expand(ExpandForm::Base64),
        expand(ExpandForm::Csv),
        expand(ExpandForm::Json),
        Reshape::Split(Split { each: vec![path("a.b"), path("d")] }),
        Reshape::Pair(pair),
    ];
    let options = JsonOptions { other_text: OtherText::Wrap, prefix: Prefix::Skip, ..JsonOptions::default() };
    let format = formats[usize::from(*choice) % formats.len()].clone();
    let decode = Decode { wrapper: Some(Wrapper::Auto), format, json: options, reshape };
    let mut decoder = Decoder::new(&decode, &[path("a.b.secret").into()], &Telemetry::default().pipeline("p"));
    let entries = entries[usize::from(*choice) / formats.len() % entries.len()];
    let file = SourceFile { form: Form { entries, ..Form::default() }, ..SourceFile::default() };
    // No line has a line end inside but those that framing joins.
    let is_one_line = entries == Entries::Text && !matches!(decode.format, Format::JsonArray);
    let blank = |byte: &u8| if is_one_line && *byte == b'\n' { b' ' } else { *byte };
    let bytes: Vec<u8> = bytes.iter().map(blank).collect();
    let line = Line { offset_bytes: 0, bytes: &bytes, text: std::str::from_utf8(&bytes).ok() };
    let mut space = Space::default();
    // The second line finds what the first one left.
    for _ in 0..2 {
        let mut numbers = Vec::new();
        decoder.decode(&line, &file, &mut space, &mut |number, decoded| {
            numbers.push(number);
            if let Decoded::Record(record, _) = decoded {
                let mut document = Vec::new();
                record.render(&mut document);
                let document = String::from_utf8(document).unwrap();
                assert!(members_of(&document).is_some(), "no object: {document}");
                assert!(!document.contains('\n'), "more than one line: {document}");
                let is_text = |raw: &str| raw.starts_with('"') && raw != "\"[redacted]\"";
                assert!(!record.any("a.b", &mut |raw| is_text(raw)), "a text in which a name is hidden: {document}");
            }
        });
        let all: Vec<u32> = (0..).take(numbers.len()).collect();
        assert_eq!(numbers, all, "each has its number");
        assert!(!numbers.is_empty() || file.form.runtime().is_some(), "a line gives something");
    }
}

/// Line framing. The first byte says where in the file the block stands; the rest is the block.
pub fn framing(data: &[u8]) {
    let Some((offset, bytes)) = data.split_first() else { return };
    let offset_bytes = u64::from(offset % 4) * 1_000;
    let mut lines = Lines::new(bytes, offset_bytes, Form::default());
    let (mut framed, mut ends) = (Vec::new(), Vec::new());
    while let Some(line) = lines.next_line() {
        assert_eq!(line.text.map(str::as_bytes), std::str::from_utf8(line.bytes).ok().map(str::as_bytes));
        framed.push((line.offset_bytes, line.bytes.to_vec()));
        ends.push(lines.consumed_bytes());
    }
    assert_eq!(lines.consumed_bytes(), bytes.len(), "everything is framed");
    assert_eq!(framed, framed_naively(bytes, offset_bytes));
    for (position, end) in ends.iter().enumerate() {
        let rest = entries_of(&bytes[*end..], offset_bytes + *end as u64, Form::default());
        assert_eq!(rest, framed[position + 1..], "framing goes on anywhere");
        // What stands between two lines is no part of any.
        let (start, line) = &framed[position];
        let after = (start - offset_bytes) as usize + line.len();
        assert!(matches!(&bytes[after..*end], b"" | b"\n" | b"\r\n" | b"\r"), "{:?}", &bytes[after..*end]);
        if position == 8 {
            break; // Enough: more would be quadratic.
        }
    }
}

/// Entries of several lines, in any encoding. The first byte says which form the file has, the second how much of it is
/// there at first: what is whole then is the same when all is there.
pub fn entries(data: &[u8]) {
    let [form, cut, bytes @ ..] = data else { return };
    const ENCODINGS: [Encoding; 4] = [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Latin1];
    const ENTRIES: [Entries; 5] = [
        Entries::Lines,
        Entries::Text,
        Entries::Wrapped(Runtime::Docker),
        Entries::Wrapped(Runtime::Cri),
        Entries::Array,
    ];
    let form = Form {
        encoding: ENCODINGS[usize::from(form % 4)],
        entries: ENTRIES[usize::from(form / 4 % 5)],
        entry_bytes_max: 40 + u32::from(form / 20) * 20,
    };
    let all = entries_of(bytes, 0, form);
    let there = &bytes[..bytes.len() * usize::from(*cut) / 255];
    let end = whole_end(&form, there, 0).unwrap_or(0);
    let whole = entries_of(&there[..end], 0, form);
    assert_eq!(whole, all[..whole.len()], "{form:?}: what is whole stays as it is");
    let rest = entries_of(&bytes[end..], end as u64, form);
    assert_eq!(rest, all[whole.len()..], "{form:?}: and so does what comes behind it");
}

fn entries_of(bytes: &[u8], offset_bytes: u64, form: Form) -> Vec<(u64, Vec<u8>)> {
    let mut lines = Lines::new(bytes, offset_bytes, form);
    let mut found = Vec::new();
    while let Some(line) = lines.next_line() {
        found.push((line.offset_bytes, line.bytes.to_vec()));
    }
    assert_eq!(lines.consumed_bytes(), bytes.len(), "everything is framed");
    found
}

fn framed_naively(bytes: &[u8], offset_bytes: u64) -> Vec<(u64, Vec<u8>)> {
    let mut framed = Vec::new();
    let mut start = offset_bytes;
    for piece in bytes.split(|byte| *byte == b'\n') {
        // Byte order marks stand where a writer began.
        let mut line = piece;
        while let Some(rest) = line.strip_prefix(b"\xef\xbb\xbf") {
            line = rest;
        }
        let marks_bytes = (piece.len() - line.len()) as u64;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if !line.is_empty() {
            framed.push((start + marks_bytes, line.to_vec()));
        }
        start += piece.len() as u64 + 1;
    }
    framed
}

/// The index of a record, and edits. The first line says what to do (`remove PATH`, `replace PATH`, `rename PATH PATH`,
/// `set PATH`), the rest is the record.
pub fn record(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (command, rest) = data.split_at(end);
    let Ok(line) = std::str::from_utf8(rest.strip_prefix(b"\n").unwrap_or(rest)) else { return };
    let mut space = Space::default();
    // What is known of a line that was read is used when it comes again.
    let _ = Record::parse(line, &mut space);
    let members = members_of(line);
    let mut record = match (Record::parse(line, &mut space), members.as_ref()) {
        (Ok(record), Some(_)) => record,
        (Ok(_), None) => panic!("taken for an object: {line:?}"),
        (Err(reject), None) => return assert!(!reject.detail.is_empty()),
        (Err(reject), Some(members)) => return check_turned_away(line, members, &reject.reason),
    };
    let members = members.unwrap_or_default();
    check_index(&record, &members);
    if let Ok(command) = std::str::from_utf8(command) {
        edit(&mut record, &members, &command.split_whitespace().collect::<Vec<_>>());
    }
}

/// Top-level members of a JSON object: names unescaped (`None` for what is no text), values raw.
type Members<'l> = Vec<(Option<String>, &'l str)>;

fn members_of(line: &str) -> Option<Members<'_>> {
    struct Object;
    impl<'de> Visitor<'de> for Object {
        type Value = Vec<(&'de RawValue, &'de RawValue)>;

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some(member) = map.next_entry()? {
                members.push(member);
            }
            Ok(members)
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let members = deserializer.deserialize_map(Object).ok()?;
    deserializer.end().ok()?;
    Some(members.into_iter().map(|(name, value)| (serde_json::from_str(name.get()).ok(), value.get())).collect())
}

fn check_turned_away(line: &str, members: &Members<'_>, reason: &str) {
    let mut names = HashSet::new();
    match reason {
        "repeated_name" => {
            assert!(members.iter().any(|(name, _)| !names.insert(name)), "no name is repeated: {line:?}");
        }
        "nested_too_deeply" => {
            let opened = line.bytes().filter(|byte| matches!(byte, b'{' | b'[')).count();
            assert!(opened > NESTING_DEPTH_MAX, "not deep: {line:?}");
        }
        // A name of half a surrogate pair cannot be compared.
        _ => assert!(members.iter().any(|(name, _)| name.is_none()), "turned away as {reason}: {line:?}"),
    }
}

fn check_index(record: &Record<'_>, members: &Members<'_>) {
    let names: Vec<&str> = record.names().collect();
    assert_eq!(names.len(), members.len());
    for (found, (name, value)) in names.iter().zip(members) {
        let Some(name) = name else { continue };
        assert_eq!(found, name);
        if !name.contains('.') {
            assert_eq!(record.first(name.as_str()), Some(*value), "the value of {name:?}");
        }
    }
    assert_eq!(rendered(record), record.line(), "what is not edited leaves as it came");
}

fn rendered(record: &Record<'_>) -> String {
    let mut out = Vec::new();
    record.render(&mut out);
    String::from_utf8(out).expect("a record is rendered as text")
}

fn edit(record: &mut Record<'_>, members: &Members<'_>, command: &[&str]) {
    let (Some(what), Some(Ok(path))) = (command.first(), command.get(1).map(|path| Path::new(path))) else { return };
    let line = record.line();
    let before = serde_json::from_str::<Value>(line).ok().filter(|_| !repeats_names(line));
    let new = Value::from("new");
    let mut expected = before.clone();
    let tree = expected.as_mut();
    match *what {
        "remove" => match record.remove(&path) {
            Ok(count) => tree.into_iter().for_each(|tree| assert_eq!(count, edit_tree(tree, path.as_str(), None))),
            Err(_) => return assert!(before.is_none(), "a good record is turned away"),
        },
        "replace" => match record.replace(&path, "\"new\"") {
            Ok(count) => {
                tree.into_iter().for_each(|tree| assert_eq!(count, edit_tree(tree, path.as_str(), Some(&new))));
            }
            Err(_) => return assert!(before.is_none(), "a good record is turned away"),
        },
        "set" => return check_set(record, &path, before.is_some()),
        "rename" => return check_rename(record, &path, command, before.is_some()),
        _ => return,
    }
    let after = rendered(record);
    let after_members = members_of(&after).unwrap_or_else(|| panic!("not an object any more: {after:?}"));
    if let Some(expected) = expected {
        assert_eq!(serde_json::from_str::<Value>(&after).ok(), Some(expected), "{after}");
    }
    let untouched = |name: &&(Option<String>, &str)| {
        name.0
            .as_ref()
            .is_some_and(|name| !is_at_or_below(name, path.as_str()) && !path.as_str().starts_with(&format!("{name}.")))
    };
    for member in members.iter().filter(untouched) {
        assert!(after_members.contains(member), "{member:?} was altered: {after}");
    }
}

fn check_set(record: &mut Record<'_>, path: &Path, is_good: bool) {
    let Ok(room) = record.set(path, "\"new\"") else {
        return assert!(!is_good, "a good record is turned away");
    };
    let after = rendered(record);
    assert!(members_of(&after).is_some(), "not an object any more: {after:?}");
    if room == inferlog::record::Room::Free {
        assert_eq!(record.first(path.as_str()), Some("\"new\""), "{after}");
    } else {
        assert_eq!(after, record.line(), "there was no room, so nothing changes");
    }
}

fn check_rename(record: &mut Record<'_>, from: &Path, command: &[&str], is_good: bool) {
    let Some(Ok(to)) = command.get(2).map(|path| Path::new(path)) else { return };
    let read = |raw: std::borrow::Cow<'_, str>| serde_json::from_str::<Value>(&raw).ok();
    let before = record.whole(from.as_str()).map(read);
    match record.rename(from, &to) {
        Ok(renamed) => assert_eq!(renamed, before.is_some()),
        Err(_) => return assert!(!is_good, "a good record is turned away"),
    }
    let after = rendered(record);
    assert!(members_of(&after).is_some(), "not an object any more: {after:?}");
    let is_apart = !is_at_or_below(from.as_str(), to.as_str()) && !is_at_or_below(to.as_str(), from.as_str());
    if before.is_some() && is_apart && is_good {
        assert_eq!(record.whole(to.as_str()).map(read), before, "{after}");
    }
}

/// Whether a member's name stands at a path or reaches below it: `user` and `user.email.work` of `user`.
fn is_at_or_below(name: &str, path: &str) -> bool {
    name.strip_prefix(path).is_some_and(|beyond| beyond.is_empty() || beyond.starts_with('.'))
}

/// Removes what stands at a path in every spelling and below, or puts one value in its place. Returns how many values
/// there were.
fn edit_tree(tree: &mut Value, path: &str, new: Option<&Value>) -> usize {
    let mut count = 0;
    match tree {
        Value::Object(members) => {
            let all = members.len();
            members.retain(|name, _| !is_at_or_below(name, path));
            let met = all - members.len();
            for (name, value) in members.iter_mut().filter(|(name, _)| !name.is_empty()) {
                // An empty name is no prefix of a path.
                if let Some(rest) = path.strip_prefix(name.as_str()).and_then(|rest| rest.strip_prefix('.')) {
                    count += edit_tree(value, rest, new);
                }
            }
            if let Some(new) = new.filter(|_| met > 0) {
                members.insert(path.to_owned(), new.clone());
            }
            count += met;
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| count += edit_tree(element, path, new)),
        _ => {}
    }
    count
}

/// Whether some object of a JSON text repeats a name.
fn repeats_names(text: &str) -> bool {
    struct Repeats<'r>(&'r mut bool);
    impl<'de> DeserializeSeed<'de> for Repeats<'_> {
        type Value = ();

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
            let raw = <&RawValue>::deserialize(deserializer)?.get();
            let mut inner = serde_json::Deserializer::from_str(raw);
            match raw.as_bytes().first() {
                Some(b'{') => drop(inner.deserialize_map(self)),
                Some(b'[') => drop(inner.deserialize_seq(self)),
                _ => {}
            }
            Ok(())
        }
    }
    impl<'de> Visitor<'de> for Repeats<'_> {
        type Value = ();

        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("JSON")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
            let mut names = HashSet::new();
            while let Some(name) = map.next_key::<String>()? {
                *self.0 |= !names.insert(name);
                map.next_value_seed(Repeats(self.0))?;
            }
            Ok(())
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
            while elements.next_element_seed(Repeats(self.0))?.is_some() {}
            Ok(())
        }
    }
    let mut repeats = false;
    let _ = Repeats(&mut repeats).deserialize(&mut serde_json::Deserializer::from_str(text));
    repeats
}

/// The answer to a bulk request. The first byte says how many items were sent, the second the status; the rest is the
/// body.
pub fn bulk_answer(data: &[u8]) {
    let [sent, status, body @ ..] = data else { return };
    let sent = usize::from(sent % 8);
    let status = [200, 201, 302, 400, 401, 403, 404, 413, 429, 500, 503, 599][usize::from(status % 12)];
    let reply = Reply { host: "http://es".to_owned(), status, body: body.to_vec().into(), ..Reply::default() };
    let outcomes = match read_answer(&reply, sent) {
        Answer::Items(outcomes) => outcomes,
        Answer::Halve(reason) => {
            return assert!(matches!(status, 400 | 413) && !reason.kind.is_empty() || status == 400);
        }
        Answer::Wait(trouble) | Answer::WaitAtLeast(_, trouble) => {
            return assert!(!trouble.problem.is_empty() && trouble.hint.is_some());
        }
        Answer::Closed(_) => panic!("no answer says that Elasticsearch is gone for good"),
    };
    assert!((200..300).contains(&status), "items under status {status}");
    assert_eq!(outcomes.len(), sent, "as many outcomes as items were sent");
    assert!(serde_json::from_slice::<IgnoredAny>(body).is_ok(), "outcomes from what is not JSON");
    let Ok(answer) = serde_json::from_slice::<Value>(body) else { return };
    for (item, outcome) in outcomes.iter().enumerate() {
        check_outcome(&answer["items"][item]["create"], outcome);
    }
}

/// Success is claimed only where Elasticsearch says so.
fn check_outcome(item: &Value, outcome: &Outcome) {
    let status = item["status"].as_u64().expect("an item without a status has no outcome");
    let is_success = (200..300).contains(&status);
    match outcome {
        Outcome::Indexed => assert!(is_success && item["error"].is_null() && item["failure_store"] != "used", "{item}"),
        Outcome::FailureStore => assert!(is_success && item["failure_store"] == "used", "{item}"),
        Outcome::Duplicate => assert_eq!(status, 409, "{item}"),
        Outcome::Erased => panic!("the server cannot know: {item}"),
        Outcome::Rejected(_) => assert!((400..500).contains(&status), "{item}"),
        Outcome::Retry(_) | Outcome::Failing(_) | Outcome::TargetUnready(_) => {}
    }
}

/// A checkpoint as it may be found on disk.
pub fn checkpoint(data: &[u8]) {
    in_folder(|folder| {
        let path = folder.join("checkpoint.json");
        std::fs::write(&path, data).expect("a temporary file is written");
        match checkpoint::load(&path) {
            Ok(Loaded::Absent) => panic!("it is there"),
            Ok(Loaded::Found(found)) => {
                let again = serde_json::to_vec_pretty(&found).expect("a checkpoint is written");
                let again: Checkpoint = serde_json::from_slice(&again).expect("what is written is read");
                assert_eq!(again, found);
            }
            Ok(Loaded::Damaged(aside)) => {
                assert!(!path.exists(), "the damaged one is out of the way");
                assert_eq!(std::fs::read(&aside).expect("it is kept"), data, "as it was");
                std::fs::remove_file(aside).expect("it is removed");
            }
            Err(CheckpointError::Newer { version, .. }) => {
                assert!(version > checkpoint::VERSION);
                assert_eq!(std::fs::read(&path).expect("it is left alone"), data);
            }
            Err(error) => panic!("{error}"),
        }
    });
}

/// Calls `work` with a temporary folder, which is the same for all calls of a thread; in memory where that is possible.
fn in_folder(work: impl FnOnce(&FilePath)) {
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a temporary folder is made")
    }
    thread_local!(static FOLDER: tempfile::TempDir = folder());
    FOLDER.with(|folder| work(folder.path()));
}

/// A pipeline file.
pub fn pipeline_file(data: &[u8]) {
    const SECRET: &str = "s3cret-value";
    let environment = Environment::new(|name| (name == "SECRET").then(|| SECRET.to_owned()));
    in_folder(|folder| {
        let path = folder.join("p.yaml");
        std::fs::write(&path, data).expect("a temporary file is written");
        match load_with(std::slice::from_ref(&path), &environment) {
            Ok(pipelines) => {
                assert_eq!(pipelines.len(), 1);
                assert_eq!(pipelines[0].name, "p");
                assert!(!format!("{pipelines:?}").contains(SECRET), "a secret is shown");
            }
            Err(report) => {
                assert!(!report.problems.is_empty());
                report.problems.iter().for_each(|problem| check_problem(problem, data));
                assert!(!report.to_string().contains(SECRET), "a secret is shown: {report}");
            }
        }
    });
}

fn check_problem(problem: &Problem, data: &[u8]) {
    assert!(!problem.message.is_empty());
    let Some(position) = problem.position else {
        let is_of_all = ["the file is empty", "store of this pipeline"].iter().any(|of| problem.message.contains(of));
        return assert!(is_of_all, "no place: {problem}");
    };
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let line = data.split(|byte| *byte == b'\n').nth(position.line.wrapping_sub(1));
    let line = line.unwrap_or_else(|| panic!("a line that is not there: {problem}"));
    let characters = String::from_utf8_lossy(line).chars().count();
    assert!((1..=characters + 1).contains(&position.column), "a column that is not there: {problem}");
}

/// A condition in KQL.
pub fn kql(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let expression = match Expression::parse(&text) {
        Ok(expression) => expression,
        Err(error) => {
            assert!(text.is_char_boundary(error.position_bytes()), "{error}");
            assert!(Expression::parse_condition(&text).is_err(), "a condition is no query");
            return assert!(error.to_string().ends_with('^'), "{error}");
        }
    };
    let printed = expression.to_string();
    if printed.len() <= TEXT_BYTES_MAX {
        let again = Expression::parse(&printed).unwrap_or_else(|error| panic!("{printed:?} is not read: {error}"));
        assert_eq!(again.tree(), expression.tree(), "{printed}");
        assert_eq!(again.to_string(), printed);
    }
    let mut space = Space::default();
    let line = r#"{"a":1,"b":"x","c":{"d":[1.50,"x y",null,true]},"e.f":"2026-11-23T10:00:00Z","confidence":0.31}"#;
    let record = Record::parse(line, &mut space).expect("a record");
    if let Some(decided) = expression.decide(&record) {
        assert_eq!(decided, expression.matches(&record), "{printed}");
    }
}

/// RFC 8785.
pub fn canonical(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut scratch = Scratch::default();
    let mut out = b"before".to_vec();
    let result = canonicalize(text, &mut scratch, &mut out);
    let written = out.strip_prefix(b"before").expect("what was there stays");
    let value = serde_json::from_str::<Value>(text).ok();
    if let Err(error) = result {
        assert!(written.is_empty(), "an error leaves nothing behind");
        let repeated = matches!(error, CanonicalError::RepeatedMember { .. });
        return assert!(value.is_none() || (repeated && repeats_names(text)), "{error}: {text:?}");
    }
    let written = std::str::from_utf8(written).expect("text");
    let mut again = Vec::new();
    if let Some(value) = &value {
        canonicalize(written, &mut scratch, &mut again).expect("the canonical form has one");
        assert_eq!(again, written.as_bytes(), "the canonical form is its own");
        let (mut digits, mut of_digits) = (Vec::new(), Vec::new());
        let form = CanonicalForm { numbers: Numbers::AsWritten, ..CanonicalForm::default() };
        canonicalize_as(form, text, &mut scratch, &mut digits).expect("what has a canonical form has digits");
        let digits = String::from_utf8(digits).expect("text");
        canonicalize(&digits, &mut scratch, &mut of_digits).expect("and keeps it");
        assert_eq!(of_digits, written.as_bytes(), "the numbers stay what they are: {text:?}");
        assert!(!repeats_names(text), "a repeated name: {text:?}");
        if serde_json_reads_exactly(text) {
            let expected = serde_json_canonicalizer::to_string(value).expect("a canonical form");
            assert_eq!(written, expected, "{text:?}");
        }
    }
}

/// serde_json is a bit off for long numbers.
fn serde_json_reads_exactly(text: &str) -> bool {
    let of_number = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    text.split(|c| !of_number(c)).all(|number| {
        let exponent = number.split(['e', 'E']).nth(1).unwrap_or_default();
        number.len() <= 12 && exponent.trim_start_matches(['+', '-']).len() <= 1
    })
}
