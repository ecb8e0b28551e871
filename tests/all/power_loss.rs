//! Power loss: is the state found at a start recovered from, or is it said precisely what was set aside?
//!
//! Each case begins with the state of a run that has delivered everything, damages one file of it in a way that a power
//! loss could, and runs `inferlog run --once` again, with one record more. After it the store holds each record exactly
//! once, and the dead letter its one entry.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use inferlog::sink::store::Store;

const RECORDS: usize = 40;
const PIPELINE: &str = "source:\n  files: { paths: [\"logs/*.ndjson*\"] }\ndecode: json\nobserve: [model_metrics: {}]\nsink: { store: {} }\n";

/// A pipeline with logs, the state of which can be put back.
struct Bench {
    folder: tempfile::TempDir,
    records: usize,
}

/// What a start says of damaged state.
enum Said<'s> {
    /// Nothing: there is nothing to say.
    Nothing,
    /// That the checkpoint was kept aside, as it was.
    Aside(&'s [u8]),
    /// These words, and that it starts all the same.
    Words(&'s str),
    /// These words, without starting.
    Refused(&'s [&'s str]),
}

impl Bench {
    /// One file that is rotated, one that is not, and a line that is no record; all of it delivered.
    fn new() -> Bench {
        let mut bench = Bench { folder: tempfile::tempdir().unwrap(), records: 0 };
        fs_err::create_dir(bench.path("logs")).unwrap();
        fs_err::write(bench.path("p.yaml"), PIPELINE).unwrap();
        (0..RECORDS / 2).for_each(|_| bench.append());
        fs_err::rename(bench.path("logs/a.ndjson"), bench.path("logs/a.ndjson.1")).unwrap();
        fs_err::write(bench.path("logs/a.ndjson"), "no record\n").unwrap();
        (0..RECORDS / 2).for_each(|_| bench.append());
        let output = bench.run();
        assert_eq!(output.status.code(), Some(1), "one line is dead-lettered: {output:?}");
        bench.check_sink("the first run");
        copy(&bench.state(), &bench.path("good"));
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> PathBuf {
        self.path("state/p")
    }

    fn append(&mut self) {
        use std::io::Write as _;
        let path = self.path("logs/a.ndjson");
        let mut file = fs_err::OpenOptions::new().append(true).create(true).open(path).unwrap();
        let n = self.records;
        writeln!(file, "{{\"event\":\"inference\",\"n\":{n},\"timestamp\":\"2026-11-23T10:00:00Z\"}}").unwrap();
        self.records += 1;
    }

    fn run(&self) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inferlog"));
        command.args(["run", "--once", "--listen", "off", "--data-dir", "state", "p.yaml"]);
        command.current_dir(self.folder.path()).env("NO_COLOR", "1").env_remove("RUST_LOG").output().unwrap()
    }

    /// Puts the good state back.
    fn restore(&self) {
        fs_err::remove_dir_all(self.state()).unwrap();
        copy(&self.path("good"), &self.state());
    }

    /// What the state's one file of dead letters is called.
    fn dead_letter(&self) -> PathBuf {
        fs_err::read_dir(self.state().join("dead_letter")).unwrap().next().unwrap().unwrap().path()
    }

    /// Damages the good state, writes one record more, runs, and looks.
    fn check(&mut self, case: &str, damage: impl FnOnce(&Path), expected: &Said<'_>) {
        self.restore();
        damage(&self.state());
        self.append();
        let output = self.run();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if let Said::Refused(words) = expected {
            assert_eq!(output.status.code(), Some(2), "{case}: {said}");
            words.iter().for_each(|words| assert!(said.contains(words), "{case}: {words:?} is not said: {said}"));
            return;
        }
        assert!(matches!(output.status.code(), Some(0 | 1)), "{case}: {said}");
        match expected {
            Said::Nothing => assert!(!said.contains("WARN") && !said.contains("ERROR"), "{case}: {said}"),
            Said::Words(words) => assert!(said.contains(words), "{case}: {words:?} is not said: {said}"),
            Said::Aside(bytes) => {
                assert!(said.contains("kept aside") && said.contains("checkpoint.json.damaged-1"), "{case}: {said}");
                let aside = self.state().join("checkpoint.json.damaged-1");
                assert_eq!(fs_err::read(aside).unwrap(), *bytes, "{case}: it is kept as it was");
            }
            Said::Refused(_) => {}
        }
        if !matches!(expected, Said::Words(_)) {
            self.check_sink(case);
        }
        assert!(!self.state().join("checkpoint.json.tmp").exists(), "{case}");
    }

    fn check_sink(&self, case: &str) {
        let reader = Store::open_read_only(&self.state().join("store.sqlite")).unwrap();
        let sql = "SELECT json_extract(document, '$.n') FROM records ORDER BY 1";
        let mut statement = reader.connection().prepare(sql).unwrap();
        let found: Vec<i64> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(found, (0..self.records as i64).collect::<Vec<_>>(), "{case}: each record exactly once");
        let entries = fs_err::read_to_string(self.dead_letter()).unwrap();
        assert_eq!(entries.matches("\"raw\":\"no record\"").count(), 1, "{case}: {entries:?}");
    }
}

/// Copies a folder with all below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs_err::create_dir_all(to).unwrap();
    for entry in fs_err::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs_err::copy(entry.path(), target).unwrap();
        }
    }
}

/// All lengths with `--long`, otherwise some dozens.
fn lengths(whole: usize) -> Vec<usize> {
    let step = if std::env::var_os("INFERLOG_TEST_LONG").is_some() { 1 } else { (whole / 40).max(1) };
    (0..whole).step_by(step).chain([whole - 2, whole - 1]).collect()
}

#[test]
fn a_checkpoint_cut_at_any_length_is_kept_aside() {
    let mut bench = Bench::new();
    let whole = fs_err::read(bench.path("good/checkpoint.json")).unwrap();
    for length in lengths(whole.len()) {
        let cut = &whole[..length];
        // Without its last line feed it says as much as with it.
        let expected = if length == whole.len() - 1 { Said::Nothing } else { Said::Aside(cut) };
        let damage = |state: &Path| fs_err::write(state.join("checkpoint.json"), cut).unwrap();
        bench.check(&format!("{length} bytes of the checkpoint"), damage, &expected);
    }
}

#[test]
fn a_checkpoint_of_anything_else_is_kept_aside() {
    let mut bench = Bench::new();
    let whole = fs_err::read(bench.path("good/checkpoint.json")).unwrap();
    let (first, second) = whole.split_at(whole.len() / 2);
    for (case, bytes) in [
        ("zeroed", vec![0; whole.len()]),
        ("its end zeroed", [first, &vec![0; second.len()]].concat()),
        ("its beginning zeroed", [&vec![0; first.len()], second].concat()),
        ("halves in the other order", [second, first].concat()),
        ("twice", whole.repeat(2)),
        ("something else", b"{\"name\":\"package\",\"version\":\"1.0.0\"}\n".to_vec()),
        ("a list", b"[]".to_vec()),
        ("not UTF-8", b"\xff\xfe{\x00".to_vec()),
    ] {
        let damage = |state: &Path| fs_err::write(state.join("checkpoint.json"), &bytes).unwrap();
        bench.check(case, damage, &Said::Aside(&bytes));
    }
    let name = ["cannot read the checkpoint `", "checkpoint.json`"];
    let folder = |state: &Path| {
        fs_err::remove_file(state.join("checkpoint.json")).unwrap();
        fs_err::create_dir(state.join("checkpoint.json")).unwrap();
    };
    bench.check("a folder", folder, &Said::Refused(&name));
}

#[test]
fn what_is_left_behind_does_no_harm() {
    let mut bench = Bench::new();
    let whole = fs_err::read(bench.path("good/checkpoint.json")).unwrap();
    let leave =
        |name: &'static str, bytes: Vec<u8>| move |state: &Path| fs_err::write(state.join(name), bytes).unwrap();
    for length in [0, 1, whole.len() / 2, whole.len()] {
        let case = format!("{length} bytes of a temporary checkpoint");
        bench.check(&case, leave("checkpoint.json.tmp", whole[..length].to_vec()), &Said::Nothing);
    }
    bench.check("a zeroed temporary checkpoint", leave("checkpoint.json.tmp", vec![0; 9_000]), &Said::Nothing);
    bench.check("a lock file", leave("lock", b"4711\n".to_vec()), &Said::Nothing);
    // SQLite passes over a log that is not its own.
    bench.check("a zeroed write-ahead log", leave("store.sqlite-wal", vec![0; 9_000]), &Said::Nothing);
    bench.check("a foreign write-ahead log", leave("store.sqlite-wal", whole.repeat(9)), &Said::Nothing);
    // The rename was not durable, what it names was: the very first start again, over a store that is full.
    let first = |state: &Path| fs_err::remove_file(state.join("checkpoint.json")).unwrap();
    bench.check("no checkpoint", first, &Said::Nothing);
}

#[test]
fn a_torn_dead_letter_is_mended() {
    let mut bench = Bench::new();
    let path = bench.dead_letter();
    let name = path.strip_prefix(bench.state()).unwrap().to_owned();
    let whole = fs_err::read(&path).unwrap();
    // What was not synced is not in the checkpoint: the line is read again.
    let write = |bytes: Vec<u8>, with_checkpoint: bool| {
        let name = name.clone();
        move |state: &Path| {
            fs_err::write(state.join(name), bytes).unwrap();
            if !with_checkpoint {
                fs_err::remove_file(state.join("checkpoint.json")).unwrap();
            }
        }
    };
    for length in lengths(whole.len()) {
        let case = format!("{length} bytes of a dead letter");
        bench.check(&case, write(whole[..length].to_vec(), false), &Said::Nothing);
        let case = format!("a dead letter, and {length} bytes of the next");
        bench.check(&case, write([&whole[..], &whole[..length]].concat(), true), &Said::Nothing);
    }
    bench.check("a zeroed dead letter", write(vec![0; whole.len()], false), &Said::Nothing);
    bench.check("a dead letter and zeros", write([&whole[..], &[0; 512]].concat(), true), &Said::Nothing);
}

#[test]
fn a_damaged_store_is_left_alone_and_named() {
    let mut bench = Bench::new();
    let whole = fs_err::read(bench.path("good/store.sqlite")).unwrap();
    let write = |bytes: Vec<u8>| move |state: &Path| fs_err::write(state.join("store.sqlite"), bytes).unwrap();
    let malformed = ["cannot use the store `state/p/store.sqlite`", "malformed", "hint: move the file"];
    let foreign = ["`state/p/store.sqlite` is not a store of inferlog", "hint: give `store:` another `path`"];
    // One byte is nothing to SQLite.
    for length in [2, 99] {
        let named = ["`state/p/store.sqlite`", "hint: "];
        bench.check("a piece of a header", write(whole[..length].to_vec()), &Said::Refused(&named));
    }
    for length in (1..whole.len() / 8_192).map(|pages| pages * 8_192) {
        let case = format!("{length} bytes of the store");
        bench.check(&case, write(whole[..length].to_vec()), &Said::Refused(&malformed));
    }
    bench.check("a zeroed store", write(vec![0; whole.len()]), &Said::Refused(&foreign));
    bench.check("a text", write(b"hello\n".to_vec()), &Said::Refused(&foreign));
    // Nothing was lost meanwhile.
    bench.check("the good one again", |_| {}, &Said::Nothing);
    let is_new = Said::Words("the store is new, and what was delivered before, by the checkpoint, is not in it");
    bench.check("an empty store", write(Vec::new()), &is_new);
    bench.check("no store", |state| fs_err::remove_file(state.join("store.sqlite")).unwrap(), &is_new);
    let both = |state: &Path| {
        fs_err::remove_file(state.join("store.sqlite")).unwrap();
        fs_err::remove_file(state.join("checkpoint.json")).unwrap();
    };
    bench.check("neither store nor checkpoint", both, &Said::Nothing);
}
