//! Whole pipelines, from files on disk to a sink that does as it is told.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::*;
use crate::config;
use crate::flow::answer::{Answer, Outcome, Trouble};
use crate::flow::batch::Stream;
use crate::sink::{Request, Sink, SinkFuture};
use crate::state::checkpoint::{self, Loaded};
use crate::telemetry::Telemetry;

/// What the sink does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Takes,
    Waits,
    NeverAnswers,
    IsClosed,
}

/// Takes documents when it is in the mood.
#[derive(Clone)]
struct Moody {
    mood: Arc<Mutex<Mood>>,
    taken: Arc<Mutex<Vec<String>>>,
    accounts: Arc<Mutex<Vec<String>>>,
}

fn documents(request: &Request) -> impl Iterator<Item = String> {
    request.items().map(|item| String::from_utf8_lossy(request.batch.document(item)).into_owned())
}

impl Sink for Moody {
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
        let mood = *self.mood.lock().unwrap();
        let trouble = Trouble { problem: "not in the mood".to_owned(), hint: None };
        Box::pin(async move {
            match mood {
                Mood::Takes if request.batch.stream() == Stream::Accounts => {
                    self.accounts.lock().unwrap().extend(documents(request));
                    Answer::Items(vec![Outcome::Indexed; request.len()])
                }
                Mood::Takes => {
                    self.taken.lock().unwrap().extend(documents(request));
                    Answer::Items(vec![Outcome::Indexed; request.len()])
                }
                Mood::Waits => Answer::Wait(trouble),
                Mood::NeverAnswers => std::future::pending().await,
                Mood::IsClosed => Answer::Closed(trouble),
            }
        })
    }

    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
        Box::pin(async { Ok(()) })
    }
}

/// A folder with logs, a pipeline file and the state.
struct Stand {
    folder: tempfile::TempDir,
    decode: &'static str,
    /// What the pipeline file says beside source, decode and sink.
    rest: String,
}

/// A pipeline on a thread of its own.
struct Running {
    thread: JoinHandle<RunEnd>,
    stop: Stop,
    counters: Counters,
    sink: Moody,
    _runtime: tokio::runtime::Runtime,
    _lock: std::fs::File,
}

const FOR_GOOD: Limits = Limits {
    once: false,
    once_timeout: Duration::from_secs(60),
    shutdown_timeout: Duration::from_secs(20),
    unacknowledged_bytes_max: 0,
};

/// How many workers a pipeline has, where that may matter.
const WORKERS: [u32; 2] = [1, 3];

const ONCE: Limits = Limits { once: true, ..FOR_GOOD };

impl Stand {
    fn new(rest: &str) -> Stand {
        Stand { folder: tempfile::tempdir().unwrap(), decode: "json", rest: rest.to_owned() }
    }

    fn write(&self, name: &str, text: &str) {
        use std::io::Write as _;
        let path = self.folder.path().join(name);
        let mut file = fs_err::OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn state(&self) -> std::path::PathBuf {
        self.folder.path().join("state/p")
    }

    fn start(&self, limits: Limits, mood: Mood) -> Running {
        let path = self.folder.path().join("p.yaml");
        let source = "source: { files: { paths: [\"*.ndjson\"], poll_interval: 20ms, line_bytes_max: 64KiB } }";
        let text = format!("{source}\ndecode: {}\nsink: {{ stdout: {{}} }}\n{}\n", self.decode, self.rest);
        fs_err::write(&path, text).unwrap();
        let pipelines = config::load(&[path]).unwrap_or_else(|report| panic!("{report}"));
        let counters = Telemetry::default().pipeline("p");
        let data_dir = self.folder.path().join("state");
        let built = build::build(&pipelines[0], &data_dir, limits, counters, None).unwrap();
        let sink = Moody { mood: Arc::new(Mutex::new(mood)), taken: Arc::default(), accounts: Arc::default() };
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        for delivery in built.deliveries {
            let delivery = delivery.with_sink(Arc::new(sink.clone()));
            let stop = built.stop.clone();
            runtime.spawn(async move {
                if delivery.run().await.is_err() {
                    stop.give_up();
                }
            });
        }
        let (stop, counters, _lock) = (built.stop, built.counters, built.lock);
        let pipeline = built.pipeline;
        let thread = std::thread::spawn(move || pipeline.run());
        Running { thread, stop, counters, sink, _runtime: runtime, _lock }
    }

    /// Committed offsets by file name, as the checkpoint on disk says.
    fn committed(&self) -> Vec<(String, u64)> {
        let Ok(Loaded::Found(checkpoint)) = checkpoint::load(&self.state().join("checkpoint.json")) else {
            return Vec::new();
        };
        let name = |path: &str| Path::new(path).file_name().unwrap().to_string_lossy().into_owned();
        checkpoint.files.iter().map(|entry| (name(&entry.path), entry.committed.offset_bytes)).collect()
    }

    fn dead_letter(&self) -> String {
        let files = fs_err::read_dir(self.state().join("dead_letter")).unwrap();
        files.map(|file| fs_err::read_to_string(file.unwrap().path()).unwrap()).collect()
    }
}

impl Running {
    fn mood(&self, mood: Mood) {
        *self.sink.mood.lock().unwrap() = mood;
    }

    fn taken(&self) -> usize {
        self.sink.taken.lock().unwrap().len()
    }

    /// Waits for the end, which must come within `at_most`.
    fn ended(self, at_most: Duration) -> RunEnd {
        wait_for_at_most("the end", at_most, || self.thread.is_finished());
        let Running { thread, _runtime, .. } = self;
        _runtime.shutdown_background();
        thread.join().unwrap()
    }
}

fn wait_for_at_most(what: &str, at_most: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + at_most;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {at_most:?} for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait_for(what: &str, condition: impl Fn() -> bool) {
    wait_for_at_most(what, Duration::from_secs(30), condition);
}

const SOON: Duration = Duration::from_secs(10);

#[test]
fn what_is_dropped_is_counted_and_what_is_no_record_is_kept_and_all_is_committed() {
    let stand = Stand::new("enrich: [ drop: { name: health, when: \"event : health\" } ]");
    let text = "{\"n\":1}\n{\"event\":\"health\"}\nno record\n{\"n\":2}\n";
    stand.write("a.ndjson", text);
    stand.write("only_drops.ndjson", "{\"event\":\"health\"}\n");
    let running = stand.start(ONCE, Mood::Takes);
    let counters = running.counters.clone();
    let taken = Arc::clone(&running.sink.taken);
    let ended = running.ended(SOON);
    assert_eq!(ended, RunEnd { drained: true, dead_lettered: 1, ..RunEnd::default() });
    assert_eq!(taken.lock().unwrap().len(), 2);
    assert_eq!(counters.dropped("health").get(), 2);
    assert_eq!((counters.source_read_lines_total.get(), counters.decode_records_total.get()), (5, 4));
    assert_eq!(stand.committed(), [("a.ndjson".to_owned(), text.len() as u64), ("only_drops.ndjson".to_owned(), 19)]);
    assert!(stand.dead_letter().contains("\"raw\":\"no record\""));
    assert_eq!(stand.start(ONCE, Mood::Takes).ended(SOON), RunEnd { drained: true, ..RunEnd::default() });
    assert_eq!(stand.dead_letter().lines().count(), 1, "nothing is read twice");
}

#[test]
fn of_what_cannot_be_decoded_nothing_is_kept_where_a_field_is_hidden() {
    let redact = "redact: { fields: [user.email] }";
    let hash_in_place = "hash: { fields: [user.id], into: user.id }";
    let hash_beside = "hash: { fields: [user.id], into: user_hash }";
    let rename = "rename: { fields: { user.id: id } }";
    for (processor, raw, is_kept) in [
        (redact, "", false),
        (redact, "dead_letter: { raw: omit }", false),
        (redact, "dead_letter: { raw: keep }", true),
        (hash_in_place, "", false),
        (hash_beside, "", true),
        (rename, "", true),
        (rename, "dead_letter: { raw: omit }", false),
    ] {
        let stand = Stand::new(&format!("enrich: [ {processor} ]\n{raw}"));
        // The tail of a torn line names no field; others are undecodable for another reason.
        stand.write("a.ndjson", "a secret tail\"}}\n{\"a\":1,\"a\":\"secret\"}\n{\"b\":\"secret\"}{}\n[\"secret\"]\n");
        assert_eq!(stand.start(ONCE, Mood::Takes).ended(SOON).dead_lettered, 4);
        let kept = stand.dead_letter().matches("secret").count();
        assert_eq!(kept, if is_kept { 4 } else { 0 }, "{processor}, {raw}: {}", stand.dead_letter());
        assert_eq!(stand.dead_letter().matches("\"not_kept\"").count(), if is_kept { 0 } else { 4 });
    }
}

#[test]
fn no_more_is_read_than_may_be_unacknowledged_but_files_are_opened() {
    for workers in WORKERS {
        let stand = Stand::new(&format!(
            "workers: {workers}\nqueue: {{ unacknowledged_bytes_max: 64KiB }}\nbatch: {{ bytes_max: 16KiB, linger: 1ms }}"
        ));
        let lines = 40_000;
        stand.write("a.ndjson", &"{\"event\":\"inference\",\"n\":1}\n".repeat(lines));
        let running = stand.start(FOR_GOOD, Mood::Waits);
        let read_bytes = || running.counters.source_read_bytes_total.get();
        wait_for("reading to begin", || read_bytes() >= 64 * 1024);
        // What is written and deleted while nothing may be read is read all the same.
        stand.write("b.ndjson", "{\"n\":2}\n");
        wait_for("the second file to be opened", || running.counters.source_open_files.get() == 2);
        fs_err::remove_file(stand.folder.path().join("b.ndjson")).unwrap();
        assert!(read_bytes() <= (64 + 256 + 16) * 1024, "{} bytes are read", read_bytes());
        running.mood(Mood::Takes);
        wait_for("all documents", || running.taken() == lines + 1);
        running.stop.ask();
        assert!(running.ended(SOON).drained);
    }
}

/// A pipeline whose dead letter is full in the midst of the first chunk of its file, so that a commit says that it is.
fn with_a_full_dead_letter(workers: u32) -> Stand {
    let stand =
        Stand::new(&format!("workers: {workers}\ndead_letter: {{ bytes_max: 1MiB }}\nbatch: {{ linger: 1ms }}"));
    stand.write("a.ndjson", &format!("{{\"n\":1}}\n{}{{\"n\":2}}\n", format!("{}\n", "x".repeat(16)).repeat(3_000)));
    stand
}

#[test]
fn a_full_dead_letter_holds_the_pipeline_until_there_is_room() {
    for workers in WORKERS {
        let stand = with_a_full_dead_letter(workers);
        let running = stand.start(FOR_GOOD, Mood::Takes);
        wait_for("what is before to be committed", || stand.committed().iter().any(|(_, bytes)| *bytes > 10_000));
        assert_eq!(running.taken(), 1);
        for file in fs_err::read_dir(stand.state().join("dead_letter")).unwrap() {
            fs_err::remove_file(file.unwrap().path()).unwrap();
        }
        wait_for("the rest", || running.taken() == 2);
        running.stop.ask();
        let ended = running.ended(SOON);
        assert_eq!((ended.drained, ended.dead_lettered), (true, 3_000));
    }
}

/// A line of which a record is shipped and one is dropped before the dead letter has no room for a third one is taken
/// again, by this run or by the next one.
#[test]
fn records_of_a_line_that_is_taken_again_are_counted_once() {
    const LINES: u64 = 3_000;
    for (workers, is_stopped) in [(1, false), (1, true), (3, false), (3, true)] {
        let enrich = "[ { redact: { fields: [features.f.a] } }, { drop: { name: two, when: \"features.n : 2\" } } ]";
        let rest = "dead_letter: { bytes_max: 1MiB }\nbatch: { linger: 1ms }";
        let decode = "[ json, { split: { each: [features] } } ]";
        let stand = Stand { decode, ..Stand::new(&format!("workers: {workers}\n{rest}\nenrich: {enrich}")) };
        let line =
            "{\"features\":[{\"n\":1},{\"n\":2},{\"f\":{\"a\":1,\"a\":2}},{\"n\":3},{\"f\":{\"a\":1,\"a\":2}}]}\n";
        let text = line.repeat(LINES as usize);
        stand.write("a.ndjson", &text);
        let mut told = Vec::new();
        let mut end = |running: Running| {
            running.stop.ask();
            let accounts = Arc::clone(&running.sink.accounts);
            let drained = running.ended(SOON).drained;
            told.append(&mut accounts.lock().unwrap());
            drained
        };
        let mut running = stand.start(FOR_GOOD, Mood::Takes);
        wait_for("some to be committed", || stand.committed().iter().any(|(_, bytes)| *bytes > 10_000));
        if is_stopped {
            assert!(!end(running));
            running = stand.start(FOR_GOOD, Mood::Takes);
        }
        wait_for("all", || {
            for file in fs_err::read_dir(stand.state().join("dead_letter")).unwrap() {
                let _ = fs_err::remove_file(file.unwrap().path());
            }
            stand.committed() == [("a.ndjson".to_owned(), text.len() as u64)]
        });
        assert!(end(running));
        // What has not been told yet is told by the next run.
        assert!(end(stand.start(ONCE, Mood::Takes)));
        let told: Vec<serde_json::Value> = told.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        let sum = |member: &str| -> u64 { told.iter().filter_map(|account| account[member].as_u64()).sum() };
        let sums = ["lines", "records", "kept", "dropped", "dead_lettered"].map(|name| sum(&format!("account.{name}")));
        let expected = [LINES, 5 * LINES, 4 * LINES, LINES, 2 * LINES];
        assert_eq!(sums, expected, "{workers} workers, stopped: {is_stopped}");
    }
}

#[test]
fn a_full_dead_letter_holds_up_no_stop_and_no_single_run() {
    for workers in WORKERS {
        let stand = with_a_full_dead_letter(workers);
        let running = stand.start(FOR_GOOD, Mood::Takes);
        wait_for("what is before to be committed", || stand.committed().iter().any(|(_, bytes)| *bytes > 10_000));
        running.stop.ask();
        let ended = running.ended(SOON);
        assert_eq!((ended.drained, ended.stuck), (false, false), "a part of what was read is dropped");
        let ended = stand.start(Limits { once_timeout: Duration::from_millis(50), ..ONCE }, Mood::Takes).ended(SOON);
        assert_eq!((ended.drained, ended.stuck), (false, true));
    }
}

#[test]
fn a_stop_ends_after_its_time_however_the_sink_is() {
    for workers in WORKERS {
        for mood in [Mood::Waits, Mood::NeverAnswers] {
            let stand = Stand::new(&format!("workers: {workers}\nbatch: {{ linger: 1ms }}"));
            stand.write("a.ndjson", "{\"n\":1}\n");
            let limits = Limits { shutdown_timeout: Duration::from_millis(100), ..FOR_GOOD };
            let running = stand.start(limits, mood);
            wait_for("the line to be read", || running.counters.source_read_lines_total.get() == 1);
            running.stop.ask();
            let ended = running.ended(SOON);
            assert_eq!((ended.drained, ended.unacknowledged_bytes), (false, 8), "{mood:?}");
            assert_eq!(stand.committed(), [("a.ndjson".to_owned(), 0)]);
            let again = stand.start(ONCE, Mood::Takes);
            let taken = Arc::clone(&again.sink.taken);
            assert!(again.ended(SOON).drained);
            assert_eq!(taken.lock().unwrap().len(), 1);
        }
    }
}

#[test]
fn a_stop_that_drains_reads_to_the_end_first() {
    for workers in WORKERS {
        let lines = 30_000;
        let stand = Stand::new(&format!("workers: {workers}"));
        stand.write("a.ndjson", &"{\"n\":1}\n".repeat(lines));
        let running = stand.start(FOR_GOOD, Mood::Takes);
        stand.write("b.ndjson", "{\"n\":2}\n{\"n\":3}");
        running.stop.ask_to_read_on();
        let taken = Arc::clone(&running.sink.taken);
        let ended = running.ended(SOON);
        assert_eq!((ended.drained, ended.unacknowledged_bytes), (true, 0));
        assert_eq!(taken.lock().unwrap().len(), lines + 2, "the last line, which nobody will end any more, included");
    }
}

#[test]
fn a_drain_ends_after_its_time_and_says_that_something_is_left() {
    let stand = Stand::new("batch: { linger: 1ms }");
    stand.write("a.ndjson", "{\"n\":1}\n");
    let limits = Limits { shutdown_timeout: Duration::from_millis(100), ..FOR_GOOD };
    let running = stand.start(limits, Mood::Waits);
    running.stop.ask_to_read_on();
    let ended = running.ended(SOON);
    assert_eq!((ended.drained, ended.stuck, ended.unacknowledged_bytes), (false, false, 8));
}

#[test]
fn a_single_run_that_does_not_get_on_gives_up() {
    let stand = Stand::new("");
    stand.write("a.ndjson", "{\"n\":1}\n");
    let ended = stand.start(Limits { once_timeout: Duration::from_millis(50), ..ONCE }, Mood::Waits).ended(SOON);
    assert_eq!((ended.drained, ended.stuck), (false, true));
}

#[test]
fn a_closed_sink_ends_the_run_at_once() {
    for limits in [FOR_GOOD, ONCE] {
        let stand = Stand::new("batch: { linger: 1ms }");
        stand.write("a.ndjson", "{\"n\":1}\n");
        let ended = stand.start(limits, Mood::IsClosed).ended(SOON);
        assert_eq!((ended.drained, ended.stuck), (false, false));
        assert_eq!(stand.committed(), [("a.ndjson".to_owned(), 0)]);
    }
}

#[test]
fn a_checkpoint_that_cannot_be_written_is_tried_again() {
    let stand = Stand::new("batch: { linger: 1ms }");
    stand.write("a.ndjson", "{\"n\":1}\n");
    // Where a folder stands, no file can be made, not even by root.
    let obstacle = stand.state().join("checkpoint.json.tmp");
    fs_err::create_dir_all(&obstacle).unwrap();
    let running = stand.start(FOR_GOOD, Mood::Takes);
    // Time enough for many tries: what a crash would forget is not sent.
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(running.taken(), 0, "the file is not known on disk");
    fs_err::remove_dir(&obstacle).unwrap();
    wait_for("the document", || running.taken() == 1);
    wait_for("the checkpoint", || stand.committed() == [("a.ndjson".to_owned(), 8)]);
    running.stop.ask();
    assert!(running.ended(SOON).drained);
}

#[test]
fn a_last_line_without_an_end_is_taken_if_it_is_a_record() {
    for workers in WORKERS {
        let stand = Stand::new(&format!("workers: {workers}"));
        stand.write("a.ndjson", "{\"n\":1}\n{\"n\":2}");
        stand.write("b.ndjson", "{\"n\":3}\n{\"n\":");
        let running = stand.start(ONCE, Mood::Takes);
        let taken = Arc::clone(&running.sink.taken);
        let ended = running.ended(SOON);
        assert!(ended.drained);
        assert_eq!(ended.left_unread, [(stand.folder.path().join("b.ndjson"), 5)]);
        assert_eq!(taken.lock().unwrap().len(), 3);
    }
}
