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
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
}
