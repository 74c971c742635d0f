//! Debian's Podman with this runtime and the systemd cgroup manager: as root and as an ordinary user.

use crate::support::{Sandbox, cases, runtime};
use crate::user::{self, AS_USER, ID, IN_SERVICE, NAME};

cases![as_root, as_a_user, a_users_limits, a_users_pod,];

/// What every script begins with: a store of its own, an image of busybox.
const PROLOGUE: &str = "set -e; cd $D; cat >containers.conf <<END
[engine]
cgroup_manager=\"systemd\"
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
        "D={directory} DRIVER={driver} RT={}",
        runtime.to_string_lossy()
    );
    std::fs::write(&file, format!("{variables}\n{PROLOGUE}\n{script}\n")).expect("write a script");
    let words = [starter, &["bash", &file]].concat();
    // Podman is slow to start on an emulated machine.
    let limit = runtime::patience(70);
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

fn as_a_user(t: &Sandbox) {
    let seen = user_says(
        t,
        "p run -d --name c --network none --log-driver k8s-file bb >/dev/null; p exec c echo in
         cut -d: -f3 /proc/$(p inspect -f '{{.State.Pid}}' c)/cgroup | grep -o 'user.slice/libpod-.*scope' | wc -l
         p pause c >/dev/null; p inspect -f '{{.State.Status}}' c; p unpause c >/dev/null; p kill c >/dev/null; p wait c",
    );
    assert_eq!(seen, "in\n1\npaused\n137");
}

fn a_users_limits(t: &Sandbox) {
    let seen = user_says(
        t,
        "run --memory 64m --pids-limit 33 --cpus 0.5 bb sh -c 'cd /sys/fs/cgroup; cat memory.max pids.max cpu.max'
         run --memory 16m bb tail /dev/zero || echo $?",
    );
    assert_eq!(seen, "67108864\n33\n50000 100000\n137");
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
