//! What was measured, and on what.

use std::process::Command;

/// The processor, its cores, memory and kernel.
pub(crate) fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let line = |text: &str, name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        value.trim_start_matches([':', ' ', '\t']).to_owned()
    };
    let model = line(&cpu, "model name");
    let model = if model.is_empty() { std::env::consts::ARCH.to_owned() } else { model };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let gib = line(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0.0) / 1024.0 / 1024.0;
    let sha = if cpu.contains("sha_ni") { "with" } else { "without" };
    let kernel = read("/proc/sys/kernel/osrelease");
    format!("{model}, {cores} cores, {gib:.0} GiB, {sha} SHA instructions, Linux {}", kernel.trim())
}

/// The commit of what was measured.
pub(crate) fn commit() -> String {
    if std::env::var_os("INFERLOG_PROGRAM").is_some() {
        return "a build of its own (`INFERLOG_PROGRAM`)".to_owned();
    }
    let git = |arguments: &[&str]| {
        let git = Command::new("git").current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output();
        git.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let changed = git(&["status", "--porcelain", "--", "src", "benches", "Cargo.toml", "Cargo.lock"]);
    let commit = git(&["rev-parse", "--short=10", "HEAD"]);
    if changed.is_empty() { format!("commit {commit}") } else { format!("commit {commit} with changes") }
}

/// How a bench is repeated as it was started.
pub(crate) fn command(bench: &str) -> String {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    format!("cargo bench --profile dist --bench {bench} -- {}", arguments.join(" "))
}
