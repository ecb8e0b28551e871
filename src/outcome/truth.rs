//! Truth: which of several labels of one prediction counts, and what was each of them?
//!
//! The label that became known last counts. Two that became known at the same moment and differ contradict each other: then
//! nothing is known, until a later one decides. So what counts depends on the labels alone, and not on their order. What a label was
//! to those that came before it is counted once, when it is joined:
//!
//! | a label that comes | is |
//! | --- | --- |
//! | first | joined |
//! | and says what one before it said | a duplicate |
//! | and differs from all before it, of another moment than the latest of them | a correction, of them or by them |
//! | and differs from the latest one, of the same moment | contradictory |

/// What one label says, and when that became known, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said<'l> {
    /// The class, the number, or the decision.
    pub value: &'l str,
    /// When it became known.
    pub known_us: i64,
}

/// What is known of one prediction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth<'l> {
    /// Nothing: no label came.
    Open,
    /// This.
    Known(Said<'l>),
    /// Labels of this moment differ.
    Contradictory(i64),
}

/// What a label was to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LabelOutcome {
    /// The first one of its prediction.
    Joined,
    /// No prediction was known within the patience.
    Unknown,
    /// It was known already.
    Duplicate,
    /// It differs from what was known, and the later one of the two counts.
    Corrected,
    /// It differs from what was known at the same moment.
    Contradictory,
}

impl LabelOutcome {
    /// All of them.
    pub const ALL: [LabelOutcome; 5] = [
        LabelOutcome::Joined,
        LabelOutcome::Unknown,
        LabelOutcome::Duplicate,
        LabelOutcome::Corrected,
        LabelOutcome::Contradictory,
    ];

    /// As documents and metrics have it.
    pub fn as_str(self) -> &'static str {
        match self {
            LabelOutcome::Joined => "joined",
            LabelOutcome::Unknown => "unknown",
            LabelOutcome::Duplicate => "duplicate",
            LabelOutcome::Corrected => "corrected",
            LabelOutcome::Contradictory => "contradictory",
        }
    }
}

impl<'l> Truth<'l> {
    /// What was true, where one label counts.
    pub fn value(self) -> Option<&'l str> {
        match self {
            Truth::Known(said) => Some(said.value),
            Truth::Open | Truth::Contradictory(_) => None,
        }
    }

    /// When the latest label became known, in microseconds since 1970 (UTC).
    pub fn known_us(self) -> Option<i64> {
        match self {
            Truth::Open => None,
            Truth::Known(Said { known_us, .. }) | Truth::Contradictory(known_us) => Some(known_us),
        }
    }
}

/// What counts of these labels.
pub fn truth<'l>(labels: impl Iterator<Item = Said<'l>> + Clone) -> Truth<'l> {
    let Some(latest_us) = labels.clone().map(|said| said.known_us).max() else { return Truth::Open };
    let mut latest = labels.filter(|said| said.known_us == latest_us);
    match latest.next() {
        Some(first) if latest.all(|said| said.value == first.value) => Truth::Known(first),
        _ => Truth::Contradictory(latest_us),
    }
}

/// What a label is to those that came before it. One that repeats an earlier one and changes what counts is no duplicate.
pub fn outcome<'l>(earlier: impl Iterator<Item = Said<'l>> + Clone, label: Said<'l>) -> LabelOutcome {
    let Some(latest_us) = earlier.clone().map(|said| said.known_us).max() else { return LabelOutcome::Joined };
    let is_said = earlier.clone().any(|said| said.value == label.value);
    let counted = truth(earlier.clone()).value();
    let counts = truth(earlier.chain([label])).value();
    if is_said && counts == counted {
        LabelOutcome::Duplicate
    } else if label.known_us == latest_us {
        LabelOutcome::Contradictory
    } else {
        LabelOutcome::Corrected
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Labels such as `a3`: what is said, and when.
    fn labels(text: &str) -> Vec<Said<'_>> {
        text.split_whitespace().map(|word| Said { value: &word[..1], known_us: word[1..].parse().unwrap() }).collect()
    }

    #[test]
    fn the_latest_label_counts_and_each_has_one_outcome() {
        for (text, outcomes, expected) in [
            ("", "", "open"),
            ("a1", "joined", "a"),
            ("a1 a1", "joined duplicate", "a"),
            ("a1 a2", "joined duplicate", "a"),
            ("a1 b2", "joined corrected", "b"),
            ("b2 a1", "joined corrected", "b"),
            ("a1 b1", "joined contradictory", "contradictory"),
            ("a1 b1 a1", "joined contradictory duplicate", "contradictory"),
            ("a1 b1 c2", "joined contradictory corrected", "c"),
            ("a1 b2 a1", "joined corrected duplicate", "b"),
            ("a1 b2 a3", "joined corrected corrected", "a"),
            ("a1 b2 a2", "joined corrected contradictory", "contradictory"),
            ("a1 b1 a2", "joined contradictory corrected", "a"),
        ] {
            let labels = labels(text);
            let said =
                labels.iter().enumerate().map(|(n, label)| outcome(labels[..n].iter().copied(), *label).as_str());
            assert_eq!(said.collect::<Vec<_>>().join(" "), outcomes, "{text}");
            let known = match truth(labels.iter().copied()) {
                Truth::Open => "open",
                Truth::Known(said) => said.value,
                Truth::Contradictory(_) => "contradictory",
            };
            assert_eq!(known, expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_counts_does_not_depend_on_the_order(
            labels in proptest::collection::vec(("[abc]", 0_i64..4), 0..6).prop_shuffle(),
            seed in any::<u64>(),
        ) {
            let said: Vec<Said<'_>> = labels.iter().map(|(value, known_us)| Said { value, known_us: *known_us }).collect();
            let mut other = said.clone();
            fastrand::Rng::with_seed(seed).shuffle(&mut other);
            prop_assert_eq!(truth(said.iter().copied()), truth(other.iter().copied()));
        }
    }
}
