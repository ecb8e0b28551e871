//! Records as model servers write them, the same ones each time.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// What the records of a corpus are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Shape {
    /// About 380 bytes, six features, as Python's `json.dumps` writes it: a space after each comma and colon.
    Usual,
    /// The same without these spaces.
    Compact,
    /// About 100 bytes.
    Small,
    /// About 2 KB, most of it numbers.
    #[value(name = "2kb")]
    Kilobytes2,
    /// About 20 KB: a prompt and an embedding.
    #[value(name = "20kb")]
    Kilobytes20,
    /// About 1 KB: features within features, eight levels.
    Deep,
    /// About 600 bytes: texts of which most characters are `\u` escapes.
    Escaped,
}

impl Shape {
    /// All of them, the usual one first.
    pub(crate) const ALL: [Shape; 7] = [
        Shape::Usual,
        Shape::Compact,
        Shape::Small,
        Shape::Kilobytes2,
        Shape::Kilobytes20,
        Shape::Deep,
        Shape::Escaped,
    ];

    /// How it is called in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Usual => "usual",
            Shape::Compact => "compact",
            Shape::Small => "small",
            Shape::Kilobytes2 => "2kb",
            Shape::Kilobytes20 => "20kb",
            Shape::Deep => "deep",
            Shape::Escaped => "escaped",
        }
    }

    /// How many records of it are measured where so many of the usual ones are: fewer of the long ones.
    pub(crate) fn records(self, of_usual: u64) -> u64 {
        let share = match self {
            Shape::Usual | Shape::Compact | Shape::Small => 1,
            Shape::Escaped => 2,
            Shape::Deep => 3,
            Shape::Kilobytes2 => 5,
            Shape::Kilobytes20 => 50,
        };
        (of_usual / share).max(1)
    }

    /// Writes a corpus, which is not there yet; gives its bytes.
    pub(crate) fn write(self, path: &Path, records: u64) -> u64 {
        append(&mut Records::of(self), path, records);
        std::fs::metadata(path).expect("the corpus").len()
    }
}

/// Records with members of varied values.
pub(crate) struct Records {
    random: fastrand::Rng,
    next: u64,
    shape: Shape,
}

impl Records {
    /// The usual ones.
    pub(crate) fn new() -> Records {
        Records::of(Shape::Usual)
    }

    /// Those of a shape.
    pub(crate) fn of(shape: Shape) -> Records {
        Records { random: fastrand::Rng::with_seed(7), next: 0, shape }
    }

    /// Appends so many lines to `text`.
    pub(crate) fn write(&mut self, records: u64, text: &mut String) {
        for n in self.next..self.next + records {
            let start = text.len();
            match self.shape {
                Shape::Small => self.small(n, text),
                _ => self.record(n, text),
            }
            if self.shape == Shape::Compact {
                let compact = text[start..].replace(": ", ":").replace(", ", ",");
                text.truncate(start);
                text.push_str(&compact);
            }
            text.push('\n');
        }
        self.next += records;
    }

    fn small(&mut self, n: u64, text: &mut String) {
        let random = &mut self.random;
        let _ = write!(
            text,
            "{{\"request_id\":\"{:08x}\",\"features\":{{\"a\":{}.5}},\"confidence\":0.{:03},\"timestamp\":\"{}\"}}",
            n,
            random.u8(..),
            random.u16(1..1_000),
            time(n)
        );
    }

    fn record(&mut self, n: u64, text: &mut String) {
        let random = &mut self.random;
        let _ = write!(
            text,
            "{{\"event\": \"inference\", \"request_id\": \"{:032x}\", \"model_version\": \"anomaly-3.2.{}\", \"features\": ",
            random.u128(..),
            random.u8(0..3),
        );
        self.features(text);
        let random = &mut self.random;
        let _ = write!(
            text,
            ", \"prediction\": \"{}\", \"confidence\": 0.{:03}, \"latency_ms\": {}.{}, \"status\": \"success\", \
             \"stage\": \"live\", \"level\": \"info\", \"timestamp\": \"{}\"}}",
            ["fraud", "legitimate"][random.usize(0..2)],
            random.u16(1..1_000),
            random.u8(1..90),
            random.u8(0..10),
            time(n),
        );
    }

    fn features(&mut self, text: &mut String) {
        let random = &mut self.random;
        let _ = write!(
            text,
            "{{\"amount\": {}.{:02}, \"country\": \"{}\", \"age\": {}, \"hour\": {}, \"merchant\": \"m-{:04}\", \"score\": 0.{:04}",
            random.u16(1..2_000),
            random.u8(1..100),
            ["DE", "FR", "IT", "US"][random.usize(0..4)],
            random.u8(18..90),
            random.u8(0..24),
            random.u16(0..10_000),
            random.u16(1..10_000),
        );
        match self.shape {
            Shape::Usual | Shape::Compact | Shape::Small => {}
            Shape::Kilobytes2 => self.numbers("signal", 80, text),
            Shape::Kilobytes20 => {
                self.words(1_000, text);
                self.numbers("embedding", 700, text);
            }
            Shape::Deep => self.deep(8, text),
            Shape::Escaped => self.escaped(text),
        }
        text.push('}');
    }

    /// Numbers as Python writes floats.
    fn numbers(&mut self, name: &str, count: usize, text: &mut String) {
        let _ = write!(text, ", \"{name}\": [");
        for position in 0..count {
            let number = self.random.f64() * 2.0 - 1.0;
            let _ = write!(text, "{}{number}", if position == 0 { "" } else { ", " });
        }
        text.push(']');
    }

    /// A prompt, with some line ends and quotes.
    fn words(&mut self, count: usize, text: &mut String) {
        text.push_str(", \"prompt\": \"");
        for _ in 0..count {
            let word = ["why", "is", "this", "transaction", "not", "in", "\\\"order\\\"", "then\\n"];
            text.push_str(word[self.random.usize(..word.len())]);
            text.push(' ');
        }
        text.push('"');
    }

    fn deep(&mut self, levels: usize, text: &mut String) {
        let _ = write!(text, ", \"nested\": ");
        for level in 0..levels {
            let (whole, part) = (self.random.u16(..), self.random.u8(1..100));
            let _ = write!(
                text,
                "{{\"value\": {whole}.{part}, \"list\": [{}, true, null, {{\"k\": \"v{level}\"}}], \"inner\": ",
                whole / 7
            );
        }
        text.push_str("{}");
        text.extend(std::iter::repeat_n('}', levels));
    }

    /// Text as `json.dumps` writes what is not ASCII.
    fn escaped(&mut self, text: &mut String) {
        text.push_str(", \"prompt\": \"");
        for _ in 0..30 {
            let word = ["\\u00fcber", "\\u4f60\\u597d", "\\ud83d\\ude00", "caf\\u00e9", "\\\"", "na\\u00efve"];
            text.push_str(word[self.random.usize(..word.len())]);
            text.push(' ');
        }
        text.push('"');
    }
}

/// A thousand records a second.
fn time(n: u64) -> String {
    let (hour, minute, second) = (n / 3_600_000 % 24, n / 60_000 % 60, n / 1_000 % 60);
    format!("2026-11-23T{hour:02}:{minute:02}:{second:02}.{:06}Z", n % 1_000_000)
}

/// Where [`spread`] has put the files.
pub(crate) const SPREAD: &str = "logs/*/*.ndjson";

const FILES_PER_FOLDER: u64 = 100;

/// Records that are made at a time.
pub(crate) const PART_RECORDS: u64 = 500;

/// Writes the usual records into some files in a folder, as many into each.
pub(crate) fn spread(folder: &Path, files: u64, records: u64) {
    let mut source = Records::new();
    for number in 0..files {
        let path = spread_path(folder, number);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        append(&mut source, &path, records * (number + 1) / files - records * number / files);
    }
}

/// Where the file of a number is.
pub(crate) fn spread_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("logs/{:04}/{:04}.ndjson", number / FILES_PER_FOLDER, number % FILES_PER_FOLDER))
}

/// Appends records to a file.
pub(crate) fn append(source: &mut Records, path: &Path, records: u64) {
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).expect("a log file");
    let (mut text, mut left) = (String::new(), records);
    while left > 0 {
        text.clear();
        source.write(left.min(PART_RECORDS), &mut text);
        file.write_all(text.as_bytes()).expect("room on the disk");
        left -= left.min(PART_RECORDS);
    }
}
