//! Podman as an ordinary user with subordinate ids: the runtime starts as id 0 of Podman's user namespace.

use super::machine::demand;
use super::support::{Sandbox, cases};

cases![
    run,
    exec,
    keep_id,
    id_map,
    volume,
    pod,
    privileged,
    slirp,
    logs_stop_and_restart,
    health_and_secret,
    kube,
    build,
    copy_and_attach,
];

/// The user's home is only reachable by the user, so the script goes through a file that the user owns.
const PROLOGUE: &str = "H=/run/user/4321/@N; mkdir -p $H; chown sailor:sailor $H; cat >$H/containers.conf <<END
[containers]
default_ulimits=[\"nofile=1000:1000\",\"nproc=1000:1000\"]
[engine]
cgroup_manager=\"cgroupfs\"
events_logger=\"file\"
infra_image=\"localhost/bb\"
END
cp @W/root.tar $H/root.tar
cat >$H/prologue <<'END'
H=/run/user/4321/@N; cd $H; export XDG_RUNTIME_DIR=$H HOME=$H CONTAINERS_CONF=$H/containers.conf
p() { podman --runtime @RT --storage-driver overlay \"$@\"; }
run() { p run --rm --network none \"$@\"; }
p import -c 'CMD [\"sleep\",\"1000\"]' -c 'ENV PATH=/bin' root.tar bb >/dev/null 2>&1; I=localhost/bb
trap 'p rm -f -a -t 0 >/dev/null 2>&1' EXIT
END
sailor() { { cat $H/prologue; cat; } >$H/script; setpriv --reuid sailor --regid sailor --init-groups bash $H/script; }";

#[track_caller]
fn prints(script: &str, expected: &str) {
    demand(
        PROLOGUE,
        &format!("sailor <<'END'\n{script}\nEND"),
        expected,
    );
}

fn run(_: &Sandbox) {
    prints(
        "run $I id -u; run -t $I tty; run $I sh -c 'exit 6'; echo $?",
        "0\n/dev/pts/0\n6",
    );
}

fn exec(_: &Sandbox) {
    prints(
        "p run -d --name d --network none $I >/dev/null; p exec d echo in; p exec -t d tty; p exec d nope; echo $?; p kill d",
        "in\n/dev/pts/0\n~executable file not found in $PATH\n127\nd",
    );
}

// The second user namespace is made inside Podman's, of whose ids newuidmap knows nothing.
fn keep_id(_: &Sandbox) {
    prints("run --userns keep-id $I id -u", "4321");
}

fn id_map(_: &Sandbox) {
    prints(
        "run $I cat /proc/self/uid_map | xargs",
        "0 4321 1 1 700000 65536",
    );
}

fn volume(_: &Sandbox) {
    prints(
        "mkdir v; echo vol >v/f; run -v $PWD/v:/v $I sh -c 'cat /v/f; touch /v/new'; stat -c %U v/new",
        "vol\nsailor",
    );
}

fn pod(_: &Sandbox) {
    prints(
        "p pod create --name pp --network none >/dev/null; p run -d --pod pp $I >/dev/null; p run --rm --pod pp $I hostname; p pod rm -f -t 0 pp >/dev/null; echo $?",
        "pp\n0",
    );
}

fn privileged(_: &Sandbox) {
    prints("run --privileged $I echo hi", "hi");
}

fn slirp(_: &Sandbox) {
    prints(
        "p run --rm --network slirp4netns $I ls /sys/class/net",
        "lo\ntap0",
    );
}

fn logs_stop_and_restart(_: &Sandbox) {
    prints(
        "p run -d --name d --network none $I sh -c 'echo out; trap \"exit 4\" TERM; while true; do sleep 0.1; done' >/dev/null; sleep 1; p logs d; p stop d >/dev/null; p inspect -f '{{.State.ExitCode}}' d; p restart -t 0 d >/dev/null; p kill d >/dev/null; p wait d",
        "out\n4\n137",
    );
}

fn health_and_secret(_: &Sandbox) {
    prints(
        "echo s3 | p secret create s - >/dev/null; p run -d --name d --network none --secret s --health-cmd 'test -e /run/secrets/s' $I >/dev/null 2>&1; p healthcheck run d; echo $?; p exec d cat /run/secrets/s",
        "0\ns3",
    );
}

fn kube(_: &Sandbox) {
    prints(
        "printf 'apiVersion: v1\\nkind: Pod\\nmetadata: {name: k}\\nspec:\\n  hostNetwork: true\\n  containers:\\n  - name: c\\n    image: localhost/bb\\n    command: [sleep, \"100\"]\\n    imagePullPolicy: Never\\n' >k.yaml; p play kube k.yaml >/dev/null 2>&1; p ps --format '{{.Status}}' | grep -c ^Up; p play kube --down k.yaml >/dev/null 2>&1; echo $?",
        "2\n0",
    );
}

fn build(_: &Sandbox) {
    prints(
        "mkdir b; printf 'FROM localhost/bb\\nRUN id -u >/b\\nUSER web\\nCMD [\"sh\", \"-c\", \"cat /b; id -u\"]\\n' >b/Dockerfile; p build -q --network none --isolation oci -t bld b >/dev/null; run localhost/bld",
        "0\n1000",
    );
}

fn copy_and_attach(_: &Sandbox) {
    prints(
        "p run -d --name d --network none $I sh -c 'sleep 2; echo late' >/dev/null; p cp d:/etc/plain x; cat x; p attach d",
        "plain\nlate",
    );
}
