//! The canonical form of RFC 8785, of JSON that is valid, with names in ASCII without escapes, as the corpus has them.

use memchr::memchr2;

/// A byte loop finds the end of a short string sooner than a search does that has to get going.
const SHORT_BYTES: usize = 24;

/// Buffers that are used again.
#[derive(Default)]
pub(super) struct Canonical {
    out: Vec<u8>,
    members: Vec<Member>,
    unordered: Vec<u8>,
}

/// Where a member stands in the output.
#[derive(Clone, Copy)]
struct Member {
    /// The quote before its name.
    start: usize,
    name_end: usize,
    end: usize,
}

impl Canonical {
    /// The canonical form of a value.
    pub(super) fn of(&mut self, text: &str) -> Result<&[u8], String> {
        self.out.clear();
        self.members.clear();
        let mut walk = Walk { text: text.as_bytes(), at: 0, to: self };
        walk.value()?;
        Ok(&self.out)
    }
}

struct Walk<'w> {
    text: &'w [u8],
    at: usize,
    to: &'w mut Canonical,
}

impl Walk<'_> {
    /// The next byte that is no white space.
    fn token(&mut self) -> u8 {
        loop {
            let byte = self.text.get(self.at).copied().unwrap_or(0);
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return byte;
            }
            self.at += 1;
        }
    }

    fn value(&mut self) -> Result<(), String> {
        match self.token() {
            b'"' => self.string(),
            b'{' => self.object(),
            b'[' => self.array(),
            b't' | b'n' => self.copy(4),
            b'f' => self.copy(5),
            _ => self.number(),
        }
    }

    fn copy(&mut self, length: usize) -> Result<(), String> {
        self.to.out.extend_from_slice(&self.text[self.at..self.at + length]);
        self.at += length;
        Ok(())
    }

    fn object(&mut self) -> Result<(), String> {
        let first_member = self.to.members.len();
        self.copy(1)?;
        let begin = self.to.out.len();
        let mut is_ordered = true;
        while self.token() != b'}' {
            if self.text[self.at] == b',' {
                self.copy(1)?;
                self.token();
            }
            let start = self.to.out.len();
            self.string()?;
            let name_end = self.to.out.len();
            if self.to.out[start..name_end].iter().any(|byte| *byte >= 0x80 || *byte == b'\\') {
                return Err("a name that the corpus has not".to_owned());
            }
            self.token();
            self.copy(1)?;
            self.value()?;
            if let Some(last) = self.to.members[first_member..].last() {
                let (last, name) = (&self.to.out[last.start..last.name_end], &self.to.out[start..name_end]);
                is_ordered &= less(last, name);
            }
            self.to.members.push(Member { start, name_end, end: self.to.out.len() });
        }
        if !is_ordered {
            self.to.put_in_order(begin, first_member)?;
        }
        self.to.members.truncate(first_member);
        self.copy(1)
    }

    fn array(&mut self) -> Result<(), String> {
        self.copy(1)?;
        loop {
            match self.token() {
                b']' => return self.copy(1),
                b',' => self.copy(1)?,
                _ => {}
            }
            if self.token() != b']' {
                self.value()?;
            }
        }
    }

    fn string(&mut self) -> Result<(), String> {
        let mut end = self.at + 1;
        let short = self.text.len().min(end + SHORT_BYTES);
        while end < short && !matches!(self.text[end], b'"' | b'\\') {
            end += 1;
        }
        if end == short {
            end += memchr2(b'"', b'\\', &self.text[end..]).ok_or("a string without end")?;
        }
        if self.text[end] == b'"' {
            return self.copy(end + 1 - self.at);
        }
        self.copy(end - self.at)?;
        self.rest_of_string()
    }

    /// From the first escape on.
    fn rest_of_string(&mut self) -> Result<(), String> {
        loop {
            let length = memchr2(b'"', b'\\', &self.text[self.at..]).ok_or("a string without end")?;
            self.copy(length)?;
            if self.text[self.at] == b'"' {
                return self.copy(1);
            }
            self.escape()?;
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        let character = match self.text[self.at + 1] {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = self.unit()?;
                self.at += 6;
                return match char::from_u32(unit) {
                    Some(character) => {
                        self.write(character);
                        Ok(())
                    }
                    None => self.other_half(unit),
                };
            }
            other => char::from(other),
        };
        self.at += 2;
        self.write(character);
        Ok(())
    }

    fn unit(&self) -> Result<u32, String> {
        let digits = self.text.get(self.at + 2..self.at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(|| "no escape".to_owned())
    }

    fn other_half(&mut self, high: u32) -> Result<(), String> {
        let low = self.unit()?;
        self.at += 6;
        let is_pair = (0xd800..0xdc00).contains(&high) && (0xdc00..0xe000).contains(&low);
        let character =
            if is_pair { char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)) } else { None };
        self.write(character.ok_or("half of a pair")?);
        Ok(())
    }

    fn write(&mut self, character: char) {
        let out = &mut self.to.out;
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            control if control < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(control)).as_bytes()),
            other => out.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }

    fn number(&mut self) -> Result<(), String> {
        let rest = &self.text[self.at..];
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let number = &rest[..length];
        if is_canonical(number) {
            return self.copy(length);
        }
        let number = std::str::from_utf8(number).ok().and_then(|text| text.parse::<f64>().ok());
        let number = number.filter(|number| number.is_finite()).ok_or("no number")?;
        self.to.out.extend_from_slice(ryu_js::Buffer::new().format_finite(number).as_bytes());
        self.at += length;
        Ok(())
    }
}

impl Canonical {
    fn put_in_order(&mut self, begin: usize, first_member: usize) -> Result<(), String> {
        let members = &mut self.members[first_member..];
        let out = &mut self.out;
        members
            .sort_unstable_by(|one, other| out[one.start..one.name_end - 1].cmp(&out[other.start..other.name_end - 1]));
        let name = |member: &Member| &out[member.start..member.name_end];
        if members.windows(2).any(|pair| name(&pair[0]) == name(&pair[1])) {
            return Err("a name is repeated".to_owned());
        }
        self.unordered.clear();
        self.unordered.extend_from_slice(&out[begin..]);
        out.truncate(begin);
        for (position, member) in members.iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            out.extend_from_slice(&self.unordered[member.start - begin..member.end - begin]);
        }
        Ok(())
    }
}

/// Whether a name in quotes comes before another one. A quote sorts before most of what a name may go on with.
fn less(one: &[u8], other: &[u8]) -> bool {
    one[..one.len() - 1] < other[..other.len() - 1]
}

/// Whether ECMAScript writes a number so: digits, at most 15 that count, no zero at the end of a fraction, no exponent.
fn is_canonical(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let point = digits.iter().position(|byte| *byte == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
    let is_plain = whole.iter().chain(fraction).all(u8::is_ascii_digit) && fraction.last() != Some(&b'0');
    let is_small = whole == b"0";
    let zeros = if is_small { fraction.iter().take_while(|digit| **digit == b'0').count() } else { 0 };
    let is_zero = is_small && fraction.is_empty();
    is_plain && zeros < 6 && whole.len() + fraction.len() <= 15 && !(is_zero && digits.len() != number.len())
}
