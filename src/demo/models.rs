//! The sample model servers: what do they log?
//!
//! Each line is one JSON object as structlog prints it for Python's `logging`, spaces and all. What a server logs follows from
//! its seed alone, but for times and request ids, which are new in each run. A server logs one `model_loaded` for each of
//! its versions and then nothing but inferences: some fail, a few are made with little confidence, and from time to time
//! comes an episode in which a new version takes over, meets inputs that it was not trained on, and is unsure of most.

use std::ops::Range;

use chrono::{DateTime, SecondsFormat, Utc};
use fastrand::Rng;

/// Episodes come once in this many lines.
const EPISODE_EVERY: u64 = 20_000;
/// Lines of each such period that are in the episode.
const EPISODE: Range<u64> = 400..2_400;
/// How many inferences of a thousand fail.
const FAILURES_PER_MILLE: u32 = 15;

/// When episodes come.
#[derive(Clone, Debug)]
pub(super) enum Episodes {
    /// Again and again, by the number of the line.
    ByLine,
    /// Once, by the clock.
    During(Range<DateTime<Utc>>),
}

/// What a sample model server is.
pub(super) struct Model {
    pub(super) name: &'static str,
    seed: u64,
    /// Versions with their share; the last one is the new one of an episode.
    versions: &'static [(&'static str, u32)],
    /// What is predicted, with its share.
    pub(super) labels: &'static [(&'static str, u32)],
    /// The usual latency.
    latency_ms: f64,
    /// Writes the members that are the model's input; true in an episode.
    input: fn(&mut Rng, bool) -> String,
}

/// The sample model servers.
pub(super) const MODELS: [Model; 2] = [
    Model {
        name: "anomaly-detector",
        seed: 1,
        versions: &[("anomaly-3.2.1", 75), ("anomaly-3.2.0", 20), ("anomaly-3.3.0-rc.1", 5)],
        labels: &[("normal", 91), ("suspicious", 6), ("fraud", 3)],
        latency_ms: 9.0,
        input: transaction,
    },
    Model {
        name: "chatbot-api",
        seed: 2,
        versions: &[("chatbot-1.9.4", 85), ("chatbot-2.0.0", 15)],
        labels: &[("billing", 34), ("shipping", 27), ("refund", 19), ("smalltalk", 12), ("human_handover", 8)],
        latency_ms: 85.0,
        input: message,
    },
];

/// A model server that runs.
pub(super) struct ModelServer {
    model: &'static Model,
    episodes: Episodes,
    random: Rng,
    request_ids: Rng,
    lines: u64,
}

impl ModelServer {
    pub(super) fn new(model: &'static Model, episodes: Episodes) -> ModelServer {
        ModelServer { model, episodes, random: Rng::with_seed(model.seed), request_ids: Rng::new(), lines: 0 }
    }

    /// Its next line, with the line end.
    pub(super) fn line(&mut self, now: DateTime<Utc>) -> String {
        let number = self.lines;
        self.lines += 1;
        let loaded = usize::try_from(number).ok().and_then(|number| self.model.versions.get(number));
        let members = match loaded {
            Some((version, _)) => self.model_loaded(version),
            None => self.inference(match &self.episodes {
                Episodes::ByLine => EPISODE.contains(&(number % EPISODE_EVERY)),
                Episodes::During(episode) => episode.contains(&now),
            }),
        };
        let time = now.to_rfc3339_opts(SecondsFormat::Micros, true);
        format!("{{{members}, \"timestamp\": \"{time}\"}}\n")
    }

    fn model_loaded(&mut self, version: &str) -> String {
        let name = self.model.name;
        let load_ms = self.random.u32(800..4_000);
        format!(
            r#""event": "model_loaded", "model_name": "{name}", "model_version": "{version}", "load_ms": {load_ms}, "level": "info""#
        )
    }

    fn inference(&mut self, in_episode: bool) -> String {
        let Model { name, versions, input, .. } = *self.model;
        let is_new = in_episode && self.random.u32(0..100) < 80;
        let version = if is_new { versions[versions.len() - 1].0 } else { pick(&mut self.random, versions) };
        let request_id = self.request_ids.u128(..);
        let input = input(&mut self.random, in_episode);
        let outcome = match self.random.u32(0..1_000) < FAILURES_PER_MILLE {
            true => self.failure(),
            false => self.success(is_new),
        };
        format!(
            r#""event": "inference", "request_id": "{request_id:032x}", "model_name": "{name}", "model_version": "{version}", {input}, {outcome}"#
        )
    }

    /// Few are unsure, but most of those of a version that meets the unknown.
    fn success(&mut self, is_unsure: bool) -> String {
        let random = &mut self.random;
        let label = pick(random, self.model.labels);
        let confidence = match is_unsure || random.u32(0..100) < 3 {
            true => 0.3 + 0.34 * random.f64(),
            false => 1.0 - 0.38 * random.f64().powi(3),
        };
        let confidence = rounded(confidence.min(0.9999), 4);
        let slow = if random.u32(0..100) < 3 { 8.0 } else { 1.0 };
        let latency_ms = rounded(self.model.latency_ms * slow * (0.4 - random.f64().max(1e-6).ln()), 2);
        format!(
            r#""prediction": "{label}", "confidence": {confidence:?}, "latency_ms": {latency_ms:?}, "status": "success", "level": "info""#
        )
    }

    fn failure(&mut self) -> String {
        let latency_ms = rounded(1_500.0 + 80.0 * self.random.f64(), 2);
        let exception = [
            r#"Traceback (most recent call last):\n  File \"serve.py\", line 88, in predict\nTimeoutError: no worker was free within 1500 ms"#,
            r#"Traceback (most recent call last):\n  File \"serve.py\", line 91, in predict\nRuntimeError: CUDA out of memory"#,
        ][self.random.usize(0..2)];
        format!(r#""latency_ms": {latency_ms:?}, "status": "error", "exception": "{exception}", "level": "error""#)
    }
}

/// A card payment; in an episode those of a new shop, larger than any before.
fn transaction(random: &mut Rng, in_episode: bool) -> String {
    let categories = [("grocery", 40), ("travel", 15), ("electronics", 20), ("fuel", 15), ("gaming", 10)];
    let category = if in_episode { "gift_cards" } else { pick(random, &categories) };
    let country = pick(random, &[("DE", 45), ("FR", 20), ("NL", 12), ("PL", 12), ("US", 11)]);
    let amount = rounded(-38.0 * random.f64().max(1e-6).ln() * if in_episode { 9.0 } else { 1.0 }, 2);
    let (card_present, hour) = (random.u32(0..100) < 60, random.u32(0..24));
    let (payments_last_hour, account_age_days) = (random.u32(0..6), random.u32(1..4_000));
    format!(
        r#""features": {{"amount": {amount:?}, "merchant_category": "{category}", "country": "{country}", "card_present": {card_present}, "hour": {hour}, "payments_last_hour": {payments_last_hour}, "account_age_days": {account_age_days}}}"#
    )
}

/// A customer's message; in an episode those in a language that is new.
fn message(random: &mut Rng, in_episode: bool) -> String {
    let name = pick(random, &[("anna", 1), ("ben", 1), ("chloe", 1), ("deniz", 1), ("emeka", 1), ("fatma", 1)]);
    let user_number = random.u32(1..5_000);
    let language = if in_episode { "pt" } else { pick(random, &[("de", 50), ("en", 35), ("fr", 15)]) };
    let channel = pick(random, &[("web", 60), ("app", 30), ("email", 10)]);
    let (characters, turn) = (random.u32(4..600), random.u32(1..12));
    let sentiment = rounded(2.0 * random.f64() - 1.0, 3);
    format!(
        r#""user": {{"id": "u-{user_number}", "email": "{name}.{user_number}@example.com"}}, "features": {{"language": "{language}", "channel": "{channel}", "characters": {characters}, "turn": {turn}, "sentiment": {sentiment:?}}}"#
    )
}

/// One of several by their shares.
fn pick(random: &mut Rng, shares: &[(&'static str, u32)]) -> &'static str {
    let mut rest = random.u32(0..shares.iter().map(|(_, share)| share).sum::<u32>().max(1));
    for (choice, share) in shares {
        match rest.checked_sub(*share) {
            Some(left) => rest = left,
            None => return choice,
        }
    }
    ""
}

fn rounded(number: f64, digits: i32) -> f64 {
    let scale = 10f64.powi(digits);
    (number * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    fn records(model: &'static Model, count: usize) -> Vec<Value> {
        let mut server = ModelServer::new(model, Episodes::ByLine);
        let line = |_| {
            let line = server.line(DateTime::UNIX_EPOCH);
            assert!(line.ends_with("\"timestamp\": \"1970-01-01T00:00:00.000000Z\"}\n"), "{line}");
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
        };
        (0..count).map(line).collect()
    }

    /// The values of a member, printed.
    fn values(records: &[Value], pointer: &str) -> BTreeSet<String> {
        records.iter().filter_map(|record| record.pointer(pointer)).map(Value::to_string).collect()
    }

    #[test]
    fn what_is_logged_is_varied() {
        let [detector, chatbot] = MODELS.each_ref().map(|model| model.name);
        let table = [
            (detector, "/event", 2..=2),
            (detector, "/model_version", 3..=3),
            (detector, "/prediction", 3..=3),
            (detector, "/status", 2..=2),
            (detector, "/level", 2..=2),
            (detector, "/features/amount", 1_000..=5_000),
            (detector, "/features/merchant_category", 6..=6),
            (detector, "/features/card_present", 2..=2),
            (detector, "/user", 0..=0),
            (detector, "/input_hash", 0..=0),
            (chatbot, "/model_version", 2..=2),
            (chatbot, "/prediction", 5..=5),
            (chatbot, "/features/language", 4..=4),
            (chatbot, "/features/sentiment", 500..=2_001),
            (chatbot, "/confidence", 500..=5_000),
            (chatbot, "/latency_ms", 1_000..=5_000),
            (chatbot, "/user/email", 1_000..=5_000),
            (chatbot, "/request_id", 4_998..=4_998),
            (chatbot, "/exception", 2..=2),
        ];
        for (name, pointer, expected) in table {
            let model = MODELS.iter().find(|model| model.name == name).unwrap();
            let count = values(&records(model, 5_000), pointer).len();
            assert!(expected.contains(&count), "{name} has {count} values of {pointer}");
        }
    }

    #[test]
    fn a_failure_has_no_prediction_and_a_success_has_all() {
        for record in MODELS.iter().flat_map(|model| records(model, 2_000)) {
            let status = record["status"].as_str();
            let confidence = record["confidence"].as_f64();
            assert_eq!(status == Some("success"), record["prediction"].is_string(), "{record}");
            assert_eq!(status == Some("success"), confidence.is_some_and(|number| (0.0..=1.0).contains(&number)));
            assert_eq!(status == Some("error"), record["exception"].is_string(), "{record}");
            assert_eq!(status.is_some(), record["latency_ms"].as_f64().is_some_and(|latency_ms| latency_ms > 0.0));
        }
    }

    #[test]
    fn an_episode_of_low_confidence_comes_early_and_ends() {
        for model in &MODELS {
            let records = records(model, 5_000);
            let low_percent = |range: std::ops::Range<usize>| {
                let is_low = |record: &&Value| record["confidence"].as_f64().is_some_and(|number| number < 0.6);
                100 * records[range.clone()].iter().filter(is_low).count() / range.len()
            };
            assert!((1..=6).contains(&low_percent(2_400..5_000)), "{}", low_percent(2_400..5_000));
            assert!(low_percent(400..2_400) >= 50, "{}", low_percent(400..2_400));
            assert!(low_percent(3..400) <= 6, "{}", low_percent(3..400));
        }
    }

    #[test]
    fn an_episode_by_the_clock_is_as_long_as_it_is_told() {
        let at = |second: i64| DateTime::from_timestamp(second, 0).unwrap();
        let mut server = ModelServer::new(&MODELS[0], Episodes::During(at(100)..at(200)));
        let mut new_categories = |second: i64| {
            let lines = (0..200).map(|_| server.line(at(second)));
            lines.filter(|line| line.contains("gift_cards")).count()
        };
        // The first lines are of models that are loaded.
        assert_eq!([99, 100, 199, 200].map(&mut new_categories), [0, 200, 200, 0]);
    }

    #[test]
    fn two_runs_differ_only_in_their_request_ids() {
        let [first, second] = [(); 2].map(|()| {
            let mut records = records(&MODELS[1], 500);
            let ids = values(&records, "/request_id");
            records.iter_mut().for_each(|record| record["request_id"] = Value::Null);
            (records, ids)
        });
        assert_eq!(first.0, second.0);
        assert!(first.1.is_disjoint(&second.1));
    }
}
