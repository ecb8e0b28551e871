//! `deploy/kubernetes`, as far as it can be looked at without a cluster: the manifests by the published schemas and against what
//! they name, and what runs in the pods as processes: in which order they stop, and who of many tenants waits for whom.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;

use crate::containers::{http_as, validate};
use crate::monitoring::{list, must_succeed, project, yaml};
use crate::place::{Place, Running, Signal, append, free_address, records, start, wait_for};
use crate::support::provided;

const OVERLAYS: [(&str, &str); 2] = [("sidecar", "deployment.yaml"), ("daemonset", "daemonset.yaml")];

/// The oldest version that has native sidecars without a feature gate, and the newest that the schemas are of.
const VERSIONS: [&str; 2] = ["1.29", "1.37"];

fn folder(overlay: &str) -> PathBuf {
    project("deploy/kubernetes/overlays").join(overlay)
}

/// The files of a folder of manifests.
fn manifests(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

#[test]
fn manifests_are_as_the_schemas_have_them() {
    let Some(python) = provided("INFERLOG_TEST_PYTHON", "manifests by the schemas of Kubernetes") else { return };
    let folders = [project("deploy/kubernetes/base"), folder("sidecar"), folder("daemonset")];
    let files: Vec<String> =
        folders.iter().flat_map(|folder| manifests(folder)).map(|path| path.display().to_string()).collect();
    let check = |version: &str, files: &[String]| {
        let arguments: Vec<&str> =
            ["kubernetes", version].into_iter().chain(files.iter().map(String::as_str)).collect();
        validate(&python, &arguments)
    };
    for version in VERSIONS {
        let (is_right, words) = check(version, &files);
        assert!(is_right && words.matches("looked at ").count() == 6, "{version}: {words}");
    }
    let place = Place::new("");
    let text = fs::read_to_string(folder("sidecar").join("deployment.yaml")).unwrap();
    for (right, wrong) in [("readOnlyRootFilesystem", "readOnlyRootFileSystem"), ("replicas: 2", "replicas: two")] {
        fs::write(place.path("wrong.yaml"), text.replacen(right, wrong, 1)).unwrap();
        let (is_right, words) = check(VERSIONS[1], &[place.path("wrong.yaml").display().to_string()]);
        assert!(!is_right, "`{wrong}` is taken: {words}");
    }
}

/// Where there is a kubectl, which no package of every system has: what it would apply.
#[test]
fn kubectl_renders_what_is_right() {
    let test = "kubernetes::kubectl_renders_what_is_right";
    let Some(python) = provided("INFERLOG_TEST_PYTHON", test) else { return };
    let Some(kubectl) = std::env::var_os("INFERLOG_TEST_KUBECTL") else {
        crate::numbered::report(&format!(
            "left out: {test} (there is no kubectl; the manifests themselves are looked at)"
        ));
        return;
    };
    let place = Place::new("");
    for (overlay, _) in OVERLAYS {
        let rendered = must_succeed(Command::new(&kubectl).arg("kustomize").arg(folder(overlay)));
        fs::write(place.path("rendered.yaml"), &rendered).unwrap();
        for version in VERSIONS {
            let (is_right, words) =
                validate(&python, &["kubernetes", version, place.path("rendered.yaml").to_str().unwrap()]);
            assert!(is_right && words.contains("looked at ConfigMap inferlog-pipelines-"), "{overlay}: {words}");
        }
    }
}

fn pod(overlay: &str, file: &str) -> Value {
    yaml(&folder(overlay).join(file))["spec"]["template"]["spec"].clone()
}

/// The container of inferlog in a pod.
fn container(pod: &Value) -> &Value {
    let all = list(&pod["initContainers"]).chain(list(&pod["containers"]));
    all.into_iter().find(|container| container["name"] == "inferlog").unwrap()
}

/// What the first group of a pattern finds.
fn captured(pattern: &str, text: &str) -> Vec<String> {
    Regex::new(pattern).unwrap().captures_iter(text).map(|captures| captures[1].to_owned()).collect()
}

fn named<'a>(values: &'a Value, name: &Value) -> Option<&'a Value> {
    list(values).find(|value| value["name"] == *name)
}

#[test]
fn what_the_manifests_name_is_there_and_nothing_is_allowed_that_is_not_needed() {
    for (overlay, file) in OVERLAYS {
        let (whole, pod) = (yaml(&folder(overlay).join(file)), pod(overlay, file));
        let inferlog = container(&pod);
        assert_eq!(pod["automountServiceAccountToken"], false);
        assert_eq!(pod["serviceAccountName"], "inferlog");
        assert_eq!(whole["spec"]["template"]["metadata"]["labels"]["inferlog"], "here", "who the policy is about");
        let security = &inferlog["securityContext"];
        assert_eq!(security["allowPrivilegeEscalation"], false);
        assert_eq!(security["readOnlyRootFilesystem"], true);
        assert_eq!(security["capabilities"]["drop"][0], "ALL");
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for mount in list(&inferlog["volumeMounts"]) {
            assert!(named(&pod["volumes"], &mount["name"]).is_some(), "{overlay}: {mount}");
            let is_ours = ["state", "tmp"].contains(&mount["name"].as_str().unwrap());
            assert_eq!(mount["readOnly"] == true, !is_ours, "{overlay}: {mount}");
        }
        let kustomization = yaml(&folder(overlay).join("kustomization.yaml"));
        let generated = list(&kustomization["configMapGenerator"]).next().unwrap();
        assert_eq!(named(&pod["volumes"], &"pipelines".into()).unwrap()["configMap"]["name"], generated["name"]);
        for pipeline in list(&generated["files"]) {
            let text = fs::read_to_string(folder(overlay).join(pipeline.as_str().unwrap())).unwrap();
            for variable in captured(r"\$\{([A-Z_]+)[:}]", &text) {
                assert!(named(&inferlog["env"], &variable.as_str().into()).is_some(), "{pipeline}: {variable}");
            }
            let secrets = captured(r"\$\{file:([^}]+)/api-key\}", &text);
            let mount = named(&inferlog["volumeMounts"], &"elasticsearch".into()).unwrap();
            assert_eq!(mount["mountPath"], secrets[0], "{pipeline}");
        }
    }
    let sidecar = pod("sidecar", "deployment.yaml");
    assert_eq!(container(&sidecar)["restartPolicy"], "Always", "a native sidecar: it stops after the server");
    assert!(container(&sidecar)["readinessProbe"].is_null(), "a sink that is down takes no traffic from the server");
    // The server's end and then inferlog's, 25 s each.
    assert!(sidecar["terminationGracePeriodSeconds"].as_u64().unwrap() >= 25 + 25 + 5);
    assert!(pod("daemonset", "daemonset.yaml")["terminationGracePeriodSeconds"].as_u64().unwrap() >= 25 + 5);
    let account = yaml(&project("deploy/kubernetes/base/service-account.yaml"));
    assert_eq!(account["automountServiceAccountToken"], false);
    let any_role = Regex::new("kind: (Cluster)?Role").unwrap();
    for file in
        [project("deploy/kubernetes/base"), folder("sidecar"), folder("daemonset")].iter().flat_map(|f| manifests(f))
    {
        assert!(!any_role.is_match(&fs::read_to_string(&file).unwrap()), "{}", file.display());
    }
}

/// The pipelines of an overlay in `pipelines/` of a place, over its `logs/` and with this sink.
fn pipelines(place: &Place, overlay: &str, sink: &str) {
    fs::create_dir(place.path("pipelines")).unwrap();
    for file in fs::read_dir(folder(overlay).join("pipelines")).unwrap().map(|entry| entry.unwrap().path()) {
        let text = fs::read_to_string(&file).unwrap();
        let (before, rest) = text.split_once("\nsink:\n").unwrap();
        let tests = rest.split_once("\ntests:\n").unwrap().1;
        let text = format!("{before}\nsink: {sink}\ntests:\n{tests}");
        let logs = place.path("logs").display().to_string();
        let text = text.replace("/var/log/pods", &logs).replace("\"/logs/", &format!("\"{logs}/"));
        fs::write(place.path("pipelines").join(file.file_name().unwrap()), text).unwrap();
    }
}

/// inferlog as a pod has it, with paths led to a place.
fn inferlog(place: &Place, overlay: &str, file: &str) -> Running {
    let pod = pod(overlay, file);
    let address = free_address();
    let arguments: Vec<String> = list(&container(&pod)["args"])
        .map(|argument| argument.as_str().unwrap())
        .map(|argument| argument.replace("0.0.0.0:9614", &format!("0.0.0.0:{}", address.port())))
        .map(|argument| argument.replace("/etc/inferlog/", &format!("{}/", place.path("").display())))
        .collect();
    let mut command = place.inferlog(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    environment(&mut command, place);
    let mut running = start(command);
    running.address = Some(address);
    wait_for("the server to listen", || {
        running.must_run();
        std::net::TcpStream::connect(address).ok()
    });
    running
}

fn environment(command: &mut Command, place: &Place) {
    command.env("INFERLOG_DATA_DIR", place.path("data")).env("ES_URL", "http://127.0.0.1:9");
    command.env("POD_NAME", "anomaly-detector-5d9").env("POD_NAMESPACE", "ml").env("NODE_NAME", "node-1");
}

#[test]
fn the_pipelines_of_the_pods_pass_their_own_tests() {
    for (overlay, _) in OVERLAYS {
        let place = Place::new("");
        fs::create_dir(place.path("pipelines")).unwrap();
        fs::write(place.path("api-key"), "x").unwrap();
        for file in fs::read_dir(folder(overlay).join("pipelines")).unwrap().map(|entry| entry.unwrap().path()) {
            let text =
                fs::read_to_string(&file).unwrap().replace("/run/secrets/inferlog", place.path("").to_str().unwrap());
            fs::write(place.path("pipelines").join(file.file_name().unwrap()), text).unwrap();
        }
        for verb in ["check", "test"] {
            let mut command = place.inferlog(&[verb, "pipelines"]);
            environment(&mut command, &place);
            let ended = start(command).wait();
            assert_eq!(ended.code, Some(0), "{overlay}: {verb}: {ended:?}");
        }
    }
}

#[test]
fn probes_ask_for_what_is_there_by_whatever_name() {
    for (overlay, file) in OVERLAYS {
        let place = Place::new("");
        pipelines(&place, overlay, "{ store: {} }");
        let running = inferlog(&place, overlay, file);
        let pod = pod(overlay, file);
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let get = &container(&pod)[probe]["httpGet"];
            let Some(path) = get["path"].as_str() else { continue };
            assert!(named(&container(&pod)["ports"], &get["port"]).is_some(), "{overlay}: {probe}");
            // As the kubelet asks: by the pod's address.
            let (status, answer) = http_as(running.address.unwrap(), path, &[("host", "10.42.0.17:9614")]);
            assert_eq!(status, 200, "{overlay}: {probe}: {answer}");
        }
        running.stop();
    }
}

/// A server that writes its last lines when it is told to stop.
fn server(place: &Place) -> Running {
    let mut command = Command::new("sh");
    command.current_dir(place.path("")).arg("-c");
    command.arg("trap 'cat last >>logs/a.ndjson; exit 0' TERM; : >ready; while :; do sleep 0.02; done");
    let running = start(command);
    wait_for("the server", || place.path("ready").exists().then_some(()));
    running
}

/// How many records are in the store when the two have stopped in this order.
fn stored_when_stopped(server_first: bool) -> u64 {
    let place = Place::new("");
    pipelines(&place, "sidecar", "{ store: {} }");
    fs::write(place.path("logs/a.ndjson"), records(0..100)).unwrap();
    // So many that they cannot be read as they are written, and a last one without an end.
    fs::write(place.path("last"), records(100..20_000).trim_end()).unwrap();
    let (server, sidecar) = (server(&place), inferlog(&place, "sidecar", "deployment.yaml"));
    wait_for("what was there", || {
        let metrics = sidecar.metrics();
        (metrics.get("inferlog_settled_lines_total{pipeline=\"inference\"}") == Some(&100)).then_some(())
    });
    let order = if server_first { [server, sidecar] } else { [sidecar, server] };
    for process in order {
        process.signal(Signal::TERM);
        let ended = process.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    let store = crate::place::Store(place.path("data/inference/store.sqlite"));
    let count = store.count();
    store.must_hold_each_once(count);
    count
}

#[test]
fn a_sidecar_that_stops_after_its_server_has_all_of_its_log() {
    assert_eq!(stored_when_stopped(true), 20_000);
    assert_eq!(stored_when_stopped(false), 100, "as it was before native sidecars: the server's last words are lost");
}

/// Lines as containerd writes them.
fn in_cri(text: &str) -> String {
    text.lines().map(|line| format!("2026-11-27T10:00:00.000000000Z stdout F {line}\n")).collect()
}

#[test]
fn a_tenant_that_floods_its_log_holds_up_no_other_and_one_apart_is_apart() {
    let place = Place::new("");
    pipelines(&place, "daemonset", "stdout");
    let log = |namespace: &str, name: &str| {
        let folder = place.path(&format!("logs/{namespace}_pod-1_5f3c0a52-6f8e-4d3f-9d0c-2b1f0e8a7c11/server"));
        fs::create_dir_all(&folder).unwrap();
        folder.join(name)
    };
    fs::write(log("ads", "0.log"), in_cri(&records(0..20_000))).unwrap();
    append(&log("search", "0.log"), in_cri(&format!("INFO: started\n{}", records(0..10))));
    append(&log("search", "0.log.20261127-100000.tmp"), "packed");
    append(&log("fraud", "0.log"), in_cri(&records(0..5)));
    append(&log("kube-system", "0.log"), in_cri(&records(0..5)));
    let namespaces = |pipeline: &str| -> Vec<String> {
        let file = format!("pipelines/{pipeline}.yaml");
        let text = fs::read_to_string(place.path(&file)).unwrap().replace("\nrate_limit:", "\n# rate_limit:");
        fs::write(place.path(&file), text).unwrap();
        let mut command = place.inferlog(&["run", "--once", "--listen", "off", &file]);
        environment(&mut command, &place);
        let ended = start(command).wait();
        assert_eq!(ended.code, Some(0), "{pipeline}: {}", ended.stderr);
        let documents = ended.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let hidden = |document: &Value| document["features"] == "[redacted]";
        documents
            .inspect(|document| assert_eq!(hidden(document), pipeline == "fraud", "{document}"))
            .map(|document| document["kubernetes.namespace"].as_str().unwrap().to_owned())
            .collect()
    };
    let found = namespaces("tenants");
    assert_eq!((found.len(), found.iter().filter(|name| *name == "search").count()), (20_010, 10));
    let last = found.iter().rposition(|name| name == "search").unwrap();
    assert!(last < 10_000, "search waited for {last} records of ads");
    assert_eq!(namespaces("fraud"), ["fraud"; 5]);
}

/// How long a record certainly stays on the node, in minutes, where inferlog does not read: all files but the one that is
/// written are whole.
fn minutes(file_mib: f64, files: f64, records_per_second: f64) -> f64 {
    const RECORD_BYTES: f64 = 400.0;
    /// Time, stream and tag before each line.
    const CRI_BYTES: f64 = 45.0;
    file_mib * 1_048_576.0 * (files - 1.0) / (records_per_second * (RECORD_BYTES + CRI_BYTES)) / 60.0
}

#[test]
fn the_guides_table_of_what_the_kubelet_keeps_is_computed() {
    let text = fs::read_to_string(project("docs/kubernetes.md")).unwrap();
    for records_per_second in [1.0, 10.0, 100.0, 1_000.0, 5_000.0] {
        let kib = records_per_second * 445.0 / 1_024.0;
        let cells =
            [(10.0, 5.0), (50.0, 5.0), (100.0, 10.0)].map(|(mib, files)| said(minutes(mib, files, records_per_second)));
        let row = format!("| {records_per_second} | {kib:.1} KiB | {} |", cells.join(" | "));
        assert!(text.contains(&row), "docs/kubernetes.md lacks {row}");
    }
}

fn said(minutes: f64) -> String {
    match minutes {
        days if days >= 2.0 * 24.0 * 60.0 => format!("{:.1} d", days / 60.0 / 24.0),
        hours if hours >= 120.0 => format!("{:.1} h", hours / 60.0),
        _ => format!("{minutes:.1} min"),
    }
}
