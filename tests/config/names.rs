//! `hostname`, `domainname`, `linux.sysctl`, `annotations`.

use crate::support::{Sandbox, cases, json, sandbox};

cases![
    hostname,
    empty_hostname,
    domainname,
    network_sysctl,
    ipc_sysctl,
    uts_sysctl,
    slashes_in_sysctls,
    annotations_may_hold_anything,
    sysctl_of_the_host_stays
];

fn hostname(t: &Sandbox) {
    let before = sandbox::read("/proc/sys/kernel/hostname");
    assert_eq!(
        t.sh(
            t.bundle().set("/hostname", json!("the-box.example")),
            "hostname"
        ),
        "the-box.example"
    );
    assert_eq!(sandbox::read("/proc/sys/kernel/hostname"), before);
}

fn empty_hostname(t: &Sandbox) {
    let own = sandbox::read("/proc/sys/kernel/hostname");
    assert_eq!(
        t.sh(t.bundle().without("/hostname"), "hostname"),
        own.trim_end()
    );
}

fn domainname(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle().set("/domainname", json!("example.org")),
            "cat /proc/sys/kernel/domainname"
        ),
        "example.org"
    );
}

fn network_sysctl(t: &Sandbox) {
    let bundle = t.bundle().set(
        "/linux/sysctl",
        json!({"net.ipv4.ip_forward": "1", "net.core.somaxconn": "256"}),
    );
    assert_eq!(
        t.sh(
            bundle,
            "cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/core/somaxconn"
        ),
        "1\n256"
    );
}

fn ipc_sysctl(t: &Sandbox) {
    let bundle = t.bundle().set("/linux/sysctl", json!({"kernel.shmmax": "1048576", "kernel.msgmax": "4096", "fs.mqueue.msg_max": "7", "kernel.sem": "10 20 30 40"}));
    assert_eq!(
        t.sh(
            bundle,
            "cd /proc/sys; cat kernel/shmmax kernel/msgmax fs/mqueue/msg_max kernel/sem"
        ),
        "1048576\n4096\n7\n10\t20\t30\t40"
    );
}

fn uts_sysctl(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/linux/sysctl", json!({"kernel.domainname": "example.net"}));
    assert_eq!(
        t.sh(bundle, "cat /proc/sys/kernel/domainname"),
        "example.net"
    );
}

fn slashes_in_sysctls(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/linux/sysctl", json!({"net/ipv4/ip_forward": "1"}));
    assert_eq!(t.sh(bundle, "cat /proc/sys/net/ipv4/ip_forward"), "1");
}

fn sysctl_of_the_host_stays(t: &Sandbox) {
    let before = sandbox::read("/proc/sys/net/core/somaxconn");
    t.run(
        &t.bundle()
            .set("/linux/sysctl", json!({"net.core.somaxconn": "77"}))
            .args(&["/bin/true"]),
    )
    .ok();
    assert_eq!(sandbox::read("/proc/sys/net/core/somaxconn"), before);
}

fn annotations_may_hold_anything(t: &Sandbox) {
    let annotations = json!({"": "", "a": "", "quote\"": "back\\slash", "unicode": "ü\u{1F600}", "org.example/x y": "\n\t"});
    let container = t.create(&t.bundle().idle().set("/annotations", annotations.clone()));
    assert_eq!(container.state()["annotations"], annotations);
}
