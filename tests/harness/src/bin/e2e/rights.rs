//! What every Role in conf/ allows, and nothing else.

use std::fs;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::{Cluster, Verdict};
use serde_json::{json, Value as Json};

use crate::{expect, Found};

const FILES: &[&str] = &[
    "base/rbac.yaml",
    "kube_metadata/rbac.yaml",
    "kube_metadata/rbac-statefulset.yaml",
    "completion_exit/api-status.yaml",
];

const VERBS: &[&str] = &[
    "get", "list", "watch", "create", "update", "patch", "delete",
];

/// Resources with their groups.
const RESOURCES: &[(&str, &str)] = &[
    ("", "pods"),
    ("", "pods/log"),
    ("", "pods/exec"),
    ("", "secrets"),
    ("", "configmaps"),
    ("", "namespaces"),
    ("", "serviceaccounts"),
    ("apps", "deployments"),
    ("batch", "jobs"),
    ("rbac.authorization.k8s.io", "roles"),
];

pub(crate) fn check(cluster: &Cluster) -> Found {
    let mut asked = 0;
    for file in FILES {
        asked += one(cluster, file).map_err(|why| format!("{file}: {why}"))?;
    }
    Ok(Verdict::Ok(format!(
        "{} Roles, {asked} questions",
        FILES.len()
    )))
}

/// Asks everything of the account of one file, with a name that the Role has and one that it has not.
fn one(cluster: &Cluster, file: &str) -> Result<usize, String> {
    let path = root().join("conf/kubernetes").join(file);
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let kinds = "ServiceAccount,Role,RoleBinding";
    let made = cluster.kubectl(
        &["apply", "--dry-run=client", "-o", "json", "-f", "-"],
        &text,
    )?;
    let made: Json = serde_json::from_str(&made).map_err(|error| error.to_string())?;
    let all: Vec<Json> = made["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|object| {
            object["kind"]
                .as_str()
                .is_some_and(|kind| kinds.split(',').any(|known| known == kind))
        })
        .cloned()
        .collect();
    cluster.apply(&all)?;
    let named = |kind: &str| all.iter().find(|object| object["kind"] == kind);
    let (Some(account), Some(role)) = (named("ServiceAccount"), named("Role")) else {
        return Err("no account or no Role".into());
    };
    let account = account["metadata"]["name"].as_str().unwrap_or_default();
    let user = format!("system:serviceaccount:{}:{account}", cluster.namespace);
    let words = |value: &Json| -> Vec<String> {
        let all = value.as_array().into_iter().flatten();
        all.filter_map(|word| word.as_str().map(str::to_owned))
            .collect()
    };
    let rules = role["rules"].as_array().cloned().unwrap_or_default();
    let named: Vec<String> = rules
        .iter()
        .flat_map(|rule| words(&rule["resourceNames"]))
        .chain(["another".to_owned()])
        .collect();
    let mut questions = Vec::new();
    let mut answers = Vec::new();
    for verb in VERBS {
        for (group, resource) in RESOURCES {
            for name in &named {
                let allowed = rules.iter().any(|rule| {
                    let is_in = |key: &str, word: &str| words(&rule[key]).iter().any(|w| w == word);
                    is_in("verbs", verb)
                        && is_in("apiGroups", group)
                        && is_in("resources", resource)
                        && (rule["resourceNames"].is_null() || is_in("resourceNames", name))
                });
                answers.push((allowed, format!("{verb} {resource} {name}")));
                let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
                questions.push(json!({
                    "apiVersion": "authorization.k8s.io/v1",
                    "kind": "SubjectAccessReview",
                    "spec": {"user": user, "resourceAttributes": {
                        "namespace": cluster.namespace, "verb": verb, "group": group,
                        "resource": resource, "subresource": part, "name": name,
                    }},
                }));
            }
        }
    }
    let count = questions.len();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": questions});
    let said = cluster.kubectl(
        &[
            "create",
            "-o",
            "jsonpath={.status.allowed}{\"\\n\"}",
            "-f",
            "-",
        ],
        &list.to_string(),
    )?;
    let found: Vec<bool> = said.lines().map(|line| line.trim() == "true").collect();
    expect(found.len() == count, || format!("{} answers", found.len()))?;
    for ((allowed, question), found) in answers.iter().zip(found) {
        expect(*allowed == found, || format!("{question}: {found}"))?;
    }
    cluster.kubectl(
        &["delete", "-f", "-"],
        &json!({"apiVersion": "v1", "kind": "List", "items": all}).to_string(),
    )?;
    Ok(count)
}
