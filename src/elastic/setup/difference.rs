//! Differences: how does what is there differ from what is ours, in lines that people read?
//!
//! ```text
//! priority: 100 -> 250
//! template.mappings.properties.x: added {"type":"keyword"}
//! template.settings.index.codec: removed best_compression
//! ```
//!
//! Left is what is there, right what it would become.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// So many lines are shown of one object; the rest is counted.
const LINES_MAX: usize = 40;

/// The longest value that is shown whole, in characters.
const VALUE_CHARACTERS_MAX: usize = 120;

/// The differences of two values, none where they are equal.
pub fn differences(there: &Value, ours: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    compare("", Some(there), Some(ours), &mut lines);
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

fn compare(path: &str, there: Option<&Value>, ours: Option<&Value>, lines: &mut Vec<String>) {
    match (there, ours) {
        (Some(Value::Object(there)), Some(Value::Object(ours))) => {
            for name in names(there, ours) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&path, there.get(name), ours.get(name), lines);
            }
        }
        (Some(there), Some(ours)) if there == ours => {}
        // In another order only, both are shown whole.
        (Some(Value::Array(there)), Some(Value::Array(ours))) if !have_equal_members(there, ours) => {
            let added = ours.iter().filter(|member| !there.contains(member));
            let removed = there.iter().filter(|member| !ours.contains(member));
            lines.extend(removed.map(|member| format!("{path}: removed {}", shown(member))));
            lines.extend(added.map(|member| format!("{path}: added {}", shown(member))));
        }
        (Some(there), Some(ours)) => lines.push(format!("{path}: {} -> {}", shown(there), shown(ours))),
        (None, Some(ours)) => lines.push(format!("{path}: added {}", shown(ours))),
        (Some(there), None) => lines.push(format!("{path}: removed {}", shown(there))),
        (None, None) => {}
    }
}

fn have_equal_members(there: &[Value], ours: &[Value]) -> bool {
    there.iter().all(|member| ours.contains(member)) && ours.iter().all(|member| there.contains(member))
}

fn names<'v>(there: &'v Map<String, Value>, ours: &'v Map<String, Value>) -> BTreeSet<&'v String> {
    there.keys().chain(ours.keys()).collect()
}

/// A text as it is, anything else as JSON, on one line and not too long.
fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let line = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    let mut shown: String = line.take(VALUE_CHARACTERS_MAX).collect();
    if text.chars().count() > VALUE_CHARACTERS_MAX {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_difference_is_one_short_line() {
        let there = json!({ "priority": "100", "a": { "b": "x", "gone": { "deep": "1" } }, "list": ["a", "c"], "order": ["x", "y"] });
        let ours = json!({ "priority": "250", "a": { "b": "x", "new": { "type": "keyword" } }, "list": ["a", "b"], "order": ["y", "x"] });
        let expected = [
            "a.gone: removed {\"deep\":\"1\"}",
            "a.new: added {\"type\":\"keyword\"}",
            "list: removed c",
            "list: added b",
            "order: [\"x\",\"y\"] -> [\"y\",\"x\"]",
            "priority: 100 -> 250",
        ];
        assert_eq!(differences(&there, &ours), expected);
        assert_eq!(differences(&ours, &ours), [""; 0]);
        let long = json!({ "x": "y\n".repeat(200) });
        let line = &differences(&json!({}), &long)[0];
        assert!(line.ends_with('…') && line.chars().count() < 140 && !line.contains('\n'), "{line}");
        let many: Value = (0..100).map(|n| (n.to_string(), json!(n))).collect::<Map<_, _>>().into();
        let lines = differences(&json!({}), &many);
        assert_eq!((lines.len(), lines.last().unwrap().as_str()), (LINES_MAX + 1, "and 60 more"));
    }
}
