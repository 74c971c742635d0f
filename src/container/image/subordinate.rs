//! The caller's subordinate ids: a user namespace for the whole command, so that layers keep their owners without
//! privileges. user_namespaces(7), subuid(5)
//!
//! Commands that unpack layers or remove what containers wrote move into it before they open the store; what is left
//! to them is not different from what root does. Who has no ranges stays outside and has one id, as ever.

use crate::error::{Context, Error, Result};
use crate::init::parent::run_map_helper;
use crate::sys::clone::{Fork, fork_alone, unshare, wait_pidfd};
use crate::sys::{open, process};
use oci::runtime::IdMapping;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;

/// The maps of a user namespace: users' and groups'.
type Maps = (Vec<IdMapping>, Vec<IdMapping>);

/// Makes the caller root of a user namespace with all its ids, where it has more than one. Nothing for root, of the
/// machine or of a namespace.
pub fn enter() -> Result<()> {
    match nix::unistd::geteuid().is_root() {
        true => Ok(()),
        false => granted().map_or(Ok(()), |maps| enter_with(&maps)),
    }
}

/// Does something with all the caller's ids, in a process of its own where that takes one.
pub fn with_all_ids(act: impl FnOnce() -> Result<()>) -> Result<()> {
    let maps = match nix::unistd::geteuid().is_root() {
        true => None,
        false => granted(),
    };
    let Some(maps) = maps else {
        return act();
    };
    let said = in_child(|| enter_with(&maps).and_then(|()| act()))?.finish()?;
    match said.is_empty() {
        true => Ok(()),
        false => Err(Error::new(said)),
    }
}

/// Whether files may belong to other ids than the caller's: to root of the machine, or of a namespace with ranges.
pub fn has_many_ids() -> bool {
    nix::unistd::geteuid().is_root() && own_extents("uid_map").iter().any(|range| range.size > 1)
}

/// The caller outside the user namespace that [`enter`] made.
pub fn outer_uid() -> u32 {
    let own = nix::unistd::geteuid().as_raw();
    let extents = own_extents("uid_map");
    let root = extents.iter().find(|range| range.container_id == own);
    root.map_or(own, |range| range.host_id)
}

/// Maps of a container's user namespace, for whoever is not the machine's root: all ids of a namespace's root, else the
/// own one.
pub fn own_maps() -> Maps {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    match uid.is_root() {
        true if has_many_ids() => (inner("uid_map"), inner("gid_map")),
        true => (Vec::new(), Vec::new()),
        false => (vec![one(uid.as_raw())], vec![one(gid.as_raw())]),
    }
}

fn one(host_id: u32) -> IdMapping {
    IdMapping {
        container_id: 0,
        host_id,
        size: 1,
    }
}

/// All our ids as themselves. A range of the new map must lie in one of ours.
fn inner(file: &str) -> Vec<IdMapping> {
    let mut extents = own_extents(file);
    for range in &mut extents {
        range.host_id = range.container_id;
    }
    extents
}

fn own_extents(file: &str) -> Vec<IdMapping> {
    let text = open::read_text(format!("/proc/self/{file}")).unwrap_or_default();
    let range = |line: &str| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse);
        let mut next = || numbers.next()?.ok();
        Some(IdMapping {
            container_id: next()?,
            host_id: next()?,
            size: next()?,
        })
    };
    text.lines().filter_map(range).collect()
}

/// What the files of subordinate ids give the caller, behind its own id; nothing unless users and groups are given.
fn granted() -> Option<Maps> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let name = user_name(&text("/etc/passwd"), uid.as_raw());
    let of = |file: &str, own: u32| {
        let ranges = ranges(&text(file), &name, uid.as_raw());
        (!ranges.is_empty()).then(|| behind(own, &ranges))
    };
    let maps = (
        of("/etc/subuid", uid.as_raw())?,
        of("/etc/subgid", gid.as_raw())?,
    );
    let helpers = ["newuidmap", "newgidmap"];
    let are_there = helpers.iter().all(|helper| is_on_path(helper));
    if !are_there {
        log::debug!("subordinate ids are not used: newuidmap and newgidmap are not installed");
    }
    are_there.then_some(maps)
}

fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

fn user_name(passwd: &str, uid: u32) -> String {
    let uid = uid.to_string();
    let mut lines = passwd.lines().map(|line| line.split(':'));
    let name = lines.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)? == uid).then_some(name)
    });
    name.unwrap_or(&uid).to_owned()
}

/// `NAME:FIRST:COUNT`, where a number may stand for the name.
fn ranges(text: &str, name: &str, uid: u32) -> Vec<(u32, u32)> {
    let uid = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let (first, count) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        ((owner == name || owner == uid) && count > 0).then_some((first, count))
    };
    text.lines().filter_map(range).collect()
}

/// The own id as 0, then range after range.
fn behind(own: u32, ranges: &[(u32, u32)]) -> Vec<IdMapping> {
    let mut maps = vec![one(own)];
    let mut next = 1u32;
    for (first, count) in ranges {
        let Some(end) = next.checked_add(*count) else {
            break;
        };
        maps.push(IdMapping {
            container_id: next,
            host_id: *first,
            size: *count,
        });
        next = end;
    }
    maps
}

/// A child that stays outside has the maps written, by programs that may.
fn enter_with(maps: &Maps) -> Result<()> {
    let own = process::pid();
    let (mut go, signal) = io::pipe().context("pipe")?;
    let copied = signal.as_raw_fd();
    let helper = in_child(|| {
        // Its own copy of the other end would keep the pipe from ending.
        open::close(copied);
        // EOF without a byte: nobody waits for the maps any more.
        let told = go.read(&mut [0]).context("read from a pipe")?;
        if told == 0 {
            return Ok(());
        }
        run_map_helper("newuidmap", own, &maps.0)?;
        run_map_helper("newgidmap", own, &maps.1)
    })?;
    // With mounts of its own, for those may only be cloned by root of the namespace that owns them.
    let made = unshare((libc::CLONE_NEWUSER | libc::CLONE_NEWNS) as u64);
    let told = made.is_err() || (&signal).write_all(b"1").is_ok();
    drop(signal);
    let said = helper.finish()?;
    made.map_err(|errno| Error::errno("unshare a user namespace for the subordinate ids", errno))?;
    match said.is_empty() && told {
        true => Ok(()),
        false => Err(Error::new(said).hint(
            "take the caller's lines out of /etc/subuid and /etc/subgid to go on with one id",
        )),
    }
}

/// A process that does something for us and says nothing, or why it failed.
struct Child {
    pidfd: std::os::fd::OwnedFd,
    words: io::PipeReader,
}

fn in_child(act: impl FnOnce() -> Result<()>) -> Result<Child> {
    let (words, mut writer) = io::pipe().context("pipe")?;
    let forked = fork_alone(|| {
        let said = act().err().map(|error| error.to_string());
        let _ = writer.write_all(said.unwrap_or_default().as_bytes());
        process::exit(0)
    });
    match forked.context("fork")? {
        Fork::Parent { pidfd, .. } => Ok(Child {
            pidfd: open::own(pidfd),
            words,
        }),
        Fork::Child => process::exit(1),
    }
}

impl Child {
    fn finish(mut self) -> Result<String> {
        let mut said = String::new();
        self.words
            .read_to_string(&mut said)
            .context("read a child's words")?;
        wait_pidfd(self.pidfd.as_raw_fd(), true).context("wait for a child")?;
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let text = "root:1:2\nme:100000:65536\nbroken\nme:x:1\n1000:300000:10\nmen:5:6\nme:7:0\n";
        assert_eq!(ranges(text, "me", 1000), [(100_000, 65536), (300_000, 10)]);
        assert_eq!(ranges(text, "nobody", 65534), []);
    }

    #[test]
    fn the_own_id_comes_first() {
        let maps = behind(1000, &[(100_000, 65536), (300_000, 10)]);
        let numbers = maps.iter().map(|m| (m.container_id, m.host_id, m.size));
        let expected = [(0, 1000, 1), (1, 100_000, 65536), (65537, 300_000, 10)];
        assert_eq!(numbers.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn names_are_found_by_number() {
        let passwd = "root:x:0:0::/:\nme:x:1000:1000::/home/me:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000), "me");
        assert_eq!(user_name(passwd, 7), "7");
    }
}
