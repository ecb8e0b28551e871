//! The log: how much is said on stderr while something runs? `INFERLOG_LOG` chooses.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// The variable.
const VARIABLE: &str = "INFERLOG_LOG";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// What the variable asks for, if it is set.
///
/// # Errors
/// What is wrong with it: a word that nobody knows must not silence the log.
pub(super) fn wanted() -> Result<Option<String>, String> {
    match std::env::var_os(VARIABLE) {
        None => Ok(None),
        Some(value) if value.is_empty() => Ok(None),
        Some(value) => directives(&value.to_string_lossy()).map(Some),
    }
}

/// A level is that of inferlog itself: at `debug` its libraries would fill the log with every connection.
fn directives(text: &str) -> Result<String, String> {
    let is_level = |word: &str| LEVELS.contains(&word.to_lowercase().as_str());
    let is_target =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_'));
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        match part.split_once('=') {
            None if matches!(part.to_lowercase().as_str(), "debug" | "trace") => {
                all.push(format!("warn,inferlog={part}"));
            }
            None if is_level(part) => all.push(part.to_owned()),
            Some((target, level)) if is_target(target) && is_level(level) => all.push(part.to_owned()),
            _ => {
                let shown: String = part.chars().filter(|c| !c.is_control()).take(40).collect();
                return Err(format!("`{VARIABLE}`: `{shown}` is no level"));
            }
        }
    }
    Ok(all.join(","))
}

/// What can be written there.
pub(super) fn hint() -> String {
    let levels = LEVELS.map(|level| format!("`{level}`")).join(", ");
    format!("one of {levels}; or by parts, such as `info,inferlog::source=debug`")
}

/// Begins to log, at a level unless the variable chooses.
pub(super) fn start(default: &str) {
    let wanted = wanted().ok().flatten();
    let filter = EnvFilter::new(wanted.as_deref().unwrap_or(default));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    // Another one is set already only in tests.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .with_target(false)
        .try_init();
}

/// Says that something of ours has panicked, wherever it was.
pub(super) fn say_bug(words: &str) {
    match tracing::dispatcher::has_been_set() {
        true => tracing::error!(hint = "please report it", "{words}"),
        false => super::say(words),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_level_is_an_error() {
        for (text, expected) in [
            ("info", Some("info")),
            ("debug", Some("warn,inferlog=debug")),
            ("WARN", Some("WARN")),
            ("info,inferlog::source=debug", Some("info,inferlog::source=debug")),
            ("nonsense", None),
            ("verbose", None),
            ("info,", None),
            ("inferlog=loud", None),
            ("=debug", None),
            ("[span]=debug", None),
        ] {
            assert_eq!(directives(text).ok().as_deref(), expected, "{text}");
        }
    }
}
