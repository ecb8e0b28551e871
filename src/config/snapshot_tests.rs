//! Cases as files: `tests/config/NAME.yaml` gives what `NAME.txt` says, the checked data or the report.
//!
//! `INFERLOG_UPDATE_SNAPSHOTS=1 cargo test config` writes what is; look at the difference before committing it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::{Environment, Pipeline, load_with};

const CASES: &str = "tests/config";

/// What no output may hold: the values behind variables and files.
const HIDDEN: [&str; 4] = ["s3cret-value", "file-s3cret", "inferlog-user", "hunter2"];

fn environment() -> Environment<'static> {
    Environment::new(|name| match name {
        "SECRET" => Some("s3cret-value".to_owned()),
        "USER_NAME" => Some("inferlog-user".to_owned()),
        "LINES" => Some("source:\n  files: {}\n".to_owned()),
        "EMPTY" => Some(String::new()),
        "NUMBER" => Some("8".to_owned()),
        "HOST" => Some("http://s3cret-value:1".to_owned()),
        _ => None,
    })
}

/// Everything of a pipeline, without the folder of this machine.
fn described(pipeline: &Pipeline) -> String {
    let Pipeline { name, path, digest: _, text: _, source, decode, enrich, observe, batch, queue, rate_limit, .. } =
        pipeline;
    let mut text = format!("pipeline {name} of {}\n", path.display());
    let parts: [(&str, &dyn std::fmt::Debug); 10] = [
        ("source", source),
        ("decode", decode),
        ("enrich", enrich),
        ("observe", observe),
        ("batch", batch),
        ("queue", queue),
        ("rate_limit", rate_limit),
        ("dead_letter", &pipeline.dead_letter),
        ("sinks", &pipeline.sinks),
        ("tests", &pipeline.tests),
    ];
    for (part, value) in parts {
        writeln!(text, "{part}: {value:#?}").unwrap();
    }
    if pipeline.workers > 1 {
        writeln!(text, "workers: {}", pipeline.workers).unwrap();
    }
    for remark in &pipeline.remarks {
        writeln!(text, "{remark}").unwrap();
    }
    text
}

fn outcome(paths: &[PathBuf]) -> String {
    let text = match load_with(paths, &environment()) {
        Ok(pipelines) => pipelines.iter().map(described).collect(),
        Err(report) => format!("{report}\n"),
    };
    let folder = Path::new(CASES).canonicalize().unwrap();
    let root = folder.parent().and_then(Path::parent).unwrap();
    text.replace(root.to_str().unwrap(), "$ROOT")
}

/// Compares with what is written; returns a message if it differs.
fn check(expected_file: &Path, got: &str) -> Option<String> {
    if std::env::var_os("INFERLOG_UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(expected_file, got).unwrap();
        return None;
    }
    let expected = std::fs::read_to_string(expected_file).unwrap_or_default();
    (expected != got).then(|| format!("{}\nexpected:\n{expected}\ngot:\n{got}", expected_file.display()))
}

fn sorted_entries(folder: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_case_gives_what_its_snapshot_says() {
    let cases: Vec<_> =
        sorted_entries(CASES).into_iter().filter(|path| path.extension().is_some_and(|e| e == "yaml")).collect();
    assert!(cases.len() >= 40, "only {} cases were found", cases.len());
    let differences: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let got = outcome(std::slice::from_ref(case));
            assert!(!got.contains("::"), "a Rust name in the output of {}:\n{got}", case.display());
            check(&case.with_extension("txt"), &got)
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn sets_of_files_give_what_their_snapshots_say() {
    let sets: [(&str, &[&str]); 8] = [
        ("all-good", &["tests/config/sets/good"]),
        ("same-name", &["tests/config/sets/good", "tests/config/sets/same-name"]),
        ("shared-store", &["tests/config/sets/shared-store"]),
        ("value-buckets", &["tests/config/sets/value-buckets"]),
        ("retention", &["tests/config/sets/retention"]),
        ("nothing-there", &["tests/config/sets/missing", "tests/config/sets/missing.yaml"]),
        ("empty-folder", &["tests/config/sets/no-yaml"]),
        ("bad-name", &["tests/config/sets/bad name.yaml"]),
    ];
    let differences: Vec<String> = sets
        .iter()
        .filter_map(|(name, paths)| {
            let got = outcome(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
            check(Path::new(&format!("{CASES}/sets/{name}.txt")), &got)
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn nothing_of_a_variable_or_a_file_is_printed_when_it_is_wrong() {
    for case in sorted_entries(CASES).into_iter().filter(|path| path.extension().is_some_and(|e| e == "yaml")) {
        match load_with(&[case], &environment()) {
            Ok(pipelines) => assert_none_hidden(&format!("{pipelines:?}")),
            Err(report) => {
                assert_none_hidden(&report.to_string());
                assert_none_hidden(&format!("{report:?}"));
            }
        }
    }
}

fn assert_none_hidden(text: &str) {
    for hidden in HIDDEN {
        assert!(!text.contains(hidden), "{hidden} is in:\n{text}");
    }
}

#[test]
fn the_default_pipeline_is_right_and_its_digest_is_that_of_its_text() {
    let pipelines = load_with(&[PathBuf::from("pipelines")], &environment()).unwrap();
    let names: Vec<&str> = pipelines.iter().map(|pipeline| pipeline.name.as_str()).collect();
    assert_eq!(names, ["inference"]);
    assert_eq!(pipelines[0].enrich.len(), 5);
    assert_eq!(pipelines[0].digest.len(), 64);
}

#[test]
fn what_is_too_large_or_too_deep_or_not_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("large", vec![b'#'; 1024 * 1024 + 1], "larger than 1 MiB"),
        ("not-utf8", b"source:\n  a: \xff".to_vec(), "not UTF-8 from here on\n  --> "),
        ("brackets", b"a: ".iter().copied().chain([b'['; 100_000]).collect(), "not YAML: recursion limit exceeded"),
        ("brackets-closed", format!("a: {}{}", "[".repeat(100), "]".repeat(100)).into_bytes(), "nested too deeply"),
        ("dashes", "- ".repeat(400_000).into_bytes(), "nested too deeply"),
        ("marked-dashes", format!("\u{feff}{}x", "- ".repeat(400_000)).into_bytes(), "nested too deeply"),
        (
            "stairs",
            (0..1_000).fold(String::new(), |s, n| s + &" ".repeat(n) + "a:\n").into_bytes(),
            "nested too deeply",
        ),
    ];
    for (name, text, expected) in cases {
        let path = folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, text).unwrap();
        let report = load_with(&[path], &environment()).unwrap_err().to_string();
        assert!(report.contains(expected), "{name}: {report}");
        assert!(report.len() < 2_000, "{name}: the report has {} bytes", report.len());
    }
}

#[test]
fn a_key_keeps_every_byte_but_one_line_end() {
    let cases: [(&[u8], &[u8]); 5] =
        [(b"k\n", b"k"), (b"k\r\n", b"k"), (b"k\n\n", b"k\n"), (b"\xff\x00\n", b"\xff\x00"), (b" k ", b" k ")];
    for (content, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("hash.key"), content).unwrap();
        let path = folder.path().join("p.yaml");
        let hash = "enrich: [hash: { fields: [features], key: \"${file:hash.key}\" }]";
        std::fs::write(&path, format!("source: {{ files: {{ paths: [x] }} }}\ndecode: json\n{hash}\nsink: stdout\n"))
            .unwrap();
        let pipelines = load_with(&[path], &environment()).unwrap();
        let crate::enrich::Action::Hash(hash) = &pipelines[0].enrich[0].action else { panic!("no hash") };
        assert_eq!(hash.keys.first().map(|key| key.secret().expose()), Some(expected));
    }
}

#[test]
fn a_folder_whose_name_looks_like_a_glob_is_taken_literally() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a[1]{b}*").join("pipelines");
    std::fs::create_dir_all(&inner).unwrap();
    let path = inner.join("p.yaml");
    std::fs::write(&path, "source: { files: { paths: [../x*.log] } }\ndecode: json\nsink: stdout\n").unwrap();
    let pipelines = load_with(&[path], &environment()).unwrap();
    let glob = globset::Glob::new(&pipelines[0].source.files.paths[0]).unwrap().compile_matcher();
    let root = inner.canonicalize().unwrap();
    assert!(glob.is_match(root.parent().unwrap().join("x1.log")), "{}", glob.glob());
    assert!(!glob.is_match(folder.path().canonicalize().unwrap().join("a1b/x1.log")), "{}", glob.glob());
}

/// Loads a text and prints what comes of it; only a panic fails.
fn survive(text: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    std::fs::write(&path, text).unwrap();
    if let Err(report) = load_with(&[path], &environment()) {
        assert!(!report.problems.is_empty());
        assert!(report.to_string().starts_with("error: "));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survive(&bytes);
    }

    #[test]
    fn no_yaml_like_text_makes_it_panic(text in "([ \\-?:,\\[\\]{}&*!|>'\"%@`#\n\r\t$ab1é\u{feff}]|source:|sink: |  |\n- ){0,40}") {
        survive(text.as_bytes());
    }

    /// Most of a right file is still there, so that what is damaged is reached.
    #[test]
    fn no_damage_to_a_right_file_makes_it_panic(
        at in 0.0..1.0f64, length in 0usize..12, with in "[ \\-:,\\[\\]{}&*!|>'\"#\n\t$a1é]{0,6}"
    ) {
        let text = std::fs::read("tests/config/everything.yaml").unwrap();
        let start = (at * text.len() as f64) as usize;
        let end = (start + length).min(text.len());
        survive(&[&text[..start], with.as_bytes(), &text[end..]].concat());
    }
}
