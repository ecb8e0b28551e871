//! `source`: which files are tailed?

use std::path::Path;
use std::time::Duration;

use super::field::Field;
use super::model::Source;
use super::section::{Section, nearest};
use crate::flow::line::Entries;
use crate::source::files::{self, FirstSeen};
use crate::source::framing::EntriesOption;
use crate::text::encoding::Encoding;

const MIB: u64 = 1 << 20;
const ID_CHARS_MAX: usize = 128;

pub(super) fn source(field: &Field<'_>) -> Option<Source> {
    let mut section = field.section()?;
    let files = section.required("files", files);
    let id = section.optional("id", source_id);
    section.finish();
    Some(Source { files: files?, id })
}

fn source_id(field: &Field<'_>) -> Option<String> {
    let text = field.text()?;
    match text.chars().count() > ID_CHARS_MAX || text.chars().any(char::is_control) {
        true => field.refuse(&format!("at most {ID_CHARS_MAX} characters, none of them a control character")),
        false => Some(text.to_owned()),
    }
}

fn files(field: &Field<'_>) -> Option<files::Options> {
    let mut section = field.section()?;
    let options = file_options(&mut section);
    section.finish();
    options
}

/// The options of files that are tailed, among others.
pub(super) fn file_options(section: &mut Section<'_>) -> Option<files::Options> {
    let paths = section.required("paths", |field| field.list(glob));
    let exclude = section.optional("exclude", |field| field.list(glob));
    let first_seen = section.optional("first_seen", first_seen);
    let line_bytes_max = section.optional("line_bytes_max", |field| field.bytes(64..=16 * MIB));
    let open_files_max = section.optional("open_files_max", |field| field.integer(1..=1_000_000));
    let poll_range = Duration::from_millis(10)..=Duration::from_secs(3600);
    let poll_interval = section.optional("poll_interval", |field| field.duration(poll_range));
    let unterminated_range = Duration::from_secs(1)..=Duration::from_secs(86_400);
    let unterminated_after = section.optional("unterminated_after", |field| field.duration(unterminated_range));
    let encoding = section.optional("encoding", encoding);
    Some(files::Options {
        encoding: encoding.unwrap_or_default(),
        entries: EntriesOption::Known(Entries::Lines),
        paths: paths?,
        exclude: exclude.unwrap_or_default(),
        first_seen: first_seen.unwrap_or(FirstSeen::Beginning),
        line_bytes_max: line_bytes_max.unwrap_or(MIB) as usize,
        open_files_max: open_files_max.unwrap_or(16_384) as usize,
        poll_interval: poll_interval.unwrap_or(Duration::from_secs(1)),
        unterminated_after,
        salvage: None,
    })
}

/// A glob, made absolute. The folder's own name is taken literally, whatever characters it has.
fn glob(field: &Field<'_>) -> Option<String> {
    let pattern = field.text()?;
    if pattern.starts_with("~/") {
        return field.refuse_with("`~` is not expanded here", Some("write `${HOME}/…` in its place".to_owned()));
    }
    let absolute = absolute_glob(field.context.folder, pattern);
    match globset::GlobBuilder::new(&absolute).literal_separator(true).build() {
        Ok(_) => Some(absolute),
        Err(error) => field.refuse_with(
            &format!("`{pattern}` is not a glob: {}", error.kind()),
            Some("for a bracket or a brace itself write `[[]`, `[]]`, `[{]`, `[}]`".to_owned()),
        ),
    }
}

/// Joins by text, since a pattern is no path: each leading `..` takes one folder away.
fn absolute_glob(folder: &Path, pattern: &str) -> String {
    let mut folder = folder;
    let mut rest = pattern;
    if rest.starts_with('/') {
        return rest.to_owned();
    }
    loop {
        if let Some(below) = rest.strip_prefix("./") {
            rest = below;
        } else if let Some(below) = rest.strip_prefix("../") {
            rest = below;
            folder = folder.parent().unwrap_or(folder);
        } else {
            break;
        }
    }
    let folder = globset::escape(&folder.to_string_lossy());
    format!("{}/{rest}", folder.trim_end_matches('/'))
}

fn first_seen(field: &Field<'_>) -> Option<FirstSeen> {
    let words = ["beginning", "end"];
    match field.text()? {
        "beginning" => Some(FirstSeen::Beginning),
        "end" => Some(FirstSeen::End),
        text if text.starts_with(|c: char| c.is_ascii_digit()) => {
            field.duration(Duration::ZERO..=Duration::from_secs(3650 * 86_400)).map(FirstSeen::Within)
        }
        text => {
            let hint =
                nearest(text, &words).filter(|_| !field.is_expanded()).map(|near| format!("did you mean `{near}`?"));
            field.refuse_with("this has to be `beginning`, `end`, or an age such as `2h`", hint)
        }
    }
}

/// What files are written in.
fn encoding(field: &Field<'_>) -> Option<Encoding> {
    const ENCODINGS: [Encoding; 4] = [Encoding::Utf8, Encoding::Utf16Le, Encoding::Utf16Be, Encoding::Latin1];
    let text = field.text()?;
    let known = ENCODINGS.into_iter().find(|encoding| encoding.as_str() == text);
    known.or_else(|| {
        let near = nearest(text, &ENCODINGS.map(Encoding::as_str)).filter(|_| !field.is_expanded());
        let hint = near.map(|near| format!("did you mean `{near}`?"));
        field.refuse_with("this has to be `utf-8`, `utf-16le`, `utf-16be` or `latin-1`", hint)
    })
}
