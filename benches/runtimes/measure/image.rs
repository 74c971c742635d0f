//! The whole of `run --image` of an image that is unpacked, against `run` of a bundle with the same tree and the
//! configuration that the image's container gets: what an image costs more than a bundle.

use super::first_run::make_image;
use super::{Answer, Progress, back_to_back};
use crate::bundle::make_directory;
use crate::ground::Ground;
use crate::model::{Measure, Row, Unit};
use crate::peers::{OURS, Peer, on_path};
use crate::sample::{Contender, interleave};
use nix::sys::statfs::{OVERLAYFS_SUPER_MAGIC, statfs};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The row of the bundle, which docs/budget.md compares with.
const BUNDLE: &str = "bundle";
const PROGRAM: &str = "/bin/true";
const MODEL: &str = "bench-model";

/// With the store on the harness's tmpfs, as everything else is.
pub fn unpacked(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let rows = rows(ground, &ground.work.join("store-of-unpacked"), progress)?;
    Ok(Answer::of(Measure {
        id: "run-image".into(),
        title: "run --image of an unpacked image, /bin/true".into(),
        about: "Against a bundle with the same tree and the configuration that the image's container gets; store and state on a tmpfs."
            .into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }))
}

/// With the store where people have it: on a disk, which here is the one that this program was built on.
pub fn unpacked_on_disk(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let store = OnDisk::make()?;
    let rows = rows(ground, &store.0, progress)?;
    Ok(Answer::of(Measure {
        id: "run-image-disk".into(),
        title: "the same with the image's store on a disk".into(),
        about: "Against a bundle on the tmpfs: the container's directories are made and removed on the file system of the build directory."
            .into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }))
}

/// A directory beside this program, gone when dropped.
struct OnDisk(PathBuf);

impl OnDisk {
    fn make() -> Result<OnDisk, String> {
        let program = std::env::current_exe().map_err(|error| format!("find myself: {error}"))?;
        let beside = program.parent().unwrap_or(&program);
        let kind =
            statfs(beside).map_err(|errno| format!("statfs {}: {errno}", beside.display()))?;
        if kind.filesystem_type() == OVERLAYFS_SUPER_MAGIC {
            return Err(
                "the build directory lies on an overlay, and another can't lie on that".into(),
            );
        }
        Ok(OnDisk(
            beside.join(format!("bench-store-{}", std::process::id())),
        ))
    }
}

impl Drop for OnDisk {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn rows(ground: &Ground, store: &Path, progress: &mut Progress) -> Result<Vec<Row>, String> {
    let umoci = on_path("umoci").ok_or("no umoci: apt-get install umoci")?;
    let ours = ground.peers.iter().find(|peer| peer.name == OURS);
    let ours = ours.ok_or("crun-lite takes no part")?;
    let source = format!("oci:{}", make_image(ground, &umoci)?);
    let mut import = Command::new(&ours.program);
    import.args(["image", "import", "-q", "--store"]).arg(store);
    ground.stopwatch.time(import.args([&source, MODEL]))?;
    let bundle = equal_bundle(ground, ours, store)?;
    let contenders = vec![
        contender(ground, ours, OURS, |id| of_image(ours, "run", store, id)),
        contender(ground, ours, BUNDLE, |id| {
            let mut command = ours_with_state(ours);
            command.args(["run", "--bundle"]).arg(&bundle).arg(id);
            command
        }),
    ];
    Ok(interleave(back_to_back(ground), 1, contenders, progress).remove(0))
}

fn contender<'a>(
    ground: &'a Ground,
    ours: &'a Peer,
    name: &str,
    command: impl Fn(&str) -> Command + 'a,
) -> Contender<'a> {
    Contender {
        peer: name.to_owned(),
        take: Box::new(move || {
            let id = ours.fresh_id();
            let taken = ground.stopwatch.time(&mut command(&id));
            if taken.is_err() {
                ours.forget(&ground.stopwatch, &id);
            }
            taken.map(|milliseconds| vec![milliseconds])
        }),
    }
}

fn ours_with_state(ours: &Peer) -> Command {
    let mut command = Command::new(&ours.program);
    command.arg("--root").arg(&ours.state);
    command
}

fn of_image(ours: &Peer, verb: &str, store: &Path, id: &str) -> Command {
    let mut command = ours_with_state(ours);
    command.arg(verb).arg("--store").arg(store);
    command.args(["--image", MODEL, "--entrypoint", PROGRAM, "--name", id]);
    command
}

/// The configuration of a container of the image, on the benchmark's root file system.
fn equal_bundle(ground: &Ground, ours: &Peer, store: &Path) -> Result<PathBuf, String> {
    let bundle = ground.work.join("bundle-like-an-image");
    make_directory(&bundle)?;
    ground
        .stopwatch
        .time(&mut of_image(ours, "create", store, MODEL))?;
    let made = copy_configuration(
        &ours.state.join(MODEL),
        &ground.work.join("rootfs"),
        &bundle,
    );
    let mut delete = ours_with_state(ours);
    ground
        .stopwatch
        .time(delete.args(["delete", "--force", MODEL]))?;
    made.map(|()| bundle)
}

fn copy_configuration(state: &Path, rootfs: &Path, bundle: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("copy from {}: {error}", state.display());
    let text = fs::read(state.join("config.json")).map_err(failed)?;
    let mut config: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    config["root"]["path"] = json!(rootfs);
    for mount in config["mounts"].as_array_mut().into_iter().flatten() {
        let source = PathBuf::from(mount["source"].as_str().unwrap_or_default());
        if let (Some(name), true) = (source.file_name(), source.starts_with(state)) {
            fs::copy(&source, bundle.join(name)).map_err(failed)?;
            mount["source"] = json!(bundle.join(name));
        }
    }
    fs::write(bundle.join("config.json"), config.to_string()).map_err(failed)
}
