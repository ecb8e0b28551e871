//! A machine that has the Rust toolchain and a C compiler, and nothing else: what the tests need besides, `./test` sees to.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::provided;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Programs that every Linux has.
const EVERYWHERE: [&str; 2] = ["mkfifo", "sh"];

/// The programs that a Rust file calls by a name of their own.
fn called(text: &str) -> Vec<&str> {
    let maker = concat!("Command::", "new(\"");
    text.split(maker).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_program_that_a_test_calls_is_installed_by_the_test_script() {
    assert_eq!(called(&format!("Command::{}(\"gzip\").arg(x)", "new")), ["gzip"]);
    let script = fs::read_to_string(Path::new(ROOT).join("test")).unwrap();
    let needed: Vec<&str> =
        script.lines().filter_map(|line| line.trim().rsplit("need ").next()?.split(' ').next()).collect();
    let mut seen = 0;
    for entry in fs::read_dir(Path::new(ROOT).join("tests/all")).unwrap() {
        let path = entry.unwrap().path();
        for program in called(&fs::read_to_string(&path).unwrap()) {
            seen += 1;
            let known = EVERYWHERE.contains(&program) || needed.contains(&program) || program == "umount";
            assert!(known, "{} calls `{program}`, and `./test` does not need it", path.display());
        }
    }
    assert!(seen > 5, "only {seen} calls are found: does the test still see them?");
}

/// On a merged /usr, `/bin/javac` is a link into the real JDK, and no `JAVA_HOME` is set on a fresh machine.
#[test]
fn the_node_finds_the_real_jdk() {
    if provided("INFERLOG_TEST_ES_URL", "the node finds the real JDK").is_none() {
        return;
    }
    for java_home in [None, Some(""), Some("/"), Some("/usr")] {
        let mut command = Command::new(Path::new(ROOT).join("tests/es/es-node"));
        command.arg("java").env_remove("JAVA_HOME").env_remove("ES_NODE_JAVA_HOME");
        let output = command.envs(java_home.map(|home| ("JAVA_HOME", home))).output().unwrap();
        assert!(output.status.success(), "{java_home:?}: {}", String::from_utf8_lossy(&output.stderr));
        let home = PathBuf::from(String::from_utf8(output.stdout).unwrap().trim());
        let javac = home.join("bin/javac");
        assert_eq!(fs::canonicalize(&javac).unwrap(), javac, "{java_home:?}: a JDK, and not a link to one");
        assert!(home.join("bin/jar").exists(), "{java_home:?}: {}", home.display());
    }
}
