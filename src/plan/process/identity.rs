//! SPEC(config.md#posix-process-user) and the labels: who the process is to the kernel and to its security modules.

use crate::error::Result;
use crate::host::Host;
use crate::plan::field::{c_string, invalid};
use crate::plan::{Step, UserOp};
use oci::runtime::{Process, User};
use std::ffi::CString;

/// The user, with the bounding set that is dropped to on the way. `None` for `groups` keeps the caller's.
pub fn plan_user(
    user: &User,
    keep_groups: bool,
    bounding: u64,
    last_capability: u8,
) -> Result<UserOp> {
    let ids = [("uid", user.uid), ("gid", user.gid)];
    if let Some((field, _)) = ids.iter().find(|(_, id)| *id == u32::MAX) {
        let problem = "4294967295 stands for no id at all";
        return Err(invalid(format_args!("process.user.{field}"), problem));
    }
    Ok(UserOp {
        uid: user.uid,
        gid: user.gid,
        groups: (!keep_groups).then(|| user.additional_gids.clone()),
        bounding,
        effective: bounding,
        last_capability,
    })
}

/// The labels that the program gets at its `execve`, where the host has the security module.
pub fn plan_exec_label(process: &Process, host: &Host) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if !process.selinux_label.is_empty() {
        let at = "process.selinuxLabel";
        if !host.selinux {
            return Err(invalid(at, "SELinux is not enabled on this host"));
        }
        steps.push(Step::ExecLabel {
            attributes: vec![c"thread-self/attr/exec".into()],
            value: c_string(at, process.selinux_label.as_str())?,
        });
    }
    steps.extend(apparmor(&process.apparmor_profile, host)?);
    Ok(steps)
}

fn apparmor(profile: &str, host: &Host) -> Result<Option<Step>> {
    let at = "process.apparmorProfile";
    match profile {
        "" => return Ok(None),
        "unconfined" if !host.apparmor => return Ok(None),
        _ if !host.apparmor => return Err(invalid(at, "AppArmor is not enabled on this host")),
        _ => {}
    }
    // KERNEL(5.8): the directory of its own exists since modules stack; `attr/exec` belongs to the first one.
    let attributes: [CString; 2] = [
        c"thread-self/attr/apparmor/exec".into(),
        c"thread-self/attr/exec".into(),
    ];
    Ok(Some(Step::ExecLabel {
        attributes: attributes.into(),
        value: c_string(at, format!("exec {profile}"))?,
    }))
}
