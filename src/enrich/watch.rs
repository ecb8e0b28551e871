//! Watching: what did each processor do with a record?
//!
//! For verbs that tell people of it. In a run nobody looks on, which costs nothing.

use crate::record::Record;

/// What has been decided about a record so far, beside its members.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided<'d> {
    /// Its `@timestamp`, in microseconds since 1970, once a processor has set it.
    pub timestamp_us: Option<i64>,
    /// Notes on what was assumed.
    pub notes: &'d [&'static str],
    /// Which of the fields that the processor should hide the record does not have, by their positions.
    pub missed: &'d [usize],
    /// A processor has taken its id from members.
    pub has_id: bool,
    /// The rule that keeps it from being shipped.
    pub dropped: Option<&'d str>,
}

/// Looks on while the processors run.
pub trait Watch {
    /// The next record of the line comes, as the decoder gave it, or what is none.
    fn begin(&mut self, _: Option<&Record<'_>>) {}

    /// Processor number `position`, counted from 0, comes next, and runs if its condition `holds`.
    fn before(&mut self, position: usize, holds: bool, record: &Record<'_>, decided: &Decided<'_>);

    /// It has run, and did not turn the record away.
    fn after(&mut self, position: usize, record: &Record<'_>, decided: &Decided<'_>);
}

/// Does not look.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Watch for Nobody {
    #[inline]
    fn before(&mut self, _: usize, _: bool, _: &Record<'_>, _: &Decided<'_>) {}

    #[inline]
    fn after(&mut self, _: usize, _: &Record<'_>, _: &Decided<'_>) {}
}
