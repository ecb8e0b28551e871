//! A frame of `inferlog top`: what does a status look like as lines of text?
//!
//! The same status, width and age make the same lines, none wider than the width. What is not known is «–» and never 0. What
//! others have named passes [`harmless`], all of it in [`Frame`]'s own functions, so that nothing goes past them.

mod figures;

use std::time::Duration;

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use self::figures::{UNKNOWN, bar, bytes, count, milliseconds, or_unknown, per_second, percent, shares, sparkline};
use crate::observe::report::{DriftReport, FeatureDrift};
use crate::query::table::cut;
use crate::server::Steps;
use crate::server::status::{
    DeadLetterReport, ModelHealth, PipelineReport, PipelineState, SinkReport, SinkState, Status, TroubleReport,
};
use crate::text::harmless::harmless;
use crate::text::units::{counted, format_duration};

/// Without an answer for so long, what is shown is said to be old: it is asked every second.
const OLD_AFTER: Duration = Duration::from_secs(3);

/// The columns before the figures of a row.
const LABEL_WIDTH: usize = 15;

/// What stands between two figures of a row.
const GAP: &str = "  ";

/// From this width on more labels, features and reasons are shown.
const WIDE: usize = 110;

/// The most columns of the last hour: a step of ten seconds each.
const HOUR_WIDTH_MAX: usize = 360;

/// Columns of the bar of the queue.
const BAR_WIDTH: usize = 20;

/// How a line is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Strong,
    Good,
    Warning,
    Bad,
    Faint,
}

/// One line of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) tone: Tone,
}

/// What is known of a process, and since when.
pub(super) struct Seen<'s> {
    pub(super) address: &'s str,
    pub(super) status: &'s Status,
    /// How old the status is.
    pub(super) age: Duration,
    /// Why there is no later one.
    pub(super) problem: Option<&'s str>,
}

/// All lines: what stays on top, and what can be scrolled.
#[derive(Debug, Default)]
pub(super) struct Frame {
    pub(super) head: Vec<Line>,
    pub(super) body: Vec<Line>,
}

/// Lines of a width, as they are written.
struct Page {
    width: usize,
    lines: Vec<Line>,
}

/// What is known of a process as lines of at most this width.
pub(super) fn frame(seen: &Seen<'_>, width: usize) -> Frame {
    let (mut head, mut body) = (Page { width, lines: Vec::new() }, Page { width, lines: Vec::new() });
    let is_old = head.head(seen);
    if seen.status.pipelines.is_empty() {
        body.wrapped("", "it runs no pipeline", Tone::Warning);
    }
    seen.status.pipelines.iter().for_each(|pipeline| body.pipeline(pipeline));
    if is_old {
        body.lines.iter_mut().for_each(|line| line.tone = Tone::Faint);
    }
    Frame { head: head.lines, body: body.lines }
}

impl Frame {
    /// The lines that a terminal of this height has room for, from a line of the body on. What is left out is said.
    pub(super) fn cut_to(self, height: usize, first: &mut usize) -> Vec<Line> {
        let Frame { head: mut lines, mut body } = self;
        let room = height.saturating_sub(lines.len());
        if body.len() <= room {
            *first = 0;
            lines.append(&mut body);
        } else {
            // The last line says what is left out.
            let room = room.saturating_sub(1);
            *first = (*first).min(body.len() - room);
            let below = body.len() - room - *first;
            lines.extend(body.drain(*first..*first + room));
            let text = format!("… {} below, {first} above: arrow keys", counted(below as u64, "more line"));
            lines.push(Line { text, tone: Tone::Strong });
        }
        lines.truncate(height);
        lines
    }
}

impl Page {
    fn line(&mut self, text: &str, tone: Tone) {
        self.lines.push(Line { text: cut(text.trim_end(), self.width), tone });
    }

    /// A row: a label, and figures that are not broken, on as many lines as they need.
    fn row(&mut self, label: &str, figures: impl IntoIterator<Item = String>, tone: Tone) {
        let room = self.width.saturating_sub(LABEL_WIDTH);
        let (mut text, mut label) = (String::new(), format!("  {label}"));
        let mut full = |page: &mut Page, text: &mut String| {
            page.line(&format!("{label:LABEL_WIDTH$}{}", std::mem::take(text)), tone);
            label.clear();
        };
        for figure in figures {
            let figure = cut(&harmless(&figure), room);
            if !text.is_empty() && text.width() + GAP.len() + figure.width() > room {
                full(self, &mut text);
            }
            text.push_str(if text.is_empty() { "" } else { GAP });
            text.push_str(&figure);
        }
        full(self, &mut text);
    }

    /// Words, on as many lines as they need; a word that is wider than a line is broken.
    fn wrapped(&mut self, indent: &str, words: &str, tone: Tone) {
        let room = self.width.saturating_sub(indent.len()).max(1);
        let mut text = String::new();
        for word in harmless(words).split_whitespace() {
            if !text.is_empty() && text.width() + 1 + word.width() > room {
                self.line(&format!("{indent}{}", std::mem::take(&mut text)), tone);
            }
            text.push_str(if text.is_empty() { "" } else { " " });
            for character in word.chars() {
                if text.width() + character.width().unwrap_or(0) > room {
                    self.line(&format!("{indent}{}", std::mem::take(&mut text)), tone);
                }
                text.push(character);
            }
        }
        self.line(&format!("{indent}{text}"), tone);
    }

    /// Whether what is shown is old.
    fn head(&mut self, seen: &Seen<'_>) -> bool {
        let Seen { address, status, age, problem } = seen;
        let is_old = problem.is_some() || *age >= OLD_AFTER;
        let age = format_duration(Duration::from_secs(age.as_secs()));
        let up = format_duration(Duration::from_secs(status.uptime_seconds));
        let log = status.log_level.as_deref().unwrap_or(UNKNOWN);
        let running = format!("inferlog {} at {address}, up {up}, log {log}", status.inferlog);
        match is_old {
            false => self.wrapped("", &format!("{running}, data {age} old"), Tone::Strong),
            true => {
                let why = problem.map_or(String::new(), |problem| format!(": {problem}"));
                let text = format!("NO ANSWER, what is below is {age} old{why}");
                self.wrapped("", &text, Tone::Bad);
                self.wrapped("", &format!("it was {running}"), Tone::Faint);
            }
        }
        is_old
    }

    fn pipeline(&mut self, pipeline: &PipelineReport) {
        let (state, tone) = match pipeline.state {
            PipelineState::Running => ("running", Tone::Good),
            PipelineState::Waiting => ("waiting: something is in its way", Tone::Bad),
            PipelineState::Restarting => ("restarting: it has failed, and is started again", Tone::Bad),
            PipelineState::Ended => ("ended", Tone::Bad),
        };
        self.line("", Tone::Plain);
        self.wrapped("", &format!("{}: {state}", pipeline.name), tone);
        pipeline.troubles.iter().for_each(|trouble| self.trouble(trouble, Tone::Bad));
        pipeline.remarks.iter().for_each(|remark| self.trouble(remark, Tone::Warning));
        self.flow(pipeline);
        pipeline.sinks.iter().for_each(|sink| self.sink(sink));
        self.dead_letter(pipeline.dead_letter.as_ref());
        match pipeline.models.as_deref() {
            None => {}
            Some([]) => self.row("model", ["none seen so far".to_owned()], Tone::Plain),
            Some(models) => models.iter().for_each(|model| self.model(model)),
        }
        match pipeline.drift.as_deref() {
            None => {}
            Some([]) => self.row("drift", ["no window is measured so far".to_owned()], Tone::Plain),
            Some(drift) => drift.iter().for_each(|report| self.drift(report)),
        }
    }

    fn trouble(&mut self, trouble: &TroubleReport, tone: Tone) {
        let TroubleReport { sink, problem, hint, seconds, failures_in_a_row } = trouble;
        let sink = sink.as_ref().map_or(String::new(), |sink| format!("sink {sink}: "));
        let lasts = seconds.map(|seconds| format!("for {}", format_duration(Duration::from_secs(seconds))));
        let failures = failures_in_a_row.map(|failures| format!("{} in a row", counted(failures, "failure")));
        let more: Vec<String> = lasts.into_iter().chain(failures).collect();
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
        self.wrapped("  ", &format!("! {sink}{problem}{more}"), tone);
        if let Some(hint) = hint {
            self.wrapped("    ", &format!("hint: {hint}"), Tone::Plain);
        }
    }

    /// What goes through it.
    fn flow(&mut self, pipeline: &PipelineReport) {
        let rate = |rate: fn(&crate::server::Rates) -> f64| per_second(pipeline.rates.as_ref().map(rate));
        let read_bytes =
            or_unknown(pipeline.rates.as_ref(), |rates| format!("{}/s", bytes(rates.read_bytes_per_second)));
        let figures = [
            format!("read {} ({read_bytes})", rate(|rates| rates.read_lines_per_second)),
            format!("delivered {}", rate(|rates| rates.delivered_records_per_second)),
            format!("dead letter {}", rate(|rates| rates.dead_lettered_per_second)),
        ];
        self.row("now", figures, Tone::Plain);
        self.hour(pipeline.history.as_ref());
        let lag = pipeline.lag.as_ref();
        let figures = [
            or_unknown(lag, |lag| bytes(lag.bytes as f64)),
            format!("oldest batch {}", or_unknown(lag, |lag| format!("{:.1} s", lag.oldest_unacknowledged_seconds))),
            format!("files {}", or_unknown(lag, |lag| count(lag.files))),
            format!("open {}", or_unknown(lag, |lag| count(lag.open_files))),
            format!("waiting {}", or_unknown(lag, |lag| count(lag.waiting_files))),
        ];
        self.row("lag", figures, Tone::Plain);
        let queue = or_unknown(pipeline.queue.as_ref(), |queue| {
            let of = format!("{} of {}", bytes(queue.bytes as f64), bytes(queue.bytes_max as f64));
            format!("{} {of}", bar(queue.bytes, queue.bytes_max, BAR_WIDTH))
        });
        self.row("queue", [queue], Tone::Plain);
        let totals = pipeline.totals.as_ref();
        let figures = [
            format!("records {}", or_unknown(totals, |totals| count(totals.records))),
            format!("delivered {}", or_unknown(totals, |totals| count(totals.delivered))),
            format!("dropped {}", or_unknown(totals, |totals| count(totals.dropped.values().sum()))),
            format!("dead letter {}", or_unknown(totals, |totals| count(totals.dead_lettered))),
        ];
        self.row("in all", figures, Tone::Plain);
    }

    /// Records delivered a second over the last hour, as high as its highest.
    fn hour(&mut self, history: Option<&Steps>) {
        let rates = history.map(|history| &*history.delivered_records_per_second).unwrap_or_default();
        let highest = rates.iter().flatten().copied().reduce(f64::max);
        let label = format!("delivered, most {}", per_second(highest));
        let room = self.width.saturating_sub(LABEL_WIDTH + GAP.len() + label.width());
        let drawn =
            if highest.is_some() { sparkline(rates, room.clamp(1, HOUR_WIDTH_MAX)) } else { UNKNOWN.to_owned() };
        self.row("last hour", [drawn, label], Tone::Plain);
    }

    fn sink(&mut self, sink: &SinkReport) {
        let (state, tone) = match sink.state {
            SinkState::Ready => ("ready", Tone::Plain),
            SinkState::InTrouble => ("IN TROUBLE", Tone::Bad),
            SinkState::Ended => ("ended", Tone::Bad),
        };
        let kind = sink.kind.as_ref().filter(|kind| **kind != sink.name);
        let kind = kind.map_or(String::new(), |kind| format!(" ({kind})"));
        let known = |number: Option<u64>| or_unknown(number, count);
        let mut figures = vec![
            format!("{}{kind}", sink.name),
            state.to_owned(),
            format!("p50 {}", milliseconds(sink.request_p50_seconds)),
            format!("p99 {}", milliseconds(sink.request_p99_seconds)),
            format!("in flight {} of {}", known(sink.requests_in_flight), known(sink.requests_allowed)),
            format!("indexed {}", known(sink.indexed)),
        ];
        if self.width >= WIDE {
            figures.push(format!("had already {}", known(sink.duplicates)));
            figures.push(format!("refused {}", known(sink.dead_lettered)));
        }
        if sink.state != SinkState::Ready {
            figures.push(format!("last success {}", sink.last_success.as_deref().unwrap_or(UNKNOWN)));
        }
        self.row("sink", figures, tone);
    }

    fn dead_letter(&mut self, dead_letter: Option<&DeadLetterReport>) {
        let Some(DeadLetterReport { entries, bytes: taken, bytes_max, reasons }) = dead_letter else {
            return self.row("dead letter", [UNKNOWN.to_owned()], Tone::Plain);
        };
        let of = format!("{} of {}", bytes(*taken as f64), bytes(*bytes_max as f64));
        let tone = if *entries > 0 { Tone::Warning } else { Tone::Plain };
        self.row("dead letter", [counted(*entries, "entry"), of], tone);
        let shown = self.several();
        for reason in reasons.iter().take(shown) {
            let last = reason.last.as_ref().map_or(String::new(), |last| format!(", last {last}"));
            let head = format!("{} {}/{}{last}", count(reason.count), reason.stage, reason.reason);
            self.row("", [head, reason.meaning.clone()], Tone::Plain);
        }
        self.left_out(reasons.len().saturating_sub(shown), "reason");
    }

    fn model(&mut self, model: &ModelHealth) {
        let last = |steps: Option<&Vec<Option<f64>>>| steps.and_then(|steps| steps.last().copied()).flatten();
        let history = model.history.as_ref();
        let errors = percent(last(history.map(|history| &history.error_ratio)));
        let latency = milliseconds(last(history.map(|history| &history.latency_p99_seconds)));
        let labels = model.model.labels.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
        let recent = model.recent_predictions.as_ref().filter(|predictions| !predictions.is_empty());
        let predictions = recent.unwrap_or(&model.model.predictions);
        let figures = [
            format!("{}{labels}", named(&model.model.name)),
            per_second(last(history.map(|history| &history.requests_per_second))),
            format!("errors {errors} (in all {})", percent(model.error_ratio)),
            format!("p99 {latency} (in all {})", milliseconds(model.latency_p99_seconds)),
        ];
        let several = self.several();
        self.row("model", figures.into_iter().chain(shares(predictions, several)), Tone::Plain);
    }

    fn drift(&mut self, report: &DriftReport) {
        let alarms = report.features.iter().filter(|feature| feature.alarm).count();
        // Those with an alarm come first: where all that are told have one, others may have one, too.
        let at_least = if alarms == report.features.len() && report.features_left_out > 0 { "at least " } else { "" };
        let features = report.features.len() + report.features_left_out;
        let head = [
            format!("{} {}", named(&report.model_name), report.model_version),
            counted(report.records, "record"),
            format!("alarm of {at_least}{alarms} of {}", counted(features as u64, "feature")),
        ];
        let tone = if alarms > 0 { Tone::Bad } else { Tone::Plain };
        let shown = alarms.max(self.several());
        self.row("drift", head.into_iter().chain(report.features.iter().take(shown).map(feature)), tone);
        self.left_out(features - shown.min(report.features.len()), "feature");
    }

    fn left_out(&mut self, number: usize, noun: &str) {
        if number > 0 {
            self.row("", [format!("{} not shown", counted(number as u64, &format!("further {noun}")))], Tone::Faint);
        }
    }

    /// How many of many are shown.
    fn several(&self) -> usize {
        if self.width >= WIDE { 8 } else { 3 }
    }
}

fn feature(feature: &FeatureDrift) -> String {
    let psi = or_unknown(feature.psi, |psi| format!("{psi:.2}"));
    let few = if feature.is_small { " (few values)" } else { "" };
    let alarm = match (feature.alarm, feature.reasons.is_empty()) {
        (false, _) => String::new(),
        (true, true) => " ALARM".to_owned(),
        (true, false) => format!(" ALARM {}", feature.reasons.join(", ")),
    };
    format!("{} psi {psi}{few}{alarm}", feature.feature)
}

/// A model's name; records need not have one.
fn named(name: &str) -> &str {
    if name.is_empty() { "(no name)" } else { name }
}

#[cfg(test)]
mod tests;
