//! Swarm: three dockerd, each a node with a network of its own, from `init` to the loss of one of them.
//!
//! Services without ingress ports: this machine's kernel has no IPVS, whichever the runtime.

use super::machine::demand_within;
use super::support::{Sandbox, cases};

cases![a_service_on_three_nodes, an_overlay_network];

const PROLOGUE: &str = r#"
. @S/node.sh; trap cut_all_power EXIT
# Asked for first is a registry that refuses at once; then each node takes its own copy.
I=localhost:1/bb
octet=$((100 + ${RANDOM} % 100)); next=2
for name in ant bee cat; do
  node $name 10.77.$octet.$next; next=$((next + 1))
  printf '{"default-runtime": "mine", "runtimes": {"mine": {"path": "@RT"}}}' | at $name tee /etc/docker/daemon.json >/dev/null
  serve $name @W/$name.log dockerd
done
for name in ant bee cat; do await 30 at $name docker version; at $name docker import @W/root.tar $I >/dev/null; done
d() { at ant docker "$@"; }
running() { d service ps web --filter desired-state=running --format '{{.Node}} {{.CurrentState}}' | grep Running; }
runs() { [ "$(running | wc -l)" = "$1" ]; }
spares() { ! running | grep -q "$1" && runs 3; }
state() { d service inspect web --format '{{.UpdateStatus.State}}'; }
commands() { for name in ant bee cat; do at $name docker ps --format '{{.Command}}'; done | sort -u; }
join() {
  d swarm init --advertise-addr 10.77.$octet.2 >/dev/null
  token=$(d swarm join-token -q manager)
  for name in bee cat; do at $name docker swarm join --token $token 10.77.$octet.2:2377; done
}
"#;

// By names instead of virtual addresses: each task answers for the service, and on its own node's port.
fn an_overlay_network(_: &Sandbox) {
    demand_within(
        120,
        PROLOGUE,
        r#"
        join >/dev/null
        d network create -d overlay --attachable mesh >/dev/null
        d service create -d -q --name web --mode global --network mesh --endpoint-mode dnsrr --no-resolve-image \
          --publish mode=host,published=8080,target=80 $I sh -c 'echo served >/index.html; exec httpd -f -h /' >/dev/null
        await 30 runs 3; running | cut -d' ' -f1 | sort
        for n in 2 3 4; do await 10 busybox wget -qO- http://10.77.$octet.$n:8080/; busybox wget -qO- http://10.77.$octet.$n:8080/; done
        for name in ant cat; do at $name docker run --rm --network mesh $I sh -c 'nslookup web 2>/dev/null | grep -c ^Address.*10.0; for i in 1 2 3; do wget -qO- http://web/; done | sort -u'; done
        "#,
        "ant\nbee\ncat\nserved\nserved\nserved\n3\nserved\n3\nserved",
    );
}

fn a_service_on_three_nodes(_: &Sandbox) {
    demand_within(
        180,
        PROLOGUE,
        r#"
        join
        d service create -d -q --name web --replicas 3 --stop-grace-period 0s --no-resolve-image \
          --restart-delay 0s --update-delay 0s --update-monitor 1s --rollback-monitor 1s $I sleep 1000 >/dev/null
        await 30 runs 3; running | cut -d' ' -f1 | sort
        d service scale -d web=6 >/dev/null; await 30 runs 6 && echo six
        d service scale -d web=3 >/dev/null; await 30 runs 3 && echo three
        d service update -q --args 'sleep 2000' web >/dev/null; state; commands
        d service rollback -q web >/dev/null; state; commands
        d node update --availability drain cat >/dev/null; await 30 spares cat && echo drained
        d node update --availability active cat >/dev/null
        cut_power bee; await 60 spares bee && echo healed
        "#,
        "This node joined a swarm as a manager.
         This node joined a swarm as a manager.
         ant\nbee\ncat
         six\nthree
         completed\n\"sleep 2000\"
         rollback_completed\n\"sleep 1000\"
         drained\nhealed",
    );
}
