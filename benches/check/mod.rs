//! Are the documents what they should be? Calculated a second time, by other means than the product's and the limit
//! program's: serde_json, serde_json_canonicalizer, chrono.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::shared::{PIPELINE, SERVICE, Sample};

/// The digest of the configuration in force that a document carries.
pub(crate) fn configuration(document: &str) -> Option<&str> {
    document.split_once("\"inferlog.config\":\"")?.1.get(..8)
}

/// Holds documents of inferlog, or of the limit program, to the byte against what their lines have to become, ids included.
/// Gives how many there were.
pub(crate) fn same_work(corpus: &Path, samples: &[Sample]) -> usize {
    let mut file = BufReader::new(File::open(corpus).expect("the corpus"));
    let inode = file.get_ref().metadata().expect("the corpus").ino();
    let mut first = String::new();
    file.read_line(&mut first).expect("a line");
    let first = Sha256::digest(first.trim_end().as_bytes());
    for Sample { action, document } in samples {
        let parsed: Value = serde_json::from_str(document).expect("a document is JSON");
        let offset = parsed["log.offset"].as_u64().expect("an offset");
        file.seek(SeekFrom::Start(offset)).expect("the corpus");
        let mut line = String::new();
        file.read_line(&mut line).expect("a line");
        let line = line.trim_end();
        let facts = Facts { corpus, inode, first_line: first.as_slice(), offset };
        let (expected_action, expected) = expected(line, &facts, configuration(document).expect("a configuration"));
        assert_eq!(document, &expected, "what the line at {offset} becomes");
        assert_eq!(action, &expected_action, "the id of the line at {offset}");
    }
    assert!(!samples.is_empty(), "documents to check");
    samples.len()
}

/// What an id and a document are made of beside the line.
struct Facts<'f> {
    corpus: &'f Path,
    inode: u64,
    first_line: &'f [u8],
    offset: u64,
}

fn expected(line: &str, facts: &Facts<'_>, configuration: &str) -> (String, String) {
    let Facts { corpus, inode, first_line, offset } = facts;
    let record: Value = serde_json::from_str(line).expect("a line is JSON");
    let canonical = serde_json_canonicalizer::to_string(&record["features"]).expect("features");
    let hash = hexadecimal(&Sha256::digest(canonical.as_bytes()));
    let time = record["timestamp"].as_str().expect("a time").parse::<DateTime<Utc>>().expect("a time");
    let is_whole = time.timestamp_subsec_micros().is_multiple_of(1_000);
    let precision = if is_whole { SecondsFormat::Millis } else { SecondsFormat::Micros };
    let low = record["confidence"].as_f64().expect("a confidence") < 0.6;
    let host = gethostname::gethostname().to_string_lossy().into_owned();
    let document = format!(
        "{},\"@timestamp\":\"{}\",\"input_hash\":\"{hash}\",\"low_confidence\":{low},\"service.name\":\"{SERVICE}\",\
         \"host.name\":\"{host}\",\"ecs.version\":\"8.17.0\",\"inferlog.pipeline\":\"{PIPELINE}\",\
         \"inferlog.config\":\"{configuration}\",\"inferlog.file\":\"{inode}-0\",\"log.file.path\":\"{}\",\
         \"log.offset\":{offset}}}",
        line.strip_suffix('}').expect("an object"),
        time.to_rfc3339_opts(precision, true),
        corpus.display(),
    );
    let parts: [&[u8]; 8] = [
        &(host.len() as u64).to_le_bytes(),
        host.as_bytes(),
        &inode.to_le_bytes(),
        &0_u32.to_le_bytes(),
        first_line,
        &offset.to_le_bytes(),
        &0_u32.to_le_bytes(),
        line.as_bytes(),
    ];
    let digest = Sha256::digest(parts.concat());
    let id = [&time.timestamp().to_be_bytes()[3..], &digest[..16]].concat();
    let action = format!("{{\"create\":{{\"_id\":\"{}\"}}}}", URL_SAFE_NO_PAD.encode(id));
    (action, document)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Holds documents of another program against their lines, which they name by `request_id`: each member has to be there
/// with the same value, and what the program was told to add. Says what was found.
pub(crate) fn members(corpus: &Path, samples: &[Sample], adds: &[&str]) -> String {
    let documents: Vec<Value> = samples.iter().filter_map(|it| serde_json::from_str(&it.document).ok()).collect();
    let broken = samples.len() - documents.len();
    let id = |record: &Value| record["request_id"].as_str().map(ToOwned::to_owned);
    let mut wanted: HashMap<String, &Value> = documents.iter().filter_map(|it| Some((id(it)?, it))).collect();
    let (mut same, mut altered) = (0, 0);
    for line in crate::read_lines(corpus).map_while(Result::ok) {
        // Parsing every line would take longer than the run.
        let Some(request) = line.split_once("\"request_id\": \"").and_then(|(_, rest)| rest.split('"').next()) else {
            continue;
        };
        let Some(document) = wanted.remove(request) else { continue };
        let record: Value = serde_json::from_str(&line).expect("a line is JSON");
        let is_kept = record.as_object().is_some_and(|members| members.iter().all(|(name, it)| document[name] == *it));
        let is_added = adds.iter().all(|name| document.get(name).is_some());
        let count = if is_kept && is_added { &mut same } else { &mut altered };
        *count += 1;
        if wanted.is_empty() {
            break;
        }
    }
    let lost = documents.len() - same - altered;
    match (broken, altered, lost) {
        (0, 0, 0) => format!("{same} documents checked"),
        _ => format!(
            "of {} documents {same} as they should be, {altered} otherwise, {broken} no JSON, {lost} of no line",
            samples.len()
        ),
    }
}
