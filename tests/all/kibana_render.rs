//! The dashboards on a real Kibana: imported, exported again, and rendered in a headless Chromium, every panel complete and none in
//! error.
//!
//! No Kibana can be fetched as Elasticsearch is, so this is run by whoever has one:
//!
//! ```text
//! KIBANA_URL=http://elastic:password@localhost:5601 INFERLOG_TEST_CHROMIUM=chromium cargo test --test all kibana_render:: -- --nocapture
//! ```
//!
//! It writes documents of a sample into the namespace `kibanarender` of the Elasticsearch behind that Kibana, and replaces the objects
//! of ours that are there. Pictures of the dashboards are left in `target/kibana`. How a page is judged is tried on pages made for it
//! in every run.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine as _;
use inferlog::elastic::assets::AssetKind;
use inferlog::kibana;
use inferlog::kibana::dashboard::{Dashboard, api};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use crate::browser::Browser;
use crate::kibana_sample;
use crate::monitoring::{list, project};
use crate::place::{Place, pipeline};
use crate::support::provided;

/// Where the Kibana is, with user and password where it wants them, and with `/s/<space>` for a space.
const VARIABLE: &str = "KIBANA_URL";

/// How long a dashboard may take.
const RENDER_MAX: Duration = Duration::from_secs(120);

/// A page as wide as a screen and as high as the longest dashboard, so that no panel waits to be scrolled to.
const PAGE: (u32, u32) = (1_600, 4_000);

/// What a page shows of its panels: how many, which of them are not complete, and what those in error say.
const LOOK: &str = r#"(() => {
    const panels = [...document.querySelectorAll('[data-test-subj="embeddablePanel"]')];
    const said = element => (element.textContent || '').replace(/\s+/g, ' ').trim().slice(0, 300);
    const isComplete = panel => panel.matches('[data-render-complete="true"]') || panel.querySelector('[data-render-complete="true"]');
    const errors = '[data-test-subj="embeddableError"], [data-test-subj="embeddable-lens-failure"]';
    return {
        panels: panels.length,
        incomplete: panels.filter(panel => !isComplete(panel)).map(said),
        errors: [...document.querySelectorAll(errors)].map(said),
    };
})()"#;

/// Waits until as many panels are complete as there must be; fails at the first that is in error, or when it takes too long.
fn rendered(browser: &mut Browser, panels: usize, patience: Duration) -> Result<(), String> {
    let began = Instant::now();
    loop {
        let look = browser.evaluate(LOOK);
        if list(&look["errors"]).next().is_some() {
            return Err(format!("in error: {}", look["errors"]));
        }
        if look["panels"] == panels && list(&look["incomplete"]).next().is_none() {
            return Ok(());
        }
        if began.elapsed() > patience {
            return Err(format!(
                "{} of {panels} panels after {patience:?}, not complete: {}",
                look["panels"], look["incomplete"]
            ));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_page_is_judged_by_its_panels() {
    let Some(chromium) = provided("INFERLOG_TEST_CHROMIUM", "a_page_is_judged_by_its_panels") else { return };
    let folder = TempDir::new().unwrap();
    let mut browser = Browser::start(&chromium, folder.path(), 800, 600);
    let panel = |inside: &str| format!("<div data-test-subj='embeddablePanel'>{inside}</div>");
    let complete = panel("<p>Requests</p><div data-render-complete='true'>");
    let waiting = panel("<p>Latency</p><div data-render-complete='false'>");
    let error = panel("<div data-test-subj='embeddableError'>Field psi was not found</div>");
    let lens_error = panel(
        "<div data-render-complete='true'><div data-test-subj='embeddable-lens-failure'>No data view</div></div>",
    );
    let late = "<script>setTimeout(() => document.querySelectorAll('[data-render-complete]')\
                .forEach(one => one.setAttribute('data-render-complete', 'true')), 300)</script>";
    let (soon, patient) = (Duration::from_millis(500), Duration::from_secs(30));
    for (page, patience, problem) in [
        (complete.repeat(2), patient, ""),
        (format!("{complete}{waiting}{late}"), patient, ""),
        (format!("{complete}{waiting}"), soon, "not complete: [\"Latency\"]"),
        (format!("{complete}{error}"), patient, "in error: [\"Field psi was not found\"]"),
        (format!("{complete}{lens_error}"), patient, "in error: [\"No data view\"]"),
        (complete.clone(), soon, "1 of 2 panels"),
        (complete.repeat(3), soon, "3 of 2 panels"),
        (String::new(), soon, "0 of 2 panels"),
    ] {
        let file = folder.path().join("page.html");
        fs::write(&file, format!("<!doctype html><body>{page}")).unwrap();
        browser.open(&format!("file://{}", file.display()));
        let said = rendered(&mut browser, 2, patience).err().unwrap_or_default();
        assert!(said.contains(problem) && said.is_empty() == problem.is_empty(), "{page}: {said}");
    }
    assert!(browser.picture().starts_with(b"\x89PNG"));
}

/// A Kibana that is asked over HTTP.
struct Kibana {
    url: Url,
    client: reqwest::Client,
    authorization: Option<String>,
}

impl Kibana {
    fn new(url: &str) -> Kibana {
        let mut url = Url::parse(url).unwrap();
        let user =
            (!url.username().is_empty()).then(|| format!("{}:{}", url.username(), url.password().unwrap_or_default()));
        let authorization =
            user.map(|user| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(user)));
        url.set_username("").unwrap();
        url.set_password(None).unwrap();
        Kibana { url, client: reqwest::Client::new(), authorization }
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url.as_str().trim_end_matches('/'))
    }

    /// One request; fails unless it succeeds.
    async fn ask(&self, method: &str, path: &str, content_type: &str, body: String) -> String {
        let (status, text) = self.try_to(method, path, content_type, body).await;
        assert!((200..300).contains(&status), "{path}: {status}: {text}");
        text
    }

    /// One request; gives status and text.
    async fn try_to(&self, method: &str, path: &str, content_type: &str, body: String) -> (u16, String) {
        let method = method.parse().unwrap();
        let mut request = self.client.request(method, self.address(path)).header("kbn-xsrf", "true").body(body);
        // The console is not for others' programs since 9.0; this says that we know.
        request = request.header("content-type", content_type).header("x-elastic-internal-origin", "Kibana");
        if path.starts_with("/api/dashboards") {
            request = request.header("elastic-api-version", api::API_VERSION);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{path}: {error}"));
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// One request to the Elasticsearch behind it.
    async fn elasticsearch(&self, method: &str, path: &str, body: String) -> Value {
        let path: String = url::form_urlencoded::byte_serialize(path.as_bytes()).collect();
        let console = format!("/api/console/proxy?method={method}&path={path}");
        serde_json::from_str(&self.ask("POST", &console, "application/json", body).await).unwrap()
    }

    async fn version(&self) -> String {
        let status: Value =
            serde_json::from_str(&self.ask("GET", "/api/status", "application/json", String::new()).await).unwrap();
        status["version"]["number"].as_str().unwrap_or("unknown").to_owned()
    }

    /// Imports our objects, which must all be taken.
    async fn import(&self) {
        let (lines, boundary) = (kibana::ndjson(None).unwrap(), "inferlog-boundary");
        let head = "content-disposition: form-data; name=\"file\"; filename=\"inferlog.ndjson\"\r\n\
                    content-type: application/ndjson";
        let body = format!("--{boundary}\r\n{head}\r\n\r\n{lines}\r\n--{boundary}--\r\n");
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let answer = self.ask("POST", "/api/saved_objects/_import?overwrite=true", &content_type, body).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert!(answer["success"] == true && answer["successCount"] == lines.lines().count(), "{answer}");
    }

    /// Where the Dashboards API is, puts the dashboards there a second time, through it; gives ids, panels and names.
    async fn put_dashboards(&self, dashboards: &[Dashboard]) -> Vec<(String, usize, String)> {
        let (status, _) = self.try_to("GET", "/api/dashboards?per_page=1", "application/json", String::new()).await;
        if status != 200 {
            let line = format!("no Dashboards API ({status}): only what is imported is rendered\n");
            let _ = std::io::stderr().write_all(line.as_bytes());
            return Vec::new();
        }
        let mut put = Vec::new();
        for dashboard in dashboards {
            let id = format!("inferlog-by-api-{}", dashboard.name);
            let body = api::body(&dashboard.source).to_string();
            self.ask("PUT", &format!("/api/dashboards/{id}"), "application/json", body).await;
            put.push((id, dashboard.source.panels.len(), format!("{}-by-api", dashboard.name)));
        }
        put
    }

    /// Exports the dashboards with all that they need, of which nothing may be missing.
    async fn export(&self, dashboards: &[&kibana::object::SavedObject]) {
        let objects: Vec<Value> = dashboards.iter().map(|one| json!({ "type": "dashboard", "id": one.id })).collect();
        let body = json!({ "objects": objects, "includeReferencesDeep": true }).to_string();
        let text = self.ask("POST", "/api/saved_objects/_export", "application/json", body).await;
        let exported: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let details = exported.last().unwrap();
        assert_eq!(details["missingRefCount"], 0, "{details}");
        for reference in dashboards.iter().flat_map(|dashboard| &dashboard.references) {
            let is_there =
                exported.iter().any(|one| one["id"] == reference.id && one["type"] == reference.kind.as_str());
            assert!(is_there, "{} is not exported", reference.id);
        }
    }

    /// Ships a sample of every kind of documents into streams of their own, made by our templates.
    async fn ship_sample(&self) {
        let records = "logs-ml.inference-kibanarender";
        let place = kibana_sample::place("{ store: {} }");
        for (path, body) in templates(&place, records) {
            self.elasticsearch("PUT", &path, body).await;
        }
        kibana_sample::run(&place);
        for (table, stream) in [
            ("records", records),
            ("accounts", "metrics-ml.pipeline-kibanarender"),
            ("drift", "metrics-ml.drift-kibanarender"),
            ("outcomes", "logs-ml.outcome-kibanarender"),
        ] {
            for documents in documents(&place, table).chunks(1_000) {
                let body: String =
                    documents.iter().map(|document| format!("{{\"create\":{{}}}}\n{document}\n")).collect();
                let answer = self.elasticsearch("POST", &format!("{stream}/_bulk?refresh=true"), body).await;
                assert_eq!(answer["errors"], false, "{stream}: {answer}");
            }
        }
    }
}

/// Our templates, as `setup export` gives them: where each is put, and its body, in their order.
fn templates(place: &Place, records: &str) -> Vec<(String, String)> {
    // Nobody is asked there.
    let sink = format!("{{ elasticsearch: {{ hosts: [\"http://127.0.0.1:9\"], data_stream: {records} }} }}");
    fs::write(place.path("exported.yaml"), pipeline(&sink)).unwrap();
    let exported = place.inferlog(&["setup", "export", "exported.yaml", "--output", "exported"]).output().unwrap();
    assert!(exported.status.success(), "{exported:?}");
    let mut templates = Vec::new();
    for kind in AssetKind::ALL {
        for file in files_in(&place.path("exported").join(kind.folder())) {
            let name = file.file_stem().unwrap().to_string_lossy();
            templates.push((format!("{}/{name}", kind.path()), fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(!templates.is_empty(), "nothing is exported");
    templates
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|end| end == "json")).collect()
}

#[test]
fn templates_of_an_export_are_put_where_they_belong() {
    let place = kibana_sample::place("{ store: {} }");
    let paths: Vec<String> =
        templates(&place, "logs-ml.inference-kibanarender").into_iter().map(|(path, _)| path).collect();
    let first =
        |kind: &str| paths.iter().position(|path| path.starts_with(kind)).unwrap_or_else(|| panic!("{paths:?}"));
    assert!(first("_component_template/") < first("_index_template/"), "{paths:?}");
    assert!(paths.contains(&"_index_template/inferlog-drift".to_owned()), "{paths:?}");
}

/// The documents of a table of the store.
fn documents(place: &Place, table: &str) -> Vec<String> {
    let store = place.store().open();
    let mut statement = store.prepare(&format!("SELECT document FROM {table}")).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn every_dashboard_renders_on_a_real_kibana() {
    let Some(url) = std::env::var(VARIABLE).ok().filter(|url| !url.is_empty()) else {
        let line = format!(
            "left out: every_dashboard_renders_on_a_real_kibana (needs {VARIABLE}, a Kibana of 8.12 or later, which `./test` cannot fetch)\n"
        );
        let _ = std::io::stderr().write_all(line.as_bytes());
        return;
    };
    let chromium = std::env::var("INFERLOG_TEST_CHROMIUM").unwrap_or("chromium".to_owned());
    let kibana = Kibana::new(&url);
    println!("Kibana {}", kibana.version().await);
    kibana.ship_sample().await;
    kibana.import().await;
    let all = kibana::dashboard::all().unwrap();
    let dashboards: Vec<_> = all.iter().map(|dashboard| (dashboard, dashboard.objects().unwrap().1)).collect();
    kibana.export(&dashboards.iter().map(|(_, object)| object).collect::<Vec<_>>()).await;
    let folder = TempDir::new().unwrap();
    let pictures = project("target/kibana");
    fs::create_dir_all(&pictures).unwrap();
    let mut browser = Browser::start(&chromium, folder.path(), PAGE.0, PAGE.1);
    if let Some(authorization) = &kibana.authorization {
        browser.ask("Network.enable", &json!({}));
        browser.ask("Network.setExtraHTTPHeaders", &json!({ "headers": { "Authorization": authorization } }));
    }
    let mut problems = Vec::new();
    let mut shown: Vec<(String, usize, String)> = dashboards
        .iter()
        .map(|(dashboard, object)| (object.id.clone(), dashboard.source.panels.len(), dashboard.name.clone()))
        .collect();
    shown.extend(kibana.put_dashboards(&all).await);
    for (id, panels, name) in &shown {
        let range = "_g=(refreshInterval:(pause:!t,value:0),time:(from:now-7d,to:now))";
        browser.open("about:blank");
        browser.open(&kibana.address(&format!("/app/dashboards#/view/{id}?{range}")));
        let result = rendered(&mut browser, *panels, RENDER_MAX);
        fs::write(pictures.join(format!("{name}.png")), browser.picture()).unwrap();
        problems.extend(result.err().map(|problem| format!("{name}: {problem}")));
    }
    assert!(problems.is_empty(), "pictures are in {}:\n{}", pictures.display(), problems.join("\n"));
}
