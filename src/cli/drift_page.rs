//! The page of `inferlog drift --html`: histograms, baseline against live, in one file that needs nothing else.
//!
//! No script, no font, nothing from a network: a browser is told so. Texts of others are escaped.

use std::fmt::Write as _;

use super::drift_report::{VersionReport, p_value_text, percent};
use crate::drift::{Categorical, Distribution, FeatureCounts, FeatureReport, Numeric, PsiMode, Thresholds};
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// The drawing of a histogram, in its own units.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 150.0;

/// The width of a column of values in no bucket: of its name.
const OUTSIDE_WIDTH: f64 = 46.0;

/// The height of a category's row.
const ROW_HEIGHT: f64 = 22.0;

/// The categories that are drawn: the most frequent in training or live.
const CATEGORIES_DRAWN: usize = 12;

const STYLE: &str = "
:root { color-scheme: light dark; --back: #f6f7f9; --card: #fff; --ink: #1c2330; --soft: #667085; --line: #dfe3ea;
  --base: #a9b4c6; --live: #2f6fde; --out: #d9730d; --alarm: #c9302c; --on-alarm: #fff; --calm: #2e7d4f; }
@media (prefers-color-scheme: dark) { :root { --back: #12161d; --card: #1b212b; --ink: #e6e9ef; --soft: #98a2b3; --line: #2d3542;
  --base: #5b687d; --live: #6ea0ff; --out: #f0954a; --alarm: #ff6b66; --on-alarm: #2a0908; --calm: #5fc08a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 28px 24px 60px; background: var(--back); color: var(--ink);
  font: 15px/1.45 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 19px; margin: 34px 0 2px; } h3 { font-size: 15px; margin: 0; overflow-wrap: anywhere; }
p { margin: 2px 0 10px; color: var(--soft); }
code { font: 0.95em ui-monospace, monospace; color: var(--ink); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; background: var(--card); border: 1px solid var(--line); border-radius: 10px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 12px; text-align: right; border-top: 1px solid var(--line); white-space: nowrap; }
th { border: 0; color: var(--soft); font-weight: 500; font-size: 13px; } th:first-child, td:first-child, td.why, th.why { text-align: left; white-space: normal; }
td:first-child { overflow-wrap: anywhere; min-width: 150px; } td.zero { color: var(--soft); }
td.bar { width: 190px; min-width: 120px; text-align: left; padding-left: 0; } a { color: inherit; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(370px, 1fr)); gap: 16px; margin-top: 18px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px 12px; }
.card.alarm { border-color: var(--alarm); }
.top { display: flex; justify-content: space-between; gap: 10px; align-items: baseline; }
.tag { font-size: 12px; padding: 1px 8px; border-radius: 99px; white-space: nowrap; color: var(--soft); border: 1px solid var(--line); }
.tag.alarm { color: var(--on-alarm); background: var(--alarm); border-color: var(--alarm); } .tag.calm { color: var(--calm); border-color: var(--calm); }
.numbers { color: var(--soft); font-size: 13px; margin: 4px 0 6px; } .numbers b, .numbers .shares { color: var(--ink); }
svg { display: block; width: 100%; height: auto; } svg text { fill: var(--soft); font: 11px system-ui, sans-serif; } svg text.out { fill: var(--out); }
.base { fill: var(--base); } .live { fill: var(--live); } .out { fill: var(--out); } .hit { fill: var(--alarm); } .axis { stroke: var(--line); } .limit { stroke: var(--ink); stroke-dasharray: 3 2; }
.legend span { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin: 0 5px 0 14px; } .legend span:first-child { margin-left: 0; }
";

/// What the page is of.
pub(super) struct Page<'p> {
    pub(super) data: &'p str,
    pub(super) thresholds: &'p Thresholds,
    pub(super) versions: &'p [VersionReport<'p>],
}

/// Two counts beside each other.
struct Pair {
    name: String,
    base: f64,
    live: f64,
    /// No bucket of the baseline.
    is_outside: bool,
}

impl Page<'_> {
    pub(super) fn text(&self) -> String {
        let mut page = String::new();
        let alarms =
            self.versions.iter().flat_map(|version| &version.reports).filter(|report| report.is_alarm()).count();
        let verdict = match alarms {
            0 => "<span class=\"tag calm\">nothing alarms</span>".to_owned(),
            alarms => format!("<span class=\"tag alarm\">{}</span>", counted(alarms as u64, "alarm")),
        };
        let Thresholds { alert_psi, alert_share, false_discovery_rate, mode, .. } = self.thresholds;
        let mode = match mode {
            PsiMode::Defined => "PSI is by the defining formula.",
            PsiMode::Open => "For PSI the first and last bucket are open.",
        };
        let _ = write!(
            page,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <title>Drift</title><style>{STYLE}</style></head>\n<body><h1>Drift {verdict}</h1>\n\
             <p>{}. An alarm needs enough values, a PSI of {alert_psi} or {} of values out of range, unseen or newly missing, and \
             more than chance: a false discovery rate of at most {false_discovery_rate}. {mode}</p>\n\
             <p class=\"legend\"><span class=\"base\" style=\"background:var(--base)\"></span>baseline\
             <span style=\"background:var(--live)\"></span>live<span style=\"background:var(--out)\"></span>live, in no bucket of the baseline</p>\n",
            marked(self.data),
            percent(*alert_share),
        );
        for (number, version) in self.versions.iter().enumerate() {
            self.version(number, version, &mut page);
        }
        page.push_str("</body></html>\n");
        page
    }

    fn version(&self, number: usize, version: &VersionReport<'_>, page: &mut String) {
        let records = counted(version.counts.records, "record");
        let _ = write!(
            page,
            "<h2>{}</h2>\n<p>{records} against {}</p>\n<div class=\"scroll\"><table><tr><th>feature<th class=\"bar\"><th>PSI<th>by chance<th>p-value\
             <th>out of range<th>unseen<th>missing<th>values<th class=\"why\">alarm</tr>\n",
            marked(&version.title()),
            marked(&version.against()),
        );
        for report in &version.reports {
            self.table_row(number, report, page);
        }
        page.push_str("</table></div>\n<div class=\"grid\">\n");
        for report in &version.reports {
            card(number, version, report, page);
        }
        page.push_str("</div>\n");
    }

    fn table_row(&self, number: usize, report: &FeatureReport, page: &mut String) {
        let psi = report.measures.map_or(0.0, |measures| measures.psi);
        let of = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let most = self.thresholds.alert_psi * 2.0;
        let class = if report.is_alarm() { "hit" } else { "live" };
        let _ = writeln!(
            page,
            "<tr><td><a href=\"#f{number}-{}\">{}</a><td class=\"bar\"><svg viewBox=\"0 0 180 12\" role=\"img\" aria-label=\"PSI\">\
             <rect class=\"{class}\" x=\"0\" y=\"2\" width=\"{:.1}\" height=\"8\" rx=\"2\"/><line class=\"limit\" x1=\"90\" y1=\"0\" x2=\"90\" y2=\"12\"/></svg>\
             <td>{}<td>{}<td>{}{}{}{}<td>{}<td class=\"why\">{}</tr>",
            report.place,
            escaped(&report.shown_name()),
            (psi / most).clamp(0.0, 1.0) * 180.0,
            of(report.measures.map(|measures| format!("{:.4}", measures.psi))),
            of(report.measures.map(|measures| format!("{:.4}", measures.psi_by_chance))),
            of(report.measures.map(|measures| escaped(&p_value_text(measures.p_value)))),
            share_cell(report.out_of_range),
            share_cell(report.unseen),
            share_cell(report.missing),
            report.n,
            reasons(report),
        );
    }
}

fn share_cell(share: f64) -> String {
    let class = if share == 0.0 { " class=\"zero\"" } else { "" };
    format!("<td{class}>{}", escaped(&percent(share)))
}

fn reasons(report: &FeatureReport) -> String {
    let names: Vec<String> = report.reasons.iter().map(|reason| reason.name().replace('_', " ")).collect();
    match names.is_empty() {
        true if report.is_small() => format!("too few values: {} are needed", report.min_sample),
        _ => names.join(", "),
    }
}

/// One feature: its numbers, and what they are of.
fn card(number: usize, version: &VersionReport<'_>, report: &FeatureReport, page: &mut String) {
    let baseline = &version.chosen.baseline.features[report.place];
    let counts = &version.counts.features[report.place];
    let (class, tag) = match report.is_alarm() {
        true => (" alarm", format!("<span class=\"tag alarm\">{}</span>", reasons(report))),
        false if report.is_small() => ("", "<span class=\"tag\">too few values</span>".to_owned()),
        false => ("", "<span class=\"tag calm\">calm</span>".to_owned()),
    };
    let mut numbers = report.measures.map_or_else(
        || "no value".to_owned(),
        |measures| {
            let ks = measures.ks_statistic.map_or(String::new(), |ks| format!(" · KS {ks:.3}"));
            format!(
                "<b>PSI {:.4}</b> · by chance {:.4} · JS {:.3}{ks}",
                measures.psi, measures.psi_by_chance, measures.js_distance
            )
        },
    );
    numbers.push_str(&shares(report, baseline.missing_share));
    let _ = write!(
        page,
        "<div class=\"card{class}\" id=\"f{number}-{}\"><div class=\"top\"><h3>{}</h3>{tag}</div><div class=\"numbers\">{numbers}</div>",
        report.place,
        escaped(&report.shown_name()),
    );
    match &baseline.distribution {
        Distribution::Numeric(numeric) => histogram(&numeric_pairs(numeric, counts), numeric, page),
        Distribution::Categorical(categorical) => rows(&categorical_pairs(categorical, counts), page),
    }
    page.push_str("</div>\n");
}

/// A line of the shares that are alarms of their own, of those that are not 0.
fn shares(report: &FeatureReport, missing_in_training: f64) -> String {
    let of = |share: f64, what: String| (share > 0.0).then(|| format!("{} {what}", percent(share)));
    let missing = format!("missing, {} in training", percent(missing_in_training));
    let shares = [
        of(report.out_of_range, "out of range".to_owned()),
        of(report.unseen, "unseen".to_owned()),
        of(report.missing, missing),
    ];
    let shares: Vec<String> = shares.into_iter().flatten().collect();
    if shares.is_empty() {
        return String::new();
    }
    format!("<br><span class=\"shares\">{}</span>", escaped(&shares.join(" · ")))
}

fn share(count: u64, total: u64) -> f64 {
    if total == 0 { 0.0 } else { count as f64 / total as f64 }
}

fn numeric_pairs(numeric: &Numeric, counts: &FeatureCounts) -> Vec<Pair> {
    let (base_total, live_total) = (numeric.counts.iter().sum(), counts.values());
    let outside = |name: &str, count: u64| {
        let pair = Pair { name: name.to_owned(), base: 0.0, live: share(count, live_total), is_outside: true };
        (count > 0).then_some(pair)
    };
    let last = numeric.counts.len() - 1;
    let bucket = |place: usize| Pair {
        name: format!("{} to {}", number(numeric.edges[place]), number(numeric.edges[place + 1])),
        base: share(numeric.counts[place], base_total),
        live: share(counts.buckets[place], live_total),
        is_outside: false,
    };
    let below = outside("below", counts.below).into_iter();
    let above = [("above", counts.above), ("none", counts.not_a_number)];
    below
        .chain((0..=last).map(bucket))
        .chain(above.into_iter().filter_map(|(name, count)| outside(name, count)))
        .collect()
}

/// The most frequent categories, and all others together.
fn categorical_pairs(categorical: &Categorical, counts: &FeatureCounts) -> Vec<Pair> {
    let base_total = categorical.categories.iter().map(|(_, count)| count).sum::<u64>() + categorical.other;
    let live_total = counts.values();
    let named = categorical.categories.iter().zip(&counts.buckets);
    let mut pairs: Vec<Pair> = named
        .map(|((name, base), live)| Pair {
            name: name.clone(),
            base: share(*base, base_total),
            live: share(*live, live_total),
            is_outside: false,
        })
        .collect();
    pairs.sort_by(|one, other| other.base.max(other.live).total_cmp(&one.base.max(one.live)));
    let rest = pairs.split_off(pairs.len().min(CATEGORIES_DRAWN));
    let other = counts.buckets.get(categorical.categories.len()).copied().unwrap_or(0);
    let (base, live) =
        rest.iter().fold((share(categorical.other, base_total), share(other, live_total)), |sum, pair| {
            (sum.0 + pair.base, sum.1 + pair.live)
        });
    if base > 0.0 || live > 0.0 {
        pairs.push(Pair { name: "all others".to_owned(), base, live, is_outside: false });
    }
    if counts.unseen > 0 {
        pairs.push(Pair {
            name: "unseen".to_owned(),
            base: 0.0,
            live: share(counts.unseen, live_total),
            is_outside: true,
        });
    }
    pairs
}

fn greatest(pairs: &[Pair]) -> f64 {
    pairs.iter().map(|pair| pair.base.max(pair.live)).fold(f64::MIN_POSITIVE, f64::max)
}

fn said(pair: &Pair) -> String {
    escaped(&format!("{}: baseline {}, live {}", pair.name, percent(pair.base), percent(pair.live)))
}

/// Where each column of a histogram begins, and how wide it is: those of values in no bucket have room for their names.
fn columns(pairs: &[Pair]) -> Vec<(f64, f64)> {
    let outside = pairs.iter().filter(|pair| pair.is_outside).count();
    let inside_width = (WIDTH - outside as f64 * OUTSIDE_WIDTH) / (pairs.len() - outside).max(1) as f64;
    let column = |left: &mut f64, pair: &Pair| {
        let width = if pair.is_outside { OUTSIDE_WIDTH } else { inside_width };
        *left += width;
        Some((*left - width, width))
    };
    pairs.iter().scan(0.0, column).collect()
}

/// Bars that stand beside each other.
fn histogram(pairs: &[Pair], numeric: &Numeric, page: &mut String) {
    // Above the tallest bar there is room for its share.
    let (top, bottom, words) = (16.0, HEIGHT - 18.0, HEIGHT - 4.0);
    let (most, columns) = (greatest(pairs), columns(pairs));
    let tallest = pairs.iter().position(|pair| pair.base.max(pair.live) >= most).unwrap_or(0);
    let centre = |(left, width): (f64, f64)| left + width / 2.0;
    let _ = write!(
        page,
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"histogram\"><text x=\"{:.0}\" y=\"11\" text-anchor=\"middle\">{}</text>",
        centre(columns[tallest]).clamp(22.0, WIDTH - 22.0),
        escaped(&percent(most))
    );
    for (pair, (left, width)) in pairs.iter().zip(&columns) {
        let bar_width = (width * 0.42).max(0.5);
        let _ = write!(page, "<g><title>{}</title>", said(pair));
        for (share, class, shift) in
            [(pair.base, "base", 0.06), (pair.live, if pair.is_outside { "out" } else { "live" }, 0.5)]
        {
            let height = share / most * (bottom - top);
            let (x, y) = (left + width * shift, bottom - height);
            let _ = write!(
                page,
                "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{bar_width:.2}\" height=\"{height:.2}\" rx=\"1\"/>"
            );
        }
        if pair.is_outside {
            let x = centre((*left, *width));
            let _ = write!(
                page,
                "<text class=\"out\" x=\"{x:.2}\" y=\"{words}\" text-anchor=\"middle\">{}</text>",
                pair.name
            );
        }
        page.push_str("</g>");
    }
    let mut inside = pairs.iter().zip(&columns).filter(|(pair, _)| !pair.is_outside).map(|(_, column)| *column);
    let first = inside.next().unwrap_or((0.0, WIDTH));
    let (last, width) = inside.next_back().unwrap_or(first);
    let edges = (number(numeric.edges[0]), number(numeric.edges[numeric.edges.len() - 1]));
    let _ = write!(
        page,
        "<line class=\"axis\" x1=\"0\" y1=\"{bottom}\" x2=\"{WIDTH}\" y2=\"{bottom}\"/><text x=\"{:.2}\" y=\"{words}\">{}</text>\
         <text x=\"{:.2}\" y=\"{words}\" text-anchor=\"end\">{}</text></svg>",
        first.0,
        edges.0,
        last + width,
        edges.1,
    );
}

/// Bars that lie below each other, with their names.
fn rows(pairs: &[Pair], page: &mut String) {
    let height = pairs.len() as f64 * ROW_HEIGHT;
    let (left, width, most) = (110.0, WIDTH - 110.0 - 52.0, greatest(pairs));
    let _ = write!(page, "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"categories\">");
    for (place, pair) in pairs.iter().enumerate() {
        let top = place as f64 * ROW_HEIGHT;
        let class = if pair.is_outside { "out" } else { "live" };
        let _ = write!(
            page,
            "<g><title>{}</title><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"base\" x=\"{left}\" y=\"{:.1}\" width=\"{:.2}\" height=\"8\" rx=\"1\"/>\
             <rect class=\"{class}\" x=\"{left}\" y=\"{:.1}\" width=\"{:.2}\" height=\"8\" rx=\"1\"/>\
             <text x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{}</text></g>",
            said(pair),
            left - 8.0,
            top + 14.0,
            escaped(&shortened(&pair.name)),
            top + 2.0,
            pair.base / most * width,
            top + 11.0,
            pair.live / most * width,
            top + 14.0,
            escaped(&percent(pair.live)),
        );
    }
    page.push_str("</svg>");
}

/// A name that fits beside its bar.
fn shortened(name: &str) -> String {
    const CHARACTERS: usize = 15;
    if name.chars().count() <= CHARACTERS {
        return name.to_owned();
    }
    name.chars().take(CHARACTERS - 1).chain(['…']).collect()
}

/// A number with four digits that matter.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-3..1e7).contains(&size) {
        return format!("{value:.3e}");
    }
    let digits = if size < 1.0 { 4 } else { 3_usize.saturating_sub(size.log10() as usize) };
    let text = format!("{value:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Words of our own, with what stands in backticks as code.
fn marked(words: &str) -> String {
    let parts = escaped(words);
    let parts = parts.split('`').enumerate();
    parts.map(|(place, part)| if place % 2 == 1 { format!("<code>{part}</code>") } else { part.to_owned() }).collect()
}

/// Text of others, as text.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in harmless(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_texts_of_others_are_texts() {
        for (value, expected) in [
            (0.0, "0"),
            (1.5, "1.5"),
            (12.3456, "12.35"),
            (1234.5678, "1235"),
            (1e9, "1.000e9"),
            (-0.05, "-0.05"),
            (100.0, "100"),
        ] {
            assert_eq!(number(value), expected);
        }
        assert_eq!(escaped("<script>\"'&\u{1b}"), "&lt;script&gt;&quot;&#39;&amp;\\u{1b}");
    }
}
