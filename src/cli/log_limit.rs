//! The log's limit: how often may one place in the code speak?
//!
//! At most [`LINES_MAX`] times within [`WINDOW`]. That lines are left out is said when it begins, and how many there were with
//! the next line from that place. Whoever asks for `debug` or `trace` gets all of it, and who asked for records is always told.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;
use tracing::callsite::Identifier;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::server::LOG_TARGET;

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
}

/// So many lines of one place are written within a window.
const LINES_MAX: u32 = 100;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(60);

/// Writes events as another format does, as long as a place does not speak too often.
pub(super) struct Limited<F> {
    format: F,
    form: Form,
    /// There are as many as places in the code.
    places: Mutex<HashMap<Identifier, Window>>,
}

/// What one place has said lately.
#[derive(Clone, Copy, Debug)]
struct Window {
    began: Instant,
    lines: u32,
    left_out: u64,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is written; so many were not, since one was.
    Write {
        left_out: u64,
    },
    /// It is the last one for a while.
    WriteLast,
    LeaveOut,
}

impl Window {
    fn new(now: Instant) -> Window {
        Window { began: now, lines: 0, left_out: 0 }
    }

    fn take(&mut self, now: Instant) -> Verdict {
        let mut left_out = 0;
        if now.duration_since(self.began) >= WINDOW {
            left_out = self.left_out;
            *self = Window::new(now);
        }
        self.lines += 1;
        match self.lines {
            lines if lines < LINES_MAX => Verdict::Write { left_out },
            LINES_MAX => Verdict::WriteLast,
            _ => {
                self.lines = LINES_MAX;
                self.left_out += 1;
                Verdict::LeaveOut
            }
        }
    }
}

/// A line of the log that comes from nowhere in the code.
pub(super) fn object(level: &str, words: &str) -> String {
    json!({ "timestamp": timestamp(), "level": level, "message": words, "target": "inferlog" }).to_string()
}

fn timestamp() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
}

impl<F> Limited<F> {
    pub(super) fn new(format: F, form: Form) -> Limited<F> {
        Limited { format, form, places: Mutex::default() }
    }

    fn judge(&self, metadata: &'static Metadata<'static>) -> Verdict {
        // Who asked for records is no noise.
        if *metadata.level() > Level::INFO || metadata.target() == LOG_TARGET {
            return Verdict::Write { left_out: 0 };
        }
        let now = Instant::now();
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(metadata.callsite()).or_insert_with(|| Window::new(now)).take(now)
    }

    fn note(&self, mut writer: Writer<'_>, words: &str) -> fmt::Result {
        match self.form {
            Form::Text => writeln!(writer, "{}  WARN {words}", timestamp()),
            Form::Json => writeln!(writer, "{}", object("WARN", words)),
        }
    }
}

impl<S, N, F> FormatEvent<S, N> for Limited<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        match self.judge(event.metadata()) {
            Verdict::LeaveOut => Ok(()),
            Verdict::Write { left_out: 0 } => self.format.format_event(context, writer, event),
            Verdict::Write { left_out } => {
                self.note(writer.by_ref(), &format!("{left_out} lines as the next one were left out"))?;
                self.format.format_event(context, writer, event)
            }
            Verdict::WriteLast => {
                self.format.format_event(context, writer.by_ref(), event)?;
                let seconds = WINDOW.as_secs();
                let words = format!("further lines as the last one are left out until {seconds} s have passed");
                self.note(writer, &words)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_speaks_too_often_is_cut_short_and_how_much_is_said_later() {
        let now = Instant::now();
        let mut window = Window::new(now);
        let verdicts: Vec<Verdict> = (0..150).map(|_| window.take(now)).collect();
        assert!(verdicts[..99].iter().all(|verdict| *verdict == Verdict::Write { left_out: 0 }));
        assert_eq!(verdicts[99], Verdict::WriteLast);
        assert!(verdicts[100..].iter().all(|verdict| *verdict == Verdict::LeaveOut));
        assert_eq!(window.take(now + WINDOW), Verdict::Write { left_out: 50 });
        assert_eq!(window.take(now + WINDOW), Verdict::Write { left_out: 0 });
    }
}
