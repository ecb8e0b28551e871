//! `inferlog baseline`: what do training data look like, feature by feature?
//!
//! Reads the data twice: first how far values reach and of which type they are, then how many are in each bucket. What changes in
//! between is noticed by its digest.

use std::collections::HashSet;
use std::path::PathBuf;

use super::drift_data::{BadLines, Data, DataArguments};
use super::{COULD_NOT_LOOK, Failure, complain, print_data, say, start_log};
use crate::drift::{
    BUCKETS_DEFAULT, BUCKETS_MAX, Baseline, BaselineFile, CATEGORIES_DEFAULT, CATEGORIES_MAX, EdgesKind, Kind, LeftOut,
    Survey, TrainingOptions,
};
use crate::state::whole::write_whole;
use crate::text::harmless::harmless;
use crate::text::units::counted;

/// What `--help` ends with.
const EXAMPLES: &str = "\
Examples:
  inferlog baseline train.csv -o baselines/fraud.json --model-version 3.2.1
  inferlog baseline train-*.csv -o baselines/fraud.json --edges quantile --categorical zip_code
  inferlog baseline --pipeline inference --from 2026-11-01 --to 2026-11-08 -o baselines/fraud.json
  inferlog baseline new.csv -o baselines/fraud.json --model-version 3.3.0 --add

Rows that name their `model_version` give one baseline a version. The one with the most rows is the
fallback, for versions without their own, unless `--fallback` names another.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    /// The baseline file [default: standard output]
    #[arg(short, long, value_name = "F")]
    output: Option<PathBuf>,
    /// Keep the baselines of other versions that the file has
    #[arg(long, requires = "output")]
    add: bool,
    /// The version whose baseline is for versions without their own [default: the one with the most rows]
    #[arg(long, value_name = "VERSION")]
    fallback: Option<String>,
    /// How the edges of numeric features are chosen
    #[arg(long, value_enum, default_value = "equal-width")]
    edges: Edges,
    /// Buckets of a numeric feature
    #[arg(long, value_name = "N", default_value_t = BUCKETS_DEFAULT as u64, value_parser = clap::value_parser!(u64).range(2..=BUCKETS_MAX as u64))]
    buckets: u64,
    /// Categories of a feature that are told apart, the most frequent; the rest is one
    #[arg(long, value_name = "N", default_value_t = CATEGORIES_DEFAULT as u64, value_parser = clap::value_parser!(u64).range(1..=CATEGORIES_MAX as u64))]
    categories: u64,
    /// A feature that is categorical though its values are numbers; can be given several times
    #[arg(long, value_name = "NAME")]
    categorical: Vec<String>,
    /// A feature that is numeric though some values are none; can be given several times
    #[arg(long, value_name = "NAME")]
    numeric: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Edges {
    /// As wide as each other, over the range of the data
    EqualWidth,
    /// With as many values in each
    Quantile,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    let options = options(arguments)?;
    let kept = kept(arguments)?;
    let data = Data::open(&arguments.data, BadLines::Refuse)?;
    let (mut file, left_out) = count(&data, options)?;
    check_names(arguments, &file, &left_out)?;
    add(arguments, &mut file, kept)?;
    match &arguments.output {
        None => print_data(file.text().trim_end()),
        Some(path) => write_whole(path, |out| out.write_all(file.text().as_bytes()))
            .map_err(|error| Failure::new(&error, None))?,
    }
    say_summary(arguments, &file, &left_out);
    Ok(())
}

fn refuse<T>(problem: &str, hint: &str) -> Result<T, Failure> {
    complain(problem, Some(hint));
    Err(Failure(COULD_NOT_LOOK))
}

fn options(arguments: &Arguments) -> Result<TrainingOptions, Failure> {
    let names = |names: &[String]| names.iter().cloned().collect::<HashSet<String>>();
    let (categorical, numeric) = (names(&arguments.categorical), names(&arguments.numeric));
    if let Some(name) = categorical.intersection(&numeric).next() {
        return refuse(&format!("`{name}` cannot be both categorical and numeric"), "name it once");
    }
    Ok(TrainingOptions {
        edges_kind: match arguments.edges {
            Edges::EqualWidth => EdgesKind::EqualWidth,
            Edges::Quantile => EdgesKind::Quantile,
        },
        buckets: arguments.buckets as usize,
        categories_max: arguments.categories as usize,
        categorical,
        numeric,
    })
}

/// What the file has already, where it is to be kept.
fn kept(arguments: &Arguments) -> Result<Vec<Baseline>, Failure> {
    match &arguments.output {
        Some(path) if arguments.add && path.exists() => {
            let hint = "without `--add` it is written anew";
            Ok(BaselineFile::read(path).map_err(|error| Failure::new(&error, Some(hint)))?.baselines)
        }
        _ => Ok(Vec::new()),
    }
}

/// Reads the data twice.
fn count(data: &Data<'_>, options: TrainingOptions) -> Result<(BaselineFile, Vec<LeftOut>), Failure> {
    let mut survey = Survey::new(options);
    let first = data.pass(&mut survey)?;
    first.say();
    if first.rows == 0 {
        let problem = format!("there is no row to count in {}", data.name());
        return refuse(&problem, "NDJSON records have their features in `features`; a flat table is read as CSV");
    }
    let mut count = survey.finish();
    let second = data.pass(&mut count)?;
    if second.sources != first.sources {
        let problem = format!("{} changed while it was read", data.name());
        return refuse(&problem, "make the baseline of what does not change, such as a copy or an earlier range");
    }
    let (file, left_out) = count.finish(&first.sources);
    match file.baselines.iter().find(|baseline| baseline.features.is_empty()) {
        None => Ok((file, left_out)),
        Some(baseline) => {
            let version = baseline.model_version.as_deref().unwrap_or_default();
            let problem = format!("no feature of version `{}` has a value in {}", harmless(version), data.name());
            refuse(&problem, "`--model-version` takes the rows of one version alone")
        }
    }
}

/// A name that was typed and is none is a slip.
fn check_names(arguments: &Arguments, file: &BaselineFile, left_out: &[LeftOut]) -> Result<(), Failure> {
    let features = file.baselines.iter().flat_map(|baseline| &baseline.features).map(|feature| &feature.name);
    let known: HashSet<&String> = features.chain(left_out.iter().map(|left_out| &left_out.feature)).collect();
    match arguments.categorical.iter().chain(&arguments.numeric).find(|name| !known.contains(name)) {
        None => Ok(()),
        Some(name) => {
            let mut near: Vec<&&String> = known.iter().collect();
            near.sort_by_key(|known| strsim::damerau_levenshtein(known, name));
            let near: Vec<String> = near.iter().take(3).map(|name| format!("`{}`", harmless(name))).collect();
            refuse(&format!("there is no feature `{name}`"), &format!("did you mean one of {}?", near.join(", ")))
        }
    }
}

/// Puts kept baselines before the new ones, and makes one the fallback.
fn add(arguments: &Arguments, file: &mut BaselineFile, kept: Vec<Baseline>) -> Result<(), Failure> {
    let new = std::mem::take(&mut file.baselines);
    let is_replaced = |old: &Baseline| {
        new.iter().any(|new| (&new.model_name, &new.model_version) == (&old.model_name, &old.model_version))
    };
    let (replaced, mut all): (Vec<_>, Vec<_>) = kept.into_iter().partition(is_replaced);
    let had_fallback = replaced.iter().chain(&all).any(|baseline| baseline.fallback);
    for mut baseline in new {
        if had_fallback {
            baseline.fallback = replaced.iter().any(|old| {
                old.fallback && (&old.model_name, &old.model_version) == (&baseline.model_name, &baseline.model_version)
            });
        }
        all.push(baseline);
    }
    if let Some(version) = &arguments.fallback {
        let is_it = |baseline: &Baseline| baseline.model_version.as_deref() == Some(version);
        if !all.iter().any(is_it) {
            let versions: Vec<_> = all.iter().filter_map(|baseline| baseline.model_version.as_deref()).collect();
            let hint = format!("versions with a baseline: {}", versions.join(", "));
            return refuse(&format!("there is no baseline of version `{version}`"), &hint);
        }
        all.iter_mut().for_each(|baseline| baseline.fallback = is_it(baseline));
    }
    file.baselines = all;
    match file.problem() {
        None => Ok(()),
        Some(problem) => {
            refuse(&format!("no baseline can be made of this: {problem}"), "`--ignore` leaves columns out")
        }
    }
}

fn say_summary(arguments: &Arguments, file: &BaselineFile, left_out: &[LeftOut]) {
    for left_out in left_out {
        say(&format!("`{}` is left out: it has no value that could be counted", harmless(&left_out.feature)));
    }
    for baseline in &file.baselines {
        let of_type = |name: &str| {
            let is_one = |kind: Kind, type_name: &str| kind == Kind::Feature && type_name == name;
            baseline.features.iter().filter(|feature| is_one(feature.kind, feature.type_name())).count()
        };
        let has = |kind: Kind| if baseline.features.iter().any(|feature| feature.kind == kind) { "" } else { "no " };
        let version = match &baseline.model_version {
            Some(version) => format!("version `{}`", harmless(version)),
            None => "no version in particular".to_owned(),
        };
        say(&format!(
            "baseline of {version}{}: {}, {} numeric and {} categorical features, {}prediction, {}confidence",
            if baseline.fallback { " (the fallback)" } else { "" },
            counted(baseline.rows, "row"),
            of_type("numeric"),
            of_type("categorical"),
            has(Kind::Prediction),
            has(Kind::Confidence),
        ));
    }
    if let Some(path) = &arguments.output {
        say(&format!("written to `{}`", path.display()));
    }
}
