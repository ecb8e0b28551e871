//! The canonical form of a JSON value (RFC 8785, JCS): which bytes stand for a value, however it was written?
//!
//! Hashes are taken over it, so that a Python server's hash of its features and ours are equal. White space goes, names
//! are sorted by their UTF-16 code units, strings have the fewest escapes, and numbers are written as ECMAScript
//! writes the double that they stand for.
//!
//! It is written in one walk over text that has been validated already, straight into the output, because most
//! records are hashed twice: no tree, and no allocation once the buffers have grown. Members are written as they come, and an
//! object is put in order afterwards if it was not. What is canonical as it stands, which is most of a log, is copied.
//!
//! It does not validate: text that is not JSON gives an error or a meaningless form, but never a panic.

mod cut;
mod escape;
mod names;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::ops::Range;

use cut::is_cut;
use escape::{Escape, unescape, write_character};
use memchr::{memchr, memchr2};
use names::KnownNames;

use super::head::{HIGHEST_BITS, first_eight};

/// Nesting deeper than this is refused; the walk is recursive.
pub const DEPTH_MAX: usize = 128;

/// Why a value has no canonical form. Positions are bytes in the text of the value; the data itself is not repeated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CanonicalError {
    /// A name occurs twice in one object, so that readers differ in what it means.
    #[error("a member name is repeated in an object (byte {at_bytes})")]
    RepeatedMember {
        /// Where the value of the second one ends, or where the object does.
        at_bytes: usize,
    },
    /// A number whose double would be infinite, such as `1e999`.
    #[error("a number is too large for a double (byte {at_bytes})")]
    NumberOutOfRange {
        /// Where the number starts.
        at_bytes: usize,
    },
    /// An escape such as `\ud800` without its other half: it stands for no character.
    #[error("a string has half of a surrogate pair (byte {at_bytes})")]
    LoneSurrogate {
        /// Where the string starts.
        at_bytes: usize,
    },
    /// More than [`DEPTH_MAX`] objects and arrays within each other.
    #[error("nested deeper than {DEPTH_MAX} levels (byte {at_bytes})")]
    TooDeep {
        /// Where the level that is too deep starts.
        at_bytes: usize,
    },
    /// The text is not one JSON value.
    #[error("not a JSON value (byte {at_bytes})")]
    NotJson {
        /// Where that was noticed.
        at_bytes: usize,
    },
}

/// How numbers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Numbers {
    /// Each as the double that it stands for, as RFC 8785 has it: whole numbers beyond 2^53 may become one.
    #[default]
    Canonical,
    /// Each by the digits that it is written with.
    AsWritten,
}

/// How a value is written, and what is looked for on the way.
#[derive(Clone, Copy, Debug, Default)]
pub struct CanonicalForm<'f> {
    /// How numbers are written.
    pub numbers: Numbers,
    /// What a text ends in that its writer has cut, beside the marks that are known ([`Texts::Cut`]).
    pub cut_endings: &'f [String],
}

/// Whether the texts of a value are all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Texts {
    /// Nothing says otherwise.
    Whole,
    /// One of them ends in a mark by which its writer says that it was cut.
    Cut,
}

/// Buffers that are used again from call to call.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The members of the objects that are open, the innermost last.
    members: Vec<Member>,
    /// An object while its members are put in order.
    unordered: Vec<u8>,
    /// The names of an outermost object before; all hashes of a pipeline share it.
    known: KnownNames,
    /// A text was met that its writer has cut.
    has_cut_text: bool,
}

impl Scratch {
    fn begin(&mut self) {
        self.members.clear();
        self.has_cut_text = false;
    }

    fn texts(&self) -> Texts {
        if self.has_cut_text { Texts::Cut } else { Texts::Whole }
    }
}

/// A member that has been written to the output.
#[derive(Clone, Debug)]
struct Member {
    /// The name, between its quotes.
    name: Range<usize>,
    /// Where the value ends; the member starts at the quote before its name.
    end: usize,
    /// The first eight bytes of the name, with zeros behind them, so that they compare as an integer.
    beginning: u64,
    /// The bytes of the name sort as its UTF-16 code units do.
    sorts_as_bytes: bool,
    /// Where the value stands in the text.
    value_in_text: Range<usize>,
}

/// Appends the canonical form of one JSON value to `out`.
///
/// # Errors
/// As [`CanonicalError`] says; `out` is then as it was.
pub fn canonicalize(text: &str, scratch: &mut Scratch, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    canonicalize_as(CanonicalForm::default(), text, scratch, out).map(|_| ())
}

/// The same in a form of one's own; says whether its texts are all there.
///
/// # Errors
/// As [`CanonicalError`] says; `out` is then as it was.
pub fn canonicalize_as(
    form: CanonicalForm<'_>,
    text: &str,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<Texts, CanonicalError> {
    let length = out.len();
    scratch.begin();
    let result = Walk::new(form, text, scratch, out).whole_value();
    if result.is_err() {
        out.truncate(length);
        scratch.known.forget();
    }
    result.map(|()| scratch.texts())
}

/// Appends the canonical form of the object that has these names (not escaped) and values (JSON text), in any order.
///
/// # Errors
/// As [`CanonicalError`] says, with positions in the text of the value that was at fault; `out` is then as it was.
pub fn canonicalize_members<'m>(
    form: CanonicalForm<'_>,
    members: impl Iterator<Item = (&'m str, Cow<'m, str>)>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<Texts, CanonicalError> {
    let length = out.len();
    scratch.begin();
    let result = write_members(form, members, scratch, out);
    if result.is_err() {
        out.truncate(length);
        scratch.known.forget();
    }
    result.map(|()| scratch.texts())
}

fn write_members<'m>(
    form: CanonicalForm<'_>,
    members: impl Iterator<Item = (&'m str, Cow<'m, str>)>,
    scratch: &mut Scratch,
    out: &mut Vec<u8>,
) -> Result<(), CanonicalError> {
    out.push(b'{');
    let start = out.len();
    let mut ordered = true;
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let name_start = out.len() + 1;
        out.push(b'"');
        name.chars().for_each(|character| write_character(character, out));
        let name = name_start..out.len();
        out.extend_from_slice(b"\":");
        Walk::new(form, &value, scratch, out).whole_value()?;
        match remember(Member::new(name, Escapes::Some, 0..0, out), 0, scratch, out) {
            Ordering::Equal => return Err(CanonicalError::RepeatedMember { at_bytes: 0 }),
            order => ordered &= order == Ordering::Less,
        }
    }
    if !ordered && !put_in_order(start, 0, scratch, out) {
        return Err(CanonicalError::RepeatedMember { at_bytes: 0 });
    }
    scratch.members.clear();
    out.push(b'}');
    Ok(())
}

/// Whether a string was written with escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escapes {
    None,
    Some,
}

/// The end of a short string is found sooner byte by byte than by a search that has to get going.
const SHORT_BYTES: usize = 24;

/// What fits into two registers.
const REGISTERS_BYTES: usize = 32;

/// Where the walk stands in the text, and what it has written.
struct Walk<'a> {
    form: CanonicalForm<'a>,
    text: &'a str,
    at: usize,
    depth: usize,
    scratch: &'a mut Scratch,
    out: &'a mut Vec<u8>,
}

impl<'a> Walk<'a> {
    fn new(form: CanonicalForm<'a>, text: &'a str, scratch: &'a mut Scratch, out: &'a mut Vec<u8>) -> Walk<'a> {
        Walk { form, text, at: 0, depth: 0, scratch, out }
    }

    fn whole_value(&mut self) -> Result<(), CanonicalError> {
        self.value()?;
        match self.next_token() {
            None => Ok(()),
            Some(_) => Err(self.not_json()),
        }
    }

    fn value(&mut self) -> Result<(), CanonicalError> {
        match self.next_token() {
            Some(b'"') => {
                let (content, _) = self.string()?;
                self.scratch.has_cut_text |= is_cut(&self.out[content], self.form.cut_endings);
                Ok(())
            }
            Some(b'{') => self.nested(Walk::object),
            Some(b'[') => self.nested(Walk::array),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => Err(self.not_json()),
        }
    }

    fn nested(&mut self, walk: fn(&mut Self) -> Result<(), CanonicalError>) -> Result<(), CanonicalError> {
        if self.depth == DEPTH_MAX {
            return Err(CanonicalError::TooDeep { at_bytes: self.at });
        }
        self.depth += 1;
        walk(self)?;
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(), CanonicalError> {
        self.take(b'[');
        if self.next_token() == Some(b']') {
            self.take(b']');
            return Ok(());
        }
        loop {
            self.value()?;
            match self.next_token() {
                Some(b',') => self.take(b','),
                Some(b']') => break,
                _ => return Err(self.not_json()),
            }
        }
        self.take(b']');
        Ok(())
    }

    fn object(&mut self) -> Result<(), CanonicalError> {
        let (at, start, first_member) = (self.at, self.out.len() + 1, self.scratch.members.len());
        let is_outermost = self.depth == 1;
        if is_outermost && self.known_members()? {
            return Ok(());
        }
        let is_new = self.scratch.members.len() == first_member;
        let mut goes_on = if is_new { self.begins_with_a_member() } else { self.goes_on()? };
        // Names that are known and need no order are in order as far as they go.
        let mut ordered = is_new || self.scratch.known.are_in_order();
        while goes_on {
            ordered &= self.member(first_member)?;
            goes_on = self.goes_on()?;
        }
        if is_outermost {
            self.keep_names(at, first_member);
        }
        if !ordered && !put_in_order(start, first_member, self.scratch, self.out) {
            return Err(self.repeated());
        }
        self.scratch.members.truncate(first_member);
        self.take(b'}');
        Ok(())
    }

    /// Takes the brace, and says whether a member comes behind it.
    fn begins_with_a_member(&mut self) -> bool {
        self.take(b'{');
        self.next_token() != Some(b'}')
    }

    /// Whether another member comes behind the last one.
    fn goes_on(&mut self) -> Result<bool, CanonicalError> {
        match self.next_token() {
            Some(b',') => {
                self.take(b',');
                Ok(true)
            }
            Some(b'}') => Ok(false),
            _ => Err(self.not_json()),
        }
    }

    /// Whether it sorts behind the member before it.
    fn member(&mut self, first_member: usize) -> Result<bool, CanonicalError> {
        if self.next_token() != Some(b'"') {
            return Err(self.not_json());
        }
        let (name, escapes) = self.string()?;
        if self.next_token() != Some(b':') {
            return Err(self.not_json());
        }
        self.take(b':');
        self.next_token();
        let value_at = self.at;
        self.value()?;
        let member = Member::new(name, escapes, value_at..self.at, self.out);
        match remember(member, first_member, self.scratch, self.out) {
            Ordering::Equal => Err(self.repeated()),
            order => Ok(order == Ordering::Less),
        }
    }

    /// Returns where its content stands in the output.
    fn string(&mut self) -> Result<(Range<usize>, Escapes), CanonicalError> {
        let (bytes, start) = (self.text.as_bytes(), self.out.len() + 1);
        let content = &bytes[self.at + 1..];
        let near = content[..content.len().min(SHORT_BYTES)].iter().position(|byte| matches!(byte, b'"' | b'\\'));
        let length = near.or_else(|| memchr2(b'"', b'\\', content)).ok_or_else(|| self.not_json())?;
        let end = self.at + 1 + length;
        let escapes = match bytes.get(end) {
            Some(b'"') => {
                self.copy(end + 1);
                Escapes::None
            }
            _ => {
                self.escaped_string()?;
                Escapes::Some
            }
        };
        Ok((start..self.out.len() - 1, escapes))
    }

    fn escaped_string(&mut self) -> Result<(), CanonicalError> {
        let at_bytes = self.at;
        self.take(b'"');
        loop {
            let rest = &self.text.as_bytes()[self.at..];
            let Some(length) = memchr2(b'"', b'\\', rest) else { return Err(self.not_json()) };
            let found = rest[length];
            self.copy(self.at + length);
            if found == b'"' {
                self.take(b'"');
                return Ok(());
            }
            match unescape(&self.text.as_bytes()[self.at..]) {
                Escape::Character(character, length) => {
                    write_character(character, self.out);
                    self.at += length;
                }
                Escape::LoneSurrogate => return Err(CanonicalError::LoneSurrogate { at_bytes }),
                Escape::Unknown => return Err(self.not_json()),
            }
        }
    }

    fn word(&mut self, word: &str) -> Result<(), CanonicalError> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.not_json());
        }
        self.copy(self.at + word.len());
        Ok(())
    }

    fn number(&mut self) -> Result<(), CanonicalError> {
        let rest = &self.text[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().position(|byte| !is_part(&byte)).unwrap_or(rest.len());
        let number = &rest[..length];
        if self.form.numbers == Numbers::AsWritten || is_canonical_number(number.as_bytes()) {
            self.copy(self.at + length);
            return Ok(());
        }
        let double: f64 = number.parse().map_err(|_| self.not_json())?;
        if !double.is_finite() {
            return Err(CanonicalError::NumberOutOfRange { at_bytes: self.at });
        }
        self.out.extend_from_slice(ryu_js::Buffer::new().format_finite(double).as_bytes());
        self.at += length;
        Ok(())
    }

    /// The first byte that is not white space, without taking it.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                token => return token.copied(),
            }
        }
    }

    /// Takes a byte of syntax, which the caller has seen.
    #[inline]
    fn take(&mut self, byte: u8) {
        self.out.push(byte);
        self.at += 1;
    }

    fn copy(&mut self, end: usize) {
        push_piece(self.text.as_bytes(), self.at..end, self.out);
        self.at = end;
    }

    fn repeated(&self) -> CanonicalError {
        CanonicalError::RepeatedMember { at_bytes: self.at }
    }

    fn not_json(&self) -> CanonicalError {
        CanonicalError::NotJson { at_bytes: self.at }
    }
}

/// Whether ECMAScript would write the double that this number stands for in the same way. It says no to some for which
/// it would: they take the long way.
///
/// Two decimals of at most 15 significant digits are never the same double, so such a one is the shortest that gives
/// its double, and only the notation can differ: the exponent, zeros at the end, the sign of zero.
fn is_canonical_number(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let mut point = digits.len();
    for (position, byte) in digits.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {}
            b'.' if point == digits.len() => point = position,
            _ => return false,
        }
    }
    let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
    if fraction.last() == Some(&b'0') {
        return false;
    }
    if whole != b"0" {
        return whole.len() + fraction.len() <= 15;
    }
    if fraction.is_empty() {
        return digits.len() == number.len();
    }
    // Below 1e-6 there is an exponent.
    let zeros = fraction.iter().take_while(|digit| **digit == b'0').count();
    zeros < 6 && fraction.len() - zeros <= 15
}

impl Member {
    /// The member that ends where the output does.
    fn new(name: Range<usize>, escapes: Escapes, value_in_text: Range<usize>, out: &[u8]) -> Member {
        let text = &out[name.clone()];
        let beginning = first_eight(text).swap_bytes();
        let is_ascii = beginning & HIGHEST_BITS == 0 && text.get(8..).is_none_or(<[u8]>::is_ascii);
        // In UTF-16 the characters past U+FFFF (first byte 0xf0 and up) sort before U+E000 (0xee) to U+FFFF.
        let sorts_as_bytes =
            (is_ascii && escapes == Escapes::None) || text.iter().all(|byte| *byte != b'\\' && *byte < 0xee);
        Member { name, end: out.len(), beginning, sorts_as_bytes, value_in_text }
    }
}

/// Notes a member. Says how the name before it compares with its own.
fn remember(member: Member, first_member: usize, scratch: &mut Scratch, out: &[u8]) -> Ordering {
    let previous = scratch.members[first_member..].last();
    let order = previous.map_or(Ordering::Less, |previous| compare_names(previous, &member, out));
    scratch.members.push(member);
    order
}

/// Sorts the members of the object whose content starts at `start` in the output. False: two have the same name.
fn put_in_order(start: usize, first_member: usize, scratch: &mut Scratch, out: &mut Vec<u8>) -> bool {
    let members = &mut scratch.members[first_member..];
    members.sort_unstable_by(|left, right| compare_names(left, right, out));
    if members.windows(2).any(|pair| compare_names(&pair[0], &pair[1], out) == Ordering::Equal) {
        return false;
    }
    arrange(start, members.iter(), &mut scratch.unordered, out);
    true
}

/// Puts the members of the object whose content starts at `start` in the output into this order.
fn arrange<'m>(start: usize, members: impl Iterator<Item = &'m Member>, unordered: &mut Vec<u8>, out: &mut Vec<u8>) {
    unordered.clear();
    unordered.extend_from_slice(&out[start..]);
    out.truncate(start);
    for (index, member) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_piece(unordered, member.name.start - 1 - start..member.end - start, out);
    }
}

/// Appends a piece of a text. Most are short: two registers full are copied, and what is too much is cut off again, which
/// takes less time than a copy of the piece's length.
fn push_piece(text: &[u8], piece: Range<usize>, out: &mut Vec<u8>) {
    match text[piece.start..].first_chunk::<REGISTERS_BYTES>() {
        Some(bytes) if piece.len() <= REGISTERS_BYTES => {
            let end = out.len() + piece.len();
            out.extend_from_slice(bytes);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&text[piece]),
    }
}

fn compare_names(left: &Member, right: &Member, out: &[u8]) -> Ordering {
    let sort_as_bytes = left.sorts_as_bytes && right.sorts_as_bytes;
    if sort_as_bytes && left.beginning != right.beginning {
        return left.beginning.cmp(&right.beginning);
    }
    let (left_name, right_name) = (&out[left.name.clone()], &out[right.name.clone()]);
    if sort_as_bytes { left_name.cmp(right_name) } else { code_units(left_name).cmp(&code_units(right_name)) }
}

/// The UTF-16 code units of a name as it stands in the output. Rare, so that it may allocate.
fn code_units(name: &[u8]) -> Vec<u16> {
    let mut units = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(length) = memchr(b'\\', rest) {
        units.extend(String::from_utf8_lossy(&rest[..length]).encode_utf16());
        rest = &rest[length..];
        let Escape::Character(character, length) = unescape(rest) else { break };
        units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        rest = &rest[length..];
    }
    units.extend(String::from_utf8_lossy(rest).encode_utf16());
    units
}
