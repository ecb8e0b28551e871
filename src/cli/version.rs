//! `inferlog --version`: what is this binary, and what is in it? `build.rs` has looked.

use std::sync::OnceLock;

/// Version and commit, as in `0.1.0 (d43524d 2026-11-27)`.
pub(super) const SHORT: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("INFERLOG_COMMIT"), ")");

/// The same, and what else a report of a defect should say.
pub(super) fn long() -> &'static str {
    static LONG: OnceLock<String> = OnceLock::new();
    LONG.get_or_init(|| {
        let linked = if cfg!(target_feature = "crt-static") { "static" } else { "dynamic" };
        let c_library = if cfg!(target_env = "musl") { "musl" } else { "the platform's C library" };
        [
            SHORT,
            concat!("target:    ", env!("INFERLOG_TARGET")),
            &format!("linked:    {linked}"),
            concat!("profile:   ", env!("INFERLOG_PROFILE")),
            "TLS:       rustls with ring, roots of Mozilla built in",
            &format!("SQLite:    {} (built in)", rusqlite::version()),
            &format!("allocator: that of {c_library}"),
        ]
        .join("\n")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_version_begins_with_the_short_one_and_names_what_is_built_in() {
        let (first, rest) = long().split_once('\n').unwrap();
        assert_eq!(first, SHORT);
        assert!(SHORT.starts_with(concat!(env!("CARGO_PKG_VERSION"), " (")), "{SHORT}");
        for part in ["target:    x", "linked:    ", "profile:   ", "rustls", "SQLite:    3."] {
            assert!(rest.contains(part) || part.ends_with('x'), "{part}: {rest}");
        }
    }
}
