//! Starts the other process and waits for what it says.

use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{Outcome, Report, VARIABLE};
use crate::abi::maps::{Maps, PROGRAM};
use crate::abi::observe;

/// After this long the other process ends by itself, and is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most bytes of its output that are kept.
const MAX_OUTPUT: u64 = 64 << 10;

/// Our files that it loads, and what they are there.
const FILES: [&str; 3] = [
    "flb-in_sidecar_tail.so",
    "flb-filter_pii_redact.so",
    "flb-out_completion_exit.so",
];

/// Tries the host that has loaded this library.
pub(crate) fn run() -> Outcome {
    let start = Instant::now();
    match try_host() {
        Ok(Ended {
            report: Some(Report::Passed),
            ..
        }) => Outcome::Passed(start.elapsed()),
        Ok(Ended {
            report: Some(Report::Unmeasured),
            ..
        }) => Outcome::NotDone("the size of what came is not known".into()),
        Ok(Ended {
            report: Some(Report::NoFilters(why)),
            ..
        }) => Outcome::NoFilters(why),
        Ok(Ended {
            report: Some(Report::Nothing(why)),
            ..
        }) => Outcome::Nothing(why),
        Ok(Ended {
            report: None,
            status,
        }) => judge(status),
        Err(why) => Outcome::NotDone(why),
    }
}

/// How the other process came to its end.
struct Ended {
    report: Option<Report>,
    status: io::Result<ExitStatus>,
}

/// What an end without a report means.
fn judge(status: io::Result<ExitStatus>) -> Outcome {
    const CRASHES: [i32; 5] = [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGABRT,
    ];
    match status {
        Ok(status) => match status.signal() {
            Some(signal) if CRASHES.contains(&signal) => {
                Outcome::Nothing(format!("a record crashed it (signal {signal})"))
            }
            Some(libc::SIGALRM) => {
                Outcome::NotDone(format!("it took longer than {} s", PATIENCE.as_secs()))
            }
            _ => Outcome::NotDone(format!("it ended early ({status})")),
        },
        Err(error) => Outcome::NotDone(format!("its end cannot be seen: {error}")),
    }
}

fn try_host() -> Result<Ended, String> {
    let main = observe::symbol(c"flb_main").ok_or("the host does not export flb_main")?;
    let file = Maps::now().file(main as usize);
    if file.ok_or("the program's file cannot be told (is /proc mounted?)")? != Path::new(PROGRAM) {
        return Err("the program is not Fluent Bit's own".into());
    }
    let links = links()?;
    let mut command = Command::new(PROGRAM);
    command.arg0("fluent-bit").arg("-q");
    for link in &links {
        command.arg("-e").arg(link);
    }
    command
        .args([
            "-f",
            "0.2",
            "-i",
            "sidecar_tail",
            "-F",
            "pii_redact",
            "-m",
            "*",
        ])
        .args(["-o", "completion_exit", "-m", "*"])
        .env(VARIABLE, std::process::id().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let seconds = libc::c_uint::try_from(PATIENCE.as_secs()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: two system calls that may be made between fork and exec; nothing is allocated. Both
    // settings outlive the exec, so the process never outlives our interest in it.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::alarm(seconds);
            Ok(())
        });
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("it does not start: {error}"))?;
    let output = read(&mut child);
    if output.is_err() {
        // It may have ended meanwhile, which is as good.
        let _ = child.kill();
    }
    let status = child.wait();
    let output = String::from_utf8_lossy(&output?).into_owned();
    Ok(Ended {
        report: Report::find(&output),
        status,
    })
}

/// What it writes until it ends.
fn read(child: &mut Child) -> Result<Vec<u8>, String> {
    let mut output = Vec::new();
    let Some(mut pipe) = child.stdout.take() else {
        return Ok(output);
    };
    let end = Instant::now() + PATIENCE;
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let mut wanted = libc::pollfd {
            fd: pipe.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        };
        let milliseconds = libc::c_int::try_from(left.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: one entry, valid for writes; the descriptor is open.
        let ready = unsafe { libc::poll(&mut wanted, 1, milliseconds) };
        if ready < 0 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
            continue;
        }
        if ready <= 0 {
            return Err(format!("it took longer than {} s", PATIENCE.as_secs()));
        }
        match pipe.read(&mut buffer) {
            Ok(0) => return Ok(output),
            Ok(read) if (output.len() as u64) < MAX_OUTPUT => {
                output.extend_from_slice(&buffer[..read]);
            }
            Ok(_) => {}
            Err(error) => return Err(format!("its output cannot be read: {error}")),
        }
    }
}

/// The files beside the one that this library was loaded as.
fn links() -> Result<Vec<PathBuf>, String> {
    let ours = observe::file_of(links as fn() -> _ as *const libc::c_void)
        .ok_or("the file of this library cannot be told")?;
    let folder = ours.parent().unwrap_or(Path::new(""));
    let all: Vec<PathBuf> = FILES.iter().map(|name| folder.join(name)).collect();
    match all.iter().find(|path| !path.exists()) {
        None => Ok(all),
        Some(missing) => Err(format!("there is no {}", missing.display())),
    }
}
