//! Debian's Podman with this runtime: with the systemd cgroup manager as root and as an ordinary user, and with
//! cgroupfs inside a container of ours.

use crate::support::{Sandbox, cases, json, runtime};
use crate::user::{self, AS_USER, ID, IN_SERVICE, NAME};

// Not two first ones of the user at once: Podman makes its locks for the user then, and one of two fails.
cases![as_a_user, as_root, a_users_pod, inside_a_container];

/// What every script begins with: a store of its own, an image of busybox.
const PROLOGUE: &str = "set -e; cd $D; cat >containers.conf <<END
[engine]
cgroup_manager=\"$CGROUPS\"
events_logger=\"file\"
infra_image=\"localhost/bb\"
runtime_supports_json=[\"crun-lite\"]
END
export CONTAINERS_CONF=$D/containers.conf
p() { podman --runtime $RT --root $D/root --runroot $D/run --tmpdir $D/tmp --storage-driver $DRIVER \"$@\"; }
run() { p run --rm --network none --log-driver k8s-file \"$@\"; }
trap '{ p rm -f -a -t 0; kill $(cat $D/tmp/pause.pid); } >/dev/null 2>&1 || true' EXIT
p import -c 'CMD [\"sleep\",\"1000\"]' -c 'ENV PATH=/bin' $D/root.tar bb >/dev/null 2>&1";

/// The directory of a script, with the image's archive.
fn directory(t: &Sandbox) -> String {
    let path = t.path.to_string_lossy().into_owned();
    let rootfs = t.bundle().rootfs();
    let rootfs = rootfs.to_string_lossy();
    let archive = format!("{path}/root.tar");
    t.program(&[
        "tar",
        "--numeric-owner",
        "-C",
        &rootfs,
        "-cf",
        &archive,
        ".",
    ])
    .output()
    .ok();
    path
}

#[track_caller]
fn says(t: &Sandbox, starter: &[&str], script: &str) -> String {
    let (directory, runtime) = (directory(t), runtime::path());
    if !starter.is_empty() {
        user::give(t);
    }
    let file = format!("{directory}/script");
    // As root, overlay's store is a mount that Podman leaves behind.
    let driver = if starter.is_empty() { "vfs" } else { "overlay" };
    let variables = format!(
        "CGROUPS=systemd D={directory} DRIVER={driver} RT={}",
        runtime.to_string_lossy()
    );
    std::fs::write(&file, format!("{variables}\n{PROLOGUE}\n{script}\n")).expect("write a script");
    let words = [starter, &["bash", &file]].concat();
    // Podman is slow to start on an emulated machine.
    let limit = runtime::patience(120);
    t.program(&words).time_limit(limit).output().text()
}

/// A service of the user's own manager.
#[track_caller]
fn user_says(t: &Sandbox, script: &str) -> String {
    let runtime_dir = format!("XDG_RUNTIME_DIR=/run/user/{ID}");
    let home = format!("HOME=/home/{NAME}");
    let bus = format!("DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/{ID}/bus");
    let env = ["env", &runtime_dir, &home, &bus];
    says(t, &[&AS_USER, &env[..], &IN_SERVICE].concat(), script)
}

fn as_root(t: &Sandbox) {
    let seen = says(
        t,
        &[],
        "run --memory 64m --pids-limit 33 bb sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'
         p run -d --name c --network none --log-driver k8s-file bb >/dev/null; p exec c echo in
         cut -d: -f3 /proc/$(p inspect -f '{{.State.Pid}}' c)/cgroup | grep -c '^/machine.slice/libpod-.*scope'
         p update --memory 48m c >/dev/null; p exec c cat /sys/fs/cgroup/memory.max",
    );
    assert_eq!(seen, "67108864\n33\nin\n1\n50331648");
}

/// All that there are.
const CAPABILITIES: &str = "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE \
    DAC_READ_SEARCH FOWNER FSETID IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN \
    NET_BIND_SERVICE NET_BROADCAST NET_RAW PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT \
    SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM";

/// A container of ours with every privilege and the host's programs, and in it Podman with this runtime and cgroup
/// driver cgroupfs: what is called a privileged container with an engine of its own.
fn inside_a_container(t: &Sandbox) {
    let directory = directory(t);
    let names: Vec<String> = CAPABILITIES
        .split_whitespace()
        .map(|name| format!("CAP_{name}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bundle = t
        .bundle()
        .without_mount("/sys/fs/cgroup")
        .mount("/sys/fs/cgroup", "cgroup", "cgroup", &["rw"])
        .namespace("cgroup")
        .capabilities(&names)
        .writable()
        .set("/linux/maskedPaths", json!([]))
        .set("/linux/readonlyPaths", json!([]))
        .set(
            "/linux/resources",
            json!({"devices": [{"allow": true, "access": "rwm"}]}),
        )
        .set("/process/noNewPrivileges", json!(false));
    for (place, source) in [
        ("/usr", "/usr"),
        ("/lib", "/usr/lib"),
        ("/lib64", "/usr/lib64"),
        ("/etc", "/etc"),
        ("/payload", "/payload"),
        (&directory, &directory),
    ] {
        bundle = bundle.mount(place, "bind", source, &["rbind"]);
    }
    for place in ["/run", "/var"] {
        bundle = bundle.mount(place, "tmpfs", "tmpfs", &["mode=755"]);
    }
    let script = format!(
        "export PATH=/usr/bin:/usr/sbin CGROUPS=cgroupfs D={directory} DRIVER=vfs RT={}
         mkdir -p /var/tmp /var/lib /sys/fs/cgroup/own; echo 0 >/sys/fs/cgroup/own/cgroup.procs
         {PROLOGUE}
         run --memory 64m --pids-limit 33 bb sh -c 'cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max'
         p run -d --name c --network none --log-driver k8s-file bb >/dev/null; p exec c echo in",
        runtime::path().display()
    );
    std::fs::write(format!("{directory}/nested"), script).expect("write a script");
    let bundle = bundle.args(&["/usr/bin/bash", &format!("{directory}/nested")]);
    bundle.write();
    let path = bundle.path.to_string_lossy().into_owned();
    let words = ["run", "--bundle", &path, &t.new_id()].map(str::to_owned);
    let running = t.runtime(&words).time_limit(runtime::patience(120));
    assert_eq!(running.output().text(), "67108864\n33\nin");
}

/// A container, limits and the out-of-memory killer, in one store: Podman is slow on an emulated machine.
fn as_a_user(t: &Sandbox) {
    let seen = user_says(
        t,
        "p run -d --name c --network none --log-driver k8s-file bb >/dev/null; p exec c echo in
         cut -d: -f3 /proc/$(p inspect -f '{{.State.Pid}}' c)/cgroup | grep -o 'user.slice/libpod-.*scope' | wc -l
         p pause c >/dev/null; p inspect -f '{{.State.Status}}' c; p unpause c >/dev/null; p kill c >/dev/null; p wait c
         run --memory 64m --pids-limit 33 --cpus 0.5 bb sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max'
         run --memory 16m bb tail /dev/zero || echo $?",
    );
    assert_eq!(seen, "in\n1\npaused\n137\n67108864\n33\n50000 100000\n137");
}

fn a_users_pod(t: &Sandbox) {
    let seen = user_says(
        t,
        "p pod create --name pod --network none >/dev/null
         p run -d --pod pod --name one --log-driver k8s-file bb >/dev/null; p run -d --pod pod --name two --log-driver k8s-file bb >/dev/null
         p ps --filter pod=pod --format '{{.Names}}' | grep -c -e one -e two; p pod rm -f -t 0 pod >/dev/null; p ps -q | wc -l",
    );
    assert_eq!(seen, "2\n0");
}
