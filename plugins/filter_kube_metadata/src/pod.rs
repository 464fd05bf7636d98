//! What is known of the own pod, and where each value is looked for.

use std::path::Path;

use flb_sidecar_sdk::Settings;

use crate::environment::Environment;
use crate::podinfo::Pairs;

/// The own pod. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pod {
    pub(crate) name: Option<String>,
    pub(crate) namespace: Option<String>,
    pub(crate) uid: Option<String>,
    pub(crate) labels: Option<Pairs>,
    pub(crate) annotations: Option<Pairs>,
    /// The array of owner references, msgpack.
    pub(crate) owner_references: Option<Vec<u8>>,
    /// Kind and name of each owner.
    pub(crate) owners: Vec<(String, String)>,
    pub(crate) host: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) host_ip: Option<String>,
    pub(crate) service_account: Option<String>,
    pub(crate) containers: Vec<Container>,
    pub(crate) namespace_labels: Option<Pairs>,
    pub(crate) namespace_annotations: Option<Pairs>,
}

/// What the pod's status says of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) docker_id: Option<String>,
    pub(crate) hash: Option<String>,
    pub(crate) image: Option<String>,
}

/// A value of the pod: its option, its environment variables in the order they are asked.
struct Name {
    option: &'static str,
    variables: &'static [&'static str],
}

const POD_NAME: Name = Name {
    option: "pod_name",
    variables: kube_client::POD_NAME_VARIABLES,
};
const NAMESPACE: Name = Name {
    option: "namespace_name",
    variables: kube_client::NAMESPACE_VARIABLES,
};
const UID: Name = Name {
    option: "pod_id",
    variables: kube_client::POD_UID_VARIABLES,
};
const POD_IP: Name = Name {
    option: "pod_ip",
    variables: &["POD_IP", "K8S_POD_IP", "MY_POD_IP", "KUBERNETES_POD_IP"],
};
const HOST: Name = Name {
    option: "host",
    variables: &[
        "NODE_NAME",
        "K8S_NODE_NAME",
        "MY_NODE_NAME",
        "KUBERNETES_NODE_NAME",
    ],
};
const HOST_IP: Name = Name {
    option: "host_ip",
    variables: &[
        "HOST_IP",
        "NODE_IP",
        "K8S_HOST_IP",
        "K8S_NODE_IP",
        "MY_HOST_IP",
    ],
};
const SERVICE_ACCOUNT: Name = Name {
    option: "service_account",
    variables: &[
        "SERVICE_ACCOUNT",
        "POD_SERVICE_ACCOUNT",
        "K8S_POD_SERVICE_ACCOUNT",
        "MY_POD_SERVICE_ACCOUNT",
    ],
};

/// Every environment variable that is read, in order, for the README's test.
#[cfg(test)]
pub(crate) fn variables() -> Vec<&'static str> {
    [
        POD_NAME,
        NAMESPACE,
        UID,
        POD_IP,
        HOST,
        HOST_IP,
        SERVICE_ACCOUNT,
    ]
    .iter()
    .flat_map(|name| name.variables)
    .copied()
    .chain(["HOSTNAME"])
    .collect()
}

impl Pod {
    /// Options first, then the environment, then what the container runtime left in the file
    /// system. Labels and annotations are not read here.
    pub(crate) fn from_environment(settings: &Settings, env: &dyn Environment) -> Pod {
        let find = |name: &Name| {
            settings
                .string(name.option)
                .filter(|value| !value.is_empty())
                .map(str::to_owned)
                .or_else(|| name.variables.iter().find_map(|v| env.variable(v)))
        };
        let mut pod = Pod {
            name: find(&POD_NAME),
            namespace: find(&NAMESPACE),
            uid: find(&UID),
            host: find(&HOST),
            ip: find(&POD_IP),
            host_ip: find(&HOST_IP),
            service_account: find(&SERVICE_ACCOUNT),
            ..Pod::default()
        };
        if pod.namespace.is_none() {
            pod.namespace = settings
                .string("kube_namespace_file")
                .and_then(|path| read_line(env, path));
        }
        if pod.uid.is_none() {
            pod.uid = env
                .file(Path::new("/proc/self/mountinfo"))
                .ok()
                .and_then(|text| uid_from_mounts(&text));
        }
        if pod.name.is_none() && (pod.namespace.is_some() || pod.uid.is_some()) {
            pod.name = env
                .variable("HOSTNAME")
                .filter(|name| is_pod_name(name, pod.host.as_deref()));
        }
        pod
    }

    /// Takes over what `other` knows besides.
    pub(crate) fn fill(&mut self, other: &Pod) {
        fn gap<T: Clone>(own: &mut Option<T>, other: Option<&T>) {
            if own.is_none() {
                *own = other.cloned();
            }
        }
        fn gaps<T: Clone>(own: &mut Vec<T>, other: &[T]) {
            if own.is_empty() {
                *own = other.to_vec();
            }
        }
        gap(&mut self.name, other.name.as_ref());
        gap(&mut self.namespace, other.namespace.as_ref());
        gap(&mut self.uid, other.uid.as_ref());
        gap(&mut self.labels, other.labels.as_ref());
        gap(&mut self.annotations, other.annotations.as_ref());
        gap(&mut self.owner_references, other.owner_references.as_ref());
        gaps(&mut self.owners, &other.owners);
        gap(&mut self.host, other.host.as_ref());
        gap(&mut self.ip, other.ip.as_ref());
        gap(&mut self.host_ip, other.host_ip.as_ref());
        gap(&mut self.service_account, other.service_account.as_ref());
        gaps(&mut self.containers, &other.containers);
        gap(&mut self.namespace_labels, other.namespace_labels.as_ref());
        gap(
            &mut self.namespace_annotations,
            other.namespace_annotations.as_ref(),
        );
    }

    /// The value of a label, if it is UTF-8.
    pub(crate) fn label(&self, key: &str) -> Option<&str> {
        let pairs = self.labels.as_ref()?;
        let (_, value) = pairs.iter().find(|(k, _)| k == key.as_bytes())?;
        std::str::from_utf8(value).ok()
    }
}

fn read_line(env: &dyn Environment, path: &str) -> Option<String> {
    let text = String::from_utf8(env.file(Path::new(path)).ok()?).ok()?;
    let line = text.trim();
    (!line.is_empty() && !line.contains('\n')).then(|| line.to_owned())
}

/// `HOSTNAME` is the pod's name unless the pod uses the node's network or sets its own hostname.
/// The runtime cuts a longer name to 63 characters, so one of that length may be cut.
fn is_pod_name(hostname: &str, node: Option<&str>) -> bool {
    Some(hostname) != node && hostname.len() < 63
}

/// The pod UID in the kubelet's paths behind the mounts of `/etc/hosts` and
/// `/dev/termination-log`. Other mounts may be another pod's, in a container that sees them.
fn uid_from_mounts(mountinfo: &[u8]) -> Option<String> {
    for line in mountinfo.split(|b| *b == b'\n') {
        let mut fields = line.split(|b| *b == b' ').skip(3);
        let (Some(root), Some(point)) = (fields.next(), fields.next()) else {
            continue;
        };
        if point != b"/etc/hosts" && point != b"/dev/termination-log" {
            continue;
        }
        let mut folders = root.split(|b| *b == b'/').skip_while(|f| *f != b"pods");
        let uid = folders.nth(1).and_then(|f| std::str::from_utf8(f).ok());
        let of_kubelet = matches!(folders.next(), Some(b"etc-hosts" | b"containers"));
        if let Some(uid) = uid.filter(|uid| of_kubelet && is_uid(uid)) {
            return Some(uid.to_owned());
        }
    }
    None
}

/// A UUID, or the 32 hexadecimal digits that static pods have.
fn is_uid(text: &str) -> bool {
    let dashes: Vec<usize> = text.match_indices('-').map(|(at, _)| at).collect();
    text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
        && match text.len() {
            36 => dashes == [8, 13, 18, 23],
            32 => dashes.is_empty(),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::OPTIONS;
    use crate::testing::Surroundings;

    fn pod(options: &[(&str, &str)], env: &Surroundings) -> Pod {
        let settings = Settings::new("t", OPTIONS, options.iter().copied()).unwrap();
        Pod::from_environment(&settings, env)
    }

    #[test]
    fn options_come_before_the_environment_and_names_have_an_order() {
        let env = Surroundings::new()
            .variable("POD_NAME", "from-env")
            .variable("K8S_POD_NAME", "second")
            .variable("MY_POD_NAMESPACE", "ns")
            .variable("NODE_NAME", "node-1");
        let known = pod(&[], &env);
        assert_eq!(known.name.as_deref(), Some("from-env"));
        assert_eq!(known.namespace.as_deref(), Some("ns"));
        assert_eq!(known.host.as_deref(), Some("node-1"));
        let known = pod(&[("pod_name", "mine"), ("namespace_name", "")], &env);
        assert_eq!(known.name.as_deref(), Some("mine"));
        assert_eq!(known.namespace.as_deref(), Some("ns"));
    }

    #[test]
    fn the_service_account_has_the_namespace_and_mounts_have_the_uid() {
        let uid = "0a1b2c3d-1111-2222-3333-444455556666";
        let env = Surroundings::new()
            .file("/var/run/secrets/kubernetes.io/serviceaccount/namespace", "team-a\n")
            .file(
                "/proc/self/mountinfo",
                &format!(
                    "1 0 8:1 /var/lib/kubelet/pods/ffffffff-1111-2222-3333-444455556666/volumes/x /data rw - ext4 /dev/sda rw\n\
                     2 0 8:1 /var/lib/kubelet/pods/{uid}/etc-hosts /etc/hosts rw - ext4 /dev/sda rw\n"
                ),
            )
            .variable("HOSTNAME", "app-7d4b9");
        let known = pod(&[], &env);
        assert_eq!(known.namespace.as_deref(), Some("team-a"));
        assert_eq!(known.uid.as_deref(), Some(uid));
        assert_eq!(known.name.as_deref(), Some("app-7d4b9"));
    }

    #[test]
    fn a_hostname_that_may_be_something_else_is_no_pod_name() {
        let outside = Surroundings::new().variable("HOSTNAME", "laptop");
        assert_eq!(pod(&[], &outside), Pod::default());
        let node = Surroundings::new()
            .variable("POD_NAMESPACE", "ns")
            .variable("NODE_NAME", "node-1")
            .variable("HOSTNAME", "node-1");
        assert_eq!(pod(&[], &node).name, None);
        let cut = Surroundings::new()
            .variable("POD_NAMESPACE", "ns")
            .variable("HOSTNAME", &"x".repeat(63));
        assert_eq!(pod(&[], &cut).name, None);
    }

    #[test]
    fn only_a_uid_in_a_kubelet_path_counts() {
        for root in [
            "/var/lib/docker/containers/x/hosts",
            "/pods/not-a-uid/etc-hosts",
            "/pods/0a1b2c3d-1111-2222-3333-444455556666/volumes/x",
            "/pods",
        ] {
            let text = format!("2 0 8:1 {root} /etc/hosts rw - ext4 /dev/sda rw");
            assert_eq!(uid_from_mounts(text.as_bytes()), None, "{root}");
        }
        let text = b"2 0 8:1 /pods/0123456789abcdef0123456789abcdef/containers/a/b /dev/termination-log rw - x";
        assert!(uid_from_mounts(text).is_some());
        assert_eq!(uid_from_mounts(b"\n1 2 3\n\xff"), None);
    }
}
