//! `inferlog drift`: have live data drifted away from what a model was trained on?
//!
//! Of files and of records that were shipped, the rows are counted here. Of a pipeline that observes drift, what its replicas have counted
//! is added up: the documents of their windows.
//!
//! Exit codes: 1 when something alarms, 0 when nothing does, 2 when there was nothing that could be compared.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::Utc;
use serde_json::{Value, json};

use super::drift_data::{BadLines, Data, DataArguments};
use super::drift_page::Page;
use super::drift_report::{VersionReport, p_value_text, percent};
use super::query_source::{self, could_not_ask};
use super::{
    COULD_NOT_LOOK, Failure, NOT_SO, TableFormat, complain, print, print_data, print_table, runtime, say, start_log,
};
use crate::drift::{
    BaselineFile, FeatureReport, Live, LiveCounts, Measures, Merge, MergedDocuments, PsiMode, Thresholds, measure,
};
use crate::observe::drift::options::DriftOptions;
use crate::query::drift;
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// PSI that one block of a bar stands for, and how many blocks a bar has at most.
const BAR: (f64, usize) = (0.02, 20);

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  inferlog drift --baseline baselines/fraud.json today.ndjson
  inferlog drift --baseline baselines/fraud.json today.csv --html drift.html
  inferlog drift --pipeline inference --last 24h                    what all replicas have counted in their windows
  inferlog drift --baseline baselines/fraud.json --pipeline inference --last 24h 'features.country : DE'

Exit codes: 0 nothing alarms; 1 something does; 2 there was nothing that could be compared.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    /// The baseline file that `inferlog baseline` made [default: that of the pipeline]
    #[arg(long, value_name = "F")]
    baseline: Option<PathBuf>,
    /// How to print; `json` is one line a model version and feature
    #[arg(long, value_enum, default_value = "table")]
    format: TableFormat,
    /// Also write a page with the histograms, baseline against live, to this file
    #[arg(long, value_name = "F")]
    html: Option<PathBuf>,
    /// What PSI does with values that no bucket of the baseline holds [default: that of the pipeline, else defined]
    #[arg(long, value_enum)]
    mode: Option<ModeName>,
    /// The PSI from which on there is an alarm [default: that of the pipeline, else 0.2]
    #[arg(long, value_name = "PSI", value_parser = positive)]
    alert_psi: Option<f64>,
    /// The share of values out of range, unseen, or missing beyond the baseline's, from which on there is an alarm [default: that of
    /// the pipeline, else 0.05]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    alert_share: Option<f64>,
    /// The share of false ones allowed among the alarms of a window [default: that of the pipeline, else 0.01]
    #[arg(long, value_name = "SHARE", value_parser = share)]
    false_discovery_rate: Option<f64>,
    /// Fewest values of a feature for an alarm [default: 500, with quantile edges 300]
    #[arg(long, value_name = "N")]
    min_sample: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ModeName {
    /// The defining formula: they are in no bucket
    Defined,
    /// The first and last bucket are open
    Open,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "a number above 0 is wanted".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let share = positive(text).ok().filter(|share| *share <= 1.0);
    share.ok_or_else(|| "a share is wanted, above 0 and at most 1".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    let data = &arguments.data;
    match &data.pipeline {
        Some(pipeline) if data.data.is_empty() => merge(arguments, pipeline),
        _ => count(arguments),
    }
}

/// Counts the rows of files, or of what a pipeline has shipped.
fn count(arguments: &Arguments) -> Result<(), Failure> {
    let data = Data::open(&arguments.data, BadLines::PassOver)?;
    let (file, thresholds) = settings(arguments, data.options())?;
    let mut live = Live::new(&file);
    data.pass(&mut live)?.say();
    say_unknown(&live.unknown());
    let versions = live.finish();
    report(arguments, &data.name(), versions, &thresholds)
}

/// Adds up what the replicas of a pipeline have counted.
fn merge(arguments: &Arguments, pipeline: &Path) -> Result<(), Failure> {
    let data = &arguments.data;
    if data.model_name.is_some() || data.model_version.is_some() || !data.ignore.is_empty() {
        let hint = "with a condition, such as '*', the records themselves are counted";
        complain("windows were counted as they are: nothing can be left out of them", Some(hint));
        return Err(Failure(COULD_NOT_LOOK));
    }
    let respondent = query_source::open(Some(pipeline), data.source.as_deref(), data.state.data_dir.clone())?;
    let (file, thresholds) = settings(arguments, respondent.drift())?;
    let (from_ms, until_ms) = data.range.milliseconds(None, Utc::now())?;
    let (mut merge, mut problem) = (Merge::new(&file), None);
    let runtime = runtime()?;
    if let Err(gap) = runtime.block_on(respondent.refresh(|target| vec![target.drift()])) {
        say(&format!("note: {gap}"));
    }
    let visit = |text: &str| problem = problem.or(merge.add(text).err());
    let name = respondent.pipeline_name();
    runtime
        .block_on(drift::documents(&respondent.source, name, from_ms, until_ms, visit))
        .map_err(|error| could_not_ask(&error))?;
    if let Some(problem) = problem {
        return Err(Failure::new(&problem, Some("ask for a shorter range")));
    }
    let (versions, seen) = merge.finish();
    say_merged(&seen);
    if seen.added == 0 {
        let hint = "does its file say `observe: drift`, and has a window ended? With a condition, such as '*', the records are counted";
        complain(&format!("there is no document of a window that could be added in {}", respondent.name), Some(hint));
        return Err(Failure(COULD_NOT_LOOK));
    }
    let windows = format!("windows from {} to {} of {}", seen.start, seen.end, respondent.name);
    report(arguments, &windows, versions, &thresholds)
}

/// Says what was added up, and what was not.
fn say_merged(seen: &MergedDocuments) {
    let hosts: Vec<&str> = seen.hosts.iter().map(String::as_str).collect();
    let documents = counted(seen.added, "document");
    say(&format!("added up: {documents} of {}: {}", counted(hosts.len(), "host"), harmless(&hosts.join(", "))));
    if seen.of_other_baseline > 0 {
        let documents = counted(seen.of_other_baseline, "document");
        say(&format!(
            "not added: {documents} of another baseline, whose buckets are others, or of a version without one"
        ));
    }
    if seen.unreadable > 0 {
        say(&format!("not added: {} that cannot be read", counted(seen.unreadable, "document")));
    }
}

/// The baselines and thresholds: what was typed, else what the pipeline's file says.
fn settings(
    arguments: &Arguments,
    of_pipeline: Option<&DriftOptions>,
) -> Result<(Arc<BaselineFile>, Thresholds), Failure> {
    let file = match (&arguments.baseline, of_pipeline) {
        (Some(path), _) => {
            let hint = "`inferlog baseline TRAIN... -o F` makes one";
            Arc::new(BaselineFile::read(path).map_err(|error| Failure::new(&error, Some(hint)))?)
        }
        (None, Some(options)) => Arc::clone(&options.baselines),
        (None, None) => {
            let hint = "name it: `--baseline F`; `inferlog baseline TRAIN... -o F` makes one";
            complain("there is no baseline to measure against", Some(hint));
            return Err(Failure(COULD_NOT_LOOK));
        }
    };
    let usual = of_pipeline.map_or_else(Thresholds::default, |options| options.thresholds);
    let mode = arguments.mode.map(|mode| match mode {
        ModeName::Defined => PsiMode::Defined,
        ModeName::Open => PsiMode::Open,
    });
    let thresholds = Thresholds {
        mode: mode.unwrap_or(usual.mode),
        alert_psi: arguments.alert_psi.unwrap_or(usual.alert_psi),
        alert_share: arguments.alert_share.unwrap_or(usual.alert_share),
        false_discovery_rate: arguments.false_discovery_rate.unwrap_or(usual.false_discovery_rate),
        min_sample: arguments.min_sample.or(usual.min_sample),
    };
    Ok((file, thresholds))
}

/// Measures, prints, and ends with what was found.
fn report(
    arguments: &Arguments,
    data: &str,
    versions: Vec<LiveCounts<'_>>,
    thresholds: &Thresholds,
) -> Result<(), Failure> {
    let (known, unmeasured): (Vec<_>, Vec<_>) = versions.into_iter().partition(|counts| counts.chosen.is_some());
    for counts in &unmeasured {
        let version = harmless(&counts.model_version);
        let rows = counted(counts.rows, "row");
        say(&format!(
            "not measured: {rows} of version `{version}`, which has no baseline here, and there is no fallback"
        ));
    }
    let versions: Vec<VersionReport<'_>> = known.into_iter().filter_map(|counts| version(counts, thresholds)).collect();
    match arguments.format {
        TableFormat::Table => versions.iter().for_each(print_version),
        TableFormat::Json => versions.iter().for_each(|version| print_json(version, thresholds)),
    }
    if let Some(path) = &arguments.html {
        let page = Page { data, thresholds, versions: &versions }.text();
        fs_err::write(path, page).map_err(|error| Failure::new(&error, None))?;
        say(&format!("the page is `{}`", path.display()));
    }
    conclude(data, &versions, unmeasured.len())
}

fn say_unknown(unknown: &[&str]) {
    if !unknown.is_empty() {
        say(&format!("not in the baseline, and not measured: {}", harmless(&unknown.join(", "))));
    }
}

/// Measures a version that has a baseline.
fn version<'f>(counts: LiveCounts<'f>, thresholds: &Thresholds) -> Option<VersionReport<'f>> {
    let LiveCounts { model_name, model_version, chosen, counts, .. } = counts;
    let chosen = chosen?;
    let mut reports = measure(chosen.baseline, &counts, thresholds);
    let psi = |report: &FeatureReport| report.measures.map_or(-1.0, |measures| measures.psi);
    reports.sort_by(|one, other| psi(other).total_cmp(&psi(one)));
    Some(VersionReport { model_name, model_version, chosen, counts, reports })
}

fn print_version(version: &VersionReport<'_>) {
    let records = counted(version.counts.records, "record");
    print(&format!("{}: {records} against {}", harmless(&version.title()), harmless(&version.against())));
    let head = ["feature", "psi", "", "by chance", "p-value", "out of range", "unseen", "missing", "values", "alarm"];
    print_table(&head, version.reports.iter().map(cells));
    print("");
}

fn cells(report: &FeatureReport) -> Vec<String> {
    let of = |number: fn(&Measures) -> f64, digits: usize| match &report.measures {
        Some(measures) => format!("{:.digits$}", number(measures)),
        None => String::new(),
    };
    let p_value = report.measures.map_or(String::new(), |measures| p_value_text(measures.p_value));
    let alarm = match report.reasons.as_slice() {
        [] if report.is_small() => format!("too few values, {} are needed", report.min_sample),
        [] => String::new(),
        reasons => reasons.iter().map(|reason| reason.name().replace('_', " ")).collect::<Vec<_>>().join(", "),
    };
    vec![
        report.shown_name(),
        of(|measures| measures.psi, 4),
        report.measures.map_or(String::new(), |measures| bar(measures.psi)),
        of(|measures| measures.psi_by_chance, 4),
        p_value,
        percent(report.out_of_range),
        percent(report.unseen),
        percent(report.missing),
        report.n.to_string(),
        alarm,
    ]
}

/// PSI as a bar.
fn bar(psi: f64) -> String {
    let (unit, most) = BAR;
    let blocks = (psi / unit).round().max(0.0) as usize;
    if blocks > most { "█".repeat(most) + "▸" } else { "█".repeat(blocks) }
}

fn print_json(version: &VersionReport<'_>, thresholds: &Thresholds) {
    let digest = version.chosen.baseline.digest();
    for report in &version.reports {
        let mut members = report.members(&version.chosen, &digest, &version.counts, thresholds);
        let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
        set("model_name", json!(version.model_name));
        set("model_version", json!(version.model_version));
        print_data(&Value::Object(members).to_string());
    }
}

/// Says what was looked at, and how it ends.
fn conclude(data: &str, versions: &[VersionReport<'_>], unmeasured: usize) -> Result<(), Failure> {
    let reports = || versions.iter().flat_map(|version| &version.reports);
    let records: u64 = versions.iter().map(|version| version.counts.records).sum();
    let with_values = reports().filter(|report| report.n > 0).count();
    let alarms = reports().filter(|report| report.is_alarm()).count();
    let small = reports().filter(|report| report.is_small()).count();
    if alarms > 0 {
        let all = reports().count();
        say(&format!("drift: {alarms} of {all} distributions alarm, over {} in {data}", counted(records, "record")));
        return Err(Failure(NOT_SO));
    }
    let could_not = |problem: String, hint: &str| {
        complain(&problem, Some(hint));
        Err(Failure(COULD_NOT_LOOK))
    };
    if records == 0 {
        let hint = "NDJSON records have their features in `features`; baselines are for the versions that they name";
        return could_not(format!("there is no row that could be measured in {data}"), hint);
    }
    if with_values == 0 {
        return could_not(
            format!("{} in {data} have none of the baseline's features", counted(records, "record")),
            "is it the baseline of this model?",
        );
    }
    if unmeasured > 0 {
        return could_not(
            format!("nothing alarms, but {} could not be measured", counted(unmeasured as u64, "model version")),
            "give it a baseline, or make one the fallback: `inferlog baseline DATA -o F --add`",
        );
    }
    let (looked, records) = (counted(with_values as u64, "distribution"), counted(records, "record"));
    say(&match small {
        0 => format!("no drift: {looked} over {records} in {data}"),
        small if small == reports().count() => {
            format!("nothing alarms, and nothing could: {looked} over {records} in {data} have too few values")
        }
        small => format!("no drift: {looked} over {records} in {data}; {small} had too few values for an alarm"),
    });
    Ok(())
}
