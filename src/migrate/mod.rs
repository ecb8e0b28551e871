//! Migrate: what of a Filebeat configuration does a pipeline file say?
//!
//! Each option is told what becomes of it ([`table`]): it is translated, not needed, or cannot be, which is also said in the
//! drafted file at the place where somebody would look for it. Nothing is guessed: what could mean something else than in
//! Filebeat is not translated. A password, key or token is never copied, and no value is ever said.

mod condition;
mod drafted;
mod input;
mod members;
mod output;
mod processors;
pub mod registry;
mod settings;
pub mod table;

use std::path::Path;

use serde_json::Value;

use crate::text::yaml;
use drafted::Drafted;
use settings::Settings;
use table::{Fate, LOGSTASH, Section, row_of};

/// What becomes of a configuration.
#[derive(Debug)]
pub struct Translation {
    /// A pipeline file for each input.
    pub drafts: Vec<String>,
    /// What became of each option, in the order in which they were met.
    pub told: Vec<Told>,
}

/// What became of an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its name, with that of its section.
    pub option: String,
    /// What became of it.
    pub fate: Fate,
    /// How, or why not.
    pub words: String,
}

/// Collects what becomes of options; what cannot be translated comes back as a comment for the drafted file.
#[derive(Debug, Default)]
struct Report(Vec<Told>);

impl Report {
    fn tell(&mut self, section: Section, option: &str, fate: Fate, words: &str) -> Option<String> {
        let told = Told { option: format!("{}{option}", section.prefix()), fate, words: words.to_owned() };
        let comment = format!("# cannot be translated: {}: {words}", told.option);
        if !self.0.contains(&told) {
            self.0.push(told);
        }
        (fate == Fate::Cannot).then_some(comment)
    }

    /// As the table says.
    fn known(&mut self, section: Section, option: &str) -> Option<String> {
        match row_of(section, option) {
            Some(row) => self.tell(section, row.option, row.fate, row.words),
            None => self.cannot(section, option, "this option is not in the table of docs/migration.md"),
        }
    }

    fn cannot(&mut self, section: Section, option: &str, why: &str) -> Option<String> {
        self.tell(section, option, Fate::Cannot, why)
    }

    /// What is left of a section when all that is translated was taken out of it.
    fn rest(&mut self, section: Section, settings: &Settings) -> Vec<String> {
        let of_leaf = |leaf: String| match row_of(section, &leaf) {
            Some(row) if row.fate == Fate::Translated => {
                self.cannot(section, &leaf, "its value is not of the kind that is expected there")
            }
            _ => self.known(section, &leaf),
        };
        let mut comments: Vec<String> = settings.leaves().into_iter().filter_map(of_leaf).collect();
        comments.dedup();
        comments
    }
}

/// Translates a configuration that stands in a folder, and the filters of a Logstash pipeline behind it, if there is one.
///
/// # Errors
/// Says in words why it cannot be read, without quoting it.
pub fn translate(text: &str, folder: &Path, logstash: Option<&str>) -> Result<Translation, String> {
    let whole = yaml::value(text).map_err(|problem| format!("it is no YAML that can be read: {problem}"))?;
    let Value::Object(members) = whole else { return Err("it is no map of options".to_owned()) };
    let mut settings = Settings::new(members);
    let mut report = Report::default();
    let Some(Value::Array(inputs)) = settings.take("filebeat.inputs") else {
        return Err("it has no list `filebeat.inputs`: there is nothing to translate".to_owned());
    };
    report.known(Section::Top, "filebeat.inputs");
    let sink = output::sink(&mut settings, folder, &mut report);
    let added = input::added(&mut settings, Section::Top, &mut report);
    let processors = settings.take("processors");
    processors.is_some().then(|| report.known(Section::Top, "processors"));
    let mut head = report.rest(Section::Top, &settings);
    head.extend(logstash.map(|text| filters(text, &mut report)).unwrap_or_default());
    let inputs = inputs.into_iter().filter_map(|input| match input {
        Value::Object(members) => Some(Settings::new(members)),
        _ => None,
    });
    let mut drafts = Vec::new();
    for mut settings in inputs {
        let Some(mut input) = input::input(&mut settings, &mut report) else { continue };
        input.enrich.extend(added.iter().cloned());
        if let Some(processors) = &processors {
            processors::all(processors, &mut input, &mut report);
        }
        if !input.is_timed {
            input.enrich.insert(0, TIMESTAMP.to_owned());
        }
        drafts.push(draft(&input, &head, &sink));
    }
    match drafts.is_empty() {
        true => Err("none of its inputs reads files: there is nothing to translate".to_owned()),
        false => Ok(Translation { drafts, told: report.0 }),
    }
}

/// Filebeat takes the time of reading unless it is told otherwise.
const TIMESTAMP: &str =
    "- timestamp: { from: [\"@timestamp\", timestamp] }   # the record's own time, where it has one";

const HEAD: &str = "# Drafted by `inferlog migrate` from a Filebeat configuration. Look at each line, then:
#   inferlog check FILE --sample LOG    what becomes of a real log
#   inferlog run FILE                   ship it, beside Filebeat at first: docs/migration.md
";

fn draft(input: &Drafted, head: &[String], sink: &[String]) -> String {
    let mut lines: Vec<String> = vec![HEAD.to_owned()];
    lines.extend(head.iter().cloned());
    lines.extend(input.comments.iter().cloned());
    lines.push("source:\n  files:".to_owned());
    lines.extend(input.files.iter().map(|option| format!("    {option}")));
    lines.push(String::new());
    lines.push(format!("decode: {}", input.decode()));
    lines.push("\nenrich:".to_owned());
    lines.extend(input.enrich.iter().map(|step| format!("  {step}")));
    lines.push(String::new());
    lines.extend(sink.iter().cloned());
    lines.join("\n") + "\n"
}

/// The filters of a Logstash pipeline, of which nothing is translated.
fn filters(text: &str, report: &mut Report) -> Vec<String> {
    let mut comments = Vec::new();
    for name in settings::logstash_filters(text) {
        let instead = LOGSTASH.iter().find(|(filter, _)| *filter == name).map(|(_, words)| *words);
        let words = format!("in inferlog {}", instead.unwrap_or("nothing is known of this filter"));
        let told = Told { option: format!("filter {name} of Logstash"), fate: Fate::Cannot, words: words.clone() };
        if !report.0.contains(&told) {
            comments.push(format!("# cannot be translated: {}: {words}", told.option));
            report.0.push(told);
        }
    }
    comments
}

#[cfg(test)]
mod tests;
