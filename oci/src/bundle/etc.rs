//! The contents of `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf` of a container.

use std::net::IpAddr;

/// `/etc/hosts` with the container's own name.
pub fn hosts(hostname: &str) -> String {
    let mut text =
        String::from("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    if !hostname.is_empty() {
        text += &format!("127.0.1.1\t{hostname}\n");
    }
    text
}

/// `/etc/hostname`.
pub fn hostname(hostname: &str) -> String {
    format!("{hostname}\n")
}

/// The host's `/etc/resolv.conf` for a container. A name server on the host's loopback is out of reach in another network.
pub fn resolv_conf(host: &str, shares_network: bool) -> String {
    let reachable = |line: &&str| {
        let mut words = line.split_whitespace();
        let is_server = words.next() == Some("nameserver");
        let address = words
            .next()
            .and_then(|word| word.split('%').next()?.parse::<IpAddr>().ok());
        shares_network || !is_server || address.is_some_and(|address| !address.is_loopback())
    };
    let lines: Vec<&str> = host.lines().filter(reachable).collect();
    format!("{}\n", lines.join("\n"))
}
