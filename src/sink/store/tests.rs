use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::types::Value;

use super::*;
use crate::flow::answer::Outcome;
use crate::flow::batch::{Batch, Id, Origin, SourceFile, Stream};
use crate::flow::question::{Order, Question};
use crate::kql::Expression;

const HOUR_US: i64 = 3_600_000_000;
const HOUR: Duration = Duration::from_secs(3600);

fn id(number: usize) -> Id {
    Id(format!("{number:028}").into_bytes().try_into().expect("28 characters"))
}

/// All items of a batch of (number for the id, time, document).
fn request<'a>(documents: impl IntoIterator<Item = (usize, i64, &'a [u8])>) -> Request {
    let mut batch = Batch::default();
    let file = Arc::new(SourceFile {
        path: "/var/log/größe.ndjson".to_owned(),
        inode: u64::MAX - 1,
        generation: 2,
        ..SourceFile::default()
    });
    for (number, timestamp_us, document) in documents {
        let origin =
            Origin { file: batch.file(&file), offset_bytes: number as u64 * 100, length_bytes: 99, ordinal: 0 };
        batch.push(id(number), timestamp_us, origin, |body| body.extend_from_slice(document));
    }
    Request { batch: Arc::new(batch), selection: None }
}

/// Rows `numbers` of `bytes` bytes each, one an hour.
fn hourly(numbers: std::ops::Range<usize>, bytes: usize) -> Request {
    let document = format!(r#"{{"text":"{}"}}"#, "x".repeat(bytes));
    request(numbers.map(|number| (number, number as i64 * HOUR_US, document.as_bytes())))
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store.sqlite")
    }

    fn writer(&self, retention: Retention) -> Writer {
        Writer::new(StoreOptions { path: self.path(), retention })
    }

    fn reader(&self) -> Reader {
        Store::open_read_only(&self.path()).expect("a store")
    }

    fn documents(&self) -> Vec<String> {
        let reader = self.reader();
        let mut statement = reader.connection().prepare("SELECT document FROM records ORDER BY id").expect("a query");
        let rows = statement.query_map([], |row| row.get(0)).expect("rows");
        rows.map(|row| row.expect("text")).collect()
    }
}

impl Writer {
    fn deliver_one(&mut self, request: &Request, now_us: i64) -> Answer {
        self.deliver(std::slice::from_ref(request), now_us).remove(0)
    }
}

fn outcomes(answer: Answer) -> Vec<Outcome> {
    match answer {
        Answer::Items(outcomes) => outcomes,
        other => panic!("{other:?}"),
    }
}

fn trouble(answer: Answer) -> (String, String) {
    match answer {
        Answer::Wait(Trouble { problem, hint }) => (problem, hint.unwrap_or_default()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn odd_documents_are_kept_byte_for_byte() {
    let deep = format!(r#"{{"prediction":{}1{}}}"#, "[".repeat(900), "]".repeat(900));
    let large = format!(r#"{{"text":"{}"}}"#, "ü".repeat(600_000));
    let documents = [
        "{}",
        r#"{ "spaces" :  1 , "twice":1,"twice":2 }"#,
        r#"{"confidence":0.1234567890123456789,"n":12345678901234567890,"request_id":98765432109876543210}"#,
        r#"{"confidence":1e999,"latency_ms":-1E-999,"n":-0.0}"#,
        r#"{"model_version":"\ud800","\udfff":"\ud83d\ude00","request_id":"\ude00\ud83d"}"#,
        r#"{"request_id":"a\u0000b","\u0000":"\u0000"}"#,
        r#"{"prediction":"Größe 漢字 🦀","\u0070rediction":"\/\b\f\n\r\t\"\\"}"#,
        &deep,
        &large,
    ];
    let place = Place::new();
    let asked = request(documents.iter().enumerate().map(|(n, document)| (n, 0, document.as_bytes())));
    let answer = place.writer(Retention::default()).deliver_one(&asked, 0);
    assert_eq!(outcomes(answer), vec![Outcome::Indexed; documents.len()]);
    assert_eq!(place.documents(), documents);
}

/// The kernel's locks of this process on a file.
fn locks_on(path: &Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt as _;
    let (inode, pid) =
        (format!(":{} ", std::fs::metadata(path).expect("a file").ino()), std::process::id().to_string());
    let table = std::fs::read_to_string("/proc/locks").expect("the kernel's table of locks");
    let is_ours = |line: &&str| line.contains(&inode) && line.split_whitespace().any(|word| word == pid);
    table.lines().filter(is_ours).map(|line| line.split_once(' ').expect("a number").1.to_owned()).collect()
}

/// To close a file gives up all locks of the process on it, which SQLite then believes to have.
#[test]
fn a_reader_beside_the_writer_in_one_process_leaves_it_its_locks() {
    let place = Place::new();
    let mut writer = place.writer(Retention::default());
    writer.deliver_one(&hourly(0..3, 10), 0);
    let locks = locks_on(&place.path());
    assert!(!locks.is_empty(), "the writer has no lock: does the test still see them?");
    let reader = place.reader();
    assert!(locks_on(&place.path()).len() >= locks.len(), "{locks:?}");
    drop(reader);
    assert_eq!(locks_on(&place.path()), locks);
}

#[test]
fn a_search_ends_where_nobody_waits_for_it() {
    let place = Place::new();
    place.writer(Retention::default()).deliver_one(&hourly(0..2_000, 10), 0);
    let question = Question {
        stream: Stream::Records,
        condition: Expression::parse("text : nothing").expect("KQL"),
        from_ms: None,
        until_ms: None,
        order: Order::NEWEST_FIRST,
    };
    let mut reader = place.reader();
    assert_eq!(reader.count_of(&question).expect("an answer"), 0);
    reader.interrupt_when(|| true).expect("SQLite");
    let error = reader.count_of(&question).expect_err("it was interrupted");
    assert!(error.is_interrupted(), "{error:?}");
    let mut visit = |_: crate::flow::question::Row<'_>| std::ops::ControlFlow::Continue(());
    assert!(reader.search(&question, &mut visit).expect_err("it was interrupted").is_interrupted());
}

#[test]
fn what_sqlite_cannot_take_is_rejected_alone() {
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(2000), "]".repeat(2000));
    for (document, kind) in [(deep.as_bytes(), "document_too_deep"), (b"{\"a\":\"\xff\"}", "document_not_utf8")] {
        let place = Place::new();
        let asked = request([(0, 0, b"{}".as_slice()), (1, 0, document), (2, 0, b"{}")]);
        let answer = outcomes(place.writer(Retention::default()).deliver_one(&asked, 0));
        assert_eq!((&answer[0], &answer[2]), (&Outcome::Indexed, &Outcome::Indexed));
        assert!(matches!(&answer[1], Outcome::Rejected(reason) if reason.kind == kind), "{answer:?}");
        assert_eq!(place.documents(), ["{}", "{}"]);
    }
}

#[test]
fn a_taken_id_is_a_duplicate_and_its_row_stays() {
    use Outcome::{Duplicate, Indexed};
    let place = Place::new();
    let mut writer = place.writer(Retention::default());
    let first = request([(0, 0, b"[0]".as_slice()), (1, 0, b"[1]"), (0, 9, b"[2]")]);
    assert_eq!(outcomes(writer.deliver_one(&first, 0)), [Indexed, Indexed, Duplicate]);
    let mut second = request([(5, 0, b"[3]".as_slice()), (1, 9, b"[4]"), (2, 0, b"[5]")]);
    second.selection = Some(vec![1, 2]);
    assert_eq!(outcomes(writer.deliver_one(&second, 0)), [Duplicate, Indexed]);
    drop(writer);
    let mut reopened = place.writer(Retention::default());
    assert_eq!(outcomes(reopened.deliver_one(&first, 0)), vec![Duplicate; 3]);
    assert_eq!(place.documents(), ["[0]", "[1]", "[5]"]);
}

#[test]
fn columns_hold_origin_and_heart_fields() {
    fn check(document: &str, column: &str, expected: impl Into<Value>) {
        let place = Place::new();
        outcomes(place.writer(Retention::default()).deliver_one(&request([(7, -5, document.as_bytes())]), 0));
        let found: Value = place
            .reader()
            .connection()
            .query_row(&format!("SELECT {column} FROM records"), [], |row| row.get(0))
            .expect("a row");
        assert_eq!(found, expected.into(), "{column} of {document}");
    }
    check("{}", "id", id(7).to_string());
    check("{}", "timestamp_us", -5);
    check("{}", "log_file_path", "/var/log/größe.ndjson".to_owned());
    check("{}", "log_inode", -2);
    check("{}", "log_generation", 2);
    check("{}", "log_offset_bytes", 700);
    check("{}", "log_length_bytes", 99);
    check("{}", "confidence", Value::Null);
    check(r#"{"confidence":null}"#, "confidence", Value::Null);
    check(r#"{"confidence":0.25}"#, "confidence", 0.25);
    check(r#"{"confidence":"0.25"}"#, "confidence", "0.25".to_owned());
    check(r#"{"confidence":1e999}"#, "confidence", f64::INFINITY);
    check(r#"{"a":{"confidence":1}}"#, "confidence", Value::Null);
    check(r#"{"prediction":{"a":[1, 2.50]}}"#, "prediction", r#"{"a":[1,2.50]}"#.to_owned());
    check(r#"{"prediction":true}"#, "prediction", 1);
    check(r#"{"request_\u0069d":"\u00e4"}"#, "request_id", "ä".to_owned());
    let hearts =
        ["model_name", "model_version", "status", "stage", "subject", "input_hash", "prediction", "request_id"];
    for heart in hearts {
        check(&format!(r#"{{"x":1,"{heart}":"of {heart}"}}"#), heart, format!("of {heart}"));
    }
    check(r#"{"latency_ms":12}"#, "latency_ms", 12);
}

/// Heart fields over a range of time are read from the index alone.
#[test]
fn the_time_index_covers_the_short_heart_fields() {
    let place = Place::new();
    place.writer(Retention::default()).probe().expect("a store");
    let sql = "EXPLAIN QUERY PLAN SELECT model_name, avg(latency_ms) FROM records
        WHERE timestamp_us >= 5 AND confidence < 0.6 AND input_hash = 'a' AND request_id = 'b' AND status = 'c'
        AND model_version = 'd' AND stage = 'e' AND subject = 'f' GROUP BY model_name";
    let plan: String = place.reader().connection().query_row(sql, [], |row| row.get(3)).expect("a plan");
    assert_eq!(plan, "SEARCH records USING INDEX records_by_time (timestamp_us>?)");
}

#[test]
fn retention_deletes_the_oldest_and_keeps_what_is_young() {
    /// Rows 0..4000, one an hour, arrive at `now_h` in batches of 250; tells which are left after the upkeep.
    fn check(retention: Retention, now_h: i64, expected: impl Fn(&[usize]) -> bool) {
        let place = Place::new();
        let mut writer = place.writer(retention);
        for start in (0..4000).step_by(250) {
            let answer = writer.deliver_one(&hourly(start..start + 250, 1000), now_h * HOUR_US);
            assert_eq!(outcomes(answer), vec![Outcome::Indexed; 250]);
        }
        while writer.upkeep(now_h * HOUR_US).expect("upkeep") {}
        let used = retention::used_bytes(writer.connection()).expect("a size");
        drop(writer);
        let reader = place.reader();
        let mut statement =
            reader.connection().prepare("SELECT timestamp_us FROM records ORDER BY 1").expect("a query");
        let rows = statement.query_map([], |row| row.get::<_, i64>(0)).expect("rows");
        let left: Vec<usize> = rows.map(|row| (row.expect("a time") / HOUR_US) as usize).collect();
        assert!(expected(&left), "{retention:?}: {} rows left from {:?}", left.len(), left.first());
        assert!(retention.bytes_max.is_none_or(|bytes_max| used <= bytes_max), "{used} bytes");
        let file_bytes = std::fs::metadata(place.path()).expect("a file").len();
        assert!(file_bytes <= used + used / 15 + 65 * 8192, "{file_bytes} bytes of which {used} are used");
    }
    let bytes_max = Some(2 << 20);
    let keep_all = Retention::default();
    check(keep_all, 1_000_000, |left| left.len() == 4000);
    check(Retention { at_most: Some(HOUR * 500), ..keep_all }, 4000, |left| left.iter().copied().eq(3500..4000));
    check(Retention { at_most: Some(HOUR * 500), ..keep_all }, 9000, <[usize]>::is_empty);
    check(Retention { at_most: Some(HOUR * 500), ..keep_all }, -9000, |left| left.len() == 4000);
    let newest = |left: &[usize]| left.len() > 500 && left.iter().copied().eq(4000 - left.len()..4000);
    check(Retention { bytes_max, ..keep_all }, 4000, newest);
    check(Retention { bytes_max, at_least: Some(HOUR * 100), ..keep_all }, 4000, newest);
    let both = Retention { bytes_max, at_least: Some(HOUR * 10), at_most: Some(HOUR * 20) };
    check(both, 4000, |left| left.iter().copied().eq(3980..4000));
}

#[test]
fn at_least_wins_over_bytes_max_and_the_delivery_waits() {
    let place = Place::new();
    let retention = Retention { bytes_max: Some(BYTES_MAX_MIN), at_least: Some(HOUR * 5000), at_most: None };
    let mut writer = place.writer(retention);
    let mut held = 0;
    let waiting = loop {
        match writer.deliver_one(&hourly(held..held + 100, 1000), 5000 * HOUR_US) {
            Answer::Items(_) if held < 5000 => held += 100,
            other => break other,
        }
    };
    let (problem, hint) = trouble(waiting);
    assert!(
        problem.starts_with("store is at its bytes_max and everything in it is younger than at_least"),
        "{problem}"
    );
    assert!(hint.contains("raise `bytes_max`"), "{hint}");
    assert!(held > 500, "{held}");
    assert_eq!(place.reader().count().expect("a count"), held as u64);
    assert!(!writer.upkeep(5000 * HOUR_US).expect("upkeep"));
    let again = writer.deliver_one(&hourly(0..100, 1000), 5000 * HOUR_US);
    assert_eq!(outcomes(again), vec![Outcome::Duplicate; 100], "what is there needs no room");
    let later = writer.deliver_one(&hourly(held..held + 100, 1000), 9000 * HOUR_US);
    assert_eq!(outcomes(later), vec![Outcome::Indexed; 100]);
}

/// After `bytes_max` was lowered a delivery makes room for itself only, and the upkeep does the rest.
#[test]
fn a_lowered_limit_is_reached_in_steps() {
    let place = Place::new();
    outcomes(place.writer(Retention::default()).deliver_one(&hourly(0..8000, 1000), 0));
    let mut writer = place.writer(Retention { bytes_max: Some(BYTES_MAX_MIN), ..Retention::default() });
    outcomes(writer.deliver_one(&hourly(8000..8100, 1000), 0));
    assert!(place.reader().count().expect("a count") > 6000);
    let mut steps = 0;
    while writer.upkeep(0).expect("upkeep") {
        steps += 1;
    }
    assert!(steps >= 6, "{steps}");
    let left = place.reader().count().expect("a count");
    assert!((1..1000).contains(&left), "{left}");
}

#[test]
fn a_retention_that_cannot_be_kept_is_refused() {
    let check = |at_least: u32, at_most: u32, bytes_max: u64, expected: &str| {
        let retention =
            Retention { at_least: Some(HOUR * at_least), at_most: Some(HOUR * at_most), bytes_max: Some(bytes_max) };
        let told = Store::open(StoreOptions { path: PathBuf::from("/nowhere/store"), retention }).map(drop);
        let told = told.expect_err("there is no such folder").to_string();
        assert!(told.contains(expected), "{told}");
    };
    check(2, 1, BYTES_MAX_MIN, "`at_least` is longer than `at_most`");
    check(1, 2, BYTES_MAX_MIN - 1, "less than the smallest possible");
    check(1, 1, BYTES_MAX_MIN, "cannot open the store");
}

#[test]
fn strange_files_are_refused_with_a_hint_and_left_alone() {
    fn check(prepare: impl Fn(&Path), expected: &str, expected_hint: &str) {
        let place = Place::new();
        prepare(&place.path());
        let before = std::fs::read(place.path()).ok();
        let (problem, hint) = trouble(place.writer(Retention::default()).deliver_one(&hourly(0..1, 1), 0));
        assert!(problem.contains(expected), "{problem}");
        assert!(hint.contains(expected_hint), "{hint}");
        assert_eq!(std::fs::read(place.path()).ok(), before);
        let opened = Store::open(StoreOptions { path: place.path(), retention: Retention::default() });
        let told = opened.expect_err("is refused").trouble().problem;
        assert_eq!(told, problem);
    }
    fn sql(path: &Path, sql: &str) {
        Connection::open(path).expect("a database").execute_batch(sql).expect("it runs");
    }
    let newer = |path: &Path| {
        schema::open(path).map(drop).expect("a store");
        sql(path, "PRAGMA user_version = 5");
    };
    check(newer, "has layout 5; this version of inferlog knows layouts up to 4", "use the newer inferlog");
    check(|path| sql(path, "CREATE TABLE records (id)"), "it holds something else", "another `path`");
    check(|path| sql(path, "PRAGMA user_version = 1; CREATE TABLE a (b)"), "something else", "another `path`");
    let text = |path: &Path| std::fs::write(path, "{\"not\":\"a database\"}\n".repeat(99)).expect("a file");
    check(text, "is not a store of inferlog", "another `path`");
    check(|path| std::fs::create_dir(path).expect("a folder"), "Is a directory", "name a file, not a folder");
    check(
        |path| std::fs::remove_dir(path.parent().expect("a folder")).expect("gone"),
        "No such file",
        "create its folder",
    );
}

fn outcome(number: usize, prediction: &Id) -> (usize, String) {
    (number, format!(r#"{{"prediction_id":"{}","label":"x"}}"#, prediction.as_str()))
}

/// Documents of outcomes by the number of their id.
fn outcome_request(documents: &[(usize, String)]) -> Request {
    let mut batch = Batch::of(Stream::Outcomes);
    for (number, document) in documents {
        batch.push(id(*number), 5, None, |body| body.extend_from_slice(document.as_bytes()));
    }
    Request { batch: Arc::new(batch), selection: None }
}

#[test]
fn an_outcome_of_an_erased_record_does_not_come_back() {
    let place = Place::new();
    let mut writer = place.writer(Retention::default());
    outcomes(writer.deliver_one(&outcome_request(&[outcome(10, &id(1))]), 0));
    let erase = "DELETE FROM outcomes; INSERT INTO tombstones VALUES (?1, 'd', 'o', 'r', 'b', 0, NULL, NULL, NULL)";
    let (delete, tombstone) = erase.split_once(';').expect("two");
    writer.connection().execute(delete, []).expect("deleted");
    writer.connection().execute(tombstone, [id(1).as_str()]).expect("a tombstone");
    let answer = outcomes(writer.deliver_one(&outcome_request(&[outcome(10, &id(1)), outcome(11, &id(2))]), 0));
    assert_eq!(answer, [Outcome::Erased, Outcome::Indexed]);
    let kept = place.reader().outcomes(0, 10).expect("outcomes");
    assert_eq!(kept, [outcome(11, &id(2)).1]);
}

#[test]
fn a_store_of_layout_3_is_given_a_table_of_outcomes() {
    let place = Place::new();
    outcomes(place.writer(Retention::default()).deliver_one(&hourly(0..3, 10), 0));
    let older = "DROP TABLE outcomes; PRAGMA user_version = 3";
    Connection::open(place.path()).expect("a database").execute_batch(older).expect("it is older");
    let kept = outcome(10, &id(1));
    let answer =
        outcomes(place.writer(Retention::default()).deliver_one(&outcome_request(std::slice::from_ref(&kept)), 0));
    assert_eq!(answer, [Outcome::Indexed]);
    let reader = place.reader();
    assert_eq!((reader.outcomes(0, 10).expect("outcomes"), reader.count().expect("a count")), (vec![kept.1], 3));
    let layout = reader.connection().query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    assert_eq!(layout.expect("a layout"), schema::LAYOUT);
}

#[test]
fn waits_while_the_disk_is_full_or_the_store_is_locked_and_goes_on() {
    fn check(hinder: impl Fn(&Writer, &Connection), expected: &str, expected_hint: &str) {
        let place = Place::new();
        let mut writer = place.writer(Retention::default());
        outcomes(writer.deliver_one(&hourly(0..10, 1000), 0));
        let other = Connection::open(place.path()).expect("a database");
        hinder(&writer, &other);
        let (problem, hint) = trouble(writer.deliver_one(&hourly(5..900, 1000), 0));
        assert!(problem.contains(expected), "{problem}");
        assert!(hint.contains(expected_hint), "{hint}");
        drop(other);
        assert_eq!(place.reader().count().expect("a count"), 10);
        let answer = outcomes(writer.deliver_one(&hourly(5..900, 1000), 0));
        assert_eq!(answer.iter().filter(|outcome| **outcome == Outcome::Indexed).count(), 890);
        assert_eq!(place.reader().count().expect("a count"), 900);
    }
    let full = |writer: &Writer, _: &Connection| {
        writer.connection().query_row("PRAGMA max_page_count = 40", [], |_| Ok(())).expect("a limit");
    };
    check(full, "full", "free some space");
    let locked = |writer: &Writer, other: &Connection| {
        writer.connection().busy_timeout(Duration::ZERO).expect("no patience");
        other.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    };
    check(locked, "locked", "another program is writing");
    let read_only = |writer: &Writer, _: &Connection| {
        writer.connection().execute_batch("PRAGMA query_only = ON").expect("a setting");
    };
    check(read_only, "readonly", "volume is not read-only");
}

#[test]
fn a_store_that_was_moved_away_is_whole_and_begun_anew() {
    let place = Place::new();
    let mut writer = place.writer(Retention::default());
    outcomes(writer.deliver_one(&hourly(0..3, 10), 0));
    let aside = place.folder.path().join("aside");
    std::fs::rename(place.path(), &aside).expect("moved");
    outcomes(writer.deliver_one(&hourly(3..4, 10), 0));
    assert_eq!(place.reader().count().expect("a count"), 1);
    assert_eq!(Store::open_read_only(&aside).expect("a store").count().expect("a count"), 3);
}

#[tokio::test]
async fn delivers_as_a_sink_readable_meanwhile_by_its_user_alone() {
    let place = Place::new();
    let store = Store::open(StoreOptions { path: place.path(), retention: Retention::default() }).expect("a store");
    assert_eq!(store.probe().await, Ok(()));
    let (first, second) = (hourly(0..500, 100), hourly(250..750, 100));
    let answers = tokio::join!(store.deliver(&first), store.deliver(&second));
    assert_eq!(outcomes(answers.0), vec![Outcome::Indexed; 500]);
    let expected = [vec![Outcome::Duplicate; 250], vec![Outcome::Indexed; 250]].concat();
    assert_eq!(outcomes(answers.1), expected);
    assert_eq!(place.reader().count().expect("a count"), 750);
    for name in ["store.sqlite", "store.sqlite-wal", "store.sqlite-shm"] {
        let mode = std::fs::metadata(place.folder.path().join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(store);
    assert!(!place.folder.path().join("store.sqlite-wal").exists(), "the log is folded in at the end");
    assert_eq!(place.reader().count().expect("a count"), 750);
}

#[test]
fn requests_of_one_transaction_have_an_answer_each() {
    let place = Place::new();
    let asked = [hourly(0..3, 10), hourly(2..4, 10), hourly(4..4, 10)];
    let answers: Vec<Vec<Outcome>> =
        place.writer(Retention::default()).deliver(&asked, 0).into_iter().map(outcomes).collect();
    assert_eq!(answers, [vec![Outcome::Indexed; 3], vec![Outcome::Duplicate, Outcome::Indexed], Vec::new()]);
    assert_eq!(place.reader().count().expect("a count"), 4);
}

#[test]
fn requests_for_which_there_is_no_room_together_are_tried_one_by_one() {
    let place = Place::new();
    let retention = Retention { at_least: Some(HOUR), bytes_max: Some(BYTES_MAX_MIN), ..Retention::default() };
    // Younger than `at_least`: none of them may be deleted to make room.
    let answers = place.writer(retention).deliver(&[hourly(0..500, 1000), hourly(500..1_000, 1000)], 0);
    let [Answer::Items(first), Answer::Wait(second)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!(first, &vec![Outcome::Indexed; 500]);
    assert!(second.problem.contains("bytes_max"), "{second:?}");
    assert_eq!(place.reader().count().expect("a count"), 500);
}

#[test]
fn what_waits_goes_into_one_transaction_up_to_its_size_and_no_further_than_another_job() {
    let ask = |request: Request| Job::Deliver(request, oneshot::channel().0);
    let (jobs, asked) = channel();
    let probe = || Job::Probe(oneshot::channel().0);
    for job in [ask(hourly(1..2, 10)), ask(hourly(2..3, 10)), probe(), ask(hourly(3..4, 3 << 20))] {
        jobs.send(job).expect("it listens");
    }
    let gathered = |first: Request| {
        let (requests, replies, next) = gather(first, oneshot::channel().0, &asked);
        assert_eq!(requests.len(), replies.len());
        (requests.len(), next.is_some_and(|job| matches!(job, Job::Probe(_))))
    };
    assert_eq!(gathered(hourly(0..1, 10)), (3, true));
    for _ in 0..2 {
        jobs.send(ask(hourly(4..5, 10))).expect("it listens");
    }
    assert_eq!(gathered(hourly(5..6, 1 << 20)), (2, false), "4 MiB are enough");
    assert_eq!(gathered(hourly(6..7, 10)), (3, false));
}

/// What the columns of the index can tell of dirty values, and what they cannot: the answer is the evaluator's.
#[test]
fn a_search_selects_what_the_evaluator_selects() {
    let place = Place::new();
    let documents: Vec<String> = [
        "0.5",
        "0.6",
        "1",
        "0",
        "true",
        "false",
        "\"0.5\"",
        "\"x\"",
        "[0.1,0.9]",
        "[]",
        "{\"a\":1}",
        "null",
        "1e400",
        "\"[\"",
        "12345678901234567890",
        "12345678901234567891",
        "\"\\u0061\"",
        "\"\\u0061bc\"",
        "\"abc\"",
        "\"a\"",
        "-0.0",
        "0.60000000000000000001",
    ]
    .iter()
    .flat_map(|value| ["confidence", "status"].map(|name| format!("{{\"{name}\":{value}}}")))
    .collect();
    let rows = documents.iter().enumerate().map(|(n, text)| (n, n as i64 * HOUR_US + 1_500, text.as_bytes()));
    outcomes(place.writer(Retention::default()).deliver_one(&request(rows), 0));
    let reader = place.reader();
    let values = [
        "0.5",
        "0.6",
        "1",
        "0",
        "true",
        "false",
        "x",
        "a",
        "\"[\"",
        "\"[]\"",
        "abc",
        "12345678901234567890",
        "0.1",
        "1e400",
    ];
    let mut texts =
        vec!["confidence : *".to_owned(), "status : *".to_owned(), "*".to_owned(), "status : 0*".to_owned()];
    for (field, value) in ["confidence", "status"].iter().flat_map(|field| values.map(|value| (field, value))) {
        texts.push(format!("{field} : {value}"));
        texts.extend(["<", "<=", ">", ">="].map(|sign| format!("{field} {sign} {value}")));
    }
    let (mut asked, mut selected) = (0, 0);
    for text in
        texts.iter().flat_map(|text| [text.clone(), format!("not {text}"), format!("({text} or status : a) and *")])
    {
        let condition = crate::kql::Expression::parse(&text).expect("KQL");
        let meets = |document: &&String| {
            let mut space = crate::record::Space::default();
            crate::record::Record::parse(document, &mut space).is_ok_and(|record| condition.matches(&record))
        };
        let expected: Vec<&String> = documents.iter().rev().filter(meets).collect();
        let order = crate::flow::question::Order::NEWEST_FIRST;
        let question = crate::flow::question::Question {
            stream: crate::flow::batch::Stream::Records,
            condition: condition.clone(),
            from_ms: None,
            until_ms: None,
            order,
        };
        let mut found = Vec::new();
        let search = reader.search(&question, &mut |row| {
            assert_eq!(row.key.map(|key| key % 3_600_000.0), Some(1.0), "whole milliseconds");
            found.push(row.document.to_owned());
            std::ops::ControlFlow::Continue(())
        });
        search.expect("rows");
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{text}");
        assert_eq!(reader.count_of(&question).expect("a count"), expected.len() as u64, "{text}");
        (asked, selected) = (asked + 1, selected + expected.len());
    }
    assert!(asked > 350 && selected > 2_000, "{asked} {selected}");
}

#[test]
fn a_list_of_a_thousand_values_is_not_too_deep() {
    let place = Place::new();
    outcomes(place.writer(Retention::default()).deliver_one(&request([(1, 0, &b"{\"status\":\"s999\"}"[..])]), 0));
    let text = format!("status : ({})", (0..1_000).map(|n| format!("s{n}")).collect::<Vec<_>>().join(" or "));
    let condition = crate::kql::Expression::parse(&text).expect("KQL");
    let order = crate::flow::question::Order::NEWEST_FIRST;
    let question = crate::flow::question::Question {
        stream: crate::flow::batch::Stream::Records,
        condition,
        from_ms: Some(0),
        until_ms: Some(1),
        order,
    };
    assert_eq!(place.reader().count_of(&question).expect("a count"), 1);
}

#[tokio::test]
async fn a_panic_of_its_thread_is_told_and_the_store_goes_on() {
    let place = Place::new();
    let store = Store::open(StoreOptions { path: place.path(), retention: Retention::default() }).unwrap();
    let whole = hourly(0..3, 10);
    // An item that the batch does not have: nobody asks for one, and it panics.
    let impossible = Request { selection: Some(vec![0, 7]), ..whole.clone() };
    let answer = store.deliver(&impossible).await;
    assert!(matches!(&answer, Answer::Wait(trouble) if trouble.problem.starts_with("BUG:")), "{answer:?}");
    assert_eq!(store.deliver(&whole).await, Answer::Items(vec![Outcome::Indexed; 3]), "nothing of it was kept");
}
