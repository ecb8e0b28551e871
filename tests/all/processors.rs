//! Every processor has cases: pipeline files in `tests/processors` that hold themselves to their own `tests:`.

use std::path::Path;

use crate::place::{Place, start};

/// A processor has at least so many cases.
const CASES_MIN: usize = 3;

/// The names of all processors, as the words about an unknown one give them.
fn processors() -> Vec<String> {
    let place = Place::new("source: { files: { paths: [a] } }\nenrich: [7]\nsink: stdout\n");
    let ended = start(place.inferlog(&["check", "p.yaml"])).wait();
    let known = ended.stderr.split("known processors: ").nth(1).and_then(|rest| rest.lines().next());
    let names = known.unwrap_or_else(|| panic!("{}", ended.stderr)).split(", ");
    names.map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn every_processor_has_cases_and_they_hold() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processors");
    let names = processors();
    assert!(names.len() > 8, "{names:?}");
    for name in names {
        let text = fs_err::read_to_string(folder.join(format!("{name}.yaml"))).expect("every processor has cases");
        let cases = text.lines().filter(|line| line.starts_with("  - name: ")).count();
        assert!(cases >= CASES_MIN && text.contains(&format!("- {name}:")), "{name}: {cases} cases");
    }
    let place = Place::new("");
    let mut command = place.inferlog(&["test", &folder.to_string_lossy(), "--require-coverage"]);
    // What comes of them depends on no machine's zone.
    command.env("TZ", "Asia/Tokyo");
    let ended = start(command).wait();
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
}

/// The beginning of the reference page.
const REFERENCE_HEAD: &str = "# Processors

What `enrich:` may have in its list, in the order in which a pipeline file usually has them. Each sees what those
before it left. A field path means every spelling of it, nested, dotted or mixed, and everything below it; a member that
is not there is skipped. `when:` is a condition in KQL ([kql.md](kql.md)).

This page is made of the documentation of the code in `src/enrich`. Cases of each are in `tests/processors`.
";

/// The documentation of a processor, as its file begins.
fn documentation(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/enrich");
    let files = [folder.join(format!("{name}.rs")), folder.join(name).join("mod.rs")];
    let text = files.iter().find_map(|file| fs_err::read_to_string(file).ok()).expect("a processor has a file");
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n").collect()
}

/// What is known of a processor's options, as the words about an unknown one give them.
fn options(name: &str) -> Vec<String> {
    let place = Place::new(&format!(
        "source: {{ files: {{ paths: [a] }} }}\ndecode: json\nenrich:\n  - {name}: {{ zzzzzzzzzz: 1 }}\nsink: stdout\n"
    ));
    let ended = start(place.inferlog(&["check", "p.yaml"])).wait();
    let known = ended.stderr.split("known keys: ").nth(1).and_then(|rest| rest.lines().next());
    sorted(known.unwrap_or_else(|| panic!("{}", ended.stderr)).split(", ").map(|key| key.trim_matches('`').to_owned()))
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// The options that a documentation lists.
fn options_listed(documentation: &str) -> Vec<String> {
    let names = documentation.lines().filter_map(|line| line.strip_prefix("- `")?.split_once('`'));
    let mut all = Vec::new();
    for (name, rest) in names {
        all.push(name.to_owned());
        // Several of one kind share a line: - `request_id`, `model_name`: path.
        let more = rest.split(':').next().unwrap_or_default().split('`');
        all.extend(more.skip(1).step_by(2).map(str::to_owned));
    }
    sorted(all.into_iter())
}

/// The examples of a documentation: each is items of `enrich:`.
fn examples(documentation: &str) -> Vec<String> {
    documentation.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn the_reference_of_processors_is_that_of_the_code() {
    let mut page = REFERENCE_HEAD.to_owned();
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/processors");
    let files: Vec<_> = fs_err::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).collect();
    for name in processors() {
        let text = documentation(&name);
        assert!(text.starts_with(&format!("`{name}`: ")), "{name}: the documentation begins with the name");
        assert_eq!(
            options_listed(&text),
            options(&name),
            "{name}: the options that are listed, and those that are known"
        );
        let examples = examples(&text);
        assert!(!examples.is_empty(), "{name} has no example");
        for example in examples {
            let place = Place::new(&format!(
                "source: {{ files: {{ paths: [a] }} }}\ndecode: json\nenrich:\n{example}sink: stdout\n"
            ));
            // Tables that an example may name.
            for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension != "yaml")) {
                fs_err::copy(file, place.path(&file.file_name().unwrap().to_string_lossy())).unwrap();
            }
            let ended = start(place.inferlog(&["check", "p.yaml"])).wait();
            assert_eq!(ended.code, Some(0), "{name}: {example}{}", ended.stderr);
        }
        let (title, rest) = text.split_once('\n').unwrap_or_default();
        let title = title.trim_start_matches(&format!("`{name}`: "));
        page.push_str(&format!("\n## {name}\n\n{}{}\n{rest}", title[..1].to_uppercase(), &title[1..]));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/processors.md");
    if std::env::var_os("INFERLOG_WRITE_GENERATED").is_some() {
        fs_err::write(&path, &page).unwrap();
    }
    let command = "INFERLOG_WRITE_GENERATED=1 cargo test --test all processors::";
    assert!(fs_err::read_to_string(&path).unwrap_or_default() == page, "docs/processors.md is stale: {command}");
}
