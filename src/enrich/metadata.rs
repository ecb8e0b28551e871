//! Metadata: where does a document come from, in the Elastic Common Schema?
//!
//! `host.name`, `ecs.version`, `log.file.path`, `log.offset`, and `inferlog.*`: the pipeline, the digest of
//! the configuration in force, the file's inode and generation (a path is that of many files in time; accounts name the
//! one), and notes on what was assumed. Each is one dotted member at the end of the object. A
//! member is added only where no spelling of its path is there, and left out where a scalar stands at a prefix of it.

use std::fmt::Write as _;
use std::sync::Arc;

use super::processor::Source;
use crate::flow::ECS_VERSION;
use crate::flow::batch::SourceFile;
use crate::record::{Path, Record, Room, covers, json};

/// How much of the digest of the configuration is shown.
const CONFIGURATION_CHARACTERS: usize = 8;

/// What is the same for every record of a pipeline.
const FIXED: [&str; 4] = ["host.name", "ecs.version", "inferlog.pipeline", "inferlog.config"];

/// The file's inode and generation.
const FILE: &str = "inferlog.file";

/// The file's path.
const FILE_PATH: &str = "log.file.path";

/// Where the line begins, in bytes.
const OFFSET: &str = "log.offset";

/// What was assumed.
const NOTES: &str = "inferlog.notes";

/// First segments of everything that is added here. A record without any of them has room for all of it.
const ROOTS: [&str; 4] = ["ecs", "host", "inferlog", "log"];

/// Adds the metadata.
#[derive(Debug)]
pub struct Metadata {
    /// Name and raw value of what is the same for every record of the pipeline.
    fixed: Vec<(Path, String)>,
    /// The same and the file's path as text, for the last file.
    of_file: Option<(Arc<SourceFile>, String)>,
}

impl Metadata {
    /// The metadata of one pipeline. `configuration` is the digest of the configuration in force.
    pub fn new(host: &str, pipeline: &str, configuration: &str) -> Metadata {
        let configuration = configuration.get(..CONFIGURATION_CHARACTERS).unwrap_or(configuration);
        let fixed = FIXED.into_iter().zip([host, ECS_VERSION, pipeline, configuration]);
        Metadata { fixed: fixed.map(|(name, text)| (Path::known(name), quoted(text))).collect(), of_file: None }
    }

    /// The names of all that may be added.
    pub(super) fn names() -> impl Iterator<Item = &'static str> {
        FIXED.into_iter().chain([FILE, FILE_PATH, OFFSET, NOTES])
    }

    /// Calls `visit` with name and raw value of all that is added where there is room for it, until it returns true.
    pub(super) fn any(&self, source: Source<'_>, notes: &[&str], visit: &mut dyn FnMut(&str, &str) -> bool) -> bool {
        self.fixed.iter().any(|(name, raw)| visit(name.as_str(), raw))
            || visit(FILE, &quoted(&source.file.key().to_string()))
            || visit(FILE_PATH, &quoted(&source.file.path))
            || visit(OFFSET, &source.offset_bytes.to_string())
            || (!notes.is_empty() && visit(NOTES, &list(notes)))
    }

    /// Adds all that there is room for; returns how many members were left out because of a scalar at a prefix.
    pub(super) fn add(&mut self, record: &mut Record<'_>, source: Source<'_>, notes: &[&str]) -> u64 {
        if has_a_root(record) {
            return self.add_one_by_one(record, source, notes);
        }
        let of_file = self.of_file(source.file);
        record.append(|out| {
            out.push_str(of_file);
            let _ = write!(out, ",\"log.offset\":{}", source.offset_bytes);
            if !notes.is_empty() {
                out.push_str(",\"inferlog.notes\":");
                out.push_str(&list(notes));
            }
        });
        0
    }

    fn add_one_by_one(&self, record: &mut Record<'_>, source: Source<'_>, notes: &[&str]) -> u64 {
        let mut members = self.fixed.clone();
        members.push((Path::known(FILE), quoted(&source.file.key().to_string())));
        members.push((Path::known(FILE_PATH), quoted(&source.file.path)));
        members.push((Path::known(OFFSET), source.offset_bytes.to_string()));
        if !notes.is_empty() {
            members.push((Path::known(NOTES), list(notes)));
        }
        let room = |(name, raw): &(Path, String)| record.add(name, |out| out.push_str(raw));
        members.iter().map(room).filter(|room| *room == Room::Blocked).count() as u64
    }

    fn of_file(&mut self, file: &Arc<SourceFile>) -> &str {
        if !self.of_file.as_ref().is_some_and(|(last, _)| Arc::ptr_eq(last, file)) {
            let mut text = String::new();
            for (name, raw) in &self.fixed {
                let _ = write!(text, "\"{name}\":{raw},");
            }
            let _ = write!(text, "\"inferlog.file\":\"{}\",", file.key());
            let _ = write!(text, "\"log.file.path\":{}", quoted(&file.path));
            self.of_file = Some((Arc::clone(file), text));
        }
        self.of_file.as_ref().map_or("", |(_, text)| text)
    }
}

/// Whether some member's name begins with one of the first segments.
fn has_a_root(record: &Record<'_>) -> bool {
    record.names().any(|name| ROOTS.iter().any(|root| covers(root, name)))
}

fn list(notes: &[&str]) -> String {
    format!("[\"{}\"]", notes.join("\",\""))
}

fn quoted(text: &str) -> String {
    let mut raw = String::new();
    json::write_string(text, &mut raw);
    raw
}
