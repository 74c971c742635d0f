//! Bringing an image in: fetched, stored and unpacked, ready to run. From an archive, and from a registry on this
//! machine; beside whatever else does that. `benches/images` makes the images.
//!
//! Each sample begins with an empty store on a tmpfs. It must not know how a layer is read.

use super::{Answer, Progress};
use crate::daemon::{self, Server};
use crate::ground::Ground;
use crate::interrupt;
use crate::model::{Measure, Row, Unit};
use crate::peers::{OURS, on_path};
use crate::sample::{Contender, Pace, interleave};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// What comes from an archive, in the order in which it is worth waiting for. The 400 MB of postgres take a minute a round.
const UNPACKED: [(&str, &str); 7] = [
    ("debian", "gzip"),
    ("debian", "zstd"),
    ("postgres", "gzip"),
    ("layers", "gzip"),
    ("layers", "zstd"),
    ("files", "gzip"),
    ("files", "zstd"),
];
/// A registry adds the way of the bytes: what the archives show of big images, small files and zstd is not asked again.
const FETCHED: [(&str, &str); 2] = [("debian", "gzip"), ("layers", "gzip")];
const COMPRESSIONS: [&str; 2] = ["gzip", "zstd"];
const PATIENCE: Duration = Duration::from_secs(600);
const REGISTRY_PORT: u16 = 5839;
/// How a peer gets an image named by `$1` into the empty directory `$0`; `ctr` finds a containerd there, and we are `$2`.
type Recipe = (&'static str, &'static str);

const FROM_ARCHIVE: [Recipe; 5] = [
    (
        OURS,
        "exec $2 image unpack -q --store $0/store oci-archive:$1:bench",
    ),
    (
        "umoci",
        "mkdir $0/l && tar -C $0/l -xf $1 && exec umoci unpack --image $0/l:bench $0/bundle",
    ),
    (
        "podman",
        "exec podman --root $0/r --runroot $0/n --tmpdir $0/t --storage-driver overlay pull -q oci-archive:$1:bench",
    ),
    (
        "skopeo",
        "exec skopeo --insecure-policy copy -q oci-archive:$1:bench containers-storage:[overlay@$0/r+$0/n]bench:latest",
    ),
    (
        "ctr",
        "exec ctr -a $0/c.sock images import --base-name bench/image $1",
    ),
];

const FROM_REGISTRY: [Recipe; 5] = [
    (OURS, "exec $2 image unpack -q --store $0/store $1"),
    (
        "umoci",
        "skopeo --insecure-policy copy -q --src-tls-verify=false docker://$1 oci:$0/l:bench && exec umoci unpack --image $0/l:bench $0/bundle",
    ),
    (
        "podman",
        "exec podman --root $0/r --runroot $0/n --tmpdir $0/t --storage-driver overlay pull -q --tls-verify=false docker://$1",
    ),
    (
        "skopeo",
        "exec skopeo --insecure-policy copy -q --src-tls-verify=false docker://$1 containers-storage:[overlay@$0/r+$0/n]bench:latest",
    ),
    ("ctr", "exec ctr -a $0/c.sock images pull --plain-http $1"),
];

pub fn from_archive(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let mut answer = Answer::default();
    for (name, compression) in UNPACKED.into_iter().take_while(|_| !interrupt::is_asked()) {
        let archive = archive(ground, name, compression)?;
        let rows = take(ground, &FROM_ARCHIVE, &archive.to_string_lossy(), progress);
        answer
            .measures
            .push(measure("archive", name, compression, rows));
    }
    Ok(answer)
}

pub fn from_registry(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let registry = Registry::start(ground)?;
    let mut answer = Answer::default();
    for (name, compression) in FETCHED.into_iter().take_while(|_| !interrupt::is_asked()) {
        let archive = archive(ground, name, compression)?;
        let place = registry.push(ground, &archive, &format!("{name}-{compression}"))?;
        let rows = take(ground, &FROM_REGISTRY, &place, progress);
        answer
            .measures
            .push(measure("registry", name, compression, rows));
    }
    Ok(answer)
}

/// Peak memory while the largest image is brought in.
pub fn memory(ground: &Ground, _: &mut Progress) -> Result<Answer, String> {
    let name = "postgres";
    let mut answer = Answer::default();
    for compression in COMPRESSIONS {
        let archive = archive(ground, name, compression)?;
        let weigh = |(peer, script): &Recipe| {
            let target = Target::new(ground, peer)?;
            let command = shell(ground, script, &target.0, &archive.to_string_lossy());
            let peak = ground
                .stopwatch
                .with_patience(PATIENCE, || ground.peak_kib(&command));
            peak.map(|kibibytes| vec![kibibytes])
        };
        // Of containerd only the client would be weighed.
        let recipes = FROM_ARCHIVE.iter().filter(|(peer, _)| *peer != "ctr");
        let rows = recipes.map(|recipe| Row::new(recipe.0, weigh(recipe)));
        answer.measures.push(Measure {
            id: format!("image-memory-{compression}"),
            title: format!(
                "Peak memory while the image `{name}` is brought in, packed with {compression}"
            ),
            about: "From an archive; of whatever process of it is the largest.".into(),
            unit: Unit::Kibibytes,
            rows: rows.collect(),
            question: String::new(),
        });
    }
    Ok(answer)
}

fn measure(from: &str, name: &str, compression: &str, rows: Vec<Row>) -> Measure {
    Measure {
        id: format!("image-{from}-{name}-{compression}"),
        title: format!("The image `{name}`, packed with {compression}, from a local {from}"),
        about: "Fetched, stored and unpacked, with an empty store on a tmpfs. umoci keeps no store and writes one \
                tree; containerd's daemon was started before."
            .into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }
}

fn archive(ground: &Ground, name: &str, compression: &str) -> Result<PathBuf, String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/images");
    let mut command = Command::new(script);
    command.args([name, compression]);
    let made = ground
        .stopwatch
        .with_patience(PATIENCE * 3, || ground.stopwatch.output(&mut command))?;
    Ok(PathBuf::from(made.trim()))
}

fn take(
    ground: &Ground,
    recipes: &'static [Recipe],
    place: &str,
    progress: &mut Progress,
) -> Vec<Row> {
    let contender = |(peer, script): &'static Recipe| Contender {
        peer: (*peer).to_owned(),
        take: Box::new(move || {
            let target = Target::new(ground, peer)?;
            let _daemon = (*peer == "ctr")
                .then(|| daemon::containerd(&target.0))
                .transpose()?;
            let mut command = shell(ground, script, &target.0, place);
            ground
                .stopwatch
                .time(&mut command)
                .map(|milliseconds| vec![milliseconds])
        }),
    };
    let there = recipes
        .iter()
        .filter(|(peer, _)| *peer == OURS || on_path(peer).is_some());
    // The archive was just read or pushed: everything is warm.
    let pace = Pace {
        rounds: 7,
        warm_up: 0,
        burst: 1,
        idle: Duration::ZERO,
        at_most: Duration::from_secs(25),
        fewest: 3,
    };
    let contenders = there.map(contender).collect();
    ground.stopwatch.with_patience(PATIENCE, || {
        interleave(pace, 1, contenders, progress).remove(0)
    })
}

fn shell(ground: &Ground, script: &str, target: &Path, place: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(target).arg(place);
    command.arg(ground.ours().unwrap_or_default());
    command
}

/// An empty directory that goes with what was put there, mounts included.
struct Target(PathBuf);

impl Target {
    fn new(ground: &Ground, peer: &str) -> Result<Self, String> {
        let path = ground.work.join(format!("image-{peer}"));
        std::fs::create_dir(&path).map_err(|error| format!("mkdir {}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        // Podman and skopeo leave a mount of their store on itself.
        for store in ["r/overlay", "r"] {
            let _ = nix::mount::umount2(&self.0.join(store), nix::mount::MntFlags::MNT_DETACH);
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Debian's docker-registry.
struct Registry(#[expect(dead_code, reason = "lives as long")] Server);

impl Registry {
    fn start(ground: &Ground) -> Result<Self, String> {
        let program = on_path("docker-registry").ok_or("no docker-registry: apt-get install it")?;
        let config = ground.work.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{REGISTRY_PORT}}}\n",
            ground.work.join("registry").display()
        );
        std::fs::write(&config, text)
            .map_err(|error| format!("write {}: {error}", config.display()))?;
        let mut command = Command::new(program);
        command.arg("serve").arg(&config);
        let answers = || std::net::TcpStream::connect(("127.0.0.1", REGISTRY_PORT)).is_ok();
        Server::start(&mut command, answers).map(Self)
    }

    fn push(&self, ground: &Ground, archive: &Path, name: &str) -> Result<String, String> {
        let place = format!("127.0.0.1:{REGISTRY_PORT}/{name}:bench");
        let mut command = Command::new("skopeo");
        command.args([
            "--insecure-policy",
            "copy",
            "-q",
            "--preserve-digests",
            "--dest-tls-verify=false",
        ]);
        command.arg(format!("oci-archive:{}:bench", archive.display()));
        command.arg(format!("docker://{place}"));
        ground
            .stopwatch
            .with_patience(PATIENCE, || ground.stopwatch.time(&mut command))?;
        Ok(place)
    }
}
