//! File path: what does the place of a log file say of its records?

use regex::Regex;

use crate::record::{Path, json};

/// A pattern of paths with names in it.
#[derive(Clone, Debug)]
pub struct FilePath {
    expression: Regex,
    /// What each name becomes, in the order of the groups.
    names: Vec<Path>,
}

impl FilePath {
    /// Reads a pattern: `{name}` is a part of a folder's or file's name, `*` and `?` are within one, `**/` is any number of
    /// folders.
    ///
    /// # Errors
    /// Says in words what is wrong with it.
    pub fn read(pattern: &str) -> Result<FilePath, String> {
        let mut expression = String::from(if pattern.starts_with('/') { "^" } else { "(?:^|/)" });
        let mut names: Vec<Path> = Vec::new();
        let mut rest = pattern;
        while let Some(character) = rest.chars().next() {
            if let Some(behind) = rest.strip_prefix("**/") {
                expression.push_str("(?:.*/)?");
                rest = behind;
                continue;
            }
            if let Some(behind) = rest.strip_prefix('{') {
                let (name, behind) = behind.split_once('}').ok_or("a `{` is not closed")?;
                let path = Path::read(name).map_err(|error| error.problem)?;
                if names.contains(&path) {
                    return Err(format!("`{{{name}}}` stands there twice"));
                }
                names.push(path);
                expression.push_str("([^/]+)");
                rest = behind;
                continue;
            }
            rest = &rest[character.len_utf8()..];
            match character {
                '*' => expression.push_str("[^/]*"),
                '?' => expression.push_str("[^/]"),
                other => expression.push_str(&regex::escape(other.encode_utf8(&mut [0; 4]))),
            }
        }
        if names.is_empty() {
            return Err("it has no name in braces, such as `{model_name}`".to_owned());
        }
        expression.push('$');
        let expression = Regex::new(&expression).map_err(|_| "it is too long".to_owned())?;
        Ok(FilePath { expression, names })
    }

    /// What it makes members of.
    pub fn names(&self) -> &[Path] {
        &self.names
    }

    /// Calls `take` with each name and its value as JSON, if the path is one of the pattern's.
    pub(super) fn read_path<E>(&self, path: &str, mut take: impl FnMut(&Path, &str) -> Result<(), E>) -> Result<(), E> {
        let Some(groups) = self.expression.captures(path) else { return Ok(()) };
        for (name, group) in self.names.iter().zip(groups.iter().skip(1).flatten()) {
            let mut raw = String::new();
            json::write_string(group.as_str(), &mut raw);
            take(name, &raw)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_from_a_path() {
        let read = |pattern: &str, path: &str| {
            let mut found = Vec::new();
            let _ = FilePath::read(pattern).unwrap().read_path(path, |name, raw| {
                found.push(format!("{name}={raw}"));
                Ok::<(), ()>(())
            });
            found.join(" ")
        };
        for (pattern, path, expected) in [
            (
                "/logs/{model_name}/{model_version}/*.log",
                "/logs/fraud/3.2/a.log",
                r#"model_name="fraud" model_version="3.2""#,
            ),
            ("/logs/{model_name}/*.log", "/logs/fraud/3.2/a.log", ""),
            ("/logs/{model_name}/*.log", "/var/logs/fraud/a.log", ""),
            ("logs/{model_name}/*.log", "/var/logs/fraud/a.log", r#"model_name="fraud""#),
            ("logs/{model_name}/*.log", "/var/mylogs/fraud/a.log", ""),
            ("/logs/**/{model_name}.log", "/logs/a/b/fraud.log", r#"model_name="fraud""#),
            ("/logs/**/{model_name}.log", "/logs/fraud.log", r#"model_name="fraud""#),
            (
                "{model_name}-{model_version}.log",
                "/l/ano-det-3.2.1.log",
                r#"model_name="ano-det" model_version="3.2.1""#,
            ),
            ("{service.name}.lo?", "/l/a+b.log", r#"service.name="a+b""#),
            ("{stage}.log", "/l/a\"b.log", r#"stage="a\"b""#),
        ] {
            assert_eq!(read(pattern, path), expected, "{pattern} of {path}");
        }
        for (pattern, problem) in [
            ("/logs/*.log", "no name"),
            ("/logs/{a", "not closed"),
            ("/{a}/{a}", "twice"),
            ("/{a..b}", "empty segment"),
        ] {
            assert!(FilePath::read(pattern).unwrap_err().contains(problem), "{pattern}");
        }
    }
}
