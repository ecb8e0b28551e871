//! `pair`: a request and its response are two lines with equal ids, and the response gets what the request said.
//!
//! ```text
//! pair: { by: id, first: "type : *request", copy: [features] }
//! {"id":"r","type":"request","features":{"a":1}}    {…,"pair.role":"first"}
//! {"id":"r","type":"response","prediction":0}       {…,"features":{"a":1},"pair.role":"whole"}
//! ```
//!
//! Each line stays a document of its own, under its own id, so that nothing is lost or shipped twice whatever happens
//! between the two. The first ones are not counted as inferences; a second one is, once, and with all that is known of it. What is
//! kept of a first one is bounded in time and bytes, and forgotten when the process ends: its second one is then
//! `unpaired`, which is counted.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::texts::Texts;
use crate::flow::reject::Reject;
use crate::kql::Expression;
use crate::record::{Path, Record, Space, json};
use crate::telemetry::{Counter, Counters};

/// Copies members from the first of two records to the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The member that is equal in both.
    pub by: Path,
    /// Which records are the first of two.
    pub first: Expression,
    /// What is copied, and to where.
    pub copy: Vec<(Path, Path)>,
    /// How long the second may take.
    pub within: Duration,
    /// How much of first records may be kept.
    pub bytes_max: usize,
}

/// The member that says what a record is.
const ROLE: Path = Path::known("pair.role");

/// What keeping a record costs beside its texts, in bytes.
const KEPT_BYTES: usize = 96;

/// What its place in the order costs beside its id.
const PLACE_BYTES: usize = 32;

/// Pairs records.
#[derive(Debug)]
pub(super) struct Pairs {
    options: Pair,
    waiting: Waiting,
    counts: Counts,
    /// What waits, while a line is only looked at.
    aside: Option<Waiting>,
}

/// How many records had no other half, by why.
#[derive(Debug)]
struct Counts {
    /// A second one without a first.
    alone: Counter,
    /// A first one whose second did not come in time.
    late: Counter,
    /// A first one for which there was no room, or not long enough.
    no_room: Counter,
    /// A first one that another one of its id has followed.
    repeated: Counter,
}

/// First records whose second ones have not come.
#[derive(Debug, Default)]
struct Waiting {
    by_id: HashMap<String, Kept>,
    /// Their ids and numbers in the order in which they came, also of those that are gone.
    order: VecDeque<(String, u64)>,
    count: u64,
    bytes: usize,
}

/// What is kept of a first record.
#[derive(Debug)]
struct Kept {
    number: u64,
    since: Instant,
    /// The values of what is copied, as JSON.
    values: Vec<Option<String>>,
    bytes: usize,
}

impl Pairs {
    pub(super) fn new(options: Pair, counters: &Counters) -> Pairs {
        let [alone, late, no_room, repeated] =
            ["alone", "late", "no_room", "repeated"].map(|reason| counters.unpaired(reason));
        let counts = Counts { alone, late, no_room, repeated };
        Pairs { options, waiting: Waiting::default(), counts, aside: None }
    }

    /// Sets aside what waits, so that a line can be looked at.
    pub(super) fn set_aside(&mut self) {
        self.aside = Some(std::mem::take(&mut self.waiting));
    }

    /// Goes on with what was set aside.
    pub(super) fn bring_back(&mut self) {
        self.waiting = self.aside.take().unwrap_or_default();
    }

    /// Says of each record what it is, at this time.
    pub(super) fn apply(&mut self, now: Instant, records: &Texts, out: &mut Texts) -> Result<(), Reject> {
        self.forget(now);
        let mut space = Space::default();
        for (text, given) in records.iter() {
            let mut record = Record::parse(text, &mut space)?;
            if let Some(id) = id(&record, &self.options.by) {
                let role = self.take(id, now, &mut record);
                record.add(&ROLE, |out| json::write_string(role, out));
            }
            out.push(given, |out| record.render(out))?;
        }
        Ok(())
    }

    /// Keeps a first record, or completes a second one.
    fn take(&mut self, id: String, now: Instant, record: &mut Record<'_>) -> &'static str {
        if self.options.first.matches(record) {
            self.keep(id, now, record);
            return "first";
        }
        let Some(kept) = self.waiting.remove(&id) else {
            self.count(|counts| &counts.alone);
            return "unpaired";
        };
        for ((_, path), value) in self.options.copy.iter().zip(&kept.values) {
            if let Some(value) = value {
                record.add(path, |out| out.push_str(value));
            }
        }
        "whole"
    }

    fn keep(&mut self, id: String, now: Instant, record: &Record<'_>) {
        let value = |(path, _): &(Path, Path)| record.whole(path.as_str()).map(|raw| raw.into_owned());
        let values: Vec<Option<String>> = self.options.copy.iter().map(value).collect();
        let bytes = KEPT_BYTES + id.len() + values.iter().flatten().map(String::len).sum::<usize>();
        if self.waiting.remove(&id).is_some() {
            self.count(|counts| &counts.repeated);
        }
        self.waiting.insert(id, now, values, bytes);
        while self.waiting.bytes > self.options.bytes_max && self.waiting.remove_oldest().is_some() {
            self.count(|counts| &counts.no_room);
        }
    }

    /// Forgets those whose second ones did not come in time.
    fn forget(&mut self, now: Instant) {
        while self.waiting.oldest().is_some_and(|kept| now.duration_since(kept.since) > self.options.within) {
            self.waiting.remove_oldest();
            self.count(|counts| &counts.late);
        }
    }

    fn count(&self, of: impl FnOnce(&Counts) -> &Counter) {
        if self.aside.is_none() {
            of(&self.counts).inc();
        }
    }
}

impl Waiting {
    fn insert(&mut self, id: String, since: Instant, values: Vec<Option<String>>, bytes: usize) {
        self.count += 1;
        self.bytes += bytes + PLACE_BYTES + id.len();
        self.order.push_back((id.clone(), self.count));
        self.by_id.insert(id, Kept { number: self.count, since, values, bytes });
    }

    fn remove(&mut self, id: &str) -> Option<Kept> {
        let kept = self.by_id.remove(id)?;
        self.bytes -= kept.bytes;
        // Most pairs come one after the other; what is further behind leaves the order when it has come to its front.
        self.clear_front();
        Some(kept)
    }

    fn oldest(&mut self) -> Option<&Kept> {
        self.clear_front();
        self.order.front().and_then(|(id, _)| self.by_id.get(id))
    }

    fn remove_oldest(&mut self) -> Option<Kept> {
        self.clear_front();
        let id = self.order.front().map(|(id, _)| id.clone())?;
        self.remove(&id)
    }

    /// Takes those out of the order that are gone.
    fn clear_front(&mut self) {
        while let Some((id, number)) = self.order.front()
            && self.by_id.get(id).is_none_or(|kept| kept.number != *number)
        {
            self.bytes -= PLACE_BYTES + id.len();
            self.order.pop_front();
        }
    }
}

/// The id of a record: a text or a number.
fn id(record: &Record<'_>, by: &Path) -> Option<String> {
    let raw = record.first(by.as_str())?;
    match raw.as_bytes().first()? {
        b'"' => Some(json::unescape(raw).into_owned()).filter(|id| !id.is_empty()),
        b'-' | b'0'..=b'9' => Some(raw.to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::line::Given;
    use crate::telemetry::Telemetry;

    const SECOND: Duration = Duration::from_secs(1);

    struct Bench {
        pairs: Pairs,
        now: Instant,
    }

    impl Bench {
        fn new(bytes_max: usize) -> Bench {
            let first = Expression::parse_condition("t : request").unwrap();
            let copy = ["features", "n"].map(|name| (Path::known(name), Path::known(name))).to_vec();
            let options = Pair { by: Path::known("id"), first, copy, within: 10 * SECOND, bytes_max };
            let pairs = Pairs::new(options, &Telemetry::default().pipeline("p"));
            Bench { pairs, now: Instant::now() }
        }

        fn check(&mut self, text: &str, expected: &str) {
            let mut space = Space::default();
            let (mut records, mut out) = (Texts::default(), Texts::default());
            records.begin(&Record::parse(text, &mut space).unwrap(), Given::default()).unwrap();
            self.pairs.apply(self.now, &records, &mut out).unwrap();
            assert_eq!(out.iter().map(|(text, _)| text).collect::<Vec<_>>(), [expected], "{text}");
        }

        fn request(&mut self, id: &str) {
            let text = format!(r#"{{"id":"{id}","t":"request","features":{{"a":1.50}}"#);
            self.check(&format!("{text}}}"), &format!(r#"{text},"pair.role":"first"}}"#));
        }

        fn response(&mut self, id: &str, is_whole: bool) {
            let text = format!(r#"{{"id":"{id}","t":"response""#);
            let rest =
                if is_whole { r#","features":{"a":1.50},"pair.role":"whole"}"# } else { r#","pair.role":"unpaired"}"# };
            self.check(&format!("{text}}}"), &format!("{text}{rest}"));
        }

        fn counts(&self) -> [u64; 4] {
            let Counts { alone, late, no_room, repeated } = &self.pairs.counts;
            [alone.get(), late.get(), no_room.get(), repeated.get()]
        }
    }

    #[test]
    fn the_second_gets_what_the_first_said_and_is_counted_without_it() {
        let mut bench = Bench::new(10_000);
        bench.request("a");
        bench.request("b");
        bench.response("b", true);
        bench.response("a", true);
        // Each first one serves once.
        bench.response("a", false);
        bench.check(r#"{"t":"request"}"#, r#"{"t":"request"}"#);
        bench.check(r#"{"id":null}"#, r#"{"id":null}"#);
        // What the second one says itself stays.
        bench.request("c");
        let own = r#"{"id":"c","features":7"#;
        bench.check(&format!("{own}}}"), &format!(r#"{own},"pair.role":"whole"}}"#));
        assert_eq!(bench.counts(), [1, 0, 0, 0]);
        // Equal ids are equal, however they are written.
        bench.request("d");
        bench.check(r#"{"id":"\u0064"}"#, r#"{"id":"\u0064","features":{"a":1.50},"pair.role":"whole"}"#);
        bench.request("e");
        bench.request("e");
        bench.response("e", true);
        assert_eq!(bench.counts(), [1, 0, 0, 1]);
    }

    #[test]
    fn what_is_kept_is_bounded_in_time_and_bytes_and_gone_after_that() {
        let mut bench = Bench::new(10_000);
        bench.request("a");
        bench.now += 10 * SECOND;
        bench.request("b");
        bench.now += SECOND;
        bench.response("a", false);
        bench.response("b", true);
        assert_eq!(bench.counts(), [1, 1, 0, 0]);
        let mut bench = Bench::new(500);
        for id in ["a", "b", "c", "d", "e"] {
            bench.request(id);
            assert!(bench.pairs.waiting.bytes <= 500);
        }
        let mut bench_of_many = Bench::new(500);
        bench_of_many.request("open");
        for _ in 0..100 {
            bench_of_many.request("x");
            bench_of_many.response("x", true);
            assert!(bench_of_many.pairs.waiting.bytes <= 500);
        }
        bench_of_many.response("open", false);
        bench.response("a", false);
        bench.response("e", true);
        let [alone, late, no_room, repeated] = bench.counts();
        assert_eq!((alone, late, repeated), (1, 0, 0));
        assert!(no_room >= 1);
        for _ in 0..1_000 {
            bench.request("x");
            bench.response("x", true);
        }
        assert!(bench.pairs.waiting.order.len() < 10, "{}", bench.pairs.waiting.order.len());
    }

    #[test]
    fn a_line_that_is_only_looked_at_changes_nothing() {
        let mut bench = Bench::new(10_000);
        bench.request("a");
        bench.pairs.set_aside();
        bench.response("a", false);
        bench.request("b");
        bench.pairs.bring_back();
        bench.response("a", true);
        bench.response("b", false);
        assert_eq!(bench.counts(), [1, 0, 0, 0]);
    }
}
