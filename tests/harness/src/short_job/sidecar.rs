//! The pipeline of a plan.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use super::{Filter, Plan, Trigger};
use crate::destination::{Destination, Mood};
use crate::host::Host;
use crate::pipeline::Pipeline;
use crate::pod_api::PodApi;
use crate::{wait_until, DEADLINE};

/// A sidecar that is ready to be started, and what its trigger needs.
pub(super) struct Sidecar {
    pub(super) pipeline: Pipeline,
    pub(super) destination: Option<Destination>,
    pub(super) process: Option<Child>,
    pub(super) api: Option<PodApi>,
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn service(pipeline: &Pipeline, plan: &Plan) -> String {
    let mut text = "[SERVICE]\n    scheduler.base 1\n    scheduler.cap 2\n".to_owned();
    if plan.stored {
        text.push_str(&format!("    storage.path {}\n", pipeline.path("storage")));
    }
    if plan.reloads() {
        text.push_str("    hot_reload on\n");
    }
    text
}

impl Sidecar {
    pub(super) fn new(host: &Host, plan: &Plan) -> Self {
        let mut pipeline = Pipeline::new(host);
        let text = service(&pipeline, plan);
        let service = pipeline.file("service.conf", text);
        // The host's own default, not the shorter one of the other scenarios.
        pipeline.arg("-c").arg(service).arg("-f").arg("1");
        if plan.reloads() {
            pipeline.arg("-Y");
        }
        if plan.backlog > 0 {
            leave_backlog(host, plan, &pipeline);
        }
        inputs(&mut pipeline, plan);
        match plan.filter {
            Some(Filter::Multiline) => pipeline.filter(
                "multiline",
                "app*",
                &[("multiline.key_content", "log"), ("multiline.parser", "go")],
            ),
            Some(Filter::RewriteTag) => pipeline.filter(
                "rewrite_tag",
                "app*",
                &[("rule", "$log ^job re.$TAG false")],
            ),
            None => &mut pipeline,
        };
        let destination = plan.workers.map(|workers| {
            let mood = if plan.is_killed() {
                Mood::Shut
            } else {
                Mood::Well
            };
            let destination = Destination::new(mood);
            let mut options = destination.options();
            options.push(("workers", workers.to_string()));
            options.push(("retry_limit", "no_limits".to_owned()));
            pipeline.output("http", "*", &options);
            destination
        });
        if destination.is_none() {
            pipeline.print();
        }
        let mut sidecar = Sidecar {
            pipeline,
            destination,
            process: None,
            api: None,
        };
        sidecar.completion_exit(plan);
        sidecar
    }

    fn completion_exit(&mut self, plan: &Plan) {
        let pipeline = &mut self.pipeline;
        let mut options = vec![
            ("report_file", pipeline.path("report")),
            ("ready_file", pipeline.path("ready")),
        ];
        match plan.trigger {
            Trigger::Flag => {
                options.push(("flag_file", pipeline.path("logs/flag")));
                options.push(("exit_code", "trigger".to_owned()));
            }
            Trigger::Process => {
                let child = Command::new("sleep")
                    .arg("600")
                    .stdin(Stdio::null())
                    .spawn()
                    .expect("there is sleep");
                options.push((
                    "process_pid_file",
                    pipeline.file("pid", child.id().to_string()),
                ));
                options.push(("process_gone_time", "0".to_owned()));
                self.process = Some(child);
            }
            Trigger::Sigterm => {}
            Trigger::Idle => options.push(("idle_time", "1".to_owned())),
            Trigger::Api => {
                let api = PodApi::start(pipeline);
                options.extend(api.options());
                options.push(("exit_code", "trigger".to_owned()));
                self.api = Some(api);
            }
        }
        pipeline.output("completion_exit", "*", &options);
        if plan.second_exit {
            let never = pipeline.path("never");
            pipeline.output("completion_exit", "*", &[("flag_file", never)]);
        }
    }
}

fn inputs(pipeline: &mut Pipeline, plan: &Plan) {
    let folder = pipeline.path("logs");
    let patterns: Vec<String> = if plan.inputs_apart {
        let apart = (0..plan.files).map(|n| format!("{folder}/app-{n}.log"));
        apart.chain([format!("{folder}/late*.log")]).collect()
    } else {
        vec![format!("{folder}/*.log")]
    };
    for (n, pattern) in patterns.iter().enumerate() {
        let mut options = vec![("path", pattern.clone()), ("tag", format!("app{n}"))];
        if plan.threaded {
            options.push(("threaded", "on".to_owned()));
        }
        if plan.stored {
            options.push(("storage.type", "filesystem".to_owned()));
        }
        // Whoever starts again goes on where the last one stopped.
        if plan.reloads() || plan.is_killed() {
            options.push(("db", pipeline.path(&format!("state-{n}.db"))));
        }
        pipeline.input("sidecar_tail", &options);
    }
    if plan.stock_tail {
        let mut options = vec![
            ("path", pipeline.path("beside/*.log")),
            ("tag", "beside".to_owned()),
            ("read_from_head", "on".to_owned()),
            ("refresh_interval", "1".to_owned()),
        ];
        if plan.reloads() {
            options.push(("db", pipeline.path("stock.db")));
        }
        pipeline.input("tail", &options);
    }
}

/// The lines of the backlog.
pub(super) fn backlog(plan: &Plan) -> Vec<String> {
    (0..plan.backlog)
        .map(|n| format!("job {} backlog {n}.", plan.number))
        .collect()
}

/// Some file below `folder` has `text` in it.
fn stored(folder: &Path, text: &[u8]) -> bool {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).any(|path| {
        if path.is_dir() {
            return stored(&path, text);
        }
        fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|part| part == text))
    })
}

/// A run before this one: it stores the backlog, delivers nothing, and is killed.
fn leave_backlog(host: &Host, plan: &Plan, pipeline: &Pipeline) {
    let lines = backlog(plan);
    let log = pipeline.file("earlier.txt", lines.join("\n") + "\n");
    let nowhere = Destination::new(Mood::Gone);
    let mut earlier = Pipeline::new(host);
    earlier.arg("-c").arg(pipeline.path("service.conf"));
    earlier.input(
        "sidecar_tail",
        &[
            ("path", log.as_str()),
            ("tag", "old"),
            ("storage.type", "filesystem"),
        ],
    );
    let mut options = nowhere.options();
    options.push(("retry_limit", "no_limits".to_owned()));
    earlier.output("http", "*", &options);
    let running = earlier.start();
    let storage = pipeline.path("storage");
    let last = lines.last().map_or("", |line| line).as_bytes();
    let seen = wait_until(DEADLINE, || stored(Path::new(&storage), last).then_some(()));
    assert!(seen.is_some(), "no backlog is stored\n{}", running.output());
    running.signal(Signal::KILL);
    running.end();
}
