//! A range: what became of the lines of a part of a file?

use serde::{Deserialize, Serialize};

use crate::flow::batch::FileKey;
use crate::flow::tally::Tally;

/// A part of a file of which all lines are settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The path under which the file was read last.
    pub path: String,
    /// Its inode.
    pub inode: u64,
    /// How often the content had begun anew under this inode.
    pub generation: u32,
    /// Where the range begins, in bytes from the start of the file.
    pub from_bytes: u64,
    /// Where it ends.
    pub to_bytes: u64,
    /// What became of its lines.
    #[serde(flatten)]
    pub tally: Tally,
}

impl Range {
    /// Which content it is of.
    pub fn key(&self) -> FileKey {
        FileKey { inode: self.inode, generation: self.generation }
    }
}
