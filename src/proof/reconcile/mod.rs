//! Reconcile: is everything that was read accounted for?
//!
//! Each line of each file, up to the committed offset, must be one of: a document in the sink, dropped by a rule, erased
//! by order, or in the dead letter. There are two proofs, and each row of the report says which one it is:
//! - by lines: the file is still there. It is read again and judged by the pipeline file as it is now; every id is looked
//!   up in the sink.
//! - by accounts: the file is gone. The number and the sum of the ids that were kept, as the accounts tell them, must be
//!   those of what the sink, the dead letter and the tombstones hold of the file.
//!
//! A line that was decided on by another configuration than today's, and is not found, may have been dropped: for those
//! ranges the account is asked, and where it does not agree the lines are called undecidable, not missing.
//!
//! It reads the state and the sink and changes neither; judging committed bytes alone, it runs beside a live process. The
//! dead letter is read before the sink, because a replay moves entries from the one to the other.

mod holdings;
mod lines;
mod report;
mod told;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;

use super::accounts;
use crate::config::model::{self, SinkOptions};
use crate::dead_letter::{Entries, ReadError};
use crate::elastic::client::Client;
use crate::flow::answer::Trouble;
use crate::flow::batch::Id;
use crate::flow::tally::{IdSum, Tally};
use crate::judge::enrichment::host_name;
use crate::pipeline::build;
use crate::sink::store::{Reader, Store};
use crate::source::files::file::TailedFile;
use crate::source::files::locate::locate;
use crate::state::checkpoint::{self, CheckpointError, FileEntry};
use crate::state::folder::state_folder;
use crate::text::chain::chain;
use holdings::{Bounds, Holdings, Searched};
use lines::{Fate, Judge, Judged};
pub use report::{Finding, Proof, Report, Row};
use told::{Decided, Told, expected_of, has_gaps, span, told_by};

/// Ids that are looked up at a time.
const LOOKED_UP: usize = 5_000;

/// What keeps it from looking.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The checkpoint cannot be read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// There is none.
    #[error("pipeline `{pipeline}` has no checkpoint in `{folder}`: it has not run with this folder of state")]
    NeverRan {
        /// The pipeline's name.
        pipeline: String,
        /// Its folder of state.
        folder: std::path::PathBuf,
    },
    /// The dead letter cannot be read.
    #[error(transparent)]
    DeadLetter(#[from] ReadError),
    /// The sink cannot be asked.
    #[error("cannot ask the sink `{sink}`: {}", trouble.problem)]
    Sink {
        /// Which one.
        sink: String,
        /// What happened.
        trouble: Trouble,
    },
    /// The sink keeps nothing that could be asked for.
    #[error("the sink `stdout` keeps nothing, so there is nothing to compare with")]
    Nothing,
    /// A file cannot be read.
    #[error("cannot read `{path}`")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// Compares what a pipeline has read with what each of its sinks holds. `progress` is told how many bytes of how many
/// are judged.
///
/// # Errors
/// When state, files or sinks cannot be read.
pub async fn reconcile(
    pipeline: &model::Pipeline,
    data_dir: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Vec<Report>, ReconcileError> {
    let folder = state_folder(data_dir, &pipeline.name);
    let checkpoint = checkpoint::read(&folder.join("checkpoint.json"))?;
    let never_ran = || ReconcileError::NeverRan { pipeline: pipeline.name.clone(), folder: folder.clone() };
    let checkpoint = checkpoint.ok_or_else(never_ran)?;
    let dead = dead(&folder)?;
    let kept_accounts = accounts::of_checkpoint(&checkpoint.accounts);
    let mut reports = Vec::new();
    for sink in &pipeline.sinks {
        let Some(holdings) = open(sink, pipeline, data_dir)? else { continue };
        let told = |trouble| ReconcileError::Sink { sink: sink.name.clone(), trouble };
        holdings.refresh().await.map_err(told)?;
        let mut accounts = kept_accounts.clone();
        accounts.extend(holdings.accounts().await.map_err(told)?);
        let erased = erased(&holdings).await.map_err(told)?;
        let expired_until_us = holdings.expired_until_us().map_err(told)?;
        let (dead, told_by) = (&dead, told_by(accounts));
        let proof = Prover { pipeline, holdings, sink: &sink.name, dead, erased, expired_until_us, told_by };
        reports.push(proof.prove(&checkpoint.files, progress).await?);
    }
    if reports.is_empty() { Err(ReconcileError::Nothing) } else { Ok(reports) }
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
            let searched = Searched::new(client, &options.target, &host_name(), &pipeline.name);
            Some(Holdings::Elasticsearch(Box::new(searched)))
        }
    })
}

/// What the dead letter has of each file: ids by the start of their lines.
type Dead = HashMap<String, BTreeMap<u64, Id>>;

fn dead(folder: &Path) -> Result<Dead, ReadError> {
    let mut dead = Dead::new();
    for entry in Entries::open(&folder.join("dead_letter"))? {
        let entry = entry?;
        let key = format!("{}-{}", entry.origin.inode, entry.origin.generation);
        if let Some(id) = Id::read(&entry.id) {
            dead.entry(key).or_default().insert(entry.origin.offset_bytes, id);
        }
    }
    Ok(dead)
}

/// What was erased of each file, and all of it.
struct Erased {
    /// The starts of their lines, and their ids.
    by_file: HashMap<String, Vec<(u64, Id)>>,
    all: HashSet<Id>,
}

async fn erased(holdings: &Holdings) -> Result<Erased, Trouble> {
    let mut erased = Erased { by_file: HashMap::new(), all: HashSet::new() };
    for place in holdings.tombstones().await? {
        if let Some(id) = Id::read(&place.id) {
            erased.all.insert(id);
            erased.by_file.entry(place.file).or_default().push((place.offset_bytes, id));
        }
    }
    Ok(erased)
}

struct Prover<'p> {
    pipeline: &'p model::Pipeline,
    holdings: Holdings,
    sink: &'p str,
    dead: &'p Dead,
    erased: Erased,
    expired_until_us: Option<i64>,
    told_by: BTreeMap<String, Vec<Told>>,
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
                None => gone.push((key(entry), entry.path.clone())),
            }
        }
        for (file, told) in self.told_by.iter().filter(|(file, _)| !known.contains(*file)) {
            gone.push((file.clone(), told.last().map_or_else(String::new, |told| told.range.path.clone())));
        }
        let whole: u64 = there.iter().map(|(entry, _)| entry.committed.offset_bytes).sum();
        let mut judge = Judge::new(self.pipeline);
        let mut done = 0;
        for (entry, file) in there {
            let row = self.by_lines(&mut judge, entry, file, &mut report.findings).await?;
            report.rows.push(row);
            done += entry.committed.offset_bytes;
            progress(done, whole);
        }
        self.find_unexpected(&mut judge, files, &mut report).await?;
        report.rows.extend(self.by_accounts(gone).await?);
        report.rows.sort_by(|one, other| (&one.path, &one.file).cmp(&(&other.path, &other.file)));
        report.findings.sort_by(|one, other| (&one.path, one.offset_bytes).cmp(&(&other.path, other.offset_bytes)));
        Ok(report)
    }

    fn failed(&self, trouble: Trouble) -> ReconcileError {
        ReconcileError::Sink { sink: self.sink.to_owned(), trouble }
    }

    /// Judges a file line by line.
    async fn by_lines(
        &self,
        judge: &mut Judge,
        entry: &FileEntry,
        mut file: TailedFile,
        findings: &mut Vec<Finding>,
    ) -> Result<Row, ReconcileError> {
        let mut row = row(entry, Proof::Lines);
        let mut decided = Decided::new(self.told_by.get(&row.file), &self.pipeline.digest);
        let (mut block, mut nowhere) = (Vec::new(), Vec::new());
        let failed = |source| ReconcileError::File { path: entry.path.clone(), source };
        while judge.next_block(&mut file, row.to_bytes, &mut block).map_err(failed)? {
            block.retain(|line| line.offset_bytes >= row.from_bytes);
            for lines in block.chunks(LOOKED_UP) {
                self.judge_lines(lines, &mut row, &mut decided, &mut nowhere).await?;
            }
        }
        let read_to = file.consumed_position().offset_bytes;
        if read_to < row.to_bytes {
            row.note = Some(format!("only {read_to} bytes of it are there now"));
            row.undecidable += 1;
        }
        for offset_bytes in decided.undecidable(nowhere, &mut row) {
            row.undecidable += 1;
            findings.push(Finding { what: "undecidable", path: entry.path.clone(), offset_bytes, id: None });
        }
        let missing = std::mem::take(&mut decided.missing);
        row.missing += missing.len() as u64;
        let missing = missing.into_iter();
        findings.extend(missing.map(|(offset_bytes, id)| Finding {
            what: "missing",
            path: entry.path.clone(),
            offset_bytes,
            id: Some(id.to_string()),
        }));
        Ok(row)
    }

    async fn judge_lines(
        &self,
        lines: &[Judged],
        row: &mut Row,
        decided: &mut Decided<'_>,
        nowhere: &mut Vec<u64>,
    ) -> Result<(), ReconcileError> {
        let ids: Vec<Id> = lines.iter().map(|line| line.fate.id()).collect();
        let present = self.holdings.present(&ids).await.map_err(|trouble| self.failed(trouble))?;
        let dead = self.dead.get(&row.file);
        for line in lines {
            row.lines += 1;
            row.records += u64::from(line.is_record);
            let id = line.fate.id();
            let is_old = decided.is_old(line.offset_bytes);
            let in_dead_letter = dead.and_then(|dead| dead.get(&line.offset_bytes));
            let expired = matches!(line.fate, Fate::Document(_, time_us) if Some(time_us) <= self.expired_until_us);
            let (count, held) = match line.fate {
                // Today's rule drops it; the one before may have kept it.
                Fate::Dropped(_) if !is_old => (&mut row.dropped, None),
                _ if present.contains(&id) => (&mut row.indexed, Some(id)),
                _ if in_dead_letter.is_some() => (&mut row.dead_lettered, in_dead_letter.copied()),
                _ if self.erased.all.contains(&id) => (&mut row.erased, Some(id)),
                _ if expired => (&mut row.expired, Some(id)),
                _ if is_old => {
                    nowhere.push(line.offset_bytes);
                    continue;
                }
                _ => {
                    decided.missing.push((line.offset_bytes, id));
                    continue;
                }
            };
            *count += 1;
            if let Some(id) = held.filter(|_| is_old) {
                decided.found(line.offset_bytes, &id);
            }
        }
        Ok(())
    }

    /// Looks for documents that claim a file and are not made of a line of it.
    async fn find_unexpected(
        &self,
        judge: &mut Judge,
        files: &[FileEntry],
        report: &mut Report,
    ) -> Result<(), ReconcileError> {
        let bounds: Bounds = report.rows.iter().map(|row| (row.file.clone(), row.to_bytes)).collect();
        let counts = self.holdings.counts(&bounds).await.map_err(|trouble| self.failed(trouble))?;
        for row in &mut report.rows {
            if counts.get(&row.file).is_none_or(|count| *count <= row.indexed) {
                continue;
            }
            let Some(mut file) = files.iter().find(|entry| key(entry) == row.file).and_then(locate) else { continue };
            let mut expected = HashSet::new();
            let mut block = Vec::new();
            let failed = |source| ReconcileError::File { path: row.path.clone(), source };
            while judge.next_block(&mut file, row.to_bytes, &mut block).map_err(failed)? {
                expected.extend(block.iter().map(|line| line.fate.id()));
            }
            let findings = &mut report.findings;
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
        let to_bytes = |file: &String| self.told_by.get(file)?.iter().map(|told| told.range.to_bytes).max();
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
        let Some(told) = self.told_by.get(&file) else {
            let note = Some("the file is gone, and no account tells of it".to_owned());
            return Ok(Row { path, file, note, undecidable: 1, ..Row::empty(Proof::None) });
        };
        let (indexed, mut sum) = in_sink;
        let (from_bytes, to_bytes) = span(told);
        // What is not accounted for yet is not judged.
        let dead = self.dead.get(&file).into_iter().flat_map(|dead| dead.range(..to_bytes));
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

    /// What it means that a file's account and what is held of it differ.
    fn judge_difference(&self, row: &mut Row, told: &[Told], kept: u64, found: u64) {
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
        let unique = |step: &model::Step| matches!(step, model::Step::Id(id) if id.unique);
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

impl Fate {
    fn id(self) -> Id {
        match self {
            Fate::Dropped(id) | Fate::Dead(id) | Fate::Document(id, _) => id,
        }
    }
}

fn key(entry: &FileEntry) -> String {
    format!("{}-{}", entry.inode, entry.generation)
}

fn row(entry: &FileEntry, proof: Proof) -> Row {
    let (from_bytes, to_bytes) = (entry.passed_over_bytes, entry.committed.offset_bytes);
    Row { path: entry.path.clone(), file: key(entry), from_bytes, to_bytes, ..Row::empty(proof) }
}
