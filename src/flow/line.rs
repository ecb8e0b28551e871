//! A line: what a source finds and a decoder reads.

/// One line of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'b> {
    /// Where it starts, in bytes from the start of the file.
    pub offset_bytes: u64,
    /// Its bytes, without the line end.
    pub bytes: &'b [u8],
    /// The same as text; `None` when it is not UTF-8.
    pub text: Option<&'b str>,
}
