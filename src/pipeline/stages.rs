//! The stages left of the queue, for one line after the other: what was found in it is observed, and goes into a batch or
//! to the dead letter. What that is, is found out at a [`super::bench`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use chrono::Utc;

use super::bench::{Bench, Burial, Found, Ruling, Shown};
use super::linger::Linger;
use super::product::{Intake, JudgedLine, Product, SpareTexts};
use crate::dead_letter::{Content as Kept, DeadLetter, DeadLetterError, Entry, Why};
use crate::enrich::{Sight, Source, Verdict};
use crate::flow::ack::Mark;
use crate::flow::batch::{Batch, BatchLimits, FileKey, Id, Namespace, Origin};
use crate::flow::reject::Reject;
use crate::flow::tally::Tally;
use crate::kql::Fields;
use crate::observe::Observers;
use crate::record::{Record, Space};
use crate::source::files::{Chunk, Content, PassedOver};
use crate::source::framing::Lines;
use crate::state::checkpoint::{Fingerprint, TAIL_BYTES_MAX};
use crate::telemetry::{Counter, Counters};

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
    pub(super) observers: Observers,
    /// What the observers' conditions have to see, if there are some.
    observed: Option<Sight>,
    pub(super) dead_letter: Arc<DeadLetter>,
    pub(super) counters: Counters,
    pub(super) limits: BatchLimits,
    pub(super) spent: Receiver<Batch>,
    /// Buffers for what workers write.
    pub(super) texts: SpareTexts,
    /// Where records lie that observers are shown of what was written down.
    spaces: [Space; 2],
    /// The rules that have dropped a record.
    dropped: Vec<DropCount>,
    batch: Batch,
    /// So many of its documents are counted.
    counted_items: usize,
    marks: Vec<Mark>,
    /// What became of the lines that are not noted in a mark yet, but for documents that are still to be counted.
    tally: Tally,
    /// The same of the records of the line at hand. It is kept here since most lines leave it empty.
    line_tally: Tally,
    /// A line of which the dead letter did not take a record.
    unfinished: Option<Box<UnfinishedLine>>,
    source_bytes: u64,
    linger: Linger,
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
        observers: Observers,
        dead_letter: Arc<DeadLetter>,
        counters: Counters,
        limits: BatchLimits,
        spent: Receiver<Batch>,
    ) -> Stages {
        Stages {
            observed: observers.conditions().map(Sight::of).max(),
            observers,
            dead_letter,
            counters,
            limits,
            spent,
            texts: SpareTexts::default(),
            spaces: Default::default(),
            dropped: Vec::new(),
            batch: Batch::default(),
            counted_items: 0,
            marks: Vec::new(),
            tally: Tally::default(),
            line_tally: Tally::default(),
            unfinished: None,
            source_bytes: 0,
            linger: Linger::new(limits.linger),
            sealed: VecDeque::new(),
        }
    }

    /// What observers have to see, if there are some.
    pub(super) fn observed(&self) -> Option<Sight> {
        self.observed
    }

    /// Takes what was read, line by line, or what a worker has made of it.
    ///
    /// # Errors
    /// [`Interrupted`] when the dead letter cannot be written now: call again with what is left.
    pub(super) fn take(&mut self, bench: &mut Bench, intake: &Intake) -> Result<(), Interrupted> {
        let chunk = match intake {
            Intake::Product(product) => return self.take_product(bench, product),
            Intake::Chunk(chunk) => chunk,
        };
        match &chunk.content {
            Content::Lines(block) => self.take_lines(bench, chunk, block.bytes()),
            Content::PassedOver { what, length_bytes, end } => {
                self.take_passed_over(bench, chunk, *what, *length_bytes)
                    .map_err(|error| Interrupted { error, taken_bytes: 0 })?;
                self.note(chunk, chunk.offset_bytes..end.offset_bytes, end.tail);
                Ok(())
            }
        }
    }

    /// Seals the batch that is being filled when its time has come, whatever else there is to do.
    pub(super) fn seal_if_due(&mut self) {
        if self.linger.is_over(Instant::now()) {
            self.seal();
        }
    }

    /// Seals the batch that is being filled, since everything is read and nothing is under way, unless more is expected.
    pub(super) fn seal_if_alone(&mut self) {
        if !self.linger.is_worth_it(Instant::now()) {
            self.seal();
        }
    }

    /// When the batch that is being filled must be sealed, if there is one.
    pub(super) fn linger_ends(&self) -> Option<Instant> {
        self.linger.ends()
    }

    /// Seals what there is.
    pub(super) fn seal(&mut self) {
        if self.marks.is_empty() {
            return;
        }
        let spent = self.spent.try_recv().unwrap_or_default();
        let next = Batch::reuse(spent, |text| self.texts.push(text));
        let batch = std::mem::replace(&mut self.batch, next);
        debug_assert_eq!(self.counted_items, batch.items().len(), "a mark counts what is sealed");
        self.counted_items = 0;
        let (marks, source_bytes) = (std::mem::take(&mut self.marks), std::mem::take(&mut self.source_bytes));
        self.sealed.push_back(Shipment { batch, marks, source_bytes });
        self.linger.sealed();
    }

    /// Judges lines and takes them.
    fn take_lines(&mut self, bench: &mut Bench, chunk: &Chunk, bytes: &[u8]) -> Result<(), Interrupted> {
        let read_us = Utc::now().timestamp_micros();
        let mut lines = Lines::new(bytes, chunk.offset_bytes, chunk.file.form);
        let mut noted = 0;
        while let Some(line) = lines.next_line() {
            let (offset_bytes, length_bytes) = (line.offset_bytes, line.bytes.len() as u64);
            let place = LinePlace { chunk, offset_bytes, length_bytes, read_us };
            let source = Source::of(&chunk.file, &line, read_us);
            let taken = self.take_line(place, |settle| bench.judge(&line, &source, settle));
            self.go_on(place, &mut noted, lines.consumed_bytes(), taken)?;
        }
        self.note_lines(chunk, noted..bytes.len());
        bench.judge.enrichment.warn_of_idle_fields();
        Ok(())
    }

    /// Takes lines that a worker has judged.
    fn take_product(&mut self, bench: &mut Bench, product: &Product) -> Result<(), Interrupted> {
        let (chunk, read_us) = (&product.chunk, product.read_us);
        let mut noted = 0;
        for (number, line) in product.lines() {
            let JudgedLine { offset_bytes, length_bytes, end_offset_bytes, .. } = line;
            let place = LinePlace { chunk, offset_bytes, length_bytes, read_us };
            let taken = self.take_line(place, |settle| product.records(number).for_each(settle));
            self.go_on(place, &mut noted, (end_offset_bytes - chunk.offset_bytes) as usize, taken)?;
        }
        self.note_lines(chunk, noted..chunk.lines().len());
        bench.judge.enrichment.count_records(product.enriched_records());
        bench.judge.enrichment.warn_of_idle_fields();
        Ok(())
    }

    /// Goes on behind a line that ends at a place of its chunk: seals a batch that is full. What of the chunk is noted already
    /// ends at `noted`.
    fn go_on(
        &mut self,
        line: LinePlace<'_>,
        noted: &mut usize,
        end: usize,
        taken: Result<(), DeadLetterError>,
    ) -> Result<(), Interrupted> {
        if let Err(error) = taken {
            let taken_bytes = (line.offset_bytes - line.chunk.offset_bytes) as usize;
            self.note_lines(line.chunk, *noted..taken_bytes);
            return Err(Interrupted { error, taken_bytes });
        }
        if self.batch.body_bytes() >= self.limits.bytes_max || self.batch.items().len() >= self.limits.items_max {
            self.note_lines(line.chunk, *noted..end);
            *noted = end;
            self.seal();
        }
        Ok(())
    }

    /// Notes that the lines of a range of a chunk are in the batch, or settled otherwise.
    fn note_lines(&mut self, chunk: &Chunk, range: std::ops::Range<usize>) {
        if range.is_empty() {
            return;
        }
        let bytes = chunk.lines();
        let tail = Fingerprint::of(&bytes[range.end.saturating_sub(TAIL_BYTES_MAX)..range.end]);
        let at = |place: usize| chunk.offset_bytes + place as u64;
        self.note(chunk, at(range.start)..at(range.end), tail);
    }

    fn note(&mut self, chunk: &Chunk, span: std::ops::Range<u64>, tail: Fingerprint) {
        let mut tally = std::mem::take(&mut self.tally);
        tally.add_documents(&self.batch.items()[self.counted_items..]);
        self.counted_items = self.batch.items().len();
        let source_bytes = span.end - span.start;
        self.counters.source_read_lines_total.inc_by(tally.lines);
        self.counters.decode_records_total.inc_by(tally.records);
        self.counters.source_read_bytes_total.inc_by(source_bytes);
        self.source_bytes += source_bytes;
        self.linger.taken(tally.kept - tally.dead_lettered.total(), Instant::now());
        let (file, source) = (chunk.number, Arc::clone(&chunk.file));
        let mark = Mark { file, source, start_bytes: span.start, offset_bytes: span.end, tail, tally };
        match self.marks.last_mut() {
            Some(last) if last.file == mark.file => last.join(mark),
            _ => self.marks.push(mark),
        }
    }

    /// Takes a line, whose records `each` gives in their order.
    fn take_line(
        &mut self,
        line: LinePlace<'_>,
        each: impl FnOnce(&mut dyn FnMut(Found<'_>)),
    ) -> Result<(), DeadLetterError> {
        // Lines before it were counted before a restart.
        let is_new = line.offset_bytes >= line.chunk.observed_offset_bytes;
        let place = (line.chunk.file.key(), line.offset_bytes);
        let mut settled = 0;
        if let Some(unfinished) = self.unfinished.take().filter(|unfinished| unfinished.place == place) {
            (settled, self.line_tally) = (unfinished.settled, unfinished.tally);
        }
        let first_item = self.batch.items().len();
        let Stages { observers, observed, dead_letter, counters, dropped, batch, spaces, line_tally, .. } = self;
        let observed = observed.filter(|_| is_new);
        let mut settler =
            Settler { observers, observed, dead_letter, counters, dropped, batch, spaces, line_tally, line };
        let mut failed = None;
        each(&mut |found| {
            if failed.is_none() && found.ordinal >= settled {
                match settler.settle(&found) {
                    Ok(()) => settled += 1,
                    Err(error) => failed = Some(error),
                }
            }
        });
        if let Some(error) = failed {
            let tally = self.take_back(first_item);
            self.unfinished = Some(Box::new(UnfinishedLine { place, settled, tally }));
            return Err(error);
        }
        // Last, so that a line that has to be taken again is counted once.
        if !self.line_tally.is_empty() {
            self.tally.join(&std::mem::take(&mut self.line_tally));
        }
        count_drops(&mut self.dropped, &mut self.tally);
        self.tally.lines += 1;
        Ok(())
    }

    /// What became of the records of the line at hand, whose documents begin at an item: no mark counts them.
    fn take_back(&mut self, first_item: usize) -> Tally {
        let (before, of_line) = self.batch.items().split_at(first_item);
        self.tally.add_documents(&before[self.counted_items..]);
        let mut tally = std::mem::take(&mut self.line_tally);
        tally.add_documents(of_line);
        count_drops(&mut self.dropped, &mut tally);
        self.counted_items = self.batch.items().len();
        tally
    }

    fn take_passed_over(
        &mut self,
        bench: &mut Bench,
        chunk: &Chunk,
        what: PassedOver,
        length_bytes: u64,
    ) -> Result<(), DeadLetterError> {
        let source = Source::of_place(&chunk.file, chunk.offset_bytes);
        let why = match what {
            PassedOver::LongLine => Why::TooLong,
            PassedOver::NulBytes => Why::NothingWritten,
        };
        let (id, reject) = bench.judge.passed_over(what, length_bytes, &source);
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

/// Where a line is.
#[derive(Clone, Copy)]
struct LinePlace<'c> {
    chunk: &'c Chunk,
    /// Where it begins, in bytes from the start of the file.
    offset_bytes: u64,
    /// Its length in bytes, without its end.
    length_bytes: u64,
    /// When it was read, in microseconds since 1970.
    read_us: i64,
}

/// Does what is to be done with a record.
struct Settler<'s> {
    observers: &'s mut Observers,
    /// What observers have to see of the line's records, if they have not seen them yet.
    observed: Option<Sight>,
    dead_letter: &'s DeadLetter,
    counters: &'s Counters,
    /// The rules that have dropped a record.
    dropped: &'s mut Vec<DropCount>,
    batch: &'s mut Batch,
    spaces: &'s mut [Space; 2],
    /// What becomes of the line's records, but for documents that are still to be counted.
    line_tally: &'s mut Tally,
    line: LinePlace<'s>,
}

impl Settler<'_> {
    fn settle(&mut self, found: &Found<'_>) -> Result<(), DeadLetterError> {
        match found.ruling {
            Ruling::Ship(verdict, shown) => {
                self.observe(found, verdict, shown);
                self.ship(found, verdict, shown);
                return Ok(());
            }
            Ruling::Drop(rule, verdict, shown) => {
                self.observe(found, verdict, shown);
                self.count_dropped(rule);
            }
            Ruling::LeaveOut(name) => {
                self.count_dropped(name);
                return Ok(());
            }
            Ruling::Bury(burial) => {
                self.bury(found.ordinal, burial)?;
                if !burial.is_record {
                    return Ok(());
                }
            }
        }
        self.line_tally.records += 1;
        Ok(())
    }

    /// Lets the observers see a record. Its time is its own, but not in the future.
    fn observe(&mut self, found: &Found<'_>, verdict: &Verdict, shown: Shown<'_>) {
        let Some(sight) = self.observed.filter(|_| !found.is_text) else { return };
        let Settler { observers, spaces, .. } = self;
        let time_us = verdict.timestamp_us.min(self.line.read_us);
        let observe = |record: &Record<'_>, document: &dyn Fields| {
            observers.observe(record, document, verdict.id, time_us);
        };
        if !shown.look(sight, spaces, observe) {
            tracing::error!(
                pipeline = self.counters.pipeline(),
                "BUG: observers cannot read a record that was written"
            );
        }
    }

    fn ship(&mut self, found: &Found<'_>, verdict: &Verdict, shown: Shown<'_>) {
        let Verdict { id, timestamp_us, namespace, .. } = *verdict;
        let LinePlace { chunk, offset_bytes, length_bytes, .. } = self.line;
        let (file, length_bytes) = (self.batch.file(&chunk.file), length_bytes as u32);
        let origin = Origin { file, offset_bytes, length_bytes, ordinal: found.ordinal };
        match found.item {
            Some(item) => self.batch.take_into(namespace, id, timestamp_us, origin, item),
            None => self.batch.push_into(namespace, id, timestamp_us, origin, |out| shown.render(out)),
        }
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

    /// Keeps what was turned away.
    fn bury(&mut self, ordinal: u32, burial: &Burial<'_>) -> Result<(), DeadLetterError> {
        let Burial { id, reject, sha256, remains, .. } = burial;
        let LinePlace { chunk, offset_bytes, length_bytes, .. } = self.line;
        self.dead_letter.write(&Entry {
            id: *id,
            reject,
            file: &chunk.file,
            offset_bytes,
            length_bytes,
            ordinal,
            sha256: Some(sha256),
            content: remains.content(),
        })?;
        count_dead(self.line_tally, id, reject);
        Ok(())
    }
}

/// Moves what rules have dropped of a line into a tally.
fn count_drops(dropped: &mut [DropCount], tally: &mut Tally) {
    for count in dropped.iter_mut().filter(|count| count.of_line > 0) {
        tally.dropped.add(&count.rule, std::mem::take(&mut count.of_line));
    }
}

/// Counts what is in the dead letter.
fn count_dead(tally: &mut Tally, id: &Id, reject: &Reject) {
    tally.keep(id);
    tally.dead_lettered.add(&reject.name(), 1);
}
