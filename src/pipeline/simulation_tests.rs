//! Thousands of random histories through the whole pipeline: from files that are written, rotated, truncated, copied and
//! compressed, to a sink that fails in every way, with crashes and restarts between any two steps.
//!
//! Everything is real but three things: the pipeline's thread and its deliveries are driven step by step, the sink is
//! scripted and holds documents by their ids as Elasticsearch does, and time passes when the history says so. A crash is
//! the end of everything at once: only what is in files is left. So a history depends on its seed alone, but for the
//! inodes that the file system gives and the waits of deliveries.
//!
//! Every other history has several workers: what they do depends on nothing but what they are given, and their products are
//! taken in its order.
//!
//! The oracle: of the records that had to be delivered, each is in exactly one place, indexed or dead-lettered or dropped
//! by the rule; no record is anywhere twice, or altered; and where nothing was destroyed, that is every record written,
//! observers have counted each exactly once, and the accounts add up to it. `HISTORIES=n` runs more, `HISTORIES_SEED=n` replays one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::build::{Assembly, build};
use super::{Limits, Pipeline, Stop, Turn};
use crate::config::{self, model};
use crate::dead_letter::Entries;
use crate::flow::answer::{Answer, Outcome, Reason, Trouble};
use crate::flow::batch::{Id, Stream};
use crate::flow::tally::{IdSum, Tally};
use crate::proof::accounts::{self, Account};
use crate::sink::policy::Policy;
use crate::sink::{Request, Sink, SinkFuture};
use crate::state::checkpoint::{self, FileEntry, Loaded};
use crate::telemetry::Telemetry;

const STEPS: usize = 30;
/// Those that end in `.old` come about by renaming, and are not watched.
const NAMES: [&str; 5] = ["a.log", "b.log", "a.log.1", "a.old", "b.old"];
const PIPELINE: &str = "source: { files: { paths: [\"logs/*.{log,log.1,gz}\"], poll_interval: 1h }, id: simulation }\n\
    decode: json\nenrich: [{ drop: { name: noise, when: \"event : noise\" } }]\nobserve: [model_metrics]\n\
    batch: { items_max: 3, linger: 0s }\nsink: stdout\n";
/// One history after the other.
const WORKERS: [u32; 4] = [1, 2, 1, 3];
const POLICY: Policy =
    Policy { in_flight_max: 3, retry_initial: Duration::ZERO, retry_max: Duration::ZERO, item_attempts_max: 1_000_000 };
const LIMITS: Limits = Limits {
    once: false,
    once_timeout: Duration::from_secs(60),
    shutdown_timeout: Duration::from_secs(60),
    unacknowledged_bytes_max: u64::MAX,
};

/// What must become of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Indexed,
    /// The line is no record.
    Undecodable,
    /// The pipeline has a rule against it.
    Dropped,
    /// The sink refuses it for good.
    Refused,
}

fn fate(number: u64) -> Fate {
    match number % 10 {
        3 => Fate::Undecodable,
        5 => Fate::Dropped,
        8 => Fate::Refused,
        _ => Fate::Indexed,
    }
}

/// The line of a record, with its end. Its length depends on its number, so that files differ in theirs.
fn line(number: u64) -> String {
    let padding = "x".repeat(number as usize * 37 % 90);
    let event = if fate(number) == Fate::Dropped { "noise" } else { "inference" };
    let start = if fate(number) == Fate::Undecodable { "no record " } else { "" };
    format!("{start}{{\"n\":{number},\"event\":\"{event}\",\"status\":\"ok\",\"padding\":\"{padding}\"}}\n")
}

/// The number of the record that a text is the line of, or begins with it but for its last character.
fn number_of(text: &str) -> u64 {
    let digits = text.split("\"n\":").nth(1).unwrap_or_else(|| panic!("no number in {text}"));
    let number = digits.split(',').next().unwrap().parse().unwrap();
    assert!(text.starts_with(line(number).trim_end_matches("}\n")), "altered: {text}");
    number
}

/// What the sink holds, over all runs, and how it behaves.
struct Holdings {
    random: fastrand::Rng,
    documents: HashMap<String, u64>,
    /// The pipeline's own accounts, by their ids.
    accounts: HashMap<String, Value>,
    /// How often something goes wrong, in percent.
    faults: u32,
    /// The same with accounts; beyond 100 it is the whole of what the sink makes of them.
    account_faults: u32,
    requests: u64,
}

impl Holdings {
    /// Takes an account, or turns it away in one of many ways; or takes it, and nobody hears of it.
    fn create_account(&mut self, request: &Request) -> Answer {
        let reason = || Reason { kind: "bad".to_owned(), detail: String::new() };
        let trouble = || Trouble { problem: "down".to_owned(), hint: None };
        let answer = match self.random.u32(..100) {
            at if at >= self.account_faults => None,
            at => Some(match at % 5 {
                0 => Answer::Wait(trouble()),
                1 => Answer::Halve(reason()),
                2 => Answer::Items(vec![Outcome::Rejected(reason())]),
                3 => Answer::Items(vec![Outcome::TargetUnready(reason())]),
                _ => Answer::Items(vec![Outcome::Retry(reason())]),
            }),
        };
        let is_done = answer.is_none() || self.random.u32(..10) == 0;
        let item = request.items().next().unwrap();
        assert_eq!(request.len(), 1, "one a request");
        if !is_done {
            return answer.unwrap();
        }
        let account: Value = serde_json::from_slice(request.batch.document(item)).unwrap();
        let known = self.accounts.insert(item.id.as_str().to_owned(), account.clone());
        assert!(known.as_ref().is_none_or(|known| *known == account), "one id for two accounts");
        let outcome = if known.is_some() { Outcome::Duplicate } else { Outcome::Indexed };
        answer.unwrap_or_else(|| Answer::Items(vec![outcome]))
    }
}

/// A sink with Elasticsearch's `create`.
#[derive(Clone)]
struct Scripted(Arc<Mutex<Holdings>>);

impl Scripted {
    fn create(&self, request: &Request) -> Answer {
        let mut held = self.0.lock().unwrap();
        held.requests += 1;
        let faults = held.faults;
        let goes_wrong = |held: &mut Holdings| held.random.u32(..100) < faults;
        if request.batch.stream() == Stream::Accounts {
            return held.create_account(request);
        }
        let trouble = || Trouble { problem: "down".to_owned(), hint: None };
        let reason = |kind: &str| Reason { kind: kind.to_owned(), detail: String::new() };
        if goes_wrong(&mut held) {
            // A record that is alone is not refused for the request's sake.
            let is_halved = held.random.bool() && request.len() > 1;
            return if is_halved { Answer::Halve(reason("too_large")) } else { Answer::Wait(trouble()) };
        }
        let mut outcomes = Vec::new();
        for item in request.items() {
            let number = number_of(&String::from_utf8_lossy(request.batch.document(item)));
            outcomes.push(match () {
                () if goes_wrong(&mut held) => Outcome::Retry(reason("busy")),
                () if goes_wrong(&mut held) => Outcome::Failing(reason("boom")),
                () if fate(number) == Fate::Refused => Outcome::Rejected(reason("bad")),
                () => match held.documents.insert(item.id.as_str().to_owned(), number) {
                    None => Outcome::Indexed,
                    Some(known) => {
                        assert_eq!(known, number, "one id for two records");
                        Outcome::Duplicate
                    }
                },
            });
        }
        // It is done, and nobody hears of it.
        if goes_wrong(&mut held) { Answer::Wait(trouble()) } else { Answer::Items(outcomes) }
    }
}

impl Sink for Scripted {
    fn deliver<'a>(&'a self, request: &'a Request) -> SinkFuture<'a, Answer> {
        Box::pin(async move {
            let (before, after) = {
                let random = &mut self.0.lock().unwrap().random;
                (random.u8(..3), random.u8(..3))
            };
            // A crash may come before it is done, or before the answer is heard.
            for _ in 0..before {
                tokio::task::yield_now().await;
            }
            let answer = self.create(request);
            for _ in 0..after {
                tokio::task::yield_now().await;
            }
            answer
        })
    }

    fn probe(&self) -> SinkFuture<'_, Result<(), Trouble>> {
        Box::pin(async { Ok(()) })
    }
}

/// A pipeline that is up, and the runtime of its deliveries.
struct Up {
    pipeline: Pipeline,
    stop: Stop,
    runtime: tokio::runtime::Runtime,
    _lock: std::fs::File,
}

impl Up {
    fn start(pipeline: &model::Pipeline, data_dir: &Path, sink: &Scripted) -> Up {
        let counters = Telemetry::default().pipeline("p");
        let Assembly { pipeline, deliveries, stop, lock, .. } =
            build(pipeline, data_dir, LIMITS, counters, None).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        for delivery in deliveries {
            runtime.spawn(delivery.with_sink(Arc::new(sink.clone())).with_policy(POLICY).run());
        }
        let mut up = Up { pipeline, stop, runtime, _lock: lock };
        up.look(false);
        up
    }

    fn look(&mut self, time_has_passed: bool) {
        self.pipeline.source.look_next(time_has_passed);
    }

    /// One step of the pipeline's thread. Whether the checkpoint is due is up to the history.
    fn turn(&mut self, checkpoint_is_due: bool) -> Turn {
        let now = std::time::Instant::now();
        let an_hour = Duration::from_secs(3_600);
        self.pipeline.books.next_save = if checkpoint_is_due { now } else { now + an_hour };
        self.pipeline.turn()
    }

    /// Lets the deliveries get on a little.
    fn deliver(&self, steps: u8) {
        self.runtime.block_on(async {
            for _ in 0..steps {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Reads to the end of everything and delivers it.
    fn drain(&mut self) {
        self.look(false);
        for _ in 0..10_000 {
            let turn = self.turn(false);
            self.pipeline.stages.seal();
            self.pipeline.send();
            if turn == Turn::Idle && self.pipeline.stages.sealed.is_empty() && self.pipeline.outlet.is_empty() {
                return;
            }
            self.deliver(10);
            if turn != Turn::Busy {
                // Deliveries that wait do it in milliseconds.
                self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
            }
        }
        panic!("it does not come to an end");
    }

    /// Ends in good order.
    fn stop(mut self) {
        self.drain();
        // Nobody drives the deliveries from here on: the last account stays in the checkpoint.
        self.stop.give_up();
        let ended = self.pipeline.run();
        assert!(ended.drained, "{ended:?}");
    }
}

/// A file.
#[derive(Clone, Debug, Default)]
struct Written {
    content: String,
    /// What its last line lacks.
    missing: String,
}

struct History {
    folder: tempfile::TempDir,
    pipeline: model::Pipeline,
    sink: Scripted,
    up: Option<Up>,
    random: fastrand::Rng,
    /// Whether files are cut, removed or overwritten in it.
    destroys: bool,
    /// How much the outbox holds: one account, a few, or all.
    outbox_bytes_max: usize,
    written: u64,
    /// What is on disk under each name.
    disk: BTreeMap<String, Written>,
    /// What must have been delivered.
    due: BTreeSet<u64>,
    compressed: u32,
    crashes: u64,
    log: Vec<String>,
}

impl History {
    fn new(seed: u64) -> History {
        let mut random = fastrand::Rng::with_seed(seed);
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        fs_err::create_dir(folder.path().join("logs")).unwrap();
        fs_err::write(folder.path().join("p.yaml"), PIPELINE).unwrap();
        let mut pipelines = config::load(&[folder.path().join("p.yaml")]).unwrap_or_else(|report| panic!("{report}"));
        pipelines[0].workers = WORKERS[seed as usize % WORKERS.len()];
        let faults = [0, 10, 30][random.usize(..3)];
        let account_faults = [0, 30, 100][random.usize(..3)];
        let (documents, accounts) = (HashMap::new(), HashMap::new());
        let held = Holdings { random: random.fork(), documents, accounts, faults, account_faults, requests: 0 };
        History {
            folder,
            pipeline: pipelines.remove(0),
            sink: Scripted(Arc::new(Mutex::new(held))),
            up: None,
            destroys: random.bool(),
            outbox_bytes_max: [1, 3_000, usize::MAX][random.usize(..3)],
            random,
            written: 0,
            disk: BTreeMap::new(),
            due: BTreeSet::new(),
            compressed: 0,
            crashes: 0,
            log: Vec::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    fn step(&mut self) {
        let name = NAMES[self.random.usize(..NAMES.len())];
        let what = match self.random.u32(..100) {
            0..30 if !name.ends_with(".old") => self.append(name),
            30..38 => self.rename(name),
            38..41 if self.destroys => self.truncate(name),
            41..44 if self.destroys => self.copy_and_truncate(name),
            44..47 if self.destroys => self.remove(name),
            47..50 => self.compress(),
            50..55 => self.stop(),
            55..65 => self.crash(),
            65..73 => self.drain(),
            _ => self.get_on(),
        };
        self.log.push(format!("{name}: {what}"));
    }

    /// Writes some records. Sometimes the last one is written in pieces.
    fn append(&mut self, name: &str) -> String {
        let file = self.disk.entry(name.to_owned()).or_default();
        let mut text = std::mem::take(&mut file.missing);
        for _ in 0..self.random.u32(1..5) {
            text.push_str(&line(self.written));
            self.written += 1;
        }
        if self.random.u32(..3) == 0 {
            let last = line(self.written - 1).len();
            file.missing = text.split_off(text.len() - self.random.usize(1..last));
        }
        file.content.push_str(&text);
        let path = self.path(name);
        let mut file = fs_err::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        format!("append {text:?}")
    }

    fn rename(&mut self, name: &str) -> String {
        let to = NAMES[self.random.usize(..NAMES.len())];
        let would_destroy = self.disk.contains_key(to);
        if to == name || !self.disk.contains_key(name) || (would_destroy && !self.destroys) {
            return "nothing".to_owned();
        }
        fs_err::rename(self.path(name), self.path(to)).unwrap();
        let moved = self.disk.remove(name).unwrap_or_default();
        self.disk.insert(to.to_owned(), moved);
        format!("rename to {to}")
    }

    fn truncate(&mut self, name: &str) -> String {
        let Some(file) = self.disk.get_mut(name) else { return "nothing".to_owned() };
        *file = Written::default();
        fs_err::OpenOptions::new().write(true).truncate(true).open(self.path(name)).unwrap();
        "truncate".to_owned()
    }

    /// The copy is in another folder: watched, it would be delivered as another file where nothing tells that it is not.
    fn copy_and_truncate(&mut self, name: &str) -> String {
        let Some(file) = self.disk.get(name) else { return "nothing".to_owned() };
        fs_err::write(self.folder.path().join("copy"), &file.content).unwrap();
        self.truncate(name);
        "copy and truncate".to_owned()
    }

    fn remove(&mut self, name: &str) -> String {
        if self.disk.remove(name).is_none() {
            return "nothing".to_owned();
        }
        fs_err::remove_file(self.path(name)).unwrap();
        "remove".to_owned()
    }

    /// `gzip a.log.1`, as logrotate does it with what nobody writes to any more.
    fn compress(&mut self) -> String {
        let is_whole = |file: &Written| file.missing.is_empty() && !file.content.is_empty();
        if !self.disk.get("a.log.1").is_some_and(is_whole) || !self.is_known_by_content("a.log.1") {
            return "nothing".to_owned();
        }
        let Some(file) = self.disk.remove("a.log.1") else { return "nothing".to_owned() };
        let name = format!("a.log.{}.gz", self.compressed);
        self.compressed += 1;
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(file.content.as_bytes()).unwrap();
        fs_err::write(self.path(&name), encoder.finish().unwrap()).unwrap();
        fs_err::remove_file(self.path("a.log.1")).unwrap();
        self.disk.insert(name.clone(), file);
        format!("compress to {name}")
    }

    /// Whether the checkpoint on disk knows the content of a file, or nothing of the file at all. One that was met and of
    /// which nothing was committed, also because it was truncated and begun anew, which lasts for the half of a second
    /// between two checkpoints, is known by its inode alone: a crash just then, and its copy is another file.
    fn is_known_by_content(&self, name: &str) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let inode = fs_err::metadata(self.path(name)).unwrap().ino();
        let content = self.disk[name].content.as_bytes();
        let Some(checkpoint) = checkpoint::read(&self.folder.path().join("state/p/checkpoint.json")).unwrap() else {
            return self.up.is_none();
        };
        let is_of_content = |entry: &FileEntry| {
            let start = entry.head_offset_bytes as usize;
            let head = content.get(start..start + entry.head.length_bytes as usize);
            entry.committed.offset_bytes != 0 && head.is_some_and(|head| entry.head.matches(head))
        };
        let mut entries = checkpoint.files.iter().filter(|entry| entry.inode == inode).peekable();
        if entries.peek().is_none() { self.up.is_none() } else { entries.any(is_of_content) }
    }

    fn up(&mut self) -> &mut Up {
        let (pipeline, folder, sink) = (&self.pipeline, self.folder.path().join("state"), &self.sink);
        let outbox_bytes_max = self.outbox_bytes_max;
        self.up.get_or_insert_with(|| {
            let mut up = Up::start(pipeline, &folder, sink);
            up.pipeline.books.outbox.set_bytes_max(outbox_bytes_max);
            up
        })
    }

    /// A few steps of the pipeline and of its deliveries.
    fn get_on(&mut self) -> String {
        let steps = self.random.u8(1..6);
        for _ in 0..steps {
            let (looks, saves, delivers) = (self.random.u8(..3) == 0, self.random.u8(..3) == 0, self.random.u8(..12));
            let a_minute_passes = self.random.u8(..4) == 0;
            let up = self.up();
            if a_minute_passes {
                up.pipeline.books.accounts.make_due();
            }
            if looks {
                up.look(false);
            }
            up.turn(saves);
            up.deliver(delivers);
        }
        format!("get on by {steps} steps")
    }

    fn drain(&mut self) -> String {
        self.note_due();
        self.up().drain();
        "drain".to_owned()
    }

    fn stop(&mut self) -> String {
        self.note_due();
        self.up();
        if let Some(up) = self.up.take() {
            up.stop();
        }
        "stop".to_owned()
    }

    /// Everything in memory is gone, at whatever point it is.
    fn crash(&mut self) -> String {
        let Some(up) = self.up.take() else { return "nothing".to_owned() };
        self.crashes += 1;
        drop(up);
        "crash".to_owned()
    }

    /// What is whole in a watched file will be delivered by what comes next, and not be taken back by any crash.
    fn note_due(&mut self) {
        let watched = self.disk.iter().filter(|(name, _)| !name.ends_with(".old"));
        let lines = watched.flat_map(|(_, file)| file.content.split_inclusive('\n'));
        self.due.extend(lines.filter(|line| line.ends_with('\n')).map(number_of_line));
    }

    /// The numbers of the entries of the dead letter.
    fn dead(&self) -> Vec<u64> {
        let files = fs_err::read_dir(self.folder.path().join("state/p/dead_letter")).into_iter().flatten();
        let texts = files.map(|file| fs_err::read_to_string(file.unwrap().path()).unwrap());
        let number = |entry: &str| {
            let entry: Value = serde_json::from_str(entry).unwrap();
            let raw = entry["raw"].as_str().map(number_of_line);
            raw.unwrap_or_else(|| entry["document"]["n"].as_u64().unwrap())
        };
        texts.flat_map(|text| text.lines().map(number).collect::<Vec<_>>()).collect()
    }

    /// How many inferences were counted, as the checkpoint says.
    fn counted(&self) -> u64 {
        let text = fs_err::read(self.folder.path().join("state/p/checkpoint.json")).unwrap();
        let checkpoint: Value = serde_json::from_slice(&text).unwrap();
        let versions = &checkpoint["observers"]["model_metrics"]["models"][""]["versions"];
        versions[""]["requests"]["ok"].as_u64().unwrap_or(0)
    }

    /// Delivers what is left, and judges.
    fn end(&mut self) {
        {
            let mut held = self.sink.0.lock().unwrap();
            (held.faults, held.account_faults) = (0, 0);
        }
        if !self.destroys {
            // What was renamed out of the globs before anybody saw it is nobody's.
            let unwatched: Vec<String> = self.disk.keys().filter(|name| name.ends_with(".old")).cloned().collect();
            for (n, name) in unwatched.into_iter().enumerate() {
                let to = format!("back{n}.log");
                fs_err::rename(self.path(&name), self.path(&to)).unwrap();
                let moved = self.disk.remove(&name).unwrap_or_default();
                self.disk.insert(to, moved);
            }
        }
        self.note_due();
        self.up().look(true);
        self.drain();
        self.up().look(true);
        self.stop();
        self.judge();
    }

    fn judge(&self) {
        let indexed: Vec<u64> = self.sink.0.lock().unwrap().documents.values().copied().collect();
        let dead = self.dead();
        let mut places: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        indexed.iter().for_each(|number| places.entry(*number).or_default().0 += 1);
        dead.iter().for_each(|number| places.entry(*number).or_default().1 += 1);
        let all = 0..self.written;
        for (number, found) in &places {
            let allowed = expected(*number);
            assert!(all.contains(number) && *found == allowed, "record {number} is {found:?} times indexed and dead");
        }
        let is_missing = |number: &&u64| expected(**number) != (0, 0) && !places.contains_key(number);
        let missing: Vec<&u64> = self.due.iter().filter(is_missing).collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
        if !self.destroys {
            let unfinished: usize = self.disk.values().filter(|file| !file.missing.is_empty()).count();
            assert_eq!(self.due.len() + unfinished, self.written as usize, "all that was written is due");
            let inferences = |number: &&u64| matches!(fate(**number), Fate::Indexed | Fate::Refused);
            assert_eq!(self.counted(), self.due.iter().filter(inferences).count() as u64, "counted by observers");
            self.judge_accounts();
        }
    }

    /// The accounts, in the sink, in the outbox and the open one, tell of every line once, and of the ids that are held. Each
    /// number is there once, and none is left out.
    fn judge_accounts(&self) {
        let held = self.sink.0.lock().unwrap();
        let Loaded::Found(checkpoint) = checkpoint::load(&self.folder.path().join("state/p/checkpoint.json")).unwrap()
        else {
            panic!("no checkpoint");
        };
        let is_account = |account: &&Value| account["account.kind"].as_str().is_some_and(accounts::is_account);
        let mut in_sink = BTreeMap::new();
        for account in held.accounts.values().filter(is_account) {
            let account = serde_json::from_value::<Account>(account.clone()).unwrap();
            let known = in_sink.insert(account.sequence, account);
            assert!(known.is_none(), "an account is twice in the sink: {known:?}");
        }
        let mut accounts = in_sink.clone();
        for account in accounts::of_checkpoint(&checkpoint) {
            let known = accounts.insert(account.sequence, account.clone());
            assert!(known.is_none_or(|known| known.files == account.files), "account {} is two", account.sequence);
        }
        assert!(accounts.keys().copied().eq(0..accounts.len() as u64), "left out: {:?}", accounts.keys());
        let mut told = Tally::default();
        accounts.values().flat_map(|account| &account.files).for_each(|range| told.join(&range.tally));
        let of_fate = |wanted: Fate| self.due.iter().filter(|number| fate(**number) == wanted).count() as u64;
        let kept = of_fate(Fate::Indexed) + of_fate(Fate::Undecodable) + of_fate(Fate::Refused);
        let mut ids = IdSum::default();
        held.documents.keys().chain(&self.dead_ids()).for_each(|id| ids.add(&Id::read(id).unwrap()));
        let expected = (self.due.len() as u64, of_fate(Fate::Dropped), kept, ids);
        assert_eq!((told.lines, told.dropped.total(), told.kept, told.ids), expected, "accounts");
        let waiting: Vec<Value> = checkpoint.outbox.read().unwrap();
        let id = |waiter: &Value| waiter["id"].as_str().unwrap().to_owned();
        let mut written: BTreeMap<String, Value> =
            waiting.into_iter().map(|waiter| (id(&waiter), waiter["document"].clone())).collect();
        written.extend(held.accounts.iter().map(|(id, account)| (id.clone(), account.clone())));
        let sum = |name: &str| written.values().filter_map(|document| document[name].as_u64()).sum::<u64>();
        assert_eq!(sum("account.reason_count"), sum("account.dead_lettered"), "dead letters by reason");
    }

    fn dead_ids(&self) -> Vec<String> {
        let entries = Entries::open(&self.folder.path().join("state/p/dead_letter")).unwrap();
        entries.map(|entry| entry.unwrap().id).collect()
    }
}

/// How often a record is indexed and dead-lettered.
fn expected(number: u64) -> (u32, u32) {
    match fate(number) {
        Fate::Indexed => (1, 0),
        Fate::Undecodable | Fate::Refused => (0, 1),
        Fate::Dropped => (0, 0),
    }
}

fn number_of_line(line: &str) -> u64 {
    number_of(line.trim_end_matches('\n'))
}

/// Prints what led to a failure.
struct Report<'h>(u64, &'h mut History);

impl Drop for Report<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.1.log.join("\n");
            let _ = writeln!(std::io::stderr(), "HISTORIES_SEED={} fails after:\n{log}", self.0);
        }
    }
}

#[test]
fn whole_pipelines_lose_and_double_nothing() {
    let number = |variable| std::env::var(variable).ok().map(|text| text.parse::<u64>().unwrap());
    let histories = number("HISTORIES").unwrap_or(400);
    let seeds = number("HISTORIES_SEED").map_or(0..histories, |seed| seed..seed + 1);
    let (mut records, mut due, mut crashes, mut requests) = (0, 0, 0, 0);
    for seed in seeds.clone() {
        let mut history = History::new(seed);
        let report = Report(seed, &mut history);
        for _ in 0..STEPS {
            report.1.step();
        }
        report.1.end();
        records += report.1.written;
        due += report.1.due.len();
        crashes += report.1.crashes;
        requests += report.1.sink.0.lock().unwrap().requests;
    }
    assert!(seeds.end - seeds.start == 1 || (due > 0 && crashes > 0));
    // Past the capture of test output.
    let _ = writeln!(
        std::io::stderr(),
        "simulation: histories {seeds:?}, {records} records written, {due} due, {crashes} crashes, {requests} requests"
    );
}
