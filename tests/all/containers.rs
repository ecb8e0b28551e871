//! `docker/`, as far as it can be looked at without a container engine: the compose file by its schema and against all that it
//! names, the image's files and commands, and what runs in the containers as processes side by side.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::model_server::serve_version;
use crate::monitoring::{list, must_succeed, project, yaml};
use crate::place::{Place, free_address, start, wait_for};
use crate::support::{Node, provided};

fn compose() -> Value {
    yaml(&project("docker/compose.yaml"))
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn texts(value: &Value) -> Vec<&str> {
    list(value).map(|item| item.as_str().unwrap()).collect()
}

/// What the validator says of files: whether all is right, and its words.
pub(crate) fn validate(python: &str, arguments: &[&str]) -> (bool, String) {
    let mut command = Command::new(python);
    command.arg(project("tests/deploy/validate.py")).args(arguments);
    let output = command.output().unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(words.contains("looked at "), "{words}");
    (output.status.success(), words)
}

#[test]
fn the_compose_file_is_as_the_specification_has_it() {
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "compose file by its schema") else { return };
    let place = Place::new("");
    let schema = project("tests/deploy/compose-spec.json");
    let check = |text: &str| {
        fs::write(place.path("compose.yaml"), text).unwrap();
        validate(&python, &["compose", schema.to_str().unwrap(), place.path("compose.yaml").to_str().unwrap()])
    };
    let text = fs::read_to_string(project("docker/compose.yaml")).unwrap();
    let (is_right, words) = check(&text);
    assert!(is_right, "{words}");
    for (right, wrong) in [("stop_grace_period:", "stop_grace:"), ("condition: service_healthy", "condition: healthy")]
    {
        let (is_right, words) = check(&text.replacen(right, wrong, 1));
        assert!(!is_right, "`{wrong}` is taken: {words}");
    }
}

/// What a path of a volume leads to: a file of the project, or a volume of the compose file.
enum Mount<'a> {
    File(PathBuf),
    Volume(&'a str),
}

fn mounts(service: &Value) -> Vec<(Mount<'_>, &str, bool)> {
    let mount = |text| {
        let parts: Vec<&str> = str::split(text, ':').collect();
        let source = match parts[0].starts_with('.') {
            true => Mount::File(project("docker").join(parts[0])),
            false => Mount::Volume(parts[0]),
        };
        (source, parts[1], parts.get(2) == Some(&"ro"))
    };
    texts(&service["volumes"]).into_iter().map(mount).collect()
}

#[test]
fn what_the_compose_file_names_is_there() {
    let compose = compose();
    let services = &compose["services"];
    assert!(members(services).count() >= 9);
    let mut volumes = BTreeSet::new();
    for (name, service) in members(services) {
        for (source, target, is_read_only) in mounts(service) {
            match source {
                Mount::File(path) => assert!(path.exists() && is_read_only, "{name}: {} at {target}", path.display()),
                Mount::Volume(volume) => drop(volumes.insert(volume.to_owned())),
            }
        }
        for port in texts(&service["ports"]) {
            assert!(port.starts_with("127.0.0.1:"), "{name}: {port} is open to the world");
        }
        for (other, how) in members(&service["depends_on"]) {
            let other = &services[other];
            match how["condition"].as_str().unwrap() {
                "service_healthy" => assert!(has_health_check(other), "{name}: {other} has no health check"),
                "service_completed_successfully" => assert_eq!(other["restart"], "no", "{name}: {other} never ends"),
                condition => panic!("{name}: {condition}"),
            }
        }
        if let Some(dockerfile) = service["build"]["dockerfile"].as_str() {
            assert!(project(dockerfile).exists() && service["build"]["context"] == "..", "{name}");
            assert_eq!(service["read_only"], true, "{name}");
            assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        } else {
            let image = service["image"].as_str().unwrap();
            let version = image.rsplit_once(':').unwrap().1.trim_start_matches('v');
            assert_eq!(version.split('.').count(), 3, "{name}: {image} may be another one tomorrow");
        }
    }
    assert_eq!(volumes, members(&compose["volumes"]).map(|(name, _)| name.clone()).collect());
    let grace = services["inferlog"]["stop_grace_period"].as_str().unwrap();
    assert_eq!(grace, "30s", "shutdown_timeout is 25 s");
}

/// Of its own, or of the Dockerfile that it is built by.
fn has_health_check(service: &Value) -> bool {
    let dockerfile = service["build"]["dockerfile"].as_str().map(|path| fs::read_to_string(project(path)).unwrap());
    service["healthcheck"]["test"].is_array() || dockerfile.is_some_and(|text| text.contains("\nHEALTHCHECK "))
}

/// The number behind these words.
fn version_behind(path: &str, words: &str) -> String {
    let text = fs::read_to_string(project(path)).unwrap();
    let behind = text.split_once(words).unwrap_or_else(|| panic!("{path} has no `{words}`")).1;
    behind.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect()
}

#[test]
fn versions_are_the_same_everywhere() {
    let elasticsearch = version_behind("tests/es/pom-es.xml", "<es.version>");
    assert_eq!(version_behind("docker/compose.yaml", "elasticsearch/elasticsearch:"), elasticsearch);
    assert_eq!(version_behind("docker/compose.yaml", "kibana/kibana:"), elasticsearch);
    let grafana = version_behind("examples/observability/README.md", "grafana/grafana:");
    assert_eq!(version_behind("docker/compose.yaml", "grafana/grafana:"), grafana);
    let rust = version_behind("rust-toolchain.toml", "channel = \"");
    assert_eq!(version_behind("docker/Dockerfile", "FROM rust:"), rust);
}

#[test]
fn prometheus_and_grafana_of_the_compose_file_find_what_they_ask() {
    let services = &compose()["services"];
    let prometheus = yaml(&project("docker/prometheus.yml"));
    let known: Vec<Value> =
        list(&yaml(&project("dashboards/prometheus/prometheus.yml"))["scrape_configs"]).cloned().collect();
    for job in list(&prometheus["scrape_configs"]) {
        assert!(known.iter().any(|other| other["job_name"] == job["job_name"]), "no rule and no panel asks for {job}");
        for target in texts(&list(&job["static_configs"]).next().unwrap()["targets"]) {
            let (name, port) = target.split_once(':').unwrap();
            let service = &services[name];
            let (command, dockerfile) = (service["command"].to_string(), service["build"]["dockerfile"].as_str());
            let listens = command.contains(&format!("0.0.0.0:{port}"))
                || fs::read_to_string(project(dockerfile.unwrap())).unwrap().contains(&format!("\"{port}\""));
            assert!(listens, "{target}");
        }
    }
    let datasource = yaml(&project("dashboards/grafana/provisioning/datasources/prometheus.yaml"));
    assert_eq!(list(&datasource["datasources"]).next().unwrap()["url"], "http://prometheus:9090");
    let provider = yaml(&project("dashboards/grafana/provisioning/dashboards/inferlog.yaml"));
    let folder = list(&provider["providers"]).next().unwrap()["options"]["path"].as_str().unwrap();
    let targets: Vec<&str> = mounts(&services["grafana"]).into_iter().map(|(_, target, _)| target).collect();
    assert_eq!(targets.iter().filter(|target| target.starts_with(folder)).count(), 2, "{targets:?}");
    let Some(promtool) = provided("INFERLOG_TEST_PROMTOOL", "Prometheus of the compose file") else { return };
    let place = Place::new("");
    fs::copy(project("docker/prometheus.yml"), place.path("prometheus.yml")).unwrap();
    fs::create_dir(place.path("rules")).unwrap();
    for rules in crate::monitoring::project_files("dashboards/prometheus/rules", ".yml") {
        fs::copy(&rules, place.path("rules").join(rules.file_name().unwrap())).unwrap();
    }
    let said = must_succeed(Command::new(promtool).args(["check", "config"]).arg(place.path("prometheus.yml")));
    assert!(said.contains("4 rule files found"), "{said}");
}

/// The instructions of a Dockerfile, lines that go on joined.
fn instructions(path: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(project(path)).unwrap().replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| line.split_once(' ').unwrap()).map(|(what, rest)| (what.to_owned(), rest.to_owned())).collect()
}

fn of_kind<'a>(instructions: &'a [(String, String)], kind: &str) -> Vec<&'a str> {
    instructions.iter().filter(|(what, _)| what == kind).map(|(_, rest)| &**rest).collect()
}

/// A list of words, as JSON.
fn words(text: &str) -> Vec<String> {
    let at = text.find('[').unwrap_or_else(|| panic!("a shell would be needed: {text}"));
    serde_json::from_str(&text[at..]).unwrap()
}

#[test]
fn an_image_is_made_of_what_is_there_and_runs_as_nobody() {
    let ignore = fs::read_to_string(project(".dockerignore")).unwrap();
    let kept: Vec<&str> = ignore.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert!(ignore.lines().any(|line| line == "*") && kept.iter().all(|path| project(path).exists()), "{kept:?}");
    let is_kept = |path: &str| kept.iter().any(|kept| Path::new(path).starts_with(kept));
    for dockerfile in ["docker/Dockerfile", "docker/model-server.Dockerfile"] {
        let instructions = instructions(dockerfile);
        for copied in of_kind(&instructions, "COPY").iter().filter(|copied| !copied.starts_with("--from")) {
            let mut paths: Vec<&str> = copied.split_whitespace().collect();
            paths.pop();
            for path in paths.iter().filter(|path| **path != ".") {
                assert!(project(path).exists() && is_kept(path), "{dockerfile}: {path}");
            }
        }
        assert_eq!(of_kind(&instructions, "USER"), ["65532:65532"], "{dockerfile}");
        for image in of_kind(&instructions, "FROM").iter().filter(|image| **image != "scratch") {
            let version = image.split([':', ' ']).nth(1).unwrap();
            assert_eq!(version.split('-').next().unwrap().split('.').count(), 3, "{image}");
        }
    }
    // What the crate is built of: cargo asks for every target of the manifest, and the sources carry files.
    let manifest = fs::read_to_string(project("Cargo.toml")).unwrap();
    assert!(!manifest.contains("[[bench]]") || is_kept("benches/x"));
    for carried in ["src/x", "mappings/x", "dashboards/x", "build.rs", "Cargo.lock"] {
        assert!(is_kept(carried), "{carried}");
    }
    let id = "65532";
    for file in ["docker/passwd", "docker/group"] {
        assert!(fs::read_to_string(project(file)).unwrap().split([':', '\n']).any(|part| part == id), "{file}");
    }
}

#[test]
fn the_images_commands_start_and_its_health_check_answers() {
    let instructions = instructions("docker/Dockerfile");
    let [entry, command, check] =
        ["ENTRYPOINT", "CMD", "HEALTHCHECK"].map(|kind| words(of_kind(&instructions, kind)[0]));
    assert_eq!(entry, ["/inferlog"]);
    assert_eq!(command, ["run", "/etc/inferlog/pipelines"]);
    assert_eq!(check, ["/inferlog", "health"]);
    let environment = of_kind(&instructions, "ENV")[0].split_once('=').unwrap();
    assert_eq!(environment, ("INFERLOG_DATA_DIR", "/var/lib/inferlog"));
    assert_eq!(of_kind(&instructions, "VOLUME"), [format!("[\"{}\"]", environment.1)]);
    // As in the container: no home, no folder to write to but the state's.
    let place = Place::new(&crate::place::pipeline("{ store: {} }"));
    fs::create_dir(place.path("pipelines")).unwrap();
    fs::write(place.path("pipelines/p.yaml"), crate::place::pipeline("{ store: {} }").replace("logs/", "../logs/"))
        .unwrap();
    let address = free_address();
    let mut run = place.inferlog(&["run", "pipelines", "--listen", &address.to_string()]);
    run.env_clear().env("INFERLOG_DATA_DIR", place.path("state")).current_dir(place.path(""));
    let mut running = start(run);
    running.address = Some(address);
    let healthy = wait_for("the health check to pass", || {
        running.must_run();
        let mut health = place.inferlog(&["health", "--url", &format!("http://{address}")]);
        health.env_clear();
        Some(start(health).wait()).filter(|ended| ended.code == Some(0))
    });
    assert_eq!(healthy.stdout, "alive\n");
    running.stop();
}

/// The arguments of a service's command, with paths of a container led to those of a place.
fn command_of(name: &str, place: &Place) -> Vec<String> {
    let compose = compose();
    let command = texts(&compose["services"][name]["command"]).join(" ");
    let command = command.replace("/etc/inferlog/pipelines", place.path("pipelines").to_str().unwrap());
    command.split(' ').map(str::to_owned).collect()
}

#[tokio::test]
async fn all_of_the_compose_file_at_work_as_processes() {
    const REQUESTS: u64 = 120;
    let test = "containers::all_of_the_compose_file_at_work_as_processes";
    let (Some(python), Some(node)) = (provided("INFERLOG_TEST_PYTHON", test), Node::plain(test)) else { return };
    let stream = "logs-ml.inference-compose";
    node.forget(stream).await;
    let place = Place::new("");
    fs::create_dir(place.path("pipelines")).unwrap();
    let text = fs::read_to_string(project("docker/pipelines/models.yaml")).unwrap();
    let text = text.replace("/var/log/models", place.path("models").to_str().unwrap());
    fs::write(place.path("pipelines/models.yaml"), text.replace("logs-ml.inference-default", stream)).unwrap();
    let inferlog = |arguments: &[String]| {
        let mut command = place.inferlog(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        command.env("ES_URL", node.options.hosts[0].as_str()).env("INFERLOG_DATA_DIR", place.path("state"));
        command
    };
    // No Kibana is here.
    let mut set_up = command_of("setup", &place);
    assert_eq!(set_up.split_off(3), ["--kibana", "http://kibana:5601"]);
    must_succeed(&mut inferlog(&set_up));
    must_succeed(&mut inferlog(&["test".to_owned(), place.path("pipelines").display().to_string()]));
    let servers = ["anomaly-detector", "anomaly-detector-canary"].map(|name| {
        let environment = compose()["services"][name]["environment"].clone();
        let log = environment["MODEL_LOG"].as_str().unwrap().replace("/logs", place.path("models").to_str().unwrap());
        serve_version(&python, Path::new(&log), environment["MODEL_VERSION"].as_str().unwrap())
    });
    // On all addresses, as other containers want it, and asked by a name that is none of loopback's.
    let address = free_address();
    let arguments =
        command_of("inferlog", &place).join(" ").replace("0.0.0.0:9614", &format!("0.0.0.0:{}", address.port()));
    let mut running = start(inferlog(&arguments.split(' ').map(str::to_owned).collect::<Vec<_>>()));
    running.address = Some(address);
    let mut traffic = Command::new(&python);
    traffic.arg(project("docker/traffic.py")).args(["--per-second", "300", "--seed", "7"]);
    traffic
        .args(["--requests", &REQUESTS.to_string()])
        .args(servers.iter().map(|(_, address)| format!("http://{address}")));
    must_succeed(&mut traffic);
    running
        .wait_for_metric("inferlog_sink_indexed_records_total{pipeline=\"models\",sink=\"elasticsearch\"}", REQUESTS);
    assert_eq!(node.count(stream, r#"{"match_all":{}}"#).await, REQUESTS);
    for path in ["/metrics", "/healthz", "/readyz"] {
        let host = [("host", "inferlog:9614")];
        let (status, _) = http_as(address, path, &host);
        assert_eq!(status, 200, "{path}");
    }
    let metrics = wait_for("the models' metrics", || {
        let (_, text) = running.get("/metrics");
        (text.contains("anomaly-3.2.1") && text.contains("anomaly-3.3.0")).then_some(text)
    });
    assert!(metrics.contains("model_requests_total{"), "{metrics}");
    running.stop();
    node.forget(stream).await;
}

/// A GET with these headers in place of our own name.
pub(crate) fn http_as(address: std::net::SocketAddr, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(format!("GET {path} HTTP/1.1\r\n{headers}connection: close\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[test]
fn a_request_that_no_server_answers_is_no_success_of_the_traffic() {
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "traffic without servers") else { return };
    let mut traffic = Command::new(python);
    traffic.arg(project("docker/traffic.py")).args(["--per-second", "1000", "--requests", "3"]);
    traffic.arg(format!("http://{}", free_address()));
    let ended = start(traffic).wait();
    assert!(ended.code == Some(1) && ended.stderr.contains("3 of 3 requests"), "{ended:?}");
}
