//! House rules: what must hold of the source text itself, read line by line.
//!
//! Simple on purpose: it looks at lines, not at syntax. Where a rule has an exception, the exception stands here with its
//! reason, and one that nobody needs any more fails the test.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

const FILE_LINES_MAX: usize = 600;

const FUNCTION_LINES_MAX: usize = 70;

/// The rooms of `src` from the outside in: each may use those of the lines below it.
const ORDER: [&[&str]; 6] = [
    &["cli", "server", "demo"],
    &["pipeline", "replay", "proof", "query", "kibana"],
    &["judge", "config", "migrate"],
    &["source", "decode", "enrich", "observe", "queue", "sink", "dead_letter", "elastic"],
    &["drift", "outcome"],
    &["kql", "record", "flow", "state", "text", "telemetry"],
];

/// Lines of which the rooms may use each other: who runs pipelines and proves them, and the vocabulary.
const SHARED: [usize; 2] = [1, 5];

/// Who may use what it otherwise must not, and why.
const EXCEPTIONS: [(&str, &str, &str); 5] = [
    ("cli", "server", "a verb starts it"),
    ("cli", "demo", "a verb starts it"),
    ("enrich", "observe", "`sample` leaves out nothing that `model_metrics` counts as an error"),
    ("judge", "config", "a pipeline file is what it judges by"),
    ("sink", "elastic", "the sink `elasticsearch` speaks through it"),
];

/// Files that import each other in a circle, and why they do: a file of each.
const CIRCLES: [(&str, &str); 1] =
    [("src/config/field.rs", "a grammar that contains itself: a map has values, and a value may be a map")];

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

/// Whether a module may use another one, exceptions apart.
fn may_use(user: &str, used: &str) -> bool {
    let line = |name: &str| ORDER.iter().position(|rooms| rooms.contains(&name));
    match (line(user), line(used)) {
        _ if user == used || matches!(user, "lib" | "main") => true,
        // The sample model servers know nothing of what reads their logs.
        (Some(_), Some(used)) if user == "demo" => used == 5,
        (Some(user), Some(used)) => user < used || (user == used && SHARED.contains(&user)),
        _ => false,
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

/// The paths that a file names in `use` and in its code, as they stand there, braces taken apart.
fn named_paths(code: &str) -> Vec<String> {
    let uses = |rest: &str| rest.split(';').next().unwrap_or_default().to_owned();
    let starts = code.match_indices("use ").filter(|(at, _)| code[..*at].ends_with(['\n', ' ', ')']) || *at == 0);
    let imports = starts.map(|(at, word)| uses(&code[at + word.len()..])).filter(|path| path.contains("::"));
    let mut paths: Vec<String> = imports.flat_map(|path| taken_apart(path.trim())).collect();
    // Who may see something is not what it needs.
    let is_named = |before: &str| !before.ends_with("::") && !before.ends_with("pub(in ");
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for root in ["crate::", "super::"] {
        for (at, _) in code.match_indices(root).filter(|(at, _)| is_named(&code[..*at])) {
            let rest = &code[at..];
            let path = &rest[..rest.find(|c| !is_path(c)).unwrap_or(rest.len())];
            // What goes on in braces is taken apart above.
            paths.extend((!path.ends_with("::")).then(|| path.to_owned()));
        }
    }
    paths
}

/// `a::{b, c::{d}}` is `a::b` and `a::c::d`.
fn taken_apart(path: &str) -> Vec<String> {
    let Some((before, inside)) = path.split_once('{') else { return vec![path.to_owned()] };
    let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
    let (mut depth, mut parts) = (0, vec![String::new()]);
    for c in inside.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => parts.push(String::new()),
            _ => {}
        }
        if c != ',' || depth > 0 {
            parts.last_mut().unwrap().push(c);
        }
    }
    let parts = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty());
    parts.flat_map(|part| taken_apart(&format!("{}{part}", before.trim()))).collect()
}

/// The module of a file, name by name; none for the crate itself.
fn module_path(path: &str) -> Vec<String> {
    let path = path.trim_start_matches("src/").trim_end_matches(".rs");
    let names = path.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main"));
    names.map(str::to_owned).collect()
}

/// The file that a path leads to, as seen from a module; `None` when it leads out of the crate, or to the file itself.
fn leads_to(from: &[String], path: &str, files: &BTreeMap<Vec<String>, String>) -> Option<String> {
    let mut names: Vec<&str> = path.split("::").map(|name| name.split(" as ").next().unwrap_or(name).trim()).collect();
    let mut module: Vec<String> = match *names.first()? {
        "crate" => Vec::new(),
        "super" | "self" => from.to_vec(),
        first => {
            let child: Vec<String> = from.iter().cloned().chain([first.to_owned()]).collect();
            files.contains_key(&child).then(|| from.to_vec())?
        }
    };
    while let Some(first) = names.first().copied().filter(|name| matches!(*name, "crate" | "super" | "self")) {
        if first == "super" {
            module.pop();
        }
        names.remove(0);
    }
    module.extend(names.into_iter().map(str::to_owned));
    while !module.is_empty() && !files.contains_key(&module) {
        module.pop();
    }
    files.get(&module).filter(|_| !module.is_empty() && module != from).cloned()
}

/// Which files each file imports.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let sources = sources();
    let modules: BTreeMap<Vec<String>, String> =
        sources.iter().map(|(path, _)| (module_path(path), path.clone())).collect();
    let of_file = |(path, text): &(String, String)| {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        let code: String = code.lines().flat_map(|line| [line.split("//").next().unwrap_or_default(), "\n"]).collect();
        let module = module_path(path);
        let used = named_paths(&code).into_iter().filter_map(|used| leads_to(&module, &used, &modules));
        (path.clone(), used.collect())
    };
    sources.iter().map(of_file).collect()
}

/// All that a file imports, and what that imports, and so on.
fn reach(from: &str, imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(file) = open.pop() {
        for next in imports.get(file).into_iter().flatten() {
            if reached.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    reached
}

#[test]
fn no_two_files_import_each_other_in_a_circle() {
    assert_eq!(
        named_paths("use a::{b, c::{d, e as f}};\nfn g(h: super::i::J) {}"),
        ["a::b", "a::c::d", "a::c::e as f", "super::i::J"]
    );
    assert_eq!(named_paths("pub(in super::super) fn g() {}"), [""; 0]);
    let imports = imports();
    assert!(imports.values().map(BTreeSet::len).sum::<usize>() > 500, "does the test still see imports?");
    let reaches: BTreeMap<&String, BTreeSet<String>> =
        imports.keys().map(|file| (file, reach(file, &imports))).collect();
    let circle_of = |file: &String| -> BTreeSet<&String> {
        let mates = reaches[file].iter().filter(|mate| reaches.get(mate).is_some_and(|its| its.contains(file)));
        mates.collect()
    };
    let circles: BTreeSet<BTreeSet<&String>> =
        imports.keys().map(circle_of).filter(|circle| circle.len() > 1).collect();
    let is_known = |circle: &BTreeSet<&String>| CIRCLES.iter().any(|(file, _)| circle.iter().any(|mate| mate == file));
    let new: Vec<_> = circles.iter().filter(|circle| !is_known(circle)).collect();
    assert!(new.is_empty(), "these import each other in a circle: {new:#?}");
    let is_needed = |(file, _): &&(&str, &str)| circles.iter().any(|circle| circle.iter().any(|mate| mate == file));
    let old: Vec<_> = CIRCLES.iter().filter(|exception| !is_needed(exception)).collect();
    assert!(old.is_empty(), "these exceptions are not needed any more: {old:?}");
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

/// The reasons in a text: the words in quotes that follow where rejects are made.
fn reasons_in(text: &str) -> Vec<String> {
    let makers = ["Reject::new(", "reject(", "rejected(", "(no(", " no(", "kind: "];
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
    assert_eq!(
        reasons_in("Reject::new(\n Stage::Source,\n \"a_b\",\n x); reject(\"c\", y); ok_or(no(\n \"d\"))"),
        ["a_b", "c", "d"]
    );
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
