//! `hash`: a digest that stands for members, the same wherever it is computed.
//!
//! SHA-256 over the canonical form of RFC 8785, in hexadecimal: of one field its value, of several the object
//! `{path: value}` of those that are there. With a key it is HMAC-SHA-256 (RFC 2104), which cannot be guessed back from
//! inputs of few possible values.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::Context;
use crate::flow::reject::{Reject, Stage};
use crate::record::canonical::{canonicalize, canonicalize_members};
use crate::record::{Path, Record};
use crate::text::secret::Secret;

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

impl Hash {
    pub(super) fn apply(&self, record: &mut Record<'_>, context: &mut Context) -> Result<(), Reject> {
        let mut canonical = std::mem::take(&mut context.buffer);
        canonical.clear();
        let found = self.canonical(record, context, &mut canonical);
        let digest = found.map(|found| found.then(|| self.digest(&canonical)));
        context.buffer = canonical;
        let Some(digest) = digest? else { return Ok(()) };
        let mut raw = [b'"'; 66];
        write_hexadecimal(&digest, &mut raw[1..65]);
        record.set(&self.into, std::str::from_utf8(&raw).unwrap_or_default()).map(|_| ())
    }

    /// The digest of a record's members in hexadecimal, without setting it; `None` when none of the fields is there.
    ///
    /// # Errors
    /// A [`Reject`] when a value has no canonical form.
    pub fn digest_of(&self, record: &Record<'_>) -> Result<Option<String>, Reject> {
        let mut canonical = Vec::new();
        if !self.canonical(record, &mut Context::default(), &mut canonical)? {
            return Ok(None);
        }
        let mut digits = [b'0'; 64];
        write_hexadecimal(&self.digest(&canonical), &mut digits);
        Ok(Some(digits.iter().map(|digit| char::from(*digit)).collect()))
    }

    /// Writes what is hashed to `out`; false when none of the fields is there.
    fn canonical(&self, record: &Record<'_>, context: &mut Context, out: &mut Vec<u8>) -> Result<bool, Reject> {
        if let [field] = self.fields.as_slice() {
            let Some(raw) = record.first(field.as_str()) else { return Ok(false) };
            return canonicalize(raw, &mut context.scratch, out).map_err(|error| reject(&error)).map(|()| true);
        }
        let members: Vec<(&str, &str)> = self
            .fields
            .iter()
            .filter_map(|field| record.first(field.as_str()).map(|raw| (field.as_str(), raw)))
            .collect();
        if members.is_empty() {
            return Ok(false);
        }
        canonicalize_members(&members, &mut context.scratch, out).map_err(|error| reject(&error)).map(|()| true)
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

fn reject(error: &crate::record::canonical::CanonicalError) -> Reject {
    Reject::new(Stage::Enrich, "no_canonical_form", error.to_string())
}
