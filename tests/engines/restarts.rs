//! Daemons that end and come back while containers run, and a daemon with another idea of who root is.

use super::machine::demand;
use super::support::{Sandbox, cases};

cases![
    containerd_restarts,
    docker_live_restore,
    docker_restart_policies,
    docker_user_namespaces,
];

const PROLOGUE: &str = r#"
. @S/node.sh; trap cut_all_power EXIT
node @N 10.77.0.$((2 + @P % 250))
# A daemon's own process in the node, to end it as an operator would.
end() { at @N sh -c 'kill -'$1' $(cat /run/daemon.pid)'; await 20 at @N sh -c '! kill -0 $(cat /run/daemon.pid)'; }
begin() { serve @N @W/@N.log sh -c 'echo $$ >/run/daemon.pid; exec "$@"' - "$@"; }
docker_with() { printf '{"default-runtime": "mine", "runtimes": {"mine": {"path": "@RT"}}%s}' "$1" | at @N tee /etc/docker/daemon.json >/dev/null; }
dockerd() { begin dockerd --pidfile /run/dockerd.pid; await 30 d version; }
d() { at @N docker "$@"; }
image() { d import @W/root.tar bb >/dev/null; }
"#;

#[track_caller]
fn prints(script: &str, expected: &str) {
    demand(PROLOGUE, script, expected);
}

// The shim is the container's parent, so containerd finds it again: exec, its end and its exit code.
fn containerd_restarts(_: &Sandbox) {
    prints(
        r#"
        begin containerd; c() { at @N ctr "$@"; }; await 20 c version
        c image import --base-name x @W/image.tar >/dev/null; I=x:bb
        for n in 1 2 3; do c run --runc-binary @RT -d $I c$n sh -c 'trap "exit 5" TERM; while true; do sleep 0.1; done'; done
        c task ls | sort >/run/@N.before
        end KILL; begin containerd; await 20 c version
        c task ls | sort | cmp - /run/@N.before && echo same
        c task exec --exec-id e c1 echo in
        c task pause c2; c task ls | awk '$1 == "c2" { print $3 }'; c task resume c2
        for n in 1 2 3; do c task kill c$n; done
        stopped() { [ $(c task ls | grep -c STOPPED) = 3 ]; }; await 10 stopped
        for n in 1 2 3; do c task rm c$n; c container rm c$n; done; c container ls -q
        "#,
        "same\nin\nPAUSED\n~c1 exit with non-zero exit code 5\n~c2 exit with non-zero exit code 5\n~c3 exit with non-zero exit code 5",
    );
}

fn docker_live_restore(_: &Sandbox) {
    prints(
        r#"
        docker_with ', "live-restore": true'; dockerd; image
        d run -d --name one --network none bb sh -c 'trap "exit 6" TERM; while true; do sleep 0.1; done' >/dev/null
        pid=$(d inspect -f '{{.State.Pid}}' one)
        end TERM; at @N kill -0 $pid && echo lives; dockerd
        [ "$(d inspect -f '{{.State.Pid}}' one)" = $pid ] && echo same
        d exec one echo in; d stop one >/dev/null; d inspect -f '{{.State.ExitCode}}' one
        "#,
        "lives\nsame\nin\n6",
    );
}

fn docker_restart_policies(_: &Sandbox) {
    prints(
        r#"
        docker_with ''; dockerd; image
        d run -d --name always --restart always --network none bb sleep 1000 >/dev/null
        d run -d --name stopped --restart unless-stopped --network none bb sleep 1000 >/dev/null; d stop -t 0 stopped >/dev/null
        d run -d --name never --network none bb sleep 1000 >/dev/null
        d exec always kill -9 1 2>/dev/null; d kill always >/dev/null
        d start always >/dev/null
        end TERM; dockerd; sleep 1
        for name in always stopped never; do d inspect -f '{{.Name}} {{.State.Status}}' $name; done
        "#,
        "/always running\n/stopped exited\n/never exited",
    );
}

fn docker_user_namespaces(_: &Sandbox) {
    prints(
        r#"
        docker_with ', "userns-remap": "sailor"'; dockerd; image
        d run --rm --network none bb sh -c 'id -u; cat /proc/self/uid_map | xargs; touch /x && stat -c %u /x'
        d run -d --name one --network none bb sleep 1000 >/dev/null
        at @N stat -c %u /proc/$(d inspect -f '{{.State.Pid}}' one)
        d exec one id -u; d exec one cat /proc/self/uid_map | xargs; d run --rm --userns host --network none bb cat /proc/self/uid_map | xargs
        d run --rm bb wget -qO- http://127.0.0.1:1/ 2>&1 | grep -c refused
        at @N mkdir /run/v; d run --rm -v /run/v:/v bb touch /v/x 2>&1
        "#,
        "0\n0 700000 65536\n0\n700000\n0\n0 700000 65536\n0 0 4294967295\n1\ntouch: /v/x: Permission denied",
    );
}
