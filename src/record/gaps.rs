//! Gaps: what stands around the values of an object.

/// The gaps of an object with more members are not kept.
pub(super) const MEMBERS_MAX: usize = 64;

/// So many objects in a row have other gaps until theirs are kept instead: objects of a few kinds, by turns, are not to
/// drive out each other.
const MISSES_MAX: u8 = 8;

/// What stands before each value of an object, from the end of the value before it or from the object's beginning, and what
/// stands behind the last one.
#[derive(Debug, Default)]
pub(super) struct Gaps {
    /// All in a row.
    text: Vec<u8>,
    /// Where each ends that stands before a value.
    ends: Vec<usize>,
    /// So many objects in a row had others.
    misses: u8,
}

impl Gaps {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.misses = 0;
    }

    /// Hears of an object that has these gaps.
    pub(super) fn hit(&mut self) {
        self.misses = 0;
    }

    /// Hears of an object that has others. True when those are to be kept instead.
    pub(super) fn missed(&mut self) -> bool {
        self.misses += 1;
        self.ends.is_empty() || self.misses == MISSES_MAX
    }

    /// Adds what stands before the next value.
    pub(super) fn push(&mut self, before: &[u8]) {
        self.text.extend_from_slice(before);
        self.ends.push(self.text.len());
    }

    /// Adds what stands behind the last value.
    pub(super) fn end(&mut self, behind: &[u8]) {
        self.text.extend_from_slice(behind);
    }

    /// What stands before each value.
    pub(super) fn before(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |end| &self.text[std::mem::replace(&mut start, *end)..*end])
    }

    /// What stands before the value at a position.
    pub(super) fn before_value(&self, position: usize) -> &[u8] {
        let start = if position == 0 { 0 } else { self.ends[position - 1] };
        &self.text[start..self.ends[position]]
    }

    /// What stands behind the last value; nothing where no object is kept.
    pub(super) fn behind(&self) -> &[u8] {
        &self.text[self.ends.last().copied().unwrap_or(0)..]
    }

    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Whether a text begins with another one, which is mostly a few bytes longer than eight.
#[inline]
pub(super) fn begins_with(text: &[u8], beginning: &[u8]) -> bool {
    let word = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    let Some(text) = text.get(..beginning.len()) else { return false };
    match (text.first_chunk(), beginning.first_chunk(), text.last_chunk(), beginning.last_chunk()) {
        // Two reads that overlap are as good as one.
        (Some(first), Some(same), Some(last), Some(same_last)) if beginning.len() <= 16 => {
            word(first) == word(same) && word(last) == word(same_last)
        }
        _ => text == beginning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_replaced_when_nothing_has_them_any_more() {
        let mut gaps = Gaps::default();
        assert!(gaps.missed(), "there are none");
        gaps.clear();
        gaps.push(b"{\"a\":");
        gaps.end(b"}");
        for _ in 0..3 {
            assert!((1..MISSES_MAX).all(|_| !gaps.missed()));
            gaps.hit();
        }
        assert!((1..MISSES_MAX).all(|_| !gaps.missed()));
        assert!(gaps.missed());
    }

    #[test]
    fn a_beginning_is_one_to_its_last_byte() {
        let text: Vec<u8> = (0..40).collect();
        for length in 0..=40 {
            assert!(begins_with(&text, &text[..length]), "{length}");
            assert!(length == 0 || !begins_with(&text[..length - 1], &text[..length]), "{length}");
            for at in 0..length {
                let mut other = text[..length].to_vec();
                other[at] = 99;
                assert!(!begins_with(&text, &other), "byte {at} of {length}");
            }
        }
    }
}
