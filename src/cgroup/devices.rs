//! Device programs of cgroup v2: attached at creation, replaced at once by an update.

use super::directory::Directory;
use crate::error::{Context, Result};
use crate::plan::cgroup::Instruction;
use crate::sys::bpf;
use std::os::fd::{AsFd, OwnedFd};

fn load(program: &[Instruction]) -> Result<OwnedFd> {
    let packed: Vec<_> = program
        .iter()
        .map(|i| bpf::Instruction::new(i.code, i.dst, i.src, i.offset, i.constant))
        .collect();
    bpf::load_device_program(&packed).context(format_args!(
        "load the device rules (eBPF, {} instructions)",
        packed.len()
    ))
}

/// Attaches the rules to a new cgroup.
pub fn attach(directory: &Directory, program: &[Instruction]) -> Result<()> {
    let program = load(program)?;
    bpf::attach_device_program(directory.as_fd(), program.as_fd(), None).context(format_args!(
        "attach the device rules to cgroup {}",
        directory.path().display()
    ))
}

/// Puts new rules in the place of the present ones; there is no moment without rules. `None` takes them away.
pub fn replace(directory: &Directory, program: Option<&[Instruction]>) -> Result<()> {
    let path = directory.path().display();
    let present = bpf::device_programs(directory.as_fd())
        .context(format_args!("list the device rules of cgroup {path}"))?;
    let mut old = present.iter();
    if let Some(program) = program {
        let program = load(program)?;
        let replaced = old.next().map(AsFd::as_fd);
        bpf::attach_device_program(directory.as_fd(), program.as_fd(), replaced)
            .context(format_args!("replace the device rules of cgroup {path}"))?;
    }
    for program in old {
        bpf::detach_device_program(directory.as_fd(), program.as_fd())
            .context(format_args!("detach old device rules from cgroup {path}"))?;
    }
    Ok(())
}
