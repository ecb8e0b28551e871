//! `inferlog demo`: the whole product at work on sample logs, with nothing installed.
//!
//! Two sample model servers write logs into a folder; a real pipeline, written out as a file to look at, ships them into
//! the embedded store. A live line shows what happens, and at the end there is a summary with commands to try. Into a real
//! Elasticsearch it is [`super::demo_elasticsearch`].

use std::io::IsTerminal as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::signal::unix::{Signal, SignalKind, signal};
use url::Url;

use super::demo_elasticsearch::{self, Wanted};
use super::demo_folders::{FILES, Folders, in_lines, in_shell};
use super::page_records;
use super::run::{Listen, bind, limits, listen, serve};
use super::{
    COULD_NOT_LOOK, Failure, NOT_SO, StateFolder, complain, load_with_labels, print, print_table, runtime, say,
    start_log,
};
use crate::config::model::Pipeline;
use crate::demo::writers::{Traffic, Writers};
use crate::pipeline::RunEnd;
use crate::pipeline::supervisor::Supervisor;
use crate::server::{Records, Token};
use crate::sink::store::{Reader, Store};
use crate::state::admin_token::admin_token;
use crate::state::folder::{data_dir, state_folder};
use crate::state::lock::lock;
use crate::text::units::{format_duration, parse_duration};

/// The pipeline of the demo, as a user would write it.
const PIPELINE: &str = include_str!("demo.yaml");

/// How often the live line is drawn.
const DRAWN_EVERY: Duration = Duration::from_millis(200);

/// Where there is no terminal, a line is printed this often.
const TOLD_EVERY: Duration = Duration::from_secs(2);

/// The pace without an end, and of so many records, in records a second.
const RECORDS_PER_SECOND: u32 = 2_000;
const RECORDS_PER_SECOND_FAST: u32 = 20_000;

/// The pace around an episode, in records a second: slow enough to go on for long, and in a window of drift of a minute
/// there are enough records of every version to tell drift from chance.
const RECORDS_PER_SECOND_SLOW: u32 = 400;

/// The longest window of drift around an episode, and how many of them an episode has at least, as far as that goes.
const WINDOW_SECONDS_MAX: u64 = 60;
const WINDOWS_OF_EPISODE: u64 = 10;

/// How long an episode may be.
const EPISODE: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(24 * 60 * 60);

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// End after this many records; without it, Ctrl-C ends the demo
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    records: Option<u64>,
    /// Traffic for dashboards: an episode of drift and low confidence of this length, half of it quiet before and after
    #[arg(long, value_name = "DURATION", num_args = 0..=1, default_missing_value = "10m", value_parser = episode)]
    #[arg(conflicts_with = "records")]
    episode: Option<Duration>,
    /// Address of the page, /metrics, /healthz and /readyz, or `off` [default: 127.0.0.1:9614; with --records off]
    #[arg(long, value_name = "ADDR|off", value_parser = listen)]
    listen: Option<Listen>,
    /// Ship into this Elasticsearch, and not into the store: the last six hours, with drift, labels and reviews, for dashboards
    #[arg(long, value_name = "URL", value_parser = address, conflicts_with_all = ["episode", "listen"])]
    elasticsearch: Option<Url>,
    /// Where Kibana is, for the words about it
    #[arg(long, value_name = "URL", value_parser = address, requires = "elasticsearch")]
    kibana: Option<Url>,
    #[command(flatten)]
    state: StateFolder,
}

fn address(text: &str) -> Result<Url, String> {
    let address = Url::parse(text).map_err(|error| error.to_string())?;
    let is_of_web = matches!(address.scheme(), "http" | "https");
    match (is_of_web, address.username().is_empty() && address.password().is_none()) {
        (false, _) => Err("expected an address such as `http://localhost:9200`".to_owned()),
        (true, false) => Err("who asks is told by $ES_USERNAME and $ES_PASSWORD, or by $ES_API_KEY".to_owned()),
        (true, true) => Ok(address),
    }
}

fn episode(text: &str) -> Result<Duration, String> {
    let duration = parse_duration(text).map_err(|error| error.to_string())?;
    let expected = || "expected a time from 1s to 24h, such as `10m`".to_owned();
    if EPISODE.contains(&duration) { Ok(duration) } else { Err(expected()) }
}

impl Arguments {
    fn traffic(&self) -> Traffic {
        match (self.episode, self.records) {
            (Some(length), _) => Traffic::Episode(length),
            (None, Some(records)) => Traffic::Records(records),
            (None, None) => Traffic::Endless,
        }
    }

    /// Where the server is to listen; `None` is the default address, which may be somebody else's. What ends by itself after
    /// some records is nothing to look at.
    fn listen(&self) -> Option<Listen> {
        self.listen.or(self.records.is_some().then_some(Listen::Off))
    }
}

/// The window of drift, in seconds.
fn window_seconds(traffic: Traffic) -> u64 {
    match traffic {
        Traffic::Episode(length) => (length.as_secs() / WINDOWS_OF_EPISODE).clamp(1, WINDOW_SECONDS_MAX),
        Traffic::Records(_) | Traffic::Endless => WINDOW_SECONDS_MAX,
    }
}

fn records_per_second(traffic: Traffic) -> u32 {
    match traffic {
        Traffic::Records(_) => RECORDS_PER_SECOND_FAST,
        Traffic::Endless => RECORDS_PER_SECOND,
        Traffic::Episode(_) => RECORDS_PER_SECOND_SLOW,
    }
}

/// What the live line shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Progress {
    written: u64,
    shipped: u64,
    dead_lettered: u64,
    low_confidence: u64,
    lag_bytes: u64,
}

pub(super) fn run(arguments: Arguments) -> Result<(), Failure> {
    start_log("warn");
    let (traffic, listen) = (arguments.traffic(), arguments.listen());
    let data_dir = data_dir(arguments.state.data_dir);
    let mut folders = ["demo", "demo.labels"].map(|name| state_folder(&data_dir, name)).into_iter();
    if let Some(folder) = folders.find(|folder| folder.exists())
        && !data_dir.join(FILES).exists()
    {
        complain(
            &format!("`{}` is there, and is not of an earlier demo", folder.display()),
            Some("a pipeline of yours may be called `demo`: give the demo its own `--data-dir`"),
        );
        return Err(Failure(COULD_NOT_LOOK));
    }
    // Held while what an earlier demo left is removed: one that still runs must not lose its files.
    let lock = lock(&state_folder(&data_dir, "demo")).map_err(|error| Failure::new(&error, None))?;
    let text = match &arguments.elasticsearch {
        Some(elasticsearch) => demo_elasticsearch::pipeline_text(elasticsearch),
        None => PIPELINE.replace("window: 60s", &format!("window: {}s", window_seconds(traffic))),
    };
    let folders = Folders::new(data_dir, &text).map_err(|error| Failure::new(&error, None))?;
    drop(lock);
    let pipelines = load_with_labels(&[folders.files.join("demo.yaml")])?;
    if arguments.elasticsearch.is_some() {
        let wanted = Wanted { records: arguments.records, kibana: arguments.kibana.as_ref() };
        return demo_elasticsearch::run(wanted, &folders, &pipelines);
    }
    let runtime = runtime()?;
    let started = Instant::now();
    let shown = runtime.block_on(show(&pipelines, &folders, traffic, listen));
    runtime.shutdown_background();
    let (written, ended) = shown?;
    summarise(&folders, &pipelines, written, started.elapsed(), &ended)
}

/// Writes and ships until all is done or Ctrl-C comes; gives how many lines were written, and how the pipeline ended.
async fn show(
    pipelines: &[Pipeline],
    folders: &Folders,
    traffic: Traffic,
    listen: Option<Listen>,
) -> Result<(u64, Vec<(String, RunEnd)>), Failure> {
    let failed = |error: std::io::Error| Failure::new(&error, None);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let listener = bind(listen).await?;
    let mut supervisor =
        Supervisor::start(pipelines, &folders.data_dir, limits(false)).map_err(|error| Failure::new(&error, None))?;
    let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
    // The records are nobody's: whoever looks at a demo may ask for them, with the token all the same.
    let records = admin_token(&folders.data_dir).ok().map(|token| Records::new(Token::new(&token), &folders.data_dir));
    listener.into_iter().for_each(|listener| serve(listener, &supervisor, &[], records.clone()));
    let logs = folders.files.join("logs");
    let mut writers = Writers::start(&logs, traffic, records_per_second(traffic)).map_err(failed)?;
    say(&format!("two sample model servers write into {}", logs.display()));
    address
        .iter()
        .for_each(|address| say(&format!("look at it: http://{address}/ (metrics: http://{address}/metrics)")));
    if let (Some(address), Some(records)) = (address, &records) {
        page_records::say(address, records, &folders.data_dir);
    }
    if let Traffic::Episode(length) = traffic {
        say(&format!(
            "for {}, then {} of drift and low confidence, then {} without",
            format_duration(length / 2),
            format_duration(length),
            format_duration(length / 2)
        ));
    }
    follow(&supervisor, &writers, &folders.store(), [&mut interrupt, &mut terminate]).await;
    let written = writers.stop().map_err(failed)?;
    // Ctrl-C stops the writers first: what they wrote is still read and shipped.
    let deadline = Instant::now() + Duration::from_secs(20);
    while shipped(&supervisor) < written && Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    supervisor.stop();
    Ok((written, supervisor.ended().await))
}

/// Draws the live line until everything is written and shipped, or a signal comes.
async fn follow(supervisor: &Supervisor, writers: &Writers, store: &Path, [interrupt, terminate]: [&mut Signal; 2]) {
    let mut live = Live::new(store);
    loop {
        let written = writers.written();
        let done = writers.finished() && shipped(supervisor) >= written;
        live.draw(supervisor, written);
        if done {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(DRAWN_EVERY) => {}
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    live.bar.finish_and_clear();
}

/// How many lines are settled: in the store, known there already, or in the dead letter.
fn shipped(supervisor: &Supervisor) -> u64 {
    supervisor
        .pipelines
        .iter()
        .map(|pipeline| {
            let store = pipeline.counters.sink("store");
            store.indexed.get() + store.duplicates.get() + pipeline.counters.dead_lettered_total()
        })
        .sum()
}

/// The live line: on a terminal one line that is drawn again and again, elsewhere a line now and then.
struct Live {
    bar: ProgressBar,
    store: PathBuf,
    reader: Option<Reader>,
    /// Rows of the store that are counted, and how many of them were of low confidence.
    counted: (i64, u64),
    last: (Instant, u64),
    told: Instant,
}

impl Live {
    fn new(store: &Path) -> Live {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(None, target);
        bar.set_style(
            ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        let now = Instant::now();
        Live { bar, store: store.to_owned(), reader: None, counted: (0, 0), last: (now, 0), told: now }
    }

    fn draw(&mut self, supervisor: &Supervisor, written: u64) {
        let Some(pipeline) = supervisor.pipelines.first() else { return };
        self.count_low_confidence();
        let progress = Progress {
            written,
            shipped: shipped(supervisor),
            dead_lettered: pipeline.counters.dead_lettered_total(),
            low_confidence: self.counted.1,
            lag_bytes: pipeline.counters.source_lag_bytes.get().max(0) as u64,
        };
        let elapsed = self.last.0.elapsed().as_secs_f64().max(0.001);
        let rate = (progress.shipped - self.last.1) as f64 / elapsed;
        self.bar.set_message(line(&progress, rate));
        self.bar.tick();
        if self.told.elapsed() >= TOLD_EVERY {
            if self.bar.is_hidden() {
                say(&line(&progress, rate));
            }
            self.told = Instant::now();
            self.last = (Instant::now(), progress.shipped);
        }
    }

    /// Looks at the rows that are new since the last look.
    fn count_low_confidence(&mut self) {
        if self.reader.is_none() {
            self.reader = Store::open_read_only(&self.store).ok();
        }
        let Some(reader) = &self.reader else { return };
        let counted = reader.connection().query_row(
            "SELECT coalesce(max(rowid), ?1), count(*) FILTER (WHERE json_extract(document, '$.low_confidence')) \
             FROM records WHERE rowid > ?1",
            [self.counted.0],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)),
        );
        if let Ok((last_row, low_confidence)) = counted {
            self.counted = (last_row, self.counted.1 + low_confidence as u64);
        }
    }
}

fn line(progress: &Progress, rate: f64) -> String {
    format!(
        "{} written, {} shipped, {rate:.0}/s, lag {}, {} dead, {} unsure",
        progress.written,
        progress.shipped,
        indicatif::HumanBytes(progress.lag_bytes),
        progress.dead_lettered,
        progress.low_confidence,
    )
}

/// Says what there is now, and what to try next.
fn summarise(
    folders: &Folders,
    pipelines: &[Pipeline],
    written: u64,
    elapsed: Duration,
    ended: &[(String, RunEnd)],
) -> Result<(), Failure> {
    let store = folders.store();
    let failed = |error: &dyn std::error::Error| Failure::new(error, None);
    let reader = Store::open_read_only(&store).map_err(|error| failed(&error))?;
    let count = reader.count().map_err(|error| failed(&error))?;
    let dead_lettered: u64 = ended.iter().map(|(_, ended)| ended.dead_lettered).sum();
    print(&format!(
        "{count} records in the store, {written} written, {dead_lettered} dead-lettered, in {:.1} s\n",
        elapsed.as_secs_f64()
    ));
    print_table(&BY_MODEL, by_model(&reader).map_err(|error| failed(&error))?);
    print(&what_to_try(folders, pipelines));
    if count + dead_lettered == written && ended.iter().all(|(_, ended)| ended.drained) {
        return Ok(());
    }
    complain("not every record that was written is in the store", Some("this is a defect, please report it"));
    Err(Failure(NOT_SO))
}

/// Commands that show what there is, each of which can be copied into a shell as it stands.
fn what_to_try(folders: &Folders, pipelines: &[Pipeline]) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "inferlog".to_owned());
    let file = pipelines.first().map_or_else(PathBuf::new, |pipeline| pipeline.path.clone());
    let file = in_shell(&file);
    let logs = folders.files.join("logs");
    let data_dir = folders.data_dir_words();
    let command = |words: &[&str], tail: &[String]| {
        let words = std::iter::once(program.as_str()).chain(words.iter().copied());
        in_lines(&words.map(str::to_owned).chain(tail.iter().cloned()).collect::<Vec<_>>())
    };
    let sample = in_shell(&logs.join("chatbot-api.ndjson"));
    format!(
        "\nThe pipeline that did it: {file}\nThe logs that it read: {}\n\nWhat to try next:\n\n\
         what it makes of a log\n{}\nask the store\n{}\nis this all of it?\n{}\n\
         ship your own logs: edit pipelines/inference.yaml, then\n{}",
        in_shell(&logs),
        command(&["check", &file, "--sample", &sample], &[]),
        command(&["query", "'confidence < 0.6'", "--limit", "5", "--pipeline", "demo"], &data_dir),
        command(&["reconcile", "demo"], &data_dir),
        command(&["run", "pipelines/"], &[]),
    )
}

const BY_MODEL: [&str; 6] = ["model version", "records", "errors", "low confidence", "confidence", "latency ms"];

/// What the store holds, by model version; confidence and latency are means.
fn by_model(reader: &Reader) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut statement = reader.connection().prepare(
        "SELECT coalesce(model_version, '(no version)'), count(*), count(*) FILTER (WHERE status = 'error'), \
         count(*) FILTER (WHERE confidence < 0.6), avg(confidence), avg(latency_ms) \
         FROM records GROUP BY 1 ORDER BY 1",
    )?;
    let mut table = Vec::new();
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let mean = |column| {
            row.get::<_, Option<f64>>(column)
                .map(|mean| mean.map_or_else(|| "-".to_owned(), |mean| format!("{mean:.3}")))
        };
        let count = |column| row.get::<_, i64>(column).map(|count| count.to_string());
        table.push(vec![row.get(0)?, count(1)?, count(2)?, count(3)?, mean(4)?, mean(5)?]);
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_line_fits_a_terminal() {
        let progress = Progress {
            written: 1_000_000,
            shipped: 999_999,
            dead_lettered: 0,
            low_confidence: 123_456,
            lag_bytes: 12 << 20,
        };
        assert!(line(&progress, 54_321.0).len() <= 78, "{}", line(&progress, 54_321.0));
    }
}
