//! House rules: what must hold of the source text itself, read line by line.
//!
//! Simple on purpose: it looks at lines, not at syntax. Where a rule has an exception, the exception stands here with its
//! reason, and one that nobody needs any more fails the test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const FILE_LINES_MAX: usize = 600;

const FUNCTION_LINES_MAX: usize = 70;

/// Folders and files of `src` by their place in the chain.
const STAGES: [&str; 6] = ["source", "decode", "enrich", "queue", "sink", "dead_letter"];

/// What is above the stages, from the outside in.
const ABOVE: [&str; 9] = ["cli", "server", "demo", "pipeline", "replay", "proof", "query", "judge", "config"];

/// Who may use what it otherwise must not, and why.
const EXCEPTIONS: [(&str, &str, &str); 1] = [("sink", "elastic", "the sink `elasticsearch` speaks through it")];

/// One line of a Rust file, without its tests.
struct Line {
    path: String,
    number: usize,
    text: String,
}

/// Files below a folder of the project with these ends.
fn files(folder: &str, ends: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "nothing is found below {folder}");
    found
}

fn relative(path: &Path) -> String {
    path.strip_prefix(ROOT).unwrap().to_string_lossy().into_owned()
}

/// The files of `src`, tests left out.
fn sources() -> Vec<(String, String)> {
    let is_test = |name: &str| name.contains("/tests/") || name.ends_with("tests.rs");
    let read = |path: PathBuf| (relative(&path), fs::read_to_string(&path).unwrap());
    files("src", &[".rs"]).into_iter().map(read).filter(|(name, _)| !is_test(name)).collect()
}

/// The lines of `src` before each file's tests.
fn source_lines() -> Vec<Line> {
    let mut lines = Vec::new();
    for (path, text) in sources() {
        // Not `#[cfg(test)]` alone: single functions have it too.
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (number, text) in code.lines().enumerate() {
            lines.push(Line { path: path.clone(), number: number + 1, text: text.to_owned() });
        }
    }
    lines
}

/// The module of `src` that a file belongs to: `sink` of `src/sink/store/mod.rs`, `telemetry` of `src/telemetry.rs`.
fn module_of(path: &str) -> &str {
    path.trim_start_matches("src/").split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// The modules of the crate that a line names.
fn used_modules(text: &str) -> Vec<&str> {
    let code = text.split("//").next().unwrap_or_default();
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let rests = code.split("crate::").skip(1);
    rests.map(|rest| &rest[..name(rest)]).filter(|name| !name.is_empty()).collect()
}

/// Whether a module may use another one.
fn may_use(user: &str, used: &str) -> bool {
    let is_stage = |name| STAGES.contains(&name);
    let is_above = |name| ABOVE.contains(&name);
    match user {
        _ if user == used => true,
        "cli" | "lib" | "main" => true,
        "server" => !matches!(used, "cli" | "demo"),
        "pipeline" | "replay" | "proof" | "query" => !matches!(used, "cli" | "server" | "demo"),
        "judge" => !is_above(used) || used == "config",
        "config" => !is_above(used),
        "demo" => !is_above(used) && !is_stage(used) && used != "elastic",
        // Stages know the vocabulary alone; so does what knows Elasticsearch; the vocabulary knows itself.
        _ => !is_stage(used) && !is_above(used) && used != "elastic",
    }
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    let mut needed = BTreeSet::new();
    let mut seen = 0;
    for Line { path, number, text } in source_lines() {
        let user = module_of(&path);
        if text.contains("crate::{") {
            wrong.push(format!("{path}:{number}: one `use` a module, so that this test sees it"));
        }
        for used in used_modules(&text) {
            seen += 1;
            if EXCEPTIONS.iter().any(|(from, to, _)| (*from, *to) == (user, used)) {
                needed.insert((user.to_owned(), used.to_owned()));
            } else if !may_use(user, used) {
                wrong.push(format!("{path}:{number}: `{user}` uses `{used}`"));
            }
        }
    }
    assert!(seen > 100, "only {seen} uses are found: does the test still see them?");
    assert!(wrong.is_empty(), "dependencies that point the wrong way:\n{}", wrong.join("\n"));
    assert_eq!(needed.len(), EXCEPTIONS.len(), "an exception is not needed any more");
}

/// The command line is what a program of one's own could be: what it needs is public.
#[test]
fn the_command_line_uses_the_public_library() {
    let mut private = BTreeSet::new();
    for (path, text) in sources().iter().filter(|(path, _)| module_of(path) != "cli") {
        for line in text.lines() {
            let Some(item) = line.trim_start().strip_prefix("pub(crate) ") else { continue };
            let name = item.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| {
                !["async", "const", "enum", "fn", "mod", "static", "struct", "trait", "type", "use"].contains(word)
            });
            private.insert((module_of(path).to_owned(), name.unwrap_or_default().to_owned()));
        }
    }
    assert!(!private.is_empty(), "nothing is private to the crate: does the test still see it?");
    for Line { path, number, text } in source_lines().iter().filter(|line| module_of(&line.path) == "cli") {
        let words = || text.split(|c: char| !c.is_alphanumeric() && c != '_');
        for module in used_modules(text) {
            let hidden = words().find(|word| private.contains(&(module.to_owned(), (*word).to_owned())));
            assert!(hidden.is_none(), "{path}:{number}: `{}` is private to the crate", hidden.unwrap_or_default());
        }
    }
}

/// What lies in a folder of state is named in one place, and nobody else spells it.
#[test]
fn files_of_state_are_named_in_one_place() {
    let names =
        ["checkpoint.json", "dead_letter", "salvage", "store.sqlite", "replay_request.json", "replay_answer.ndjson"];
    let is_spelled = |text: &str| names.iter().any(|name| text.contains(&format!("join(\"{name}\")")));
    let lines = source_lines();
    let places: BTreeSet<&str> = lines
        .iter()
        .filter(|line| is_spelled(&line.text) && !line.path.contains("tests"))
        .map(|line| line.path.as_str())
        .collect();
    assert_eq!(places.into_iter().collect::<Vec<_>>(), ["src/state/folder.rs"]);
}

#[test]
fn uses_are_seen_and_judged() {
    assert_eq!(used_modules("use crate::source::framing::Lines; // crate::sink"), ["source"]);
    assert_eq!(used_modules("    fn f(a: crate::flow::ack::Ack, b: crate::text::units::Bytes) {"), ["flow", "text"]);
    for (user, used, expected) in [
        ("decode", "source", false),
        ("sink", "pipeline", false),
        ("elastic", "sink", false),
        ("flow", "queue", false),
        ("config", "sink", true),
        ("pipeline", "sink", true),
        ("pipeline", "config", true),
        ("sink", "flow", true),
        ("config", "pipeline", false),
        ("server", "cli", false),
        ("judge", "pipeline", false),
        ("dead_letter", "pipeline", false),
    ] {
        assert_eq!(may_use(user, used), expected, "{user} {used}");
    }
}

#[test]
fn the_binary_is_thin_and_the_library_does_not_print() {
    let main = fs::read_to_string(Path::new(ROOT).join("src/main.rs")).unwrap();
    assert!(main.lines().count() <= 12, "src/main.rs does more than to call the library");
    assert!(!main.contains("mod "), "src/main.rs has modules of its own");
    let prints = |line: &&Line| {
        let code = line.text.split("//").next().unwrap_or_default();
        ["println!(", "print!(", "dbg!("].iter().any(|macro_name| code.contains(macro_name))
    };
    let places: Vec<String> =
        source_lines().iter().filter(prints).map(|line| format!("{}: {}", line.path, line.text.trim())).collect();
    assert_eq!(places, [""; 0], "words go through `say`, data through `print`: these macros panic when nobody reads");
}

/// The lengths in lines of the functions of a file, by where each begins and ends at one depth of indentation.
fn functions(text: &str) -> Vec<(usize, usize)> {
    let mut functions = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let starts = ["fn ", "pub fn ", "async fn ", "pub async fn ", "const fn ", "pub const fn "];
        let head = code.strip_prefix("pub(super) ").or(code.strip_prefix("pub(crate) ")).unwrap_or(code);
        if starts.iter().any(|start| head.starts_with(start)) {
            open.push((number, indent));
        }
        // A function without a body, or one of one line, ends where it begins.
        if let Some((start, at)) = open.last().copied()
            && at == indent
            && (code.starts_with('}') || (start == number && (code.ends_with(';') || code.ends_with('}'))))
        {
            functions.push((start + 1, number - start + 1));
            open.pop();
        }
    }
    functions
}

#[test]
fn files_and_functions_are_short_and_every_module_says_what_it_is_for() {
    assert_eq!(
        functions("fn a() {\n    b;\n}\n    pub(super) async fn c() { d }\nfn e(\n) -> f\n{\n}\n"),
        [(1, 3), (4, 1), (5, 4)]
    );
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        if text.lines().count() > FILE_LINES_MAX {
            wrong.push(format!("{path} has more than {FILE_LINES_MAX} lines"));
        }
        if !text.starts_with("//! ") {
            wrong.push(format!("{path} does not open with `//!`"));
        }
        for (start, length) in functions(&text) {
            seen += 1;
            if length > FUNCTION_LINES_MAX {
                wrong.push(format!("{path}:{start}: a function of {length} lines"));
            }
        }
    }
    assert!(seen > 400, "only {seen} functions are found: does the test still see them?");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The names of a section of Cargo.toml.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let lines = manifest.lines().skip_while(|line| *line != section).skip(1).take_while(|line| !line.starts_with('['));
    lines.filter_map(|line| line.split_once(" = ").map(|(name, _)| name.to_owned())).collect()
}

#[test]
fn every_dependency_earns_a_line() {
    let manifest = fs::read_to_string(Path::new(ROOT).join("Cargo.toml")).unwrap();
    let page = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    let page = page.split("## Dependencies").nth(1).unwrap().split("\n## ").next().unwrap();
    let words: BTreeSet<&str> =
        page.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').filter(|word| !word.is_empty()).collect();
    for section in ["[dependencies]", "[dev-dependencies]"] {
        let names = dependencies(&manifest, section);
        assert!(!names.is_empty(), "{section} is not found");
        let missing: Vec<_> = names.into_iter().filter(|name| !words.contains(&**name)).collect();
        assert!(missing.is_empty(), "ARCHITECTURE.md does not say what these are for: {missing:?}");
    }
}

/// Whether a text says something of one developer's machine, or of where packages came from.
fn tells_of_a_machine(text: &str) -> bool {
    // Put together here, so that this file does not hold them.
    let homes = ["root", "work", "Users"].map(|folder| format!("/{folder}/"));
    let hosts = ["index.", "static."].map(|host| format!("{host}{}", "crates.io"));
    let of_a_home = |line: &str| {
        homes
            .iter()
            .any(|home| line.split(|c: char| " \"'`(=:".contains(c)).any(|word| word.starts_with(home.as_str())))
    };
    text.lines().any(|line| of_a_home(line) || hosts.iter().any(|host| line.contains(host)))
}

#[test]
fn nothing_tells_of_a_developers_machine() {
    assert!(tells_of_a_machine(&format!("x = \"/{}/y\"", "root")) && !tells_of_a_machine("src/work/x"));
    let root = fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path());
    // Cargo.lock names its registry in a form of its own; the others are not tracked.
    let mut all: Vec<PathBuf> = root.filter(|path| path.is_file() && !path.ends_with("Cargo.lock")).collect();
    for folder in ["src", "tests", "pipelines", "mappings", "examples", "benches", "docs", "dashboards", ".ci"] {
        if Path::new(ROOT).join(folder).is_dir() {
            all.extend(files(folder, &[""]));
        }
    }
    all.retain(|path| path.components().all(|part| part.as_os_str() != "__pycache__" && part.as_os_str() != ".git"));
    let telling = |path: &&PathBuf| fs::read_to_string(path).is_ok_and(|text| tells_of_a_machine(&text));
    let found: Vec<String> = all.iter().filter(telling).map(|path| relative(path)).collect();
    assert!(found.is_empty(), "these name a folder of a machine, or a registry's host: {found:?}");
}

/// The variants of an enum in a file.
fn variants(text: &str, name: &str) -> Vec<String> {
    let head = format!("pub enum {name} {{");
    let body = text.split_once(&head).unwrap().1.split("\n}").next().unwrap();
    let lines = body.lines().map(str::trim).filter(|line| line.starts_with(char::is_uppercase));
    lines.map(|line| line.chars().take_while(|c| c.is_alphanumeric()).collect()).collect()
}

#[test]
fn every_processor_has_a_test_and_a_word_in_the_documents() {
    let read = |path: &str| fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
    let steps = variants(&read("src/enrich/mod.rs"), "Action");
    assert!(steps.len() >= 8, "{steps:?}");
    let tests = read("src/enrich/tests.rs");
    let documents = read("README.md") + &read("pipelines/inference.yaml");
    for step in steps {
        let key = step.to_lowercase();
        assert!(tests.contains(&format!("Action::{step}(")), "no fixture for `{key}` in src/enrich/tests.rs");
        assert!(documents.contains(&format!("{key}:")), "`{key}` is in neither README.md nor the default pipeline");
    }
}

/// The reasons in a text: the words in quotes that follow where rejects are made.
fn reasons_in(text: &str) -> Vec<String> {
    let makers = ["Reject::new(", "reject(", "rejected(", "kind: "];
    let mut reasons = Vec::new();
    for maker in makers {
        for rest in text.split(maker).skip(1) {
            let rest = rest.trim_start();
            let rest =
                rest.strip_prefix("Stage::").map_or(rest, |rest| rest.split_once(',').map_or("", |(_, rest)| rest));
            let word = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split('"').next()).unwrap_or_default();
            if !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit()) {
                reasons.push(word.to_owned());
            }
        }
    }
    reasons
}

#[test]
fn every_reason_is_explained() {
    assert_eq!(reasons_in("Reject::new(\n Stage::Source,\n \"a_b\",\n x); reject(\"c\", y)"), ["a_b", "c"]);
    let mut reasons = BTreeSet::new();
    for (path, text) in sources().iter().filter(|(path, _)| !["cli", "reasons", "reject"].contains(&module_of(path))) {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        reasons.extend(reasons_in(code).into_iter().map(|reason| (reason, path.clone())));
    }
    assert!(reasons.len() >= 12, "only {reasons:?}: does the test still see them?");
    let known: BTreeSet<&str> = inferlog::flow::reasons::EXPLANATIONS.iter().map(|row| row.reason).collect();
    let missing: Vec<_> = reasons.iter().filter(|(reason, _)| !known.contains(&**reason)).collect();
    assert!(missing.is_empty(), "src/flow/reasons.rs does not explain these: {missing:?}");
}
