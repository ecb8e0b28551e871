//! Names of data streams and indices: would Elasticsearch take them?
//!
//! The rules are Elasticsearch's: lower case, at most 255 bytes, none of `\ / * ? " < > | , # :` and no blank, not `.` or
//! `..`, and not starting with `-`, `_`, `+` or `.ds-`.

/// An index name with the parts that the record's own time fills in, such as `ml-{yyyy.MM.dd}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPattern {
    /// The parts, in order.
    pub parts: Vec<IndexPart>,
}

/// A part of an index name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexPart {
    /// Fixed text.
    Text(String),
    /// `yyyy`: the year, four digits, in UTC as all of these.
    Year,
    /// `MM`: the month, two digits.
    Month,
    /// `dd`: the day of the month, two digits.
    Day,
    /// `HH`: the hour from 00 to 23.
    Hour,
}

const NAME_BYTES_MAX: usize = 255;

/// Says what is wrong with the name of a data stream or an index.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let is_forbidden = |c: &char| "\\/*?\"<>|,#:".contains(*c) || c.is_whitespace() || c.is_control();
    if let Some(character) = name.chars().find(is_forbidden) {
        return Err(format!("a name cannot hold `{}`", character.escape_default()));
    }
    if name.chars().any(char::is_uppercase) {
        return Err(format!("a name has to be in lower case: `{}`", name.to_lowercase()));
    }
    if let Some(start) = ["-", "_", "+", ".ds-"].iter().find(|start| name.starts_with(**start)) {
        return Err(format!("a name cannot start with `{start}`"));
    }
    if matches!(name, "" | "." | "..") {
        return Err("this is not a name".to_owned());
    }
    match name.len() > NAME_BYTES_MAX {
        true => Err(format!("a name has at most {NAME_BYTES_MAX} bytes")),
        false => Ok(()),
    }
}

/// Reads an index name with `{…}` parts.
pub(super) fn index_pattern(text: &str) -> Result<IndexPattern, String> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        push_text(&mut parts, &rest[..start]);
        let Some(length) = rest[start..].find('}') else { return Err("`{` has no `}`".to_owned()) };
        date_parts(&mut parts, &rest[start + 1..start + length])?;
        rest = &rest[start + length + 1..];
    }
    push_text(&mut parts, rest);
    // The widest name that the pattern can give, up to its digits.
    check_name(&parts.iter().map(sample).collect::<String>())?;
    Ok(IndexPattern { parts })
}

fn push_text(parts: &mut Vec<IndexPart>, text: &str) {
    if !text.is_empty() {
        parts.push(IndexPart::Text(text.to_owned()));
    }
}

fn date_parts(parts: &mut Vec<IndexPart>, format: &str) -> Result<(), String> {
    let known = [("yyyy", IndexPart::Year), ("MM", IndexPart::Month), ("dd", IndexPart::Day), ("HH", IndexPart::Hour)];
    let mut rest = format;
    if rest.is_empty() {
        return Err("`{}` holds no date".to_owned());
    }
    while let Some(first) = rest.chars().next() {
        if let Some((letters, part)) = known.iter().find(|(letters, _)| rest.starts_with(letters)) {
            parts.push(part.clone());
            rest = &rest[letters.len()..];
        } else if matches!(first, '.' | '-' | '_') {
            push_text(parts, &rest[..1]);
            rest = &rest[1..];
        } else {
            return Err(format!(
                "`{{{format}}}` is not a date: write `yyyy`, `MM`, `dd`, `HH` with `.`, `-` or `_` between"
            ));
        }
    }
    Ok(())
}

fn sample(part: &IndexPart) -> &str {
    match part {
        IndexPart::Text(text) => text,
        IndexPart::Year => "2026",
        IndexPart::Month | IndexPart::Day | IndexPart::Hour => "11",
    }
}
