//! What a case works in: a directory, a `--root`, a name that nothing else has, and the proof that nothing is left.
//!
//! Everything a case makes carries the sandbox's tag (ids, cgroup paths, directories, the environment of commands), so
//! that leaks can be found while other cases run beside it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::runtime::{Invocation, Output, patience};
use super::{Bundle, Container, host};

/// The cgroup directory that all cases of this process share.
pub fn cgroup_parent() -> String {
    format!("/crun-lite-test-{}", std::process::id())
}

/// Removes what the cases of this process shared; call it when none runs any more.
pub fn remove_shared_parts() {
    for hierarchy in host::cgroup_hierarchies() {
        fs::remove_dir(hierarchy.join(&cgroup_parent()[1..])).ok();
    }
}

/// A case's own corner of the host.
pub struct Sandbox {
    /// A text that names everything this case makes.
    pub tag: String,
    /// A directory that is removed afterwards.
    pub path: PathBuf,
    next: AtomicU64,
}

impl Sandbox {
    pub fn new(test: &str) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let tag = format!(
            "clt{}x{}z",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(&tag);
        // Searchable for everybody: a container with a user namespace reaches its root file system through it.
        fs::DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .unwrap_or_else(|error| panic!("{test}: create {path:?}: {error}"));
        fs::create_dir(path.join("scratch")).expect("create the sandbox's scratch directory");
        Sandbox {
            tag,
            path,
            next: AtomicU64::new(0),
        }
    }

    /// The value for `--root`.
    pub fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// A path in the sandbox that nothing has yet.
    pub fn new_path(&self, stem: &str) -> PathBuf {
        super::runtime::unique(&self.path, stem)
    }

    /// An id that nothing has yet.
    pub fn new_id(&self) -> String {
        format!("{}-{}", self.tag, self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// A fresh bundle with the default configuration.
    pub fn bundle(&self) -> Bundle {
        let name = self.new_id();
        Bundle::new(
            &self.path.join(&name),
            &format!("{}/{name}", cgroup_parent()),
        )
    }

    /// The runtime, with the sandbox's `--root` before these arguments.
    pub fn runtime<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Invocation {
        let root = self.root();
        let mut all = vec![OsStr::new("--root"), root.as_os_str()];
        all.extend(arguments.iter().map(AsRef::as_ref));
        self.runtime_without_root(&all)
    }

    /// The runtime with exactly these arguments.
    pub fn runtime_without_root<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Invocation {
        Invocation::of_runtime(arguments, &self.path.join("scratch"))
            .env("CRUN_LITE_TEST", &self.tag)
    }

    /// The runtime with the sandbox's `--root`, started by a program that executes the words behind its own: `taskset
    /// -c 0 …`. Skips the case for a runtime that needs a starter already.
    pub fn runtime_through(&self, starter: &[&str], arguments: &[&str]) -> Invocation {
        if super::runtime::name() == "crun" {
            super::skip("this case starts the runtime itself");
        }
        let (program, root) = (super::runtime::path(), self.root());
        let (program, root) = (program.to_string_lossy(), root.to_string_lossy());
        let words = [starter, &[&*program, "--root", &*root], arguments].concat();
        self.starter_of_runtime(&words)
    }

    /// Runs the bundle to its end in the foreground, the runtime started so.
    pub fn run_through(&self, starter: &[&str], bundle: &Bundle) -> Output {
        bundle.write();
        let (path, id) = (bundle.path.to_string_lossy(), self.new_id());
        self.runtime_through(starter, &["run", "-b", &*path, &id])
            .output()
    }

    /// Another program, which starts the runtime.
    pub fn starter_of_runtime(&self, arguments: &[&str]) -> Invocation {
        let mut words = super::runtime::denier();
        words.extend(arguments.iter().map(Into::into));
        Invocation::of(words, &self.path.join("scratch")).env("CRUN_LITE_TEST", &self.tag)
    }

    /// Another program.
    pub fn program(&self, arguments: &[&str]) -> Invocation {
        Invocation::of(
            arguments.iter().map(Into::into).collect(),
            &self.path.join("scratch"),
        )
        .env("CRUN_LITE_TEST", &self.tag)
    }

    /// Runs the bundle to its end in the foreground.
    #[track_caller]
    pub fn run(&self, bundle: &Bundle) -> Output {
        self.run_with(bundle, &[])
    }

    /// The same with flags for `run`.
    #[track_caller]
    pub fn run_with(&self, bundle: &Bundle, flags: &[&str]) -> Output {
        bundle.write();
        let path = bundle.path.to_string_lossy();
        let id = self.new_id();
        let arguments: Vec<&str> = ["run", "--bundle", &path]
            .into_iter()
            .chain(flags.iter().copied())
            .chain([id.as_str()])
            .collect();
        self.runtime(&arguments).output()
    }

    /// Runs a shell script in the bundle's container and gives what it printed.
    #[track_caller]
    pub fn sh(&self, bundle: Bundle, script: &str) -> String {
        self.run(&bundle.shell(script)).text()
    }

    /// Makes a container without starting it.
    #[track_caller]
    pub fn create(&self, bundle: &Bundle) -> Container<'_> {
        self.create_with(bundle, &[])
    }

    /// The same with flags for `create`.
    #[track_caller]
    pub fn create_with(&self, bundle: &Bundle, flags: &[&str]) -> Container<'_> {
        let container = Container::named(self, bundle, self.new_id());
        container.create(flags).ok();
        container
    }

    /// Tries `create`, for cases that expect it to fail.
    #[track_caller]
    pub fn try_create(&self, bundle: &Bundle, flags: &[&str]) -> Output {
        Container::named(self, bundle, self.new_id()).create(flags)
    }

    /// Makes and starts a container that does what the bundle says.
    #[track_caller]
    pub fn start(&self, bundle: &Bundle) -> Container<'_> {
        let container = self.create(bundle);
        container.start().ok();
        container
    }

    /// A container that has stopped while a child of its init goes on: it has no pid namespace of its own.
    #[track_caller]
    pub fn outlived(&self) -> Container<'_> {
        let bundle = self
            .bundle()
            .without_namespace("pid")
            .shell("sleep 5000 & exit 0");
        let container = self.start(&bundle);
        container.wait_stopped();
        container
    }

    /// Makes and starts a container that idles.
    #[track_caller]
    pub fn running(&self, bundle: Bundle) -> Container<'_> {
        self.start(&bundle.idle())
    }

    /// Deletes what containers are left, then looks for anything else. Gives a description of what was found.
    pub fn tear_down(&self) -> Option<String> {
        let mut left = Vec::new();
        for id in self.state_entries() {
            let deleted = self.runtime(&["delete", "--force", &id]).output();
            if !deleted.status.success() {
                left.push(format!("delete --force failed: {deleted}"));
            }
        }
        left.extend(
            self.state_entries()
                .into_iter()
                .map(|id| format!("state of {id}")),
        );
        left.extend(self.wait_until_gone());
        self.clean_up();
        if left.is_empty() {
            None
        } else {
            Some(left.join("; "))
        }
    }

    /// The containers whose state is still there.
    pub fn state_entries(&self) -> Vec<String> {
        let entries = fs::read_dir(self.root()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.retain(|name| name.contains(&self.tag));
        names
    }

    /// What of this sandbox the host still shows: processes, cgroups, mounts.
    pub fn traces(&self) -> Vec<String> {
        host::traces_of(&self.tag)
    }

    /// Killed processes take a moment to be reaped, and beside other suites a moment is long: a trace counts only when
    /// it stays.
    pub fn wait_until_gone(&self) -> Vec<String> {
        let deadline = Instant::now() + patience(20);
        loop {
            let traces = self.traces();
            if traces.is_empty() || Instant::now() > deadline {
                return traces;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Removes leaks and the directory, so that a failing case doesn't trouble the others.
    fn clean_up(&self) {
        host::remove_traces_of(&self.tag);
        fs::remove_dir_all(&self.path)
            .or_else(|_| fs::remove_dir_all(&self.path))
            .ok();
    }
}

/// Polls until the condition holds.
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let patience = patience(20);
    let deadline = Instant::now() + patience;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {} s for {what}",
            patience.as_secs()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a file of the host, or says which one couldn't be read.
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("read {}: {error}", path.display()))
}

/// A tmpfs mounted on the host, in the sandbox's directory; unmounted when dropped.
pub struct HostMount(String);

impl HostMount {
    /// Mounts one on a new directory.
    pub fn tmpfs(sandbox: &Sandbox, flags: MsFlags) -> Self {
        let path = sandbox.new_path("mount");
        fs::create_dir(&path).expect("create a mount point");
        Self::tmpfs_at(&path.to_string_lossy(), flags)
    }

    /// Mounts one on an existing directory.
    pub fn tmpfs_at(path: &str, flags: MsFlags) -> Self {
        mount(Some("tmpfs"), path, Some("tmpfs"), flags, None::<&str>)
            .unwrap_or_else(|errno| panic!("mount a tmpfs on {path}: {errno}"));
        HostMount(path.to_owned())
    }

    /// Makes the mount send and receive mounts.
    pub fn make_shared(&self) {
        mount(
            None::<&str>,
            self.0.as_str(),
            None::<&str>,
            MsFlags::MS_SHARED,
            None::<&str>,
        )
        .unwrap_or_else(|errno| panic!("make {} shared: {errno}", self.0));
    }

    pub fn path(&self) -> String {
        self.0.clone()
    }
}

impl Drop for HostMount {
    fn drop(&mut self) {
        umount2(self.0.as_str(), MntFlags::MNT_DETACH).ok();
    }
}
