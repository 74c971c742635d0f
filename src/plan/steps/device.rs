//! The devices of a container: the default ones, its own, the links beside them.
//!
//! Nodes can't be made in a user namespace, so there the host's are bound. Which of them the host lacks only its side
//! knows, when it opens them: this room says what to make then.

use super::Planner;
use super::operation::device_op;
use crate::error::{Error, Result};
use crate::plan::field::c_string;
use crate::plan::{DeviceOp, NodeOp, PreparedMount, Step};
use rootfs::mount::FsOption;
use rootfs::mount::dev::{DEFAULT_DEVICE_MODE, DEFAULT_DEVICES, DEV_SYMLINKS, dev_is_bound};

impl Planner<'_> {
    /// SPEC(config-linux.md#default-devices) SPEC(config-linux.md#devices) SPEC(runtime-linux.md#dev-symbolic-links)
    pub(super) fn devices(&mut self) -> Result<()> {
        let bind = self.namespaces.has(libc::CLONE_NEWUSER) || !self.host.in_initial_userns;
        if !dev_is_bound(&self.spec.mounts) {
            self.default_devices(bind)?;
        }
        for (index, device) in self.linux.devices.iter().enumerate() {
            // COMPAT(runc): a privileged container lists the host's; its own is the link to pts/ptmx.
            if device.path == "/dev/ptmx" {
                continue;
            }
            let mut op = device_op(index, device, bind)?;
            op.prepared = self.prepare_device(&op)?;
            self.push(Step::Device(op));
        }
        let late = std::mem::take(&mut self.readonly_later);
        late.into_iter().for_each(|op| self.push(Step::Mount(op)));
        Ok(())
    }

    fn default_devices(&mut self, bind: bool) -> Result<()> {
        for device in DEFAULT_DEVICES {
            if self.lists_device(device.path) {
                continue;
            }
            self.push(Step::Device(DeviceOp {
                path: c_string("linux.devices", device.path.as_bytes())?,
                mode: libc::S_IFCHR | DEFAULT_DEVICE_MODE,
                major: device.major,
                minor: device.minor,
                uid: 0,
                gid: 0,
                keep_existing: true,
                bind,
                prepared: None,
            }));
        }
        for link in DEV_SYMLINKS {
            let (path, target) = (
                c_string("/dev", link.path.as_bytes())?,
                c_string("/dev", link.target.as_bytes())?,
            );
            self.push(Step::Symlink { target, path });
        }
        Ok(())
    }

    fn lists_device(&self, path: &str) -> bool {
        self.linux
            .devices
            .iter()
            .any(|device| device.path.trim_end_matches('/') == path)
    }

    /// COMPAT(crun): a listed device need not be the host's. Where the host has it, it is bound with the host's owner
    /// and mode, as runc does: a container's root gets no more of it than an id of the host's has.
    fn prepare_device(&mut self, op: &DeviceOp) -> Result<Option<usize>> {
        let may_make = self.host.is_privileged() && self.host.may_mount();
        if !op.bind || !self.namespaces.makes(libc::CLONE_NEWUSER) || !may_make {
            return Ok(None);
        }
        let facts = self.mount_facts();
        let label = (!facts.label.is_empty()).then_some((facts.label_option, facts.label));
        let label = label.map(|(key, value)| {
            let at = "linux.mountLabel";
            Ok::<_, Error>(FsOption {
                key: c_string(at, key.as_bytes())?,
                value: Some(c_string(at, value.as_bytes())?),
            })
        });
        self.prepared.push(PreparedMount {
            source: op.path.clone(),
            recursive: false,
            no_follow: true,
            idmap: None,
            node: Some(NodeOp {
                mode: op.mode,
                major: op.major,
                minor: op.minor,
                uid: op.uid,
                gid: op.gid,
                label: label.transpose()?,
            }),
        });
        Ok(Some(self.prepared.len() - 1))
    }
}
