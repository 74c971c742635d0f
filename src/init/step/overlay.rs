//! An image's layers as the root file system: stacked in the container's own mount namespace, so that nothing of it was
//! ever on the host and nothing has to be unmounted, whoever is killed. SPEC(config.md#root)

use super::page::Page;
use crate::init::child::Child;
use crate::init::failure::{During, Failure, Operation, Result};
use crate::plan::{LowerOp, OverlayOp};
use crate::sys::mount;
use crate::sys::{self, open};
use nix::errno::Errno;
use std::ffi::CStr;
use std::os::fd::RawFd;

/// Makes the overlay, attaches it and keeps a handle on it.
pub fn mount_root(child: &mut Child, op: &OverlayOp) -> Result {
    match stack(op) {
        Err(failure) if wants_numbers(failure) => {
            mount_by_numbers(op)?;
            open::enter_path(c"/").during(Operation::Enter)?;
            child.root = open_directory(&op.place).during(Operation::Resolve)?;
        }
        stacked => {
            let tree = stacked?;
            let place = open_directory(&op.place).during(Operation::Resolve)?;
            mount::attach(tree, place).during(Operation::Attach)?;
            open::close(place);
            child.root = tree;
        }
    }
    // The overlay has its own.
    op.mounted().for_each(open::close);
    Ok(())
}

/// Attaches what the parent stacked for us, over `/`: a place that every container can reach.
pub fn attach_root(child: &mut Child) -> Result {
    let place = open_directory(c"/").during(Operation::Resolve)?;
    mount::attach(child.prepared.fds.image, place).during(Operation::Attach)?;
    open::close(place);
    child.root = child.prepared.fds.image;
    Ok(())
}

/// Whether [`mount_by_numbers`] may do what [`stack`] could not.
///
/// KERNEL(<6.7): there is no `lowerdir+`, which before 6.5 only the creation tells, and before 5.2 no fsopen(2) either.
/// KERNEL(<6.13): layers are no fds. KERNEL(<6.15): a mount that is attached nowhere is no layer.
pub fn wants_numbers(failure: Failure) -> bool {
    match failure.operation {
        Operation::OpenFileSystem => failure.errno() == Errno::ENOSYS,
        Operation::AddLayer | Operation::CreateFileSystem => {
            matches!(failure.errno(), Errno::EINVAL | Errno::EOPNOTSUPP)
        }
        _ => false,
    }
}

/// A detached mount of all layers: one call a layer, so their number and their names are bounded by overlayfs only.
pub fn stack(op: &OverlayOp) -> Result<RawFd> {
    let context = mount::open_context(c"overlay").during(Operation::OpenFileSystem)?;
    let made = configure(context, op)
        .and_then(|()| mount::create_instance(context).during(Operation::CreateFileSystem))
        .and_then(|()| mount::mount_instance(context, 0).during(Operation::MakeMount));
    open::close(context);
    made
}

fn configure(context: RawFd, op: &OverlayOp) -> Result {
    // What `mount` shows in the first column.
    mount::set_option(context, c"source", Some(c"overlay")).during(Operation::SetOption)?;
    for lower in &op.lowers {
        match lower {
            LowerOp::Directory(path) => mount::set_option(context, c"lowerdir+", Some(path)),
            LowerOp::Mounted(fd) => mount::set_file_option(context, c"lowerdir+", *fd),
        }
        .during(Operation::AddLayer)?;
    }
    if let Some((upper, work)) = &op.upper {
        mount::set_option(context, c"upperdir", Some(upper)).during(Operation::SetOption)?;
        mount::set_option(context, c"workdir", Some(work)).during(Operation::SetOption)?;
    }
    op.options.iter().try_for_each(|option| {
        mount::set_option(context, &option.key, option.value.as_deref())
            .during(Operation::SetOption)
    })
}

/// KERNEL(<6.7): mount(2) takes one page of options. From /proc/self/fd a layer's name is the number of its descriptor,
/// and so 500 layers fit. Mounted ones are attached first, one over the other, where the overlay will hide them: so this is
/// for a mount namespace of one's own. Changes the working directory, and leaves the layers open.
#[cold]
pub fn mount_by_numbers(op: &OverlayOp) -> Result {
    let upper = match &op.upper {
        Some((upper, work)) => Some((
            open_directory(upper).during(Operation::Resolve)?,
            open_directory(work).during(Operation::Resolve)?,
        )),
        None => None,
    };
    let place = open_directory(&op.place).during(Operation::Resolve)?;
    for layer in op.mounted() {
        mount::attach(layer, place).during(Operation::AddLayer)?;
    }
    open::close(place);
    let mut page = Page::new();
    write_options(&mut page, op, upper).during(Operation::AddLayer)?;
    open::enter_path(c"/proc/self/fd").during(Operation::Enter)?;
    mount::mount(
        Some(c"overlay"),
        &op.place,
        Some(c"overlay"),
        0,
        page.text(),
    )
    .during(Operation::CreateFileSystem)
}

fn write_options(
    page: &mut Page,
    op: &OverlayOp,
    upper: Option<(RawFd, RawFd)>,
) -> sys::Result<()> {
    for (at, lower) in op.lowers.iter().enumerate() {
        page.push(if at == 0 { b"lowerdir=" } else { b":" })?;
        page.push_number(match lower {
            LowerOp::Directory(path) => open_directory(path)?,
            LowerOp::Mounted(fd) => *fd,
        })?;
    }
    if let Some((upper, work)) = upper {
        page.push(b",upperdir=")?;
        page.push_number(upper)?;
        page.push(b",workdir=")?;
        page.push_number(work)?;
    }
    page.push_options(&op.options)
}

/// `CloseFds` closes it at the latest.
fn open_directory(path: &CStr) -> sys::Result<RawFd> {
    open::open_at(libc::AT_FDCWD, path, libc::O_PATH | libc::O_DIRECTORY, 0)
}
