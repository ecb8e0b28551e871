//! Numbers in texts: which number did a program mean that wrote one as a text?
//!
//! Python's `str` and `repr`, JSON encoders with a fallback to `str`, and people write `"0.87"`, `"np.float32(0.87)"`,
//! `"tensor(0.87, device='cuda:0')"`, `"87%"` and `"12.8ms"`. What could be read in two ways (`0,87`) is not read.

use super::exact::Exact;

/// In which way a number was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberKind {
    /// `"0.87"`
    Quoted,
    /// `"np.float32(0.87)"`, `"numpy.float64(0.87)"`
    Numpy,
    /// `"tensor(0.87)"`, `"tf.Tensor(0.87, shape=(), dtype=float32)"`, `"array(0.87)"`, `"Decimal('0.87')"`
    Wrapped,
    /// `"87%"`
    Percent,
    /// `"12.8ms"`, see [`duration_ms`]
    Duration,
}

impl NumberKind {
    /// All of them.
    pub const ALL: [NumberKind; 5] =
        [NumberKind::Quoted, NumberKind::Numpy, NumberKind::Wrapped, NumberKind::Percent, NumberKind::Duration];

    /// Its word in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            NumberKind::Quoted => "quoted",
            NumberKind::Numpy => "numpy",
            NumberKind::Wrapped => "wrapped",
            NumberKind::Percent => "percent",
            NumberKind::Duration => "duration",
        }
    }
}

/// What Python libraries wrap a single value into, lower case and without the module's name.
const WRAPPERS: [&str; 7] = ["tensor", "array", "decimal", "eagertensor", "devicearray", "parameter", "float"];

/// The number that a text is, in whatever way it is written; a percentage is its share of one.
pub fn number(text: &str) -> Option<(Exact, NumberKind)> {
    let text = text.trim();
    if let Some(number) = Exact::read(text) {
        return Some((number, NumberKind::Quoted));
    }
    if let Some(percent) = text.strip_suffix('%') {
        return Some((Exact::read(percent.trim_end())?.shifted(-2), NumberKind::Percent));
    }
    let (name, inside) = text.strip_suffix(')')?.split_once('(')?;
    let (module, function) = name.rsplit_once('.').unwrap_or(("", name));
    // Tensors say more behind the value: their device, shape and type.
    let value = inside.split(',').next().unwrap_or_default().trim().trim_matches(['\'', '"']);
    let kind = match module {
        "np" | "numpy" => NumberKind::Numpy,
        _ if WRAPPERS.iter().any(|wrapper| function.eq_ignore_ascii_case(wrapper)) => NumberKind::Wrapped,
        _ => return None,
    };
    Some((Exact::read(value)?, kind))
}

/// Units of a duration, and what they are in ms: a factor and a power of ten.
const UNITS: [(&[&str], u32, i32); 7] = [
    (&["ns", "nsec", "nanosecond", "nanoseconds"], 1, -6),
    (&["us", "µs", "μs", "usec", "microsecond", "microseconds"], 1, -3),
    (&["ms", "msec", "msecs", "millisecond", "milliseconds"], 1, 0),
    (&["s", "sec", "secs", "second", "seconds"], 1, 3),
    (&["m", "min", "mins", "minute", "minutes"], 60, 3),
    (&["h", "hr", "hour", "hours"], 3_600, 3),
    (&["d", "day", "days"], 86_400, 3),
];

/// The span of time that a text with a unit is, in milliseconds: Go's `986.53ms`, `681.3µs` and `1m2s`, `4.06 s`, ISO 8601's
/// `PT1.5S`, and Python's `0:00:01.250000`. A number without a unit is none, and neither is a negative one.
pub fn duration_ms(text: &str) -> Option<Exact> {
    let text = text.trim();
    match text.strip_prefix("PT") {
        Some(iso) => of_units(&iso.to_ascii_lowercase()),
        None => of_clock(text).or_else(|| of_units(text)),
    }
}

/// `1m2s`: numbers with units, the larger before the smaller.
fn of_units(text: &str) -> Option<Exact> {
    let mut sum: Option<Exact> = None;
    let mut rest = text;
    let mut unit_before = UNITS.len();
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, behind) = rest.split_at(number_end);
        let behind = behind.trim_start();
        let unit_end = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_end);
        let position = UNITS.iter().position(|(names, ..)| names.contains(&unit))?;
        let (_, factor, power) = UNITS[position];
        if position >= unit_before {
            return None;
        }
        unit_before = position;
        let part = Exact::read(number)?.times(factor)?.shifted(power);
        sum = Some(sum.map_or(Some(part), |sum| sum.plus(part))?);
        rest = behind.trim_start();
    }
    sum
}

/// `0:00:01.25`: hours, minutes and seconds, as Python's `timedelta` and .NET's `TimeSpan` are written.
fn of_clock(text: &str) -> Option<Exact> {
    let mut parts = text.split(':');
    let [hours, minutes, seconds] = [parts.next()?, parts.next()?, parts.next()?];
    let is_two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let whole_seconds = seconds.split('.').next().unwrap_or_default();
    let is_clock = parts.next().is_none()
        && !hours.is_empty()
        && hours.bytes().all(|byte| byte.is_ascii_digit())
        && [minutes, whole_seconds].iter().all(|part| is_two_digits(part) && *part < "60");
    if !is_clock {
        return None;
    }
    let [hours, minutes, seconds] = [hours, minutes, seconds].map(Exact::read);
    let sum = hours?.times(3_600)?.plus(minutes?.times(60)?)?.plus(seconds?)?;
    Some(sum.shifted(3))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_in_texts_are_read() {
        use NumberKind::{Numpy, Percent, Quoted, Wrapped};
        for (text, expected) in [
            ("0.87", Some(("0.87", Quoted))),
            (" 0.870 ", Some(("0.87", Quoted))),
            ("1e-3", Some(("0.001", Quoted))),
            ("np.float32(0.873)", Some(("0.873", Numpy))),
            ("numpy.float64(0.1)", Some(("0.1", Numpy))),
            ("np.int64(7)", Some(("7", Numpy))),
            ("tensor(0.8700)", Some(("0.87", Wrapped))),
            ("tensor(0.87, device='cuda:0', grad_fn=<MaxBackward1>)", Some(("0.87", Wrapped))),
            ("tf.Tensor(0.87, shape=(), dtype=float32)", Some(("0.87", Wrapped))),
            ("array(0.87, dtype=float32)", Some(("0.87", Wrapped))),
            ("Decimal('0.87')", Some(("0.87", Wrapped))),
            ("87%", Some(("0.87", Percent))),
            ("87.3 %", Some(("0.873", Percent))),
            ("0,87", None),
            ("87 of 100", None),
            ("NaN", None),
            ("high", None),
            ("", None),
            ("tensor([0.1, 0.9])", None),
            ("np.float32(nan)", None),
            ("exp(0.87)", None),
            ("12ms", None),
        ] {
            let read = number(text).map(|(number, kind)| (number.to_string(), kind));
            assert_eq!(read, expected.map(|(number, kind)| (number.to_owned(), kind)), "{text}");
        }
    }

    #[test]
    fn durations_are_read_by_their_units() {
        for (text, expected) in [
            ("986.53ms", Some("986.53")),
            ("681.3µs", Some("0.6813")),
            ("681.3μs", Some("0.6813")),
            ("681.3us", Some("0.6813")),
            ("4.06s", Some("4060")),
            ("4.06 s", Some("4060")),
            ("1m2s", Some("62000")),
            ("1m2.5s", Some("62500")),
            ("1h0m0.5s", Some("3600500")),
            ("750ns", Some("0.00075")),
            ("0s", Some("0")),
            ("12 milliseconds", Some("12")),
            ("1 min 2 sec", Some("62000")),
            ("PT1.5S", Some("1500")),
            ("PT1M2S", Some("62000")),
            ("0:00:01.250000", Some("1250")),
            ("00:01:02.5", Some("62500")),
            ("12.8", None),
            ("-4ms", None),
            ("2s1m", None),
            ("1s1s", None),
            ("0:61:00", None),
            ("1:2", None),
            ("4 parsecs", None),
            ("ms", None),
            ("", None),
        ] {
            assert_eq!(duration_ms(text).map(|ms| ms.to_string()).as_deref(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "(PT)?[-0-9.:smhdnuµe%( )',]{0,24}|\\PC{0,20}") {
            let _ = number(&text);
            prop_assert!(duration_ms(&text).is_none_or(|ms| !ms.is_negative()), "{text}");
        }

        #[test]
        fn go_durations_are_exact(minutes in 1..60_u64, milliseconds in 0..60_000_u64) {
            let seconds = Exact::read(&milliseconds.to_string()).map(|ms| ms.shifted(-3).to_string());
            let text = format!("{minutes}m{}s", seconds.unwrap_or_default());
            let expected = (minutes * 60_000 + milliseconds).to_string();
            prop_assert_eq!(duration_ms(&text).map(|ms| ms.to_string()), Some(expected), "{}", text);
        }
    }
}
