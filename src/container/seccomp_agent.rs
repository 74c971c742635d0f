//! The agent that decides on `SCMP_ACT_NOTIFY` calls: gets the listener and the container process state.
//! SPEC(config-linux.md#containerprocessstate)

use super::Record;
use crate::error::{Context, Error, Result};
use crate::plan::seccomp::SeccompPlan;
use crate::sys::socket;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// The specification's name for the fd in the state's list.
const SECCOMP_FD: &str = "seccompFd";

/// Sends the agent that the filter's plan names one message with the fd: the first of `fds`.
pub fn send(
    filter: Option<&SeccompPlan>,
    record: &Record,
    pid: i32,
    listener: OwnedFd,
) -> Result<()> {
    let agent = filter.and_then(|filter| filter.listener.as_ref());
    let agent = agent.ok_or_else(|| Error::new("a seccomp listener that nobody asked for"))?;
    let state = serde_json::json!({
        "ociVersion": record.oci_version,
        "fds": [SECCOMP_FD],
        "pid": pid,
        "metadata": agent.metadata,
        "state": {
            "ociVersion": record.oci_version,
            "id": record.id,
            "status": "creating",
            "pid": pid,
            "bundle": record.bundle,
            "annotations": record.annotations,
        },
    });
    let named = format!("seccomp agent {}", agent.path);
    let stream =
        UnixStream::connect(&agent.path).context(format_args!("failed to connect with {named}"))?;
    socket::send(
        stream.as_raw_fd(),
        state.to_string().as_bytes(),
        &[listener.as_raw_fd()],
    )
    .context(format_args!("send to the {named}"))
}
