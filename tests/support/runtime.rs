//! The runtime under test, and one invocation of it with captured output and a time limit.
//!
//! Output goes to files, not pipes: a container that outlives `create` keeps the descriptors, and a reader of a pipe
//! would wait for it. A command that doesn't end in time is killed and is a failure.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// The longest a command may take before it counts as hung. Generous: the machine may be shared.
fn time_limit() -> Duration {
    patience(60)
}

/// So many seconds, times `CRUN_LITE_PATIENCE`: an emulated machine sets it.
pub fn patience(seconds: u64) -> Duration {
    let factor = std::env::var("CRUN_LITE_PATIENCE").ok();
    let factor = factor.and_then(|text| text.parse().ok()).unwrap_or(1);
    Duration::from_secs(seconds * factor)
}

/// How often a case tries what fails seldom: a fifth on an emulated machine, which is slow and repeats what the host of
/// all tests does in full.
pub fn rounds(full: usize) -> usize {
    let is_emulated = std::env::var_os("CRUN_LITE_PATIENCE").is_some();
    if is_emulated { full.div_ceil(5) } else { full }
}

/// The longest that `demo` may take, which packs the runtime itself into a layer: a debug build takes half a minute under load.
pub const DEMO_TIME_LIMIT: Duration = Duration::from_secs(300);

/// Copies a program. In a process of its own: a child that another thread forks meanwhile would have our writing
/// descriptor until its exec, and whoever executes the copy before that gets ETXTBSY.
#[track_caller]
pub fn copy_program(from: impl AsRef<Path>, to: &Path) {
    let from = from.as_ref();
    let done = Command::new("cp").arg(from).arg(to).status();
    assert!(
        done.is_ok_and(|status| status.success()),
        "cp {from:?} {to:?}"
    );
}

/// Skips the case where the binary under test is not cargo's debug build, the only one that takes injected faults.
pub fn needs_injected_faults() {
    if std::env::var_os("RUNTIME").is_some() {
        super::harness::skip("only debug builds take injected faults");
    }
}

/// The binary under test: `$RUNTIME`, or the one that cargo built with these tests.
pub fn path() -> PathBuf {
    std::env::var_os("RUNTIME").map_or_else(
        || PathBuf::from(env!("CARGO_BIN_EXE_crun-lite")),
        PathBuf::from,
    )
}

/// The environment variable with the system calls that the runtime shall be denied. Only `tests/fallbacks` sets it.
pub const DENIED: &str = "CRUN_LITE_DENIED";

/// The binary's name, by which known differences are listed; `crun-lite without CALL` where a call is denied.
pub fn name() -> String {
    let path = path();
    let name = path
        .file_name()
        .map_or_else(Default::default, |name| name.to_string_lossy());
    match std::env::var(DENIED) {
        Ok(calls) if calls.contains(',') => format!("{name} without all of them"),
        Ok(call) => format!("{name} without {call}"),
        Err(_) => name.into_owned(),
    }
}

/// Whether the runtime under test is ours.
pub fn is_ours() -> bool {
    name().starts_with("crun-lite")
}

/// How to start the runtime. Debian's crun refuses hosts whose v2 hierarchy has controllers beside v1 ones: it gets a
/// mount namespace in which that hierarchy isn't mounted, which is what its authors tell users to do.
fn starter() -> Vec<OsString> {
    let program = path().into_os_string();
    let mut denying = denier();
    if !denying.is_empty() {
        denying.push(program);
        return denying;
    }
    if name() == "crun" && Path::new("/sys/fs/cgroup/unified/cgroup.controllers").exists() {
        let script = "umount /sys/fs/cgroup/unified; exec \"$0\" \"$@\"";
        return ["unshare", "-m", "sh", "-c", script]
            .map(OsString::from)
            .into_iter()
            .chain([program])
            .collect();
    }
    vec![program]
}

/// The words before a program that is denied the system calls; none where no call is denied.
pub fn denier() -> Vec<OsString> {
    let Some(calls) = std::env::var_os(DENIED) else {
        return Vec::new();
    };
    let ourselves = std::env::current_exe().expect("we have a path");
    vec![ourselves.into(), "--deny".into(), calls]
}

/// What a finished command did.
#[derive(Clone, Debug)]
pub struct Output {
    pub what: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The exit code; a death by signal is a failure of the test.
    #[track_caller]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{self}"))
    }

    /// Demands exit code 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "{self}");
        self
    }

    /// Demands exit code 0 and gives standard output without its last line break.
    #[track_caller]
    pub fn text(self) -> String {
        self.ok().stdout.trim_end_matches('\n').to_owned()
    }

    /// Demands that the command failed, by itself and not by a signal.
    #[track_caller]
    pub fn fails(self) -> Self {
        assert!(
            self.status.code().is_some_and(|code| code != 0),
            "should have failed: {self}"
        );
        self
    }

    /// Demands a failure whose message has each of the texts.
    #[track_caller]
    pub fn fails_with(self, texts: &[&str]) -> Self {
        let failed = self.fails();
        for text in texts {
            assert!(
                failed.stderr.contains(text),
                "the message should contain {text:?}: {failed}"
            );
        }
        failed
    }

    /// How many lines of standard error are neither a hint nor a warning.
    pub fn error_lines(&self) -> usize {
        let is_error = |line: &&str| {
            !line.starts_with("hint:")
                && !line.contains("level=warn")
                && !line.contains(" warning: ")
        };
        self.stderr.lines().filter(is_error).count()
    }

    /// Demands exit code 1 and one line of error that has each of the texts; a line of hint may follow.
    #[track_caller]
    pub fn refused_with(self, texts: &[&str]) -> Self {
        let failed = self.fails_with(texts);
        assert_eq!(failed.code(), 1, "{failed}");
        assert_eq!(failed.error_lines(), 1, "want one line of error: {failed}");
        assert!(
            failed.stderr.to_lowercase().contains("error"),
            "the line should contain the word error: {failed}"
        );
        failed
    }

    /// Demands success with nothing on standard error.
    #[track_caller]
    pub fn silent(self) -> Self {
        let done = self.ok();
        assert_eq!(
            done.stderr, "",
            "a successful command leaves standard error empty: {}",
            done.what
        );
        done
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            out,
            "{}: {}\n  stdout: {:?}\n  stderr: {:?}",
            self.what, self.status, self.stdout, self.stderr
        )
    }
}

/// A command about to be started.
pub struct Invocation {
    arguments: Vec<OsString>,
    redirections: String,
    listen_fds: Option<u32>,
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    stdin: Option<File>,
    terminal: Option<File>,
    scratch: PathBuf,
    time_limit: Duration,
}

impl Invocation {
    /// The runtime with these arguments; output is kept under `scratch`.
    pub fn of_runtime<S: AsRef<OsStr>>(arguments: &[S], scratch: &Path) -> Self {
        let mut command = starter();
        command.extend(
            arguments
                .iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        Self::of(command, scratch)
    }

    /// Any program with its arguments.
    pub fn of(arguments: Vec<OsString>, scratch: &Path) -> Self {
        Invocation {
            arguments,
            redirections: String::new(),
            listen_fds: None,
            environment: Vec::new(),
            directory: None,
            stdin: None,
            terminal: None,
            scratch: scratch.to_owned(),
            time_limit: time_limit(),
        }
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment
            .push((name.into(), value.as_ref().to_owned()));
        self
    }

    pub fn cwd(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_owned());
        self
    }

    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Gives the command this text to read.
    pub fn stdin(mut self, text: &str) -> Self {
        let file = unique(&self.scratch, "in");
        fs::write(&file, text).expect("write the file for stdin");
        self.stdin = Some(File::open(file).expect("open the file for stdin"));
        self
    }

    /// Makes this terminal standard input, output and error.
    pub fn terminal(mut self, terminal: File) -> Self {
        self.terminal = Some(terminal);
        self
    }

    /// Starts the command through a shell with these redirections, such as `3</dev/null 4<&0`.
    pub fn redirections(mut self, redirections: &str) -> Self {
        redirections.clone_into(&mut self.redirections);
        self
    }

    /// Hands over this many descriptors from 3 as systemd does; use it with `redirections`.
    pub fn listen_fds(mut self, count: u32) -> Self {
        self.listen_fds = Some(count);
        self
    }

    fn command(&self) -> Command {
        let mut words = self.arguments.clone();
        if !self.redirections.is_empty() {
            // bash, because dash can't redirect descriptors above 9.
            let listen = self
                .listen_fds
                .map(|count| format!("export LISTEN_FDS={count} LISTEN_PID=$$; "));
            let script = format!(
                "{}exec \"$0\" \"$@\" {}",
                listen.unwrap_or_default(),
                self.redirections
            );
            words = ["bash".into(), "-c".into(), script.into()]
                .into_iter()
                .chain(words)
                .collect();
        }
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    /// Starts the command and lets it run.
    pub fn spawn(mut self) -> Running {
        let mut command = self.command();
        let (out, err) = (unique(&self.scratch, "out"), unique(&self.scratch, "err"));
        let create = |path: &Path| File::create(path).expect("create a file for output");
        command
            .stdout(create(&out))
            .stderr(create(&err))
            .stdin(Stdio::null());
        if let Some(stdin) = self.stdin.take() {
            command.stdin(stdin);
        }
        if let Some(terminal) = self.terminal.take() {
            let copy = |file: &File| file.try_clone().expect("duplicate the terminal");
            command
                .stdin(copy(&terminal))
                .stdout(copy(&terminal))
                .stderr(terminal);
        }
        let what: String = self
            .arguments
            .iter()
            .flat_map(|word| {
                word.to_string_lossy()
                    .chars()
                    .chain([' '])
                    .collect::<Vec<_>>()
            })
            .take(400)
            .collect();
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {what}: {error}"));
        Running {
            child,
            what,
            out,
            err,
            deadline: Instant::now() + self.time_limit,
        }
    }

    /// Runs the command to its end.
    #[track_caller]
    pub fn output(self) -> Output {
        self.spawn().wait()
    }
}

/// A command that was started.
pub struct Running {
    child: Child,
    pub what: String,
    out: PathBuf,
    err: PathBuf,
    deadline: Instant,
}

impl Running {
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("pids fit")
    }

    /// What the command printed so far.
    pub fn stdout_so_far(&self) -> String {
        read_lossy(&self.out)
    }

    /// Waits for the end; a command that takes too long is killed and fails the test.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let mut pause = Duration::from_millis(1);
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("wait for the command") {
                break status;
            }
            if Instant::now() > self.deadline {
                self.child.kill().ok();
                self.child.wait().ok();
                let (out, err) = (read_lossy(&self.out), read_lossy(&self.err));
                panic!("hangs: {}\n  stdout: {out:?}\n  stderr: {err:?}", self.what);
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        };
        Output {
            what: self.what.clone(),
            status,
            stdout: read_lossy(&self.out),
            stderr: read_lossy(&self.err),
        }
    }

    /// Sends the command a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid()), signal)
            .expect("signal the command");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().ok();
            self.child.wait().ok();
        }
    }
}

/// The exit status that stands for a signal's number.
pub fn died_of(output: &Output) -> Option<i32> {
    output.status.signal()
}

fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// A path under `directory` that nothing has yet.
pub fn unique(directory: &Path, stem: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    directory.join(format!("{stem}{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}
