//! Lines: what must have become of each line of a file, judged by the pipeline file as it is now?
//!
//! The file is read by the source's own code and judged by the stages' own code, so that there is one truth about which
//! lines there are and which ids they have.

use std::io;

use chrono::Utc;

use crate::config::model;
use crate::decode::Decode;
use crate::enrich::{Enrichment, Source};
use crate::flow::batch::Id;
use crate::flow::line::Line;
use crate::judge::enrichment;
use crate::record::Space;
use crate::source::files::file::{Gaps, TailedFile, Turn};
use crate::source::framing::Lines;
use crate::telemetry::Telemetry;

/// How much of a file is read at a time, in bytes.
const BLOCK_BYTES: usize = 1024 * 1024;

/// What must have become of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// A rule drops it; kept, it would have this id.
    Dropped(Id),
    /// It is a document with this id, and a time of its own in microseconds since 1970, if it has one; else it was given
    /// the moment in which it was read.
    Document(Id, Option<i64>),
    /// It is in the dead letter under this id.
    Dead(Id),
}

/// A line that was judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judged {
    /// The start of the line, in bytes from the start of the file.
    pub(super) offset_bytes: u64,
    /// It is a record.
    pub(super) is_record: bool,
    pub(super) fate: Fate,
}

/// Judges lines.
pub(super) struct Judge {
    enrichment: Enrichment,
    decode: Decode,
    space: Space,
    line_bytes_max: usize,
    buffer: Vec<u8>,
}

impl Judge {
    pub(super) fn new(pipeline: &model::Pipeline) -> Judge {
        let enrichment = enrichment::enrichment(pipeline, &Telemetry::default().pipeline(&pipeline.name));
        Judge {
            enrichment,
            decode: enrichment::decode(pipeline.decode),
            space: Space::default(),
            line_bytes_max: pipeline.source.files.line_bytes_max as usize,
            buffer: Vec::new(),
        }
    }

    /// Judges the next lines of a file, up to an offset. Returns false when there are no more before it.
    pub(super) fn next_block(
        &mut self,
        file: &mut TailedFile,
        to_bytes: u64,
        judged: &mut Vec<Judged>,
    ) -> io::Result<bool> {
        judged.clear();
        while file.consumed_position().offset_bytes < to_bytes {
            let turn = match file.read(&mut self.buffer, BLOCK_BYTES, self.line_bytes_max, Gaps::GiveUp)? {
                Turn::Busy => continue,
                Turn::End => match file.unterminated(&mut self.buffer, self.line_bytes_max)? {
                    Some(turn) => turn,
                    None => return Ok(false),
                },
                turn => turn,
            };
            match turn {
                Turn::Lines { range, offset_bytes } => self.judge_block(file, range, offset_bytes, to_bytes, judged)?,
                Turn::PassedOver { offset_bytes, length_bytes, .. } => {
                    judged.push(self.judge_passed_over(file, offset_bytes, length_bytes)?);
                }
                Turn::Busy | Turn::Replaced | Turn::Unknown | Turn::End => return Ok(false),
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn judge_block(
        &mut self,
        file: &mut TailedFile,
        range: std::ops::Range<usize>,
        offset_bytes: u64,
        to_bytes: u64,
        judged: &mut Vec<Judged>,
    ) -> io::Result<()> {
        let source_file = file.source_file()?;
        let length = range.len().min((to_bytes - offset_bytes) as usize);
        let block = &self.buffer[range.start..range.start + length];
        for line in Lines::new(block, offset_bytes) {
            let read_us = Utc::now().timestamp_micros();
            let source = Source { file: &source_file, offset_bytes: line.offset_bytes, read_us };
            judged.push(judge(self.decode, &mut self.enrichment, &mut self.space, &line, source));
        }
        Ok(())
    }

    fn judge_passed_over(&mut self, file: &mut TailedFile, offset_bytes: u64, length_bytes: u64) -> io::Result<Judged> {
        let source_file = file.source_file()?;
        let source = Source { file: &source_file, offset_bytes, read_us: 0 };
        let id = self.enrichment.id_of_line(&length_bytes.to_le_bytes(), source);
        Ok(Judged { offset_bytes, is_record: false, fate: Fate::Dead(id) })
    }
}

fn judge(
    decode: Decode,
    enrichment: &mut Enrichment,
    space: &mut Space,
    line: &Line<'_>,
    source: Source<'_>,
) -> Judged {
    let offset_bytes = line.offset_bytes;
    let Ok(mut record) = decode.decode(line, space) else {
        let fate = Fate::Dead(enrichment.id_of_line(line.bytes, source));
        return Judged { offset_bytes, is_record: false, fate };
    };
    let fate = match enrichment.apply(&mut record, source) {
        Ok(verdict) if verdict.dropped.is_some() => Fate::Dropped(verdict.id),
        Ok(verdict) => Fate::Document(verdict.id, verdict.timed.then_some(verdict.timestamp_us)),
        Err(_) => Fate::Dead(enrichment.id_of_line(line.bytes, source)),
    };
    Judged { offset_bytes, is_record: true, fate }
}
