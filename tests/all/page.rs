//! The page at `/`, in a real browser, beside a process that tails what is written.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::browser::Browser;
use crate::place::{Place, Running, pipeline_of, wait_for};
use crate::support::provided;

const RECORDS_PER_SECOND: u64 = 1_000;

/// What loading the page and its first look may transfer, in bytes.
const TRANSFERRED_BYTES_MAX: u64 = 200_000;

/// What must be shown as it is: markup that would run, what recolours a terminal, what turns text around, and what is long.
const HOSTILE: &str =
    "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>\u{1b}[31m\u{202e}drawkcab";

fn baseline() -> String {
    let name = HOSTILE.to_owned() + &"y".repeat(1_000_000);
    let feature = |name: &str, kind: &str, distribution: &Value| {
        let mut feature = json!({ "name": name, "kind": kind, "count": 100, "missing": 0, "missing_share": 0.0 });
        feature.as_object_mut().unwrap().extend(distribution.as_object().unwrap().clone());
        feature
    };
    let numeric = json!({ "type": "numeric", "edges_kind": "equal_width", "edges": [0.0, 25.0, 50.0, 75.0, 100.0],
        "counts": [40, 30, 20, 10], "mean": 35.0, "deviation": 20.0, "min": 0.0, "max": 100.0 });
    let categorical =
        json!({ "type": "categorical", "categories": { "normal": 90, (HOSTILE): 10 }, "other": 0, "seen_once": 0 });
    json!({ "inferlog_baseline": 1, "baselines": [ { "model_version": "1", "fallback": true, "rows": 100, "features": [
        feature("amount", "feature", &numeric), feature(&name, "feature", &numeric),
        feature("prediction", "prediction", &categorical) ] } ] })
    .to_string()
}

/// A record; every tenth one, where they are hostile, is an attempt on whoever looks.
fn line(n: u64, is_hostile: bool) -> String {
    let attempt = |usual: &str| match is_hostile && n.is_multiple_of(10) {
        true => HOSTILE.to_owned(),
        false => usual.to_owned(),
    };
    let record = json!({
        "event": "inference", "request_id": format!("r{n}"), "model_version": attempt("1"), "status": attempt("ok"),
        "model_name": attempt("fraud"), "prediction": attempt(if n.is_multiple_of(5) { "fraud" } else { "normal" }),
        "confidence": 0.8, "latency_ms": 5 + n % 90, "features": { "amount": n % 100 },
        "note": if is_hostile && n.is_multiple_of(5_000) { "x".repeat(1_000_000) } else { String::new() },
    });
    // What is no record goes to the dead letter.
    let broken = if n.is_multiple_of(500) { format!("{HOSTILE}\n") } else { String::new() };
    format!("{record}\n{broken}")
}

fn place() -> Place {
    let pipeline = pipeline_of("paths: [\"logs/*.ndjson\"], poll_interval: 50ms", "", "{ store: {} }");
    let observe =
        "observe:\n  - model_metrics: {}\n  - drift: { baseline: baseline.json, window: { records: 2000 } }\n";
    let place = Place::new(&pipeline.replace("sink:", &format!("{observe}sink:")));
    fs::write(place.path("baseline.json"), baseline()).unwrap();
    place
}

/// Writes at a steady rate while something is looked at.
fn while_written<T>(place: &Place, is_hostile: bool, look: impl FnOnce() -> T) -> T {
    let writes = AtomicBool::new(true);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (begin, mut n) = (Instant::now(), 0);
            while writes.load(Ordering::Acquire) && n < 300 * RECORDS_PER_SECOND {
                place.append((n..n + RECORDS_PER_SECOND / 20).map(|n| line(n, is_hostile)).collect::<String>());
                n += RECORDS_PER_SECOND / 20;
                let due = begin + Duration::from_millis(n * 1_000 / RECORDS_PER_SECOND);
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
        });
        let stop = Stop(&writes);
        let looked = look();
        drop(stop);
        looked
    })
}

/// Stops the writer also where a look fails.
struct Stop<'w>(&'w AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// A browser on the page of a process, which takes note of what goes wrong on it.
pub(crate) fn browse(chromium: &str, place: &Place, running: &Running, width: u32, scheme: &str) -> Browser {
    browse_at(chromium, place, running, "", (width, 2_600), scheme)
}

/// The same at an address with something behind the `#`, in a window of this size.
pub(crate) fn browse_at(
    chromium: &str,
    place: &Place,
    running: &Running,
    fragment: &str,
    (width, height): (u32, u32),
    scheme: &str,
) -> Browser {
    let mut browser = Browser::start(chromium, &place.path(&format!("{width}-{scheme}")), width, height);
    let scheme = json!({ "features": [ { "name": "prefers-color-scheme", "value": scheme } ] });
    browser.ask("Emulation.setEmulatedMedia", &scheme);
    let note = "window.wrong = []; addEventListener('error', (e) => wrong.push(`error: ${e.message || e.target.src || e.target.href}`), true); \
                addEventListener('unhandledrejection', (e) => wrong.push(`rejection: ${e.reason}`)); \
                addEventListener('securitypolicyviolation', (e) => wrong.push(`policy: ${e.violatedDirective} ${e.blockedURI}`)); \
                window.turns = { isOpen: false, failed: 0, waits: [] }; const fetched = fetch, timer = setTimeout; \
                const failed = (error) => { turns.failed += 1; throw error; }, read = Response.prototype.json; \
                Response.prototype.json = function () { return read.call(this).catch(failed); }; \
                window.fetch = (...all) => { turns.isOpen = true; return fetched(...all).catch(failed); }; \
                window.setTimeout = (then, wait, ...all) => { if (turns.isOpen && wait <= 1000) { turns.isOpen = false; turns.waits.push(wait); } return timer(then, wait, ...all); }; \
                for (const kind of ['error', 'warn']) { console[kind] = (...words) => wrong.push(`${kind}: ${words}`); }";
    browser.ask("Page.enable", &json!({}));
    browser.ask("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": note }));
    browser.open(&format!("http://{}/{fragment}", running.address.unwrap()));
    wait_for("the page to show the process", || (updates(&mut browser) > 0).then_some(()));
    browser
}

pub(crate) fn updates(browser: &mut Browser) -> u64 {
    let text = browser.evaluate("document.body?.dataset.updates || '0'");
    text.as_str().unwrap().parse().unwrap()
}

pub(crate) fn text(browser: &mut Browser) -> String {
    browser.evaluate("document.body.innerText").as_str().unwrap().to_owned()
}

pub(crate) fn must_be_well(browser: &mut Browser) {
    assert_eq!(browser.evaluate("window.wrong"), json!([]));
    // Nothing is wider than the window.
    let widths = browser.evaluate("[document.documentElement.scrollWidth, innerWidth]");
    assert!(widths[0].as_u64() <= widths[1].as_u64(), "the page is wider than its window: {widths}");
}

/// Keeps a picture for people, where `$INFERLOG_TEST_PICTURES` says in which folder.
pub(crate) fn keep_picture(browser: &mut Browser, name: &str) {
    let picture = browser.picture();
    assert!(picture.len() > 10_000, "there is nothing to be seen");
    if let Ok(folder) = std::env::var("INFERLOG_TEST_PICTURES") {
        fs::write(Path::new(&folder).join(format!("{name}.png")), picture).unwrap();
    }
}

#[test]
fn the_page_follows_a_thousand_records_a_second_and_says_when_nobody_answers() {
    let Some(chromium) = provided("INFERLOG_TEST_CHROMIUM", "the page in a browser") else { return };
    let place = place();
    place.append(line(0, false));
    let running = place.run();
    while_written(&place, false, || {
        let mut browser = browse(&chromium, &place, &running, 1_600, "light");
        let transferred = "performance.getEntries().reduce((sum, entry) => sum + (entry.transferSize || 0), 0)";
        let loaded = browser.evaluate(transferred).as_u64().unwrap();
        assert!((10_000..TRANSFERRED_BYTES_MAX).contains(&loaded), "{loaded} bytes");
        // Each answer is shown, and within a second of it the next one is asked for: by the page's own account, since how
        // long a busy machine takes for it says nothing.
        let first = updates(&mut browser);
        wait_for("ten updates", || (updates(&mut browser) >= first + 10).then_some(()));
        let account = "[document.body.dataset.updates - (turns.waits.length - turns.failed), Math.min(...turns.waits), Math.max(...turns.waits)]";
        let account = browser.evaluate(account);
        let [unshown, least, most] = [0, 1, 2].map(|place| account[place].as_f64().unwrap());
        assert!(unshown == 0.0 || unshown == 1.0, "an answer was not shown: {account}");
        assert!(least >= 100.0 && most <= 1_000.0, "the next one is not asked for within a second: {account}");
        wait_for("a rate, drift and a chart", || {
            let text = text(&mut browser);
            let charts = browser.evaluate("document.querySelectorAll('.u-wrap canvas').length").as_u64();
            let is_there = ["fraud", "drift", "records, "].iter().all(|words| text.contains(words));
            (is_there && charts == Some(5)).then_some(())
        });
        keep_picture(&mut browser, "light");
        must_be_well(&mut browser);
        for (width, scheme) in [(1_600, "dark"), (400, "light")] {
            let mut other = browse(&chromium, &place, &running, width, scheme);
            wait_for("a chart", || {
                (other.evaluate("document.querySelectorAll('.u-wrap canvas').length").as_u64() == Some(5)).then_some(())
            });
            keep_picture(&mut other, &format!("{scheme}-{width}"));
            must_be_well(&mut other);
            keyboard_reaches_everything(&mut other);
        }
        drop(running);
        wait_for("the page to say that nobody answers", || {
            text(&mut browser).contains("The process does not answer: what is shown below is from").then_some(())
        });
        assert_eq!(browser.evaluate("document.title"), "(no answer) inferlog");
        assert_eq!(browser.evaluate("document.getElementById('live').textContent"), "no answer");
        let state = "getComputedStyle(document.querySelector('[data-state]'), '::before').content";
        assert_eq!(browser.evaluate(state), "\"was \"", "a state of before is not said to be one of now");
        keep_picture(&mut browser, "stale");
    });
}

/// Goes from one thing to the next with the Tab key: the tables, links and details are all met, and are seen to be.
pub(crate) fn keyboard_reaches_everything(browser: &mut Browser) {
    // What is there stays while it is walked through.
    browser.evaluate("window.fetch = () => new Promise(() => {}); 0");
    let wanted =
        "document.querySelectorAll('a[href], summary, [tabindex=\"0\"], input, select, button:not([tabindex=\"-1\"])')";
    let visible = format!("[...{wanted}].filter((it) => it.getClientRects().length).length");
    let count = browser.evaluate(&visible).as_u64().unwrap();
    assert!(count > 8, "{count} things");
    browser.evaluate("window.met = new Set(); window.unseen = []; document.activeElement.blur(); 0");
    let note = "(() => { const it = document.activeElement; met.add(it); \
                if (it !== document.body && getComputedStyle(it).outlineStyle === 'none') unseen.push(it.outerHTML.slice(0, 80)); \
                return met.size; })()";
    for _ in 0..count + 3 {
        browser.press("Tab");
        browser.evaluate(note);
    }
    let met = browser.evaluate(&format!("[...{wanted}].filter((it) => it.getClientRects().length && !met.has(it)).map((it) => it.outerHTML.slice(0, 80))"));
    assert_eq!(met, json!([]), "the Tab key does not come to these");
    assert_eq!(browser.evaluate("unseen"), json!([]), "focus is not seen on these");
}

#[test]
fn hostile_records_are_shown_harmlessly() {
    let Some(chromium) = provided("INFERLOG_TEST_CHROMIUM", "the page in a browser") else { return };
    let place = place();
    place.append(line(0, true));
    let running = place.run();
    while_written(&place, true, || {
        for (width, scheme) in [(1_600, "light"), (400, "dark")] {
            let mut browser = browse(&chromium, &place, &running, width, scheme);
            wait_for("the attempts to be shown", || {
                let text = text(&mut browser);
                let is_there =
                    text.contains("<img src=x onerror=") && text.contains("\\u{202e}") && text.contains("\\u{1b}");
                (is_there && text.contains("at decode")).then_some(())
            });
            assert_ne!(browser.evaluate("document.title"), "run", "it was run");
            assert_eq!(
                browser.evaluate(
                    "document.querySelectorAll('main img, main script, #records img, #records script').length"
                ),
                0
            );
            let text = text(&mut browser);
            assert!(
                !text.contains('\u{202e}') && !text.contains('\u{1b}') && text.len() < 100_000,
                "{} bytes",
                text.len()
            );
            keep_picture(&mut browser, &format!("hostile-{width}"));
            must_be_well(&mut browser);
        }
    });
    running.stop();
}
