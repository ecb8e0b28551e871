//! Formats: in which one does a reader of `/metrics` want its text?
//!
//! Prometheus reads OpenMetrics where it asks for it by `Accept`. Whoever asks for nothing, or for `text/plain`, gets
//! version 0.0.4 of the older text format, which every tool reads: in it, a counter's name has its `_total` also where it
//! is described, and there are neither units nor an end mark.

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExpositionFormat {
    Text,
    OpenMetrics,
}

impl ExpositionFormat {
    /// The one that is wanted most, by the value of `Accept`.
    pub(super) fn wanted(accept: &str) -> ExpositionFormat {
        let mut best = (0.0, ExpositionFormat::Text);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let format = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
                "application/openmetrics-text" => ExpositionFormat::OpenMetrics,
                "text/plain" | "text/*" | "*/*" => ExpositionFormat::Text,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
            if weight > best.0 {
                best = (weight, format);
            }
        }
        best.1
    }

    pub(super) fn content_type(self) -> &'static str {
        match self {
            ExpositionFormat::Text => "text/plain; version=0.0.4; charset=utf-8",
            ExpositionFormat::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The text, from that in the OpenMetrics format.
    pub(super) fn render(self, open_metrics: String) -> String {
        match self {
            ExpositionFormat::OpenMetrics => open_metrics,
            ExpositionFormat::Text => text(&open_metrics),
        }
    }
}

fn text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    // The name of a counter is known to be one by the line that follows its help.
    let mut help: Option<&str> = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = Some(described);
        } else if let Some(described) = line.strip_prefix("# TYPE ") {
            let (name, kind) = described.split_once(' ').unwrap_or((described, "unknown"));
            let total = if kind == "counter" { "_total" } else { "" };
            let kind = if kind == "unknown" { "untyped" } else { kind };
            if let Some((name, words)) = help.take().and_then(|help| help.split_once(' ')) {
                text.push_str(&format!("# HELP {name}{total} {words}\n"));
            }
            text.push_str(&format!("# TYPE {name}{total} {kind}\n"));
        } else if !line.starts_with("# ") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_what_is_accepted() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=0.0.4;q=0.4,*/*;q=0.3";
        for (accept, expected) in [
            ("", ExpositionFormat::Text),
            ("*/*", ExpositionFormat::Text),
            ("text/plain", ExpositionFormat::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", ExpositionFormat::Text),
            ("application/json", ExpositionFormat::Text),
            ("application/openmetrics-text", ExpositionFormat::OpenMetrics),
            (" Application/OpenMetrics-Text ; version=1.0.0", ExpositionFormat::OpenMetrics),
            (prometheus, ExpositionFormat::OpenMetrics),
            ("text/plain;version=0.0.4;q=0.6, application/openmetrics-text; q=0.5", ExpositionFormat::Text),
            ("application/openmetrics-text;q=0", ExpositionFormat::Text),
            ("application/openmetrics-text;q=x", ExpositionFormat::OpenMetrics),
        ] {
            assert_eq!(ExpositionFormat::wanted(accept), expected, "{accept}");
        }
    }

    #[test]
    fn counters_are_described_by_their_whole_names() {
        let open_metrics = "# HELP a_lines Lines.\n# TYPE a_lines counter\na_lines_total{x=\"# TYPE b\"} 1\n\
                            # HELP b_seconds How long.\n# TYPE b_seconds histogram\n# UNIT b_seconds seconds\n\
                            b_seconds_sum 1.5\n# TYPE c unknown\nc 2\n# EOF\n";
        let expected = "# HELP a_lines_total Lines.\n# TYPE a_lines_total counter\na_lines_total{x=\"# TYPE b\"} 1\n\
                        # HELP b_seconds How long.\n# TYPE b_seconds histogram\nb_seconds_sum 1.5\n\
                        # TYPE c untyped\nc 2\n";
        assert_eq!(ExpositionFormat::Text.render(open_metrics.to_owned()), expected);
        assert_eq!(ExpositionFormat::OpenMetrics.render(open_metrics.to_owned()), open_metrics);
    }
}
