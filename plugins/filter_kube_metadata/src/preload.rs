//! `kube_meta_preload_cache_dir`: objects of the API in files, as Fluent Bit's filter finds them.

use std::path::Path;

use flb_sidecar_sdk::Settings;
use tracing::warn;

use crate::encode::Content;
use crate::environment::read_file;
use crate::object;
use crate::pod::Pod;

/// What the folder of the option has for the pod `known`; says what is missing or unreadable.
pub(crate) fn preload(settings: &Settings, known: &Pod, content: &Content) -> Pod {
    let folder = settings.string("kube_meta_preload_cache_dir");
    let Some(folder) = folder.map(Path::new) else {
        return Pod::default();
    };
    let Some(namespace) = &known.namespace else {
        warn!("the namespace is not known, so nothing is read from kube_meta_preload_cache_dir");
        return Pod::default();
    };
    let mut pod = match &known.name {
        Some(name) => read(
            &folder.join(format!("{namespace}_{name}.meta")),
            object::pod,
        ),
        None => Pod::default(),
    };
    if content.needs_namespace() {
        let path = folder.join(format!("{namespace}.namespace_meta"));
        pod.fill(&read(&path, object::namespace));
    }
    pod
}

fn read(path: &Path, parse: fn(&[u8]) -> Result<Pod, serde_json::Error>) -> Pod {
    let text = read_file(path).map_err(|error| error.to_string());
    let pod = text.and_then(|text| parse(&text).map_err(|error| error.to_string()));
    pod.unwrap_or_else(|error| {
        warn!("{}: {error}", path.display());
        Pod::default()
    })
}
