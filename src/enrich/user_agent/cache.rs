//! What was found in the latest texts: a log has few different ones, and rules are slow.

use std::collections::HashMap;

use super::rules::Found;

/// How many texts are remembered at least; at most twice as many.
const TEXTS_MIN: usize = 1_024;

/// The latest texts, as JSON, with what was found in them; `None` where no rule knows them.
#[derive(Debug, Default)]
pub(super) struct Cache {
    latest: HashMap<Box<str>, Option<Found>>,
    /// Those before; what is met again moves.
    before: HashMap<Box<str>, Option<Found>>,
}

impl Cache {
    /// Whether it is known what is found in a text. If not, say it by [`Cache::learn`]: finding out takes long, and others who
    /// have the same cache should not wait for it.
    pub(super) fn knows(&mut self, raw: &str) -> bool {
        if !self.latest.contains_key(raw) {
            let Some((text, found)) = self.before.remove_entry(raw) else { return false };
            self.remember(text, found);
        }
        true
    }

    /// Remembers what is found in a text.
    pub(super) fn learn(&mut self, raw: &str, found: Option<Found>) {
        self.remember(raw.into(), found);
    }

    fn remember(&mut self, text: Box<str>, found: Option<Found>) {
        if self.latest.len() >= TEXTS_MIN {
            self.before = std::mem::take(&mut self.latest);
        }
        self.latest.insert(text, found);
    }

    /// What is found in a text that is known.
    pub(super) fn get(&self, raw: &str) -> Option<&Found> {
        self.latest.get(raw).and_then(Option::as_ref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_is_remembered_within_a_limit() {
        let mut cache = Cache::default();
        let mut asked = 0;
        let mut get = |cache: &mut Cache, text: &str| {
            if !cache.knows(text) {
                asked += 1;
                cache.learn(text, (text != "unknown").then(|| [Some(text.into()), None, None, None, None]));
            }
            let found = cache.get(text);
            (found.and_then(|found| found[0].as_deref()).map(str::to_owned), asked)
        };
        assert_eq!(get(&mut cache, "a"), (Some("a".to_owned()), 1));
        assert_eq!(get(&mut cache, "unknown"), (None, 2));
        assert_eq!(get(&mut cache, "unknown"), (None, 2), "that nobody knows it is known");
        for n in 0..TEXTS_MIN {
            get(&mut cache, &n.to_string());
        }
        assert_eq!(get(&mut cache, "a"), (Some("a".to_owned()), 2 + TEXTS_MIN), "it was among those before");
        for n in 0..10 * TEXTS_MIN {
            get(&mut cache, &format!("x{n}"));
            assert!(cache.latest.len() <= TEXTS_MIN && cache.before.len() <= TEXTS_MIN);
        }
        assert_eq!(get(&mut cache, "a").1, 3 + 11 * TEXTS_MIN, "forgotten, and asked again");
    }
}
