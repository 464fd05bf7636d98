//! The manifests of conf/: valid against the published schemas, rendered with Kustomize, fit for
//! restricted Pod Security, and with configurations that a real host takes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flb_sidecar_tests::build::{self, root};
use flb_sidecar_tests::host::real_hosts;
use flb_sidecar_tests::{say, Pipeline};
use serde_json::Value as Json;

/// The image that has the plugins, in all manifests.
const IMAGES: &[&str] = &[
    "registry.example.com/fluent-bit-sidecar:5.1.1",
    "fluent/fluent-bit:5.1.1",
    "registry.example.com/shop/sidecar:1",
];

/// Oldest Kubernetes with native sidecars, and the newest whose schemas there are.
const RELEASES: &[&str] = &["1.29", "1.37"];

/// Folders that need a newer Kubernetes than the oldest.
const NEWER: &[&str] = &["admission-policy", "image-volume", "example-image-volume"];

fn python() -> Option<PathBuf> {
    let path = root().join("target/tools/bin/python");
    path.exists().then_some(path)
}

/// All files of conf/ with this extension.
fn files(extension: &str) -> Vec<PathBuf> {
    fn collect(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder of conf/") {
            let path = entry.expect("a folder can be read").path();
            if path.is_dir() {
                collect(&path, extension, found);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    collect(&root().join("conf"), extension, &mut found);
    found.sort();
    found
}

fn is_newer(path: &Path) -> bool {
    path.components()
        .any(|part| NEWER.iter().any(|name| part.as_os_str() == *name))
}

/// Validates files and gives their documents with the file; panics with what is wrong.
fn validated(python: &Path, release: &str, files: &[PathBuf]) -> Vec<(PathBuf, Json)> {
    let output = Command::new(python)
        .arg(root().join("tests/manifests.py"))
        .arg(release)
        .args(files)
        .output()
        .expect("Python starts");
    assert!(
        output.status.success(),
        "Kubernetes {release}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let all: Vec<Json> = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let file = |found: &Json| PathBuf::from(found["file"].as_str().unwrap_or_default());
    all.into_iter()
        .map(|found| (file(&found), found["document"].clone()))
        .collect()
}

/// Manifests that stand for themselves: no kustomizations, no patches of components.
fn manifests() -> Vec<PathBuf> {
    let all = files("yaml").into_iter().filter(|path| {
        let text = fs::read_to_string(path).expect("a file of conf/");
        let patch = text.contains("\n  name: any\n");
        let config = path.file_stem().is_some_and(|name| name == "fluent-bit");
        let other = path.starts_with(root().join("conf/observability"));
        text.contains("apiVersion:")
            && !text.contains("kustomize.config.k8s.io")
            && !patch
            && !config
            && !other
    });
    all.collect()
}

/// The kustomizations that are no components, rendered into `folder`. `None` without kubectl.
fn rendered(what: &str, folder: &Path) -> Option<Vec<PathBuf>> {
    let version = Command::new("kubectl")
        .args(["kustomize", "--help"])
        .output();
    if !version.is_ok_and(|output| output.status.success()) {
        say(&format!("SKIPPED {what}: kubectl is not installed"));
        return None;
    }
    let mut all = Vec::new();
    for path in files("yaml") {
        let text = fs::read_to_string(&path).expect("a file of conf/");
        if !path.ends_with("kustomization.yaml") || text.contains("kind: Component") {
            continue;
        }
        let source = path.parent().expect("a file has a folder");
        let output = Command::new("kubectl")
            .arg("kustomize")
            .arg(source)
            .output()
            .expect("kubectl starts");
        assert!(
            output.status.success(),
            "{}: {}",
            source.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        let name = source.strip_prefix(root().join("conf"));
        let place = folder.join(name.expect("it is in conf/"));
        fs::create_dir_all(&place).expect("a temporary folder takes folders");
        let file = place.join("all.yaml");
        fs::write(&file, output.stdout).expect("a temporary folder takes files");
        all.push(file);
    }
    assert!(all.len() >= 10, "{all:?}");
    Some(all)
}

/// The pod of a workload.
fn pod(document: &Json) -> Option<&Json> {
    let spec = &document["spec"];
    match document["kind"].as_str()? {
        "Pod" => Some(spec),
        "CronJob" => Some(&spec["jobTemplate"]["spec"]["template"]["spec"]),
        "Deployment" | "StatefulSet" | "Job" => Some(&spec["template"]["spec"]),
        _ => None,
    }
}

fn containers<'a>(pod: &'a Json, key: &str) -> impl Iterator<Item = &'a Json> {
    pod[key].as_array().into_iter().flatten()
}

fn is_sidecar(container: &&Json) -> bool {
    IMAGES.iter().any(|image| container["image"] == *image)
}

/// What the Pod Security Standard "restricted" wants of a container.
fn is_restricted(pod: &Json, container: &Json) -> bool {
    let own = &container["securityContext"];
    let shared = &pod["securityContext"];
    let either = |key: &str| {
        if own[key].is_null() {
            &shared[key]
        } else {
            &own[key]
        }
    };
    own["allowPrivilegeEscalation"] == false
        && own["capabilities"]["drop"] == serde_json::json!(["ALL"])
        && own["capabilities"]["add"].is_null()
        && own["privileged"].is_null()
        && *either("runAsNonRoot") == true
        && *either("runAsUser") != 0
        && either("seccompProfile")["type"] == "RuntimeDefault"
}

#[test]
fn every_manifest_is_valid() {
    let Some(python) = python() else {
        say("SKIPPED manifests against schemas: no kubernetes-validate, see tests/tools.txt");
        return;
    };
    for release in RELEASES {
        let oldest = *release == RELEASES[0];
        let files: Vec<PathBuf> = manifests()
            .into_iter()
            .filter(|path| !(oldest && is_newer(path)))
            .collect();
        let found = validated(&python, release, &files);
        assert!(found.len() >= 10, "{}", found.len());
        let of_triggers = |file: &Path| {
            file.parent()
                .is_some_and(|f| f.ends_with("completion_exit"))
        };
        let mut pods = 0;
        for (file, document) in found.iter().filter(|(file, _)| of_triggers(file)) {
            let Some(pod) = pod(document) else {
                continue;
            };
            pods += 1;
            for container in containers(pod, "containers").chain(containers(pod, "initContainers"))
            {
                let read_only = container["securityContext"]["readOnlyRootFilesystem"] == true;
                let restricted = is_restricted(pod, container) && read_only;
                assert!(restricted, "{}: {container}", file.display());
            }
        }
        assert!(pods >= 6, "{pods}");
    }
}

#[test]
fn a_mistake_is_found() {
    let Some(python) = python() else {
        say("SKIPPED schemas: no kubernetes-validate, see tests/tools.txt");
        return;
    };
    let text = fs::read_to_string(root().join("conf/kubernetes/sidecarset/sidecarset.yaml"))
        .expect("it is there");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (right, wrong) in [
        ("readinessProbe:", "readynessProbe:"),
        ("maxUnavailable: 10%", "maxUnavailable: ten"),
        (
            "podInjectPolicy: AfterAppContainer",
            "podInjectPolicy: After",
        ),
    ] {
        assert!(text.contains(right), "{right}");
        let file = folder.path().join("wrong.yaml");
        fs::write(&file, text.replace(right, wrong)).expect("a temporary folder takes files");
        let output = Command::new(&python)
            .arg(root().join("tests/manifests.py"))
            .arg("1.37")
            .arg(&file)
            .output()
            .expect("Python starts");
        assert!(!output.status.success(), "{wrong} is taken");
    }
}

#[test]
fn every_kustomization_renders_to_restricted_pods_with_one_sidecar() {
    let Some(python) = python() else {
        say("SKIPPED kustomizations: no kubernetes-validate, see tests/tools.txt");
        return;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(all) = rendered("kustomizations", folder.path()) else {
        return;
    };
    let mut kinds = BTreeSet::new();
    for release in RELEASES {
        let files: Vec<PathBuf> = all
            .iter()
            .filter(|file| !(*release == RELEASES[0] && is_newer(file)))
            // Kinds of the Prometheus operator, which have no published schema here.
            .filter(|file| !file.starts_with(folder.path().join("observability")))
            .cloned()
            .collect();
        for (file, document) in validated(&python, release, &files) {
            let Some(pod) = pod(&document) else {
                continue;
            };
            let name = format!("{} {}", file.display(), document["metadata"]["name"]);
            let all: Vec<&Json> = containers(pod, "containers")
                .chain(containers(pod, "initContainers"))
                .collect();
            for container in &all {
                assert!(is_restricted(pod, container), "{name}: {container}");
                assert_eq!(
                    container["securityContext"]["readOnlyRootFilesystem"], true,
                    "{name}"
                );
                assert!(
                    !container["resources"]["limits"]["memory"].is_null(),
                    "{name}"
                );
            }
            if file
                .parent()
                .is_some_and(|f| f.ends_with("sidecarset") || f.ends_with("shared-volume"))
            {
                continue;
            }
            let native: Vec<&Json> = containers(pod, "initContainers")
                .filter(is_sidecar)
                .collect();
            let beside: Vec<&Json> = containers(pod, "containers").filter(is_sidecar).collect();
            assert_eq!(native.len() + beside.len(), 1, "{name}");
            let sidecar = native.iter().chain(&beside).next().expect("there is one");
            assert_eq!(
                native.len(),
                usize::from(sidecar["restartPolicy"] == "Always"),
                "{name}"
            );
            // It says which SIGTERM it gets.
            let mut says = sidecar["env"].as_array().into_iter().flatten();
            let says = says.any(|variable| variable["name"] == "FLB_SIDECAR_NATIVE");
            assert_eq!(says, native.len() == 1, "{name}");
            assert_eq!(sidecar["resources"]["requests"]["memory"], "64Mi", "{name}");
            assert_eq!(sidecar["resources"]["limits"]["memory"], "128Mi", "{name}");
            assert_eq!(
                sidecar["livenessProbe"]["httpGet"]["path"], "/api/v1/health",
                "{name}"
            );
            let ready =
                serde_json::json!(["/fluent-bit/plugins/flb-sidecar-probe", "/state/ready"]);
            assert_eq!(
                sidecar["readinessProbe"]["exec"]["command"], ready,
                "{name}"
            );
            assert!(
                pod["terminationGracePeriodSeconds"].as_u64() >= Some(30),
                "{name}"
            );
            // `kubectl logs` shows the first of the main containers: never the sidecar.
            let main = containers(pod, "containers").next().expect("there is one");
            assert_ne!(main["name"], "logs", "{name}");
            for port in containers(sidecar, "ports") {
                // A Service's `targetPort: metrics` is the main container's.
                assert_eq!(port["name"], "flb-metrics", "{name}");
            }
            // A plugin file must be there before the host starts.
            if let Some(first) = containers(pod, "initContainers").next() {
                let installs = first["name"] == "flb-sidecar-plugins";
                assert!(installs || first["name"] == "logs", "{name}: {first}");
            }
            kinds.insert(document["kind"].to_string());
        }
    }
    let wanted = [
        "\"CronJob\"",
        "\"Deployment\"",
        "\"Job\"",
        "\"StatefulSet\"",
    ];
    assert_eq!(kinds, wanted.map(str::to_owned).into());
}

/// A kustomization of its own beside conf/, as a user writes one.
fn kustomized(name: &str, text: &str, resources: &str) -> Option<String> {
    let folder = root().join("target/kustomizations").join(name);
    fs::create_dir_all(&folder).expect("target/ takes folders");
    fs::write(folder.join("kustomization.yaml"), text).expect("it takes files");
    fs::write(folder.join("resources.yaml"), resources).expect("it takes files");
    let output = Command::new("kubectl")
        .arg("kustomize")
        .arg(&folder)
        .output();
    let Ok(output) = output else {
        say(&format!("SKIPPED {name}: kubectl is not installed"));
        return None;
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn components_leave_the_volume_logs_to_the_workload() {
    let workload = |kind: &str, volume: &str| {
        format!(
            "apiVersion: apps/v1\nkind: {kind}\nmetadata: {{name: web, labels: {{flb-sidecar/inject: \"true\"}}}}\n\
             spec:\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
             spec:\n      containers:\n        - {{name: web, image: web, volumeMounts: [{{name: logs, mountPath: /logs}}]}}\n{volume}"
        )
    };
    let claim = "      volumes: [{name: logs, persistentVolumeClaim: {claimName: web-logs}}]\n";
    let host = "      volumes: [{name: logs, hostPath: {path: /var/log/web}}]\n";
    let template = "  volumeClaimTemplates: [{metadata: {name: logs}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]\n";
    for component in ["native-sidecar", "sidecar"] {
        let text = format!(
            "resources: [resources.yaml]\ncomponents: [../../../conf/kubernetes/{component}]\n"
        );
        for (what, kind, volume) in [
            ("claim", "Deployment", claim),
            ("host", "Deployment", host),
            ("template", "StatefulSet", template),
        ] {
            let name = format!("{component}-{what}");
            let Some(all) = kustomized(&name, &text, &workload(kind, volume)) else {
                return;
            };
            assert!(all.contains("flb-sidecar-state"), "{name}: {all}");
            let of_type = all.lines().filter(|line| line.trim() == "- emptyDir:");
            // The sidecar's own state is the only one.
            assert_eq!(of_type.count(), 1, "{name}: {all}");
        }
    }
}

#[test]
fn another_image_is_one_entry_of_a_kustomization() {
    let page = fs::read_to_string(root().join("conf/kubernetes/README.md")).expect("it is there");
    let (_, entry) = page
        .split_once("```yaml\nimages:")
        .expect("the page shows it");
    let (entry, _) = entry.split_once("```").expect("the block is closed");
    let text =
        format!("resources: [../../../conf/kubernetes/example, resources.yaml]\nimages:{entry}");
    let Some(all) = kustomized("images", &text, "") else {
        return;
    };
    assert!(!all.contains("registry.example.com"), "{all}");
}

#[test]
fn the_base_puts_everything_into_its_namespace_and_opens_a_way_to_the_api() {
    let base = "resources: [../../../conf/kubernetes/base, resources.yaml]\n";
    let Some(all) = kustomized("base", base, "") else {
        return;
    };
    let objects: Vec<&str> = all.split("---\n").collect();
    assert!(objects.len() >= 6, "{all}");
    for object in &objects {
        let own = object.contains("kind: Namespace\n") || object.contains("namespace: shop\n");
        assert!(own, "{object}");
    }
    let way = objects
        .iter()
        .find(|object| object.contains("name: fluent-bit-sidecar-api"));
    let way = way.expect("there is a policy for the API");
    assert!(
        way.contains("port: 443") && way.contains("flb-sidecar/use-api"),
        "{way}"
    );
}

/// Image volumes: alpha in 1.31, with the `subPath` that the component uses from 1.33 on, without a
/// feature gate from 1.35 on.
#[test]
fn every_page_says_the_same_of_image_volumes() {
    let mut pages = 0;
    for file in [
        "docker/README.md",
        "conf/kubernetes/README.md",
        "conf/kubernetes/image-volume/kustomization.yaml",
    ] {
        let text = fs::read_to_string(root().join(file)).expect("it is there");
        let text = text
            .replace("\n# ", " ")
            .replace('\n', " ")
            .replace('`', "");
        let said = "Kubernetes 1.33 with the feature gate ImageVolume, 1.35 without";
        assert!(text.contains(said), "{file}");
        pages += 1;
    }
    assert_eq!(pages, 3);
}

#[test]
fn a_host_takes_the_configuration_in_every_config_map() {
    let (Some(python), Some(host)) = (python(), real_hosts().pop()) else {
        say("SKIPPED configurations in manifests: no Fluent Bit or no kubernetes-validate");
        return;
    };
    let mut checked = 0;
    for (file, document) in validated(&python, "1.37", &manifests()) {
        let Some(text) = document["data"]["fluent-bit.conf"].as_str() else {
            continue;
        };
        let mut pipeline = Pipeline::bare(&host);
        build::link_plugins(pipeline.folder(), &build::library(), build::PLUGINS);
        let mut list = "[PLUGINS]\n".to_owned();
        for name in build::PLUGINS {
            list.push_str(&format!(
                "    Path {}\n",
                pipeline.path(&format!("flb-{name}.so"))
            ));
        }
        let list = pipeline.file("plugins.conf", list);
        let text = text.replace("/fluent-bit/plugins/plugins.conf", &list);
        let config = pipeline.file("fluent-bit.conf", text);
        pipeline.arg("-c").arg(config).arg("--dry-run");
        let ended = pipeline.run();
        ended.check_status(0);
        let errors = ended.error_lines().join("\n");
        assert!(errors.is_empty(), "{}: {errors}", file.display());
        checked += 1;
    }
    assert!(checked >= 5, "{checked}");
}

/// What `use_api` needs, and nothing else: to get pods and the own namespace's object, in a Role.
#[test]
fn the_roles_for_the_api_allow_get_only() {
    let Some(python) = python() else {
        say("SKIPPED the Roles of kube_metadata: no kubernetes-validate, see tests/tools.txt");
        return;
    };
    let folder = root().join("conf/kubernetes/kube_metadata");
    let files = ["rbac.yaml", "rbac-statefulset.yaml"].map(|name| folder.join(name));
    let documents = validated(&python, "1.37", &files);
    let roles = documents.iter().filter(|(_, d)| d["kind"] == "Role");
    let mut rules = Vec::new();
    for (file, role) in roles {
        for rule in role["rules"].as_array().expect("a Role has rules") {
            assert_eq!(rule["verbs"], serde_json::json!(["get"]), "{rule}");
            let named = rule.get("resourceNames").is_some();
            assert_eq!(named, file.ends_with("rbac-statefulset.yaml"), "{rule}");
            rules.push(rule["resources"][0].as_str().expect("a resource"));
        }
    }
    assert_eq!(rules, ["pods", "namespaces", "pods"]);
    let cluster = documents.iter().find(|(_, d)| d["kind"] == "ClusterRole");
    assert!(cluster.is_none(), "no right goes beyond the namespace");
}

/// The health check as Argo CD runs it: Lua with the object in `obj`. A host has Lua, too.
#[test]
fn argo_cd_sees_the_health_of_a_sidecar_set() {
    let Some(host) = real_hosts().pop() else {
        return say("SKIPPED Argo CD's health check: no Fluent Bit found");
    };
    let text = fs::read_to_string(root().join("conf/kubernetes/argocd/argocd-cm.yaml"));
    let text = text.expect("it is there");
    let (_, check) = text.split_once("_SidecarSet: |\n").expect("there is one");
    let script = format!(
        "local function health(obj)\n{check}\nend\n\
         function run(tag, time, record)\n\
         local found = health(record)\n\
         return 2, time, {{log = found.status}}\nend\n"
    );
    let set = |update: &str, generation: u32, counts: [u32; 3]| {
        let [matched, updated, ready] = counts;
        format!(
            r#"{{"metadata":{{"generation":2}},"spec":{{"updateStrategy":{update}}},"status":{{"observedGeneration":{generation},"matchedPods":{matched},"updatedPods":{updated},"updatedReadyPods":{ready}}}}}"#
        )
    };
    let canary = r#"{"selector":{"matchLabels":{"canary":"true"}}}"#;
    let cases = [
        (
            r#"{"metadata":{"generation":1},"spec":{}}"#.to_owned(),
            "Progressing",
        ),
        (set("{}", 1, [4, 4, 4]), "Progressing"),
        (set("{}", 2, [4, 2, 2]), "Progressing"),
        (set("{}", 2, [4, 4, 3]), "Progressing"),
        (set("{}", 2, [4, 4, 4]), "Healthy"),
        (set("{}", 2, [0, 0, 0]), "Healthy"),
        (set(r#"{"paused":true}"#, 2, [4, 2, 2]), "Suspended"),
        (set(canary, 2, [4, 1, 0]), "Progressing"),
        (set(canary, 2, [4, 1, 1]), "Healthy"),
    ];
    let mut pipeline = Pipeline::new(&host);
    let script = pipeline.file("health.lua", script);
    let lines: String = cases.iter().map(|(set, _)| format!("{set}\n")).collect();
    let sets = pipeline.file("sets.json", lines);
    let flag = pipeline.file("flag", "");
    pipeline
        .input(
            "sidecar_tail",
            &[("path", sets.as_str()), ("format", "json")],
        )
        .filter("lua", "*", &[("script", script.as_str()), ("call", "run")])
        .print()
        .output("completion_exit", "*", &[("flag_file", &flag)]);
    let ended = pipeline.run();
    ended.check_status(0);
    let records = ended.records();
    let found: Vec<&str> = records
        .iter()
        .map(|record| record["log"].as_str().unwrap_or_default())
        .collect();
    let wanted: Vec<&str> = cases.iter().map(|(_, status)| *status).collect();
    ended.check(&format!("{wanted:?}"), found == wanted);
}
