//! Who a process is: numbers are numbers, capabilities don't leak, files of the image are read with care.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use nix::sys::stat::Mode;

use crate::support::{Container, Sandbox, cases, json};

cases![
    cve_2016_3697_a_number_is_never_a_name,
    cve_2026_30892_exec_with_a_number_out_of_range,
    cve_2022_29162_no_inheritable_capabilities_on_run,
    cve_2022_27650_no_inheritable_capabilities_on_exec,
    cve_2022_29162_exec_cap_adds_no_inheritable_one,
    cve_2026_47262_a_huge_group_file,
    passwd_may_be_a_fifo_or_a_device,
    passwd_may_be_a_link_out,
    a_session_keyring_is_not_the_hosts,
    groups_of_the_caller_are_dropped_on_exec,
    new_mappings_of_64_kib,
];

/// An /etc/passwd in which numbers are names of root.
const TRAP: &str = "1000:x:0:0::/root:/bin/sh\n4294967296:x:0:0::/root:/bin/sh\n99999999999:x:0:0::/root:/bin/sh\n";

fn cve_2016_3697_a_number_is_never_a_name(t: &Sandbox) {
    let bundle = t.bundle();
    fs::write(bundle.rootfs().join("etc/passwd"), TRAP).expect("write /etc/passwd");
    let container = t.running(bundle.set("/process/user", json!({"uid": 1000, "gid": 1000})));
    assert_eq!(container.sh("id -u"), "1000");
    assert_eq!(
        container
            .exec_with(&["--user", "1000:1000"], &["id", "-u"])
            .text(),
        "1000"
    );
}

fn cve_2026_30892_exec_with_a_number_out_of_range(t: &Sandbox) {
    let bundle = t.bundle();
    fs::write(bundle.rootfs().join("etc/passwd"), TRAP).expect("write /etc/passwd");
    let container = t.running(bundle);
    for user in [
        "4294967296",
        "99999999999",
        "18446744073709551616",
        "-1",
        "1000x",
        " 0",
        "0 ",
        "+0",
        "0x0",
        "1000:4294967296",
        "1000:x",
    ] {
        container
            .exec_with(&["--user", user], &["id", "-u"])
            .fails();
    }
    // The largest number means "no change" to the kernel.
    container
        .exec_with(&["--user", "4294967295"], &["id", "-u"])
        .fails();
}

fn inheritable(container: &Container<'_>, flags: &[&str]) -> String {
    container
        .exec_with(
            flags,
            &[
                "sh",
                "-c",
                "grep -E '^Cap(Inh|Amb)' /proc/self/status | cut -f 2 | tr '\\n' ' '",
            ],
        )
        .text()
}

fn cve_2022_29162_no_inheritable_capabilities_on_run(t: &Sandbox) {
    assert_eq!(
        t.sh(
            t.bundle(),
            "grep -E '^Cap(Inh|Amb)' /proc/self/status | cut -f 2 | tr '\\n' ' '"
        ),
        "0000000000000000 0000000000000000 "
    );
}

fn cve_2022_27650_no_inheritable_capabilities_on_exec(t: &Sandbox) {
    assert_eq!(
        inheritable(&t.running(t.bundle()), &[]),
        "0000000000000000 0000000000000000 "
    );
}

fn cve_2022_29162_exec_cap_adds_no_inheritable_one(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(
        inheritable(
            &container,
            &["--cap", "CAP_NET_ADMIN", "--cap", "CAP_SYS_ADMIN"]
        ),
        "0000000000000000 0000000000000000 "
    );
    let flags = ["--user", "1000:1000", "--cap", "CAP_NET_ADMIN"];
    let effective = container
        .exec_with(&flags, &["grep", "CapInh", "/proc/self/status"])
        .text();
    assert!(effective.ends_with("0000000000000000"), "{effective}");
}

/// Runs `exec --user` and asserts that it ends in time with little memory.
fn exec_in_time(t: &Sandbox, container: &Container<'_>) {
    let root = t.root();
    let output = container
        .exec_invocation(&["--user", "1000:1000"], &["true"])
        .time_limit(Duration::from_secs(20))
        .output();
    assert!(
        output.status.code().is_some(),
        "{} {output}",
        root.display()
    );
}

fn cve_2026_47262_a_huge_group_file(t: &Sandbox) {
    let bundle = t.bundle();
    for name in ["group", "passwd"] {
        let file =
            fs::File::create(bundle.rootfs().join("etc").join(name)).expect("create a huge file");
        file.set_len(2 << 30).expect("grow a sparse file");
    }
    let container = t.running(bundle);
    exec_in_time(t, &container);
    if crate::support::runtime::name() == "crun" {
        return;
    }
    // An eighth of such a file is more memory than there is here.
    assert_eq!(
        t.runtime_through(
            &["sh", "-c", "ulimit -v 262144; exec \"$0\" \"$@\""],
            &[
                "exec",
                "--user",
                "1000:1000",
                &container.id,
                "echo",
                "enough"
            ]
        )
        .output()
        .text(),
        "enough"
    );
}

fn passwd_may_be_a_fifo_or_a_device(t: &Sandbox) {
    let fifo = t.bundle().idle();
    let path = fifo.rootfs().join("etc/passwd");
    fs::remove_file(&path).expect("remove /etc/passwd");
    nix::unistd::mkfifo(&path, Mode::from_bits_truncate(0o666)).expect("make a FIFO");
    fifo.write();
    let path = fifo.path.to_string_lossy();
    let id = t.new_id();
    let bundle = fifo.clone().without("/process/env");
    bundle.write();
    t.runtime(&["run", "-d", "-b", &path, &id])
        .time_limit(Duration::from_secs(20))
        .output();
    let zero = t.bundle().idle().without("/process/env");
    fs::remove_file(zero.rootfs().join("etc/passwd")).expect("remove /etc/passwd");
    symlink("/dev/zero", zero.rootfs().join("etc/passwd")).expect("link");
    zero.write();
    t.runtime(&["run", "-d", "-b", &zero.path.to_string_lossy(), &t.new_id()])
        .time_limit(Duration::from_secs(20))
        .output();
}

fn passwd_may_be_a_link_out(t: &Sandbox) {
    let host = t.new_path("host-passwd");
    fs::write(&host, "root:x:0:0::/home-of-the-host:/bin/sh\n").expect("write a file of the host");
    let bundle = t.bundle();
    fs::remove_file(bundle.rootfs().join("etc/passwd")).expect("remove /etc/passwd");
    symlink(
        format!("../../../../../../../..{}", host.display()),
        bundle.rootfs().join("etc/passwd"),
    )
    .expect("link");
    assert_ne!(t.sh(bundle, "echo $HOME"), "/home-of-the-host");
}

fn a_session_keyring_is_not_the_hosts(t: &Sandbox) {
    let bundle = t.bundle().set("/linux/maskedPaths", json!([]));
    assert!(t.sh(bundle, "grep _ses. /proc/keys | wc -l").trim() != "0");
}

fn groups_of_the_caller_are_dropped_on_exec(t: &Sandbox) {
    let container = t.running(t.bundle());
    assert_eq!(
        t.runtime_through(
            &["setpriv", "--groups", "7,8"],
            &["exec", &container.id, "id", "-G"]
        )
        .output()
        .text(),
        "0"
    );
}

/// CVE-2021-43784: a length that overflowed in a private message; we have no such message, and take long maps.
fn new_mappings_of_64_kib(t: &Sandbox) {
    // The kernel takes 340 lines, and a page of text.
    let line = |number: u32| json!({"containerID": number, "hostID": 1000 + number * 2, "size": 1});
    let ranges: Vec<_> = (0..340).map(line).collect();
    let bundle = t
        .bundle()
        .user_namespace(1000, 1)
        .set("/linux/uidMappings", json!(ranges))
        .set("/linux/gidMappings", json!(ranges));
    assert_eq!(t.sh(bundle.clone(), "wc -l < /proc/self/uid_map"), "340");
    let many: Vec<_> = (0..5000).map(line).collect();
    let output = t.run(
        &bundle
            .set("/linux/uidMappings", json!(many))
            .args(&["/bin/true"]),
    );
    output.refused_with(&["linux.uidMappings"]);
}
