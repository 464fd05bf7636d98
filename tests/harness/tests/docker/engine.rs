//! The same with a real engine: one that answers, else Debian's `docker.io`, whose daemon this starts
//! (as root) with folders of its own and without a network, and stops again.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use flb_sidecar_tests::build::root;
use flb_sidecar_tests::{say, wait_until, Host, Running};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::image::{stock, system};
use crate::{check, check_orders, compose, hosts, program, strings};

/// How long a daemon may take to answer, and to end.
const LIMIT: Duration = Duration::from_secs(60);

/// The image of the compose files' main container, and of the Dockerfile's init container.
const SHELL: &str = "busybox:1.37.0";

/// What stands for the stock image. The names that others use are theirs.
const STOCK: &str = "flb-sidecar-test/stock";

/// What the compose files and the Dockerfile call it.
const NAMED: &str = "fluent/fluent-bit:5.1.1";

/// What the compose files' main container and volume need of a shell's image.
const PROGRAMS: &[&str] = &["sh", "cp", "chmod", "sleep", "touch"];

pub(crate) struct Engine {
    client: PathBuf,
    /// Of the daemon that this started.
    socket: Option<PathBuf>,
    daemon: Option<Child>,
    place: TempDir,
}

impl Engine {
    /// An engine, or why there is none.
    fn find() -> Result<Self, String> {
        let mut engine = Engine {
            client: "docker".into(),
            socket: None,
            daemon: None,
            place: tempfile::tempdir().expect("a temporary folder"),
        };
        if engine.answers() && engine.builds() && engine.has_shell() {
            return Ok(engine);
        }
        let folders = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(Path::new);
        let daemon = folders.iter().map(|folder| folder.join("dockerd"));
        let daemon = daemon
            .into_iter()
            .find(|path| path.exists())
            .ok_or("no engine answers, and dockerd is not installed (Debian: docker.io)")?;
        // The daemon's own client, not just any in PATH: it must know how to build.
        engine.client = "/usr/bin/docker".into();
        let place = engine.place.path();
        let socket = place.join("docker.sock");
        let log = fs::File::create(place.join("log")).expect("a temporary folder takes files");
        let started = Command::new(daemon)
            .arg("--host")
            .arg(format!("unix://{}", socket.display()))
            .arg("--data-root")
            .arg(place.join("data"))
            .arg("--exec-root")
            .arg(place.join("exec"))
            .arg("--pidfile")
            .arg(place.join("pid"))
            .args(["--bridge", "none", "--iptables=false", "--ip6tables=false"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        engine.daemon = Some(started.map_err(|error| format!("dockerd: {error}"))?);
        engine.socket = Some(socket);
        let answers = wait_until(LIMIT, || {
            let ended = engine.daemon.as_mut().map(Child::try_wait);
            if matches!(ended, Some(Ok(Some(_)))) {
                return Some(false);
            }
            engine.answers().then_some(true)
        });
        if answers == Some(true) && engine.builds() {
            return Ok(engine);
        }
        let log = fs::read_to_string(engine.place.path().join("log")).unwrap_or_default();
        let last = log.lines().last().unwrap_or("no word of it");
        Err(format!("dockerd cannot run here: {last}"))
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.program(&self.client);
        command.args(words);
        command
    }

    /// A program that talks to it.
    pub(crate) fn program(&self, name: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(name);
        // The old builder takes the whole checkout for its context. Debian's compose program builds by the
        // first client in the path.
        command.env("DOCKER_BUILDKIT", "1");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = self.client.parent().filter(|folder| folder.is_absolute());
        let own = own.map(PathBuf::from).into_iter();
        let folders = own.chain(std::env::split_paths(&path));
        if let Ok(path) = std::env::join_paths(folders) {
            command.env("PATH", path);
        }
        if let Some(socket) = &self.socket {
            command.env("DOCKER_HOST", format!("unix://{}", socket.display()));
        }
        command
    }

    fn answers(&self) -> bool {
        let output = self
            .command(&["info", "--format", "{{.ServerVersion}}"])
            .output();
        output.is_ok_and(|output| output.status.success() && !output.stdout.trim_ascii().is_empty())
    }

    /// Whether the client has what builds: newer ones need a plugin for it.
    fn builds(&self) -> bool {
        let output = self.command(&["build", "--help"]).output();
        let said = output.map(|output| [output.stdout, output.stderr].concat());
        said.is_ok_and(|said| String::from_utf8_lossy(&said).contains("--build-arg"))
    }

    /// Whether it has, or can get, the image that an init container's begins with.
    fn has_shell(&self) -> bool {
        ["inspect", "pull"].iter().any(|verb| {
            let output = self.command(&["image", verb, SHELL]).output();
            output.is_ok_and(|output| output.status.success())
        })
    }

    /// A folder as an image.
    fn import(&self, folder: &Path, name: &str, entrypoint: &[String]) {
        let archive = self.place.path().join("image.tar");
        check(
            Command::new("tar")
                .args(["--owner=0", "--group=0", "-cf"])
                .arg(&archive)
                .arg("-C")
                .arg(folder)
                .arg("."),
        );
        let mut import = self.command(&["import"]);
        if !entrypoint.is_empty() {
            import.arg(format!("--change=ENTRYPOINT {entrypoint:?}"));
        }
        check(import.arg(archive).arg(name));
    }

    fn build(&self, stage: &str) -> String {
        let name = format!("flb-sidecar-test/{stage}");
        let base = format!("BASE={STOCK}");
        let words = ["build", "-f", "docker/Dockerfile", "--target", stage];
        let more = ["--build-arg", &base, "-t", &name, "."];
        check(self.command(&words).args(more).current_dir(root()));
        name
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let Some(mut daemon) = self.daemon.take() else {
            // Somebody else's: nothing of this stays. What is not there cannot be removed.
            for name in ["stock", "sidecar", "installer"] {
                let image = format!("flb-sidecar-test/{name}");
                let _ = self.command(&["image", "rm", "--force", &image]).output();
            }
            return;
        };
        // SIGTERM: it unmounts what it has mounted. `kill`, so that no unsafe code is needed.
        let _ = Command::new("kill").arg(daemon.id().to_string()).status();
        let ended = wait_until(LIMIT, || daemon.try_wait().ok().flatten());
        if ended.is_none() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

/// What stands for the images that the Dockerfile and the compose files begin with.
fn import_stock(engine: &Engine, host: &Host, place: &Path) {
    let image = stock(host, place.join("stock"));
    engine.import(&image.root, STOCK, &image.entrypoint);
    if engine.daemon.is_none() {
        return;
    }
    // Programs instead of links to the system's folders.
    let shell = system(place.join("shell")).root;
    for link in ["bin", "lib", "lib64"] {
        fs::remove_file(shell.join(link)).expect("it is a link");
    }
    for name in PROGRAMS {
        let program = Path::new("/bin").join(name);
        let libraries = check(Command::new("ldd").arg(&program));
        let libraries = libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for file in libraries.map(Path::new).chain([program.as_path()]) {
            let target = shell.join(file.strip_prefix("/").unwrap_or(file));
            fs::create_dir_all(target.parent().expect("a file has a folder"))
                .expect("it takes folders");
            check(Command::new("cp").arg("-L").arg(file).arg(target));
        }
    }
    engine.import(&shell, SHELL, &[]);
}

/// The arguments of `docker run` for a service, without its command.
fn service(engine: &Engine, file: &Json, name: &str) -> (Vec<String>, Vec<String>) {
    let service = &file["services"][name];
    let mut words: Vec<String> = ["run", "--rm", "--network", "none", "--pull", "never"]
        .map(str::to_owned)
        .to_vec();
    let mut add = |option: &str, value: &str| words.push(format!("{option}={value}"));
    for (key, option) in [("user", "--user"), ("mem_limit", "--memory")] {
        if let Some(value) = service[key].as_str() {
            add(option, value);
        }
    }
    if service["read_only"] == true {
        add("--read-only", "true");
    }
    for value in strings(&service["cap_drop"]) {
        add("--cap-drop", &value);
    }
    for value in strings(&service["security_opt"]) {
        add("--security-opt", &value);
    }
    for (key, value) in service["environment"].as_object().into_iter().flatten() {
        add(
            "--env",
            &format!("{key}={}", value.as_str().unwrap_or_default()),
        );
    }
    for volume in strings(&service["volumes"]) {
        let place = match volume.strip_prefix("..") {
            Some(rest) => format!("{}{rest}", root().display()),
            None => format!("flb-sidecar-test-{volume}"),
        };
        add("--volume", &place);
    }
    words.push(match service["image"].as_str() {
        Some(image) if image.starts_with("fluent/fluent-bit:") => STOCK.into(),
        Some(image) => image.to_owned(),
        None => {
            let stage = service["build"]["target"].as_str();
            engine.build(stage.unwrap_or("sidecar"))
        }
    });
    (words, strings(&service["command"]))
}

fn runs_compose(engine: &Engine, name: &str, place: &Path) {
    let Some(file) = compose(name) else {
        say(&format!(
            "SKIPPED docker/{name} with an engine: no YAML parser, see tests/tools.txt"
        ));
        return;
    };
    let run = |service_name: &str| {
        let (words, command) = service(engine, &file, service_name);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut run = engine.command(&words);
        run.args(command);
        run
    };
    let services = file["services"].as_object().expect("there are services");
    for first in services
        .keys()
        .filter(|name| *name != "main" && *name != "sidecar")
    {
        check(&mut run(first));
    }
    let sidecar = Running::start(&mut run("sidecar"), place);
    let main = run("main")
        .stdin(Stdio::null())
        .status()
        .expect("docker starts");
    assert_eq!(main.code(), Some(3));
    let ended = sidecar.end();
    ended.check_status(0);
    check_orders(&ended.stdout, &format!("docker/{name}"));
    for volume in file["volumes"].as_object().into_iter().flatten() {
        check(&mut engine.command(&["volume", "rm", &format!("flb-sidecar-test-{}", volume.0)]));
    }
}

/// As a user would: built, and run with nothing that a sidecar does not need.
fn runs_the_job(engine: &Engine, host: &Host, place: &Path) {
    let image = engine.build("sidecar");
    let user = check(&mut engine.command(&["inspect", "--format", "{{.Config.User}}", &image]));
    assert_eq!(user.trim(), "65532:65532");
    let data = place.join("job");
    fs::create_dir(&data).expect("a temporary folder takes folders");
    fs::write(data.join("app.log"), "to bob@example.com\n").expect("it takes files");
    fs::write(data.join("completion-flag"), "").expect("it takes files");
    let volume = format!("{}:/data:ro", data.display());
    let mut run = engine.command(&["run", "--rm", "--network", "none", "--read-only"]);
    run.args(["--cap-drop", "ALL", "--security-opt", "no-new-privileges"]);
    run.args(["--volume", &volume, &image]);
    if !host.reads_classic_lists() {
        run.args(["-c", "/fluent-bit/etc/sidecar/fluent-bit.yaml"]);
    }
    let ended = Running::start(&mut run, place).end();
    ended.check_status(0);
    let lines = ended.stdout.matches("to [EMAIL]").count();
    ended.check("the line, once", lines == 1);
}

#[test]
fn an_engine_builds_the_images_and_runs_the_jobs() {
    let hosts = hosts("docker/ with an engine");
    if hosts.is_empty() {
        return;
    }
    let engine = match Engine::find() {
        Ok(engine) => engine,
        Err(why) => return say(&format!("SKIPPED docker/ with an engine: {why}")),
    };
    let newest = hosts.last().map(ToString::to_string);
    for host in hosts {
        say(&format!("docker/ with an engine on {host}"));
        // A container's user must get into the folder.
        let place = tempfile::Builder::new()
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir()
            .expect("a temporary folder");
        import_stock(&engine, &host, place.path());
        runs_the_job(&engine, &host, place.path());
        if host.reads_classic_lists() {
            runs_compose(&engine, "compose.yaml", place.path());
            runs_compose(&engine, "compose-stock.yaml", place.path());
            // The images that they name are somebody else's on an engine of somebody else.
            if engine.daemon.is_some() && newest == Some(host.to_string()) {
                check(&mut engine.command(&["tag", STOCK, NAMED]));
                program::runs(&engine, "compose.yaml", place.path());
                program::runs(&engine, "compose-stock.yaml", place.path());
            }
        }
    }
}
