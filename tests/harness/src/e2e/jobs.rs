//! Jobs with a main container and its sidecar: what is tried, and what must come of it.

use serde_json::{json, Value as Json};

/// Lines that each main container writes.
pub const LINES: usize = 20;

/// Who says that the main container is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The kubelet's SIGTERM to a native sidecar.
    Native,
    /// A flag file with the exit status.
    Flag,
    /// The end of the main container's processes in a shared PID namespace.
    Processes,
    /// The pod's status in the API.
    Api,
}

impl Trigger {
    /// Its name in a report of `completion_exit`.
    fn name(self) -> &'static str {
        match self {
            Trigger::Native => "sigterm",
            Trigger::Flag => "flag_file",
            Trigger::Processes => "process",
            Trigger::Api => "api_container",
        }
    }
}

/// How the destination answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// It takes everything.
    Ok,
    /// 503 for as long as the main container lives, then it takes everything.
    RefusesFirst,
    /// It never answers.
    Hangs,
    /// It answers a byte a second.
    Drips,
    /// It closes each connection.
    Resets,
}

impl Mood {
    /// The collector's name of it while the Job runs.
    pub fn name(self) -> &'static str {
        match self {
            Mood::Ok => "ok",
            Mood::RefusesFirst => "refuse",
            Mood::Hangs => "hang",
            Mood::Drips => "drip",
            Mood::Resets => "reset",
        }
    }

    /// Whether everything can be delivered in the end.
    fn delivers(self) -> bool {
        matches!(self, Mood::Ok | Mood::RefusesFirst)
    }
}

/// What must come of a Job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The Job's condition.
    pub condition: &'static str,
    /// Each line is delivered exactly once.
    pub all_lines: bool,
    /// Seconds from the main container's end to the sidecar's, at most; where the destination
    /// refuses, from its change of mood.
    pub seconds: u64,
    /// What the sidecar's termination message says of the trigger.
    pub trigger: &'static str,
}

/// A Job, and what must come of it.
#[derive(Clone, Debug)]
pub struct Try {
    /// Name of the Job.
    pub name: String,
    /// How the destination answers.
    pub mood: Mood,
    /// Everything to apply: the ConfigMap and the Job.
    pub objects: Vec<Json>,
    /// What must come of it.
    pub expected: Expected,
}

/// The deadline of `completion_exit` in these Jobs.
const DEADLINE: u64 = 15;

/// What a kubelet may take to see an end, and to say so.
const KUBELET: u64 = 8;

/// The sidecar's configuration.
fn configuration(name: &str, trigger: Trigger) -> String {
    let options = match trigger {
        Trigger::Native => "",
        Trigger::Flag => "    Flag_File /logs/completion-flag\n    Exit_Code trigger\n",
        Trigger::Processes => "    Process_Cgroup *\n",
        Trigger::Api => "    Api_Container main\n    Api_Interval 1\n    Exit_Code trigger\n",
    };
    format!(
        "[SERVICE]\n    Flush 1\n    scheduler.base 1\n    scheduler.cap 2\n    \
         Plugins_File /fluent-bit/plugins/plugins.conf\n\
         [INPUT]\n    Name sidecar_tail\n    Tag app\n    Path /logs/*.log\n    DB /state/positions.db\n\
         [FILTER]\n    Name kube_metadata\n    Match *\n\
         [FILTER]\n    Name pii_redact\n    Match *\n\
         [OUTPUT]\n    Name http\n    Match *\n    Host collector\n    Port 8080\n    URI /{name}\n    \
         Format json\n    Retry_Limit no_limits\n\
         [OUTPUT]\n    Name completion_exit\n    Match _none\n    Ready_File /state/ready\n    \
         Report_File /dev/termination-log\n    Deadline {DEADLINE}\n{options}"
    )
}

fn restricted() -> Json {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "capabilities": {"drop": ["ALL"]},
    })
}

/// A Job with its sidecar. `lines` are written one each tenth of a second, then the main container ends.
fn job(name: &str, trigger: Trigger, image: &str) -> Json {
    // On a busy node it may be over before its sidecar begins, which no process tells then.
    let first = match trigger {
        Trigger::Processes => "until pidof fluent-bit; do sleep 0.1; done; sleep 1; ",
        _ => "",
    };
    let script = format!(
        "{first}trap 'echo $? > /logs/completion-flag' EXIT; i=0; while [ $i -lt {LINES} ]; do \
         i=$((i+1)); echo \"line $i of user$i@example.com\" >> /logs/app.log; sleep 0.1; done"
    );
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let mut sidecar = json!({
        "name": "logs",
        "image": image,
        "args": ["-c", "/config/fluent-bit.conf"],
        "env": [
            {"name": "POD_NAME", "valueFrom": field("metadata.name")},
            {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
            {"name": "POD_UID", "valueFrom": field("metadata.uid")},
        ],
        "securityContext": restricted(),
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
        "volumeMounts": [
            {"name": "logs", "mountPath": "/logs"},
            {"name": "state", "mountPath": "/state"},
            {"name": "config", "mountPath": "/config"},
        ],
    });
    let main = json!({
        "name": "main",
        "image": "busybox:1.37.0",
        "command": ["/bin/sh", "-c", script],
        "securityContext": restricted(),
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "volumeMounts": [{"name": "logs", "mountPath": "/logs"}],
    });
    let mut pod = json!({
        "restartPolicy": "Never",
        "automountServiceAccountToken": trigger == Trigger::Api,
        "shareProcessNamespace": trigger == Trigger::Processes,
        "securityContext": {
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "logs", "emptyDir": {}},
            {"name": "state", "emptyDir": {}},
            {"name": "config", "configMap": {"name": name}},
        ],
    });
    if trigger == Trigger::Api {
        pod["serviceAccountName"] = "fluent-bit-sidecar".into();
    }
    if trigger == Trigger::Native {
        sidecar["restartPolicy"] = "Always".into();
        if let Some(environment) = sidecar["env"].as_array_mut() {
            environment.push(json!({"name": "FLB_SIDECAR_NATIVE", "value": "1"}));
        }
        let ready = json!(["/fluent-bit/plugins/flb-sidecar-probe", "/state/ready"]);
        sidecar["startupProbe"] =
            json!({"exec": {"command": ready}, "periodSeconds": 1, "failureThreshold": 60});
        pod["initContainers"] = json!([sidecar]);
        pod["containers"] = json!([main]);
    } else {
        pod["containers"] = json!([main, sidecar]);
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
        },
    })
}

fn attempt(name: String, trigger: Trigger, mood: Mood, image: &str) -> Try {
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"fluent-bit.conf": configuration(&name, trigger)},
    });
    Try {
        objects: vec![map, job(&name, trigger, image)],
        expected: Expected {
            // A sidecar that left something behind is no failed Job without loss_exit_code.
            condition: "Complete",
            all_lines: mood.delivers(),
            // The guard of completion_exit ends the process a second after the deadline at the latest.
            seconds: KUBELET + if mood == Mood::Ok { 4 } else { DEADLINE + 1 },
            trigger: trigger.name(),
        },
        name,
        mood,
    }
}

/// Every trigger with a destination that answers, refuses, hangs, drips and resets.
pub fn matrix(image: &str) -> Vec<Try> {
    let triggers = [
        ("native", Trigger::Native),
        ("flag", Trigger::Flag),
        ("processes", Trigger::Processes),
        ("api", Trigger::Api),
    ];
    let moods = [
        ("ok", Mood::Ok),
        ("refuses", Mood::RefusesFirst),
        ("hangs", Mood::Hangs),
        ("drips", Mood::Drips),
        ("resets", Mood::Resets),
    ];
    let each = |(name, trigger): (&str, Trigger)| {
        moods.map(|(mood_name, mood)| attempt(format!("{name}-{mood_name}"), trigger, mood, image))
    };
    triggers.into_iter().flat_map(each).collect()
}
