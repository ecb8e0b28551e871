//! History: what would the sample model servers have logged in the last hours, and what became known of it since?
//!
//! One log with the lines of both servers in the order of time, with one episode a third of the way before its end; and beside it a file
//! of labels, which come for about half of the predictions some minutes to hours later, and of reviews of most of those that were made
//! with little confidence. Nothing of it is later than the moment at which it is written. Only times and request ids differ from one
//! history to the next.

use std::io::{self, BufWriter, Write as _};
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use fastrand::Rng;
use serde_json::{Value, json};

use super::models::{Episodes, MODELS, ModelServer};

/// When the episode is, in parts of the time.
const EPISODE: Range<f64> = 0.5..0.67;

/// How many predictions of a hundred get a label, and a review if they were made with little confidence.
const LABELLED_PERCENT: u32 = 50;
const REVIEWED_PERCENT: u32 = 70;

/// Predictions below this confidence are looked at by people.
const UNSURE_BELOW: f64 = 0.6;

/// What models are more sure than right, in an unsure prediction.
const OVERCONFIDENCE: f64 = 0.15;

/// How long labels and reviews take on average.
const LABEL_AFTER: Duration = Duration::from_secs(25 * 60);
const REVIEW_AFTER: Duration = Duration::from_secs(8 * 60);

const REVIEWERS: [&str; 3] = ["ann", "bela", "chidi"];

/// Writes so many lines below `folder`, over a time that ends at `now`, into `logs/models.ndjson`, and what became known of them into
/// `labels/labels.ndjson`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(folder: &Path, records: u64, span: Duration, now: DateTime<Utc>) -> io::Result<()> {
    let open = |name: &str| {
        fs_err::create_dir_all(folder.join(name).parent().unwrap_or(folder))?;
        Ok::<_, io::Error>(BufWriter::new(fs_err::File::create(folder.join(name))?))
    };
    let (mut log, mut labels) = (open("logs/models.ndjson")?, open("labels/labels.ndjson")?);
    let at = |part: f64| now - TimeDelta::microseconds((span.as_micros() as f64 * (1.0 - part)) as i64);
    let episode = Episodes::During(at(EPISODE.start)..at(EPISODE.end));
    let mut servers = MODELS.each_ref().map(|model| (ModelServer::new(model, episode.clone()), model.labels));
    let mut random = Rng::with_seed(3);
    for number in 0..records {
        let (server, classes) = &mut servers[number as usize % MODELS.len()];
        let time = at(number as f64 / records as f64);
        let line = server.line(time);
        log.write_all(line.as_bytes())?;
        for known in known_of(&line, time, classes, &mut random).into_iter().filter(|known| known.at <= now) {
            writeln!(labels, "{}", known.line)?;
        }
    }
    log.flush()?;
    labels.flush()
}

/// A line of labels, and when it is written.
struct Known {
    at: DateTime<Utc>,
    line: Value,
}

/// What becomes known of a line: nothing of most.
fn known_of(line: &str, time: DateTime<Utc>, classes: &[(&str, u32)], random: &mut Rng) -> Vec<Known> {
    let record: Value = serde_json::from_str(line).unwrap_or_default();
    let (Some(prediction), Some(confidence)) = (record["prediction"].as_str(), record["confidence"].as_f64()) else {
        return Vec::new();
    };
    let is_unsure = confidence < UNSURE_BELOW;
    let is_right = random.f64() < confidence - if is_unsure { OVERCONFIDENCE } else { 0.0 };
    let others: Vec<&str> = classes.iter().map(|(class, _)| *class).filter(|class| *class != prediction).collect();
    let truth = if is_right { prediction } else { others[random.usize(..others.len())] };
    let (request_id, text) =
        (&record["request_id"], |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true));
    let mut known = Vec::new();
    if random.u32(..100) < LABELLED_PERCENT {
        let at = time + after(LABEL_AFTER, random);
        let line = json!({ "request_id": request_id, "label": truth, "known_at": text(at), "by": "back office" });
        known.push(Known { at, line });
    }
    if is_unsure && random.u32(..100) < REVIEWED_PERCENT {
        let at = time + after(REVIEW_AFTER, random);
        let decision = match is_right {
            _ if random.u32(..100) < 5 => "escalated",
            true => "upheld",
            false => "overridden",
        };
        let reviewer = REVIEWERS[random.usize(..REVIEWERS.len())];
        let line = json!({
            "request_id": request_id, "kind": "review", "decision": decision, "reviewer": reviewer,
            "opened": text(time), "decided": text(at),
        });
        known.push(Known { at, line });
    }
    known
}

/// A time of waiting with this mean: of most it is shorter, of some much longer.
fn after(mean: Duration, random: &mut Rng) -> TimeDelta {
    TimeDelta::milliseconds((-random.f64().max(1e-6).ln() * mean.as_millis() as f64) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(folder: &Path, name: &str) -> Vec<Value> {
        let text = fs_err::read_to_string(folder.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn time(value: &Value) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(value.as_str().unwrap()).unwrap().to_utc()
    }

    #[test]
    fn a_history_is_in_order_and_what_is_known_of_it_comes_later_and_not_in_the_future() {
        let (folder, now, hours) = (tempfile::tempdir().unwrap(), Utc::now(), TimeDelta::hours(6));
        write(folder.path(), 10_001, hours.to_std().unwrap(), now).unwrap();
        let records = read(folder.path(), "logs/models.ndjson");
        assert_eq!(records.len(), 10_001);
        let times: Vec<DateTime<Utc>> = records.iter().map(|record| time(&record["timestamp"])).collect();
        assert!(times.is_sorted() && times[0] >= now - hours - TimeDelta::seconds(1) && times[10_000] <= now);
        let predictions: std::collections::HashMap<&str, &Value> =
            records.iter().filter_map(|record| Some((record["request_id"].as_str()?, record))).collect();
        let known = read(folder.path(), "labels/labels.ndjson");
        let (reviews, labels): (Vec<&Value>, Vec<&Value>) = known.iter().partition(|line| line["kind"] == "review");
        let of = |line: &Value| predictions[line["request_id"].as_str().unwrap()];
        let is_right = |label: &&&Value| of(label)["prediction"] == label["label"];
        for line in &known {
            let at = line.get("known_at").or(line.get("decided")).map(time).unwrap();
            assert!(at <= now && at >= time(&of(line)["timestamp"]) - TimeDelta::milliseconds(1), "{line}");
        }
        assert!((3_500..5_500).contains(&labels.len()), "{} labels", labels.len());
        let right = 100 * labels.iter().filter(is_right).count() / labels.len();
        assert!((60..95).contains(&right), "{right} % are right");
        assert!(
            reviews.len() > 300 && reviews.iter().all(|line| of(line)["confidence"].as_f64().unwrap() < UNSURE_BELOW)
        );
        for decision in ["upheld", "overridden", "escalated"] {
            assert!(reviews.iter().any(|review| review["decision"] == decision), "no review is {decision}");
        }
        // The episode is in its place.
        let unsure_percent = |range: Range<usize>| {
            let is_unsure = |record: &&Value| record["confidence"].as_f64().is_some_and(|it| it < UNSURE_BELOW);
            100 * records[range.clone()].iter().filter(is_unsure).count() / range.len()
        };
        let [before, during, after] = [100..4_900, 5_100..6_600, 6_800..10_000].map(unsure_percent);
        assert!(before < 10 && during > 50 && after < 10, "{before} %, {during} %, {after} %");
    }
}
