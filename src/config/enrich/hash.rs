//! Options of `hash`: what is hashed, with which keys, and where does the digest go?

use super::{made, patterns};
use crate::config::field::Field;
use crate::config::section::Section;
use crate::enrich::{Action, Hash, HashKey, KEYS_MAX, Step};
use crate::record::canonical::Numbers;
use crate::record::{Path, PathPattern};

const KEY_ID_BYTES_MAX: usize = 64;

pub(super) fn hash(section: &mut Section<'_>) -> Option<Step> {
    let fields = section.required("fields", patterns);
    let (key, ring) = (section.field("key"), section.field("keys"));
    let is_keyed = key.is_some() || ring.is_some();
    let into = match fields.as_deref().and_then(|fields| usual_place(fields, is_keyed)) {
        Some(usual) => section.optional("into", Field::field_path).or(Some(usual)),
        None => section.required("into", Field::field_path),
    };
    if let Some((fields, into)) = fields.as_ref().zip(into.as_ref()) {
        refuse_a_place_inside(section, fields, into);
    }
    let keys = keys(key, ring);
    let salt = section.optional("salt", Field::salt);
    let numbers = section.optional("numbers", |field| field.word(&["canonical", "as_written"]));
    let cut_endings = section.optional("cut", |field| field.list(|ending| ending.text().map(str::to_owned)));
    let numbers = if numbers == Some("as_written") { Numbers::AsWritten } else { Numbers::Canonical };
    let hash = fields.zip(into).zip(keys).map(|((fields, into), keys)| {
        let cut_endings = cut_endings.unwrap_or_default();
        Hash { keys, salt, numbers, cut_endings, ..Hash::new(fields, &into) }
    });
    if hash.as_ref().is_some_and(|hash| hash.is_in_place() && hash.keys.is_empty()) {
        remark_that_it_can_be_guessed(section);
    }
    made(section, hash.map(Action::Hash))
}

/// What wildcards mean is hashed beside them: a digest that is one of them, or replaces all of them, is no hash of a record
/// that anybody could make again.
fn refuse_a_place_inside(section: &Section<'_>, fields: &[PathPattern], into: &Path) {
    let is_inside = |field: &&PathPattern| {
        field.path().is_none() && (field.covers(into.as_str()) || field.as_str().starts_with(&format!("{into}.")))
    };
    if let Some(field) = fields.iter().find(is_inside) {
        let message = format!("`{into}` is among what `{field}` means, or above it: the digest has to be beside");
        section.complain(message, Some("choose another `into`".to_owned()));
    }
}

fn remark_that_it_can_be_guessed(section: &Section<'_>) {
    let message = "a hash without a key hides what it replaces only from those who cannot guess it".to_owned();
    let hint = "who hashes all customer numbers knows whose each digest is: give it a `key`".to_owned();
    section.context.remark(&section.key_span, message, Some(hint));
}

/// Where a digest goes unless told otherwise. A keyed one has a field of its own: the model server's stays what it is.
fn usual_place(fields: &[PathPattern], is_keyed: bool) -> Option<Path> {
    let [PathPattern::Path(field)] = fields else { return None };
    match (field.as_str(), is_keyed) {
        ("features", false) => Some(Path::known("input_hash")),
        ("features", true) => Some(Path::known("input_hmac")),
        ("subject", true) => Some(Path::known("subject_hmac")),
        _ => None,
    }
}

/// The keys, the current one first; none is a plain digest.
fn keys(one: Option<Field<'_>>, ring: Option<Field<'_>>) -> Option<Vec<HashKey>> {
    match (one, ring) {
        (None, None) => Some(Vec::new()),
        (Some(one), None) => Some(vec![HashKey::new(None, one.secret()?)]),
        (None, Some(ring)) => key_ring(&ring),
        (Some(_), Some(ring)) => {
            let hint = "give the key of `key` an `id`, and put it among `keys`: the first of them is the current one";
            ring.refuse_with("there is a `key` as well", Some(hint.to_owned()))
        }
    }
}

fn key_ring(field: &Field<'_>) -> Option<Vec<HashKey>> {
    let keys = field.list(key)?;
    if keys.len() > KEYS_MAX {
        return field.refuse(&format!("a ring has at most {KEYS_MAX} keys"));
    }
    for (position, key) in keys.iter().enumerate() {
        let before = &keys[..position];
        if before.iter().any(|other| other.id() == key.id()) {
            return field.refuse("two keys have one id: nobody could tell which one a digest was made with");
        }
        if before.iter().any(|other| other.secret() == key.secret()) {
            return field.refuse("two keys are the same");
        }
    }
    Some(keys)
}

fn key(field: &Field<'_>) -> Option<HashKey> {
    let mut section = field.section()?;
    let id = section.required("id", key_id);
    let secret = section.required("secret", Field::secret);
    section.finish();
    Some(HashKey::new(Some(id?), secret?))
}

fn key_id<'f>(field: &Field<'f>) -> Option<&'f str> {
    let id = field.text()?;
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match id.len() <= KEY_ID_BYTES_MAX && id.bytes().all(is_allowed) {
        true => Some(id),
        false => {
            let rule = "letters, digits, `.`, `_` and `-`";
            field.refuse(&format!("the id of a key has at most {KEY_ID_BYTES_MAX} characters: {rule}"))
        }
    }
}
