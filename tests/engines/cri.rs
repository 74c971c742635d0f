//! containerd's CRI plugin, configured by `docs/engines/containerd-config.toml` as it is written: pods as Kubernetes runs
//! them. Debian has no crictl: `cri/pod.py` says the same calls.

use super::machine::demand;
use super::support::{Sandbox, cases};

cases![
    life,
    own_network,
    exec,
    update,
    privileged_and_read_only,
    command_errors,
    unknown_handler,
];

const PROLOGUE: &str = r#"
. @S/node.sh; trap cut_all_power EXIT
node @N 10.77.0.$((2 + @P % 250)); T=$(mktemp -d /run/@N.XXXX)
# Three additions for this machine: no CAP_SYS_RESOURCE, Debian's place of the network plugins, no registry.
cat @D/containerd-config.toml - >$T/config.toml <<END
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "docker.io/library/bb:pause"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
END
at @N tee /etc/containerd/config.toml <$T/config.toml >/dev/null
at @N tee /etc/cni/net.d/10-pods.conflist >/dev/null <<END
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipam": {"type": "host-local", "subnet": "10.88.0.0/16"}}]}
END
serve @N @W/@N.log containerd
await 20 at @N ctr version
at @N ctr -n k8s.io image import --base-name docker.io/library/bb @W/image.tar >/dev/null
await 10 sh -c "grep -q 'ImageCreate.*bb:pause' @W/@N.log"
pod() { at @N @S/cri/pod.py /run/containerd/containerd.sock crun-lite "$@"; }
"#;

#[track_caller]
fn prints(script: &str, expected: &str) {
    demand(PROLOGUE, script, expected);
}

fn life(_: &Sandbox) {
    prints(
        "pod handler -- run sh -c 'trap \"exit 4\" TERM; echo logged; while true; do sleep 0.1; done' -- status -- exec true -- log -- stop -- status",
        "crun-lite\nrunning 0\nlogged\nexited 4 Error",
    );
}

fn own_network(_: &Sandbox) {
    prints(
        "pod own-network address -- run sleep 100 -- exec cat /proc/sys/net/ipv4/ip_forward -- exec ls /sys/class/net",
        "~10.88.0.\n0\neth0\nlo",
    );
}

fn exec(_: &Sandbox) {
    prints(
        "pod run sleep 100 -- exec echo in -- exec sh -c 'exit 3' -- exec nope",
        "in\nexit code 3\n~exec: \"nope\": executable file not found in $PATH",
    );
}

fn update(_: &Sandbox) {
    prints(
        "pod run sleep 100 -- exec cat /sys/fs/cgroup/memory/memory.limit_in_bytes /proc/self/oom_score_adj -- update 67108864 -- exec cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
        "33554432\n500\n67108864",
    );
}

fn privileged_and_read_only(_: &Sandbox) {
    prints(
        "pod privileged sleep 100 -- exec mount -t tmpfs none /mnt -- read_only sleep 100 -- exec touch /x",
        "touch: /x: Read-only file system\nexit code 1",
    );
}

fn command_errors(_: &Sandbox) {
    prints(
        "pod run nope -- status -- run /etc/plain -- status",
        "~exec: \"nope\": executable file not found in $PATH
         exited 128 StartError
         ~exec /etc/plain: permission denied
         exited 128 StartError",
    );
}

fn unknown_handler(_: &Sandbox) {
    prints(
        "at @N @S/cri/pod.py /run/containerd/containerd.sock other run true 2>&1 | grep -o 'no runtime for \"other\" is configured' | head -1",
        "no runtime for \"other\" is configured",
    );
}
