//! Text: how are values read and written?
//!
//! Times, sizes and durations, numbers, digests, secrets, and text of others that is to be shown without harm. Knows no
//! stage.

pub mod chain;
pub mod container_line;
pub mod digest;
pub mod encoding;
pub mod exact;
pub mod harmless;
pub mod joined_lines;
pub mod number_text;
pub mod panic;
pub mod pattern_redaction;
pub mod secret;
pub mod time;
pub mod units;
pub mod yaml;
