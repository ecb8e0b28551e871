//! Inputs: which files, and what is a line of them?

use std::time::Duration;

use serde_json::Value;

use super::Report;
use super::drafted::Drafted;
use super::members::{add, tag};
use super::processors;
use super::settings::{Settings, duration, list, quoted};
use super::table::Section::{self, Input as InInput};
use crate::text::units::parse_bytes;

/// Translates an input; `None` where it gives no pipeline.
pub(super) fn input(settings: &mut Settings, report: &mut Report) -> Option<Drafted> {
    let kind = settings.take_text("type").unwrap_or_else(|| "log".to_owned());
    report.known(InInput, "type");
    let enabled = settings.take_flag("enabled");
    enabled.is_some().then(|| report.known(InInput, "enabled"));
    if enabled == Some(false) {
        return None;
    }
    if !matches!(kind.as_str(), "filestream" | "log" | "container") {
        report.cannot(InInput, &format!("type {kind}"), "inferlog reads files: this input gives no pipeline");
        return None;
    }
    let mut input = Drafted::default();
    paths(settings, &mut input, report)?;
    limits(settings, &mut input, report);
    lines(settings, &kind, &mut input, report);
    let added = added(settings, InInput, report);
    input.enrich.extend(added);
    if let Some(all) = settings.take("processors") {
        report.known(InInput, "processors");
        processors::all(&all, &mut input, report);
    }
    let rest = report.rest(InInput, settings);
    input.comments.extend(rest);
    Some(input)
}

fn paths(settings: &mut Settings, input: &mut Drafted, report: &mut Report) -> Option<()> {
    let Some(paths) = settings.take_texts("paths") else {
        report.cannot(InInput, "paths", "the input has none: it gives no pipeline");
        return None;
    };
    report.known(InInput, "paths");
    input.file("paths", &list(&paths));
    let mut exclude = Vec::new();
    for option in ["exclude_files", "prospector.scanner.exclude_files"] {
        for expression in settings.take_texts(option).unwrap_or_default() {
            match end_of_name(&expression) {
                Some(end) => {
                    report.known(InInput, option);
                    exclude.push(format!("/**/*{end}"));
                }
                None => {
                    let comment =
                        report.cannot(InInput, option, "an expression that is not the end of a name, such as `\\.gz$`");
                    input.files.extend(comment);
                }
            }
        }
    }
    if !exclude.is_empty() {
        input.file("exclude", &list(&exclude));
    }
    Some(())
}

/// The end that an expression asks for: `.gz` of `\.gz$`.
fn end_of_name(expression: &str) -> Option<String> {
    let end = expression.strip_prefix("\\.").or(expression.strip_prefix('.'))?.strip_suffix('$')?;
    let is_plain = !end.is_empty() && end.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    is_plain.then(|| format!(".{end}"))
}

fn limits(settings: &mut Settings, input: &mut Drafted, report: &mut Report) {
    let mut first_seen = None;
    let ages = Duration::ZERO..=Duration::from_secs(3_650 * 86_400);
    if let Some(age) = settings.take_if("ignore_older", |age| duration(age, ages)) {
        report.known(InInput, "ignore_older");
        // Zero is the word for never.
        first_seen = Some(age).filter(|age| age != "0s");
    }
    if settings.take_flag("tail_files") == Some(true) {
        report.known(InInput, "tail_files");
        first_seen = Some("end".to_owned());
    }
    if let Some(first_seen) = first_seen {
        input.file("first_seen", &first_seen);
    }
    if let Some(name) = settings.take_text("encoding") {
        let known = match name.trim_end_matches("-bom") {
            "plain" | "utf-8" | "utf8" | "utf-16" => Some(None),
            "utf-16le" => Some(Some("utf-16le")),
            "utf-16be" => Some(Some("utf-16be")),
            "latin1" | "iso8859-1" | "iso-8859-1" | "windows-1252" => Some(Some("latin-1")),
            _ => None,
        };
        let comment = match known {
            Some(name) => {
                name.iter().for_each(|name| input.file("encoding", name));
                report.known(InInput, "encoding")
            }
            None => report.cannot(InInput, "encoding", "inferlog reads UTF-8, UTF-16 and Latin-1"),
        };
        input.files.extend(comment);
    }
    for option in ["max_bytes", "message_max_bytes"] {
        let Some(size) = settings.take_text(option) else { continue };
        let is_fit = parse_bytes(&size).is_ok_and(|bytes| (64..=16 << 20).contains(&bytes));
        let comment = match is_fit {
            true => {
                input.file("line_bytes_max", &size);
                report.known(InInput, option)
            }
            false => report.cannot(InInput, option, "a line may have 64 bytes to 16MiB"),
        };
        input.files.extend(comment);
    }
    for option in ["scan_frequency", "prospector.scanner.check_interval"] {
        let intervals = Duration::from_millis(10)..=Duration::from_secs(3_600);
        if let Some(interval) = settings.take_if(option, |interval| duration(interval, intervals)) {
            report.known(InInput, option);
            input.file("poll_interval", &interval);
        }
    }
}

fn lines(settings: &mut Settings, kind: &str, input: &mut Drafted, report: &mut Report) {
    if kind == "container" {
        container(settings, "", input, report);
    }
    if let Some(mut json) = settings.take_map("json") {
        input.is_json = true;
        report.known(InInput, "json");
        if json.take_flag("keys_under_root") != Some(true) {
            input.target = Some("json".to_owned());
        }
        let comment = report.tell_target(&input.target);
        input.enrich.extend(comment);
    }
    let parsers = settings.take("parsers");
    for parser in parsers.iter().flat_map(|parsers| parsers.as_array().into_iter().flatten()) {
        let Value::Object(members) = parser else { continue };
        let mut parser = Settings::new(members.clone());
        let name = members.keys().next().and_then(|name| name.split('.').next()).unwrap_or_default().to_owned();
        match name.as_str() {
            "ndjson" => {
                input.is_json = true;
                input.target = parser.take_text("ndjson.target").filter(|target| !target.is_empty());
                report.known(InInput, "parsers.ndjson");
                let comment = report.tell_target(&input.target);
                input.enrich.extend(comment);
                if let Some(field) = parser.take_text("ndjson.document_id") {
                    input.enrich.push(format!("- id: {{ from: [{}] }}", quoted(&field)));
                }
            }
            "container" => {
                report.known(InInput, "parsers.container");
                container(&mut parser, "container.", input, report);
            }
            other => {
                let comment = report.known(InInput, &format!("parsers.{other}"));
                input.files.extend(comment);
            }
        }
    }
}

impl Report {
    /// Members that Filebeat has put below a name stand at the top level here: what asks for them has to be told.
    fn tell_target(&mut self, target: &Option<String>) -> Option<String> {
        let target = target.as_ref()?;
        let why = format!(
            "the members stand at the top level, and not below `{target}`: searches and dashboards name them so"
        );
        self.cannot(InInput, "target of the JSON members", &why)
    }
}

fn container(settings: &mut Settings, above: &str, input: &mut Drafted, report: &mut Report) {
    let format = settings.take_text(&format!("{above}format"));
    input.wrapper = Some(match format.as_deref() {
        Some("docker") => "docker",
        Some("cri") => "cri",
        _ => "auto",
    });
    let stream = settings.take_text(&format!("{above}stream"));
    if above.is_empty() {
        format.is_some().then(|| report.known(InInput, "format"));
        stream.is_some().then(|| report.known(InInput, "stream"));
    }
    if let Some(stream) = stream.filter(|stream| matches!(stream.as_str(), "stdout" | "stderr")) {
        input.enrich.push(format!("- drop: {{ name: other_stream, when: \"not log.iostream : {stream}\" }}"));
    }
}

/// Steps for `fields` and `tags`, of an input or of all.
pub(super) fn added(settings: &mut Settings, section: Section, report: &mut Report) -> Vec<String> {
    let is_top = settings.take_flag("fields_under_root");
    if is_top.is_some() {
        report.known(section, "fields_under_root");
    }
    let mut steps = Vec::new();
    if let Some(fields) = settings.take_map("fields") {
        let above = if is_top == Some(true) { "" } else { "fields" };
        steps.extend(add(&fields, above, (section, "fields"), "", report));
    }
    if let Some(tags) = settings.take_texts("tags") {
        steps.extend(tag(&tags, "tags", (section, "tags"), "", report));
    }
    steps
}
