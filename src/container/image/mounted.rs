//! An image seen as a tree without a container: mounted read-only on the host, or in a mount namespace of our own to be
//! copied out.

use super::{Fetched, Home};
use crate::error::{Context, Error, Result};
use crate::init::failure::Failure;
use crate::init::{mount_by_numbers, stack_overlay, wants_numbers};
use crate::plan::OverlayOp;
use crate::sys::mount::{attach, mount, unmount};
use crate::sys::{clone, open};
use rootfs::layer::{self, Options, OverlayXattrs};
use rootfs::snapshot::{Compression, OverlayMount, SnapshotError, pack};
use std::ffi::CString;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};

/// Beginning of the names of views, and what says where one is mounted.
const VIEW: &str = "view-";
const PLACE: &str = "place";

/// Mounts an image read-only, on `place` or on a directory of the store. Gives the place.
pub fn mount_image(home: &Home, image: &Fetched, place: Option<&Path>) -> Result<PathBuf> {
    let place = place
        .map(|place| {
            place
                .canonicalize()
                .context(format_args!("open {}", place.display()))
        })
        .transpose()?;
    let name = view_name(image, place.as_deref());
    let overlay = match home.snapshots.view(&name, &image.chain) {
        Err(SnapshotError::Exists(_)) => {
            return Err(Error::new(format!(
                "{} is mounted there already",
                image.name
            )));
        }
        overlay => overlay?,
    };
    let own = home.snapshots.directory(&name)?;
    let place = place.unwrap_or_else(|| own.join("rootfs"));
    let mounted = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&place)
        .and_then(|()| symlink(&place, own.join(PLACE)))
        .context(format_args!("prepare {}", place.display()))
        .and_then(|()| mount_on(&overlay, &place, Namespace::Hosts));
    if mounted.is_err() {
        let _ = home.snapshots.remove(&name);
    }
    mounted.map(|()| place)
}

/// Ends what [`mount_image`] began.
pub fn unmount_image(home: &Home, place: &Path) -> Result<()> {
    let place = place
        .canonicalize()
        .context(format_args!("open {}", place.display()))?;
    let mut views = home
        .snapshots
        .list()?
        .into_iter()
        .filter(|name| name.starts_with(VIEW));
    let view = views.find(|name| {
        let directory = home.snapshots.directory(name);
        directory.is_ok_and(|own| fs::read_link(own.join(PLACE)).is_ok_and(|at| at == place))
    });
    let Some(view) = view else {
        return Err(
            Error::new(format!("no image is mounted on {}", place.display()))
                .hint("`image mount` said where it is mounted"),
        );
    };
    match unmount(&text(&place), 0) {
        // Somebody else ended it, or the machine was started anew.
        Ok(()) | Err(nix::errno::Errno::EINVAL) => {}
        Err(errno) => return Err(Error::errno(format!("umount {}", place.display()), errno)),
    }
    Ok(home.snapshots.remove(&view)?)
}

fn view_name(image: &Fetched, place: Option<&Path>) -> String {
    let mut hasher = DefaultHasher::new();
    place.hash(&mut hasher);
    format!(
        "{VIEW}{}-{:08x}",
        image.manifest.short(),
        hasher.finish() as u32
    )
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

/// Whose mount table shows a mount.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespace {
    Hosts,
    Own,
}

fn mount_on(overlay: &OverlayMount, place: &Path, whose: Namespace) -> Result<()> {
    let op = OverlayOp::new(overlay, text(place))?;
    let failed = || format!("mount the image on {}", place.display());
    let explain = |failure: Failure| {
        let what = format!("{}: {}", failed(), failure.operation.text());
        Error::errno(what, failure.errno()).hint("this needs root")
    };
    let tree = match stack_overlay(&op) {
        Err(failure) if wants_numbers(failure) => {
            if whose == Namespace::Hosts && op.mounted().next().is_some() {
                return Err(Error::new(failed()).hint(
                    "before Linux 6.15 EROFS layers can't be shown on the host; `image unpack IMAGE DIRECTORY` copies them",
                ));
            }
            let here = fs::File::open(".").context("open the working directory")?;
            let mounted = mount_by_numbers(&op).map_err(explain);
            open::enter(here.as_raw_fd()).context("enter the working directory")?;
            return mounted;
        }
        stacked => open::own(stacked.map_err(explain)?),
    };
    let directory = fs::File::open(place).context(failed())?;
    attach(tree.as_raw_fd(), directory.as_raw_fd()).context(failed())
}

/// Copies an image's tree into the empty directory `to`. Other processes see no mount of it.
pub fn copy_image(home: &Home, image: &Fetched, to: &Path) -> Result<()> {
    let name = format!("{VIEW}copy-{}", std::process::id());
    let overlay = home.snapshots.view(&name, &image.chain)?;
    let view = View { home, name };
    let place = home.snapshots.directory(&view.name)?.join("rootfs");
    fs::create_dir(&place).context(format_args!("mkdir {}", place.display()))?;
    clone::unshare(libc::CLONE_NEWNS as u64).map_err(|errno| {
        Error::errno("unshare the mount namespace", errno).hint("this needs root")
    })?;
    mount(None, c"/", None, libc::MS_SLAVE | libc::MS_REC, None)
        .context("make all mounts of our own namespace slaves")?;
    mount_on(&overlay, &place, Namespace::Own)?;
    let copied = copy_tree(&place, to);
    unmount(&text(&place), 0).context(format_args!("umount {}", place.display()))?;
    // Images that had to be attached first lie below.
    while unmount(&text(&place), 0).is_ok() {}
    drop(view);
    copied
}

/// Removes a view when dropped.
struct View<'v> {
    home: &'v Home,
    name: String,
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        let _ = self.home.snapshots.remove(&self.name);
    }
}

/// Through the tar that a layer of it all would be: what packs and unpacks layers knows everything that a file can be.
fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    let (reader, writer) = io::pipe().context("pipe")?;
    let root = fs::File::open(to).context(format_args!("open {}", to.display()))?;
    let options = Options {
        overlay_xattrs: OverlayXattrs::Trusted,
        ..Options::privileged("the whole image")
    };
    std::thread::scope(|scope| {
        let packing = scope.spawn(|| {
            pack(
                from,
                Compression::None,
                io::BufWriter::with_capacity(1 << 16, writer),
            )
        });
        let applied = layer::apply(reader, root.into(), &options);
        let packed = packing
            .join()
            .unwrap_or_else(|_| Err(SnapshotError::Refused("the packing thread panicked".into())));
        // When one side fails the other's pipe breaks: the packer's words are the cause.
        packed?;
        applied.map_err(SnapshotError::from)?;
        Ok(())
    })
}

/// Removes views that nobody can see any more: after a reboot.
pub fn forget_unmounted(home: &Home) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("read mountinfo")?;
    for name in home.snapshots.list()? {
        let own = home.snapshots.directory(&name)?;
        let Ok(place) = fs::read_link(own.join(PLACE)) else {
            continue;
        };
        let shown = place.to_string_lossy().replace(' ', "\\040");
        let is_mounted = mounts
            .lines()
            .any(|line| line.split(' ').nth(4) == Some(&shown));
        if name.starts_with(VIEW) && !is_mounted {
            home.snapshots.remove(&name)?;
        }
    }
    Ok(())
}
