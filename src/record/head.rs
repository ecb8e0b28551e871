//! Heads: which members can a path have to do with?
//!
//! A member and a path are parts of one another only if they begin with the same name, up to the first dot. The first
//! eight bytes of that name are an integer, so that all other members are set aside by one comparison each.

/// Dots, and what finds a zero byte in an integer of eight.
const DOTS: u64 = u64::from_ne_bytes([b'.'; 8]);
pub(super) const LOWEST_BITS: u64 = u64::from_ne_bytes([0x01; 8]);
pub(super) const HIGHEST_BITS: u64 = u64::from_ne_bytes([0x80; 8]);

/// An odd number whose bits follow no rule: that of the golden ratio.
const MIXER: u64 = 0x9e37_79b9_7f4a_7c15;

/// The first eight bytes of the first name of a dotted text, with zeros behind it. Texts of different heads are neither
/// equal, nor does one continue the other behind a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Head(u64);

impl Head {
    pub(super) const fn of(text: &str) -> Head {
        let word = first_eight(text.as_bytes());
        let without_dots = word ^ DOTS;
        let dots = without_dots.wrapping_sub(LOWEST_BITS) & !without_dots & HIGHEST_BITS;
        // The lowest bit is that of the first dot; those above it may be of no dot.
        let first_dot_bit = dots.trailing_zeros() & !7;
        Head(if dots == 0 { word } else { word & ((1 << first_dot_bit) - 1) })
    }

    /// A word of a filter, and a bit in it.
    fn place(self) -> (usize, u64) {
        // The upper bits of a product depend on all bits of its factors.
        let mixed = self.0.wrapping_mul(MIXER);
        ((mixed >> 62) as usize, 1 << (mixed >> 56 & 63))
    }
}

/// A set of heads that may take one for another: one bit of 256 for each.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HeadFilter([u64; 4]);

impl HeadFilter {
    pub(super) fn add(&mut self, head: Head) {
        let (word, bit) = head.place();
        self.0[word] |= bit;
    }

    /// False when the head was not added.
    pub(super) fn may_have(&self, head: Head) -> bool {
        let (word, bit) = head.place();
        self.0[word] & bit != 0
    }
}

/// The first eight bytes of a text, the first one lowest, with zeros behind them.
pub(super) const fn first_eight(text: &[u8]) -> u64 {
    match text.first_chunk() {
        Some(bytes) => u64::from_le_bytes(*bytes),
        None => short(text),
    }
}

/// Up to seven bytes, with zeros behind them: two reads that overlap are as good as one.
const fn short(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return first as u64 | (last as u64) << (8 * (bytes.len() - 4));
    }
    if let (Some(first), Some(last)) = (bytes.first_chunk::<2>(), bytes.last_chunk::<2>()) {
        let (first, last) = (u16::from_le_bytes(*first), u16::from_le_bytes(*last));
        return first as u64 | (last as u64) << (8 * (bytes.len() - 2));
    }
    match bytes {
        [byte, ..] => *byte as u64,
        [] => 0,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::path;
    use super::*;

    #[test]
    fn a_head_is_the_beginning_of_the_first_name() {
        for (text, expected) in [
            ("", ""),
            ("a", "a"),
            ("ab", "ab"),
            ("abc", "abc"),
            ("abcd", "abcd"),
            ("abcdefg", "abcdefg"),
            ("abcdefgh", "abcdefgh"),
            ("abcdefghi", "abcdefgh"),
            ("a.b", "a"),
            (".a", ""),
            ("abcdefg.h", "abcdefg"),
            ("abcdefgh.i", "abcdefgh"),
            ("a..b/c-d", "a"),
            ("é.b", "é"),
        ] {
            let mut bytes = [0; 8];
            bytes[..expected.len()].copy_from_slice(expected.as_bytes());
            assert_eq!(Head::of(text), Head(u64::from_le_bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn a_filter_knows_what_was_added_and_little_else() {
        let heads: Vec<Head> = (0..1_000).map(|number| Head::of(&format!("n{number}"))).collect();
        let mut filter = HeadFilter::default();
        heads[..20].iter().for_each(|head| filter.add(*head));
        assert!(heads[..20].iter().all(|head| filter.may_have(*head)));
        let taken_for_others = heads[20..].iter().filter(|head| filter.may_have(**head)).count();
        assert!(taken_for_others < 150, "about 20 of 256 bits: {taken_for_others}");
    }

    proptest! {
        #[test]
        fn what_has_to_do_with_one_another_has_one_head(path in "[a./\u{80}]{0,10}", name in "[a./\u{80}]{0,10}") {
            let is_related = path::reach(&path, &name).is_some()
                || path::below(&path, &name).is_some()
                || path::has_below(&name, "1", &path);
            prop_assert!(!is_related || Head::of(&path) == Head::of(&name));
        }
    }
}
