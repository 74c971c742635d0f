//! Unpacking an image of real files: one gzip layer to a directory tree.
//!
//! The image is made by umoci from this machine's own /usr, so the bytes and
//! the names are real. It must not know how a layer is read.

use super::{Answer, Progress};
use crate::bundle::make_directory;
use crate::ground::Ground;
use crate::model::{Measure, Unit};
use crate::peers::{OURS, on_path};
use crate::sample::{Contender, Pace, interleave};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TAG: &str = "bench";

pub fn gzip(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let umoci = on_path("umoci").ok_or("no umoci: apt-get install umoci")?;
    let ours = ground.ours().filter(|ours| can_unpack(ours));
    let ours = ours.ok_or("this crun-lite has no `image unpack`")?;
    let image = ground.work.join("image");
    let patience = Duration::from_secs(600);
    let size_mib = if ground.full { 400 } else { 40 };
    ground
        .stopwatch
        .with_patience(patience, || make_image(ground, &umoci, &image, size_mib))?;
    let mut contenders = vec![
        contender(ground, OURS, move |target| {
            by_ours(&ours, &image_name(&ground.work), target)
        }),
        contender(ground, "umoci", move |target| {
            by_umoci(&umoci, &image_name(&ground.work), target)
        }),
    ];
    if let Some(podman) = on_path("podman") {
        contenders.push(contender(ground, "podman", move |target| {
            by_podman(&podman, &image_name(&ground.work), target)
        }));
    }
    let pace = Pace {
        rounds: if ground.full { 7 } else { 3 },
        // A full run's image is too large to be unpacked once more, and was just written.
        warm_up: usize::from(!ground.full),
        burst: 1,
        idle: Duration::ZERO,
        at_most: Duration::from_secs(if ground.full { 90 } else { 10 }),
        fewest: 3,
    };
    let rows = ground.stopwatch.with_patience(patience, || {
        interleave(pace, 1, contenders, progress).remove(0)
    });
    Ok(Answer::of(Measure {
        id: "unpack".into(),
        title: format!("Unpack of a gzip layer of {size_mib} MiB"),
        about:
            "From an OCI layout to a tree on a tmpfs, removed outside the time. Ours and Podman fill a store \
             from which containers run; umoci writes one tree. Only ours also keeps the layer as it came."
                .into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }))
}

fn can_unpack(ours: &Path) -> bool {
    let mut command = Command::new(ours);
    command.args(["image", "unpack", "--help"]);
    command.output().is_ok_and(|output| output.status.success())
}

fn image_name(work: &Path) -> String {
    format!("{}:{TAG}", work.join("image").display())
}

fn by_ours(ours: &Path, image: &str, target: &Path) -> Command {
    let mut command = Command::new(ours);
    command.args(["image", "unpack", "--quiet", "--store"]);
    command.arg(target.join("store"));
    command.arg(format!("oci:{image}"));
    command
}

fn by_umoci(umoci: &Path, image: &str, target: &Path) -> Command {
    let mut command = Command::new(umoci);
    command
        .args(["unpack", "--image", image])
        .arg(target.join("bundle"));
    command
}

/// Podman has no unpack alone: its pull stores the layer as a tree.
fn by_podman(podman: &Path, image: &str, target: &Path) -> Command {
    let mut command = Command::new(podman);
    command.arg("--root").arg(target.join("root"));
    command.arg("--runroot").arg(target.join("run"));
    command.args(["--storage-driver=overlay", "pull", &format!("oci:{image}")]);
    command
}

fn contender<'a>(
    ground: &'a Ground,
    peer: &str,
    command: impl Fn(&Path) -> Command + 'a,
) -> Contender<'a> {
    let target = ground.work.join(format!("unpacked-{peer}"));
    Contender {
        peer: peer.to_owned(),
        take: Box::new(move || {
            let taken = ground.stopwatch.time(&mut command(&target));
            let files = count_files(&target);
            let _ = std::fs::remove_dir_all(&target);
            match files {
                0 => Err(taken
                    .err()
                    .unwrap_or_else(|| "it unpacked nothing".to_owned())),
                _ => taken.map(|milliseconds| vec![milliseconds]),
            }
        }),
    }
}

fn count_files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => count_files(&entry.path()),
            _ => 1,
        })
        .sum()
}

fn make_image(ground: &Ground, umoci: &Path, image: &Path, size_mib: u64) -> Result<(), String> {
    if image.exists() {
        return Ok(());
    }
    let tree = ground.work.join("image-tree");
    gather(Path::new("/usr"), &tree, size_mib << 20)?;
    let name = image_name(&ground.work);
    let steps: [&[&str]; 3] = [
        &["init", "--layout", &image.to_string_lossy()],
        &["new", "--image", &name],
        &["insert", "--image", &name, &tree.to_string_lossy(), "/usr"],
    ];
    for step in steps {
        ground.stopwatch.time(Command::new(umoci).args(step))?;
    }
    let _ = std::fs::remove_dir_all(&tree);
    Ok(())
}

/// Copies regular files, in the order of their names, until they are so many bytes.
fn gather(from: &Path, to: &Path, bytes: u64) -> Result<(), String> {
    let mut left = bytes;
    let mut waiting: Vec<PathBuf> = vec![from.to_owned()];
    while let Some(directory) = waiting.pop() {
        let mut entries: Vec<_> = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten()
            .collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, Ok(data)) = (entry.path(), entry.metadata()) else {
                continue;
            };
            if data.is_dir() {
                waiting.push(path);
            } else if data.is_file() && data.len() <= left {
                let inside = path.strip_prefix(from).unwrap_or(&path);
                let target = to.join(inside);
                make_directory(target.parent().unwrap_or(to))?;
                crate::bundle::copy(&path, &target)?;
                left -= data.len();
            }
        }
        if left < SMALL_CHANGE {
            return Ok(());
        }
    }
    Ok(())
}

/// When so little is left, the image is as big as it was meant to be.
const SMALL_CHANGE: u64 = 1 << 20;
