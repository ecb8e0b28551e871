//! `hash`: a digest that stands for members, the same wherever it is computed.
//!
//! SHA-256 over the canonical form of RFC 8785, in hexadecimal: of one field its value, of several the object
//! `{path: value}` of those that are there. A value is all that stands at its path and below it, in the nested form.
//! A path with wildcards stands for all that it means and that are there: `features.*` makes an object with the members
//! `features.amount` and `features.country`.
//!
//! With a key it is HMAC-SHA-256 (RFC 2104), which cannot be guessed back from inputs of few possible values. A hash
//! that goes into what it is made of hides it.
//!
//! What is hashed, byte for byte: the salt and one zero byte, where there is a salt; then the canonical form, in UTF-8.
//! [Three lines of Python](hashing.md#in-python) make the same.
//!
//! Several `keys` are a ring: the first one hashes, and its `id` is written beside the digest, to `<into>_key_id`; those
//! behind it are old ones, with which `inferlog query --input` and `--subject` find what was shipped under them.
//!
//! A value without a canonical form (half of a surrogate pair, `1e400`, a repeated name, more than 128 levels) is no
//! reason to keep a record out of the index: it is shipped without the hash, noted in `inferlog.notes` as `not_hashed`
//! and counted. In place of it, the bytes of the value as the log has them are hashed in the same way, to
//! `<into>_bytes_hash` (`input_hash` gives `input_bytes_hash`, and `input_hmac` gives `input_bytes_hmac`); not so where
//! several values are hashed together, which are no one stretch of bytes.
//!
//! The hash of a text that its writer has cut stands for all texts that begin alike: `inferlog.notes` has
//! `hash_of_cut_text`. Cut is a text, at any depth, that ends in a mark with the word `truncated` in brackets or behind
//! dots (`… [truncated 12 bytes]`, `<truncated>`, `...TRUNCATED...`) or in `... 12 more characters`, and a hashed field
//! that is a text with `truncated: true` or `<field>_truncated: true` beside it. Three dots or `…` alone are none: people
//! write them. `cut` adds such endings.
//!
//! ```yaml
//! - hash: { fields: [features], when: "not input_hash : *" }
//! - hash: { fields: [user.id], into: user.id, key: "${HASH_KEY:a key of your own}" }
//! - hash:
//!     fields: [subject]
//!     keys: [{ id: 2026-11, secret: "${NEW:the new one}" }, { id: 2026-05, secret: "${OLD:the old one}" }]
//! - hash: { fields: [prompt], into: prompt_hash, salt: prompts, cut: ["…"], numbers: as_written }
//! ```
//!
//! - `fields`: list of paths, with wildcards as in `redact`, required: what is hashed.
//! - `into`: path: where the 64 digits go. Of `features` alone `input_hash`, with a key `input_hmac`; of `subject` alone
//!   with a key `subject_hmac`; else required.
//! - `key`: secret: the key of an HMAC.
//! - `keys`: list of at most 16 `{ id, secret }`, in place of `key`: the ring. An `id` has letters, digits, `.`, `_`
//!   and `-`.
//! - `salt`: text: hashed before the value, so that equal values of two fields, or of two firms, have different hashes.
//! - `numbers`: `canonical` or `as_written`, default `canonical`: a number is hashed as the double that it stands for (1.0
//!   is 1, and 9007199254740993 is 9007199254740992), or by the digits that it is written with.
//! - `cut`: list of texts: what else a text ends in that its writer has cut.
//! - `when`: condition: on which records.

use std::borrow::Cow;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};

use super::processor::{Processor, Run, count};
use crate::flow::reject::Reject;
use crate::record::canonical::{
    CanonicalError, CanonicalForm, Numbers, Scratch, Texts, canonicalize_as, canonicalize_members,
};
use crate::record::{Path, PathPattern, Record, Room, covers};
use crate::text::digest::{hexadecimal, push_quoted_sha256};
use crate::text::secret::Secret;

/// A note for `inferlog.notes`: what was to be hashed has no canonical form.
const NOT_HASHED: &str = "not_hashed";

/// A note for `inferlog.notes`: a text that was hashed is not all that its writer had.
const HASH_OF_CUT_TEXT: &str = "hash_of_cut_text";

/// The most keys of a ring.
pub const KEYS_MAX: usize = 16;

/// Hashes members into another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hash {
    /// What is hashed.
    pub fields: Vec<PathPattern>,
    /// Where the digest goes.
    pub into: HashPlace,
    /// Where the digest of a value's bytes goes that has no canonical form.
    pub bytes_into: HashPlace,
    /// The keys of an HMAC, the current one first; a plain digest without.
    pub keys: Vec<HashKey>,
    /// What is hashed before each value, with a zero byte behind it.
    pub salt: Option<Secret>,
    /// How numbers are hashed.
    pub numbers: Numbers,
    /// What a text ends in that its writer has cut, beside the marks that are known.
    pub cut_endings: Vec<String>,
    /// For each field without wildcards, members that say of its text that it was cut.
    pub cut_flags: Vec<[Path; 2]>,
}

/// Members that a digest goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPlace {
    /// The digest, 64 hexadecimal digits.
    pub digest: Path,
    /// The id of its key, where that has one.
    pub key_id: Path,
}

/// The key of an HMAC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashKey {
    /// Its id, in quotes.
    quoted_id: Option<String>,
    secret: Secret,
}

impl HashKey {
    /// A key, whose id is written beside a digest; it has letters, digits, `.`, `_` and `-`.
    pub fn new(id: Option<&str>, secret: Secret) -> HashKey {
        HashKey { quoted_id: id.map(|id| format!("\"{id}\"")), secret }
    }

    /// Its id.
    pub fn id(&self) -> Option<&str> {
        self.quoted_id.as_deref().map(|id| id.trim_matches('"'))
    }

    /// The key itself.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }
}

/// The digests of one content under each key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digests<'h> {
    /// Where the pipeline writes them.
    pub into: &'h HashPlace,
    /// In hexadecimal: those under the keys, the current one first, or the one without a key.
    pub hexadecimal: Vec<String>,
}

/// What is to be hashed, in a buffer.
enum Content {
    /// None of the fields is there.
    Nothing,
    Canonical(Texts),
    /// It has no canonical form, but is one stretch of bytes.
    Bytes,
}

impl Processor for Hash {
    fn name(&self) -> &'static str {
        "hash"
    }

    /// A hash that takes the place of what it is made of hides it.
    fn hides(&self) -> Vec<PathPattern> {
        if self.is_in_place() { vec![self.into.digest.clone().into()] } else { Vec::new() }
    }

    fn adds(&self) -> Vec<Path> {
        let places = [&self.into, &self.bytes_into].into_iter();
        places.flat_map(|place| [place.digest.clone(), place.key_id.clone()]).collect()
    }

    fn apply(&self, record: &mut Record<'_>, run: &mut Run<'_>) -> Result<(), Reject> {
        count(run.hidden, record, &mut run.context.missed);
        let mut buffer = std::mem::take(&mut run.context.buffer);
        buffer.clear();
        let content = self.content(record, &mut run.context.scratch, &mut buffer);
        let done = self.write(&content, &buffer, record, run);
        run.context.buffer = buffer;
        done
    }
}

impl Hash {
    /// A plain SHA-256 in canonical form, to which keys and whatever else is wanted are given.
    pub fn new(fields: Vec<PathPattern>, into: &Path) -> Hash {
        let cut_flags = fields.iter().filter_map(PathPattern::path).map(cut_flags).collect();
        Hash {
            fields,
            into: HashPlace::at(into.clone()),
            bytes_into: HashPlace::at(into.reworded(bytes_name)),
            keys: Vec::new(),
            salt: None,
            numbers: Numbers::Canonical,
            cut_endings: Vec::new(),
            cut_flags,
        }
    }

    /// The digests of a record's members, without setting them; `None` when none of the fields is there.
    ///
    /// # Errors
    /// When a value has no canonical form, and is not one stretch of bytes.
    pub fn digests_of(&self, record: &Record<'_>) -> Result<Option<Digests<'_>>, CanonicalError> {
        let mut content = Vec::new();
        let into = match self.content(record, &mut Scratch::default(), &mut content)? {
            Content::Nothing => return Ok(None),
            Content::Canonical(_) => &self.into,
            Content::Bytes => &self.bytes_into,
        };
        let digest = |key| hexadecimal(&digest_of(key, &content));
        let under_keys: Vec<String> = self.keys.iter().map(|key| digest(Some(key))).collect();
        let hexadecimal = if self.keys.is_empty() { vec![digest(None)] } else { under_keys };
        Ok(Some(Digests { into, hexadecimal }))
    }

    /// Whether the hash takes the place of what it is made of: `hash: { fields: [user.id], into: user.id }`.
    pub fn is_in_place(&self) -> bool {
        self.plain_fields().any(|field| covers(self.into.digest.as_str(), field.as_str()))
    }

    /// The only field, whose value is hashed by itself and not as a member of an object.
    pub fn only_field(&self) -> Option<&Path> {
        if let [field] = self.fields.as_slice() { field.path() } else { None }
    }

    /// The fields that have no wildcards.
    fn plain_fields(&self) -> impl Iterator<Item = &Path> {
        self.fields.iter().filter_map(PathPattern::path)
    }

    /// Writes what is hashed to `out`.
    fn content(
        &self,
        record: &Record<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Content, CanonicalError> {
        if let Some(salt) = &self.salt {
            out.extend_from_slice(salt.expose());
            out.push(0);
        }
        let form = CanonicalForm { numbers: self.numbers, cut_endings: &self.cut_endings };
        let (Some(field), [flags]) = (self.only_field(), self.cut_flags.as_slice()) else {
            return self.members(form, record, scratch, out);
        };
        let Some(raw) = record.whole(field) else { return Ok(Content::Nothing) };
        match (canonicalize_as(form, &raw, scratch, out), &raw) {
            (Ok(Texts::Whole), _) if is_flagged(record, &raw, flags) => Ok(Content::Canonical(Texts::Cut)),
            (Ok(texts), _) => Ok(Content::Canonical(texts)),
            (Err(_), Cow::Borrowed(raw)) => {
                out.extend_from_slice(raw.as_bytes());
                Ok(Content::Bytes)
            }
            (Err(error), Cow::Owned(_)) => Err(error),
        }
    }

    /// The same of several fields.
    fn members(
        &self,
        form: CanonicalForm<'_>,
        record: &Record<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<u8>,
    ) -> Result<Content, CanonicalError> {
        let mut found = false;
        let by_wildcards = self.by_wildcards(record);
        let fields = self.plain_fields().chain(&by_wildcards);
        let members = fields.filter_map(|field| Some((field.as_str(), record.whole(field)?)));
        let texts = canonicalize_members(form, members.inspect(|_| found = true), scratch, out)?;
        let mut flagged = self.plain_fields().zip(&self.cut_flags);
        let is_cut =
            flagged.any(|(field, flags)| record.first(field).is_some_and(|raw| is_flagged(record, raw, flags)));
        Ok(match found {
            true => Content::Canonical(if is_cut { Texts::Cut } else { texts }),
            false => Content::Nothing,
        })
    }

    /// What wildcards mean in a record, but for what is named besides.
    fn by_wildcards(&self, record: &Record<'_>) -> Vec<Path> {
        let mut paths: Vec<Path> = Vec::new();
        for pattern in self.fields.iter().filter(|field| field.path().is_none()) {
            paths.extend(record.paths_of(pattern));
        }
        paths.sort_unstable();
        paths.dedup();
        paths.retain(|path| self.plain_fields().all(|field| field != path));
        paths
    }

    fn write(
        &self,
        content: &Result<Content, CanonicalError>,
        bytes: &[u8],
        record: &mut Record<'_>,
        run: &mut Run<'_>,
    ) -> Result<(), Reject> {
        match content {
            Ok(Content::Nothing) => return Ok(()),
            Ok(Content::Canonical(texts)) => {
                if *texts == Texts::Cut {
                    run.context.note(HASH_OF_CUT_TEXT);
                }
                return self.set(&self.into, bytes, record);
            }
            Ok(Content::Bytes) | Err(_) => {}
        }
        run.context.note(NOT_HASHED);
        run.counters.enrich_unhashed_records_total.inc();
        if self.is_in_place() {
            // Without a hash, what it would have hidden must not stay.
            record.replace(&self.into.digest, "null")?;
        }
        if content.is_ok() { self.set(&self.bytes_into, bytes, record) } else { Ok(()) }
    }

    /// Sets the digest, and the id of its key beside it.
    fn set(&self, place: &HashPlace, content: &[u8], record: &mut Record<'_>) -> Result<(), Reject> {
        let key = self.keys.first();
        let digest = digest_of(key, content);
        let room = record.set_by(&place.digest, |out| push_quoted_sha256(&digest, out))?;
        match key.and_then(|key| key.quoted_id.as_deref()) {
            Some(id) if room == Room::Free => record.set(&place.key_id, id).map(|_| ()),
            _ => Ok(()),
        }
    }
}

impl HashPlace {
    fn at(digest: Path) -> HashPlace {
        let key_id = digest.reworded(|name| format!("{name}_key_id"));
        HashPlace { digest, key_id }
    }
}

/// `input_hash` gives `input_bytes_hash`, `input_hmac` gives `input_bytes_hmac`.
fn bytes_name(name: &str) -> String {
    let ending = ["_hash", "_hmac"].into_iter().find(|ending| name.ends_with(ending)).unwrap_or_default();
    let stem = name.strip_suffix(ending).unwrap_or(name);
    format!("{stem}_bytes{}", if ending.is_empty() { "_hash" } else { ending })
}

/// `user.prompt` gives `user.truncated` and `user.prompt_truncated`.
fn cut_flags(field: &Path) -> [Path; 2] {
    let beside = |name: &str| match name.rsplit_once('.') {
        Some((parent, _)) => format!("{parent}.truncated"),
        None => "truncated".to_owned(),
    };
    [field.reworded(beside), field.reworded(|name| format!("{name}_truncated"))]
}

/// Whether a member says of a text that it was cut.
fn is_flagged(record: &Record<'_>, raw: &str, flags: &[Path; 2]) -> bool {
    raw.starts_with('"') && flags.iter().any(|flag| record.first(flag) == Some("true"))
}

/// The SHA-256 of some content, or its HMAC under a key.
pub(super) fn digest_of(key: Option<&HashKey>, content: &[u8]) -> [u8; 32] {
    match key {
        None => Sha256::digest(content).into(),
        Some(key) => match Hmac::<Sha256>::new_from_slice(key.secret.expose()) {
            Ok(mut mac) => {
                mac.update(content);
                mac.finalize().into_bytes().into()
            }
            Err(_) => unreachable!("BUG: HMAC takes keys of any length"),
        },
    }
}
