//! The manifests of conf/ as a run applies them: with its images, its namespace and its destination.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{json, Value as Json};

use crate::build::root;

/// The image that the manifests name.
pub const NEUTRAL_IMAGE: &str = "registry.example.com/fluent-bit-sidecar:5.1.1";

/// What `make images` made, and what sidecars are changed to in place.
#[derive(Clone, Debug)]
pub struct Images {
    /// Before the name of each image.
    pub prefix: String,
    /// Tag of them all.
    pub tag: String,
    /// Tag of a second sidecar image, for changes in place.
    pub next: Option<String>,
}

impl Images {
    /// The image with the plugins.
    pub fn sidecar(&self) -> String {
        format!("{}/sidecar:{}", self.prefix, self.tag)
    }

    /// The image with the plugins that comes after it.
    pub fn next(&self) -> Option<String> {
        let next = self.next.as_ref()?;
        Some(format!("{}/sidecar:{next}", self.prefix))
    }

    /// The destination.
    pub fn collector(&self) -> String {
        format!("{}/collector:{}", self.prefix, self.tag)
    }

    /// What a kustomization says to have this image in the place of the manifests'.
    fn entry(&self) -> Json {
        let (name, _) = NEUTRAL_IMAGE
            .rsplit_once(':')
            .unwrap_or((NEUTRAL_IMAGE, ""));
        json!({"name": name, "newName": format!("{}/sidecar", self.prefix), "newTag": self.tag})
    }
}

/// A kustomization of a run, in a folder of its own beside conf/.
#[derive(Debug)]
pub struct Kustomization {
    folder: PathBuf,
}

impl Kustomization {
    /// Writes one. `resources` are the run's own; `conf` and `components` are folders of conf/.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(
        images: &Images,
        namespace: &str,
        name: &str,
        resources: &[Json],
        conf: &[&str],
        components: &[&str],
    ) -> Result<Self, String> {
        let folder = root().join("target/e2e").join(namespace).join(name);
        let write = |file: &str, text: &str| {
            fs::write(folder.join(file), text).map_err(|error| format!("{file}: {error}"))
        };
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let up = |place: &&str| format!("../../../../conf/{place}");
        let mut all: Vec<String> = conf.iter().map(up).collect();
        if !resources.is_empty() {
            let text = resources.iter().fold(String::new(), |mut text, object| {
                // Writing to a String does not fail.
                let _ = writeln!(text, "---\n{object}");
                text
            });
            write("own.yaml", &text)?;
            all.push("own.yaml".into());
        }
        let kustomization = json!({
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "namespace": namespace,
            "images": [images.entry()],
            "resources": all,
            "components": components.iter().map(up).collect::<Vec<_>>(),
        });
        write("kustomization.yaml", &kustomization.to_string())?;
        Ok(Kustomization { folder })
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// A manifest of conf/ whose outputs go to the collector, with the run's image.
pub fn to_collector(manifest: &str, images: &Images) -> String {
    let mut text = String::new();
    for line in manifest.lines() {
        let bare = line.trim_start();
        let indent = &line[..line.len() - bare.len()];
        let changed = match bare.split_whitespace().next() {
            Some("Host") => "Host collector",
            Some("Port") => "Port 8080",
            Some("Tls") => "Tls off",
            _ => bare,
        };
        text.push_str(indent);
        text.push_str(&changed.replace(NEUTRAL_IMAGE, &images.sidecar()));
        text.push('\n');
    }
    text
}
