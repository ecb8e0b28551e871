//! The documents: every link inside of the repository leads somewhere, and prose can be read as a difference.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// The longest line of prose, in characters. Tables, code and what stands indented are as long as they need to be.
const PROSE_CHARACTERS_MAX: usize = 120;

/// All documents, without what is built or fetched.
fn documents() -> Vec<PathBuf> {
    let is_ours = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        !(entry.depth() > 0 && (name.starts_with('.') || ["target", "node_modules", "venv"].contains(&&*name)))
    };
    let walk = walkdir::WalkDir::new(ROOT).into_iter().filter_entry(is_ours);
    let mut documents: Vec<PathBuf> = walk.map(|entry| entry.unwrap().into_path()).collect();
    documents.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(documents.len() >= 8, "{documents:?}");
    documents
}

/// The name that a heading has in links.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .collect::<String>();
    kept.replace(' ', "-")
}

/// What is wrong with the links of a document.
fn broken_links(path: &Path, text: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let is_broken = |target: &str| {
        let (file, section) = target.split_once('#').unwrap_or((target, ""));
        let file = if file.is_empty() { path.to_owned() } else { path.parent().unwrap().join(file) };
        let headings = || fs::read_to_string(&file).unwrap_or_default();
        let has_section = || {
            headings()
                .lines()
                .filter_map(|line| line.strip_prefix('#'))
                .any(|line| anchor(line.trim_start_matches('#')) == section)
        };
        !file.exists() || (!section.is_empty() && !has_section())
    };
    let targets = link.captures_iter(text).map(|captures| captures[1].to_owned());
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:") && is_broken(target)).collect()
}

/// The lines of prose that are too long.
fn long_lines(text: &str) -> Vec<usize> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        is_code ^= line.trim_start().starts_with("```");
        let is_prose = !is_code && !line.starts_with(['|', '#']) && !line.starts_with("    ");
        if is_prose && line.chars().count() > PROSE_CHARACTERS_MAX {
            found.push(number + 1);
        }
    }
    found
}

#[test]
fn links_lead_somewhere_and_prose_is_wrapped() {
    let mut wrong = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.strip_prefix(ROOT).unwrap().display().to_string();
        wrong.extend(broken_links(&path, &text).into_iter().map(|target| format!("{name}: nothing is at `{target}`")));
        wrong.extend(
            long_lines(&text).into_iter().map(|line| format!("{name}:{line}: over {PROSE_CHARACTERS_MAX} characters")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_wrong_in_a_document_is_found() {
    let path = Path::new(ROOT).join("README.md");
    let text = "[a](README.md) [b](nowhere.md) [c](#no-such-heading) [d](https://example.org/x) [e](docs/kql.md#kql-in-inferlog)";
    assert_eq!(broken_links(&path, text), ["nowhere.md", "#no-such-heading"]);
    let long = "x ".repeat(80);
    assert_eq!(long_lines(&format!("{long}\n| {long}\n    {long}\n```\n{long}\n```\n- {long}\n")), [1, 7]);
}

/// Numbers of speed and memory in a text, in the words that go with them.
fn figures(text: &str) -> Vec<String> {
    let unit = "CPU-seconds?|% of (?:a|one) core|% of all CPU|µs\\b|microseconds|MiB of memory|MiB resident|\
                records (?:a|per) (?:CPU-)?second|records/s";
    let figure = Regex::new(&format!("([0-9][0-9.,]*) (?:million )?(?:{unit})")).unwrap();
    figure.captures_iter(text).map(|captures| captures[0].to_owned()).collect()
}

#[test]
fn figures_of_speed_and_memory_are_those_of_the_benchmarks() {
    let benchmarks = fs::read_to_string(Path::new(ROOT).join("docs/benchmarks.md")).unwrap();
    let number = |figure: &str| figure.split(' ').next().unwrap_or_default().to_owned();
    let measured: Vec<String> = benchmarks.split([' ', '|', '\n', '(', ')']).map(ToOwned::to_owned).collect();
    let mut unmeasured = Vec::new();
    for path in documents() {
        let is_told_otherwise = ["docs/benchmarks.md", "CHANGELOG.md"].iter().any(|name| path.ends_with(name));
        let text = if is_told_otherwise { String::new() } else { fs::read_to_string(&path).unwrap() };
        let found = figures(&text).into_iter().filter(|figure| !measured.contains(&number(figure)));
        unmeasured.extend(found.map(|figure| format!("{}: {figure}", path.strip_prefix(ROOT).unwrap().display())));
    }
    assert!(unmeasured.is_empty(), "not in docs/benchmarks.md: {unmeasured:#?}");
}

#[test]
fn figures_are_told_from_other_numbers() {
    let text =
        "It takes 1 % of a core at 5,000 records a second, 17 MiB of memory, and 0.5 µs; 32 MiB is a limit, 90 % too.";
    assert_eq!(figures(text), ["1 % of a core", "5,000 records a second", "17 MiB of memory", "0.5 µs"]);
}
