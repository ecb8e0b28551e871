//! Licences and sources of all dependencies, as `deny.toml` allows them: for machines without `cargo deny`.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

/// The licences that `deny.toml` allows.
fn allowed() -> BTreeSet<String> {
    let text = include_str!("../../deny.toml");
    let list = text.split("allow = [").nth(1).unwrap().split(']').next().unwrap();
    list.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Whether an expression of licences can be met by allowed ones. `/` is an old way to write `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let met = |choice: &str| choice.split(" OR ").any(|licence| allowed.contains(licence.trim()));
    let expression = expression.replace('/', " OR ");
    // Of what is joined by `AND`, in brackets or not, each part has to be met.
    expression.split(" AND ").all(|part| met(part.trim_matches(['(', ')', ' '])))
}

#[test]
fn expressions_are_judged() {
    let allowed = BTreeSet::from(["MIT", "ISC"].map(str::to_owned));
    for (expression, expected) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("Unlicense/MIT", true),
        ("GPL-3.0 OR MIT", true),
        ("MIT AND ISC", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND ISC", true),
        ("(MIT OR GPL-3.0) AND GPL-2.0", false),
    ] {
        assert_eq!(is_allowed(expression, &allowed), expected, "{expression}");
    }
}

#[test]
fn every_dependency_has_a_licence_and_a_source_that_are_allowed() {
    let platform = Command::new(env!("CARGO")).args(["-vV"]).output().unwrap();
    let platform = String::from_utf8(platform.stdout).unwrap();
    let host = platform.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    // What is not built here need not have been fetched.
    let mut metadata = Command::new(env!("CARGO"));
    metadata.args(["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host]);
    let output = metadata.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (allowed, mut wrong) = (allowed(), Vec::new());
    let packages = metadata["packages"].as_array().unwrap();
    assert!(packages.len() > 100 && allowed.len() > 5, "{} packages: does the test still see them?", packages.len());
    for package in packages {
        let (name, licence) = (package["name"].as_str().unwrap(), package["license"].as_str().unwrap_or("none"));
        let is_ours = name == "inferlog" && package["source"].is_null();
        let is_of_registry = package["source"].as_str().is_some_and(|source| source.starts_with("registry+"));
        if !is_allowed(licence, &allowed) {
            wrong.push(format!("{name}: its licence is {licence}"));
        }
        if !is_ours && !is_of_registry {
            wrong.push(format!("{name}: it comes from {}", package["source"]));
        }
        if ["openssl-sys", "native-tls"].contains(&name) {
            wrong.push(format!("{name}: it is banned"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
