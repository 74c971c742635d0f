//! `linux.netDevices`: interfaces of the host that move into the container.

use crate::support::{Sandbox, cases, json};

cases![
    moves_and_renames,
    keeps_its_name,
    keeps_addresses_and_comes_up,
    refuses_a_missing_device,
    refuses_a_name_that_is_taken,
    needs_a_network_namespace
];

/// A pair of interfaces on the host, removed when dropped.
struct Pair(String);

impl Pair {
    fn new(t: &Sandbox) -> Self {
        // Interface names have 15 characters at most; the sandbox's tag ends with what is unique.
        let end: String = t
            .new_id()
            .chars()
            .filter(char::is_ascii_digit)
            .rev()
            .take(9)
            .collect();
        let name = format!("cl{end}");
        t.program(&[
            "ip",
            "link",
            "add",
            "name",
            &name,
            "type",
            "veth",
            "peer",
            "name",
            &format!("{name}p"),
        ])
        .output()
        .ok();
        Pair(name)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for name in [self.0.clone(), format!("{}p", self.0)] {
            std::process::Command::new("ip")
                .args(["link", "delete", &name])
                .stderr(std::process::Stdio::null())
                .status()
                .ok();
        }
    }
}

fn moves_and_renames(t: &Sandbox) {
    let pair = Pair::new(t);
    let bundle = t.bundle().set(
        "/linux/netDevices",
        json!({(pair.0.clone()): {"name": "eth0"}}),
    );
    let seen = t.sh(bundle, "ip link show eth0 >/dev/null && ls /sys/class/net");
    assert_eq!(seen, "eth0\nlo");
}

fn keeps_its_name(t: &Sandbox) {
    let pair = Pair::new(t);
    let bundle = t
        .bundle()
        .set("/linux/netDevices", json!({(pair.0.clone()): {}}));
    let seen = t.sh(bundle, "ls /sys/class/net");
    assert_eq!(seen, format!("{}\nlo", pair.0));
}

fn keeps_addresses_and_comes_up(t: &Sandbox) {
    let pair = Pair::new(t);
    t.program(&["ip", "address", "add", "10.99.3.4/24", "dev", &pair.0])
        .output()
        .ok();
    t.program(&[
        "ip",
        "-6",
        "address",
        "add",
        "fd00:99::4/64",
        "dev",
        &pair.0,
        "nodad",
    ])
    .output();
    t.program(&["ip", "link", "set", &pair.0, "mtu", "1400"])
        .output()
        .ok();
    let bundle = t.bundle().set(
        "/linux/netDevices",
        json!({(pair.0.clone()): {"name": "eth7"}}),
    );
    let seen = t.sh(bundle, "ip address show eth7");
    assert!(
        seen.contains("10.99.3.4/24") && seen.contains("mtu 1400") && seen.contains("UP"),
        "{seen}"
    );
}

fn refuses_a_missing_device(t: &Sandbox) {
    let bundle = t
        .bundle()
        .idle()
        .set("/linux/netDevices", json!({"nosuchdevice": {}}));
    t.try_create(&bundle, &[]).refused_with(&["nosuchdevice"]);
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn refuses_a_name_that_is_taken(t: &Sandbox) {
    let pair = Pair::new(t);
    let bundle = t.bundle().idle().set(
        "/linux/netDevices",
        json!({(pair.0.clone()): {"name": "lo"}}),
    );
    t.try_create(&bundle, &[]).fails();
    assert_eq!(t.wait_until_gone(), Vec::<String>::new());
}

fn needs_a_network_namespace(t: &Sandbox) {
    let bundle = t
        .bundle()
        .idle()
        .without_namespace("network")
        .set("/linux/netDevices", json!({"lo": {}}));
    t.try_create(&bundle, &[])
        .refused_with(&["linux.netDevices"]);
}
