//! Podman 4.3 with conmon, and Buildah, as root. Each case has a storage of its own.

use super::machine::demand;
use super::support::{Sandbox, cases};

cases![
    run,
    logs_and_exec,
    pause,
    statistics_and_copy,
    update,
    stop_and_restart,
    limits,
    no_cgroups_by_name,
    privileged,
    user_namespace,
    user_namespace_chosen_by_podman,
    read_only,
    command_errors,
    sysctl,
    published_port,
    pod,
    health,
    secret,
    attach,
    kube,
    systemd,
    build,
    buildah_run,
];

const PROLOGUE: &str = "D=@W/state/@N; mkdir -p $D; cat >$D/containers.conf <<END
[containers]
default_ulimits=[\"nofile=20000:20000\",\"nproc=32768:32768\"]
[engine]
cgroup_manager=\"cgroupfs\"
events_logger=\"file\"
infra_image=\"localhost/bb\"
runtime_supports_json=[\"crun\",\"runc\",\"crun-lite\"]
runtime_supports_nocgroup=[\"crun\",\"crun-lite\"]
END
export CONTAINERS_CONF=$D/containers.conf
p() { podman --runtime @RT --root $D/root --runroot $D/run --tmpdir $D/tmp --storage-driver overlay --network-config-dir $D/net \"$@\"; }
run() { p run --rm --network none \"$@\"; }; detach() { p run -d --name @N --network none \"$@\" >/dev/null; }
p import -c 'CMD [\"sleep\",\"1000\"]' -c 'ENV PATH=/bin' @W/root.tar bb >/dev/null 2>&1; I=localhost/bb
trap 'p rm -f -a -t 0 >/dev/null 2>&1' EXIT";

#[track_caller]
fn prints(script: &str, expected: &str) {
    demand(PROLOGUE, script, expected);
}

fn run(_: &Sandbox) {
    prints(
        "run $I echo hi; run $I sh -c 'exit 6'; echo $?; run -t $I tty",
        "hi\n6\n/dev/pts/0",
    );
}

fn logs_and_exec(_: &Sandbox) {
    prints(
        "detach $I sh -c 'echo out; sleep 1000'; sleep 0.5; p logs @N; p exec @N echo in; p exec -t @N tty; p exec -u web @N id -un; p exec @N sh -c 'kill -9 $$'; echo $?; p exec @N nope; echo $?; p exec @N /etc/plain; echo $?; p exec @N /etc; echo $?; p exec -w /not/there @N pwd; echo $?",
        "out\nin\n/dev/pts/0\nweb\n137\n~exec: \"nope\": executable file not found in $PATH\n127\n~permission denied\n126\n~permission denied\n126\n~no such file or directory\n127",
    );
}

fn pause(_: &Sandbox) {
    prints(
        "detach $I; p pause @N >/dev/null; p inspect -f '{{.State.Status}}' @N; p unpause @N >/dev/null; p inspect -f '{{.State.Status}}' @N",
        "paused\nrunning",
    );
}

fn statistics_and_copy(_: &Sandbox) {
    prints(
        "detach $I; p stats --no-stream --format '{{.PIDs}}' @N; p top @N | wc -l; p cp @N:/etc/plain $D/x; cat $D/x",
        "1\n2\nplain",
    );
}

fn update(_: &Sandbox) {
    prints(
        "detach $I; p update --memory 64m --cpus 0.5 @N >/dev/null; p exec @N cat /sys/fs/cgroup/memory/memory.limit_in_bytes",
        "67108864",
    );
}

fn stop_and_restart(_: &Sandbox) {
    prints(
        "detach $I sh -c 'trap \"exit 4\" TERM; while true; do sleep 0.1; done'; sleep 0.5; p stop @N >/dev/null; p inspect -f '{{.State.ExitCode}}' @N; p restart -t 0 @N >/dev/null; p kill @N >/dev/null; p wait @N",
        "4\n137",
    );
}

fn limits(_: &Sandbox) {
    prints(
        "run --memory 32m --cpus 0.5 --pids-limit 20 $I sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max'",
        "33554432\n50000\n20",
    );
}

// The key is misspelt in this Podman: without the plural that its manual has.
fn no_cgroups_by_name(_: &Sandbox) {
    prints(
        "run --cgroups=disabled $I cat /proc/self/cgroup | grep -c libpod",
        "0",
    );
}

fn privileged(_: &Sandbox) {
    prints(
        "run --privileged $I sh -c 'mount -t tmpfs none /mnt && readlink /dev/ptmx'",
        "pts/ptmx",
    );
}

fn user_namespace(_: &Sandbox) {
    prints(
        "run --uidmap 0:100000:1000 --gidmap 0:100000:1000 $I cat /proc/self/uid_map | xargs",
        "0 100000 1000",
    );
}

fn user_namespace_chosen_by_podman(_: &Sandbox) {
    prints(
        "for n in 1 2; do p run -d --userns auto:size=3000 --network none $I >>$D/ids; done; for id in $(cat $D/ids); do p exec $id cat /proc/self/uid_map | xargs; p exec $id id -u; done | sort",
        "0\n0\n0 1000000 3000\n0 1003000 3000",
    );
}

fn read_only(_: &Sandbox) {
    prints(
        "run --read-only $I touch /x",
        "touch: /x: Read-only file system",
    );
}

fn command_errors(_: &Sandbox) {
    prints(
        "run $I nope; echo $?; run $I /etc/plain; echo $?",
        "~exec: \"nope\": executable file not found in $PATH: OCI runtime attempted to invoke a command that was not found\n127\n~permission denied: OCI permission denied\n126",
    );
}

fn sysctl(_: &Sandbox) {
    prints(
        "run --sysctl net.ipv4.ip_forward=0 $I cat /proc/sys/net/ipv4/ip_forward",
        "0",
    );
}

fn published_port(_: &Sandbox) {
    prints(
        "p run -d --name @N -p @P:80 $I sh -c 'echo page >/index.html; httpd -f -h /' >/dev/null; sleep 1; busybox wget -qO- http://127.0.0.1:@P/",
        "page",
    );
}

fn pod(_: &Sandbox) {
    prints(
        "p pod create --name @Npod >/dev/null; p run -d --pod @Npod $I >/dev/null; p run --rm --pod @Npod $I hostname; p pod ps --format '{{.Status}} {{.NumberOfContainers}}'; p pod rm -f -t 0 @Npod >/dev/null; echo $?",
        "~pod\nRunning 2\n0",
    );
}

fn health(_: &Sandbox) {
    prints(
        "detach --health-cmd true $I 2>/dev/null; p healthcheck run @N; echo $?",
        "0",
    );
}

fn secret(_: &Sandbox) {
    prints(
        "echo s3 | p secret create @Ns - >/dev/null; run --secret @Ns $I cat /run/secrets/@Ns; p secret rm @Ns >/dev/null",
        "s3",
    );
}

fn attach(_: &Sandbox) {
    prints("detach $I sh -c 'sleep 2; echo late'; p attach @N", "late");
}

fn kube(_: &Sandbox) {
    prints(
        "printf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: @Nk}\\nspec:\\n  containers:\\n  - name: c\\n    image: localhost/bb\\n    command: [sleep, \"100\"]\\n    imagePullPolicy: Never\\n' >$D/k.yaml; p play kube $D/k.yaml >/dev/null 2>&1; p ps --format '{{.Names}} {{.Status}}' | grep -c ' Up'; p play kube --down $D/k.yaml >/dev/null 2>&1; echo $?",
        "2\n0",
    );
}

// The image is the scenarios'.
fn systemd(_: &Sandbox) {
    super::scenarios::need_images();
    prints(
        "p import -c 'CMD [\"/sbin/init\"]' -c 'STOPSIGNAL SIGRTMIN+3' $(@S/scenarios/system-image) sd >/dev/null 2>&1; p run -d -t --name @N --systemd always --network none localhost/sd >/dev/null; for i in $(seq 100); do p exec @N systemctl is-system-running 2>/dev/null | grep running && break; sleep 0.2; done; p exec @N systemctl is-active cron; p stop @N >/dev/null; p inspect -f '{{.State.Status}}' @N",
        "running\nactive\nexited",
    );
}

fn build(_: &Sandbox) {
    prints(
        "mkdir $D/b; printf 'FROM localhost/bb\\nRUN echo built >/b\\nCMD [\"cat\",\"/b\"]\\n' >$D/b/Dockerfile; p build -q --network none --isolation oci -t bld $D/b >/dev/null; run localhost/bld",
        "built",
    );
}

fn buildah_run(_: &Sandbox) {
    prints(
        "b() { buildah --root $D/root --runroot $D/run --storage-driver overlay \"$@\"; }; mkdir -p $D/net; c=$(b from --pull-never localhost/bb); b run --runtime @RT --isolation oci --network none $c echo hi; b run --runtime @RT --isolation oci --network none $c sh -c 'exit 3' 2>/dev/null; echo $?; b run --runtime @RT --isolation oci --network none -v $D/net:/volume:z,U $c ls -d /volume; b rm $c >/dev/null",
        "hi\n3\n/volume",
    );
}
