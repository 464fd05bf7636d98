//! The pipelines that are compared, each ending in the output `null`.

use flb_sidecar_tests::port::free_port;
use flb_sidecar_tests::{build, Host, Pipeline, NO_OPTIONS};

use crate::input::{kube_tag, pod, Log, LUA, NAMESPACE, POD};

/// Parser of the stock `tail` for JSON lines.
const PARSERS: &str = "[PARSER]\n    Name json\n    Format json\n    Time_Key time\n    \
                       Time_Format %Y-%m-%dT%H:%M:%S.%LZ\n";

/// The stopwatches behind the filter that is measured, in the one that copies, and behind that.
const FILTER: &str = "filter";
const COPY: &str = "copy";
const COPIED: &str = "copied";

/// A pipeline and the port of its metrics.
#[derive(Debug)]
pub struct Setup {
    pub pipeline: Pipeline,
    pub port: u16,
}

/// An input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    Tail,
    TailJson,
    SidecarTail,
    /// With `db`.
    SidecarTailDb,
    SidecarTailJson,
}

/// A filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    Kubernetes,
    KubeMetadata,
    Lua,
    /// As it is without options: every detector but `ip` and `mac`.
    PiiRedactDefault,
    /// With every detector: more than the Lua filter looks for.
    PiiRedact,
    /// With every detector but `ip`.
    PiiRedactWithoutIp,
}

impl Input {
    fn is_ours(self) -> bool {
        !matches!(self, Input::Tail | Input::TailJson)
    }
}

impl Filter {
    fn is_ours(self) -> bool {
        !matches!(self, Filter::Kubernetes | Filter::Lua)
    }
}

impl Setup {
    /// `input` reads `log`, then come the filters.
    pub fn new(host: &Host, log: &Log, input: Input, filters: &[Filter]) -> Self {
        let ours = input.is_ours() || filters.iter().any(|filter| filter.is_ours());
        let mut setup = Setup::bare(host, ours);
        setup.read(&log.path.to_string_lossy(), input);
        for &filter in filters {
            setup.filter(host, filter);
        }
        setup.pipeline.output("null", "*", NO_OPTIONS);
        setup
    }

    /// `filter` between stopwatches, and behind it the same for a filter that copies what it gets.
    pub fn timed(host: &Host, log: &Log, filter: Filter) -> Self {
        let mut setup = Setup::bare(host, filter.is_ours());
        let probe = "filter_probe";
        build::link_plugins(setup.pipeline.folder(), &build::probe_library(), &[probe]);
        let library = setup.pipeline.path(&format!("flb-{probe}.so"));
        setup.pipeline.arg("-e").arg(library);
        setup.read(&log.path.to_string_lossy(), Input::Tail);
        setup.stopwatch("start", "off");
        setup.filter(host, filter);
        setup.stopwatch(FILTER, "off");
        setup.stopwatch(COPY, "on");
        setup.stopwatch(COPIED, "off");
        setup.pipeline.output("null", "*", NO_OPTIONS);
        setup
    }

    fn stopwatch(&mut self, name: &str, copy: &str) {
        let file = self.pipeline.path(name);
        let options = [("stopwatch", file.as_str()), ("copy", copy)];
        self.pipeline.filter("probe", "*", &options);
    }

    /// CPU time in the filter of [`timed`](Setup::timed), in nanoseconds, and what the host adds to
    /// it for any filter that changes records: it counts them again. That is measured with the same
    /// records in the filter that copies, less the copying.
    pub fn times(&self) -> Option<(f64, f64)> {
        let read = |name: &str| -> Option<[f64; 2]> {
            let text = std::fs::read_to_string(self.pipeline.path(name)).ok()?;
            let (between, copying) = text.trim().split_once(' ')?;
            Some([between.parse().ok()?, copying.parse().ok()?])
        };
        let [filter, _] = read(FILTER)?;
        let [copied, _] = read(COPIED)?;
        let [_, copying] = read(COPY)?;
        let host = copied - copying;
        Some((filter - host, host))
    }

    /// The whole set of this library, for the measurements at rest.
    pub fn set(host: &Host, path: &str) -> Self {
        let mut setup = Setup::bare(host, true);
        setup.read(path, Input::SidecarTail);
        setup.filter(host, Filter::KubeMetadata);
        setup.filter(host, Filter::PiiRedactDefault);
        setup.pipeline.output("null", "*", NO_OPTIONS);
        let flag = setup.pipeline.path("flag");
        let ready = setup.pipeline.path("ready");
        let options = [("flag_file", flag.as_str()), ("ready_file", ready.as_str())];
        setup.pipeline.output("completion_exit", "*", &options);
        setup
    }

    /// What the stock plugins have for that set.
    pub fn stock_set(host: &Host, path: &str) -> Self {
        let mut setup = Setup::bare(host, false);
        setup.read(path, Input::Tail);
        setup.filter(host, Filter::Kubernetes);
        setup.filter(host, Filter::Lua);
        setup.pipeline.output("null", "*", NO_OPTIONS);
        setup
    }

    /// Flushed every second, with the host's own HTTP server, and with our library if it is `ours`.
    fn bare(host: &Host, ours: bool) -> Self {
        let mut pipeline = if ours {
            Pipeline::new(host)
        } else {
            Pipeline::bare(host)
        };
        let port = free_port();
        let arguments = ["-f", "1", "-H", "-P", &port.to_string()].map(str::to_owned);
        for argument in arguments {
            pipeline.arg(argument);
        }
        Setup { pipeline, port }
    }

    fn read(&mut self, path: &str, input: Input) {
        let tag = kube_tag();
        let mut options = vec![("path", path), ("tag", tag.as_str())];
        match input {
            Input::Tail | Input::TailJson => {
                options.push(("read_from_head", "on"));
                if input == Input::TailJson {
                    let parsers = self.pipeline.file("parsers.conf", PARSERS);
                    self.pipeline.arg("-R").arg(parsers);
                    options.push(("parser", "json"));
                }
                self.pipeline.input("tail", &options);
            }
            Input::SidecarTail | Input::SidecarTailDb | Input::SidecarTailJson => {
                let db = self.pipeline.path("positions");
                if input == Input::SidecarTailDb {
                    options.push(("db", &db));
                }
                if input == Input::SidecarTailJson {
                    options.extend([("format", "json"), ("time_key", "time")]);
                }
                self.pipeline.input("sidecar_tail", &options);
            }
        }
    }

    fn filter(&mut self, host: &Host, filter: Filter) {
        match filter {
            Filter::Kubernetes => self.kubernetes(host),
            Filter::KubeMetadata => self.kube_metadata(),
            Filter::Lua => {
                let script = self.pipeline.file("redact.lua", LUA);
                let options = [("script", script.as_str()), ("call", "filter")];
                self.pipeline.filter("lua", "*", &options);
            }
            Filter::PiiRedactDefault => {
                self.pipeline.filter("pii_redact", "*", NO_OPTIONS);
            }
            Filter::PiiRedact | Filter::PiiRedactWithoutIp => {
                let mut options = vec![("preset", "all")];
                if filter == Filter::PiiRedactWithoutIp {
                    options.push(("disable", "ip"));
                }
                self.pipeline.filter("pii_redact", "*", &options);
            }
        }
    }

    /// The file that both filters take the pod from, so that they need no API.
    fn pod_folder(&mut self) -> String {
        self.pipeline
            .file(&format!("pod/{NAMESPACE}_{POD}.meta"), pod());
        self.pipeline.path("pod")
    }

    fn kubernetes(&mut self, host: &Host) {
        let folder = self.pod_folder();
        // Without token and namespace it believes that it is in no pod.
        let token = self.pipeline.file("token", "token");
        let namespace = self.pipeline.file("namespace", NAMESPACE);
        let mut options = vec![
            ("kube_meta_preload_cache_dir", folder.as_str()),
            ("kube_url", "http://127.0.0.1:9"),
            ("kube_token_file", token.as_str()),
            ("merge_log", "on"),
            ("keep_log", "off"),
        ];
        if host.since(5, 1, 0) {
            options.push(("kube_namespace_file", namespace.as_str()));
        }
        self.pipeline.filter("kubernetes", "*", &options);
    }

    fn kube_metadata(&mut self) {
        let folder = self.pod_folder();
        let options = [
            ("kube_meta_preload_cache_dir", folder.as_str()),
            ("pod_name", POD),
            ("namespace_name", NAMESPACE),
            ("container_name", "app"),
            ("podinfo_path", "/nowhere"),
            ("merge_log", "on"),
            ("keep_log", "off"),
        ];
        self.pipeline.filter("kube_metadata", "*", &options);
    }
}
