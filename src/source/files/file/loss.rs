//! Loss: what of a file was seen, and is gone before it was read?

#[derive(Debug, Default)]
pub(super) struct Loss {
    /// The size of this content when it was last proven to be there, in bytes.
    pub(super) proven_bytes: u64,
    /// Bytes that were seen and cut away unread, not told yet.
    pub(super) untold_bytes: u64,
    /// It was seen to be shorter than what is consumed, so its content is another one, whatever it looks like now.
    pub(super) is_cut: bool,
}

impl Loss {
    /// The file is shorter than it was: of its content, which ended at `end`, what stands behind `left` is gone.
    pub(super) fn shortened(&mut self, end: u64, left: u64) {
        self.untold_bytes += end.saturating_sub(left);
        self.proven_bytes = self.proven_bytes.min(left);
    }

    /// Takes what is known to be cut away unread, in bytes. With `replaced_behind` nothing is left of what stood between
    /// that offset and the end of the content.
    pub(super) fn take(&mut self, content_end: u64, replaced_behind: Option<u64>) -> u64 {
        let proven_bytes = self.proven_bytes.min(content_end);
        let overwritten = replaced_behind.map_or(0, |consumed| proven_bytes.saturating_sub(consumed));
        self.proven_bytes -= overwritten;
        std::mem::take(&mut self.untold_bytes) + overwritten
    }
}
