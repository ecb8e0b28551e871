#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| inferlog_fuzz::decode(data));
