//! What an operator copies: `install`, and the files of `docs/engines/` as they are written.
//!
//! A node has the runtime under test at the path that the files name. `containerd-config.toml` is `cri.rs`'s.

use super::machine::{demand, demand_ours};
use super::support::{Sandbox, cases};

cases![
    install,
    docker_daemon_json,
    buildkit_takes_what_is_named_runc,
    podman_containers_conf,
    buildah_containers_conf,
    crio_conf_and_runtime_class,
];

const PROLOGUE: &str = ". @S/node.sh; trap cut_all_power EXIT; node @N 10.77.0.$((2 + @P % 250))";

// The machine has its own /usr/local, and ran `install` there before anything else.
fn install(_: &Sandbox) {
    demand_ours(
        "tail -1 @W/install.log; /usr/local/bin/crun-lite --version | head -1; [ $(ls /usr/local/share/man/man1 | grep -c '^crun-lite.*[.]1$') -gt 20 ] && echo pages
         . /usr/local/share/bash-completion/completions/crun-lite && complete -p crun-lite
         @W/bin/runtime install | grep -vc ^unchanged",
        "installed /usr/local/bin/crun-lite\n~crun-lite version\npages\n~crun-lite\n0",
    );
}

fn docker_daemon_json(_: &Sandbox) {
    demand(
        PROLOGUE,
        "at @N tee /etc/docker/daemon.json <@D/docker-daemon.json >/dev/null
         serve @N @W/@N.log dockerd; await 30 at @N docker version
         at @N docker info -f '{{.DefaultRuntime}}' 2>/dev/null; at @N docker import @W/root.tar bb >/dev/null
         at @N docker run --rm bb echo hi; at @N docker run --rm --runtime crun-lite bb sh -c 'exit 7'; echo $?",
        "crun-lite\nhi\n7",
    );
}

// BuildKit inside dockerd runs `runc`, whatever the default runtime.
fn buildkit_takes_what_is_named_runc(_: &Sandbox) {
    demand(
        PROLOGUE,
        "at @N mount --bind @RT /usr/sbin/runc; serve @N @W/@N.log dockerd; await 30 at @N docker version
         at @N docker import @W/root.tar bb >/dev/null; mkdir -p /run/@Nb
         printf 'FROM bb\\nRUN echo built >/b\\nRUN --mount=type=cache,target=/cache echo kept >/cache/k\\nRUN exit 3\\n' >/run/@Nb/Dockerfile
         build() { tar -C /run/@Nb -c . | at @N env DOCKER_BUILDKIT=1 docker build --progress plain -t new - 2>&1; }
         build | grep -o 'executor failed running .*: exit code: [0-9]*' | sort -u; sed -i '$d' /run/@Nb/Dockerfile
         build >/dev/null; at @N docker run --rm new cat /b",
        "executor failed running [/bin/sh -c exit 3]: exit code: 3\nbuilt",
    );
}

/// Podman with the file as its only configuration; what this machine needs besides goes by options.
const PODMAN: &str = ". @S/node.sh; trap cut_all_power EXIT; node @N 10.77.0.$((2 + @P % 250)); D=@W/state/@N; mkdir -p $D
p() { at @N env CONTAINERS_CONF=@D/podman-containers.conf podman --root $D/root --runroot $D/run --tmpdir $D/tmp --storage-driver overlay --cgroup-manager cgroupfs --events-backend file \"$@\"; }
run() { p run --rm --network none --ulimit nofile=20000:20000 --ulimit nproc=32768:32768 \"$@\"; }
p import -c 'ENV PATH=/bin' @W/root.tar bb >/dev/null 2>&1; I=localhost/bb";

fn podman_containers_conf(_: &Sandbox) {
    demand(
        PODMAN,
        "p info -f '{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}'; run $I echo hi; run --cgroups=disabled $I echo free; run $I nope; echo $?",
        "crun-lite /usr/local/bin/crun-lite\nhi\nfree\n~executable file not found in $PATH\n127",
    );
}

fn buildah_containers_conf(_: &Sandbox) {
    demand(
        PODMAN,
        "b() { at @N env CONTAINERS_CONF=@D/podman-containers.conf buildah --root $D/root --runroot $D/run --storage-driver overlay \"$@\"; }
         c=$(b from --pull-never $I); b run --isolation oci --network none $c echo hi; b rm $c >/dev/null",
        "hi",
    );
}

// Neither CRI-O nor Kubernetes is in Debian 12: the files are read, and must name what the tested ones name.
fn crio_conf_and_runtime_class(_: &Sandbox) {
    demand_ours(
        "cat >/run/@N.py <<'END'
import tomllib, yaml
crio = tomllib.load(open('@D/crio.conf', 'rb'))['crio']['runtime']
runtime = crio['runtimes'][crio['default_runtime']]
containerd = tomllib.load(open('@D/containerd-config.toml', 'rb'))['plugins']['io.containerd.grpc.v1.cri']['containerd']
kind, pod = yaml.safe_load_all(open('@D/kubernetes-runtimeclass.yaml'))
assert runtime['runtime_path'] == containerd['runtimes'][kind['handler']]['options']['BinaryName']
assert kind['kind'] == 'RuntimeClass' and pod['spec']['runtimeClassName'] == kind['metadata']['name']
print(crio['default_runtime'], kind['handler'], runtime['runtime_path'])
END
/usr/bin/python3 /run/@N.py",
        "crun-lite crun-lite /usr/local/bin/crun-lite",
    );
}
