//! Which records are those of an input, or of a subject? Their digests, as the pipeline's `hash` makes them under each of
//! its keys; and which keys would have to be known that are not.

use std::ops::ControlFlow;

use super::query_source::could_not_ask;
use super::{COULD_NOT_LOOK, Failure, complain, say};
use crate::enrich::{Action, Digests, Hash, HashPlace, Redact, Redacted, Step, With};
use crate::flow::batch::Stream;
use crate::flow::question::{Question, Row};
use crate::kql::{Expression, Field, Literal, Pattern};
use crate::query::ask::Source;
use crate::record::{self, Path, Record, Space};
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// The largest file of an input, in bytes.
const INPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The most keys that are named as lacking.
const LACKING_KEYS_MAX: usize = 20;

/// What is looked for in place of an input or a subject.
pub(super) struct Sought {
    /// Records that have one of the digests.
    pub(super) condition: Expression,
    /// The fields that the pipeline writes them to.
    pub(super) fields: Vec<String>,
    rings: Vec<Ring>,
}

/// The keys with which digests of one field are looked for.
struct Ring {
    place: HashPlace,
    /// The ids of those that have one.
    ids: Vec<String>,
    unnamed: Unnamed,
}

/// What a digest without the id of a key means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unnamed {
    /// It has no key, or the one that was tried.
    Tried,
    /// Its key had no id then, and may be one of those that were tried.
    Unclear,
    /// It has a key, and none was tried.
    Lacking,
}

/// A key that records were hashed with, and that was not tried.
pub(super) struct LackingKey {
    /// Where its digests stand.
    field: Path,
    id: Option<String>,
    records: u64,
    unnamed: Unnamed,
}

/// The digests of one value, and what they are made with.
struct Digested<'h> {
    hash: &'h Hash,
    digests: Digests<'h>,
}

/// The predictions that were made on an input: JSON, or a file of it.
pub(super) fn made_on(steps: &[Step], input: &str) -> Result<Sought, Failure> {
    let input = json_of(input)?;
    let own = hashes(steps).filter(|hash| matches!(hash.into.digest.as_str(), "input_hash" | "input_hmac"));
    let mut used: Vec<Hash> = own.cloned().collect();
    if used.is_empty() {
        used = hashes(steps).cloned().collect();
    }
    let features = || vec![Path::known("features").into()];
    if used.is_empty() {
        used.push(Hash::new(features(), &Path::known("input_hash")));
    }
    // The model server may have hashed by itself, without a key.
    let servers = Hash::new(features(), &Path::known("input_hash"));
    let is_of_features = used.iter().any(|hash| hash.fields == servers.fields);
    let (mut digested, mut problem) = (Vec::new(), "the input has none of the hashed fields".to_owned());
    for hash in used.iter().chain(is_of_features.then_some(&servers)) {
        match digested_as(hash, &input) {
            Ok(found) => digested.extend(found),
            Err(other) => problem = other,
        }
    }
    if digested.is_empty() {
        return Err(not_input(&problem));
    }
    if digested.iter().any(|Digested { hash, digests }| *digests.into != hash.into) {
        say("note: this has no canonical form: records whose log has it by the very same bytes are looked for");
    }
    Sought::new(&digested, &used, Vec::new(), &["input_hash", "input_hmac"])
}

/// What was recorded about a subject: under its id as it is, and under the digests of it.
pub(super) fn about(steps: &[Step], id: &str) -> Result<Sought, Failure> {
    // Where `roles` has the subject from is hashed in its place, too.
    let copies = steps.iter().flat_map(|step| step.action.processor().copies());
    let mut names: Vec<Path> = copies.filter(|(_, copy)| copy.as_str() == "subject").map(|(from, _)| from).collect();
    names.push(Path::known("subject"));
    let is_of_subject = |hash: &&Hash| {
        hash.only_field().is_some_and(|field| names.contains(field) || names.contains(&hash.into.digest))
    };
    let redacted = names.iter().flat_map(|name| steps.iter().filter_map(|step| redacting_hash(step, name)));
    let used: Vec<Hash> = hashes(steps).filter(is_of_subject).cloned().chain(redacted).collect();
    let mut quoted = String::new();
    record::json::write_string(id, &mut quoted);
    let is_number = serde_json::from_str::<serde_json::Number>(id).is_ok();
    let values = std::iter::once(quoted.as_str()).chain(is_number.then_some(id));
    let mut digested = Vec::new();
    for value in values {
        for hash in &used {
            digested.extend(digested_as(hash, value).map_err(|problem| not_input(&problem))?);
        }
    }
    let is_hidden = |step: &Step| step.action.processor().hides().iter().any(|hidden| hidden.covers("subject"));
    if digested.is_empty() && steps.iter().any(is_hidden) {
        let problem = "no record can be found by its `subject`: the pipeline hides it, and hashes it nowhere";
        complain(problem, Some("put `- hash: { fields: [subject], key: … }` before what hides it"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    Sought::new(&digested, &used, vec![("subject".to_owned(), id.to_owned())], &["subject", "subject_hmac"])
}

fn hashes(steps: &[Step]) -> impl Iterator<Item = &Hash> {
    steps.iter().filter_map(|step| if let Action::Hash(hash) = &step.action { Some(hash) } else { None })
}

/// The hash by which a `redact` hides a member: in its place, under the key of its own.
fn redacting_hash(step: &Step, name: &Path) -> Option<Hash> {
    let Action::Redact(Redact { what: Redacted::Members(fields), with: With::Hash(key) }) = &step.action else {
        return None;
    };
    let is_meant = fields.iter().any(|field| field.covers(name.as_str()));
    is_meant.then(|| Hash { keys: vec![key.clone()], ..Hash::new(vec![name.clone().into()], name) })
}

fn not_input(problem: &str) -> Failure {
    let hint = "`--input` takes the JSON of what is hashed, or a file of it: the value of the one field, or an object \
                with the fields";
    complain(problem, Some(hint));
    Failure(COULD_NOT_LOOK)
}

/// What was typed, if it is JSON, else what the file of this name has.
fn json_of(input: &str) -> Result<String, Failure> {
    let problem = match problem_of(input) {
        None => return Ok(input.trim().to_owned()),
        Some(problem) => problem,
    };
    let file = match fs_err::metadata(input) {
        Ok(file) if file.len() > INPUT_BYTES_MAX => return Err(not_input("the file is larger than 16 MiB")),
        Ok(file) => file,
        Err(_) => return Err(not_input(&format!("this is no JSON, and no file: {problem}"))),
    };
    if !file.is_file() {
        return Err(not_input("this is not a file"));
    }
    let text = fs_err::read_to_string(input).map_err(|error| Failure::new(&error, None))?;
    match problem_of(&text) {
        None => Ok(text.trim().to_owned()),
        Some(problem) => Err(not_input(&format!("the file is not one JSON value: {problem}"))),
    }
}

/// Why a text is not one JSON value. Half of a surrogate pair and the like are for the hash to judge.
fn problem_of(json: &str) -> Option<String> {
    let line = format!("{{\"value\":{}}}", json.trim());
    let mut space = Space::default();
    match Record::parse(&line, &mut space) {
        Ok(record) if record.names().count() == 1 => None,
        Ok(_) => Some("it is several values".to_owned()),
        Err(reject) => Some(reject.detail),
    }
}

/// A value's digests; `None` where it has none of the fields. An error says what it has instead.
fn digested_as<'h>(hash: &'h Hash, value: &str) -> Result<Option<Digested<'h>>, String> {
    let line = match hash.only_field() {
        Some(one) => {
            let mut name = String::new();
            record::json::write_string(one.as_str(), &mut name);
            format!("{{{name}:{value}}}")
        }
        None => value.to_owned(),
    };
    let mut space = Space::default();
    let record = Record::parse(&line, &mut space).map_err(|reject| reject.detail)?;
    let digests = hash.digests_of(&record).map_err(|error| error.to_string())?;
    Ok(digests.map(|digests| Digested { hash, digests }))
}

impl Sought {
    /// `plain` is looked for as it is. `usual` are fields that hold digests by their names, whoever wrote them.
    fn new(
        digested: &[Digested<'_>],
        used: &[Hash],
        plain: Vec<(String, String)>,
        usual: &[&'static str],
    ) -> Result<Sought, Failure> {
        let mut terms = plain;
        for Digested { hash, digests } in digested {
            for digest in &digests.hexadecimal {
                terms.push((digests.into.digest.to_string(), digest.clone()));
                // Before it had a field of its own, a keyed hash went where the plain one goes.
                if hash.into.digest.as_str() == "input_hmac" {
                    terms.push((digests.into.digest.as_str().replace("_hmac", "_hash"), digest.clone()));
                }
            }
        }
        terms.sort_unstable();
        terms.dedup();
        let texts: Vec<String> = terms.iter().map(|(field, value)| term(field, value)).collect();
        let condition = Expression::parse(&texts.join(" or ")).map_err(|error| Failure::new(&error, None))?;
        let mut fields: Vec<String> = used.iter().map(|hash| hash.into.digest.to_string()).collect();
        if fields.is_empty() {
            fields = terms.iter().map(|(field, _)| field.clone()).collect();
        }
        Ok(Sought { condition, fields, rings: rings(digested, used, usual) })
    }

    /// Says which keys were tried.
    pub(super) fn say_keys(&self) {
        for ring in self.rings.iter().filter(|ring| !ring.ids.is_empty()) {
            let ids: Vec<String> = ring.ids.iter().map(|id| format!("`{id}`")).collect();
            say(&format!("`{}` was looked for under the keys {}", ring.place.digest, ids.join(", ")));
        }
    }

    /// The keys that records of this question were hashed with, and that were not tried.
    pub(super) async fn lacking(&self, source: &Source, asked: &Question) -> Result<Vec<LackingKey>, Failure> {
        let mut lacking = Vec::new();
        // One look at the records, as long as none has another key.
        let any: Vec<String> = self.rings.iter().flat_map(|ring| [ring.others(), ring.without_id()]).collect();
        let any = narrowed(asked, parsed(&any.join(" or "))?);
        if first(source, &any, |_| Some(())).await?.is_none() {
            return Ok(lacking);
        }
        for ring in &self.rings {
            ring.add_lacking(source, asked, &mut lacking).await?;
        }
        Ok(lacking)
    }

    /// The ids of the keys that were tried.
    pub(super) fn key_ids(&self) -> Vec<&str> {
        self.rings.iter().flat_map(|ring| &ring.ids).map(String::as_str).collect()
    }
}

fn term(field: &str, value: &str) -> String {
    let field = Field::new(Pattern::new(vec![field.to_owned()]), None);
    format!("{field} : {}", Literal::new(value.to_owned(), true))
}

/// One for each field that digests are looked for in, or that is known to hold such.
fn rings(digested: &[Digested<'_>], used: &[Hash], usual: &[&'static str]) -> Vec<Ring> {
    let written = used.iter().map(|hash| hash.into.clone());
    let by_bytes = digested.iter().map(|digested| digested.digests.into.clone());
    let usual = usual.iter().map(|name| Hash::new(Vec::new(), &Path::known(name)).into);
    let mut rings: Vec<Ring> = Vec::new();
    for place in written.chain(by_bytes).chain(usual) {
        if rings.iter().any(|ring| ring.place == place) {
            continue;
        }
        let keys =
            used.iter().filter(|hash| hash.into == place || hash.bytes_into == place).flat_map(|hash| &hash.keys);
        let ids: Vec<String> = keys.clone().filter_map(|key| key.id().map(str::to_owned)).collect();
        let is_hmac = place.digest.as_str().ends_with("_hmac");
        let unnamed = match keys.clone().any(|key| key.id().is_none()) {
            true => Unnamed::Tried,
            false if !is_hmac => Unnamed::Tried,
            false => {
                if ids.is_empty() {
                    Unnamed::Lacking
                } else {
                    Unnamed::Unclear
                }
            }
        };
        rings.push(Ring { place, ids, unnamed });
    }
    rings
}

impl Ring {
    /// Records whose key has another id, in KQL.
    fn others(&self) -> String {
        others(self.place.key_id.as_str(), &self.ids)
    }

    /// Records with a digest, and without the id of its key, where that tells something.
    fn without_id(&self) -> String {
        let (digest, key_id) = (exists(self.place.digest.as_str()), exists(self.place.key_id.as_str()));
        match self.unnamed {
            Unnamed::Tried => self.others(),
            Unnamed::Unclear | Unnamed::Lacking => format!("({digest} and not {key_id})"),
        }
    }

    async fn add_lacking(
        &self,
        source: &Source,
        asked: &Question,
        lacking: &mut Vec<LackingKey>,
    ) -> Result<(), Failure> {
        let (field, key_id) = (&self.place.digest, self.place.key_id.as_str());
        let mut known = self.ids.clone();
        while lacking.len() < LACKING_KEYS_MAX {
            let others = narrowed(asked, parsed(&others(key_id, &known))?);
            let text = |record: &Record<'_>| record.first(key_id).map(text_of);
            let Some(id) = first(source, &others, text).await? else { break };
            if known.contains(&id) {
                break;
            }
            let records = count(source, &narrowed(asked, parsed(&term(key_id, &id))?)).await?;
            known.push(id.clone());
            lacking.push(LackingKey { field: field.clone(), id: Some(id), records, unnamed: self.unnamed });
        }
        if self.unnamed != Unnamed::Tried {
            let records = count(source, &narrowed(asked, parsed(&self.without_id())?)).await?;
            let unnamed = LackingKey { field: field.clone(), id: None, records, unnamed: self.unnamed };
            lacking.extend((records > 0).then_some(unnamed));
        }
        Ok(())
    }
}

impl LackingKey {
    /// For the manifest: its id.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Whether the answer may lack something for want of it.
    pub(super) fn is_certain(&self) -> bool {
        self.id.is_some() || self.unnamed == Unnamed::Lacking
    }

    /// Says what may be missing for want of it.
    pub(super) fn say(&self) {
        let (field, records) = (harmless(self.field.as_str()), counted(self.records, "record"));
        let found = format!("{records} that could be meant got `{field}`");
        if !self.is_certain() {
            say(&format!("note: {found} when its key had no id: what was made under a key of the ring is found"));
            return;
        }
        let key = match &self.id {
            Some(id) => format!("the key `{}`", harmless(id)),
            None => "a key".to_owned(),
        };
        complain(
            &format!("not all could be looked through: {found} under {key}, which was not tried"),
            Some(
                "put it among the `keys` of `hash`, behind the current one, and name that pipeline: `--pipeline FILE`",
            ),
        );
    }
}

fn parsed(text: &str) -> Result<Expression, Failure> {
    Expression::parse(text).map_err(|error| Failure::new(&error, None))
}

/// Records that have something in a field, in KQL.
fn exists(field: &str) -> String {
    format!("{} : *", Field::new(Pattern::new(vec![field.to_owned()]), None))
}

/// Records whose key has an id, and none of these.
fn others(key_id: &str, known: &[String]) -> String {
    let known: String = known.iter().map(|id| format!(" and not {}", term(key_id, id))).collect();
    format!("({}{known})", exists(key_id))
}

/// A raw value as a text.
fn text_of(raw: &str) -> String {
    if raw.starts_with('"') { record::json::unescape(raw).into_owned() } else { raw.to_owned() }
}

/// Records of the same question that meet this, too.
fn narrowed(asked: &Question, condition: Expression) -> Question {
    Question { stream: Stream::Records, condition: asked.condition.clone().and(condition), ..asked.clone() }
}

async fn count(source: &Source, question: &Question) -> Result<u64, Failure> {
    source.count(question).await.map_err(|error| could_not_ask(&error))
}

/// What `read` gives of one of the records.
async fn first<T>(
    source: &Source,
    question: &Question,
    read: impl Fn(&Record<'_>) -> Option<T>,
) -> Result<Option<T>, Failure> {
    let (mut found, mut space) = (None, Space::default());
    let mut visit = |row: Row<'_>| {
        found = Record::parse(row.document, &mut space).ok().and_then(|record| read(&record));
        ControlFlow::Break(())
    };
    let asked = source.rows(question, Some(1), std::future::pending(), &mut visit).await;
    asked.map_err(|error| could_not_ask(&error))?;
    Ok(found)
}
