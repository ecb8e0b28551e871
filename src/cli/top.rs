//! `inferlog top`: how does a running process get on? A live view in a terminal, of its `/status.json`.
//!
//! A thread of its own asks, so that keys are heard while an answer is waited for. Without a terminal, or with `--once`, it is one
//! frame of plain text. However it ends, the terminal is as it was.

use std::io::{self, IsTerminal as _, Stdout, Write as _, stdout};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use crossterm::style::{Attribute, Color, Print, ResetColor, SetAttribute, SetForegroundColor};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{execute, queue};
use reqwest::Client;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use url::Url;

use super::health::{ask, client};
use super::top_frame::{Frame, Line, Seen, Tone, frame};
use super::{COULD_NOT_LOOK, Failure, complain, print, runtime, terminal_width};
use crate::server::status::{Status, VERSION};
use crate::text::chain::chain;

/// How often it asks, and draws at least.
const ASKED_EVERY: Duration = Duration::from_secs(1);

/// How long keys are waited for before news are looked for.
const KEYS_AWAITED: Duration = Duration::from_millis(100);

/// A status that is longer is none of ours: a pipeline with eight models has about 200 kB.
const STATUS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The size where a terminal does not say what it has, and the width of text for a file.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Address of the running process, as `run --listen` has it
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9614")]
    url: Url,
    /// Print what there is now, as plain text, and end
    #[arg(long)]
    once: bool,
}

/// Why there is no status, and what to do.
struct Silence {
    problem: String,
    hint: String,
}

/// What the thread that asks has to tell.
enum News {
    Answer(Result<Box<Status>, Silence>),
    /// A signal asks for the end.
    Stop,
}

/// What is shown.
struct View {
    address: String,
    status: Box<Status>,
    answered: Instant,
    /// Why the last question had no answer.
    problem: Option<String>,
    /// The first line of the frame's body that is shown.
    first_line: usize,
    is_coloured: bool,
}

/// What a key asks for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    End,
    /// Lines down; up where it is negative.
    Scroll(isize),
    Draw,
    Nothing,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut url = arguments.url.clone();
    url.set_path("/status.json");
    url.set_query(Some("histograms=no"));
    let (runtime, client) = (runtime()?, client()?);
    let status = runtime.block_on(ask_status(&client, &url)).map_err(|Silence { problem, hint }| {
        complain(&problem, Some(&hint));
        Failure(COULD_NOT_LOOK)
    })?;
    let mut view = View {
        address: address(&url),
        status,
        answered: Instant::now(),
        problem: None,
        first_line: 0,
        is_coloured: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    if arguments.once || !stdout().is_terminal() {
        let Frame { head, body } = view.frame(terminal_width().unwrap_or(usize::from(COLUMNS)));
        print(&head.into_iter().chain(body).map(|line| line.text).collect::<Vec<_>>().join("\n"));
        return Ok(());
    }
    live(&mut view, runtime, client, url)
        .map_err(|error| Failure::new(&error, Some("`inferlog top --once` needs no terminal that can be drawn on")))
}

/// Asks, draws and hears keys, until somebody wants the end.
fn live(view: &mut View, runtime: Runtime, client: Client, url: Url) -> io::Result<()> {
    let (told, news) = channel();
    let signals = {
        let _entered = runtime.enter();
        [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?]
    };
    std::thread::Builder::new()
        .name("top".to_owned())
        .spawn(move || runtime.block_on(watch(&client, &url, signals, &told)))?;
    let mut screen = Screen::open()?;
    let mut drawn: Option<Instant> = None;
    loop {
        let Some(is_new) = view.hear(&news)? else { return Ok(()) };
        if is_new || drawn.is_none_or(|drawn| drawn.elapsed() >= ASKED_EVERY) {
            screen.draw(view)?;
            drawn = Some(Instant::now());
        }
        if event::poll(KEYS_AWAITED)? {
            match wish(&event::read()?) {
                Wish::End => return Ok(()),
                Wish::Scroll(lines) => view.first_line = view.first_line.saturating_add_signed(lines),
                Wish::Draw => {}
                Wish::Nothing => continue,
            }
            drawn = None;
        }
    }
}

fn wish(event: &Event) -> Wish {
    match event {
        Event::Key(KeyEvent { code: KeyCode::Char('c' | 'd'), modifiers: KeyModifiers::CONTROL, .. }) => Wish::End,
        Event::Key(key) => match key.code {
            KeyCode::Char('q') | KeyCode::Esc => Wish::End,
            KeyCode::Down | KeyCode::Char('j') => Wish::Scroll(1),
            KeyCode::Up | KeyCode::Char('k') => Wish::Scroll(-1),
            KeyCode::PageDown | KeyCode::Char(' ') => Wish::Scroll(10),
            KeyCode::PageUp => Wish::Scroll(-10),
            KeyCode::Home => Wish::Scroll(isize::MIN),
            KeyCode::End => Wish::Scroll(isize::MAX),
            _ => Wish::Nothing,
        },
        Event::Resize(..) => Wish::Draw,
        _ => Wish::Nothing,
    }
}

/// Asks every second and tells, until a signal comes or nobody listens any more.
async fn watch(client: &Client, url: &Url, signals: [Signal; 3], told: &Sender<News>) {
    let [mut terminate, mut interrupt, mut hangup] = signals;
    let asked = async {
        let mut turns = tokio::time::interval(ASKED_EVERY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        // The first one is at once, and was just answered.
        turns.tick().await;
        loop {
            turns.tick().await;
            if told.send(News::Answer(ask_status(client, url).await)).is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asked => {}
        _ = terminate.recv() => drop(told.send(News::Stop)),
        _ = interrupt.recv() => drop(told.send(News::Stop)),
        _ = hangup.recv() => {
            // The terminal is gone. Whoever waits for its keys then waits for ever, at full speed, and hears nothing.
            restore();
            std::process::exit(0);
        }
    }
}

async fn ask_status(client: &Client, url: &Url) -> Result<Box<Status>, Silence> {
    match ask(client, url, STATUS_BYTES_MAX).await {
        Ok((code, body)) => understood(url, code, &body),
        Err(error) => Err(Silence {
            problem: format!("cannot ask `{}`: {}", address(url), chain(&*error)),
            hint: "is `inferlog run` running, and is that the address of its `--listen`? `--url` names another"
                .to_owned(),
        }),
    }
}

/// Only what inferlog says, in the shape that is known here, is believed.
fn understood(url: &Url, code: u16, body: &str) -> Result<Box<Status>, Silence> {
    let address = address(url);
    let silence = |problem: String, hint: &str| Err(Silence { problem, hint: hint.to_owned() });
    let answer = serde_json::from_str::<Value>(body).unwrap_or_default();
    let version = answer["version"].as_u64().filter(|_| code == 200 && answer["inferlog"].is_string());
    match version {
        Some(version) if version == u64::from(VERSION) => serde_json::from_str(body).map(Box::new).or_else(|error| {
            let problem = format!("the status of the process at `{address}` lacks what is shown here: {error}");
            silence(problem, "use `top` of the same version of inferlog")
        }),
        Some(version) => silence(
            format!("the status of the process at `{address}` has version {version}, and {VERSION} is known here"),
            "use `top` of the same version of inferlog",
        ),
        None if code == 421 => silence(
            format!("the process at `{address}` does not know that name (421)"),
            "ask by its address, or let `inferlog run --allow-host NAME` allow the name",
        ),
        None => silence(
            format!("`{address}` answered {code}, as no inferlog does"),
            "is it another program's port? `--url` names the address of `inferlog run --listen`",
        ),
    }
}

/// Host and port: what else stands in an address may be a secret.
fn address(url: &Url) -> String {
    let port = url.port_or_known_default().map_or(String::new(), |port| format!(":{port}"));
    format!("{}{port}", url.host_str().unwrap_or("?"))
}

impl View {
    /// Takes what was told; whether something was, and `None` at the end.
    fn hear(&mut self, news: &Receiver<News>) -> io::Result<Option<bool>> {
        let mut is_new = false;
        loop {
            match news.try_recv() {
                Ok(News::Answer(Ok(status))) => {
                    (self.status, self.answered, self.problem) = (status, Instant::now(), None);
                }
                Ok(News::Answer(Err(silence))) => self.problem = Some(silence.problem),
                Ok(News::Stop) => return Ok(None),
                Err(TryRecvError::Empty) => return Ok(Some(is_new)),
                Err(TryRecvError::Disconnected) => return Err(io::Error::other("nobody asks any more")),
            }
            is_new = true;
        }
    }

    fn frame(&self, width: usize) -> Frame {
        let Self { address, status, problem, .. } = self;
        frame(&Seen { address, status, age: self.answered.elapsed(), problem: problem.as_deref() }, width)
    }
}

/// A terminal that is drawn on. Dropped, and when something panics, it is as it was.
struct Screen(Stdout);

impl Screen {
    fn open() -> io::Result<Screen> {
        terminal::enable_raw_mode()?;
        let mut screen = Screen(stdout());
        let said = std::panic::take_hook();
        // Before it is said, since the words would vanish with the frame.
        std::panic::set_hook(Box::new(move |info| {
            restore();
            said(info);
        }));
        execute!(screen.0, EnterAlternateScreen, Hide)?;
        Ok(screen)
    }

    fn draw(&mut self, view: &mut View) -> io::Result<()> {
        let or = |size: u16, default: u16| if size == 0 { default } else { size };
        let (columns, rows) = terminal::size().map_or((COLUMNS, ROWS), |(x, y)| (or(x, COLUMNS), or(y, ROWS)));
        let lines = view.frame(usize::from(columns)).cut_to(usize::from(rows), &mut view.first_line);
        let out = &mut self.0;
        queue!(out, terminal::BeginSynchronizedUpdate)?;
        for row in 0..rows {
            // Cleared before, since behind a line that fills the width some terminals would clear its last character.
            queue!(out, MoveTo(0, row), Clear(ClearType::CurrentLine))?;
            match lines.get(usize::from(row)) {
                Some(Line { text, tone }) if view.is_coloured => {
                    style(out, *tone)?;
                    queue!(out, Print(text), ResetColor, SetAttribute(Attribute::Reset))?;
                }
                Some(Line { text, .. }) => queue!(out, Print(text))?,
                None => {}
            }
        }
        queue!(out, terminal::EndSynchronizedUpdate)?;
        out.flush()
    }
}

fn style(out: &mut Stdout, tone: Tone) -> io::Result<()> {
    match tone {
        Tone::Plain => Ok(()),
        Tone::Strong => queue!(out, SetAttribute(Attribute::Bold)),
        Tone::Good => queue!(out, SetForegroundColor(Color::Green), SetAttribute(Attribute::Bold)),
        Tone::Warning => queue!(out, SetForegroundColor(Color::Yellow)),
        Tone::Bad => queue!(out, SetForegroundColor(Color::Red), SetAttribute(Attribute::Bold)),
        Tone::Faint => queue!(out, SetAttribute(Attribute::Dim)),
    }
}

fn restore() {
    let _ = execute!(stdout(), Show, LeaveAlternateScreen);
    let _ = terminal::disable_raw_mode();
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_inferlog_says_is_believed() {
        let status = include_str!("top_frame/status.json");
        let url: Url = "http://user:secret@127.0.0.1:9614/status.json".parse().unwrap();
        let later = status.replacen("\"version\": 1,", "\"version\": 2,", 1);
        let lacking = status.replacen("\"uptime_seconds\"", "\"up\"", 1);
        for (code, body, expected) in [
            (200, status, None),
            (200, &*later, Some("has version 2, and 1 is known here")),
            (200, &*lacking, Some("lacks what is shown here")),
            (503, status, Some("`127.0.0.1:9614` answered 503, as no inferlog does")),
            (200, "{\"version\":1}", Some("as no inferlog does")),
            (200, "<html>", Some("as no inferlog does")),
            (200, "", Some("as no inferlog does")),
            (404, "", Some("answered 404")),
            (421, "this name is not known here\n", Some("does not know that name")),
        ] {
            let problem = understood(&url, code, body).err().map(|silence| silence.problem);
            assert_eq!(problem.is_some(), expected.is_some(), "{code} {body}: {problem:?}");
            let problem = problem.unwrap_or_default();
            assert!(problem.contains(expected.unwrap_or_default()) && !problem.contains("secret"), "{code}: {problem}");
        }
    }

    #[test]
    fn keys_end_it_or_move_it() {
        let key = |code, modifiers| Event::Key(KeyEvent::new(code, modifiers));
        for (event, expected) in [
            (key(KeyCode::Char('q'), KeyModifiers::NONE), Wish::End),
            (key(KeyCode::Esc, KeyModifiers::NONE), Wish::End),
            (key(KeyCode::Char('c'), KeyModifiers::CONTROL), Wish::End),
            (key(KeyCode::Char('c'), KeyModifiers::NONE), Wish::Nothing),
            (key(KeyCode::Down, KeyModifiers::NONE), Wish::Scroll(1)),
            (Event::Resize(80, 24), Wish::Draw),
        ] {
            assert_eq!(wish(&event), expected, "{event:?}");
        }
    }
}
