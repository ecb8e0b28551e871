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
use crate::record::{Path, Record, Room, json};

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
static ROOTS: [Path; 4] = [Path::known("ecs"), Path::known("host"), Path::known("inferlog"), Path::known("log")];

/// Adds the metadata.
#[derive(Debug)]
pub struct Metadata {
    /// Name and raw value of what is the same for every record of the pipeline.
    fixed: Vec<(Path, String)>,
    /// The same with what is of the file, for the last file.
    of_file: Option<OfFile>,
}

/// What is the same for every record of a file.
#[derive(Debug)]
struct OfFile {
    file: Arc<SourceFile>,
    members: Vec<(Path, String)>,
    /// The same as JSON text.
    text: String,
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
    pub(super) fn any(&self, source: &Source<'_>, notes: &[&str], visit: &mut dyn FnMut(&str, &str) -> bool) -> bool {
        self.fixed.iter().any(|(name, raw)| visit(name.as_str(), raw))
            || visit(FILE, &quoted(&source.file.key().to_string()))
            || visit(FILE_PATH, &quoted(&source.file.path))
            || visit(OFFSET, &source.offset_bytes.to_string())
            || (!notes.is_empty() && visit(NOTES, &list(notes)))
    }

    /// Adds all that there is room for; returns how many members were left out because of a scalar at a prefix.
    pub(super) fn add(&mut self, record: &mut Record<'_>, source: &Source<'_>, notes: &[&str]) -> u64 {
        if has_a_root(record) {
            return self.add_one_by_one(record, source, notes);
        }
        let of_file = self.of_file(source.file);
        record.append(|out| {
            out.push_str(&of_file.text);
            out.push_str(",\"log.offset\":");
            out.push_str(itoa::Buffer::new().format(source.offset_bytes));
            if !notes.is_empty() {
                out.push_str(",\"inferlog.notes\":");
                write_list(notes, out);
            }
        });
        0
    }

    fn add_one_by_one(&mut self, record: &mut Record<'_>, source: &Source<'_>, notes: &[&str]) -> u64 {
        let mut left_out = 0;
        let mut add = |name: &Path, write: &dyn Fn(&mut String)| {
            left_out += u64::from(record.add(name, write) == Room::Blocked);
        };
        for (name, raw) in &self.of_file(source.file).members {
            add(name, &|out| out.push_str(raw));
        }
        add(&Path::known(OFFSET), &|out| {
            let _ = write!(out, "{}", source.offset_bytes);
        });
        if !notes.is_empty() {
            add(&Path::known(NOTES), &|out| write_list(notes, out));
        }
        left_out
    }

    fn of_file(&mut self, file: &Arc<SourceFile>) -> &OfFile {
        if self.of_file.as_ref().is_some_and(|last| !Arc::ptr_eq(&last.file, file)) {
            self.of_file = None;
        }
        self.of_file.get_or_insert_with(|| {
            let mut members = self.fixed.clone();
            members.push((Path::known(FILE), quoted(&file.key().to_string())));
            members.push((Path::known(FILE_PATH), quoted(&file.path)));
            let member = |(name, raw): &(Path, String)| format!("\"{name}\":{raw}");
            let text = members.iter().map(member).collect::<Vec<_>>().join(",");
            OfFile { file: Arc::clone(file), members, text }
        })
    }
}

/// Whether some member's name begins with one of the first segments.
fn has_a_root(record: &Record<'_>) -> bool {
    ROOTS.iter().any(|root| record.has_members(root))
}

fn list(notes: &[&str]) -> String {
    let mut raw = String::new();
    write_list(notes, &mut raw);
    raw
}

fn write_list(notes: &[&str], out: &mut String) {
    for (position, note) in notes.iter().enumerate() {
        out.push_str(if position == 0 { "[\"" } else { "\",\"" });
        out.push_str(note);
    }
    out.push_str("\"]");
}

fn quoted(text: &str) -> String {
    let mut raw = String::new();
    json::write_string(text, &mut raw);
    raw
}
