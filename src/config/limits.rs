//! `workers`, `batch`, `queue`, `rate_limit` and `dead_letter`: how much, how fast, and what of the rest?

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use super::field::Field;
use super::model::{BatchLimits, DeadLetter, QueueLimits, RateLimit, RawLine, WhenFull};
use super::section::Section;
use crate::decode::{Decode, Reshape};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const TIB: u64 = 1 << 40;

/// What holds when the file says nothing.
pub(super) const BATCH: BatchLimits =
    BatchLimits { bytes_max: MIB as usize, items_max: 4096, linger: Duration::from_millis(100) };

/// Reads `workers`. More than one cannot do what one line says of another.
pub(super) fn workers(field: &Field<'_>, decode: Option<&Decode>) -> Option<u32> {
    let workers = field.integer(1..=64)?;
    let pairs = |decode: &Decode| decode.reshape.iter().any(|reshape| matches!(reshape, Reshape::Pair(_)));
    if workers > 1 && decode.is_some_and(pairs) {
        let message = "`workers`: `pair` keeps what one line says for another, which only one worker can do";
        field.complain(message.to_owned(), Some("leave `workers` out, or `pair`".to_owned()));
    }
    Some(workers)
}

pub(super) fn batch(field: &Field<'_>) -> Option<BatchLimits> {
    let mut section = field.section()?;
    let bytes_max = section.optional("bytes_max", |field| field.bytes(4 * KIB..=64 * MIB));
    let items_max = section.optional("items_max", |field| field.integer(1..=65_536));
    let linger = section.optional("linger", |field| field.duration(Duration::ZERO..=Duration::from_secs(60)));
    section.finish();
    Some(BatchLimits {
        bytes_max: bytes_max.map_or(BATCH.bytes_max, |bytes| bytes as usize),
        items_max: items_max.map_or(BATCH.items_max, |items| items as usize),
        linger: linger.unwrap_or(BATCH.linger),
    })
}

/// Reads `queue`, which may be missing, and holds it against what has to fit in: one batch, one line.
pub(super) fn queue(file: &mut Section<'_>, batch_bytes_max: u64, line_bytes_max: u64) -> QueueLimits {
    let defaults = QueueLimits { memory_bytes_max: 8 * MIB, unacknowledged_bytes_max: 256 * MIB };
    let read = file.optional("queue", |field| {
        let mut section = field.section()?;
        let memory = section.optional("memory_bytes_max", |field| field.bytes(4 * KIB..=16 * GIB));
        let unacknowledged = section.optional("unacknowledged_bytes_max", |field| field.bytes(64 * KIB..=TIB));
        let limits = QueueLimits {
            memory_bytes_max: memory.unwrap_or(defaults.memory_bytes_max),
            unacknowledged_bytes_max: unacknowledged.unwrap_or(defaults.unacknowledged_bytes_max),
        };
        if limits.memory_bytes_max < batch_bytes_max {
            section.complain("`queue.memory_bytes_max` is less than `batch.bytes_max`".to_owned(), None);
        }
        if limits.unacknowledged_bytes_max < line_bytes_max {
            let message = "`queue.unacknowledged_bytes_max` is less than `source.files.line_bytes_max`";
            section.complain(message.to_owned(), None);
        }
        section.finish();
        Some(limits)
    });
    // The default grows with a batch that the file made larger than it.
    let fitting = QueueLimits { memory_bytes_max: defaults.memory_bytes_max.max(batch_bytes_max), ..defaults };
    read.unwrap_or(fitting)
}

pub(super) fn rate_limit(field: &Field<'_>) -> Option<RateLimit> {
    let mut section = field.section()?;
    let records = section.field("records_per_second");
    let bytes = section.field("bytes_per_second");
    if records.is_none() && bytes.is_none() {
        let message = "`rate_limit` needs `records_per_second`, `bytes_per_second` or both".to_owned();
        section.complain(message, None);
    }
    section.finish();
    let records = records.and_then(|field| field.integer(1..=u32::MAX));
    let bytes = bytes.and_then(|field| field.bytes(1..=TIB));
    Some(RateLimit {
        records_per_second: records.and_then(NonZeroU32::new),
        bytes_per_second: bytes.and_then(NonZeroU64::new),
    })
}

/// What holds when the file says nothing.
pub(super) const DEAD_LETTER: DeadLetter =
    DeadLetter { raw: RawLine::UnlessHidden, bytes_max: 256 * MIB, when_full: WhenFull::Pause };

pub(super) fn dead_letter(field: &Field<'_>) -> Option<DeadLetter> {
    let mut section = field.section()?;
    let raw = section.optional("raw", |field| field.word(&["keep", "omit"]));
    let bytes_max = section.optional("bytes_max", |field| field.bytes(MIB..=TIB));
    let when_full = section.optional("when_full", |field| field.word(&["pause", "drop_oldest"]));
    section.finish();
    Some(DeadLetter {
        raw: match raw {
            Some("keep") => RawLine::Keep,
            Some(_) => RawLine::Omit,
            None => DEAD_LETTER.raw,
        },
        bytes_max: bytes_max.unwrap_or(DEAD_LETTER.bytes_max),
        when_full: if when_full == Some("drop_oldest") { WhenFull::DropOldest } else { DEAD_LETTER.when_full },
    })
}
