//! The private machine in which the engines' daemons run, started by the first case that needs it.
//!
//! Its mounts, network, processes and cgroups are its own: killing its first process ends all of it, and what is left
//! to remove are empty cgroups and one directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::{rootfs, runtime, skip};

const PROGRAMS: [&str; 11] = [
    "containerd",
    "ctr",
    "dockerd",
    "docker",
    "docker-compose",
    "protoc",
    "podman",
    "conmon",
    "buildah",
    "umoci",
    "runc",
];

/// A running machine, or why there is none.
type Started = Result<Machine, String>;

static MACHINE: Mutex<Option<Started>> = Mutex::new(None);
static NAMES: AtomicUsize = AtomicUsize::new(0);

struct Machine {
    unshare: Child,
    first_process: i32,
    work: PathBuf,
}

/// What a script's placeholders stand for.
struct Words {
    runtime: String,
    name: String,
    port: usize,
}

/// How long a script may take.
const USUAL_SECONDS: u32 = 60;

/// Demands that a script prints `expected` with crun-lite; is ignored where runc doesn't print it either.
///
/// `@RT` is the runtime's path, `@N` a name of the case's own, `@P` a port of its own, `@W` the machine's directory,
/// `@S` the directory of these sources, `@D` the one of the configuration snippets. `$RUNTIME` is `@RT`.
#[track_caller]
pub fn demand(prologue: &str, script: &str, expected: &str) {
    demand_within(USUAL_SECONDS, prologue, script, expected);
}

/// The same for a script that takes longer.
#[track_caller]
pub fn demand_within(seconds: u32, prologue: &str, script: &str, expected: &str) {
    let (first_process, work) = running();
    let ours = work.join("bin/crun-lite").to_string_lossy().into_owned();
    let print = |runtime| print(first_process, &work, seconds, prologue, script, runtime);
    let printed = print(ours);
    if matches(&printed, expected) {
        return;
    }
    let peer = print("/usr/sbin/runc".to_owned());
    if !matches(&peer, expected) && without_names(&peer) == without_names(&printed) {
        skip(format!("runc can't here either: {peer:?}"));
    }
    panic!("{script}\nexpected: {expected}\n--- crun-lite\n{printed}\n--- runc\n{peer}");
}

/// The same for what only crun-lite has.
#[track_caller]
pub fn demand_ours(script: &str, expected: &str) {
    let printed = transcript(USUAL_SECONDS, script);
    assert!(
        matches(&printed, expected),
        "{script}\nexpected: {expected}\n--- crun-lite\n{printed}"
    );
}

/// What a script says with crun-lite.
pub fn transcript(seconds: u32, script: &str) -> String {
    let (first_process, work) = running();
    let ours = work.join("bin/crun-lite").to_string_lossy().into_owned();
    print(first_process, &work, seconds, "", script, ours)
}

/// Line by line; a line of `expected` that starts with `~` must be contained in the line.
fn matches(printed: &str, expected: &str) -> bool {
    let printed: Vec<&str> = printed
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    let expected: Vec<&str> = expected
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    printed.len() == expected.len()
        && printed
            .iter()
            .zip(&expected)
            .all(|(line, wanted)| match wanted.strip_prefix('~') {
                Some(part) => line.contains(part),
                None => line == wanted,
            })
}

/// Names differ between the two runs: digits and hexadecimal ids go.
fn without_names(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_hexdigit()).collect()
}

fn print(
    first_process: i32,
    work: &Path,
    seconds: u32,
    prologue: &str,
    script: &str,
    runtime: String,
) -> String {
    let number = NAMES.fetch_add(1, Ordering::Relaxed);
    let words = Words {
        runtime,
        name: format!("case{number}"),
        port: 8000 + number,
    };
    let text = format!("export RUNTIME=@RT\n{prologue}\n{{ {script}\n}} 2>&1 </dev/null")
        .replace("@S", &source("").to_string_lossy())
        .replace("@D", &source("../../docs/engines").to_string_lossy())
        .replace("@RT", &words.runtime)
        .replace("@N", &words.name)
        .replace("@P", &words.port.to_string())
        .replace("@W", &work.to_string_lossy());
    let output = Command::new("timeout")
        .arg(seconds.to_string())
        .args(["nsenter", "-t", &first_process.to_string()])
        .args(["-m", "-n", "-p", "-i", "-u", "-C", "--"])
        .arg(source("enter.sh"))
        .arg(text)
        .output()
        .expect("run nsenter");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A file beside this one.
pub fn source(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/engines")
        .join(file)
}

/// The machine's first process and directory.
fn running() -> (i32, PathBuf) {
    let mut machine = MACHINE
        .lock()
        .expect("no case panics while it starts the machine");
    match machine.get_or_insert_with(start) {
        Ok(machine) => (machine.first_process, machine.work.clone()),
        Err(reason) => {
            let reason = reason.clone();
            drop(machine);
            skip(reason)
        }
    }
}

fn start() -> Started {
    if !nix::unistd::geteuid().is_root() {
        return Err("engines run as root".to_owned());
    }
    if !Path::new("/sys/fs/cgroup/memory").exists() {
        return Err("the private machine is built for cgroup v1 hierarchies".to_owned());
    }
    if let Some(missing) = PROGRAMS.iter().find(|program| !is_installed(program)) {
        return Err(format!("{missing} is not installed"));
    }
    let work = PathBuf::from(format!("/tmp/crun-lite-engines-{}", std::process::id()));
    fs::create_dir_all(work.join("bin")).expect("create the machine's directory");
    fs::set_permissions(&work, fs::Permissions::from_mode(0o755)).expect("chmod the directory");
    make_images(&work);
    rootfs::write_script(&work.join("bin/crun-lite"), &wrapper(&work));
    let mut unshare = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--ipc", "--uts"])
        .args(["--fork", "--kill-child", "--mount-proc"])
        .arg(source("machine.sh"))
        .env("WORK", &work)
        .env(
            "CGROUP",
            format!("crun-lite-engines-{}", std::process::id()),
        )
        .env("RUNTIME", work.join("bin/crun-lite"))
        .stdin(Stdio::null())
        .stdout(fs::File::create(work.join("machine.log")).expect("create the log"))
        .stderr(Stdio::null())
        .spawn()
        .expect("run unshare");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !work.join("ready").exists() {
        if Instant::now() > deadline {
            let log = fs::read_to_string(work.join("dockerd.log")).unwrap_or_default();
            let _ = unshare.kill();
            let _ = unshare.wait();
            return Err(format!(
                "the daemons don't start here: {}",
                log.lines().last().unwrap_or("")
            ));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let children = format!("/proc/{0}/task/{0}/children", unshare.id());
    let first_process = fs::read_to_string(children).expect("read unshare's children");
    let first_process = first_process.trim().parse().expect("one child");
    Ok(Machine {
        unshare,
        first_process,
        work,
    })
}

fn is_installed(program: &str) -> bool {
    ["/usr/bin", "/usr/sbin", "/bin", "/sbin"]
        .iter()
        .any(|directory| Path::new(directory).join(program).exists())
}

/// Notes the arguments, then becomes the runtime. Everyone may write the note: rootless engines too.
fn wrapper(work: &Path) -> String {
    let binary = work.join("bin/runtime");
    // To where everyone may execute it.
    runtime::copy_program(runtime::path(), &binary);
    let notes = work.join("argv");
    fs::write(&notes, "").expect("create the notes");
    fs::set_permissions(&notes, fs::Permissions::from_mode(0o666)).expect("chmod the notes");
    format!(
        "#!/bin/sh\necho \"$@\" >>{}\nexec {} \"$@\"\n",
        notes.display(),
        binary.display()
    )
}

/// `root.tar` for Docker and Podman, `image.tar` (an OCI layout) for containerd, with `pause` for pods.
fn make_images(work: &Path) {
    let root = work.join("root");
    rootfs::make(&root);
    fs::write(root.join("etc/plain"), "plain\n").expect("write /etc/plain");
    let script = "tar -C root -cf root.tar . && umoci init --layout layout && umoci new --image layout:bb && \
        umoci unpack --image layout:bb bundle && cp -a root/. bundle/rootfs/ && umoci repack --image layout:bb bundle && \
        umoci config --image layout:bb --config.cmd sh --config.env PATH=/bin:/sbin:/usr/bin:/usr/sbin && \
        umoci config --image layout:bb --tag pause --config.cmd sleep --config.cmd 100000 && \
        tar -C layout -cf image.tar . && rm -rf bundle layout root";
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(work)
        .output()
        .expect("run sh");
    assert!(
        output.status.success(),
        "make images: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Ends the machine and removes what it leaves.
pub fn stop() {
    let Some(Ok(mut machine)) = MACHINE.lock().expect("all cases are over").take() else {
        return;
    };
    if let Ok(path) = std::env::var("CRUN_LITE_ENGINES_ARGV") {
        let _ = fs::copy(machine.work.join("argv"), path);
    }
    let first = nix::unistd::Pid::from_raw(machine.first_process);
    let _ = nix::sys::signal::kill(first, nix::sys::signal::Signal::SIGKILL);
    let _ = machine.unshare.wait();
    let cgroups = fs::read_to_string(machine.work.join("cgroups")).unwrap_or_default();
    cgroups
        .lines()
        .for_each(|cgroup| remove_cgroups(Path::new(cgroup)));
    let _ = fs::remove_dir_all(&machine.work);
}

fn remove_cgroups(cgroup: &Path) {
    for entry in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_cgroups(&entry.path());
        }
    }
    // The last processes may still be leaving.
    for _ in 0..40 {
        if fs::remove_dir(cgroup).is_ok() || !cgroup.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
