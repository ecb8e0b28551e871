//! Conditions: Filebeat's, in KQL.

use serde_json::Value;

use super::settings::Settings;
use crate::kql::Expression;

/// A condition in KQL.
///
/// # Errors
/// Says why it cannot be said so.
pub(super) fn kql(condition: &Value) -> Result<String, String> {
    let text = part(condition)?;
    Expression::parse_condition(&text).map_err(|_| "KQL has no words for it".to_owned())?;
    Ok(text)
}

fn part(condition: &Value) -> Result<String, String> {
    let Value::Object(members) = condition else { return Err("it is no map".to_owned()) };
    let mut members_left = members.iter();
    let (Some((name, value)), None) = (members_left.next(), members_left.next()) else {
        return Err("it is not one condition: join several by `and`".to_owned());
    };
    match (name.as_str(), value) {
        ("equals", Value::Object(fields)) => {
            joined(fields, |field, value| Ok(format!("{field} : {}", literal(value)?)))
        }
        ("contains", Value::Object(fields)) => joined(fields, |field, value| {
            let Value::String(text) = value else { return Err("`contains` of another kind than a text".to_owned()) };
            let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./@".contains(c);
            match !text.is_empty() && text.chars().all(is_plain) {
                true => Ok(format!("{field} : *{text}*")),
                false => Err("`contains` of a text with spaces or signs".to_owned()),
            }
        }),
        ("range", Value::Object(fields)) => joined(fields, range),
        ("has_fields", Value::Array(fields)) => {
            let exists = |field: &Value| field.as_str().map(|field| format!("{field} : *"));
            let all: Option<Vec<String>> = fields.iter().map(exists).collect();
            all.map(|all| all.join(" and ")).ok_or("`has_fields` of something that is no text".to_owned())
        }
        ("and" | "or", Value::Array(parts)) => {
            let parts: Vec<String> =
                parts.iter().map(|it| Ok(format!("({})", part(it)?))).collect::<Result<_, String>>()?;
            Ok(parts.join(&format!(" {name} ")))
        }
        ("not", inner) => Ok(format!("not ({})", part(inner)?)),
        (other, _) => Err(format!("KQL has nothing like `{other}`")),
    }
}

fn joined(
    fields: &serde_json::Map<String, Value>,
    of: impl Fn(&str, &Value) -> Result<String, String>,
) -> Result<String, String> {
    let all: Vec<String> = Settings::new(fields.clone())
        .values()
        .iter()
        .map(|(field, value)| of(field, value))
        .collect::<Result<_, _>>()?;
    Ok(all.join(" and "))
}

fn literal(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(Value::from(text.as_str()).to_string()),
        Value::Number(_) | Value::Bool(_) => Ok(value.to_string()),
        _ => Err("it compares something that is no single value".to_owned()),
    }
}

fn range(path: &str, value: &Value) -> Result<String, String> {
    let (field, operator) = path.rsplit_once('.').ok_or("`range` of nothing")?;
    let signs = [("lt", "<"), ("lte", "<="), ("gt", ">"), ("gte", ">=")];
    let (_, sign) = signs.iter().find(|(name, _)| *name == operator).ok_or("`range` with another word than `gte`")?;
    match value {
        Value::Number(number) => Ok(format!("{field} {sign} {number}")),
        _ => Err("`range` of another kind than a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_say_the_same_in_kql() {
        for (condition, expected) in [
            ("equals: { http.response.code: 200 }", Ok("http.response.code : 200")),
            ("equals: { level: debug, a: true }", Ok("a : true and level : \"debug\"")),
            ("contains: { message: healthz }", Ok("message : *healthz*")),
            ("contains: { message: 'two words' }", Err("`contains` of a text with spaces or signs")),
            ("regexp: { message: '^DBG' }", Err("KQL has nothing like `regexp`")),
            ("range: { latency_ms.gte: 5, latency_ms: { lt: 9.5 } }", Ok("latency_ms >= 5 and latency_ms < 9.5")),
            ("range: { a: { gte: x } }", Err("`range` of another kind than a number")),
            ("has_fields: [a.b, c]", Ok("a.b : * and c : *")),
            ("network: { source.ip: private }", Err("KQL has nothing like `network`")),
            ("or: [{ equals: { a: 1 } }, { not: { has_fields: [b] } }]", Ok("(a : 1) or (not (b : *))")),
            ("equals: { a: 1 }\nnot: { has_fields: [b] }", Err("it is not one condition: join several by `and`")),
            ("equals: { a: [1] }", Err("it compares something that is no single value")),
            ("7", Err("it is no map")),
        ] {
            let found = kql(&crate::text::yaml::value(condition).unwrap());
            assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{condition}");
        }
    }
}
