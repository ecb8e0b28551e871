//! `id`: which document is this, whenever it is made again?
//!
//! ```text
//! 5 bytes   seconds of the record's own time since 1970, big-endian; zero without one, or with `unique`
//! 16 bytes  the first half of a SHA-256
//! ```
//!
//! in URL-safe base64, 28 characters. The digest is over host name or configured source id, inode, digest of the
//! first line, generation, offset, ordinal within the line, and the line's bytes: nothing that grows, no device, no
//! path, no clock. So a line has the same id after a rename, a restart, and the loss of the state folder. With `id:
//! { from: … }` the digest is over those values and the line; with `unique: true` over the values alone.
//!
//! ```yaml
//! - id: { from: [request_id] }
//! ```
//!
//! - `from`: list of paths, required: the members whose values make the id. A record without any of them keeps that
//!   of its place.
//! - `unique`: `true` or `false`, default `false`: with `true` records that are equal in these members are one
//!   document, whatever else they say, and only the first is kept.
//! - `when`: condition: on which records.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::processor::{Context, Digest, Processor, Run, Source};
use crate::flow::batch::{Id, SourceFile};
use crate::flow::reject::Reject;
use crate::record::{Path, Record};

/// Takes the id from members instead of the line's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdFrom {
    /// The members.
    pub from: Vec<Path>,
    /// Lines that are equal in these members are one document, even if they differ elsewhere.
    pub unique: bool,
}

impl Processor for IdFrom {
    fn name(&self) -> &'static str {
        "id"
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let mut hasher = Sha256::new();
        // A record without any of them keeps the id of its place.
        if !hash_members(&mut hasher, record, &self.from) {
            return Ok(());
        }
        if !self.unique {
            hasher.update(run.source.line);
            if run.source.ordinal > 0 {
                hasher.update(run.source.ordinal.to_le_bytes());
            }
        }
        run.context.id_digest = Some(half(hasher));
        run.context.unique = self.unique;
        Ok(())
    }
}

/// Makes ids.
#[derive(Debug)]
pub struct Identity {
    source_id: String,
    /// The digest of what all lines of the last file share.
    seed: Option<(Arc<SourceFile>, Sha256)>,
}

impl Identity {
    /// Makes ids for lines of this host, or of a configured source.
    pub fn new(source_id: &str) -> Identity {
        Identity { source_id: source_id.to_owned(), seed: None }
    }

    pub(super) fn id(&mut self, source: &Source<'_>, context: &Context) -> Id {
        let digest = context.id_digest.unwrap_or_else(|| self.digest(source));
        let timed = context.timed && !context.unique;
        let seconds = context.timestamp_us.filter(|_| timed).map_or(0, |micros| micros.div_euclid(1_000_000));
        Id::new(seconds, digest)
    }

    pub(super) fn id_of_line(&mut self, source: &Source<'_>) -> Id {
        Id::new(0, self.digest(source))
    }

    fn digest(&mut self, source: &Source<'_>) -> Digest {
        let mut hasher = self.seed(source.file);
        let mut place = [0; 12];
        place[..8].copy_from_slice(&source.offset_bytes.to_le_bytes());
        place[8..].copy_from_slice(&source.ordinal.to_le_bytes());
        hasher.update(place);
        hasher.update(source.line);
        half(hasher)
    }

    fn seed(&mut self, file: &Arc<SourceFile>) -> Sha256 {
        match &self.seed {
            Some((last, seed)) if Arc::ptr_eq(last, file) => seed.clone(),
            _ => {
                let mut seed = Sha256::new();
                seed.update((self.source_id.len() as u64).to_le_bytes());
                seed.update(&self.source_id);
                seed.update(file.inode.to_le_bytes());
                seed.update(file.generation.to_le_bytes());
                seed.update(file.first_line_sha256);
                self.seed = Some((Arc::clone(file), seed.clone()));
                seed
            }
        }
    }
}

/// Hashes what stands at some paths, as text, so that it needs no canonical form; false where nothing does.
pub(super) fn hash_members(hasher: &mut Sha256, record: &Record<'_>, fields: &[Path]) -> bool {
    let mut found = false;
    for field in fields {
        let raw = record.whole(field.as_str()).unwrap_or_default();
        found |= !raw.is_empty();
        hasher.update((raw.len() as u64).to_le_bytes());
        hasher.update(raw.as_bytes());
    }
    found
}

fn half(hasher: Sha256) -> Digest {
    let digest: [u8; 32] = hasher.finalize().into();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    half
}
