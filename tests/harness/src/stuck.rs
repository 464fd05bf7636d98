//! Destinations that are stuck in every way there is, and the end of a Job that delivers to one.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value as Json;

use crate::host::Host;
use crate::pipeline::Pipeline;
use crate::port::free_port;
use crate::process::Running;
use crate::wait_until;

/// How a destination is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Accepts, reads nothing, says nothing.
    Silent,
    /// Reads everything, answers nothing.
    Reads,
    /// Sends half an answer.
    HalfAnswer,
    /// Sends an answer without an end, a byte a second.
    Drip,
    /// The queue of connections is full, so every SYN is dropped.
    Unreachable,
    /// Nothing listens: what librdkafka makes of a broker that is not there.
    Closed,
    /// The name server never answers.
    Dns,
    /// Accepts, and the TLS handshake goes unanswered.
    Tls,
    /// Reads nothing of much more than the sockets hold.
    Full,
}

impl Way {
    /// Each of them.
    pub const ALL: [Way; 9] = [
        Way::Silent,
        Way::Reads,
        Way::HalfAnswer,
        Way::Drip,
        Way::Unreachable,
        Way::Closed,
        Way::Dns,
        Way::Tls,
        Way::Full,
    ];
}

/// Outputs that are tried.
pub const OUTPUTS: [&str; 6] = ["http", "forward", "tcp", "es", "loki", "kafka"];

/// What starts the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// The flag file.
    Flag,
    /// SIGTERM.
    Sigterm,
    /// SIGTERM, and once more a second later.
    Twice,
    /// SIGTERM twice before a drain has begun: the plugin still waits for the main container.
    AtOnce,
    /// SIGINT, which the plugin leaves to the host.
    Sigint,
    /// SIGTERM, which was left to the host (`sigterm off`).
    Left,
}

impl Trigger {
    /// Each of them.
    pub const ALL: [Trigger; 6] = [
        Trigger::Flag,
        Trigger::Sigterm,
        Trigger::Twice,
        Trigger::AtOnce,
        Trigger::Sigint,
        Trigger::Left,
    ];
}

/// One Job.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    /// How the destination is stuck.
    pub way: Way,
    /// The output that delivers to it.
    pub output: &'static str,
    /// Its workers.
    pub workers: u8,
    /// What starts the end.
    pub trigger: Trigger,
    /// Time from that to the deadline.
    pub deadline: Duration,
}

impl fmt::Display for Play {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Play {
            way,
            output,
            workers,
            trigger,
            ..
        } = self;
        write!(f, "{output} to {way:?}, {workers} workers, {trigger:?}")
    }
}

/// How it ended.
#[derive(Debug)]
pub struct Outcome {
    /// From the trigger to the end of the process; `None`: it hung.
    pub took: Option<Duration>,
    /// Its status; `None`: it hung, or a signal ended it.
    pub status: Option<i32>,
    /// The report; null without one.
    pub report: Json,
    /// What it said.
    pub said: String,
    /// The same positions were kept: a second run reads everything again.
    pub reads_again: bool,
}

/// What is held for as long as the Job runs.
struct Destination {
    port: u16,
    _held: Vec<TcpStream>,
    over: Arc<AtomicBool>,
}

impl Drop for Destination {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // The one who accepts looks at it then.
        let _ = TcpStream::connect_timeout(&self.address(), LOOK);
    }
}

/// Exit status of a loss in these Jobs.
pub const LOSS: i32 = 9;
/// How many lines they have.
const LINES: usize = 20;
/// How often it is looked whether a Job is over.
const LOOK: Duration = Duration::from_millis(200);
/// What the sockets on both sides do not hold.
const MUCH: usize = 24 << 20;
/// How long after the deadline a process counts as hung.
const HUNG: Duration = Duration::from_secs(20);

impl Destination {
    fn new(way: Way) -> Self {
        if matches!(way, Way::Closed | Way::Dns) {
            return Destination {
                port: free_port(),
                _held: Vec::new(),
                over: Arc::default(),
            };
        }
        let over = Arc::<AtomicBool>::default();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let mut held = Vec::new();
        if way == Way::Unreachable {
            held = fill(address);
        }
        std::thread::spawn({
            let over = over.clone();
            move || accept(way, &listener, &over)
        });
        Destination {
            port: address.port(),
            _held: held,
            over,
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

/// Holds every connection until it is over.
fn accept(way: Way, listener: &TcpListener, over: &Arc<AtomicBool>) {
    while way == Way::Unreachable && !over.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
    while !over.load(Ordering::Relaxed) {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(LOOK);
            continue;
        };
        let over = over.clone();
        std::thread::spawn(move || be_stuck(way, stream, &over));
    }
}

/// Connects until nobody is let in any more.
fn fill(address: SocketAddr) -> Vec<TcpStream> {
    let mut held = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        held.push(stream);
    }
    held
}

fn be_stuck(way: Way, mut stream: TcpStream, over: &AtomicBool) {
    let mut some = vec![0; 1 << 16];
    match way {
        Way::Reads => while stream.read(&mut some).is_ok_and(|n| n > 0) {},
        Way::HalfAnswer => {
            let _ = stream.read(&mut some);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha");
        }
        Way::Drip => {
            let _ = stream.read(&mut some);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ");
            while !over.load(Ordering::Relaxed) && stream.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_secs(1));
            }
        }
        _ => {}
    }
    while !over.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
    }
}

/// A name server's address at which everything is taken and nothing answered; `None`: not as root.
fn silent_name_server() -> Option<&'static str> {
    static SERVER: OnceLock<Option<UdpSocket>> = OnceLock::new();
    let server = SERVER.get_or_init(|| UdpSocket::bind("127.9.9.9:53").ok());
    server.as_ref().map(|_| "127.9.9.9")
}

impl Play {
    /// Whether this can be played at all: what cannot is a kind of broker or of machine.
    pub fn is_possible(&self) -> bool {
        let kafka = self.output == "kafka";
        match self.way {
            Way::Closed => kafka,
            Way::Dns => !kafka && silent_name_server().is_some(),
            Way::Tls | Way::Full => !kafka,
            _ => true,
        }
    }

    /// The output takes what is in the sockets, or in a queue of its own, for delivered.
    fn takes_sent_for_delivered(&self) -> bool {
        self.output == "kafka" || self.output == "tcp"
    }

    /// So that all of it counts as delivered here.
    fn counts_all(&self) -> bool {
        use Way::{Drip, HalfAnswer, Reads, Silent};
        let sent = matches!(self.way, Silent | Reads | HalfAnswer | Drip);
        self.output == "kafka" || self.output == "tcp" && sent
    }

    fn pipeline(&self, host: &Host, port: u16) -> Pipeline {
        let mut pipeline = Pipeline::new(host);
        let line = if self.way == Way::Full {
            MUCH / LINES
        } else {
            20
        };
        // Within the host's limits of a record.
        let lines = line.div_ceil(20_000) * LINES;
        let text: String = (0..lines)
            .map(|n| format!("line {n} {}\n", "x".repeat(line.min(20_000))))
            .collect();
        let log = pipeline.file("logs/app.log", text);
        let (db, report) = (pipeline.path("positions.db"), pipeline.path("report"));
        let (flag, ready) = (pipeline.path("flag"), pipeline.path("ready"));
        pipeline.input("sidecar_tail", &[("path", &log), ("db", &db)]);
        let mut options = vec![
            ("retry_limit", "no_limits".to_owned()),
            ("workers", self.workers.to_string()),
        ];
        if self.output == "kafka" {
            options.push(("brokers", format!("127.0.0.1:{port}")));
            options.push(("topics", "logs".to_owned()));
        } else {
            let name = if self.way == Way::Dns {
                "collector.invalid"
            } else {
                "127.0.0.1"
            };
            options.push(("host", name.to_owned()));
            options.push(("port", port.to_string()));
        }
        if self.output == "forward" {
            options.push(("require_ack_response", "on".to_owned()));
        }
        if self.way == Way::Tls {
            options.push(("tls", "on".to_owned()));
            options.push(("tls.verify", "off".to_owned()));
        }
        pipeline.output(self.output, "*", &options);
        let wait = if self.trigger == Trigger::AtOnce {
            "auto"
        } else {
            "0"
        };
        let left = self.trigger == Trigger::Left;
        let sigterm = if left { "off" } else { "on" };
        let options = [
            ("flag_file", flag),
            ("report_file", report),
            ("ready_file", ready),
            ("deadline", self.deadline.as_secs().to_string()),
            ("loss_exit_code", LOSS.to_string()),
            ("sigterm_wait", wait.to_owned()),
            ("sigterm", sigterm.to_owned()),
        ];
        pipeline.output("completion_exit", "nothing", &options);
        pipeline
    }

    /// Plays it.
    ///
    /// # Panics
    /// When the host does not come up.
    pub fn run(&self, host: &Host) -> Outcome {
        let destination = Destination::new(self.way);
        let pipeline = self.pipeline(host, destination.port);
        let mut command = pipeline.command();
        if self.way == Way::Dns {
            command = behind_name_server(&pipeline, &command);
        }
        let mut running = Running::start(&mut command, pipeline.folder());
        let ready = pipeline.path("ready");
        running.wait_for("the ready file", |_| fs::metadata(&ready).is_ok());
        // Long enough for a first delivery to be under way.
        std::thread::sleep(Duration::from_millis(1500));
        let begin = Instant::now();
        match self.trigger {
            Trigger::Flag => fs::write(pipeline.path("flag"), "").expect("a flag can be set"),
            Trigger::Sigterm | Trigger::Left => running.signal(Signal::TERM),
            Trigger::Twice => {
                running.signal(Signal::TERM);
                std::thread::sleep(Duration::from_secs(1));
                running.signal(Signal::TERM);
            }
            Trigger::AtOnce => {
                running.signal(Signal::TERM);
                std::thread::sleep(Duration::from_millis(500));
                running.signal(Signal::TERM);
            }
            Trigger::Sigint => running.signal(Signal::INT),
        }
        let ended = wait_until(self.deadline + HUNG, || running.ended());
        let took = ended.map(|_| begin.elapsed());
        let said = running.output().stderr();
        drop(running);
        let report = fs::read_to_string(pipeline.path("report")).unwrap_or_default();
        Outcome {
            took,
            status: ended.as_ref().and_then(ExitStatus::code),
            report: serde_json::from_str(&report).unwrap_or_default(),
            said,
            reads_again: reads_again(&pipeline, host),
        }
    }
}

/// The command in a mount namespace whose resolver asks the silent name server.
fn behind_name_server(pipeline: &Pipeline, command: &Command) -> Command {
    let server = silent_name_server().unwrap_or_default();
    let resolver = pipeline.file("resolv.conf", format!("nameserver {server}\n"));
    let mut behind = Command::new("unshare");
    behind
        .args(["--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"")
        .arg(resolver)
        .arg(command.get_program())
        .args(command.get_args())
        .current_dir(pipeline.folder());
    behind
}

/// A run after it, with the same positions and a destination that takes everything, reads all.
fn reads_again(before: &Pipeline, host: &Host) -> bool {
    let mut pipeline = Pipeline::new(host);
    let (log, db) = (before.path("logs/app.log"), before.path("positions.db"));
    let out = [("path", pipeline.path("")), ("file", "out".to_owned())];
    pipeline
        .input("sidecar_tail", &[("path", &log), ("db", &db)])
        .output("file", "*", &out)
        .output("completion_exit", "nothing", &[("time_count", "1")]);
    pipeline.run();
    let out = fs::read_to_string(pipeline.path("out")).unwrap_or_default();
    let lines = fs::read_to_string(&log).unwrap_or_default().lines().count();
    // In one pass: there may be a lot of it.
    let numbers = out.split("\"line ").skip(1);
    let numbers = numbers.filter_map(|rest| rest.split(' ').next()?.parse().ok());
    let read: BTreeSet<usize> = numbers.collect();
    (0..lines).all(|n| read.contains(&n))
}

impl Outcome {
    /// What is wrong with it; nothing if it is as promised.
    pub fn faults(&self, play: &Play) -> Vec<String> {
        let mut faults = Vec::new();
        // The host looks for signals once a second, and only then the time begins.
        let noticed = u64::from(matches!(play.trigger, Trigger::Sigint | Trigger::Left));
        let latest = play.deadline + Duration::from_secs(1 + noticed);
        match self.took {
            None => faults.push("hung".to_owned()),
            Some(took) if took > latest => {
                faults.push(format!("{} ms late", (took - latest).as_millis()));
            }
            Some(_) => {}
        }
        // A host that stops by itself at a signal ends with its own status if it can.
        let before_drain = matches!(
            play.trigger,
            Trigger::AtOnce | Trigger::Sigint | Trigger::Left
        );
        let hosts_own = before_drain || play.trigger == Trigger::Twice;
        let counts_all = play.counts_all();
        let right = match self.status {
            Some(LOSS) => !counts_all || before_drain,
            Some(0) => counts_all || hosts_own,
            _ => false,
        };
        if self.took.is_some() && !right {
            faults.push(format!("status {:?}", self.status));
        }
        let report = &self.report;
        let reported = match report["complete"].as_bool() {
            // Nothing is proven without a drain.
            Some(complete) if before_drain => !complete,
            Some(true) => counts_all,
            Some(false) => !counts_all && report["left"]["chunks"] != 0,
            None => before_drain && counts_all,
        };
        if !reported {
            faults.push(format!("report {report}"));
        }
        if !play.takes_sent_for_delivered() && !self.reads_again {
            faults.push("lines that were not delivered count as delivered".to_owned());
        }
        faults
    }
}
