//! Lines: what must have become of each line of a file, and of each of its records, judged by the pipeline file as it is now?
//!
//! The file is read by the source's own code and judged by the one [`line::Judge`], so that there is one truth about which
//! lines there are and which ids they have.

use std::io;

use chrono::Utc;

use crate::config::model;
use crate::enrich::{Nobody, Source};
use crate::flow::batch::Id;
use crate::judge::enrichment::host_name;
use crate::judge::line;
use crate::record::Space;
use crate::source::files::file::{Gaps, TailedFile, Turn};
use crate::source::framing::{Framing, Lines};
use crate::telemetry::Telemetry;

/// How much of a file is read at a time, in bytes.
const BLOCK_BYTES: usize = 1024 * 1024;

/// What must have become of a record, or of a line that is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LineFate {
    /// A rule drops it; kept, it would have this id.
    Dropped(Id),
    /// It is a document with this id, and a time of its own in microseconds since 1970, if it has one; else it was given
    /// the moment in which it was read.
    Document(Id, Option<i64>),
    /// It is in the dead letter under this id.
    Dead(Id),
}

/// A record of a line that was judged, or a line that is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineJudgement {
    /// The start of the line, in bytes from the start of the file.
    pub(super) offset_bytes: u64,
    /// Which of the line's records it is, counted from 0.
    pub(super) ordinal: u32,
    /// The line has others.
    pub(super) is_one_of_several: bool,
    /// It is a record.
    pub(super) is_record: bool,
    pub(super) fate: LineFate,
}

/// Judges lines.
pub(super) struct FileJudge {
    judge: line::Judge,
    space: Space,
    framing: Framing,
    buffer: Vec<u8>,
}

impl FileJudge {
    pub(super) fn new(pipeline: &model::Pipeline) -> FileJudge {
        FileJudge {
            judge: line::Judge::new(pipeline, &host_name(), &Telemetry::default().pipeline(&pipeline.name)),
            space: Space::default(),
            framing: pipeline.source.files.framing(),
            buffer: Vec::new(),
        }
    }

    /// Judges the next lines of a file, up to an offset. Returns false when there are no more before it.
    pub(super) fn next_block(
        &mut self,
        file: &mut TailedFile,
        to_bytes: u64,
        judged: &mut Vec<LineJudgement>,
    ) -> io::Result<bool> {
        judged.clear();
        while file.consumed_position().offset_bytes < to_bytes {
            let turn = match file.read(&mut self.buffer, BLOCK_BYTES, &self.framing, Gaps::GiveUp)? {
                Turn::Busy => continue,
                Turn::End => match file.unterminated(&mut self.buffer, &self.framing)? {
                    Some(turn) => turn,
                    None => return Ok(false),
                },
                turn => turn,
            };
            match turn {
                Turn::Lines { range, offset_bytes } => self.judge_block(file, range, offset_bytes, to_bytes, judged)?,
                Turn::PassedOver { what, offset_bytes, length_bytes } => {
                    let source_file = file.source_file()?;
                    let source = Source::of_place(&source_file, offset_bytes);
                    let (id, _) = self.judge.passed_over(what, length_bytes, &source);
                    let fate = LineFate::Dead(id);
                    let (ordinal, is_one_of_several, is_record) = (0, false, false);
                    judged.push(LineJudgement { offset_bytes, ordinal, is_one_of_several, is_record, fate });
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
        judged: &mut Vec<LineJudgement>,
    ) -> io::Result<()> {
        let source_file = file.source_file()?;
        let length = range.len().min((to_bytes - offset_bytes) as usize);
        let block = &self.buffer[range.start..range.start + length];
        let mut lines = Lines::new(block, offset_bytes, source_file.form);
        while let Some(line) = lines.next_line() {
            let read_us = Utc::now().timestamp_micros();
            let source = Source::of(&source_file, &line, read_us);
            let start = judged.len();
            let mut keep = |it: line::Judged<'_>| judged.push(LineJudgement::of(it.source, &it.fate));
            self.judge.judge(&line, &source, &mut self.space, &mut Nobody, &mut keep);
            let is_one_of_several = judged.len() - start > 1;
            judged[start..].iter_mut().for_each(|record| record.is_one_of_several = is_one_of_several);
        }
        Ok(())
    }
}

impl LineJudgement {
    fn of(source: &Source<'_>, fate: &line::Fate<'_>) -> LineJudgement {
        let (is_record, fate) = match fate {
            line::Fate::Document(verdict, _) => {
                (true, LineFate::Document(verdict.id, verdict.timed.then_some(verdict.timestamp_us)))
            }
            line::Fate::Dropped(_, verdict, _) => (true, LineFate::Dropped(verdict.id)),
            line::Fate::LeftOut(_, id) => (false, LineFate::Dropped(*id)),
            line::Fate::Rejected(id, _, record) => (record.is_some(), LineFate::Dead(*id)),
        };
        let Source { offset_bytes, ordinal, .. } = *source;
        LineJudgement { offset_bytes, ordinal, is_one_of_several: false, is_record, fate }
    }
}
