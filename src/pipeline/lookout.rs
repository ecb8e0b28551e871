//! Lookout: what does an operator have to hear of pipelines that run?
//!
//! Looks at each of them once a second, and says what goes on for long or happens often: at once, then rarely, with how
//! much of it there is. What is said is decided by [`Memory::look`], which is pure and tested by tables.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::health::Health;
use super::pulse::{Pulse, Standing};
use crate::telemetry::Counters;
use crate::text::units::{format_bytes, format_duration};

/// How often it looks.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// A trouble that lasts is said again after this long.
const REMINDED_EVERY: Duration = Duration::from_secs(5 * 60);

/// What goes to the dead letter is said at most this often.
const DEAD_LETTERS_TOLD_EVERY: Duration = Duration::from_secs(60);

/// So many reasons are named; the rest is counted.
const REASONS_NAMED_MAX: usize = 5;

/// A pipeline to be looked at.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name.
    pub pipeline: String,
    /// Its counters.
    pub counters: Counters,
    /// The state of each of its sinks.
    pub health: Vec<Arc<Health>>,
    /// The state of its thread.
    pub pulse: Arc<Pulse>,
    /// Which records `model_metrics` counts, in KQL; `None` without that observer.
    pub inferences: Option<String>,
    /// With `--once`: how long nothing may move before it gives up.
    pub gives_up_after: Option<Duration>,
}

/// What is there to be seen at one moment.
#[derive(Clone, Debug, Default)]
struct Sight {
    /// How many went to the dead letter so far, by stage and reason.
    dead_letters: BTreeMap<String, u64>,
    /// What is not as it should be, by whom it concerns.
    troubles: Vec<(String, Standing)>,
    /// Bytes that are written and not delivered.
    waiting_bytes: u64,
    /// Records that look like inferences, and that `model_metrics` did not count.
    passed_over: u64,
}

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Words {
    problem: String,
    hint: String,
}

/// What was said already of one pipeline.
#[derive(Debug, Default)]
struct Memory {
    dead_letters: BTreeMap<String, u64>,
    dead_letters_told: Option<Instant>,
    reminded: BTreeMap<String, Instant>,
    is_end_told: bool,
    is_passing_over_told: bool,
}

/// Looks at pipelines until the task is dropped.
pub async fn look_out(subjects: Vec<Subject>) {
    let mut memories: Vec<Memory> = subjects.iter().map(|_| Memory::default()).collect();
    loop {
        tokio::time::sleep(LOOKS_EVERY).await;
        for (subject, memory) in subjects.iter().zip(&mut memories) {
            for Words { problem, hint } in memory.look(Instant::now(), &subject.sight(), subject) {
                tracing::warn!(pipeline = subject.pipeline, hint, "{problem}");
            }
        }
    }
}

impl Subject {
    fn sight(&self) -> Sight {
        let of_sinks = self.health.iter().filter_map(|health| {
            let standing = health.standing()?;
            Some((format!("sink `{}`", health.sink()), standing))
        });
        let of_thread = self.pulse.troubles().into_iter().map(|standing| ("the pipeline".to_owned(), standing));
        Sight {
            dead_letters: self.counters.dead_letter_reasons(),
            troubles: of_sinks.chain(of_thread).collect(),
            waiting_bytes: self.counters.source_lag_bytes.get().max(0) as u64,
            passed_over: self.counters.observe_passed_over_total.get(),
        }
    }
}

impl Memory {
    fn look(&mut self, now: Instant, sight: &Sight, subject: &Subject) -> Vec<Words> {
        let mut words = Vec::new();
        words.extend(self.dead_letters(now, sight));
        words.extend(self.end(sight, subject));
        words.extend(self.outages(now, sight));
        words.extend(self.passing_over(sight, subject));
        words
    }

    fn dead_letters(&mut self, now: Instant, sight: &Sight) -> Option<Words> {
        let lately = |told: Instant| now.duration_since(told) < DEAD_LETTERS_TOLD_EVERY;
        if sight.dead_letters == self.dead_letters || self.dead_letters_told.is_some_and(lately) {
            return None;
        }
        let new = |(reason, count): (&String, &u64)| {
            let before = self.dead_letters.get(reason).copied().unwrap_or_default();
            (*count > before).then(|| (reason.clone(), count - before))
        };
        let news: BTreeMap<String, u64> = sight.dead_letters.iter().filter_map(new).collect();
        self.dead_letters = sight.dead_letters.clone();
        self.dead_letters_told = Some(now);
        let problem = format!("{} went to the dead letter: {}", news.values().sum::<u64>(), by_reason(&news));
        let hint = "`inferlog dead-letter list` counts them, `dead-letter show ID` explains one".to_owned();
        Some(Words { problem, hint })
    }

    /// With `--once`: says how long something that does not work is waited for.
    fn end(&mut self, sight: &Sight, subject: &Subject) -> Option<Words> {
        let gives_up_after = subject.gives_up_after?;
        if sight.troubles.is_empty() || std::mem::replace(&mut self.is_end_told, true) {
            return None;
        }
        let after = format_duration(gives_up_after);
        let problem = format!("`--once` waits for it, and gives up when nothing has moved for {after}");
        Some(Words { problem, hint: "Ctrl-C ends it before; nothing is lost, run it again".to_owned() })
    }

    /// Says again what has lasted for long, with how much waits.
    fn outages(&mut self, now: Instant, sight: &Sight) -> Vec<Words> {
        self.reminded.retain(|whom, _| sight.troubles.iter().any(|(other, _)| other == whom));
        let mut words = Vec::new();
        for (whom, Standing { trouble, since }) in &sight.troubles {
            let last = self.reminded.get(whom).copied().unwrap_or(*since);
            if now.saturating_duration_since(last) < REMINDED_EVERY {
                continue;
            }
            self.reminded.insert(whom.clone(), now);
            let minutes = now.saturating_duration_since(*since).as_secs() / 60;
            let waiting = format_bytes(sight.waiting_bytes);
            let problem =
                format!("{whom}, for {minutes} minutes: {}; {waiting} of its files are not delivered", trouble.problem);
            let hint = trouble.hint.clone().unwrap_or_else(|| "nothing is lost, it is tried again".to_owned());
            words.push(Words { problem, hint });
        }
        words
    }

    /// Says once why `model_requests_total` stays where it is.
    fn passing_over(&mut self, sight: &Sight, subject: &Subject) -> Option<Words> {
        let inferences = subject.inferences.as_ref()?;
        if sight.passed_over == 0 || std::mem::replace(&mut self.is_passing_over_told, true) {
            return None;
        }
        let problem = format!(
            "`model_metrics` does not count records that have a prediction, confidence or latency: its condition \
             `{inferences}` does not hold of them"
        );
        let hint =
            "if they are inferences, say which are by `inferences:`; `inferlog check FILE --sample LOG` finds a condition \
             that counts them, and `inferlog_observe_passed_over_total` says how many there are"
                .to_owned();
        Some(Words { problem, hint })
    }
}

/// Counts by reason, the most first: `decode/not_an_object 1800, sink/bad_request 2`.
pub fn by_reason(counts: &BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let named = counts.iter().take(REASONS_NAMED_MAX).map(|(reason, count)| format!("{reason} {count}"));
    let text = named.collect::<Vec<_>>().join(", ");
    match counts.len().saturating_sub(REASONS_NAMED_MAX) {
        0 => text,
        more => format!("{text}, and {more} more reasons"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::answer::Trouble;
    use crate::telemetry::Telemetry;

    fn subject() -> Subject {
        Subject {
            pipeline: "p".to_owned(),
            counters: Telemetry::default().pipeline("p"),
            health: Vec::new(),
            pulse: Arc::default(),
            inferences: Some("event : inference".to_owned()),
            gives_up_after: None,
        }
    }

    fn dead(counts: &[(&str, u64)]) -> Sight {
        let dead_letters = counts.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect();
        Sight { dead_letters, ..Sight::default() }
    }

    /// What is said at each of some seconds.
    fn said(subject: &Subject, sights: &[(u64, Sight)]) -> Vec<Vec<String>> {
        let (start, mut memory) = (Instant::now(), Memory::default());
        let mut look = |(second, sight): &(u64, Sight)| {
            let words = memory.look(start + Duration::from_secs(*second), sight, subject);
            words.into_iter().map(|words| words.problem).collect()
        };
        sights.iter().map(&mut look).collect()
    }

    #[test]
    fn dead_letters_are_said_at_once_and_then_once_a_minute() {
        let sights = [
            (0, dead(&[])),
            (1, dead(&[("decode/not_an_object", 3)])),
            (2, dead(&[("decode/not_an_object", 400)])),
            (61, dead(&[("decode/not_an_object", 1_800), ("sink/bad_request", 1)])),
            (200, dead(&[("decode/not_an_object", 1_800), ("sink/bad_request", 1)])),
        ];
        let [none, first, quiet, minute, unchanged] = &said(&subject(), &sights)[..] else { panic!() };
        assert!(none.is_empty() && quiet.is_empty() && unchanged.is_empty());
        assert_eq!(first[..], ["3 went to the dead letter: decode/not_an_object 3"]);
        assert_eq!(minute[..], ["1798 went to the dead letter: decode/not_an_object 1797, sink/bad_request 1"]);
    }

    #[test]
    fn an_outage_is_said_again_every_few_minutes_with_how_much_waits() {
        let since = Instant::now();
        let trouble = Trouble { problem: "no answer".to_owned(), hint: None };
        let outage = |waiting_bytes| Sight {
            troubles: vec![("sink `store`".to_owned(), Standing { trouble: trouble.clone(), since })],
            waiting_bytes,
            ..Sight::default()
        };
        let sights = [(1, outage(5)), (299, outage(5)), (301, outage(2_048)), (500, outage(5)), (602, outage(1 << 20))];
        let words = said(&subject(), &sights);
        let spoken = [2, 4].map(|n: usize| words[n].concat());
        assert!([0, 1, 3].iter().all(|n: &usize| words[*n].is_empty()), "{words:?}");
        assert_eq!(spoken[0], "sink `store`, for 5 minutes: no answer; 2KiB of its files are not delivered");
        assert!(spoken[1].contains("for 10 minutes") && spoken[1].contains("1MiB"), "{words:?}");
        let once = Subject { gives_up_after: Some(Duration::from_secs(300)), ..subject() };
        let words = said(&once, &[(1, Sight::default()), (2, outage(1)), (3, outage(1))]);
        assert_eq!(words[1][..], ["`--once` waits for it, and gives up when nothing has moved for 5m"]);
        assert!(words[0].is_empty() && words[2].is_empty());
    }

    #[test]
    fn what_model_metrics_passes_over_is_said_once() {
        let passed = |passed_over| Sight { passed_over, ..Sight::default() };
        let words = said(&subject(), &[(0, passed(0)), (1, passed(2)), (2, passed(9))]);
        assert!(words[0].is_empty() && words[2].is_empty() && words[1][0].contains("`event : inference`"), "{words:?}");
        let without = Subject { inferences: None, ..subject() };
        assert!(said(&without, &[(1, passed(2))])[0].is_empty());
    }

    #[test]
    fn only_the_most_frequent_reasons_are_named() {
        let counts = (1..=7).map(|n| (format!("sink/r{n}"), n)).collect();
        assert_eq!(by_reason(&counts), "sink/r7 7, sink/r6 6, sink/r5 5, sink/r4 4, sink/r3 3, and 2 more reasons");
    }
}
