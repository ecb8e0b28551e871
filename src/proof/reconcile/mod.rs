//! Reconcile: is everything that is there read, and everything that was read accounted for?
//!
//! Each line of each file that matches the paths, or that was read before, and each record of a line that gives several,
//! must be one of: a document in the sink, dropped by a rule, erased by order, or in the dead letter. There are two proofs, and each row of the report says which one it is:
//! - by lines: the file is still there. It is read again and judged by the pipeline file as it is now; every id is looked
//!   up in the sink.
//! - by accounts: the file is gone. The number and the sum of the ids that were kept, as the accounts tell them, must be
//!   those of what the sink, the dead letter and the tombstones hold of the file.
//!
//! A line that was decided on by another configuration than today's, and is not found, may have been dropped: for those
//! ranges the account is asked ([`file_account`]). Where number and sum of the ids that were kept then agree with what is there
//! and what is not, the loss is proven, whatever the file says today; where they do not, the lines are called
//! undecidable. A record without a time of its own has that of its reading, which nobody knows later: once retention has
//! deleted something, it is expired where an account says that it was read early enough, and else undecidable.
//!
//! What stands behind the committed offsets waits, and so does what was never met ([`Waiting`]): it is measured and not
//! judged. Only [`Scope::Committed`] lets that pass.
//!
//! Where conditions ask for `log.file.path`, the name of a file today says nothing of what was decided before it was
//! renamed: the accounts decide there, too. What they count in sum and not by file ([`UnlistedLines`]) is proven when number
//! and sum are those of the lines that are there and that no account tells of; else it is undecidable.
//!
//! It reads the state and the sink and changes neither; judging committed bytes alone, it runs beside a live process. The
//! dead letter is read before the sink, because a replay moves entries from the one to the other.

mod error;
mod file_account;
mod holdings;
mod lines;
mod report;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io::ErrorKind;
use std::path::Path;

use chrono::{DateTime, Utc};

use super::accounts::{self, UnlistedLines};
use crate::config::model::{self, SinkOptions};
use crate::dead_letter::{Entries, ReadError};
use crate::elastic::client::Client;
use crate::enrich::Action;
use crate::flow::answer::Trouble;
use crate::flow::batch::Id;
use crate::flow::tally::{IdSum, Tally};
use crate::judge::enrichment::host_name;
use crate::pipeline::build;
use crate::sink::store::{Reader, Store};
use crate::source::files;
use crate::source::files::file::TailedFile;
use crate::source::files::locate::locate;
use crate::source::files::waiting::Waiting;
use crate::state::checkpoint::{self, FileEntry};
use crate::state::folder::{checkpoint_file, dead_letter_folder, state_folder};
use crate::text::chain::chain;
use crate::text::units::counted;
pub use error::ReconcileError;
use file_account::{
    AccountRange, Decision, FileAccount, Loss, Nowhere, PathMatters, Sum, expected_of, has_gaps, ranges_by_file, span,
};
use holdings::{Bounds, ElasticHoldings, Holdings};
use lines::{FileJudge, LineFate, LineJudgement};
pub use report::{Finding, Frontier, Proof, Report, Row, Scope};
pub use verdict::{Judged, Verdict};

/// Ids that are looked up at a time.
const LOOKED_UP: usize = 5_000;

/// Compares what a pipeline has read with what each of its sinks holds, and says what waits to be read. `progress` is told
/// how many bytes of how many are judged.
///
/// # Errors
/// When state, files or sinks cannot be read.
pub async fn reconcile(
    pipeline: &model::Pipeline,
    data_dir: &Path,
    scope: Scope,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Report>, ReconcileError> {
    let folder = state_folder(data_dir, &pipeline.name);
    let path = checkpoint_file(&folder);
    let committed = std::fs::metadata(&path).and_then(|metadata| metadata.modified());
    let checkpoint = checkpoint::read(&path)?;
    let never_ran = || ReconcileError::NeverRan { pipeline: pipeline.name.clone(), folder: folder.clone() };
    let checkpoint = checkpoint.ok_or_else(never_ran)?;
    let committed = committed.map_or(DateTime::UNIX_EPOCH, DateTime::<Utc>::from);
    let frontier = Frontier { committed, looked: Utc::now(), ..Frontier::default() };
    let waiting = waiting(&pipeline.source.files, &checkpoint.files, scope)?;
    let dead = dead(&folder)?;
    let kept_accounts = accounts::of_checkpoint(&checkpoint);
    let mut reports = Vec::new();
    for sink in &pipeline.sinks {
        let Some(holdings) = open(sink, pipeline, data_dir)? else { continue };
        let told = |trouble| ReconcileError::Sink { sink: sink.name.clone(), trouble };
        holdings.refresh().await.map_err(told)?;
        let mut accounts = kept_accounts.clone();
        accounts.extend(holdings.accounts().await.map_err(told)?);
        let erased = erased(&holdings).await.map_err(told)?;
        let expired_until_us = holdings.expired_until_us().map_err(told)?;
        let (ranges_by_file, unlisted) = ranges_by_file(accounts);
        let (sink, dead, path_matters) = (sink.name.as_str(), &dead, path_matters(pipeline));
        let proof =
            Prover { pipeline, holdings, sink, dead, erased, expired_until_us, ranges_by_file, unlisted, path_matters };
        let mut report = proof.prove(&checkpoint.files, progress).await?;
        (report.scope, report.frontier) = (scope, frontier);
        report.note_waiting(&waiting, &checkpoint.files);
        if report.rows.is_empty() && waiting.matched_files == 0 {
            return Err(ReconcileError::NoFiles { pipeline: pipeline.name.clone() });
        }
        reports.push(report);
    }
    if reports.is_empty() { Err(ReconcileError::Nothing) } else { Ok(reports) }
}

/// What is not settled of the files that match now. What cannot be looked at may be any of it.
fn waiting(files: &files::Options, entries: &[FileEntry], scope: Scope) -> Result<Waiting, ReconcileError> {
    let waiting = Waiting::look(&files.paths, &files.exclude, entries)?;
    match waiting.unreadable.first() {
        Some(unreadable) if scope == Scope::Matching => Err(ReconcileError::Unreadable {
            path: unreadable.path.to_string_lossy().into_owned(),
            reason: unreadable.reason.clone(),
        }),
        _ => Ok(waiting),
    }
}

impl Report {
    /// Takes note of what waits, in the rows of its files.
    fn note_waiting(&mut self, waiting: &Waiting, entries: &[FileEntry]) {
        self.frontier.matched_files = waiting.matched_files;
        self.frontier.waiting_files = waiting.files.len();
        self.frontier.unmet_files = waiting.files.iter().filter(|file| file.entry.is_none()).count();
        self.frontier.waiting_bytes = waiting.bytes();
        for file in &waiting.files {
            let path = file.path.to_string_lossy().into_owned();
            let name = file.entry.map_or_else(String::new, |entry| key(&entries[entry]));
            let known = self.rows.iter().position(|row| !name.is_empty() && row.file == name);
            let place = known.unwrap_or_else(|| {
                let (from_bytes, to_bytes) = (file.from_bytes, file.from_bytes);
                self.rows.push(Row { path, file: name, from_bytes, to_bytes, ..Row::empty(Proof::Waiting) });
                self.rows.len() - 1
            });
            let row = &mut self.rows[place];
            row.waiting_bytes += file.bytes();
            if file.is_gone {
                let note = "what waits is gone with its file; the next start reports it as lost";
                row.note.get_or_insert_with(|| note.to_owned());
            }
        }
        self.rows.sort_by(|one, other| (&one.path, &one.file).cmp(&(&other.path, &other.file)));
    }
}

/// Opens a sink for reading; `None` for one that keeps nothing.
fn open(sink: &model::Sink, pipeline: &model::Pipeline, data_dir: &Path) -> Result<Option<Holdings>, ReconcileError> {
    let cannot = |trouble| ReconcileError::Sink { sink: sink.name.clone(), trouble };
    Ok(match &sink.options {
        SinkOptions::Stdout => None,
        SinkOptions::Store(options) => {
            let path = build::store_path(data_dir, &pipeline.name, options);
            let reader: Reader = Store::open_read_only(&path).map_err(|error| cannot(error.trouble()))?;
            Some(Holdings::Store(reader))
        }
        SinkOptions::Elasticsearch(options) => {
            let client =
                Client::new(&options.client).map_err(|error| cannot(Trouble { problem: chain(&error), hint: None }))?;
            let searched = ElasticHoldings::new(client, &options.target, &host_name(), &pipeline.name);
            Some(Holdings::Elasticsearch(Box::new(searched)))
        }
    })
}

/// What the dead letter has of each file: ids by the start of their lines, and which records of these they are.
type Dead = HashMap<String, BTreeMap<(u64, u32), Id>>;

fn dead(folder: &Path) -> Result<Dead, ReadError> {
    let mut dead = Dead::new();
    for entry in Entries::open(&dead_letter_folder(folder))? {
        let entry = entry?;
        let key = entry.origin.key().to_string();
        if let Some(id) = Id::read(&entry.id) {
            dead.entry(key).or_default().insert((entry.origin.offset_bytes, entry.origin.ordinal), id);
        }
    }
    Ok(dead)
}

/// What was erased of each file, and all of it.
struct Erasures {
    /// The starts of their lines, and their ids.
    by_file: HashMap<String, Vec<(u64, Id)>>,
    all: HashSet<Id>,
}

async fn erased(holdings: &Holdings) -> Result<Erasures, Trouble> {
    let mut erased = Erasures { by_file: HashMap::new(), all: HashSet::new() };
    for place in holdings.tombstones().await? {
        if let Some(id) = Id::read(&place.id) {
            erased.all.insert(id);
            erased.by_file.entry(place.file).or_default().push((place.offset_bytes, id));
        }
    }
    Ok(erased)
}

/// The field that changes when a file is renamed.
const FILE_PATH: &str = "log.file.path";

fn path_matters(pipeline: &model::Pipeline) -> PathMatters {
    let mut conditions = pipeline.enrich.iter().flat_map(model::Step::conditions);
    if conditions.any(|condition| condition.asks_for(FILE_PATH)) { PathMatters::Yes } else { PathMatters::No }
}

/// What the files that are there bring to light, beside their rows.
#[derive(Default)]
struct Evidence {
    findings: Vec<Finding>,
    /// Documents by file that were found by their places, under ids that today's file would not give them.
    by_place: HashMap<String, Vec<Id>>,
    /// What is held of lines that no account tells of.
    untold: Sum,
}

/// Whether retention may have deleted a document.
enum Age {
    /// It may: its time is early enough.
    Expired,
    /// That cannot be told.
    Unknown,
    /// It did not.
    Kept,
}

/// Why a file that is under an entry's path cannot be read, so that nobody knows whether it is gone.
fn unreadable(entry: &FileEntry) -> Option<std::io::Error> {
    let opened = std::fs::File::open(&entry.path);
    opened.err().filter(|error| !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory))
}

struct Prover<'p> {
    pipeline: &'p model::Pipeline,
    holdings: Holdings,
    sink: &'p str,
    dead: &'p Dead,
    erased: Erasures,
    expired_until_us: Option<i64>,
    ranges_by_file: BTreeMap<String, Vec<AccountRange>>,
    unlisted: UnlistedLines,
    path_matters: PathMatters,
}

impl Prover<'_> {
    async fn prove(self, files: &[FileEntry], progress: &mut dyn FnMut(u64, u64)) -> Result<Report, ReconcileError> {
        let mut report = Report { sink: self.sink.to_owned(), ..Report::default() };
        let mut known = BTreeSet::new();
        let (mut there, mut gone) = (Vec::new(), Vec::new());
        for entry in files.iter().filter(|entry| entry.committed.offset_bytes > entry.passed_over_bytes) {
            known.insert(key(entry));
            match locate(entry) {
                Some(file) => there.push((entry, file)),
                None if let Some(source) = unreadable(entry) => {
                    return Err(ReconcileError::File { path: entry.path.clone(), source });
                }
                None => gone.push((key(entry), entry.path.clone())),
            }
        }
        for (file, told) in self.ranges_by_file.iter().filter(|(file, _)| !known.contains(*file)) {
            gone.push((file.clone(), told.last().map_or_else(String::new, |told| told.range.path.clone())));
        }
        let whole: u64 = there.iter().map(|(entry, _)| entry.committed.offset_bytes).sum();
        let mut judge = FileJudge::new(self.pipeline);
        let mut done = 0;
        let mut evidence = Evidence::default();
        for (entry, file) in there {
            report.rows.push(self.by_lines(&mut judge, entry, file, &mut evidence).await?);
            done += entry.committed.offset_bytes;
            progress(done, whole);
        }
        self.find_unexpected(&mut judge, files, &mut evidence, &mut report.rows).await?;
        report.rows.extend(self.by_accounts(gone).await?);
        report.rows.extend(self.not_by_file(evidence.untold));
        report.findings = evidence.findings;
        report.findings.sort_by(|one, other| (&one.path, one.offset_bytes).cmp(&(&other.path, other.offset_bytes)));
        Ok(report)
    }

    fn failed(&self, trouble: Trouble) -> ReconcileError {
        ReconcileError::Sink { sink: self.sink.to_owned(), trouble }
    }

    /// Judges a file line by line.
    async fn by_lines(
        &self,
        judge: &mut FileJudge,
        entry: &FileEntry,
        mut file: TailedFile,
        evidence: &mut Evidence,
    ) -> Result<Row, ReconcileError> {
        let mut row = row(entry, Proof::Lines);
        let mut decided =
            FileAccount::new(self.ranges_by_file.get(&row.file), &self.pipeline.digest, self.path_matters);
        let (mut block, mut undecidable) = (Vec::new(), Vec::new());
        let failed = |source| ReconcileError::File { path: entry.path.clone(), source };
        while judge.next_block(&mut file, row.to_bytes, &mut block).map_err(failed)? {
            block.retain(|line| line.offset_bytes >= row.from_bytes);
            for lines in block.chunks(LOOKED_UP) {
                self.judge_lines(lines, &mut row, &mut decided, &mut undecidable, &mut evidence.untold).await?;
            }
        }
        let read_to = file.consumed_position().offset_bytes;
        if read_to < row.to_bytes {
            row.note = Some(format!("only {read_to} bytes of it are there now"));
            row.undecidable += 1;
        }
        if decided.has_nowhere() {
            self.look_by_place(&mut row, &mut decided, evidence).await?;
        }
        for (line, loss) in decided.losses() {
            match loss {
                Loss::Dropped => row.dropped += 1,
                Loss::Missing => decided.missing.push((line.offset_bytes, line.id)),
                Loss::Undecidable => undecidable.push(line.offset_bytes),
            }
        }
        row.undecidable += undecidable.len() as u64;
        row.missing += decided.missing.len() as u64;
        let finding = |what, offset_bytes, id| Finding { what, path: entry.path.clone(), offset_bytes, id };
        let findings = &mut evidence.findings;
        findings.extend(undecidable.into_iter().map(|offset_bytes| finding("undecidable", offset_bytes, None)));
        let missing = decided.missing.into_iter();
        findings.extend(missing.map(|(offset_bytes, id)| finding("missing", offset_bytes, Some(id.to_string()))));
        Ok(row)
    }

    async fn judge_lines(
        &self,
        lines: &[LineJudgement],
        row: &mut Row,
        decided: &mut FileAccount<'_>,
        undecidable: &mut Vec<u64>,
        untold: &mut Sum,
    ) -> Result<(), ReconcileError> {
        let ids: Vec<Id> = lines.iter().map(|line| line.fate.id()).collect();
        let present = self.holdings.present(&ids).await.map_err(|trouble| self.failed(trouble))?;
        let dead = self.dead.get(&row.file);
        for line in lines {
            row.lines += u64::from(line.ordinal == 0);
            row.records += u64::from(line.is_record);
            let (id, offset_bytes) = (line.fate.id(), line.offset_bytes);
            let decision = decided.decision(offset_bytes);
            let in_dead_letter = dead.and_then(|dead| dead.get(&(offset_bytes, line.ordinal)));
            let (count, held) = match line.fate {
                // Today's rule drops it; another one may have kept it.
                LineFate::Dropped(_) if decision == Decision::Today => (&mut row.dropped, None),
                _ if present.contains(&id) => (&mut row.indexed, Some(id)),
                _ if in_dead_letter.is_some() => (&mut row.dead_lettered, in_dead_letter.copied()),
                _ if self.erased.all.contains(&id) => (&mut row.erased, Some(id)),
                fate => match self.age(fate, decided.read_by(offset_bytes)) {
                    Age::Expired => (&mut row.expired, Some(id)),
                    Age::Unknown => {
                        undecidable.push(offset_bytes);
                        continue;
                    }
                    Age::Kept => {
                        match decision {
                            Decision::Today => decided.missing.push((offset_bytes, id)),
                            Decision::Untold => undecidable.push(offset_bytes),
                            Decision::Then => {
                                let is_kept_today = !matches!(fate, LineFate::Dropped(_));
                                let ordinal = line.ordinal;
                                decided.nowhere(Nowhere { offset_bytes, ordinal, id, is_kept_today });
                            }
                        }
                        continue;
                    }
                },
            };
            *count += 1;
            let Some(id) = held else { continue };
            match decision {
                Decision::Then => decided.found(offset_bytes, &id, line.is_one_of_several),
                _ if !decided.is_told(offset_bytes) => *untold = untold.with(&id),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether retention may have deleted the document of a line, which had been read by then at the latest.
    fn age(&self, fate: LineFate, read_by: Option<DateTime<Utc>>) -> Age {
        let Some(expired_until_us) = self.expired_until_us else { return Age::Kept };
        match fate {
            LineFate::Document(_, Some(time_us)) if time_us <= expired_until_us => Age::Expired,
            // Its time is that of its reading.
            LineFate::Document(_, None) => match read_by.map(|time| time.timestamp_micros()) {
                Some(read_by_us) if read_by_us <= expired_until_us => Age::Expired,
                _ => Age::Unknown,
            },
            LineFate::Document(..) | LineFate::Dropped(_) | LineFate::Dead(_) => Age::Kept,
        }
    }

    /// Looks for documents that claim the places of lines that are nowhere: another configuration may have given them
    /// another time or id.
    async fn look_by_place(
        &self,
        row: &mut Row,
        decided: &mut FileAccount<'_>,
        evidence: &mut Evidence,
    ) -> Result<(), ReconcileError> {
        let bounds = Bounds::from([(row.file.clone(), row.to_bytes)]);
        let found = evidence.by_place.entry(row.file.clone()).or_default();
        let visit = |place: holdings::Place| {
            if let Some(id) = Id::read(&place.id)
                && decided.found_at(place.offset_bytes, &id)
            {
                row.indexed += 1;
                found.push(id);
            }
        };
        self.holdings.each_place(&bounds, visit).await.map_err(|trouble| self.failed(trouble))
    }

    /// Looks for documents that claim a file and are not made of a line of it.
    async fn find_unexpected(
        &self,
        judge: &mut FileJudge,
        files: &[FileEntry],
        evidence: &mut Evidence,
        rows: &mut [Row],
    ) -> Result<(), ReconcileError> {
        let bounds: Bounds = rows.iter().map(|row| (row.file.clone(), row.to_bytes)).collect();
        let counts = self.holdings.counts(&bounds).await.map_err(|trouble| self.failed(trouble))?;
        for row in rows {
            if counts.get(&row.file).is_none_or(|count| *count <= row.indexed) {
                continue;
            }
            let Some(mut file) = files.iter().find(|entry| key(entry) == row.file).and_then(locate) else { continue };
            let mut expected: HashSet<Id> = evidence.by_place.get(&row.file).into_iter().flatten().copied().collect();
            let mut block = Vec::new();
            let failed = |source| ReconcileError::File { path: row.path.clone(), source };
            while judge.next_block(&mut file, row.to_bytes, &mut block).map_err(failed)? {
                expected.extend(block.iter().map(|line| line.fate.id()));
            }
            let findings = &mut evidence.findings;
            let bounds = Bounds::from([(row.file.clone(), row.to_bytes)]);
            let visit = |place: holdings::Place| {
                // Taken out, so that a document that is there twice is found, too.
                if !Id::read(&place.id).is_some_and(|id| expected.remove(&id)) {
                    row.unexpected += 1;
                    let (path, offset_bytes) = (row.path.clone(), place.offset_bytes);
                    findings.push(Finding { what: "unexpected", path, offset_bytes, id: Some(place.id) });
                }
            };
            self.holdings.each_place(&bounds, visit).await.map_err(|trouble| self.failed(trouble))?;
        }
        Ok(())
    }

    /// Proves files that are gone by what the accounts tell of them.
    async fn by_accounts(&self, gone: Vec<(String, String)>) -> Result<Vec<Row>, ReconcileError> {
        let to_bytes = |file: &String| self.ranges_by_file.get(file)?.iter().map(|told| told.range.to_bytes).max();
        let bounds: Bounds = gone.iter().filter_map(|(file, _)| Some((file.clone(), to_bytes(file)?))).collect();
        let mut held: HashMap<String, (u64, IdSum)> = HashMap::new();
        let visit = |place: holdings::Place| {
            if let Some(id) = Id::read(&place.id) {
                let (count, sum) = held.entry(place.file).or_default();
                *count += 1;
                sum.add(&id);
            }
        };
        self.holdings.each_place(&bounds, visit).await.map_err(|trouble| self.failed(trouble))?;
        let mut rows = Vec::new();
        for (file, path) in gone {
            let in_sink = held.remove(&file).unwrap_or_default();
            rows.push(self.by_account(file, path, in_sink).await?);
        }
        Ok(rows)
    }

    async fn by_account(&self, file: String, path: String, in_sink: (u64, IdSum)) -> Result<Row, ReconcileError> {
        let Some(told) = self.ranges_by_file.get(&file) else {
            let note = Some("the file is gone, and no account tells of it".to_owned());
            return Ok(Row { path, file, note, undecidable: 1, ..Row::empty(Proof::None) });
        };
        let (indexed, mut sum) = in_sink;
        let (from_bytes, to_bytes) = span(told);
        // What is not accounted for yet is not judged.
        let dead = self.dead.get(&file).into_iter().flat_map(|dead| dead.range(..(to_bytes, 0)));
        let dead: Vec<Id> = dead.map(|(_, id)| *id).collect();
        let mut dead_lettered = 0;
        for ids in dead.chunks(LOOKED_UP) {
            let present = self.holdings.present(ids).await.map_err(|trouble| self.failed(trouble))?;
            for id in ids.iter().filter(|id| !present.contains(id)) {
                dead_lettered += 1;
                sum.add(id);
            }
        }
        let erased = self.erased.by_file.get(&file).map(Vec::as_slice).unwrap_or_default();
        let erased = erased.iter().filter(|(offset_bytes, _)| *offset_bytes < to_bytes).map(|(_, id)| id);
        let erased: Vec<&Id> = erased.collect();
        erased.iter().for_each(|id| sum.add(id));
        let found = indexed + dead_lettered + erased.len() as u64;
        let expected = expected_of(told, found, sum);
        let Tally { lines, records, kept, ids, dropped, .. } = &expected;
        let mut row =
            Row { path, file, from_bytes, to_bytes, lines: *lines, records: *records, ..Row::empty(Proof::Accounts) };
        row = Row { indexed, dropped: dropped.total(), erased: erased.len() as u64, dead_lettered, ..row };
        if (*kept, *ids) != (found, sum) {
            self.judge_difference(&mut row, told, *kept, found);
        }
        Ok(row)
    }

    /// What the accounts count in sum and not by file; nothing where that is proven line by line.
    fn not_by_file(&self, untold: Sum) -> Option<Row> {
        let UnlistedLines { ranges, tally } = &self.unlisted;
        if self.unlisted.is_nothing() || (tally.kept, tally.ids) == (untold.0, untold.1) {
            return None;
        }
        let found = if untold.0 <= tally.kept { untold.0 } else { 0 };
        let note = format!(
            "the accounts count {} of {} in sum and not by file, because there were too many files; what is there of \
             files that no account tells of does not agree with it, so nobody can say of which lines it is",
            counted(tally.lines, "line"),
            counted(*ranges, "range"),
        );
        let undecidable = (tally.kept - found).max(1);
        Some(Row { path: "(not by file)".to_owned(), undecidable, note: Some(note), ..Row::empty(Proof::None) })
    }

    /// What it means that a file's account and what is held of it differ.
    fn judge_difference(&self, row: &mut Row, told: &[AccountRange], kept: u64, found: u64) {
        let undecidable = |row: &mut Row, note: &str| {
            row.undecidable = kept.abs_diff(found).max(1);
            row.note = Some(note.to_owned());
        };
        if has_gaps(told) {
            return undecidable(row, "the accounts do not tell of all of it");
        }
        if self.expired_until_us.is_some() {
            return undecidable(row, "retention has deleted records, perhaps of this file");
        }
        let unique = |step: &model::Step| matches!(&step.action, Action::Id(id) if id.unique);
        if self.pipeline.enrich.iter().any(unique) {
            return undecidable(row, "ids are not unique to lines (`id: unique`), so sums say nothing");
        }
        row.missing = kept.saturating_sub(found);
        row.unexpected = found.saturating_sub(kept);
        if kept == found {
            (row.missing, row.unexpected) = (1, 1);
            row.note = Some("at least one is missing and another one is there in its place".to_owned());
        } else {
            row.note = Some("the file is gone: its account says how many, not which".to_owned());
        }
    }
}

impl LineFate {
    fn id(self) -> Id {
        match self {
            LineFate::Dropped(id) | LineFate::Dead(id) | LineFate::Document(id, _) => id,
        }
    }
}

fn key(entry: &FileEntry) -> String {
    entry.key().to_string()
}

fn row(entry: &FileEntry, proof: Proof) -> Row {
    let (from_bytes, to_bytes) = (entry.passed_over_bytes, entry.committed.offset_bytes);
    Row { path: entry.path.clone(), file: key(entry), from_bytes, to_bytes, ..Row::empty(proof) }
}
