//! Network devices that move into the container. SPEC(config-linux.md#network-devices)

use crate::error::{Error, Result};
use oci::runtime::NetDevice;
use std::collections::BTreeMap;

/// Moves every device into the network namespace of `pid`.
pub fn move_all(devices: &BTreeMap<String, NetDevice>, _pid: i32) -> Result<()> {
    match devices.keys().next() {
        None => Ok(()),
        Some(name) => Err(Error::new(format!(
            "linux.netDevices[{name:?}]: moving network devices needs rtnetlink"
        ))),
    }
}
