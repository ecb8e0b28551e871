//! The stages left of the queue, for one line after the other: decode, enrich, batch, or the dead letter.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use chrono::Utc;

use crate::dead_letter::{Content as Kept, DeadLetter, DeadLetterError, Entry, Raw, Why};
use crate::enrich::{Enrichment, Nobody, Sight, Source, Verdict};
use crate::flow::ack::Mark;
use crate::flow::batch::{Batch, BatchLimits, FileKey, Id, Namespace, Origin};
use crate::flow::line::{Entries, Line};
use crate::flow::reject::Reject;
use crate::flow::tally::Tally;
use crate::judge::line::{Fate, Judge, Judged};
use crate::observe::Observers;
use crate::record::{Record, Space};
use crate::source::files::{Chunk, Content, PassedOver};
use crate::source::framing::Lines;
use crate::state::checkpoint::{Fingerprint, TAIL_BYTES_MAX};
use crate::telemetry::{Counter, Counters};
use crate::text::digest::sha256_hexadecimal;
use crate::text::encoding::{Encoding, looks_like_utf16};
use crate::text::pattern_redaction;

/// A batch that is ready to go, and what it stands for.
#[derive(Debug)]
pub(super) struct Shipment {
    /// The documents; there may be none, when all lines were dropped or rejected.
    pub(super) batch: Batch,
    /// How far each file is in it.
    pub(super) marks: Vec<Mark>,
    /// The span of the files, in bytes.
    pub(super) source_bytes: u64,
}

/// The stages, with the batch that is being filled.
#[derive(Debug)]
pub(super) struct Stages {
    pub(super) judge: Judge,
    pub(super) observers: Observers,
    /// What the observers' conditions have to see.
    observed: Sight,
    pub(super) dead_letter: Arc<DeadLetter>,
    pub(super) counters: Counters,
    pub(super) limits: BatchLimits,
    pub(super) spent: Receiver<Batch>,
    space: Space,
    /// The rules that have dropped a record.
    dropped: Vec<DropCount>,
    batch: Batch,
    marks: Vec<Mark>,
    /// What became of the lines that are not noted in a mark yet.
    tally: Tally,
    /// A line of which the dead letter did not take a record.
    unfinished: Option<UnfinishedLine>,
    source_bytes: u64,
    opened: Option<Instant>,
    /// Batches that are ready, in their order.
    pub(super) sealed: VecDeque<Shipment>,
}

/// How far a chunk was taken, when the dead letter did not take what had to go there.
#[derive(Debug)]
pub(super) struct Interrupted {
    /// Why.
    pub(super) error: DeadLetterError,
    /// Bytes of the chunk before the line that could not be settled.
    pub(super) taken_bytes: usize,
}

/// A rule that drops records.
#[derive(Debug)]
struct DropCount {
    rule: Arc<str>,
    /// Its metric.
    counter: Counter,
    /// Records of the line at hand, so that the tally of a span is given names once a line and not once a record.
    of_line: u64,
}

/// A line that is to be taken again: what was done for its first records is done, and not counted in any mark yet.
#[derive(Debug)]
struct UnfinishedLine {
    place: (FileKey, u64),
    /// So many of its records are settled.
    settled: u32,
    /// What became of these.
    tally: Tally,
}

impl Stages {
    /// Puts the stages together.
    pub(super) fn new(
        judge: Judge,
        observers: Observers,
        dead_letter: Arc<DeadLetter>,
        counters: Counters,
        limits: BatchLimits,
        spent: Receiver<Batch>,
    ) -> Stages {
        Stages {
            judge,
            observed: observers.conditions().map(Sight::of).max().unwrap_or(Sight::Members),
            observers,
            dead_letter,
            counters,
            limits,
            spent,
            space: Space::default(),
            dropped: Vec::new(),
            batch: Batch::default(),
            marks: Vec::new(),
            tally: Tally::default(),
            unfinished: None,
            source_bytes: 0,
            opened: None,
            sealed: VecDeque::new(),
        }
    }

    /// Takes a chunk, line by line.
    ///
    /// # Errors
    /// [`Interrupted`] when the dead letter cannot be written now: call again with what is left.
    pub(super) fn take(&mut self, chunk: &Chunk<'_>) -> Result<(), Interrupted> {
        match &chunk.content {
            Content::Lines(bytes) => self.take_lines(chunk, bytes),
            Content::PassedOver { what, length_bytes, end } => {
                self.take_passed_over(chunk, *what, *length_bytes)
                    .map_err(|error| Interrupted { error, taken_bytes: 0 })?;
                self.note(chunk, chunk.offset_bytes..end.offset_bytes, end.tail);
                Ok(())
            }
        }
    }

    /// Whether the first entry of some bytes is whole, though the end of the file is: a record, or text of which each line
    /// has its end and that might only have gone on.
    pub(super) fn is_record(&mut self, chunk: &Chunk<'_>) -> bool {
        let Content::Lines(bytes) = chunk.content else { return false };
        let form = chunk.file.form;
        if form.entries == Entries::Text && form.encoding.strip_end(bytes, b'\n').is_some() {
            return true;
        }
        let mut lines = Lines::new(bytes, chunk.offset_bytes, chunk.file.form);
        lines.next_line().is_none_or(|line| self.judge.is_record(&line, &chunk.file, &mut self.space))
    }

    /// Seals the batch that is being filled when its time has come, whatever else there is to do.
    pub(super) fn seal_if_due(&mut self) {
        if self.linger_ends().is_some_and(|end| end <= Instant::now()) {
            self.seal();
        }
    }

    /// When the batch that is being filled must be sealed, if there is one.
    pub(super) fn linger_ends(&self) -> Option<Instant> {
        self.opened.map(|opened| opened + self.limits.linger)
    }

    /// Seals what there is.
    pub(super) fn seal(&mut self) {
        if self.marks.is_empty() {
            return;
        }
        let next = self.spent.try_recv().map_or_else(|_| Batch::default(), Batch::reuse);
        let batch = std::mem::replace(&mut self.batch, next);
        let (marks, source_bytes) = (std::mem::take(&mut self.marks), std::mem::take(&mut self.source_bytes));
        self.sealed.push_back(Shipment { batch, marks, source_bytes });
        self.opened = None;
    }

    fn take_lines(&mut self, chunk: &Chunk<'_>, bytes: &[u8]) -> Result<(), Interrupted> {
        let read_us = Utc::now().timestamp_micros();
        let mut lines = Lines::new(bytes, chunk.offset_bytes, chunk.file.form);
        let mut noted = 0;
        while let Some(line) = lines.next_line() {
            let source = Source::of(&chunk.file, &line, read_us);
            if let Err(error) = self.take_line(&line, source, chunk.observed_offset_bytes) {
                let taken_bytes = (line.offset_bytes - chunk.offset_bytes) as usize;
                self.note_lines(chunk, bytes, noted..taken_bytes);
                return Err(Interrupted { error, taken_bytes });
            }
            if self.batch.body().len() >= self.limits.bytes_max || self.batch.items().len() >= self.limits.items_max {
                let taken = lines.consumed_bytes();
                self.note_lines(chunk, bytes, noted..taken);
                noted = taken;
                self.seal();
            }
        }
        self.note_lines(chunk, bytes, noted..bytes.len());
        self.judge.enrichment.warn_of_idle_fields();
        Ok(())
    }

    /// Notes that the lines of a range of a chunk are in the batch, or settled otherwise.
    fn note_lines(&mut self, chunk: &Chunk<'_>, bytes: &[u8], range: std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        let tail = Fingerprint::of(&bytes[range.end.saturating_sub(TAIL_BYTES_MAX)..range.end]);
        let at = |place: usize| chunk.offset_bytes + place as u64;
        self.note(chunk, at(range.start)..at(range.end), tail);
    }

    fn note(&mut self, chunk: &Chunk<'_>, span: std::ops::Range<u64>, tail: Fingerprint) {
        let tally = std::mem::take(&mut self.tally);
        let source_bytes = span.end - span.start;
        self.counters.source_read_lines_total.inc_by(tally.lines);
        self.counters.decode_records_total.inc_by(tally.records);
        self.counters.source_read_bytes_total.inc_by(source_bytes);
        self.source_bytes += source_bytes;
        self.opened.get_or_insert_with(Instant::now);
        let (file, source) = (chunk.number, Arc::clone(&chunk.file));
        let mark = Mark { file, source, start_bytes: span.start, offset_bytes: span.end, tail, tally };
        match self.marks.last_mut() {
            Some(last) if last.file == mark.file => last.join(mark),
            _ => self.marks.push(mark),
        }
    }

    /// `observed_offset_bytes`: lines before it were counted before a restart.
    fn take_line(
        &mut self,
        line: &Line<'_>,
        source: Source<'_>,
        observed_offset_bytes: u64,
    ) -> Result<(), DeadLetterError> {
        let is_new = line.offset_bytes >= observed_offset_bytes;
        let place = (source.file.key(), line.offset_bytes);
        let unfinished = self.unfinished.take().filter(|unfinished| unfinished.place == place);
        let (mut settled, tally) = unfinished.map_or_else(Default::default, |it| (it.settled, it.tally));
        let Stages { judge, space, observers, observed, dead_letter, counters, dropped, batch, .. } = self;
        let observed = *observed;
        let mut settler = Settler { observers, observed, dead_letter, counters, dropped, batch, tally, line, is_new };
        let mut failed = None;
        judge.judge(line, source, space, &mut Nobody, &mut |judged| {
            if failed.is_none() && judged.source.ordinal >= settled {
                match settler.settle(judged) {
                    Ok(()) => settled += 1,
                    Err(error) => failed = Some(error),
                }
            }
        });
        let mut tally = settler.tally;
        if let Some(error) = failed {
            count_drops(&mut self.dropped, &mut tally);
            self.unfinished = Some(UnfinishedLine { place, settled, tally });
            return Err(error);
        }
        // Last, so that a line that has to be taken again is counted once.
        self.tally.join(&tally);
        count_drops(&mut self.dropped, &mut self.tally);
        self.tally.lines += 1;
        Ok(())
    }

    fn take_passed_over(
        &mut self,
        chunk: &Chunk<'_>,
        what: PassedOver,
        length_bytes: u64,
    ) -> Result<(), DeadLetterError> {
        let source = Source::of_place(&chunk.file, chunk.offset_bytes);
        let why = match what {
            PassedOver::LongLine => Why::TooLong,
            PassedOver::NulBytes => Why::NothingWritten,
        };
        let (id, reject) = self.judge.passed_over(what, length_bytes, source);
        self.dead_letter.write(&Entry {
            id,
            reject: &reject,
            file: &chunk.file,
            offset_bytes: chunk.offset_bytes,
            length_bytes,
            ordinal: 0,
            sha256: None,
            content: Kept::Reference(why),
        })?;
        count_dead(&mut self.tally, &id, &reject);
        self.tally.lines += 1;
        Ok(())
    }
}

/// Does what a record's fate says.
struct Settler<'s> {
    observers: &'s mut Observers,
    observed: Sight,
    dead_letter: &'s DeadLetter,
    counters: &'s Counters,
    /// The rules that have dropped a record.
    dropped: &'s mut Vec<DropCount>,
    batch: &'s mut Batch,
    tally: Tally,
    line: &'s Line<'s>,
    /// The observers have not seen the line yet.
    is_new: bool,
}

impl Settler<'_> {
    fn settle(&mut self, judged: Judged<'_>) -> Result<(), DeadLetterError> {
        let Judged { source, fate, enrichment } = judged;
        match fate {
            Fate::Document(verdict, record) => {
                self.observe(enrichment, &record, source, &verdict);
                self.ship(&verdict, &record, source);
            }
            Fate::Dropped(rule, verdict, record) => {
                self.observe(enrichment, &record, source, &verdict);
                self.count_dropped(&rule);
            }
            Fate::LeftOut(name, _) => {
                self.count_dropped(name);
                return Ok(());
            }
            Fate::Rejected(id, reject, Some(mut record)) => {
                bury_record(self.dead_letter, enrichment, id, &reject, &mut record, self.line, source)?;
                count_dead(&mut self.tally, &id, &reject);
            }
            Fate::Rejected(id, reject, None) => {
                bury_line(self.dead_letter, enrichment, id, &reject, self.line, source)?;
                count_dead(&mut self.tally, &id, &reject);
                return Ok(());
            }
        }
        self.tally.records += 1;
        Ok(())
    }

    fn observe(&mut self, enrichment: &Enrichment, record: &Record<'_>, source: Source<'_>, verdict: &Verdict) {
        if self.is_new && !source.given.is_text {
            observe(self.observers, self.observed, enrichment, record, source, verdict);
        }
    }

    fn ship(&mut self, verdict: &Verdict, record: &Record<'_>, source: Source<'_>) {
        let Verdict { id, timestamp_us, namespace, .. } = *verdict;
        self.tally.keep(&id);
        let (file, length_bytes) = (self.batch.file(source.file), source.line.len() as u32);
        let origin = Origin { file, offset_bytes: source.offset_bytes, length_bytes, ordinal: source.ordinal };
        self.batch.push_into(namespace, id, timestamp_us, origin, |out| record.render(out));
        if let Namespace::Else(reason) = namespace {
            self.counters.without_namespace(reason).inc();
        }
    }

    /// Counts a record that a rule drops. The rule's counter is asked for once.
    fn count_dropped(&mut self, rule: &str) {
        let known = self.dropped.iter().position(|known| *known.rule == *rule);
        let position = known.unwrap_or_else(|| {
            self.dropped.push(DropCount { rule: rule.into(), counter: self.counters.dropped(rule), of_line: 0 });
            self.dropped.len() - 1
        });
        self.dropped[position].counter.inc();
        self.dropped[position].of_line += 1;
    }
}

/// Moves what rules have dropped of a line into a tally.
fn count_drops(dropped: &mut [DropCount], tally: &mut Tally) {
    for count in dropped.iter_mut().filter(|count| count.of_line > 0) {
        tally.dropped.add(&count.rule, std::mem::take(&mut count.of_line));
    }
}

/// Lets the observers see a record. Its time is its own, but not in the future.
fn observe(
    observers: &mut Observers,
    sight: Sight,
    enrichment: &Enrichment,
    record: &Record<'_>,
    source: Source<'_>,
    verdict: &Verdict,
) {
    let time_us = verdict.timestamp_us.min(source.read_us);
    enrichment.ask(sight, record, source, |document| observers.observe(record, document, verdict.id, time_us));
}

/// Counts what is in the dead letter.
fn count_dead(tally: &mut Tally, id: &Id, reject: &Reject) {
    tally.keep(id);
    tally.dead_lettered.add(&reject.name(), 1);
}

/// Keeps a line that is no record: as it is but for what patterns black out, or by its place alone. It cannot be redacted
/// by field, and need not even name one: the second half of a torn line is only the tail of a value.
fn bury_line(
    dead_letter: &DeadLetter,
    enrichment: &Enrichment,
    id: Id,
    reject: &Reject,
    line: &Line<'_>,
    source: Source<'_>,
) -> Result<(), DeadLetterError> {
    match dead_letter.raw() {
        Raw::Left(why) => write(dead_letter, id, reject, line, source, Kept::Reference(why)),
        Raw::Kept => {
            let hidden = without_patterns(line, source.file.form.encoding, enrichment);
            let kept = hidden.as_deref().map_or(Kept::Reference(Why::Unreadable), Kept::Raw);
            write(dead_letter, id, reject, line, source, kept)
        }
    }
}

/// A line as it may be kept; `None` where what is to be blacked out cannot be looked for. In UTF-16 it is looked for in the
/// text, which is kept in the line's place where something was found.
fn without_patterns<'l>(line: &Line<'l>, encoding: Encoding, enrichment: &Enrichment) -> Option<Cow<'l, [u8]>> {
    match line.text {
        Some(text) if encoding.unit_bytes() > 1 => {
            let hidden = hide_patterns(text.as_bytes(), enrichment);
            Some(if *hidden == *text.as_bytes() { Cow::Borrowed(line.bytes) } else { hidden })
        }
        None if encoding.unit_bytes() > 1 => None,
        _ if looks_like_utf16(line.bytes) => None,
        _ => Some(hide_patterns(line.bytes, enrichment)),
    }
}

/// What the pipeline's own patterns find, and then what looks like a secret or personal data anyway.
fn hide_patterns<'l>(line: &'l [u8], enrichment: &Enrichment) -> Cow<'l, [u8]> {
    match enrichment.hide_in_line(line) {
        Cow::Borrowed(line) => pattern_redaction::redact(line),
        Cow::Owned(line) => Cow::Owned(pattern_redaction::redact(&line).into_owned()),
    }
}

/// Keeps a record that a processor turned away, with every redaction carried out.
fn bury_record(
    dead_letter: &DeadLetter,
    enrichment: &Enrichment,
    id: Id,
    reject: &Reject,
    record: &mut Record<'_>,
    line: &Line<'_>,
    source: Source<'_>,
) -> Result<(), DeadLetterError> {
    let mut document = Vec::new();
    let keep = enrichment.hide(record);
    if keep {
        record.render(&mut document);
    }
    let content = if keep { Kept::Document(&document) } else { Kept::Reference(Why::NotRedacted) };
    write(dead_letter, id, reject, line, source, content)
}

fn write(
    dead_letter: &DeadLetter,
    id: Id,
    reject: &Reject,
    line: &Line<'_>,
    source: Source<'_>,
    content: Kept<'_>,
) -> Result<(), DeadLetterError> {
    dead_letter.write(&Entry {
        id,
        reject,
        file: source.file,
        offset_bytes: line.offset_bytes,
        length_bytes: line.bytes.len() as u64,
        ordinal: source.ordinal,
        sha256: Some(&sha256_hexadecimal(line.bytes)),
        content,
    })
}
