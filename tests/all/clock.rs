//! The clock of the machine jumps, backwards and forwards, while inferlog runs and between its runs: nothing is missing,
//! nothing is doubled, and nothing waits for a time that does not come.
//!
//! Only the program's own clock jumps: a few lines of C stand before the system's, and read from a file by how much. So
//! the times of files stay what they are, which is what a program sees whose machine's clock was set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::numbered::{Workshop, lines, report};
use crate::place::{Store, append};

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, time);
    FILE *file = clock == CLOCK_REALTIME ? fopen(getenv("JUMP_FILE"), "r") : NULL;
    if (file) {
        long seconds = 0;
        if (fscanf(file, "%ld", &seconds) == 1) time->tv_sec += seconds;
        fclose(file);
    }
    return result;
}
"#;

/// Compiles the clock; `None`, and a word, where there is no compiler.
fn shim(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    fs::write(&source, SHIM).unwrap();
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).arg("-ldl").output();
    if compiled.is_ok_and(|output| output.status.success()) {
        return Some(library);
    }
    report("left out: a clock that jumps (needs the C compiler `cc`)");
    None
}

#[test]
fn a_clock_that_jumps_changes_nothing() {
    const DAY: i64 = 86_400;
    const STEP: u64 = 500;
    let workshop = Workshop::new("[\"logs/*.log*\"]", "{ store: {} }");
    let Some(library) = shim(&workshop.path("")) else { return };
    let jump = workshop.path("jump");
    let set = |days: i64| {
        // In one step, so that it is never seen empty.
        fs::write(workshop.path("jump.new"), (days * DAY).to_string()).unwrap();
        fs::rename(workshop.path("jump.new"), &jump).unwrap();
    };
    set(0);
    let start = || workshop.start_with(&[("LD_PRELOAD", library.as_os_str()), ("JUMP_FILE", jump.as_os_str())]);
    let mut running = start();
    let mut written = 0;
    for (n, days) in [0, 1, -3, 20, -20_000, 0, 25, -25].into_iter().enumerate() {
        set(days);
        if n % 3 == 2 {
            running.kill();
            running = start();
        }
        if n % 2 == 1 {
            fs::rename(workshop.log("a.log"), workshop.log(&format!("a.log.{n}"))).unwrap();
        }
        append(&workshop.log("a.log"), lines(written..written + STEP));
        written += STEP;
        workshop.wait_until("what was written after a jump is there", || {
            Store(workshop.path("data/p/store.sqlite")).count() >= written * 48 / 50
        });
    }
    running.stop();
    assert!(days_of_dead_letters(&workshop) >= 3, "the program's clock did not jump");
    workshop.must_be_exact("a clock that jumps", written, false, &workshop.stored());
}

/// On how many days there were dead letters.
fn days_of_dead_letters(workshop: &Workshop) -> usize {
    fs::read_dir(workshop.path("data/p/dead_letter")).unwrap().count()
}
