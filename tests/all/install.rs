//! What comes with the binary: its version, its manual, its completions, its answer to a health check.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::monitoring::{must_succeed, project};
use crate::place::{Ended, Place, free_address, pipeline, start};

fn printed(place: &Place, arguments: &[&str]) -> String {
    let ended = start(place.inferlog(arguments)).wait();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    ended.stdout
}

#[test]
fn the_version_is_a_line_or_all_that_a_report_should_say() {
    let place = Place::new("");
    let short = printed(&place, &["-V"]);
    let start = concat!("inferlog ", env!("CARGO_PKG_VERSION"), " (");
    assert!(short.starts_with(start) && short.ends_with(")\n") && short.lines().count() == 1, "{short}");
    let long = printed(&place, &["--version"]);
    assert!(long.starts_with(&short), "{long}");
    for part in ["\ntarget:    ", "\nprofile:   ", "\nTLS:       rustls", "\nSQLite:    3."] {
        assert!(long.contains(part), "{part}: {long}");
    }
}

/// A crate of one line with our `build.rs`, which prints what that found.
struct SmallCrate(tempfile::TempDir);

impl SmallCrate {
    fn new() -> SmallCrate {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::copy(project("build.rs"), folder.path().join("build.rs")).unwrap();
        write("Cargo.toml", "[package]\nname = \"small\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n");
        write(".gitignore", "/target\n");
        let print = "println!(\"{}|{}\", env!(\"INFERLOG_COMMIT\"), env!(\"INFERLOG_PROFILE\"))";
        write("src/main.rs", &format!("fn main() {{ {print} }}\n"));
        SmallCrate(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
        must_succeed(Command::new("git").current_dir(self.path()).args(who).args(arguments)).trim().to_owned()
    }

    fn cargo(&self, verb: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO"));
        // As it is where a newcomer builds, and not as this test was built.
        for variable in ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTFLAGS", "INFERLOG_COMMIT"] {
            command.env_remove(variable);
        }
        command.current_dir(self.path()).args([verb, "--offline"]).args(more);
        command
    }

    /// What the built program prints.
    fn says(&self, more: &[&str]) -> String {
        must_succeed(&mut self.cargo("run", &[&["--quiet"], more].concat())).trim().to_owned()
    }

    /// Whether another release build has nothing to do.
    fn is_fresh(&self) -> bool {
        let output = self.cargo("build", &["--release", "--verbose"]).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words}");
        words.contains("Fresh small ")
    }
}

#[test]
fn a_build_knows_its_commit_and_is_not_repeated_for_it() {
    let small = SmallCrate::new();
    assert_eq!(small.says(&["--release"]), "commit unknown|release");
    assert_eq!(small.says(&[]), "development build|debug");
    small.git(&["init", "--quiet"]);
    small.git(&["add", "."]);
    small.git(&["commit", "--quiet", "-m", "one"]);
    // The first build knew of no repository, and looks again when its script changes.
    fs::write(small.path().join("build.rs"), fs::read_to_string(project("build.rs")).unwrap() + "\n// x\n").unwrap();
    small.git(&["commit", "--quiet", "-a", "-m", "two"]);
    let commit = || small.git(&["log", "-1", "--format=%h %cs"]);
    assert_eq!(small.says(&["--release"]), format!("{}|release", commit()));
    assert!(small.is_fresh(), "a second build has nothing to do");
    small.git(&["commit", "--quiet", "--allow-empty", "-m", "three"]);
    assert!(!small.is_fresh(), "another commit is looked at");
    assert_eq!(small.says(&["--release"]), format!("{}|release", commit()));
    fs::write(small.path().join("src/main.rs"), fs::read_to_string(small.path().join("src/main.rs")).unwrap() + "//\n")
        .unwrap();
    let modified = commit().replacen(' ', "-modified ", 1);
    assert_eq!(small.says(&["--release"]), format!("{modified}|release"));
    let given = must_succeed(small.cargo("run", &["--quiet", "--release"]).env("INFERLOG_COMMIT", "abc 2026-01-02"));
    assert_eq!(given.trim(), "abc 2026-01-02|release");
}

#[test]
fn every_verb_has_a_page_and_completions() {
    let place = Place::new("");
    let help = printed(&place, &["--help"]);
    let list = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let verbs: Vec<&str> = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|verb| *verb != "help")
        .collect();
    assert!(verbs.len() > 12 && verbs.contains(&"run") && verbs.contains(&"man"), "{verbs:?}");
    printed(&place, &["man", "man1"]);
    let page = |name: &str| fs::read_to_string(place.path(&format!("man1/{name}.1"))).unwrap();
    assert!(page("inferlog").contains(env!("CARGO_PKG_VERSION")));
    let bash = printed(&place, &["completions", "bash"]);
    for verb in &verbs {
        assert!(page(&format!("inferlog-{verb}")).contains(".SH SYNOPSIS"), "{verb}");
        assert!(bash.contains(&format!(" {verb} ")), "{verb}");
    }
    assert!(page("inferlog-setup-plan").contains("kibana"), "verbs below verbs have theirs");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        assert!(printed(&place, &["completions", shell]).contains("reconcile"), "{shell}");
    }
}

/// `inferlog health` of this address.
fn health(place: &Place, address: &str, more: &[&str]) -> Ended {
    let mut command = place.inferlog(&[&["health", "--url", &format!("http://{address}")], more].concat());
    // A health check asks the process itself, whatever the environment says of proxies.
    command.env("http_proxy", "http://127.0.0.1:9").env_remove("no_proxy").env_remove("NO_PROXY");
    start(command).wait()
}

#[test]
fn health_is_what_the_process_says_of_itself() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let running = place.run();
    let address = running.address.unwrap().to_string();
    let alive = health(&place, &address, &[]);
    assert_eq!((alive.code, &*alive.stdout), (Some(0), "alive\n"), "{alive:?}");
    let ready = health(&place, &address, &["--ready"]);
    assert!(ready.code == Some(0) && ready.stdout.contains("\"ready\":true"), "{ready:?}");
    running.stop();
    let gone = health(&place, &address, &[]);
    assert!(gone.code == Some(2) && gone.stderr.contains("hint: is `inferlog run` running"), "{gone:?}");
}

#[test]
fn a_process_that_is_not_ready_is_alive_all_the_same() {
    let nobody = free_address();
    let sink =
        format!("{{ elasticsearch: {{ hosts: [\"http://{nobody}\"], data_stream: logs-ml.inference-default }} }}");
    let place = Place::new(&pipeline(&sink));
    place.append(crate::place::record(0));
    let running = place.run();
    let address = running.address.unwrap().to_string();
    let not_ready = crate::place::wait_for("the outage to be seen", || {
        let ended = health(&place, &address, &["--ready"]);
        (ended.code == Some(1)).then_some(ended)
    });
    assert!(not_ready.stdout.contains("\"ready\":false"), "{not_ready:?}");
    assert_eq!(health(&place, &address, &[]).code, Some(0));
}

#[test]
fn another_program_at_that_address_is_no_health() {
    let place = Place::new("");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4_096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nok\n");
        }
    });
    let ended = health(&place, &address, &[]);
    assert!(ended.code == Some(2) && ended.stderr.contains("as no inferlog does"), "{ended:?}");
}
