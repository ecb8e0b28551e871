//! `inferlog top`: one frame as text, and the live view in a terminal, which `script` of util-linux makes.

use std::fs;
use std::io::{PipeWriter, Read as _, Write as _};
use std::net::TcpListener;

use crate::place::{Ended, Place, Running, Signal, free_address, pipeline, record, send_signal, start, wait_for};

/// What the terminal is told at the start and at the end: alternate screen, cursor.
const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";
const SHOW_CURSOR: &str = "\u{1b}[?25h";

/// `inferlog top` of this address, its output being no terminal.
fn top(place: &Place, address: &str, more: &[&str]) -> Ended {
    let mut command = place.inferlog(&[&["top", "--url", &format!("http://{address}")], more].concat());
    command.env("http_proxy", "http://127.0.0.1:9").env_remove("no_proxy").env_remove("NO_PROXY");
    start(command).wait()
}

/// A running pipeline that has delivered one record.
fn delivered(place: &Place) -> Running {
    place.append(record(0));
    let running = place.run();
    wait_for("the record", || running.get("/status.json").1.contains("\"delivered\":1").then_some(()));
    running
}

#[test]
fn without_a_terminal_it_is_one_frame() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let running = delivered(&place);
    let ended = top(&place, &running.address.unwrap().to_string(), &[]);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""), "{ended:?}");
    for expected in ["inferlog 0.1.0 at 127.0.0.1:", "\np: running\n", "store  ready", "delivered 1 ", "0 entries"] {
        assert!(ended.stdout.contains(expected), "`{expected}`: {}", ended.stdout);
    }
    assert!(ended.stdout.lines().all(|line| line.chars().count() <= 80 && !line.contains('\u{1b}')), "{ended:?}");
    running.stop();
}

#[test]
fn what_is_not_ready_is_shown_and_not_judged() {
    let sink = format!(
        "{{ elasticsearch: {{ hosts: [\"http://{}\"], data_stream: logs-ml.inference-default }} }}",
        free_address()
    );
    let place = Place::new(&pipeline(&sink));
    place.append(record(0));
    let running = place.run();
    let address = running.address.unwrap().to_string();
    let shown = wait_for("the outage to be seen", || {
        let ended = top(&place, &address, &["--once"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        ended.stdout.contains("IN TROUBLE").then_some(ended.stdout)
    });
    assert!(shown.contains("p: waiting") && shown.contains("! sink elasticsearch: "), "{shown}");
}

#[test]
fn where_there_is_no_inferlog_nothing_is_shown() {
    let place = Place::new("");
    let gone = top(&place, &free_address().to_string(), &["--once"]);
    assert_eq!((gone.code, &*gone.stdout), (Some(2), ""), "{gone:?}");
    assert!(gone.stderr.contains("cannot ask") && gone.stderr.contains("hint: is `inferlog run` running"), "{gone:?}");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4_096]);
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\nconnection: close\r\n\r\n{\"version\":1}");
        }
    });
    let other = top(&place, &address, &["--once"]);
    assert_eq!((other.code, &*other.stdout), (Some(2), ""), "{other:?}");
    assert!(other.stderr.contains("as no inferlog does"), "{other:?}");
}

/// The live view in a terminal of 100 columns, which it leaves as `stty` found it.
struct Terminal {
    view: Running,
    keys: PipeWriter,
}

impl Terminal {
    fn open(place: &Place, running: &Running, no_color: &str) -> Terminal {
        let shell = format!(
            "stty cols 100 rows 40; stty -a > before; \
             sh -c 'echo $$ > pid; exec \"$0\" top --url http://{}' {}; \
             code=$?; stty -a > after; exit $code",
            running.address.unwrap(),
            env!("CARGO_BIN_EXE_inferlog")
        );
        // Only for its surroundings.
        let mut command = std::process::Command::new("script");
        command.args(["-qec", &shell, "/dev/null"]).current_dir(place.path(""));
        command.env("SHELL", "/bin/sh").env("TERM", "xterm").env("NO_COLOR", no_color);
        let (stdin, keys) = std::io::pipe().unwrap();
        command.stdin(stdin);
        Terminal { view: start(command), keys }
    }

    fn wait_for(&mut self, words: &str) {
        wait_for(&format!("`{words}` on the terminal"), || {
            self.view.must_run();
            self.view.stdout().contains(words).then_some(())
        });
    }

    /// The end, which must be 0 and leave the terminal as it was; gives all that was written to it.
    fn ended(self, place: &Place) -> String {
        let Terminal { view, keys } = self;
        let ended = view.wait();
        drop(keys);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let written = ended.stdout;
        let (_, behind) = written.rsplit_once(LEAVE).unwrap_or_else(|| panic!("the screen is not left: {written:?}"));
        assert!(!behind.contains(ENTER) && written.rsplit_once("\u{1b}[?25l").unwrap().1.contains(SHOW_CURSOR));
        let [before, after] = ["before", "after"].map(|name| fs::read_to_string(place.path(name)).unwrap());
        assert!(before.contains("echo") && before == after, "the terminal was\n{before}and is\n{after}");
        written
    }
}

#[test]
fn however_it_ends_the_terminal_is_as_it_was() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let running = delivered(&place);
    for (keys, no_color) in [(Some("q"), ""), (Some("\u{1b}"), "1"), (Some("\u{3}"), ""), (None, "1")] {
        let mut terminal = Terminal::open(&place, &running, no_color);
        terminal.wait_for("p: running");
        match keys {
            Some(keys) => terminal.keys.write_all(keys.as_bytes()).unwrap(),
            None => {
                let pid = fs::read_to_string(place.path("pid")).unwrap();
                send_signal(pid.trim().parse().unwrap(), Signal::TERM);
            }
        }
        let written = terminal.ended(&place);
        // Bold is `ESC [1m`.
        assert_eq!(written.contains("\u{1b}[1m"), no_color.is_empty(), "{written:?}");
    }
    running.stop();
}

#[test]
fn a_process_that_goes_away_is_said_to_be_gone() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let running = delivered(&place);
    let mut terminal = Terminal::open(&place, &running, "1");
    terminal.wait_for("p: running");
    assert!(!terminal.view.stdout().contains("NO ANSWER"));
    running.stop();
    terminal.wait_for("NO ANSWER, what is below is ");
    terminal.keys.write_all(b"q").unwrap();
    terminal.ended(&place);
}

#[test]
fn where_the_terminal_goes_away_it_ends() {
    let place = Place::new(&pipeline("{ store: {} }"));
    let running = delivered(&place);
    let mut terminal = Terminal::open(&place, &running, "");
    terminal.wait_for("p: running");
    let pid = fs::read_to_string(place.path("pid")).unwrap();
    // Kills what made the terminal.
    drop(terminal);
    let stat = format!("/proc/{}/stat", pid.trim());
    wait_for("its end", || fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z ")).then_some(()));
    running.stop();
}
