//! The image that `demo` shows: this program in three layers, one of which changes a file and one deletes one; and what
//! the program says of the container when it finds itself in it.

use super::Author;
use crate::error::{Context, Error, Result};
use nix::sys::stat::{Mode, SFlag, mknod};
use oci::build::Change;
use oci::store::Store;
use rootfs::snapshot::Compression;
use serde_json::json;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The image's name.
pub const NAME: &str = "demo:latest";
/// What the container's program is told, after our own name.
pub const INSIDE: &str = "--inside";

const CHANGED: &str = "etc/greeting";
const DELETED: &str = "etc/secret";

/// What puts a layer's files into its tree.
type Fill = fn(&Path) -> io::Result<()>;

/// Writes the image as an OCI layout, using `scratch` for its trees. Gives its size in bytes.
pub fn write_image(layout: &Path, scratch: &Path) -> Result<u64> {
    let store = Store::open(layout)?;
    let mut author = Author::new(&store)?;
    let layers: [(&str, Fill); 3] = [
        ("the program", first_layer),
        ("a changed file", second_layer),
        ("a deleted file", third_layer),
    ];
    for (what, fill) in layers {
        let tree = scratch.join(what.replace(' ', "-"));
        fs::create_dir_all(tree.join("etc"))
            .and_then(|()| fs::set_permissions(&tree, fs::Permissions::from_mode(0o755)))
            .and_then(|()| fill(&tree))
            .context(format_args!("make {}", tree.display()))?;
        author.pack(&tree, Compression::Gzip, what)?;
    }
    let config = json!({
        "Entrypoint": ["/bin/crun-lite", "demo", INSIDE],
        "WorkingDir": "/",
        "User": "guest",
        "Labels": {"org.opencontainers.image.title": "crun-lite, running in itself"},
    });
    let change = Change {
        config: config.as_object().cloned().unwrap_or_default(),
        ..Change::default()
    };
    author.publish(None, &change, NAME)?;
    Ok(store.open_image(NAME)?.manifest.total_bytes())
}

fn first_layer(tree: &Path) -> io::Result<()> {
    let program = tree.join("bin/crun-lite");
    fs::create_dir(tree.join("bin"))?;
    fs::copy("/proc/self/exe", &program)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    fs::write(
        tree.join("etc/passwd"),
        "root:x:0:0:root:/:\nguest:x:1000:1000:Guest:/:\n",
    )?;
    fs::write(tree.join(CHANGED), "hello from the first layer\n")?;
    fs::write(tree.join(DELETED), "nobody should see this\n")
}

fn second_layer(tree: &Path) -> io::Result<()> {
    fs::write(tree.join(CHANGED), "hello from the second layer\n")
}

/// KERNEL(5.8): anybody may make overlayfs' whiteouts.
fn third_layer(tree: &Path) -> io::Result<()> {
    mknod(&tree.join(DELETED), SFlag::S_IFCHR, Mode::empty(), 0).map_err(io::Error::from)
}

/// What the program sees from inside.
pub fn report() -> Result<String> {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<11} {value}");
    };
    let status = read("/proc/self/status")?;
    let mounts = read("/proc/self/mountinfo")?;
    line(
        "pid",
        format!("{} (of {} here)", std::process::id(), processes()?),
    );
    let hostname = nix::unistd::gethostname().context("gethostname")?;
    line("hostname", hostname.to_string_lossy().into_owned());
    line(
        "uid",
        format!("{} {}", nix::unistd::getuid(), ids_outside()),
    );
    line("root", root_file_system(&mounts));
    line("/etc", greeting());
    line("mounts", mounts.lines().count().to_string());
    line("network", interfaces());
    let field = |name: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(name));
        value.unwrap_or_default().trim().to_owned()
    };
    line(
        "memory",
        format!(
            "{} used by this process, limit {}",
            field("VmRSS:"),
            memory_limit()
        ),
    );
    line(
        "rights",
        format!(
            "capabilities {}, seccomp {}",
            field("CapEff:"),
            field("Seccomp:")
        ),
    );
    Ok(text)
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(path).context(format_args!("read {path}"))
}

fn processes() -> Result<usize> {
    let entries = fs::read_dir("/proc").context("read /proc")?;
    let is_pid = |entry: &fs::DirEntry| {
        let name = entry.file_name();
        name.as_encoded_bytes().iter().all(u8::is_ascii_digit)
    };
    Ok(entries.flatten().filter(is_pid).count())
}

fn ids_outside() -> String {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    match map.split_whitespace().collect::<Vec<_>>()[..] {
        ["0", "0", "4294967295"] => "(guest, by the image's own /etc/passwd)".into(),
        [_, outside, ..] => format!("(which is user {outside} outside)"),
        _ => String::new(),
    }
}

/// The line of `/`: its type, and how many directories it stacks.
fn root_file_system(mounts: &str) -> String {
    let root = mounts
        .lines()
        .find(|line| line.split(' ').nth(4) == Some("/"));
    let Some((_, details)) = root.and_then(|line| line.split_once(" - ")) else {
        return "not found".into();
    };
    let kind = details.split(' ').next().unwrap_or_default();
    let one_by_one = details.matches("lowerdir+=").count();
    let in_a_row = details.split_once("lowerdir=").map_or(0, |(_, list)| {
        list.split(',')
            .next()
            .unwrap_or_default()
            .split(':')
            .count()
    });
    // The lowest is no layer of the image: what init mounts on.
    let layers = (one_by_one + in_a_row).saturating_sub(1);
    format!("{kind} of {layers} layers and a directory of its own")
}

fn greeting() -> String {
    let greeting = fs::read_to_string(Path::new("/").join(CHANGED)).unwrap_or_default();
    let deleted = match Path::new("/").join(DELETED).exists() {
        true => "is still there, which is wrong",
        false => "is gone: the third layer deleted it",
    };
    format!("greeting says {:?}; secret {deleted}", greeting.trim())
}

fn interfaces() -> String {
    let lines = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    let names: Vec<&str> = lines
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name.trim())
        .collect();
    names.join(" ")
}

fn memory_limit() -> String {
    let files = [
        "/sys/fs/cgroup/memory.max",
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
    ];
    let text = files.iter().find_map(|file| fs::read_to_string(file).ok());
    match text
        .as_deref()
        .map(|text| (text.trim(), text.trim().parse::<u64>()))
    {
        // No limit is the largest number of pages on v1, and a word on v2.
        Some((_, Ok(bytes))) if bytes < 1 << 60 => format!("{} MiB", bytes >> 20),
        Some(_) => "none".into(),
        None => "unknown".into(),
    }
}

/// The directory that the demonstration happens in; gone when dropped.
pub struct Stage(std::path::PathBuf);

impl Stage {
    /// Makes one below `parent`.
    pub fn below(parent: &Path) -> Result<Stage> {
        let path = parent.join(format!("crun-lite-demo-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| {
            Error::io(format!("mkdir {}", path.display()), &error)
                .hint("TMPDIR names another directory")
        })?;
        Ok(Stage(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
