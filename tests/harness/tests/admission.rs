//! conf/kubernetes/admission-policy on twenty shapes of pods, its expressions evaluated without an
//! API server (tests/policy.py). `make e2e` asks a real one the same.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::pods::{shapes, Outcome, Shape};
use flb_sidecar_tests::say;
use serde_json::{json, Value as Json};

fn python() -> Option<PathBuf> {
    let path = root().join("target/tools/bin/python");
    path.exists().then_some(path)
}

/// Pods after the policy, with what its twin warns of; `None` without the tools.
fn admitted(what: &str, pods: &[Json]) -> Option<Vec<(Json, Vec<String>)>> {
    let Some(python) = python() else {
        say(&format!(
            "SKIPPED {what}: no cel-python, see tests/tools.txt"
        ));
        return None;
    };
    let folder = root().join("conf/kubernetes/admission-policy");
    let mut child = Command::new(python)
        .arg(root().join("tests/policy.py"))
        .arg("1.37")
        .args(["policy.yaml", "warning.yaml"].map(|name| folder.join(name)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let text = serde_json::to_vec(pods).expect("pods are JSON");
    let mut input = child.stdin.take().expect("it is piped");
    input.write_all(&text).expect("it reads all of it");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let all: Vec<Json> = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let warnings = |found: &Json| {
        let texts = found["warnings"].as_array().into_iter().flatten();
        texts
            .map(|text| text.as_str().unwrap_or_default().to_owned())
            .collect()
    };
    Some(
        all.iter()
            .map(|found| (found["pod"].clone(), warnings(found)))
            .collect(),
    )
}

fn names(list: &Json) -> Vec<&str> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|item| item["name"].as_str()).collect()
}

#[test]
fn every_shape_of_pod_is_injected_or_left_alone_with_a_reason() {
    let shapes = shapes();
    assert!(shapes.len() >= 20, "{}", shapes.len());
    let pods: Vec<Json> = shapes.iter().map(|shape| shape.pod.clone()).collect();
    let Some(all) = admitted("the admission policy on twenty pods", &pods) else {
        return;
    };
    for (Shape { name, pod, outcome }, (after, warnings)) in shapes.iter().zip(&all) {
        let spec = &after["spec"];
        match outcome {
            Outcome::Untouched => {
                assert_eq!(after, pod, "{name}");
                assert!(warnings.is_empty(), "{name}: {warnings:?}");
            }
            Outcome::LeftAlone(reason) => {
                assert_eq!(spec, &pod["spec"], "{name}");
                let said = after["metadata"]["annotations"]["flb-sidecar/not-injected"].as_str();
                assert!(
                    said.is_some_and(|said| said.contains(reason)),
                    "{name}: {said:?}"
                );
                let [warning] = warnings.as_slice() else {
                    panic!("{name}: {warnings:?}");
                };
                assert!(warning.contains(reason), "{name}: {warning}");
            }
            Outcome::Injected => {
                assert!(warnings.is_empty(), "{name}: {warnings:?}");
                let sidecar = &spec["initContainers"][0];
                assert_eq!(
                    sidecar["name"], "logs",
                    "{name}: it starts before all others"
                );
                assert_eq!(sidecar["restartPolicy"], "Always", "{name}");
                assert_eq!(spec["containers"], pod["spec"]["containers"], "{name}");
                let others = names(&pod["spec"]["initContainers"]);
                assert_eq!(names(&spec["initContainers"])[1..], others, "{name}");
                // What was there stays; no name comes twice; each mount has its volume.
                let before = pod["spec"]["volumes"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default();
                let volumes = spec["volumes"].as_array().expect("there are volumes");
                assert_eq!(volumes[..before.len()], before, "{name}");
                let mut unique = names(&spec["volumes"]);
                unique.sort_unstable();
                unique.dedup();
                assert_eq!(unique.len(), volumes.len(), "{name}: {unique:?}");
                for mount in names(&sidecar["volumeMounts"]) {
                    assert!(unique.contains(&mount), "{name}: {mount}");
                }
            }
        }
    }
}

#[test]
fn a_cpu_limit_is_set_where_all_others_have_one() {
    let shapes = shapes();
    let pods: Vec<Json> = shapes.iter().map(|shape| shape.pod.clone()).collect();
    let Some(all) = admitted("CPU limits", &pods) else {
        return;
    };
    let mut limited = 0;
    for (shape, (after, _)) in shapes.iter().zip(&all) {
        if shape.outcome != Outcome::Injected {
            continue;
        }
        let all = shape.pod["spec"]["containers"].as_array().expect("some");
        let every = all
            .iter()
            .all(|c| !c["resources"]["limits"]["cpu"].is_null());
        let own = &after["spec"]["initContainers"][0]["resources"]["limits"]["cpu"];
        assert_eq!(own.is_null(), !every, "{}", shape.name);
        limited += usize::from(every);
    }
    assert!(limited >= 1);
}

/// The policy's container is the component's, but for what an injected one needs beyond it.
#[test]
fn the_policy_injects_what_the_component_does() {
    let Some(python) = python() else {
        say("SKIPPED policy and component: no YAML parser, see tests/tools.txt");
        return;
    };
    let component = root().join("conf/kubernetes/native-sidecar/workload.yaml");
    let output = Command::new(python)
        .args([
            "-c",
            "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))",
        ])
        .arg(component)
        .output()
        .expect("Python starts");
    let component: Json = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let component = &component["spec"]["template"]["spec"];
    let plain = &shapes()[0].pod;
    let Some(all) = admitted("policy and component", std::slice::from_ref(plain)) else {
        return;
    };
    let mut injected = all[0].0["spec"]["initContainers"][0].clone();
    let mut wanted = component["initContainers"][0].clone();
    // A missing ConfigMap must not keep the main container from its start.
    assert_eq!(injected["envFrom"][0]["configMapRef"]["optional"], true);
    let args = json!([
        "/config/fluent-bit.conf",
        "/fluent-bit/etc/default/fluent-bit.conf"
    ]);
    assert_eq!(injected["args"], args);
    assert_eq!(wanted["args"], json!(["-c", args[0]]));
    for container in [&mut injected, &mut wanted] {
        let fields = container.as_object_mut().expect("a container");
        fields.remove("command");
        fields.remove("args");
        fields["envFrom"] = json!(names_of_sources(&fields["envFrom"]));
        // The policy names the port by its number.
        fields["livenessProbe"]["httpGet"]["port"] = Json::Null;
    }
    assert_eq!(injected, wanted);
    let volumes = all[0].0["spec"]["volumes"].as_array().expect("volumes");
    for volume in component["volumes"].as_array().expect("volumes") {
        let own = volumes.iter().find(|own| own["name"] == volume["name"]);
        let mut own = own.unwrap_or_else(|| panic!("no {volume}")).clone();
        if let Some(map) = own.get_mut("configMap").and_then(Json::as_object_mut) {
            assert_eq!(map.remove("optional"), Some(true.into()));
        }
        assert_eq!(&own, volume);
    }
    let configuration = root().join("docker/Dockerfile");
    let image = fs::read_to_string(configuration).expect("it is there");
    assert!(image.contains("conf/default/fluent-bit.conf"), "{image}");
    assert!(image.contains(" /fluent-bit/etc/default/\n"), "{image}");
}

fn names_of_sources(list: &Json) -> Vec<String> {
    let sources = list.as_array().into_iter().flatten();
    sources
        .filter_map(|source| source.as_object()?.values().next())
        .map(|source| source["name"].to_string())
        .collect()
}
