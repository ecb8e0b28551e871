//! Secrets that are renewed on disk while a pipeline runs.

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use inferlog::elastic::client::{Body, Client, Method};
use inferlog::elastic::options::{Auth, ClientOptions};
use inferlog::text::secret::Secret;
use url::Url;

use crate::place::{Place, pipeline, wait_for};
use crate::scripted::{Answer, scripted};

const LINE: &str = "{\"event\":\"inference\",\"timestamp\":\"2026-11-23T10:00:01Z\"}\n";

/// Puts a file in its place as Kubernetes does: by turning a link.
fn turn(place: &Place, name: &str, text: &str) {
    fs::write(place.path(&format!("{name}-{}", text.len())), text).unwrap();
    let link = place.path("..new");
    std::os::unix::fs::symlink(format!("{name}-{}", text.len()), &link).unwrap();
    fs::rename(&link, place.path(name)).unwrap();
}

#[test]
fn a_token_renewed_on_disk_is_used_without_a_restart_and_nothing_is_lost() {
    let valid = Arc::new(Mutex::new("bearer token-1".to_owned()));
    let (delivered, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let url = {
        let (valid, delivered, refused) = (Arc::clone(&valid), Arc::clone(&delivered), Arc::clone(&refused));
        scripted(move |asked| {
            if !asked.head.contains(&format!("authorization: {}\r\n", valid.lock().unwrap())) {
                refused.fetch_add(1, Ordering::SeqCst);
                return Answer::new(401, &[], "");
            }
            if !asked.path.starts_with("/logs-x/_bulk") {
                return Answer::new(404, &[], "{}");
            }
            let records = asked.body.split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"{\"create\""));
            delivered.fetch_add(records.count(), Ordering::SeqCst);
            Answer::created(&asked.body)
        })
    };
    let retry = "retry: { initial: 50ms, max: 200ms }";
    let place = Place::new(&pipeline(&format!(
        "{{ elasticsearch: {{ hosts: [\"{url}\"], data_stream: logs-x, bearer_token: \"${{file:token}}\", {retry} }} }}"
    )));
    turn(&place, "token", "token-1\n");
    place.append(LINE.repeat(10));
    let running = place.run();
    let wait_for_records = |count: usize| {
        wait_for(&format!("{count} records"), || (delivered.load(Ordering::SeqCst) == count).then_some(()));
    };
    wait_for_records(10);
    // Renewed before the old one ends: no request is refused.
    let before = refused.load(Ordering::SeqCst);
    turn(&place, "token", "token-22\n");
    *valid.lock().unwrap() = "bearer token-22".to_owned();
    place.append(LINE.repeat(10));
    wait_for_records(20);
    assert_eq!(refused.load(Ordering::SeqCst), before, "{}", running.stderr());
    // The old one ends first: it waits, says so once, and goes on when the file is there.
    *valid.lock().unwrap() = "bearer token-333".to_owned();
    place.append(LINE.repeat(10));
    wait_for("a refusal", || (refused.load(Ordering::SeqCst) > before + 3).then_some(()));
    turn(&place, "token", "token-333\n");
    wait_for_records(30);
    let ended = running.stop();
    // The pipeline's own accounts may meet it as well, and are said apart.
    let of_records = |line: &&str| line.contains("answered 401") && !line.contains("own accounts");
    assert_eq!(ended.stderr.lines().filter(of_records).count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("was read again and is the same"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("token-1") && !ended.stderr.contains("token-333"), "{}", ended.stderr);
    assert!(place.dead_letters().is_empty());
}

/// It is renewed while a request with the old one is under way.
#[tokio::test]
async fn what_is_refused_is_asked_once_more_where_the_file_holds_something_newer() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, "old").unwrap();
    let renewed = token.clone();
    let url = scripted(move |asked| {
        if asked.head.contains("authorization: bearer new\r\n") {
            return Answer::new(200, &[], "{}");
        }
        fs::write(&renewed, "new").unwrap();
        Answer::new(401, &[], "")
    });
    let auth = Auth::Bearer(Secret::from_files(b"old".to_vec(), vec![(0..3, token)]));
    let options = ClientOptions { auth, ..ClientOptions::new(vec![Url::parse(&url).unwrap()]) };
    let reply = Client::new(&options).unwrap().send(Method::Get, "/", &Body::None).await.unwrap();
    assert_eq!(reply.status, 200);
}
