//! What `inferlog --version` says of its own making.
//!
//! The commit comes from `INFERLOG_COMMIT` (a container build has no `.git`), else from git, else it is unknown. A
//! development build does not look for it: the crate would be built anew after each commit.

// So speaks a build script to cargo.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::process::Command;

/// What the crate is built of.
const SOURCES: [&str; 5] = ["src", "mappings", "dashboards", "Cargo.toml", "Cargo.lock"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=INFERLOG_COMMIT");
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    let commit = match variable("INFERLOG_COMMIT") {
        given if !given.is_empty() => given,
        _ if variable("PROFILE") == "debug" => "development build".to_owned(),
        _ => commit(&variable("CARGO_MANIFEST_DIR")).unwrap_or_else(|| "commit unknown".to_owned()),
    };
    println!("cargo::rustc-env=INFERLOG_COMMIT={commit}");
    println!("cargo::rustc-env=INFERLOG_PROFILE={}", profile(&variable("OUT_DIR")));
    println!("cargo::rustc-env=INFERLOG_TARGET={}", variable("TARGET"));
    println!("cargo::rustc-env=INFERLOG_OPT_LEVEL={}", variable("OPT_LEVEL"));
}

/// The commit of the sources and its day, as in `d43524d 2026-11-27`; `d43524d-modified 2026-11-27` where they differ from
/// it. `None` where they are no work tree of git of their own, as in a package of a registry.
fn commit(folder: &str) -> Option<String> {
    let root = git(folder, &["rev-parse", "--show-toplevel"])?;
    if Path::new(&root).canonicalize().ok()? != Path::new(folder).canonicalize().ok()? {
        return None;
    }
    // A line is added there by each commit, pull and checkout.
    let log = git(folder, &["rev-parse", "--git-path", "logs/HEAD"])?;
    // What is not there would be taken for changed each time.
    let watched = SOURCES.into_iter().chain([&*log]).filter(|path| Path::new(folder).join(path).exists());
    watched.for_each(|path| println!("cargo::rerun-if-changed={path}"));
    let (hash, day) = (git(folder, &["log", "-1", "--format=%h"])?, git(folder, &["log", "-1", "--format=%cs"])?);
    let changes = git(folder, &["status", "--porcelain", "--untracked-files=no"])?;
    let modified = if changes.is_empty() { "" } else { "-modified" };
    Some(format!("{hash}{modified} {day}"))
}

/// What git prints; `None` where it fails or is not there.
fn git(folder: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").current_dir(folder).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The name of the profile, which cargo tells in a path alone: `target/[TRIPLE/]PROFILE/build/inferlog-HASH/out`.
fn profile(out_dir: &str) -> &str {
    out_dir.rsplit(['/', '\\']).nth(3).unwrap_or("unknown")
}
