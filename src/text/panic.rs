//! Panics: what may be said of a defect of ours?
//!
//! Where it is, and its words if they are ours (they begin with `BUG:`). The words of the standard library may quote what it
//! was given, and so a record: they are left out, everywhere.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::panic::{PanicHookInfo, set_hook};

/// How words of ours begin.
const OURS: &str = "BUG: ";

thread_local! {
    /// Where this thread has panicked last.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What a panic of this thread says, by its payload.
pub fn words(payload: &(dyn Any + Send)) -> String {
    let place = PLACE.with_borrow_mut(Option::take).map_or(String::new(), |place| format!(", at {place}"));
    let ours = text(payload).strip_prefix(OURS);
    format!("{}{place}", ours.unwrap_or("its words may quote a record and are left out"))
}

/// From now on a panic is said in these words alone.
pub fn install(say: fn(&str)) {
    set_hook(Box::new(move |info| {
        let place = info.location().map(|place| format!("{}:{}", place.file(), place.line()));
        PLACE.set(place.clone());
        tell(info, place.as_deref().unwrap_or("an unknown place"), say);
    }));
}

fn tell(info: &PanicHookInfo<'_>, place: &str, say: fn(&str)) {
    let thread = std::thread::current();
    let ours = text(info.payload()).strip_prefix(OURS).map_or(String::new(), |words| format!(": {words}"));
    // Names of functions and places in the code, no values; if the variable RUST_BACKTRACE asks for it.
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    say(&format!("BUG: the thread `{}` panicked at {place}{ours}{backtrace}", thread.name().unwrap_or("?")));
}

fn text(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    #[test]
    fn words_that_are_not_ours_are_left_out() {
        for (said, expected) in [
            ("BUG: the mark is gone", "the mark is gone"),
            ("byte index 3 is out of bounds of `secret`", "its words may quote a record and are left out"),
        ] {
            let payload = catch_unwind(|| panic!("{said}")).unwrap_err();
            assert_eq!(words(&*payload), expected);
        }
    }
}
