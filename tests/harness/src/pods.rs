//! Shapes of pods that ask for the sidecar, or do not: what an injector has to cope with.

use serde_json::{json, Value as Json};

/// What an injector does with a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It has the sidecar afterwards.
    Injected,
    /// It is not asked about, or has the sidecar already.
    Untouched,
    /// It stays as it is, with a reason that has these words in it.
    LeftAlone(&'static str),
}

/// A pod, and what becomes of it.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Name of the pod.
    pub name: &'static str,
    /// The pod as its owner makes it.
    pub pod: Json,
    /// What becomes of it.
    pub outcome: Outcome,
}

/// A pod with these fields in its `spec`, beside a main container if they bring none.
fn shape(name: &'static str, outcome: Outcome, fields: Json) -> Shape {
    let mut spec = json!({"containers": [{"name": "main", "image": "busybox:1.37.0"}]});
    if let (Some(spec), Json::Object(fields)) = (spec.as_object_mut(), fields) {
        spec.extend(fields);
    }
    let labels = json!({"app": name, "flb-sidecar/inject": "true"});
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    });
    Shape { name, pod, outcome }
}

/// The first one is the plainest.
pub fn shapes() -> Vec<Shape> {
    use Outcome::{Injected, LeftAlone, Untouched};
    let init = |name: &str| json!({"name": name, "image": "busybox:1.37.0"});
    let main = |extra: Json| {
        let mut main = json!({"name": "main", "image": "busybox:1.37.0"});
        if let (Some(main), Json::Object(extra)) = (main.as_object_mut(), extra) {
            main.extend(extra);
        }
        main
    };
    let limits = |cpu: Option<&str>| {
        let mut limits = json!({"memory": "64Mi"});
        if let Some(cpu) = cpu {
            limits["cpu"] = cpu.into();
        }
        json!({"resources": {"limits": limits}})
    };
    let volume = |source: Json| json!([source]);
    let mut shapes = vec![
        shape("plain", Injected, json!({})),
        shape(
            "with-init-containers",
            Injected,
            json!({"initContainers": [init("migrate"), init("warm-up")]}),
        ),
        shape(
            "with-another-native-sidecar",
            Injected,
            json!({"initContainers": [{"name": "proxy", "image": "envoy", "restartPolicy": "Always"}]}),
        ),
        shape(
            "logs-on-an-empty-dir",
            Injected,
            json!({"volumes": volume(json!({"name": "logs", "emptyDir": {"medium": "Memory"}}))}),
        ),
        shape(
            "logs-on-a-claim",
            Injected,
            json!({"volumes": volume(json!({"name": "logs", "persistentVolumeClaim": {"claimName": "web"}}))}),
        ),
        shape(
            "logs-on-the-node",
            Injected,
            json!({"volumes": volume(json!({"name": "logs", "hostPath": {"path": "/var/log/web"}}))}),
        ),
        shape(
            "state-of-its-own",
            Injected,
            json!({"volumes": volume(json!({"name": "flb-sidecar-state", "persistentVolumeClaim": {"claimName": "state"}}))}),
        ),
        shape(
            "configuration-of-its-own",
            Injected,
            json!({"volumes": volume(json!({"name": "flb-sidecar-config", "configMap": {"name": "mine"}}))}),
        ),
        shape(
            "volumes-with-the-names-of-old",
            Injected,
            json!({"volumes": [
                {"name": "logs-state", "emptyDir": {}},
                {"name": "logs-config", "secret": {"secretName": "x"}},
            ]}),
        ),
        shape(
            "port-called-metrics",
            Injected,
            json!({"containers": [main(json!({"ports": [{"name": "metrics", "containerPort": 9090}]}))]}),
        ),
        shape(
            "several-containers",
            Injected,
            json!({"containers": [main(json!({})), {"name": "second", "image": "busybox:1.37.0"}]}),
        ),
        shape(
            "cpu-limits-everywhere",
            Injected,
            json!({"containers": [main(limits(Some("1")))]}),
        ),
        shape(
            "cpu-limits-somewhere",
            Injected,
            json!({"containers": [
                main(limits(Some("1"))),
                {"name": "second", "image": "busybox:1.37.0", "resources": {"limits": {"memory": "1Gi"}}},
            ]}),
        ),
        shape(
            "a-job-s",
            Injected,
            json!({"restartPolicy": "Never", "activeDeadlineSeconds": 600}),
        ),
        shape(
            "restricted",
            Injected,
            json!({"automountServiceAccountToken": false, "securityContext": {"runAsNonRoot": true, "runAsUser": 1000, "fsGroup": 65532}}),
        ),
        shape(
            "linux-by-name",
            Injected,
            json!({"os": {"name": "linux"}, "nodeSelector": {"kubernetes.io/os": "linux"}}),
        ),
        shape(
            "shared-processes",
            Injected,
            json!({"shareProcessNamespace": true}),
        ),
        shape(
            "not-on-the-host-s-network",
            Injected,
            json!({"hostNetwork": false}),
        ),
        shape(
            "windows",
            LeftAlone("Windows"),
            json!({"os": {"name": "windows"}}),
        ),
        shape(
            "windows-by-selector",
            LeftAlone("Windows"),
            json!({"nodeSelector": {"kubernetes.io/os": "windows"}}),
        ),
        shape(
            "on-the-host-s-network",
            LeftAlone("hostNetwork"),
            json!({"hostNetwork": true}),
        ),
        shape(
            "a-container-called-logs",
            LeftAlone("called logs"),
            json!({"containers": [{"name": "logs", "image": "busybox:1.37.0"}]}),
        ),
        shape(
            "an-init-container-called-logs",
            LeftAlone("called logs"),
            json!({"initContainers": [init("logs")]}),
        ),
        shape(
            "injected-by-the-component",
            Untouched,
            json!({
                "initContainers": [{
                    "name": "logs", "image": "x", "restartPolicy": "Always",
                    "volumeMounts": [{"name": "flb-sidecar-config", "mountPath": "/config"}],
                }],
                "volumes": [{"name": "flb-sidecar-config", "configMap": {"name": "fluent-bit-sidecar"}}],
            }),
        ),
        shape(
            "injected-as-a-second-container",
            Untouched,
            json!({
                "containers": [
                    main(json!({})),
                    {"name": "logs", "image": "x", "volumeMounts": [{"name": "flb-sidecar-config", "mountPath": "/config"}]},
                ],
                "volumes": [{"name": "flb-sidecar-config", "configMap": {"name": "fluent-bit-sidecar"}}],
            }),
        ),
        shape("without-the-label", Untouched, json!({})),
    ];
    if let Some(last) = shapes.last_mut() {
        last.pod["metadata"]["labels"] = json!({"app": "other"});
    }
    // Another injector's annotations stay.
    let mut annotated = shape(
        "annotated-windows",
        LeftAlone("Windows"),
        json!({"os": {"name": "windows"}}),
    );
    annotated.pod["metadata"]["annotations"] = json!({"team": "shop"});
    shapes.push(annotated);
    shapes
}
