//! A sidecar as conf/ has it: one of the configurations, its environment, its volumes.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::build::{self, root};
use crate::host::Host;
use crate::http;
use crate::pipeline::Pipeline;
use crate::port::free_port;
use crate::process::{Ended, Running};

/// The form of a configuration that a host takes.
pub fn form(host: &Host) -> &'static str {
    if host.reads_classic_lists() {
        "fluent-bit.conf"
    } else {
        "fluent-bit.yaml"
    }
}

/// Adds lines to a file, which is made if it is not there.
///
/// # Panics
/// When it takes none.
pub fn append(path: &Path, lines: impl IntoIterator<Item = String>) {
    let mut file = fs::File::options()
        .append(true)
        .create(true)
        .open(path)
        .expect("the folder takes files");
    for line in lines {
        file.write_all(format!("{line}\n").as_bytes())
            .expect("the file takes lines");
    }
}

/// Status of the answer to the health check; 0 when nobody answers.
pub fn health(port: u16) -> u16 {
    http::get(port, "/api/v1/health").map_or(0, |(status, _)| status)
}

/// A container with a configuration of conf/.
#[derive(Debug)]
pub struct Sidecar {
    /// The host's command line.
    pub pipeline: Pipeline,
    /// The pod's volumes: the folder with `logs` and `state`.
    volumes: PathBuf,
    /// Where its HTTP server listens.
    pub http_port: u16,
}

impl Sidecar {
    /// With volumes of its own.
    ///
    /// # Panics
    /// When there is no place for them.
    pub fn new(host: &Host, setup: &str, file: &str, environment: &[(&str, String)]) -> Self {
        let pipeline = Pipeline::bare(host);
        let volumes = pipeline.folder().to_owned();
        for folder in ["logs", "state"] {
            fs::create_dir(volumes.join(folder)).expect("a fresh folder takes folders");
        }
        let configuration = root().join("conf").join(setup).join(file);
        let library = build::library();
        Sidecar::with(pipeline, &volumes, &library, &configuration, environment)
    }

    /// Another container of a pod whose volumes are the folders `logs` and `state` of `volumes`.
    ///
    /// # Panics
    /// When there is no place for its files.
    pub fn beside(
        volumes: &Path,
        host: &Host,
        library: &Path,
        configuration: &Path,
        environment: &[(&str, String)],
    ) -> Self {
        let pipeline = Pipeline::bare(host);
        Sidecar::with(pipeline, volumes, library, configuration, environment)
    }

    fn with(
        mut pipeline: Pipeline,
        volumes: &Path,
        library: &Path,
        configuration: &Path,
        environment: &[(&str, String)],
    ) -> Self {
        let plugins = pipeline.path("plugins");
        fs::create_dir(&plugins).expect("a fresh folder takes folders");
        build::link_plugins(Path::new(&plugins), library, build::PLUGINS);
        let (mut classic, mut yaml) = ("[PLUGINS]\n".to_owned(), "plugins:\n".to_owned());
        for name in build::PLUGINS {
            classic.push_str(&format!("    Path {plugins}/flb-{name}.so\n"));
            yaml.push_str(&format!("  - {plugins}/flb-{name}.so\n"));
        }
        pipeline.file("plugins/plugins.conf", classic);
        pipeline.file("plugins/plugins.yaml", yaml);
        let http_port = free_port();
        for (name, folder) in [("LOG_DIR", "logs"), ("STATE_DIR", "state")] {
            pipeline.env(name, &volumes.join(folder).to_string_lossy());
        }
        pipeline
            .env("PLUGIN_DIR", &plugins)
            .env("HTTP_PORT", &http_port.to_string())
            .env("POD_NAME", "web-7")
            .env("POD_NAMESPACE", "shop");
        for (name, value) in environment {
            pipeline.env(name, value);
        }
        pipeline
            .arg("-c")
            .arg(configuration.to_str().expect("a plain path"));
        Sidecar {
            pipeline,
            volumes: volumes.to_owned(),
            http_port,
        }
    }

    /// `--dry-run`: the host takes the configuration.
    ///
    /// # Panics
    /// When it does not.
    pub fn check(&self) {
        let output = self
            .pipeline
            .command()
            .arg("--dry-run")
            .output()
            .expect("the host starts");
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(
            output.status.success() && text.contains("configuration test is successful"),
            "{text}"
        );
        assert!(!text.contains("[error]"), "{text}");
    }

    /// A path on its volumes.
    pub fn path(&self, name: &str) -> PathBuf {
        self.volumes.join(name)
    }

    /// Starts it and waits until it is ready, as a probe does.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn start(&self) -> Running {
        let mut running = self.pipeline.start();
        self.wait_until_ready(&mut running);
        running
    }

    /// Waits until it is ready, as a probe does.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn wait_until_ready(&self, running: &mut Running) {
        let ready = self.path("state/ready");
        running.wait_for("the ready file", |_| ready.exists());
        running.wait_for("the health check", |_| health(self.http_port) == 200);
    }

    /// Adds lines to a log.
    ///
    /// # Panics
    /// When the folder takes none.
    pub fn write(&self, log: &str, lines: impl IntoIterator<Item = String>) {
        append(&self.path("logs").join(log), lines);
    }

    /// Ends it with SIGTERM: status 0, no error logged, no longer ready.
    ///
    /// # Panics
    /// When it ends in another way.
    pub fn stop(&self, running: Running) -> Ended {
        let ended = running.terminate();
        ended.check_status(0);
        ended.check("no error", ended.error_lines().is_empty());
        ended.check("no longer ready", !self.path("state/ready").exists());
        ended
    }
}
