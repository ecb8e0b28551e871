//! Processors, one by one. What has a condition that KQL cannot say is not translated: it would run on other records.

use serde_json::Value;

use super::Report;
use super::condition::kql;
use super::drafted::Drafted;
use super::members::{add, tag};
use super::settings::{Settings, list, quoted};
use super::table::Section::Processor;

/// A processor that is being translated.
struct Step<'s> {
    name: &'s str,
    options: Settings,
    /// `, when: …`, or nothing.
    when: String,
}

/// An item of `fields: [{ from, to, type }]`.
struct Pair {
    from: String,
    to: Option<String>,
    kind: Option<String>,
}

/// Translates a list of them.
pub(super) fn all(processors: &Value, input: &mut Drafted, report: &mut Report) {
    for item in processors.as_array().into_iter().flatten() {
        let Value::Object(members) = item else { continue };
        let Some((name, options)) = members.iter().next() else { continue };
        // `if` stands with `then` and `else`.
        let name = if members.contains_key("if") { "if" } else { name.as_str() };
        let options = match options {
            Value::Object(options) => Settings::new(options.clone()),
            _ => Settings::default(),
        };
        one(name, options, input, report);
    }
}

fn one(name: &str, mut options: Settings, input: &mut Drafted, report: &mut Report) {
    let when = match options.take("when") {
        None => String::new(),
        Some(condition) => match kql(&condition) {
            Ok(condition) => format!(", when: {}", quoted(&without_target(&condition, input))),
            Err(why) => {
                let comment = report.cannot(Processor, name, &format!("its condition: {why}"));
                return input.enrich.extend(comment);
            }
        },
    };
    let mut step = Step { name, options, when };
    let lines = match name {
        "add_fields" => step.add_fields(report),
        "add_labels" => {
            step.options.take_map("labels").map(|labels| add(&labels, "labels", (Processor, name), &step.when, report))
        }
        "add_tags" => {
            let target = step.options.take_text("target").unwrap_or_else(|| "tags".to_owned());
            let tags = step.options.take_texts("tags");
            tags.map(|tags| tag(&tags, &target, (Processor, name), &step.when, report).into_iter().collect())
        }
        "add_kubernetes_metadata" => {
            step.says(report, |_, when| Some(vec![format!("- kubernetes: {{{} }}", when.trim_start_matches(','))]))
        }
        "drop_event" => step.drop_event(report),
        "drop_fields" => step.fields(report, |fields, when| format!("- remove: {{ fields: {fields}{when} }}")),
        "include_fields" => step.fields(report, |fields, when| format!("- redact: {{ keep_only: {fields}{when} }}")),
        "rename" => step.pairs(report, "rename"),
        "copy_fields" => step.pairs(report, "copy"),
        "convert" => step.convert(report),
        "truncate_fields" => step.truncate(report),
        "timestamp" => step.timestamp(input, report),
        "decode_json_fields" => step.decode(input, report),
        _ => Some(report.known(Processor, name).into_iter().collect()),
    };
    let lines = lines.unwrap_or_else(|| {
        report.cannot(Processor, name, "its options are not those that are expected there").into_iter().collect()
    });
    let lines: Vec<String> = lines.iter().map(|line| without_target(line, input)).collect();
    input.enrich.extend(lines);
}

/// A text without the name below which Filebeat has put the members.
fn without_target(text: &str, input: &Drafted) -> String {
    match &input.target {
        Some(target) => text
            .replace(&format!("\"{target}."), "\"")
            .replace(&format!(" {target}."), " ")
            .replace(&format!("({target}."), "("),
        None => text.to_owned(),
    }
}

impl Step<'_> {
    /// Tells that it is translated, if it is.
    fn says(
        &mut self,
        report: &mut Report,
        lines: impl FnOnce(&mut Settings, &str) -> Option<Vec<String>>,
    ) -> Option<Vec<String>> {
        let lines = lines(&mut self.options, &self.when)?;
        report.known(Processor, self.name);
        Some(lines)
    }

    fn add_fields(&mut self, report: &mut Report) -> Option<Vec<String>> {
        let target = match self.options.get("target") {
            Some(Value::String(target)) => target.clone(),
            _ => "fields".to_owned(),
        };
        let fields = self.options.take_map("fields")?;
        Some(add(&fields, &target, (Processor, self.name), &self.when, report))
    }

    fn drop_event(&mut self, report: &mut Report) -> Option<Vec<String>> {
        match self.when.strip_prefix(", ") {
            Some(_) => {
                self.says(report, |_, when| Some(vec![format!("- drop: {{ name: filebeat_drop_event{when} }}")]))
            }
            None => Some(
                report.cannot(Processor, self.name, "without a condition it drops everything").into_iter().collect(),
            ),
        }
    }

    /// A step about a list of fields.
    fn fields(&mut self, report: &mut Report, line: impl Fn(&str, &str) -> String) -> Option<Vec<String>> {
        let fields = self.options.take_texts("fields")?;
        if fields.iter().any(|field| field.starts_with('/')) {
            return Some(report.cannot(Processor, self.name, "fields that an expression names").into_iter().collect());
        }
        self.says(report, |_, when| Some(vec![line(&list(&fields), when)]))
    }

    /// `fields: [{ from, to }]`.
    fn pairs_of(&mut self) -> Option<Vec<Pair>> {
        let Value::Array(items) = self.options.take("fields")? else { return None };
        let pair = |item: Value| match item {
            Value::Object(members) => {
                let mut item = Settings::new(members);
                let (from, to) = (item.take_text("from")?, item.take_text("to"));
                Some(Pair { from, to, kind: item.take_text("type") })
            }
            _ => None,
        };
        items.into_iter().map(pair).collect()
    }

    fn pairs(&mut self, report: &mut Report, processor: &str) -> Option<Vec<String>> {
        let pairs = self.pairs_of()?;
        let pair = |Pair { from, to, .. }: &Pair| Some(format!("{}: {}", quoted(from), quoted(to.as_ref()?)));
        let fields: Vec<String> = pairs.iter().map(pair).collect::<Option<_>>()?;
        self.says(report, |_, when| {
            Some(vec![format!("- {processor}: {{ fields: {{ {} }}{when} }}", fields.join(", "))])
        })
    }

    fn convert(&mut self, report: &mut Report) -> Option<Vec<String>> {
        let mut lines = Vec::new();
        let processor = if self.options.take_text("mode").as_deref() == Some("rename") { "rename" } else { "copy" };
        for Pair { from, to, kind } in self.pairs_of()? {
            let kind = match kind.as_deref() {
                Some("integer" | "long") => Some("integer"),
                Some("float" | "double") => Some("number"),
                Some("string") => Some("text"),
                Some("boolean") => Some("boolean"),
                None => None,
                Some(_) => {
                    lines.extend(report.cannot(
                        Processor,
                        self.name,
                        "a type that `convert` does not have, such as `ip`",
                    ));
                    continue;
                }
            };
            let when = &self.when;
            if let Some(to) = &to {
                lines.push(format!("- {processor}: {{ fields: {{ {}: {} }}{when} }}", quoted(&from), quoted(to)));
            }
            let field = to.unwrap_or(from);
            lines.extend(kind.map(|kind| format!("- convert: {{ fields: {{ {}: {kind} }}{when} }}", quoted(&field))));
        }
        self.says(report, |_, _| Some(lines))
    }

    fn truncate(&mut self, report: &mut Report) -> Option<Vec<String>> {
        let fields = self.options.take_texts("fields")?;
        match self.options.take_text("max_bytes") {
            Some(bytes) => self.says(report, |_, when| {
                Some(vec![format!("- truncate: {{ fields: {}, bytes_max: {bytes}{when} }}", list(&fields))])
            }),
            None => Some(
                report.cannot(Processor, self.name, "`truncate` counts bytes and not characters").into_iter().collect(),
            ),
        }
    }

    fn timestamp(&mut self, input: &mut Drafted, report: &mut Report) -> Option<Vec<String>> {
        let field = self.options.take_text("field")?;
        let cannot =
            |report: &mut Report, why: &str| Some(report.cannot(Processor, "timestamp", why).into_iter().collect());
        if self.options.take_text("target_field").is_some_and(|target| target != "@timestamp") {
            return cannot(report, "`timestamp` gives `@timestamp` and nothing else");
        }
        if input.is_timed {
            return cannot(report, "a pipeline has one `timestamp`: name this field in its `from` as well");
        }
        let mut formats = Vec::new();
        for layout in self.options.take_texts("layouts").unwrap_or_default() {
            let is_recognised = layout.starts_with("UNIX") || layout.starts_with("2006-01-02T15:04:05");
            match strftime(&layout) {
                _ if is_recognised => {}
                Some(format) => formats.push(format),
                None => return cannot(report, "a layout that has no letters of `strftime`"),
            }
        }
        let zone = self.options.take_text("timezone").map(|zone| match zone.as_str() {
            "Local" => ", zone: host".to_owned(),
            zone => format!(", zone: {}", quoted(zone)),
        });
        let formats = if formats.is_empty() { String::new() } else { format!(", formats: {}", list(&formats)) };
        input.is_timed = true;
        let when = self.when.clone();
        self.says(report, |_, _| {
            Some(vec![format!(
                "- timestamp: {{ from: [{}]{}{formats}{when} }}",
                quoted(&field),
                zone.unwrap_or_default()
            )])
        })
    }

    fn decode(&mut self, input: &mut Drafted, report: &mut Report) -> Option<Vec<String>> {
        let fields = self.options.take_texts("fields")?;
        let target = match self.options.get("target") {
            Some(Value::String(target)) => Some(target.clone()),
            _ => None,
        };
        let mut lines = Vec::new();
        for field in fields {
            let is_line = field == "message" && !input.is_json;
            match &target {
                Some(target) if is_line && target.is_empty() => input.is_json = true,
                _ if is_line => {
                    let why = "the members of a line stand at the top level, as with `target: \"\"`";
                    lines.extend(report.cannot(Processor, self.name, why));
                    input.is_json = true;
                }
                Some(target) if target.is_empty() => {
                    lines.extend(report.cannot(Processor, self.name, "`expand` puts the members below a name"));
                    continue;
                }
                target => {
                    let field = without_target(&format!("\"{field}"), input).split_off(1);
                    let into = target.as_ref().map_or(String::new(), |target| format!(", into: {}", quoted(target)));
                    let when = &self.when;
                    input.expand.push(format!("{{ expand: {{ field: {}, as: json{into}{when} }} }}", quoted(&field)));
                }
            }
        }
        self.says(report, |_, _| Some(lines))
    }
}

/// A layout of Go in the letters of `strftime`; `None` where it has a part that these do not say.
fn strftime(layout: &str) -> Option<String> {
    const PARTS: [(&str, &str); 22] = [
        ("January", "%B"),
        ("Monday", "%A"),
        ("-07:00", "%:z"),
        ("Z07:00", "%:z"),
        ("-0700", "%z"),
        ("2006", "%Y"),
        (".000000000", "%.f"),
        (".000000", "%.f"),
        (".999999999", "%.f"),
        (".999999", "%.f"),
        (".000", "%.f"),
        (".999", "%.f"),
        (",000", ",%3f"),
        ("Jan", "%b"),
        ("Mon", "%a"),
        ("01", "%m"),
        ("02", "%d"),
        ("15", "%H"),
        ("03", "%I"),
        ("04", "%M"),
        ("05", "%S"),
        ("PM", "%p"),
    ];
    let mut format = String::new();
    let mut rest = layout;
    while let Some(first) = rest.chars().next() {
        match PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            Some((part, letters)) => {
                format.push_str(letters);
                rest = &rest[part.len()..];
            }
            None if first.is_ascii_digit() || rest.starts_with("MST") || first == '%' || first == '_' => return None,
            None => {
                format.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    Some(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_said_in_the_letters_of_strftime_or_not_at_all() {
        for (layout, expected) in [
            ("2006-01-02 15:04:05", Some("%Y-%m-%d %H:%M:%S")),
            ("2006-01-02 15:04:05.000", Some("%Y-%m-%d %H:%M:%S%.f")),
            ("02/Jan/2006:15:04:05 -0700", Some("%d/%b/%Y:%H:%M:%S %z")),
            ("Mon Jan 02 03:04:05 PM 2006", Some("%a %b %d %I:%M:%S %p %Y")),
            ("Mon Jan _2 15:04:05 2006", None),
            ("2006-01-02 15:04:05 MST", None),
            ("1/2/2006", None),
        ] {
            assert_eq!(strftime(layout).as_deref(), expected, "{layout}");
        }
    }
}
