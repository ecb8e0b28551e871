//! Frames of a recorded status.

use serde_json::Value;

use super::*;

const RECORDED: &str = include_str!("status.json");

fn recorded() -> Status {
    serde_json::from_str(RECORDED).unwrap()
}

fn frame_of(status: &Status, age_seconds: u64, problem: Option<&str>, width: usize) -> Frame {
    frame(&Seen { address: "127.0.0.1:9614", status, age: Duration::from_secs(age_seconds), problem }, width)
}

/// All lines, none of which may be wider than the width.
fn text(status: &Status, width: usize) -> String {
    let Frame { head, body } = frame_of(status, 1, None, width);
    let lines = head.into_iter().chain(body).map(|line| line.text);
    let text = lines.inspect(|line| assert!(line.width() <= width, "{width}: {line}")).collect::<Vec<_>>().join("\n");
    text + "\n"
}

#[test]
fn a_recorded_status_is_shown_as_ever() {
    for width in [80, 120] {
        let path = format!("{}/src/cli/top_frame/{width}.txt", env!("CARGO_MANIFEST_DIR"));
        let shown = text(&recorded(), width);
        if std::env::var_os("INFERLOG_WRITE_GENERATED").is_some() {
            std::fs::write(&path, &shown).unwrap();
        }
        assert!(shown == std::fs::read_to_string(&path).unwrap(), "at {width} columns it is now:\n{shown}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in (1..60).chain([100, 150, 500]) {
        text(&recorded(), width);
    }
}

#[test]
fn what_is_not_known_is_no_0() {
    let status = recorded();
    let missing = Status { pipelines: vec![status.pipelines[1].clone()], ..status };
    let shown = text(&missing, 80);
    let (_, figures) = shown.split_once("  now ").unwrap();
    let figures = figures.replace("p50", "").replace("p99", "");
    assert!(!figures.contains(|c: char| c.is_ascii_digit()), "{shown}");
    assert!(figures.matches(UNKNOWN).count() > 15, "{shown}");
}

#[test]
fn names_of_others_move_no_cursor() {
    fn poison(value: &mut Value) {
        match value {
            Value::String(text) if !["waiting", "restarting", "in_trouble", "ready", "ended"].contains(&&**text) => {
                *text = format!("\u{1b}[2J{text}\u{202e}\r\n日本\u{9b}").repeat(3);
            }
            Value::Array(values) => values.iter_mut().for_each(poison),
            Value::Object(members) => members.values_mut().for_each(poison),
            _ => {}
        }
    }
    let mut status: Value = serde_json::from_str(RECORDED).unwrap();
    poison(&mut status);
    let status = serde_json::from_value(status).unwrap();
    for width in [7, 40, 80, 120] {
        let shown = text(&status, width);
        let is_harmful = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!shown.contains(is_harmful) && (width < 40 || shown.contains("\\u{1b}[2J")), "{shown:?}");
    }
}

#[test]
fn old_data_are_said_to_be_old_and_look_it() {
    let status = recorded();
    for (age_seconds, problem, expected) in [
        (0, None, None),
        (2, None, None),
        (3, None, Some("NO ANSWER, what is below is 3s old")),
        (1, Some("cannot ask `x`: refused"), Some("NO ANSWER, what is below is 1s old: cannot ask `x`: refused")),
        (75, Some("x"), Some("NO ANSWER, what is below is 1m15s old: x")),
    ] {
        let Frame { head, body } = frame_of(&status, age_seconds, problem, 80);
        let said = Some(&*head[0].text).filter(|text| text.starts_with("NO ANSWER"));
        assert_eq!(said, expected);
        assert_eq!(body.iter().all(|line| line.tone == Tone::Faint), expected.is_some(), "{age_seconds} {problem:?}");
    }
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let all = |frame: &Frame| frame.head.len() + frame.body.len();
    let whole = frame_of(&recorded(), 0, None, 80);
    let count = all(&whole);
    for (height, first, last, moved_to) in [
        (count, 0, None, 0),
        (count + 5, 3, None, 0),
        (count - 1, 0, Some("… 2 more lines below, 0 above: arrow keys"), 0),
        (count - 1, 1, Some("… 1 more line below, 1 above: arrow keys"), 1),
        (10, usize::MAX, Some(&*format!("… 0 more lines below, {} above: arrow keys", count - 9)), count - 9),
        (1, 0, None, 0),
        (0, 0, None, 0),
    ] {
        let mut first = first;
        let lines = frame_of(&recorded(), 0, None, 80).cut_to(height, &mut first);
        assert_eq!(lines.len(), height.min(count), "{height}");
        let said = lines.last().map(|line| &*line.text).filter(|text| text.starts_with('…'));
        assert_eq!((said, first), (last, moved_to), "{height}");
    }
}

#[test]
fn alarms_that_are_not_told_are_not_denied() {
    let mut status = recorded();
    let report = &mut status.pipelines[0].drift.as_mut().unwrap()[0];
    report.features.iter_mut().for_each(|feature| feature.alarm = true);
    let shown = text(&status, 80);
    assert!(shown.contains("alarm of at least 4 of 6 features"), "{shown}");
}
