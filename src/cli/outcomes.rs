//! `inferlog outcomes`: joins labels with predictions that other hosts have shipped, by asking the sink.
//!
//! The label lines are read by a pipeline of their own, as they are beside `observe: ground_truth`; the predictions come from
//! the sink instead of the records of this host, and everything else is the same ledger, the same documents and the same figures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::{Map, Value, json};

use super::query_source::{self, could_not_ask};
use super::run::{self, Listen, StopSignals};
use super::{
    COULD_NOT_LOOK, Failure, StateFolder, TableFormat, complain, print_data, print_table, runtime, say, start_log,
};
use crate::config::model::{self, Decode, GroundTruth, LabelSource, Pipeline, SinkOptions};
use crate::elastic::target::Target;
use crate::judge::enrichment::host_name;
use crate::kql::Expression;
use crate::observe::Published;
use crate::observe::ground_truth::options::GroundTruthOptions;
use crate::observe::ground_truth::own_document;
use crate::outcome::Subject;
use crate::outcome::evaluation::{Evaluation, VersionEvaluation, evaluate};
use crate::outcome::evaluation_document::{Hours, evaluation_documents, hour};
use crate::outcome::ledger::{Ledger, LedgerError, Sought};
use crate::outcome::prediction::Predictions;
use crate::pipeline::build::store_path;
use crate::pipeline::labels;
use crate::pipeline::mail::Mail;
use crate::pipeline::supervisor::Supervisor;
use crate::query::predictions;
use crate::query::respondent::Respondent;
use crate::record::{Record, Space};
use crate::sink::store::StoreError;
use crate::state::folder::{data_dir, outcomes_file, state_folder};
use crate::state::lock::lock;
use crate::text::units::counted;

/// With `--follow`: how often it is looked for new labels, and for the predictions of those.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// With `--follow`: how often it is looked for the predictions of all labels that wait or came lately.
const LOOK_AGAIN_INTERVAL: Duration = Duration::from_secs(60);

/// With `--follow`: how long it waits when the sink could not be asked, or did not take what was found.
const TROUBLE_INTERVAL: Duration = Duration::from_secs(10);

/// With `--follow`: measuring takes at most this part of the time: 1/50.
const EVALUATION_SHARE: u32 = 50;

/// So many labels are taken at once.
const LABELS_AT_ONCE: usize = 10_000;

/// So many bytes of documents are under way at once.
const DOCUMENTS_BYTES: usize = 4 * 1024 * 1024;

/// When no sink has taken a document for so long, the rest stays in the ledger.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);

/// What the name of this pipeline of labels has behind that of the one which they are for.
const SUFFIX: &str = ".outcomes";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of label lines, or globs of them: NDJSON, or CSV where the name ends in `.csv`
    #[arg(value_name = "LABELS", required = true)]
    labels: Vec<PathBuf>,
    /// The pipeline whose predictions they are of: its file, or its name once it ran here
    #[arg(long, value_name = "FILE|NAME")]
    pipeline: PathBuf,
    /// Which sink is asked, by its name or its kind [default: the pipeline's store, else its Elasticsearch]
    #[arg(long, value_name = "SINK")]
    source: Option<String>,
    /// Go on: tail the files, and look again for predictions that were not found
    #[arg(long)]
    follow: bool,
    /// With `--follow`: address of /metrics, /healthz and /readyz, or `off` [default: off]
    #[arg(long, value_name = "ADDR|off", value_parser = run::listen, requires = "follow")]
    listen: Option<Listen>,
    /// How to print the figures: `json` is a line for each model version and stage
    #[arg(long, value_enum, default_value = "table")]
    format: TableFormat,
    #[command(flatten)]
    state: StateFolder,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    start_log("warn");
    let data_dir = data_dir(arguments.state.data_dir.clone());
    let respondent =
        query_source::open(Some(&arguments.pipeline), arguments.source.as_deref(), Some(data_dir.clone()))?;
    let Some(pipeline) = respondent.pipeline() else {
        complain("which pipeline are these labels of?", Some("name its file: `--pipeline FILE`"));
        return Err(Failure(COULD_NOT_LOOK));
    };
    let pipeline = with_labels(pipeline, &arguments.labels)?;
    let folder = state_folder(&data_dir, &pipeline.name);
    let _lock = lock(&folder).map_err(|error| Failure::new(&error, None))?;
    let subject = Subject { pipeline: pipeline.name.trim_end_matches(SUFFIX).to_owned(), host: host_name() };
    let GroundTruth { options, .. } = pipeline.ground_truth().cloned().unwrap_or_else(|| unreachable!("BUG: just put"));
    let ledger = Ledger::open(&outcomes_file(&folder), options.ledger, subject).map_err(|error| unusable(&error))?;
    let runtime = runtime()?;
    let work = Work { pipeline, options, respondent: &respondent, ledger, predictions: Predictions::default() };
    let worked = runtime.block_on(work.run(arguments, &data_dir));
    runtime.shutdown_background();
    worked
}

/// The pipeline with labels from these files, under a name of its own.
fn with_labels(pipeline: &Pipeline, files: &[PathBuf]) -> Result<Pipeline, Failure> {
    let mut pipeline = pipeline.clone();
    let inferences = pipeline.inferences().next().map(|(_, inferences)| inferences.clone());
    let of_file = pipeline.ground_truth().cloned();
    let is_csv = |path: &Path| path.extension().is_some_and(|end| end == "csv");
    let kinds = files.iter().filter(|path| is_csv(path)).count();
    if kinds > 0 && kinds < files.len() {
        complain("some of these files are CSV and some are not", Some("give them in two runs"));
        return Err(Failure(COULD_NOT_LOOK));
    }
    let decode = match &of_file {
        Some(GroundTruth { labels: LabelSource { decode, .. }, .. }) if kinds > 0 && decode.is_csv() => decode.clone(),
        _ if kinds > 0 => Decode::csv(None),
        _ => Decode::default(),
    };
    let paths = files.iter().map(|path| absolute(path)).collect::<Result<_, _>>()?;
    let mut options = match &of_file {
        Some(of_file) => of_file.options.clone(),
        None => GroundTruthOptions::default(),
    };
    options.inferences = options.inferences.or(inferences);
    let enrich = of_file.map(|of_file| of_file.labels.enrich).unwrap_or_default();
    let files = crate::source::files::Options { paths, exclude: Vec::new(), ..pipeline.source.files.clone() };
    let truth = GroundTruth { options, labels: LabelSource { files, decode, enrich } };
    pipeline.name.push_str(SUFFIX);
    pipeline.observe = vec![model::Observer::GroundTruth(Box::new(truth))];
    Ok(pipeline)
}

/// A path from the folder of the shell, which a glob needs from the root.
fn absolute(path: &Path) -> Result<String, Failure> {
    let absolute = std::path::absolute(path).map_err(|error| Failure::new(&error, None))?;
    match (absolute.to_str(), path.exists()) {
        (Some(text), true) => Ok(globset::escape(text)),
        (Some(text), false) if text.contains(['*', '?', '[']) => Ok(text.to_owned()),
        _ => {
            complain(&format!("there is no file of labels `{}`", path.display()), None);
            Err(Failure(COULD_NOT_LOOK))
        }
    }
}

fn unusable(error: &LedgerError) -> Failure {
    Failure::new(error, Some("what was found before is in it; the sink and the label files are untouched"))
}

/// What is done, and with what.
struct Work<'r> {
    pipeline: Pipeline,
    options: GroundTruthOptions,
    respondent: &'r Respondent,
    ledger: Ledger,
    predictions: Predictions,
}

impl Work<'_> {
    async fn run(mut self, arguments: &Arguments, data_dir: &Path) -> Result<(), Failure> {
        let Some(labels) = self.pipeline.labels() else { return Ok(()) };
        let shown = Published::of_outcomes(&self.options);
        let listener = match arguments.listen {
            None => None,
            given => run::bind(given).await?,
        };
        let signals = if arguments.follow { Some(StopSignals::listen()?) } else { None };
        let limits = run::limits(!arguments.follow);
        let started = Supervisor::start_beside(std::slice::from_ref(&labels), data_dir, limits, vec![shown.clone()]);
        let mut supervisor = started.map_err(|error| Failure::new(&error, error.hint()))?;
        listener.into_iter().for_each(|listener| run::serve(listener, &supervisor, &[], None));
        let store = match &labels.sinks[0].options {
            SinkOptions::Store(store) => store_path(data_dir, &labels.name, store),
            SinkOptions::Elasticsearch(_) | SinkOptions::Stdout => unreachable!("BUG: labels go into a store"),
        };
        let mut mail = self.mail(data_dir)?;
        if let Some(signals) = signals {
            return self.follow(&store, &mut mail, &shown, supervisor, signals, arguments.format).await;
        }
        let ended = supervisor.ended().await;
        self.take(&store, true).await?;
        let mut left = self.send(&mut mail).await?;
        let now_us = Utc::now().timestamp_micros();
        let evaluation = self.evaluation(now_us)?;
        left |= !self.send_evaluation(&mut mail, &evaluation, hour(now_us), now_us).await;
        self.show(&evaluation, arguments.format);
        run::judge(&ended, true).and(if left { Err(Failure(COULD_NOT_LOOK)) } else { Ok(()) })
    }

    /// The way of documents into the pipeline's sinks. To be called within a runtime.
    fn mail(&self, data_dir: &Path) -> Result<Mail, Failure> {
        let name = self.pipeline.name.trim_end_matches(SUFFIX);
        Mail::open(self.pipeline.sinks.iter(), data_dir, name).map_err(|error| Failure::new(&error, None))
    }

    /// Goes on until it is asked to stop.
    async fn follow(
        mut self,
        store: &Path,
        mail: &mut Mail,
        shown: &Published,
        mut supervisor: Supervisor,
        mut signals: StopSignals,
        format: TableFormat,
    ) -> Result<(), Failure> {
        let (mut next_again, mut next_evaluation, mut hours) = (Instant::now(), Instant::now(), Hours::default());
        loop {
            let again = Instant::now() >= next_again;
            // What went wrong was said; nothing is lost by it.
            let pause = match self.take(store, again).await.and(self.send(mail).await) {
                Ok(_) => LOOK_INTERVAL,
                Err(_) => TROUBLE_INTERVAL,
            };
            if again && pause == LOOK_INTERVAL {
                next_again = Instant::now() + LOOK_AGAIN_INTERVAL;
            }
            let started = Instant::now();
            if started >= next_evaluation {
                let now_us = Utc::now().timestamp_micros();
                let evaluation = self.evaluation(now_us)?;
                if let Some(hour) = hours.ended(now_us) {
                    self.send_evaluation(mail, &evaluation, hour, now_us).await;
                }
                shown.set_outcomes(evaluation);
                next_evaluation = Instant::now() + started.elapsed() * EVALUATION_SHARE;
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = signals.next() => {
                    let now_us = Utc::now().timestamp_micros();
                    let evaluation = self.evaluation(now_us)?;
                    self.send_evaluation(mail, &evaluation, hour(now_us), now_us).await;
                    self.show(&evaluation, format);
                    supervisor.stop();
                    return run::judge(&supervisor.ended().await, false);
                }
            }
        }
    }

    /// Takes new labels, and looks for the predictions of those; `again`: of all that wait or came lately, too.
    async fn take(&mut self, store: &Path, again: bool) -> Result<(), Failure> {
        let before = self.ledger.last_label().map_err(|error| unusable(&error))?;
        if store.exists() {
            self.take_labels(store)?;
        }
        self.look_for(Sought::Waiting, if again { 0 } else { before }).await?;
        if again {
            let since_us = Utc::now().timestamp_micros() - self.options.ledger.patience.as_micros() as i64;
            self.look_for(Sought::SeenSince(since_us), 0).await?;
            let now_us = Utc::now().timestamp_micros();
            while self.ledger.forget(now_us).map_err(|error| unusable(&error))? {}
        }
        Ok(())
    }

    fn take_labels(&mut self, store: &Path) -> Result<(), Failure> {
        let failed = |error: StoreError| Failure::new(&error, None);
        let mut read_to = self.ledger.progress().map_err(|error| unusable(&error))?;
        let reader = labels::open(store, &mut read_to).map_err(failed)?;
        while let Some(lines) = labels::labels_behind(&reader, &mut read_to, LABELS_AT_ONCE).map_err(failed)? {
            let now_us = Utc::now().timestamp_micros();
            let entered = self.ledger.enter(&self.predictions, &lines, Some(&read_to), now_us);
            entered.map_err(|error| unusable(&error))?;
        }
        Ok(())
    }

    /// Asks the sink for the predictions of labels behind a number, and joins what it has.
    async fn look_for(&mut self, sought: Sought, behind: i64) -> Result<(), Failure> {
        let mut behind = behind;
        loop {
            let found = self.ledger.requests(sought, behind, LABELS_AT_ONCE).map_err(|error| unusable(&error))?;
            let (ids, Some(last)) = found else { return Ok(()) };
            self.respondent.refresh(Target::parts).await.unwrap_or_else(|problem| say(&problem));
            let (predictions, options) = (&mut self.predictions, &self.options);
            let taken = predictions::by_request(&self.respondent.source, &ids, |id, document| {
                take_prediction(predictions, options, id, document);
            });
            taken.await.map_err(|error| could_not_ask(&error))?;
            let now_us = Utc::now().timestamp_micros();
            self.ledger.enter(&self.predictions, &[], None, now_us).map_err(|error| unusable(&error))?;
            self.predictions.clear();
            behind = last;
        }
    }

    /// Brings the documents to the sinks. True when some are left: they are in the ledger, and go the next time.
    async fn send(&mut self, mail: &mut Mail) -> Result<bool, Failure> {
        loop {
            let pending = self.ledger.documents(0, DOCUMENTS_BYTES).map_err(|error| unusable(&error))?;
            let Some(last) = pending.last().map(|last| last.number) else { return Ok(false) };
            if !mail.deliver(pending.into_iter().filter_map(own_document), TAKEN_WITHIN).await {
                say("the sinks do not take the documents of outcomes now; they are kept, and go the next time");
                return Ok(true);
            }
            self.ledger.taken(last).map_err(|error| unusable(&error))?;
        }
    }

    /// Brings the documents of an hour's evaluation to the sinks, and says whether these took them.
    async fn send_evaluation(&self, mail: &mut Mail, evaluation: &Evaluation, hour: i64, now_us: i64) -> bool {
        let measured = self.options.measured();
        let documents = evaluation_documents(self.ledger.subject(), evaluation, &measured, hour, now_us);
        let is_taken = mail.deliver(documents.into_iter(), TAKEN_WITHIN).await;
        if !is_taken {
            say("the sinks do not take the documents of the evaluation now; it is measured again the next time");
        }
        is_taken
    }

    fn evaluation(&self, now_us: i64) -> Result<Evaluation, Failure> {
        evaluate(&self.ledger, &self.options.measured(), now_us).map_err(|error| unusable(&error))
    }

    /// Prints the figures, and says what they are of.
    fn show(&self, evaluation: &Evaluation, format: TableFormat) {
        print_figures(evaluation, &self.options, format);
        self.sum_up(evaluation);
    }

    /// What became of the labels, and where predictions were looked for.
    fn sum_up(&self, evaluation: &Evaluation) {
        let mut by_outcome: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, _, outcome, count) in &evaluation.totals.labels {
            *by_outcome.entry(outcome.as_str()).or_default() += count;
        }
        let parts: Vec<String> = by_outcome.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let parts = if parts.is_empty() { "none".to_owned() } else { parts.join(", ") };
        say(&format!("labels, since this ledger began: {parts}; asked for predictions: {}", self.respondent.name));
        if evaluation.totals.waiting > 0 {
            let labels = counted(evaluation.totals.waiting, "label");
            say(&format!("{labels} found no prediction there: kept, and looked for again the next time"));
        }
    }
}

/// Takes what a shipped record predicted, if it is an inference.
fn take_prediction(predictions: &mut Predictions, options: &GroundTruthOptions, id: &str, document: &str) {
    let mut space = Space::default();
    let Ok(record) = Record::parse(document, &mut space) else { return };
    let is_inference = options.inferences.as_ref().is_none_or(|inferences: &Expression| inferences.matches(&record));
    let (Some(id), true) = (crate::flow::batch::Id::read(id), is_inference) else { return };
    let time_us = record.first("@timestamp").and_then(crate::outcome::label::moment).unwrap_or_default();
    predictions.take(&record, id, time_us, options.flagged.matches(&record));
}

fn print_figures(evaluation: &Evaluation, options: &GroundTruthOptions, format: TableFormat) {
    if format == TableFormat::Json {
        evaluation.versions.iter().for_each(|version| print_data(&json_line(evaluation, version, options).to_string()));
        return;
    }
    let names =
        ["predictions_in_window", "outcomes_in_window", "accuracy", "estimated_accuracy", "mean_absolute_error"];
    let heads = ["predictions", "labelled", "accuracy", "estimated", "mean absolute error"];
    let is_shown = |name: &&str| evaluation.versions.iter().any(|version| version.value(name).is_some());
    let shown: Vec<(&str, &str)> = names.into_iter().zip(heads).filter(|(name, _)| is_shown(name)).collect();
    let head: Vec<&str> = ["model version", "stage"].into_iter().chain(shown.iter().map(|(_, head)| *head)).collect();
    let rows = evaluation.versions.iter().map(|version| {
        let figures = shown.iter().map(|(name, _)| version.value(name).map_or("-".to_owned(), in_words));
        [version.version.model_version.clone(), version.version.stage.clone()].into_iter().chain(figures).collect()
    });
    print_table(&head, rows);
}

fn in_words(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.4}") }
}

/// One model version: its figures under the names of the metrics, those by class as lists.
fn json_line(evaluation: &Evaluation, measured: &VersionEvaluation, options: &GroundTruthOptions) -> Value {
    let mut line = Map::new();
    let version = &measured.version;
    for (name, value) in [
        ("model_name", &version.model_name),
        ("model_version", &version.model_version),
        ("stage", &version.stage),
        ("window", &options.window_text),
    ] {
        line.insert(name.to_owned(), json!(value));
    }
    let labels: Vec<Value> = evaluation
        .totals
        .labels
        .iter()
        .filter(|(of, ..)| of == version)
        .map(|(_, kind, outcome, count)| json!({ "kind": kind.as_str(), "outcome": outcome.as_str(), "count": count }))
        .collect();
    line.insert("labels".to_owned(), labels.into());
    let mut by_class: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for figure in &measured.figures {
        if figure.labels.is_empty() {
            line.insert(figure.name.to_owned(), json!(figure.value));
            continue;
        }
        let labels = figure.labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value)));
        let entry: Map<String, Value> = labels.chain([("value".to_owned(), json!(figure.value))]).collect();
        by_class.entry(figure.name).or_default().push(entry.into());
    }
    line.extend(by_class.into_iter().map(|(name, entries)| (name.to_owned(), entries.into())));
    if let Some(withheld) = &measured.no_estimate {
        line.insert("estimated_accuracy_withheld".to_owned(), json!(withheld.name()));
    }
    Value::Object(line)
}
