//! Network devices that move into the container, with their addresses. SPEC(config-linux.md#network-devices)

use super::rtnetlink::{Netlink, Request, attributes, open_in};
use crate::error::{Context, Error, Result};
use nix::errno::Errno;
use oci::runtime::NetDevice;
use std::collections::BTreeMap;

/// `struct ifinfomsg` in bytes.
const LINK_BYTES: usize = 16;
/// `struct ifaddrmsg` in bytes.
const ADDRESS_BYTES: usize = 8;

/// An address as the kernel described it, ready to be asked for again.
struct Address {
    /// `struct ifaddrmsg`.
    header: [u8; ADDRESS_BYTES],
    /// `IFA_LOCAL`, `IFA_ADDRESS`, `IFA_BROADCAST`.
    attributes: Vec<(u16, Vec<u8>)>,
}

/// Moves every device into the network namespace of `pid`: global permanent addresses go along, and it is up then.
pub fn move_all(devices: &BTreeMap<String, NetDevice>, pid: i32) -> Result<()> {
    if devices.is_empty() {
        return Ok(());
    }
    let here = Netlink::open().context("open a netlink socket")?;
    let there = open_in(pid)?;
    devices.iter().try_for_each(|(name, device)| {
        move_one(&here, &there, name, device, pid)
            .context(format_args!("linux.netDevices[{name:?}]"))
    })
}

fn move_one(
    here: &Netlink,
    there: &Netlink,
    name: &str,
    device: &NetDevice,
    pid: i32,
) -> Result<()> {
    let inside = if device.name.is_empty() {
        name
    } else {
        &device.name
    };
    let index = index_of(here, name).map_err(|errno| match errno {
        Errno::ENODEV => Error::errno("find the network device", errno)
            .hint("it must be in the runtime's network namespace"),
        _ => Error::errno("find the network device", errno),
    })?;
    let addresses = addresses_of(here, index).context("read the network device's addresses")?;
    // A template such as eth%d makes the kernel pick a number, so no clash is possible.
    let request = link_request(index, 0, 0)
        .attribute(libc::IFLA_NET_NS_PID, &pid.to_ne_bytes())
        .attribute(libc::IFLA_IFNAME, &with_nul(inside));
    here.execute(request).context(format_args!(
        "move the network device to the container as {inside}"
    ))?;
    let index = match inside.contains('%') {
        // The kernel keeps the number where it is free, and gives the new name only on request.
        true => index_of_moved(there, index),
        false => index_of(there, inside),
    }
    .context(format_args!(
        "find the network device {inside} in the container"
    ))?;
    for address in &addresses {
        add_address(there, index, address)
            .context(format_args!("give {inside} its address again"))?;
    }
    let up = libc::IFF_UP as u32;
    there
        .execute(link_request(index, up, up))
        .context(format_args!("bring {inside} up"))
}

fn with_nul(name: &str) -> Vec<u8> {
    [name.as_bytes(), &[0]].concat()
}

/// `RTM_NEWLINK` for an existing device.
fn link_request(index: i32, flags: u32, change: u32) -> Request {
    let mut body = [0; LINK_BYTES];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    body[8..12].copy_from_slice(&flags.to_ne_bytes());
    body[12..16].copy_from_slice(&change.to_ne_bytes());
    Request::new(libc::RTM_NEWLINK, libc::NLM_F_ACK, &body)
}

fn index_of(netlink: &Netlink, name: &str) -> nix::Result<i32> {
    let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_ACK, &[0; LINK_BYTES])
        .attribute(libc::IFLA_IFNAME, &with_nul(name));
    let mut index = None;
    netlink.dump(request, &mut |_, body| index = index.or(index_in(body)))?;
    index.ok_or(Errno::ENODEV)
}

fn index_of_moved(netlink: &Netlink, index: i32) -> nix::Result<i32> {
    let mut body = [0; LINK_BYTES];
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut found = None;
    let request = Request::new(libc::RTM_GETLINK, libc::NLM_F_ACK, &body);
    netlink.dump(request, &mut |_, body| found = found.or(index_in(body)))?;
    found.ok_or(Errno::ENODEV)
}

fn index_in(body: &[u8]) -> Option<i32> {
    body.get(4..8)?.try_into().ok().map(i32::from_ne_bytes)
}

/// The device's addresses that are permanent and of global scope: others are the kernel's own business.
fn addresses_of(netlink: &Netlink, index: i32) -> nix::Result<Vec<Address>> {
    let mut addresses = Vec::new();
    let request = Request::new(libc::RTM_GETADDR, libc::NLM_F_DUMP, &[0; ADDRESS_BYTES]);
    netlink.dump(request, &mut |_, body| {
        let Some(header) = body.first_chunk::<ADDRESS_BYTES>() else {
            return;
        };
        let (flags, scope) = (header[2], header[3]);
        let permanent = u32::from(flags) & libc::IFA_F_PERMANENT != 0;
        if index_in(header) == Some(index) && permanent && scope == libc::RT_SCOPE_UNIVERSE {
            let kept = [libc::IFA_LOCAL, libc::IFA_ADDRESS, libc::IFA_BROADCAST];
            let all = attributes(&body[ADDRESS_BYTES..]);
            let attributes = all
                .filter(|(kind, _)| kept.contains(kind))
                .map(|(kind, value)| (kind, value.to_vec()));
            addresses.push(Address {
                header: *header,
                attributes: attributes.collect(),
            });
        }
    })?;
    Ok(addresses)
}

fn add_address(netlink: &Netlink, index: i32, address: &Address) -> nix::Result<()> {
    let mut header = address.header;
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let flags = libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;
    let request = Request::new(libc::RTM_NEWADDR, flags, &header);
    let request = address
        .attributes
        .iter()
        .fold(request, |request, (kind, value)| {
            request.attribute(*kind, value)
        });
    netlink.execute(request)
}
