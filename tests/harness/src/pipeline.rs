//! A host's command line.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::build;
use crate::host::Host;
use crate::process::{Ended, Running};

/// A pipeline on a host, built as its command line, in a folder of its own.
#[derive(Debug)]
pub struct Pipeline {
    host: Host,
    folder: TempDir,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Pipeline {
    /// A pipeline with nothing loaded.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    pub fn bare(host: &Host) -> Self {
        Pipeline {
            host: host.clone(),
            folder: TempDir::new().expect("a temporary folder"),
            arguments: Vec::new(),
            environment: Vec::new(),
        }
    }

    /// A pipeline with the four plugins loaded through links, flushed every 0.2 s.
    pub fn new(host: &Host) -> Self {
        let mut pipeline = Pipeline::bare(host);
        build::link_plugins(pipeline.folder(), &build::library(), build::PLUGINS);
        for name in build::PLUGINS {
            let file = pipeline.path(&format!("flb-{name}.so"));
            pipeline.arg("-e").arg(&file);
        }
        pipeline.arg("-f").arg("0.2");
        pipeline
    }

    /// A pipeline with the probe plugins loaded.
    pub fn probe(host: &Host) -> Self {
        let mut pipeline = Pipeline::bare(host);
        build::link_plugins(pipeline.folder(), &build::probe_library(), build::PROBES);
        for name in build::PROBES {
            let file = pipeline.path(&format!("flb-{name}.so"));
            pipeline.arg("-e").arg(&file);
        }
        pipeline.arg("-f").arg("0.2");
        pipeline
    }

    /// Its folder: plugins, output, and whatever the scenario puts there.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A path in its folder.
    ///
    /// # Panics
    /// When the temporary folder is no UTF-8.
    pub fn path(&self, name: &str) -> String {
        let path: PathBuf = self.folder.path().join(name);
        path.to_str().expect("a plain path").to_owned()
    }

    /// Writes a file into the folder and returns its path.
    ///
    /// # Panics
    /// When the folder does not take it.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        if let Some(parent) = Path::new(&path).parent() {
            std::fs::create_dir_all(parent).expect("a temporary folder takes folders");
        }
        std::fs::write(&path, content).expect("a temporary folder takes files");
        path
    }

    /// Any argument.
    pub fn arg(&mut self, argument: impl Into<String>) -> &mut Self {
        self.arguments.push(argument.into());
        self
    }

    /// A variable of the environment, which is empty but for these and `PATH`.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn instance<V: AsRef<str>>(
        &mut self,
        flag: &str,
        name: &str,
        options: &[(&str, V)],
    ) -> &mut Self {
        self.arg(flag).arg(name);
        for (key, value) in options {
            self.arg("-p").arg(format!("{key}={}", value.as_ref()));
        }
        self
    }

    /// An input.
    pub fn input<V: AsRef<str>>(&mut self, name: &str, options: &[(&str, V)]) -> &mut Self {
        self.instance("-i", name, options)
    }

    /// A filter.
    pub fn filter<V: AsRef<str>>(
        &mut self,
        name: &str,
        pattern: &str,
        options: &[(&str, V)],
    ) -> &mut Self {
        self.instance("-F", name, &[("match", pattern)])
            .options(options)
    }

    /// An output.
    pub fn output<V: AsRef<str>>(
        &mut self,
        name: &str,
        pattern: &str,
        options: &[(&str, V)],
    ) -> &mut Self {
        self.instance("-o", name, &[("match", pattern)])
            .options(options)
    }

    /// Options of the last instance.
    pub fn options<V: AsRef<str>>(&mut self, options: &[(&str, V)]) -> &mut Self {
        for (key, value) in options {
            self.arg("-p").arg(format!("{key}={}", value.as_ref()));
        }
        self
    }

    /// JSON lines of every record on stdout.
    pub fn print(&mut self) -> &mut Self {
        self.output("stdout", "*", &[("format", "json_lines")])
    }

    /// The command that starts it.
    pub fn command(&self) -> Command {
        let mut command = build::host_command(&self.host.program);
        command.args(&self.arguments).env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        // So that a whole run of the tests can be made with layouts that are not from the table.
        let abi = std::env::var_os("FLB_SIDECAR_ABI").filter(|_| self.host.real);
        if let Some(abi) = abi {
            command.env("FLB_SIDECAR_ABI", abi);
        }
        command.envs(self.environment.iter().map(|(k, v)| (k, v)));
        command.current_dir(self.folder.path());
        command
    }

    /// Starts it.
    pub fn start(&self) -> Running {
        Running::start(&mut self.command(), self.folder.path())
    }

    /// Starts it and waits until it ends by itself.
    pub fn run(&self) -> Ended {
        self.start().end()
    }
}
