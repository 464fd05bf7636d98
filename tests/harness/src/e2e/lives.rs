//! Pods that live on until something is done to them, made of the components and configurations in conf/.

use serde_json::{json, Value as Json};

use super::account::LAST;
use super::render::Images;

/// How the sidecar is in the pod: a component of conf/kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// An init container that keeps running.
    Native,
    /// A second container.
    Second,
}

impl Placement {
    /// Its folder.
    pub fn component(self) -> &'static str {
        match self {
            Placement::Native => "kubernetes/native-sidecar",
            Placement::Second => "kubernetes/sidecar",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Placement::Native => "native",
            Placement::Second => "second",
        }
    }
}

/// What is done to a pod, and what must come of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is deleted; its main container writes a last line within the grace period.
    Delete,
    /// It is deleted; its main container does not listen to SIGTERM.
    DeleteInVain,
    /// A container of it is killed or fails, and is started again: this one.
    Restart(&'static str),
    /// The sidecar gets this image, in place; then the pod is deleted.
    ChangeImage(Option<String>),
    /// A label changes; meanwhile its probes are looked at.
    Relabel,
}

/// A Deployment of one pod, and what is done to it.
#[derive(Clone, Debug)]
pub struct Life {
    /// Name of the Deployment.
    pub name: String,
    /// How the sidecar is in its pod.
    pub placement: Placement,
    /// The Deployment, without sidecar.
    pub deployment: Json,
    /// What is done.
    pub act: Act,
}

impl Life {
    /// The same with a volume `logs` that is there already, on which root alone may write.
    #[must_use]
    pub fn over(mut self, kind: &str, volume: &Json) -> Self {
        self.name = format!("{}-{kind}", self.placement.name());
        let name = Json::from(self.name.as_str());
        self.deployment["metadata"]["name"] = name.clone();
        let spec = &mut self.deployment["spec"];
        spec["selector"]["matchLabels"]["app"] = name.clone();
        spec["template"]["metadata"]["labels"]["app"] = name;
        let pod = &mut spec["template"]["spec"];
        pod["volumes"] = json!([volume]);
        pod["containers"][0]["securityContext"]["runAsNonRoot"] = false.into();
        pod["containers"][0]["securityContext"]["runAsUser"] = 0.into();
        self
    }
}

/// The pods stay visible until a run has looked at them.
pub const FINALIZER: &str = "flb-sidecar/e2e";

/// What every script begins with; `say` writes a line.
const PRELUDE: &str = r#"i=0
say() { i=$((i+1)); echo "line $i of user$i@example.com $*" >> /var/log/app/app.log; }
"#;

fn deployment(name: &str, script: &str, pod: &Json) -> Json {
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "terminationGracePeriodSeconds": 30,
        "containers": [{
            "name": "main",
            "image": "busybox:1.37.0",
            "command": ["/bin/sh", "-c", format!("{PRELUDE}{script}")],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "volumeMounts": [{"name": "logs", "mountPath": "/var/log/app"}],
        }],
        "volumes": [{"name": "logs", "emptyDir": {"sizeLimit": "1Gi"}}],
    });
    if let (Some(spec), Some(fields)) = (spec.as_object_mut(), pod.as_object()) {
        spec.extend(fields.clone());
    }
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"flb-sidecar/inject": "true"}},
        "spec": {
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name, "flb-e2e": "first"}, "finalizers": [FINALIZER]},
                "spec": spec,
            },
        },
    })
}

/// Everything that happens to pods.
pub fn lives(images: &Images) -> Vec<Life> {
    let at_once = format!("trap 'say {LAST}; exit 0' TERM\nwhile :; do say; sleep 0.1; done");
    let slowly = format!(
        "bye() {{ n=0; while [ $n -lt 40 ]; do n=$((n+1)); say; sleep 0.1; done; say {LAST}; exit 0; }}\n\
         trap bye TERM\nwhile :; do say; sleep 0.1; done"
    );
    let never = "trap '' TERM\nwhile :; do say; sleep 0.1; done".to_owned();
    let some = "n=0; while [ $n -lt 20 ]; do n=$((n+1)); say; sleep 0.1; done";
    let rest = "trap 'exit 0' TERM\nwhile :; do sleep 0.2; done";
    let killed =
        format!("{some}\nsleep 4\nkill -9 $(pidof fluent-bit)\n{some}\nsay {LAST}\n{rest}");
    // The log of the first life is there in the second.
    let fails = format!(
        "if [ -e /var/log/app/app.log ]; then i=$(wc -l < /var/log/app/app.log); {some}; say {LAST}; fi\n\
         [ $i -gt 0 ] || {{ {some}; exit 1; }}\n{rest}"
    );
    let none = json!({});
    let mut all = Vec::new();
    let mut add = |name: &str, placement: Placement, script: &str, pod: &Json, act: Act| {
        let name = format!("{}-{name}", placement.name());
        all.push(Life {
            deployment: deployment(&name, script, pod),
            name,
            placement,
            act,
        });
    };
    for placement in [Placement::Native, Placement::Second] {
        add("ends-at-once", placement, &at_once, &none, Act::Delete);
        add("ends-slowly", placement, &slowly, &none, Act::Delete);
        add("ends-never", placement, &never, &none, Act::DeleteInVain);
        let image = Act::ChangeImage(images.next());
        add("new-image", placement, &at_once, &none, image);
        let shared = json!({"shareProcessNamespace": true});
        add("killed", placement, &killed, &shared, Act::Restart("logs"));
        add("main-fails", placement, &fails, &none, Act::Restart("main"));
    }
    add(
        "relabelled",
        Placement::Native,
        &at_once,
        &none,
        Act::Relabel,
    );
    all
}
