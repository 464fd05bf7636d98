//! The manifests of conf/ as they are: taken by the API server, and run.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::e2e::{account, said, to_collector};
use flb_sidecar_tests::e2e::{Cluster, Collector, Ends, Images, Kustomization, Verdict};
use serde_json::Value as Json;

use crate::{expect, Found, LIMIT};

/// Kinds that a cluster has only with somebody else's controller.
const FOREIGN: &[&str] = &["SidecarSet", "PodMonitor", "PrometheusRule"];

fn folders(of: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(of).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if path.is_dir() {
            found.extend(folders(&path)?);
        } else if path.ends_with("kustomization.yaml") {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            if !text.contains("kind: Component") {
                found.extend(path.parent().map(Path::to_owned));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Every kustomization, in the run's namespace, by server-side dry run with strict validation and
/// without a warning of restricted Pod Security.
pub(crate) fn dry_run(cluster: &Cluster) -> Found {
    let mut objects = 0;
    let mut foreign = 0;
    for folder in folders(&root().join("conf"))? {
        let rendered = cluster.kubectl(&["kustomize", &folder.to_string_lossy()], "")?;
        // Documents, in another namespace: what Kustomize prints has each key in its own line.
        let documents = rendered.split("\n---\n").filter(|document| {
            let kind = |kind: &&str| document.contains(&format!("kind: {kind}\n"));
            let is_foreign = FOREIGN.iter().any(kind);
            foreign += usize::from(is_foreign);
            !is_foreign && !document.contains("kind: Namespace\n")
        });
        let lines = documents.flat_map(|document| document.lines().chain(["---"]));
        let text: String = lines
            .map(|line| match line.strip_prefix("  namespace: ") {
                Some(_) => format!("  namespace: {}\n", cluster.namespace),
                None => format!("{line}\n"),
            })
            .collect();
        if text.trim().is_empty() {
            continue;
        }
        let words = [
            "apply",
            "--dry-run=server",
            "--validate=strict",
            "-o",
            "name",
            "-f",
            "-",
        ];
        let (said, warnings) = cluster
            .said(&words, &text)
            .map_err(|why| format!("{}: {why}", folder.display()))?;
        expect(!warnings.contains("would violate PodSecurity"), || {
            format!("{}: {warnings}", folder.display())
        })?;
        objects += said.lines().count();
    }
    Ok(Verdict::Ok(format!(
        "{objects} objects; {foreign} of other controllers left out"
    )))
}

/// The manifests with one trigger each, but for the one that needs OpenKruise.
pub(crate) fn triggers() -> Result<Vec<PathBuf>, String> {
    let folder = root().join("conf/kubernetes/completion_exit");
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut all: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml"))
        .filter(|path| path.file_stem().is_some_and(|name| name != "openkruise"))
        .collect();
    all.sort();
    Ok(all)
}

/// Its Job, with the collector as its destination: ten lines, and the status that it says.
pub(crate) fn job(
    cluster: &Cluster,
    collector: &Collector<'_>,
    images: &Images,
    file: &Path,
) -> Found {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let text = to_collector(&text, images);
    cluster.kubectl(&["apply", "-f", "-"], &text)?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut job = name.to_string();
    if text.contains("kind: CronJob") {
        job = format!("{name}-now");
        let from = format!("--from=cronjob/{name}");
        cluster.kubectl(&["create", "job", &job, &from], "")?;
    }
    let condition = cluster.end_of_job(&job, LIMIT)?;
    let selector = format!("--selector=batch.kubernetes.io/job-name={job}");
    let pods = cluster.kubectl(&["get", "pods", &selector, "-o", "json"], "")?;
    let pods: Json = serde_json::from_str(&pods).map_err(|error| error.to_string())?;
    let pod = Ends(&pods["items"][0]);
    let (main, logs) = (pod.end("main"), pod.end("logs"));
    let (Some(main), Some(logs)) = (main, logs) else {
        return Err(format!("the Job is {condition}: {}", pods["items"][0]));
    };
    let code = if text.contains("Exit_Code") {
        main.code
    } else {
        0
    };
    expect(logs.code == code, || {
        format!(
            "exit code {} for {}: {}",
            logs.code, main.code, logs.message
        )
    })?;
    account(&collector.kept("")?, &job).is_whole(1, 10)?;
    cluster.kubectl(&["delete", "-f", "-"], &text)?;
    if job != name {
        cluster.kubectl(&["delete", "job", &job, "--ignore-not-found"], "")?;
    }
    Ok(Verdict::Ok(format!(
        "main {}, sidecar {}",
        main.code, logs.code
    )))
}

/// The commands of the README after the first, which made the images, as they are written there.
pub(crate) fn readme(cluster: &Cluster, images: &Images) -> Found {
    let page = fs::read_to_string(root().join("README.md")).map_err(|error| error.to_string())?;
    let folder = "conf/kubernetes/quickstart";
    let block = page
        .split("```")
        .find(|block| block.contains("make images-push") && block.contains(folder));
    let commands: Vec<&str> = block.unwrap_or_default().trim().lines().collect();
    expect(commands.len() == 5, || format!("{commands:?}"))?;
    let registry = std::env::var("REGISTRY").unwrap_or_default();
    let (prefix, tag) = if registry.is_empty() {
        (images.prefix.as_str(), images.tag.as_str())
    } else {
        push(commands[0], &registry)?;
        (registry.as_str(), "1")
    };
    // The second command's folder with the image, as the README asks for.
    let quickstart = Kustomization::new(
        images,
        "flb-quickstart",
        &cluster.namespace,
        &[],
        &["kubernetes/quickstart"],
        &[],
    )?;
    let own = fs::read_to_string(root().join(folder).join("kustomization.yaml"))
        .map_err(|error| error.to_string())?;
    let own = own
        .replace(
            "registry.example.com/shop/sidecar",
            &format!("{prefix}/sidecar"),
        )
        .replace("newTag: \"1\"", &format!("newTag: \"{tag}\""))
        .replace("../../default", "../../../../conf/default")
        .replace(
            "../native-sidecar",
            "../../../../conf/kubernetes/native-sidecar",
        );
    for file in ["job.yaml", "namespace.yaml"] {
        fs::copy(
            root().join(folder).join(file),
            quickstart.folder().join(file),
        )
        .map_err(|error| format!("{file}: {error}"))?;
    }
    fs::write(quickstart.folder().join("kustomization.yaml"), own)
        .map_err(|error| error.to_string())?;
    let place = quickstart.folder().to_string_lossy();
    let mut lines = String::new();
    let mut failed = None;
    for command in &commands[1..] {
        let command = command.replace(folder, &place);
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        match said(&words, "").map(|said| said.0) {
            Ok(said) if words.contains(&"logs") => lines = said,
            Ok(_) => {}
            // The last command takes away what the others made.
            Err(why) => failed = failed.or(Some(why)),
        }
    }
    if let Some(why) = failed {
        return Err(why);
    }
    let redacted = lines
        .lines()
        .filter(|line| line.contains("[EMAIL] pays with [CARD]"))
        .count();
    expect(redacted == 10, || format!("{redacted} lines: {lines}"))?;
    expect(!lines.contains("@example.com"), || lines.clone())?;
    let what = if registry.is_empty() {
        "ten redacted lines; the first command was not run: REGISTRY=…"
    } else {
        "ten redacted lines; the image was built for both processors and pushed"
    };
    Ok(Verdict::Ok(what.into()))
}

/// Runs the first command with this registry: an image for both processors is there afterwards.
fn push(command: &str, registry: &str) -> Result<(), String> {
    let run = |command: &str| {
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", command]).current_dir(root()).output();
        let output = output.map_err(|error| error.to_string())?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        expect(output.status.success(), || format!("{command}: {said}"))?;
        Ok::<_, String>(said)
    };
    let here = command.replace("registry.example.com/shop", registry);
    expect(here != command, || format!("no registry in {command}"))?;
    run(&here)?;
    let inspect = format!("docker buildx imagetools inspect {registry}/sidecar:1");
    let said = run(&inspect)?;
    let both = ["linux/amd64", "linux/arm64"];
    expect(both.iter().all(|one| said.contains(one)), || said.clone())
}
