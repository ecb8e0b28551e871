//! `hash`: a digest that stands for members, the same wherever it is computed.
//!
//! SHA-256 over the canonical form of RFC 8785, in hexadecimal: of one field its value, of several the object
//! `{path: value}` of those that are there. A value is all that stands at its path and below it, in the nested form.
//! With a key it is HMAC-SHA-256 (RFC 2104), which cannot be guessed back from inputs of few possible values. A hash
//! that goes into what it is made of hides it.
//!
//! A value without a canonical form (half of a surrogate pair, `1e400`, a repeated name) is no reason to keep a
//! record out of the index: it is shipped without the hash, noted in `inferlog.notes` as `not_hashed` and counted.
//!
//! ```yaml
//! - hash: { fields: [features], when: "not input_hash : *" }
//! - hash: { fields: [user.id], into: user.id, key: "${HASH_KEY:a key of your own}" }
//! ```
//!
//! - `fields`: list of paths, required: what is hashed.
//! - `into`: path, required but for `features` alone, whose digest goes to `input_hash`: where the 64 digits go.
//! - `key`: secret: the key of an HMAC.
//! - `when`: condition: on which records.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::processor::{Processor, Run, count};
use crate::flow::reject::Reject;
use crate::record::canonical::{CanonicalError, Scratch, canonicalize, canonicalize_members};
use crate::record::{Path, Record, covers};
use crate::text::secret::Secret;

/// A note for `inferlog.notes`.
const NOT_HASHED: &str = "not_hashed";

/// Hashes members into another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash {
    /// What is hashed.
    pub fields: Vec<Path>,
    /// Where the digest goes, 64 hexadecimal digits.
    pub into: Path,
    /// The key of an HMAC; a plain digest without.
    pub key: Option<Secret>,
}

impl Processor for Hash {
    fn name(&self) -> &'static str {
        "hash"
    }

    /// A hash that takes the place of what it is made of hides it.
    fn hides(&self) -> &[Path] {
        if self.is_in_place() { std::slice::from_ref(&self.into) } else { &[] }
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        let context = &mut *run.context;
        count(run.hidden, record, &mut context.missed);
        let mut canonical = std::mem::take(&mut context.buffer);
        canonical.clear();
        let found = self.canonical(record, &mut context.scratch, &mut canonical);
        let digest = found.map(|found| found.then(|| self.digest(&canonical)));
        context.buffer = canonical;
        match digest {
            Ok(None) => Ok(()),
            Ok(Some(digest)) => {
                let mut raw = [b'"'; 66];
                write_hexadecimal(&digest, &mut raw[1..65]);
                record.set(&self.into, std::str::from_utf8(&raw).unwrap_or_default()).map(|_| ())
            }
            Err(_) => {
                context.note(NOT_HASHED);
                run.counters.enrich_unhashed_records_total.inc();
                self.leave_out(record)
            }
        }
    }
}

impl Hash {
    /// Without a hash, what it would have hidden must not stay.
    fn leave_out(&self, record: &mut Record<'_>) -> Result<(), Reject> {
        if self.is_in_place() { record.replace(&self.into, "null").map(|_| ()) } else { Ok(()) }
    }

    /// Whether the hash takes the place of what it is made of: `hash: { fields: [user.id], into: user.id }`.
    fn is_in_place(&self) -> bool {
        self.fields.iter().any(|field| covers(self.into.as_str(), field.as_str()))
    }

    /// The digest of a record's members in hexadecimal, without setting it; `None` when none of the fields is there.
    ///
    /// # Errors
    /// When a value has no canonical form.
    pub fn digest_of(&self, record: &Record<'_>) -> Result<Option<String>, CanonicalError> {
        let mut canonical = Vec::new();
        if !self.canonical(record, &mut Scratch::default(), &mut canonical)? {
            return Ok(None);
        }
        let mut digits = [b'0'; 64];
        write_hexadecimal(&self.digest(&canonical), &mut digits);
        Ok(Some(digits.iter().map(|digit| char::from(*digit)).collect()))
    }

    /// Writes what is hashed to `out`; false when none of the fields is there.
    fn canonical(&self, record: &Record<'_>, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<bool, CanonicalError> {
        if let [field] = self.fields.as_slice() {
            let Some(raw) = record.whole(field.as_str()) else { return Ok(false) };
            return canonicalize(&raw, scratch, out).map(|()| true);
        }
        let mut found = false;
        let members = self.fields.iter().filter_map(|field| Some((field.as_str(), record.whole(field.as_str())?)));
        canonicalize_members(members.inspect(|_| found = true), scratch, out)?;
        Ok(found)
    }

    fn digest(&self, canonical: &[u8]) -> [u8; 32] {
        match &self.key {
            None => Sha256::digest(canonical).into(),
            Some(key) => match Hmac::<Sha256>::new_from_slice(key.expose()) {
                Ok(mut mac) => {
                    mac.update(canonical);
                    mac.finalize().into_bytes().into()
                }
                Err(_) => unreachable!("BUG: HMAC takes keys of any length"),
            },
        }
    }
}

fn write_hexadecimal(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(out.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}
