//! What people are told of files, and what is counted with it.

use std::path::Path;

use super::discover::Unreadable;
use crate::telemetry::Counters;

/// Says, and counts, what can be delivered no more.
pub(super) fn report_lost(path: &Path, bytes: u64, counters: &Counters) {
    if bytes > 0 {
        tracing::warn!(
            path = %path.display(),
            bytes,
            "this many bytes of the file were deleted or overwritten before they were delivered; they are lost; hint: \
             rotate by renaming, and keep rotated files until inferlog has delivered them"
        );
        counters.source_lost_bytes_total.inc_by(bytes);
    }
}

/// Says, and counts, what stands in no file any more, or never did.
pub(super) fn tell_gap(path: &Path, offset_bytes: u64, length_bytes: u64, counters: &Counters) {
    tracing::warn!(
        path = %path.display(),
        offset_bytes,
        length_bytes,
        "NUL bytes stand in the file where lines should be, and nobody has filled them: they are passed over, with the parts \
         of lines that they destroyed; hint: a crash, or a writer that was truncated and does not append, leaves them"
    );
    counters.source_nul_bytes_total.inc_by(length_bytes);
}

/// Says what cannot be read, and what to do about it.
pub(super) fn warn_unreadable(complaint: &Unreadable) {
    tracing::warn!(
        path = %complaint.path.display(),
        reason = complaint.reason,
        hint = complaint.hint,
        "cannot read this, trying again at every scan"
    );
}
