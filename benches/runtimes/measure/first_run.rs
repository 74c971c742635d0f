//! The first run of an image: from an archive that nothing was unpacked of to the first instruction of its program.
//!
//! Every sample begins with an empty store. The image is the benchmark's root file system, made by umoci. It must not
//! know how an engine stores layers.

use super::{Answer, Progress};
use crate::ground::Ground;
use crate::model::{Measure, Unit};
use crate::peers::{Kind, OURS, on_path};
use crate::sample::{Contender, Pace, interleave};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const TAG: &str = "first";

pub fn of_image(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let umoci = on_path("umoci").ok_or("no umoci: apt-get install umoci")?;
    let image = make_image(ground, &umoci)?;
    let ours = ground.ours().ok_or("crun-lite takes no part")?;
    let mut contenders = vec![contender(ground, OURS, {
        let image = image.clone();
        move |store| by_ours(&ours, &image, store)
    })];
    for (name, kind) in [("Podman", Kind::Podman), ("containerd", Kind::Containerd)] {
        let image = image.clone();
        match ground.peers.iter().find(|peer| peer.kind == kind) {
            Some(peer) if kind == Kind::Podman => {
                let podman = peer.program.clone();
                contenders.push(contender(ground, name, move |store| {
                    by_podman(&podman, &image, store)
                }));
            }
            Some(_) => contenders.push(Contender::absent(
                name,
                "its daemon unpacks, at a time of its own".into(),
            )),
            None => contenders.push(Contender::absent(name, why_absent(ground, name))),
        }
    }
    let pace = Pace {
        rounds: if ground.full { 15 } else { 5 },
        warm_up: 1,
        burst: 1,
        idle: Duration::ZERO,
        at_most: Duration::from_secs(if ground.full { 30 } else { 4 }),
        fewest: 5,
    };
    let rows = interleave(pace, 1, contenders, progress).remove(0);
    Ok(Answer::of(Measure {
        id: "first-run".into(),
        title: "First run of an image, to the first instruction of its program".into(),
        about: "From an OCI layout with one gzip layer of 2 MB and an empty store, both on a tmpfs: read, verify, unpack, mount, start."
            .into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }))
}

fn why_absent(ground: &Ground, name: &str) -> String {
    let info = ground.infos.iter().find(|info| info.name == name);
    info.and_then(|info| info.absent.clone())
        .unwrap_or_else(|| "not known".to_owned())
}

fn contender<'a>(
    ground: &'a Ground,
    name: &str,
    command: impl Fn(&Path) -> Command + 'a,
) -> Contender<'a> {
    let store = ground.work.join(format!("store-{name}"));
    Contender {
        peer: name.to_owned(),
        take: Box::new(move || {
            let taken = ground.stopwatch.time_to_first_output(&mut command(&store));
            // Outside of the time: the next sample finds nothing.
            remove_tree(&store);
            taken.map(|milliseconds| vec![milliseconds])
        }),
    }
}

/// Podman leaves its store mounted on itself.
fn remove_tree(store: &Path) {
    for mounted in [store.join("root/overlay"), store.join("root")] {
        let _ = nix::mount::umount2(&mounted, nix::mount::MntFlags::MNT_DETACH);
    }
    let _ = std::fs::remove_dir_all(store);
}

fn by_ours(ours: &Path, image: &str, store: &Path) -> Command {
    let mut command = Command::new(ours);
    command.arg("--root").arg(store.join("state"));
    command.args(["run", "--quiet", "--store"]).arg(store);
    command.arg("--image").arg(format!("oci:{image}"));
    command
}

fn by_podman(podman: &Path, image: &str, store: &Path) -> Command {
    let mut command = Command::new(podman);
    command.arg("--root").arg(store.join("root"));
    command.arg("--runroot").arg(store.join("run"));
    command.args(["--cgroup-manager=cgroupfs", "--events-backend=none"]);
    command.args(["--storage-driver=overlay", "run", "--rm", "--network=none"]);
    // Its default limits are more than a root without CAP_SYS_RESOURCE may set.
    command.args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024"]);
    command.arg(format!("oci:{image}"));
    command
}

/// The layout with its tag, made once.
pub(super) fn make_image(ground: &Ground, umoci: &Path) -> Result<String, String> {
    let layout: PathBuf = ground.work.join("first-image");
    let rootfs = ground.work.join("rootfs");
    let (layout, rootfs) = (layout.to_string_lossy(), rootfs.to_string_lossy());
    let name = format!("{layout}:{TAG}");
    if Path::new(&*layout).exists() {
        return Ok(name);
    }
    let steps: [&[&str]; 4] = [
        &["init", "--layout", &layout],
        &["new", "--image", &name],
        &["insert", "--image", &name, &rootfs, "/"],
        &[
            "config",
            "--image",
            &name,
            "--config.entrypoint",
            "/bin/first",
        ],
    ];
    for step in steps {
        ground.stopwatch.time(Command::new(umoci).args(step))?;
    }
    Ok(name)
}
