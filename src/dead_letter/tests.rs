//! The dead letter on a real file system: unique, private, whole, bounded.

use std::os::unix::fs::PermissionsExt as _;

use std::path::Path;

use super::read::Kept;
use super::sift::{Judge, Judgement};
use super::*;
use crate::flow::batch::{ID_CHARACTERS, Id, SourceFile};
use crate::flow::reject::{Reject, Stage};
use crate::telemetry::Telemetry;

const OPTIONS: Options = Options { raw: Raw::Kept, bytes_max: 2_000, when_full: WhenFull::Pause };

fn open(folder: &Path) -> DeadLetter {
    DeadLetter::open(folder, OPTIONS, Telemetry::default().pipeline("p")).unwrap()
}

fn write(dead_letter: &DeadLetter, name: u8, content: Content<'_>) -> Result<(), DeadLetterError> {
    let file = SourceFile { path: "/logs/a".to_owned(), inode: 7, generation: 1, ..SourceFile::default() };
    let reject = Reject::new(Stage::Decode, "not_an_object", "why".to_owned());
    dead_letter.write(&Entry {
        id: Id([name; ID_CHARACTERS]),
        reject: &reject,
        file: &file,
        offset_bytes: 4_711,
        length_bytes: 9,
        ordinal: 0,
        sha256: Some("ab"),
        content,
    })
}

fn lines(folder: &Path) -> Vec<serde_json::Value> {
    let mut lines = Vec::new();
    for path in fs_err::read_dir(folder).unwrap() {
        let text = fs_err::read_to_string(path.unwrap().path()).unwrap();
        lines.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
    }
    lines
}

#[test]
fn entries_are_unique_private_and_complete() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("dead_letter");
    let dead_letter = open(&folder);
    write(&dead_letter, b'a', Content::Document(b"{\"n\":1.50}")).unwrap();
    write(&dead_letter, b'b', Content::Raw(b"text \"x\"")).unwrap();
    write(&dead_letter, b'c', Content::Raw(b"\xff\xfe")).unwrap();
    write(&dead_letter, b'd', Content::Reference(Why::Omitted)).unwrap();
    write(&dead_letter, b'a', Content::Reference(Why::Omitted)).unwrap();
    dead_letter.sync().unwrap();
    assert_eq!(dead_letter.written(), 4);
    let again = open(&folder);
    write(&again, b'b', Content::Reference(Why::Omitted)).unwrap();
    assert_eq!(again.written(), 0);
    let lines = lines(&folder);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["document"].to_string(), "{\"n\":1.5}");
    assert_eq!(lines[1]["raw"], "text \"x\"");
    assert_eq!(lines[2]["raw_base64"], "//4=");
    assert_eq!(lines[3]["origin"]["offset_bytes"], 4_711);
    assert!(lines[3].get("raw").is_none() && lines[3].get("document").is_none());
    let path = fs_err::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    assert_eq!(fs_err::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn lines_that_share_an_id_are_entries_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = SourceFile { path: "/logs/a".to_owned(), inode: 7, generation: 1, ..SourceFile::default() };
    let reject = Reject::new(Stage::Sink, "document_parsing_exception", "why".to_owned());
    let entry = |(offset_bytes, ordinal)| Entry {
        id: Id([b'a'; ID_CHARACTERS]),
        reject: &reject,
        file: &file,
        offset_bytes,
        length_bytes: 9,
        ordinal,
        sha256: None,
        content: Content::Reference(Why::Omitted),
    };
    for _ in 0..2 {
        let dead_letter = open(folder.path());
        let places = [(0, 0), (10, 0), (0, 0), (10, 2), (10, 2)];
        places.into_iter().for_each(|place| dead_letter.write(&entry(place)).unwrap());
    }
    let ordinals: Vec<_> = lines(folder.path()).iter().map(|entry| entry["origin"]["ordinal"].as_u64()).collect();
    assert_eq!(ordinals, [None, None, Some(2)], "the first record of a line is written as lines always were");
}

#[test]
fn a_torn_entry_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    write(&open(folder.path()), b'a', Content::Reference(Why::Omitted)).unwrap();
    let path = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let mut text = fs_err::read(&path).unwrap();
    text.extend_from_slice(b"{\"id\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"ti");
    fs_err::write(&path, text).unwrap();
    write(&open(folder.path()), b'b', Content::Reference(Why::Omitted)).unwrap();
    assert_eq!(lines(folder.path()).len(), 2);
}

#[test]
fn the_limit_refuses_and_says_what_to_do_until_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let dead_letter = open(folder.path());
    let refused = (b'a'..=b'z').find_map(|name| write(&dead_letter, name, Content::Reference(Why::Omitted)).err());
    let trouble = refused.unwrap().trouble();
    assert!(!trouble.problem.contains(folder.path().to_str().unwrap()), "no paths: {trouble:?}");
    let hint = trouble.hint.unwrap();
    assert!(hint.contains("raise `dead_letter.bytes_max`") && hint.contains("when_full"), "{hint}");
    let path = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    fs_err::remove_file(&path).unwrap();
    write(&dead_letter, b'z', Content::Reference(Why::Omitted)).unwrap();
    assert_eq!(lines(folder.path()).len(), 1, "the entry is in a file that has a name");
}

#[test]
fn entries_go_to_the_folder_when_a_file_of_it_was_removed_or_moved() {
    let folder = tempfile::tempdir().unwrap();
    let dead_letter = open(folder.path());
    write(&dead_letter, b'a', Content::Reference(Why::Omitted)).unwrap();
    let path = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let aside = tempfile::tempdir().unwrap();
    fs_err::rename(&path, aside.path().join("a.ndjson")).unwrap();
    write(&dead_letter, b'b', Content::Reference(Why::Omitted)).unwrap();
    assert_eq!(lines(folder.path()).len(), 1);
}

#[test]
fn what_is_written_is_read_beside_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let dead_letter = open(folder.path());
    write(&dead_letter, b'a', Content::Document(b"{\"n\": 1.50}")).unwrap();
    write(&dead_letter, b'b', Content::Raw(b"text \"x\"")).unwrap();
    write(&dead_letter, b'c', Content::Raw(b"\xff\xfe")).unwrap();
    write(&dead_letter, b'd', Content::Reference(Why::Omitted)).unwrap();
    let found: Vec<Found> = Entries::open(folder.path()).unwrap().map(Result::unwrap).collect();
    let kept: Vec<Kept<'_>> = found.iter().map(Found::kept).collect();
    let expected = [
        Kept::Document("{\"n\": 1.50}"),
        Kept::Raw(b"text \"x\"".into()),
        Kept::Raw(b"\xff\xfe".into()),
        Kept::Reference,
    ];
    assert_eq!(kept, expected);
    let ids: Vec<char> = found.iter().filter_map(|entry| entry.id.chars().next()).collect();
    assert_eq!(ids, ['a', 'b', 'c', 'd']);
    let first = &found[0];
    assert_eq!((&*first.stage, &*first.reason, &*first.detail), ("decode", "not_an_object", "why"));
    let expected = read::FoundOrigin {
        file: "/logs/a".to_owned(),
        inode: 7,
        generation: 1,
        offset_bytes: 4_711,
        length_bytes: 9,
        ordinal: 0,
        sha256: Some("ab".to_owned()),
        first_line_sha256: Some("00".repeat(32)),
    };
    assert_eq!(first.origin, expected);
}

#[test]
fn readers_pass_over_what_is_torn_damaged_unknown_or_gone() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Entries::open(&folder.path().join("none")).unwrap().count(), 0);
    let entry = |id: &str, more: &str| {
        let origin = "{\"file\":\"/a\",\"inode\":1,\"generation\":0,\"offset_bytes\":2,\"length_bytes\":3,\"new\":[]}";
        let times = "\"time\":\"2026-11-23T10:00:00.5Z\",\"stage\":\"later\",\"reason\":\"r\"";
        format!("{{\"id\":\"{id}\",{times},\"origin\":{origin}{more}}}\n")
    };
    let torn = entry("torn", "");
    let first = entry("a", ",\"from_the_future\":{\"x\":1}") + "no entry\n" + &entry("b", "") + &torn[..torn.len() - 1];
    fs_err::write(folder.path().join("2026-11-22.ndjson"), first).unwrap();
    fs_err::write(folder.path().join("2026-11-23.ndjson"), entry("gone", "")).unwrap();
    fs_err::write(folder.path().join("2026-11-24.ndjson"), entry("c", ",\"replayed\":\"2026-11-24T10:00:00Z\""))
        .unwrap();
    fs_err::write(folder.path().join("2026-11-24.tmp"), entry("no file of entries", "")).unwrap();
    let mut entries = Entries::open(folder.path()).unwrap();
    fs_err::remove_file(folder.path().join("2026-11-23.ndjson")).unwrap();
    let found: Vec<Found> = entries.by_ref().map(Result::unwrap).collect();
    assert_eq!(found.iter().map(|entry| &*entry.id).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert_eq!((found[0].stage.as_str(), found[2].replayed.is_some()), ("later", true));
    assert_eq!(entries.damaged(), 1);
}

/// Judges by the first letter of the id, and does `meanwhile` at each window.
struct Letters<'l> {
    leave: &'static str,
    change: &'static str,
    meanwhile: &'l mut dyn FnMut(),
    windows: u32,
    windows_max: u32,
}

impl Judge for Letters<'_> {
    fn wants(&self, entry: &Found) -> bool {
        (self.leave.to_owned() + self.change).contains(&entry.id[..1])
    }

    fn judge(&mut self, entries: Vec<Found>) -> Vec<Judgement> {
        self.windows += 1;
        (self.meanwhile)();
        let judge = |entry: &Found| match self.leave.contains(&entry.id[..1]) {
            true => Judgement::Leaves,
            false => {
                let (reason, detail) = ("another".into(), "other \"words\"".to_owned());
                Judgement::StaysFor(Reject { stage: Stage::Sink, reason, detail })
            }
        };
        entries.iter().map(judge).collect()
    }

    fn goes_on(&self) -> bool {
        self.windows < self.windows_max
    }
}

fn sift(dead_letter: &DeadLetter, leave: &'static str, change: &'static str, meanwhile: &mut dyn FnMut()) {
    let mut judge = Letters { leave, change, meanwhile, windows: 0, windows_max: 10 };
    dead_letter.sift(&mut judge).unwrap();
}

fn ids(folder: &Path) -> String {
    let entries = Entries::open(folder).unwrap();
    entries.map(|entry| entry.unwrap().id[..1].to_owned()).collect()
}

#[test]
fn what_is_settled_leaves_and_what_is_added_meanwhile_stays() {
    let folder = tempfile::tempdir().unwrap();
    let dead_letter = open(folder.path());
    for name in *b"abc" {
        write(&dead_letter, name, Content::Document(b"{\"stage\": 1.50}")).unwrap();
    }
    sift(&dead_letter, "a", "b", &mut || write(&dead_letter, b'd', Content::Raw(b"x")).unwrap());
    assert_eq!(ids(folder.path()), "bcd");
    let changed = Entries::open(folder.path()).unwrap().next().unwrap().unwrap();
    assert_eq!((&*changed.stage, &*changed.reason, &*changed.detail), ("sink", "another", "other \"words\""));
    assert_eq!((changed.kept(), changed.replayed.is_some()), (Kept::Document("{\"stage\": 1.50}"), true));
    // The next entry goes into the file that has the name, and the limit knows what has become free.
    write(&dead_letter, b'e', Content::Reference(Why::Omitted)).unwrap();
    dead_letter.sync().unwrap();
    assert_eq!(ids(folder.path()), "bcde");
    let path = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let metadata = fs_err::metadata(path).unwrap();
    assert_eq!((dead_letter.state().bytes, metadata.permissions().mode() & 0o777), (metadata.len(), 0o600));
    // A line that is settled does not come back as long as the process lives.
    write(&dead_letter, b'a', Content::Reference(Why::Omitted)).unwrap();
    assert_eq!(ids(folder.path()), "bcde");
    sift(&dead_letter, "bcde", "", &mut || {});
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0, "an empty file is none");
}

#[test]
fn damaged_lines_stay_and_a_file_removed_by_hand_is_not_brought_back() {
    let folder = tempfile::tempdir().unwrap();
    let dead_letter = open(folder.path());
    write(&dead_letter, b'a', Content::Reference(Why::Omitted)).unwrap();
    let path = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let text = fs_err::read_to_string(&path).unwrap();
    fs_err::write(&path, format!("damaged\n{text}torn")).unwrap();
    sift(&dead_letter, "a", "", &mut || {});
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "damaged\ntorn");
    fs_err::write(&path, &text).unwrap();
    let other = path.with_file_name("2026-01-01.ndjson");
    sift(&dead_letter, "", "a", &mut || fs_err::rename(&path, &other).unwrap());
    assert!(!path.exists() && Entries::open(folder.path()).unwrap().all(|entry| entry.unwrap().replayed.is_some()));
    sift(&dead_letter, "", "a", &mut || fs_err::remove_file(&other).unwrap());
    assert_eq!(fs_err::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_judge_that_stops_leaves_the_rest_and_a_crash_leaves_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let dead_letter =
        DeadLetter::open(folder.path(), Options { bytes_max: 1 << 30, ..OPTIONS }, Telemetry::default().pipeline("p"))
            .unwrap();
    let long = vec![b'x'; 1_500_000];
    for name in *b"abcdef" {
        write(&dead_letter, name, Content::Raw(&long)).unwrap();
    }
    let mut nothing = || {};
    let mut judge = Letters { leave: "abcdef", change: "", meanwhile: &mut nothing, windows: 0, windows_max: 2 };
    dead_letter.sift(&mut judge).unwrap();
    assert_eq!(ids(folder.path()), "ef", "two entries a window, for their size");
    // As a crash leaves it: the new file is half written, the old one is there.
    let path = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    fs_err::write(path.with_extension("tmp"), "{\"id\":\"half").unwrap();
    open(folder.path());
    assert_eq!((ids(folder.path()).as_str(), path.with_extension("tmp").exists()), ("ef", false));
}

#[test]
fn the_oldest_entries_are_dropped_and_counted_if_that_is_chosen() {
    let folder = tempfile::tempdir().unwrap();
    let counters = Telemetry::default().pipeline("p");
    let options = Options { bytes_max: 10_000, when_full: WhenFull::DropOldest, ..OPTIONS };
    let names = (b'A'..=b'Z').chain(b'a'..=b'z');
    let all: String = names.clone().map(char::from).collect();
    let dead_letter = DeadLetter::open(folder.path(), options, counters.clone()).unwrap();
    for name in names {
        write(&dead_letter, name, Content::Raw(b"some text")).unwrap();
    }
    let left = ids(folder.path());
    assert!(all.ends_with(&left) && left.len() > 10, "the newest in their order: {left}");
    assert_eq!(counters.dead_letter_discarded_entries_total.get(), (all.len() - left.len()) as u64);
    assert_eq!(dead_letter.state().known.len(), left.len(), "what is known leaves with its file");
    let bytes = folder::used_bytes(folder.path()).unwrap();
    assert!(bytes < 11_000 && bytes > 7_000, "{bytes} bytes of at most 10,000 and an entry");
    // Another process goes on with them, and a replay sifts all of them.
    let again = DeadLetter::open(folder.path(), options, counters).unwrap();
    write(&again, b'+', Content::Reference(Why::Omitted)).unwrap();
    assert!(ids(folder.path()).ends_with("z+"));
    assert_eq!(again.state().known.len(), ids(folder.path()).len());
    let leave: &'static str = Box::leak((all + "+").into_boxed_str());
    sift(&again, leave, "", &mut || {});
    assert_eq!(ids(folder.path()), "");
}

#[test]
fn entries_of_a_file_that_was_removed_by_hand_are_forgotten_when_the_next_one_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let dead_letter = open(folder.path());
    for name in *b"abc" {
        write(&dead_letter, name, Content::Reference(Why::Omitted)).unwrap();
    }
    let path = fs_err::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let other = path.with_file_name("2026-01-01.ndjson");
    fs_err::rename(&path, &other).unwrap();
    write(&dead_letter, b'd', Content::Reference(Why::Omitted)).unwrap();
    assert_eq!(dead_letter.state().known.len(), 1);
    fs_err::remove_file(&other).unwrap();
    write(&dead_letter, b'a', Content::Reference(Why::Omitted)).unwrap();
    assert_eq!((ids(folder.path()).as_str(), dead_letter.state().known.len()), ("da", 2));
}
