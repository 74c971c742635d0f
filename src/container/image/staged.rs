//! A container of an image: its configuration, then its directory in the store, then the end of both.
//!
//! Order matters when somebody is killed. A note in `tended/` comes first and goes last; the record in the state
//! directory names the store before anything is made there. So [`sweep`](super::sweep()) finds whatever is left. What says
//! in the store whose its directory is comes later, and until then we keep everybody out who would remove it.

use super::home::Home;
use super::places;
use super::subordinate::{has_many_ids, with_all_ids};
use super::sweep::Tended;
use super::{Base, Fetched, ImageOptions};
use crate::container::Id;
use crate::error::{Context, Error, Result};
use oci::bundle::{EtcFiles, Network, RunOptions, UserFiles, Users, bundle, etc};
use oci::image_config::ImageConfig;
use oci::runtime::{IdMapping, Spec};
use rootfs::snapshot::{Chain, Hold, OverlayMount, SnapshotError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::chown;
use std::path::{Component, Path, PathBuf};

/// The largest `/etc/passwd` or `/etc/group` that is read, in bytes: an image may make one endless.
const MAX_USER_FILE_BYTES: u64 = 1 << 20;
/// The volumes' directories, in the container's.
const VOLUMES: &str = "volumes";
/// Bytes of an id that go into the name of its directory in the store.
const MAX_NAME_BYTES: usize = 200;

/// What `delete` needs to know of a container's image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImageRecord {
    /// The store's directory.
    pub store: PathBuf,
    /// The container's directory and its claim on the image, by name.
    pub snapshot: String,
    /// The image's volumes: directories of the container that are no part of what it changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<PathBuf>,
    /// The image's name in the store; none for a container on a directory of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is deleted when it has ended, by whoever waits for it or else by the next command.
    #[serde(default)]
    pub remove: bool,
    /// Its files belong to ids that its owner only has in a user namespace.
    #[serde(default, skip_serializing_if = "is_false")]
    pub many_ids: bool,
    /// Its system call filter is the default profile's for the default capabilities.
    #[serde(default, skip_serializing_if = "is_false")]
    pub default_seccomp: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A container's directory of which nothing says yet whose it is: nobody removes it as long as this is held.
#[must_use]
#[derive(Debug)]
pub struct Unclaimed(Hold);

/// A container of an image that is about to be made.
#[derive(Debug)]
pub struct Staged<'o> {
    options: &'o ImageOptions,
    chain: Chain,
    etc: Vec<(&'static str, String)>,
    state_dir: PathBuf,
    /// What is remembered.
    pub record: ImageRecord,
    /// The container's directory in the store, which is its bundle.
    pub bundle: PathBuf,
    /// For the plan.
    pub overlay: OverlayMount,
    /// The configuration: taken by whoever makes the container.
    pub spec: Spec,
    /// Our note that we look after it.
    pub tended: Tended,
}

impl<'o> Staged<'o> {
    /// Makes the configuration of a container from its image's and the user's wishes. Changes nothing but a note.
    pub fn new(options: &'o ImageOptions, root: &Path, id: &Id) -> Result<Staged<'o>> {
        let state_dir = std::path::absolute(root.join(id)).context("find the state directory")?;
        let tended = Tended::note(&options.home, &state_dir)?;
        let mut record = ImageRecord {
            store: options.home.store.root().to_owned(),
            snapshot: snapshot_name(&state_dir, id),
            name: match &options.base {
                Base::Image(image) => Some(image.name.clone()),
                Base::Directory(_) => None,
            },
            remove: options.remove,
            volumes: Vec::new(),
            many_ids: options.run.is_rootless && has_many_ids(),
            default_seccomp: false,
        };
        let snapshots = &options.home.snapshots;
        let chain = options.base.chain();
        let bundle_dir = snapshots.directory(&record.snapshot)?;
        let etc = etc_files(&options.run);
        let file = |name| utf8(state_dir.join(name)).map(Some);
        let run = RunOptions {
            etc: EtcFiles {
                hosts: file("hosts")?,
                hostname: file("hostname")?,
                resolv_conf: file("resolv.conf")?,
            },
            // Where init mounts, and only init sees it: any directory of its own will do.
            root: utf8(snapshots.upper(&record.snapshot)?)?,
            ..options.run.clone()
        };
        let none;
        let config = match &options.base {
            Base::Image(image) => &image.config,
            Base::Directory(_) => {
                none = ImageConfig::parse(NO_IMAGE)?;
                &none
            }
        };
        let mut made = bundle(config, &run, &ImageUsers(&chain))?;
        record.volumes = volumes(config, &made.spec);
        record.default_seccomp = made.default_seccomp;
        if run.is_rootless {
            become_the_one_id(&mut made.spec);
        }
        let mut overlay = snapshots.plan(&record.snapshot, &chain, true)?;
        if let Base::Image(_) = &options.base {
            places::add(&options.home, &mut overlay)?;
        }
        Ok(Staged {
            overlay,
            bundle: bundle_dir,
            spec: made.spec,
            options,
            chain,
            etc,
            state_dir,
            record,
            tended,
        })
    }

    /// Makes what init mounts, for [`Staged::claim`] to complete. Whoever fails from here on calls [`discard`].
    pub fn make(&self) -> Result<Unclaimed> {
        let home = &self.options.home;
        let hold = self.options.base.hold(home)?;
        let reserve = || home.snapshots.reserve(&self.record.snapshot, &self.chain);
        match reserve() {
            // The id is ours, so this is what a power cut left of an earlier one's: the state lay in memory.
            Err(SnapshotError::Exists(_)) => {
                discard(&self.record)?;
                reserve()
            }
            reserved => reserved,
        }?;
        for (_, source) in self.volumes() {
            let made = fs::create_dir_all(&source);
            made.context(format_args!("mkdir {}", source.display()))?;
        }
        for (file, text) in &self.etc {
            let path = self.state_dir.join(file);
            fs::write(&path, text)
                .and_then(|()| self.give_to_container(&path))
                .context(format_args!("write {}", path.display()))?;
        }
        Ok(Unclaimed(hold))
    }

    /// Notes in the store what the container stands on and whose its directory is: while init mounts, since nobody waits
    /// for it.
    pub fn claim(&self, Unclaimed(hold): Unclaimed) -> Result<()> {
        let home = &self.options.home;
        let name = &self.record.snapshot;
        if let Base::Image(image) = &self.options.base {
            home.store.pin(name, &image.manifest)?;
        }
        let owner = Some(self.state_dir.as_path());
        home.snapshots.record(name, &self.chain, true, owner)?;
        drop(hold);
        Ok(())
    }

    /// The container runs: what overlayfs left for the case of another mount goes now, while the program works.
    pub fn settle(&self) {
        self.options
            .home
            .snapshots
            .forget_mount(&self.record.snapshot);
    }

    /// Where each of the image's volumes is in the container, and its directory in the store.
    pub fn volumes(&self) -> Vec<(PathBuf, PathBuf)> {
        let volumes = self.record.volumes.iter().enumerate();
        volumes
            .map(|(number, place)| {
                let source = self.bundle.join(VOLUMES).join(number.to_string());
                (place.clone(), source)
            })
            .collect()
    }

    /// The files that are bound belong to the container's root.
    fn give_to_container(&self, path: &Path) -> std::io::Result<()> {
        let run = &self.options.run;
        let root_of = |maps: &[IdMapping]| {
            let range = maps.iter().find(|range| range.container_id == 0);
            range.map(|range| range.host_id)
        };
        match (root_of(&run.uid_mappings), root_of(&run.gid_mappings)) {
            (Some(uid), Some(gid)) if !run.is_rootless => chown(path, Some(uid), Some(gid)),
            _ => Ok(()),
        }
    }
}

/// The image's volumes that the user has mounted nothing on, parents first. They outlive nothing: they go with the
/// container, and only their being apart from its changes tells them from other directories.
fn volumes(config: &ImageConfig, spec: &Spec) -> Vec<PathBuf> {
    let named = config.execution().and_then(|image| image.volumes().clone());
    let is_plain = |path: &PathBuf| {
        let names = path.components().skip(1);
        path.is_absolute()
            && path.parent().is_some()
            && names.clone().count() > 0
            && names
                .into_iter()
                .all(|name| matches!(name, Component::Normal(_)))
    };
    let is_free = |path: &PathBuf| {
        let mut mounts = spec.mounts.iter();
        !mounts.any(|mount| Path::new(&mount.destination) == path)
    };
    let named = named
        .into_iter()
        .flatten()
        .map(|path| Path::new("/").join(path));
    let mut volumes: Vec<PathBuf> = named
        .filter(|path| is_plain(path) && is_free(path))
        .collect();
    volumes.sort();
    volumes.dedup();
    volumes
}

/// Who maps only the own id is in the container whoever the image or the user wants, and may set no other groups.
/// KERNEL(user_namespaces(7))
fn become_the_one_id(spec: &mut Spec) {
    let (Some(process), Some(linux)) = (&mut spec.process, &mut spec.linux) else {
        return;
    };
    if matches!(linux.gid_mappings.as_slice(), [only] if only.size == 1) {
        process.user.additional_gids.clear();
    }
    let ids = [
        (&mut linux.uid_mappings, process.user.uid),
        (&mut linux.gid_mappings, process.user.gid),
    ];
    for (maps, id) in ids {
        if let [only] = maps.as_mut_slice()
            && only.size == 1
        {
            only.container_id = id;
        }
    }
}

/// Removes a container's directory and its claim on the image; what is gone already is fine.
pub fn discard(record: &ImageRecord) -> Result<()> {
    let home = Home::reopen(&record.store);
    let remove = || match home.snapshots.remove_writable(&record.snapshot) {
        Ok(()) | Err(SnapshotError::Missing(_)) => Ok(()),
        Err(error) => Err(Error::from(error)),
    };
    match record.many_ids {
        true => with_all_ids(remove)?,
        false => remove()?,
    }
    Ok(home.store.unpin(&record.snapshot)?)
}

/// Writes what `run` would run as the `config.json` of a bundle whose root file system is a copy of the image. Where
/// neither the image nor `command` says what that is, it is what `spec` writes: a tree needs no command.
pub fn write_config(image: &Fetched, command: Vec<String>, path: &Path) -> Result<()> {
    let command = match command.is_empty() && !image.config.has_command() {
        true => vec!["sh".into()],
        false => command,
    };
    let options = RunOptions {
        command,
        hostname: "container".into(),
        ..RunOptions::default()
    };
    let made = bundle(&image.config, &options, &ImageUsers(&image.chain))?;
    let json = serde_json::to_vec_pretty(&made.spec)
        .map_err(|error| Error::new(format!("write the configuration: {error}")))?;
    fs::write(path, json).context(format_args!("write {}", path.display()))
}

/// What a directory of the host says instead of an image's configuration.
const NO_IMAGE: &[u8] =
    br#"{"os":"linux","architecture":"","rootfs":{"type":"layers","diff_ids":[]}}"#;

/// Readable, and the same id under another state directory is another container.
fn snapshot_name(state_dir: &Path, id: &Id) -> String {
    let mut hasher = DefaultHasher::new();
    state_dir.hash(&mut hasher);
    let id = &id.as_str()[..id.as_str().len().min(MAX_NAME_BYTES)];
    format!("{id}-{:08x}", hasher.finish() as u32)
}

/// A path as the configuration says it.
fn utf8(path: PathBuf) -> Result<String> {
    let path = path.into_os_string().into_string();
    path.map_err(|path| Error::new(format!("{}: is not UTF-8", path.display())))
}

/// The files that are bound over the image's, by their names in `/etc` and in the state directory.
pub const ETC_FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

fn etc_files(run: &RunOptions) -> Vec<(&'static str, String)> {
    let host = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let shares_network = run.network != Network::None;
    let hosts = match run.network {
        Network::Host => host("/etc/hosts"),
        _ => etc::hosts(&run.hostname),
    };
    let hostname = etc::hostname(&run.hostname);
    let resolv_conf = etc::resolv_conf(&host("/etc/resolv.conf"), shares_network);
    let texts = [hosts, hostname, resolv_conf];
    ETC_FILES.into_iter().zip(texts).collect()
}

/// The image's own user files, read inside the image.
struct ImageUsers<'u>(&'u Chain);

impl Users for ImageUsers<'_> {
    fn files(&self) -> oci::Result<UserFiles> {
        let invalid = |error: SnapshotError| oci::Error::new(oci::Kind::Invalid, error.to_string());
        let tree = self.0.tree().map_err(invalid)?;
        let read = |path| match tree.read(path, MAX_USER_FILE_BYTES) {
            Ok(bytes) => Ok(bytes.unwrap_or_default()),
            Err(error) => Err(invalid(error)),
        };
        Ok(UserFiles {
            passwd: read("/etc/passwd")?,
            group: read("/etc/group")?,
        })
    }
}
