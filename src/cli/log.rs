//! The log: what is said on stderr while something runs, how much of it, and in which form?
//!
//! `INFERLOG_LOG` chooses how much, `INFERLOG_LOG_FORMAT=json` writes an object a line. How much can be changed while it
//! runs. What others have written (names of files, words of a server) cannot move a terminal's cursor, nor forge a line.

use std::io::IsTerminal as _;
use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format::{self, JsonFields};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::log_limit::{Form, Limited, object};
use crate::server::{LOG_TARGET, LogControl};
use crate::text::harmless::harmless;

const LEVEL_VARIABLE: &str = "INFERLOG_LOG";

const FORM_VARIABLE: &str = "INFERLOG_LOG_FORMAT";

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// The log of this process.
struct Log {
    filter: reload::Handle<EnvFilter, Registry>,
    form: Form,
    /// What was chosen at the start.
    chosen: String,
    /// What is in force.
    current: Mutex<String>,
}

static LOG: OnceLock<Log> = OnceLock::new();

/// What the variables ask for: how much, if it is set, and in which form.
///
/// # Errors
/// What is wrong with them, and what can be written there: a word that nobody knows must not silence the log.
pub(super) fn wanted() -> Result<(Option<String>, Form), (String, String)> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let level = match variable(LEVEL_VARIABLE) {
        None => None,
        Some(value) => {
            let directives = directives(&value.to_string_lossy());
            Some(directives.map_err(|problem| (format!("`{LEVEL_VARIABLE}`: {problem}"), hint()))?)
        }
    };
    let form = match variable(FORM_VARIABLE) {
        None => Form::Text,
        Some(value) if value == "text" => Form::Text,
        Some(value) if value == "json" => Form::Json,
        Some(value) => {
            let problem = format!("`{FORM_VARIABLE}`: `{}` is no form", shown(&value.to_string_lossy()));
            return Err((problem, "`text` or `json`".to_owned()));
        }
    };
    Ok((level, form))
}

/// A level is that of inferlog itself: at `debug` its libraries would fill the log with every connection, and might write
/// what is sent.
fn directives(text: &str) -> Result<String, String> {
    let level = |word: &str| LEVELS.iter().position(|level| *level == word.to_lowercase());
    let is_loud = |level: usize| level >= 4;
    let is_target =
        |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_'));
    let is_ours = |target: &str| target == "inferlog" || target.starts_with("inferlog::");
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        match part.split_once('=') {
            None if level(part).is_some_and(is_loud) => all.push(format!("warn,inferlog={part}")),
            None if level(part).is_some() => all.push(part.to_owned()),
            Some((target, word)) if is_target(target) && level(word).is_some() => {
                if level(word).is_some_and(is_loud) && !is_ours(target) {
                    return Err(format!(
                        "`{target}` is none of inferlog's own, and at `{word}` may write what is sent"
                    ));
                }
                all.push(part.to_owned());
            }
            _ => return Err(format!("`{}` is no level", shown(part))),
        }
    }
    Ok(all.join(","))
}

/// What is let through: what was chosen, and in any case who asked for records.
fn filter(directives: &str) -> EnvFilter {
    EnvFilter::new(format!("{directives},{LOG_TARGET}=info"))
}

fn shown(text: &str) -> String {
    harmless(&text.chars().take(40).collect::<String>()).into_owned()
}

/// What can be written as a level.
fn hint() -> String {
    let levels = LEVELS.map(|level| format!("`{level}`")).join(", ");
    format!("one of {levels}; or by parts, such as `info,inferlog::source=debug`")
}

/// Begins to log, at a level unless the variable chooses.
pub(super) fn start(default: &str) {
    let (wanted, form) = wanted().unwrap_or((None, Form::Text));
    let chosen = wanted.unwrap_or_else(|| default.to_owned());
    let (filter, handle) = reload::Layer::new(filter(&chosen));
    let registry = tracing_subscriber::registry().with(filter);
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(colour);
    // Another one is set already only in tests.
    let _ = match form {
        Form::Text => {
            let fields = format::debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{}", harmless(&format!("{value:?}"))),
                name => write!(writer, "{name}={}", harmless(&format!("{value:?}"))),
            });
            let event = Limited::new(format::format().with_target(false).with_ansi(colour), form);
            registry.with(layer.event_format(event).fmt_fields(fields.delimited(" "))).try_init()
        }
        Form::Json => {
            let event = format::format().json().flatten_event(true).with_current_span(false).with_span_list(false);
            registry.with(layer.event_format(Limited::new(event, form)).fmt_fields(JsonFields::new())).try_init()
        }
    };
    let _ = LOG.set(Log { filter: handle, form, current: Mutex::new(chosen.clone()), chosen });
}

/// How a running process is asked about its log.
pub(super) const CONTROL: LogControl = LogControl { level, set_level };

/// What is in force.
fn level() -> String {
    LOG.get().map_or_else(String::new, |log| log.current.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

/// Says more or less from now on. Gives what was in force before.
fn set_level(text: &str) -> Result<String, String> {
    let wanted = directives(text.trim()).map_err(|problem| format!("{problem}; hint: {}", hint()))?;
    let Some(log) = LOG.get() else { return Err("this process has no log".to_owned()) };
    let mut current = log.current.lock().unwrap_or_else(PoisonError::into_inner);
    let say = || tracing::info!("the log says `{wanted}` from now on; it was `{current}`");
    let is_said = tracing::enabled!(tracing::Level::INFO);
    say();
    log.filter.reload(filter(&wanted)).map_err(|error| error.to_string())?;
    if !is_said {
        say();
    }
    Ok(std::mem::replace(&mut *current, wanted))
}

/// Says all that can be said, or what was chosen at the start if it does so already.
pub(super) fn toggle() {
    let Some(log) = LOG.get() else { return };
    let loud = "warn,inferlog=debug";
    let _ = if level() == loud { set_level(&log.chosen) } else { set_level("debug") };
}

/// Whether words to people are lines of the log.
pub(super) fn is_structured() -> bool {
    LOG.get().is_some_and(|log| log.form == Form::Json)
}

/// Words to people, as a line of the log, if that is one of objects.
pub(super) fn structured(words: &str) -> Option<String> {
    is_structured().then(|| object("ERROR", words.trim()))
}

/// Says that something of ours has panicked, wherever it was.
pub(super) fn say_bug(words: &str) {
    match tracing::dispatcher::has_been_set() {
        true => {
            let (words, backtrace) = words.split_once('\n').unwrap_or((words, ""));
            tracing::error!(hint = "please report it", "{words}");
            if !backtrace.is_empty() {
                super::say(backtrace);
            }
        }
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
            ("info,hyper=warn", Some("info,hyper=warn")),
            ("info,hyper=trace", None),
            ("reqwest=DEBUG", None),
            ("inferlogger=debug", None),
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
