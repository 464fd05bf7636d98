//! The configurations inside the manifests are accepted by a real host.
#![allow(clippy::print_stdout)] // What is skipped is said.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The block `fluent-bit.conf: |` of a manifest, without its indentation.
fn configuration(manifest: &str) -> Option<String> {
    let (_, block) = manifest.split_once("  fluent-bit.conf: |\n")?;
    let lines = block
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "));
    Some(
        lines
            .map(|line| line.get(4..).unwrap_or("").to_owned() + "\n")
            .collect(),
    )
}

#[test]
fn manifests_hold_configurations_that_a_host_accepts() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let plugins = root.join("target/plugins");
    let binary = PathBuf::from("/opt/fluent-bit-5.1.1/bin/fluent-bit");
    let runnable = binary.is_file() && plugins.join("plugins.conf").is_file();
    if !runnable {
        println!("SKIPPED in part: no Fluent Bit 5.1.1 in /opt, or the plugins are not built");
    }
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("conf/kubernetes/kube_metadata")).unwrap() {
        let path = entry.unwrap().path();
        let Some(text) = configuration(&std::fs::read_to_string(&path).unwrap()) else {
            continue;
        };
        count += 1;
        assert!(text.contains("kube_metadata"), "{}", path.display());
        if !runnable {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("fluent-bit.conf");
        let text = text.replace("/fluent-bit/plugins", plugins.to_str().unwrap());
        std::fs::write(&file, text).unwrap();
        let output = Command::new(&binary)
            .arg("--dry-run")
            .arg("-c")
            .arg(&file)
            .env_clear()
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}:\n{log}", path.display());
    }
    assert_eq!(count, 3, "manifests with a configuration");
}
