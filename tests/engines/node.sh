#!/usr/bin/env bash
# Hosts inside the private machine. Sourced by cases and scenarios, which say `node NAME ADDRESS` and `at NAME COMMAND …`.
#
# A node has its own mounts, network, processes and host name, empty /run, /etc/docker, /var/lib/docker and so on, and
# the runtime under test at /usr/local/bin/crun-lite, where docs/engines/ expects it. All nodes hang on one bridge.
# Wants RUNTIME (the runtime under test) in the environment. Ending a node's first process ends all of it, as a power cut.

# The nodes' first processes, by name.
declare -A NODES
NODE_SCRIPT=${BASH_SOURCE[0]}

# node NAME ADDRESS: starts one. The address is of 10.77.0.0/16.
node() {
  unshare --mount --net --pid --ipc --uts --fork --kill-child --mount-proc bash "$NODE_SCRIPT" "$1" "$RUNTIME" </dev/null >"/run/node-$1.log" 2>&1 &
  local unshare=$! first=
  # Its end, by us, is no news to the shell.
  disown
  for _ in $(seq 100); do
    first=$(cat "/proc/$unshare/task/$unshare/children") && [ -n "$first" ] && break
    sleep 0.05
  done
  NODES[$1]=${first% }
  for _ in $(seq 100); do
    [ -e "/proc/${NODES[$1]}/root/run/node-is-ready" ] && break
    sleep 0.05
  done
  local link=${1:0:9}$$
  {
    flock 8
    ip link show nodes >/dev/null 2>&1 || { ip link add nodes type bridge && ip addr add 10.77.0.1/16 dev nodes && ip link set nodes up; }
  } 8>/run/nodes.lock
  ip link add "$link" type veth peer name eth0 netns "${NODES[$1]}"
  ip link set "$link" master nodes up
  at "$1" ip addr add "$2/16" dev eth0
  at "$1" ip link set eth0 up
  at "$1" ip route add default via 10.77.0.1
}

# at NAME COMMAND …: runs a command there.
at() {
  local first=${NODES[$1]}
  shift
  nsenter -t "$first" -m -n -p -i -u -- env DOCKER_HOST= PATH="$PATH" "$@"
}

# serve NAME LOG COMMAND …: the same for a daemon, beside us.
serve() {
  local name=$1 log=$2
  shift 2
  at "$name" "$@" </dev/null >"$log" 2>&1 &
  disown
}

# cut_power NAME …: the power goes.
cut_power() {
  local name
  for name; do
    [ -z "${NODES[$name]:-}" ] || kill -9 "${NODES[$name]}" 2>/dev/null
    unset "NODES[$name]"
  done
}

cut_all_power() { cut_power "${!NODES[@]}"; }

# await SECONDS COMMAND …: until it succeeds.
await() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || { echo "gave up waiting for: $*"; return 1; }
    sleep 0.1
  done
}

# The first process of a node.
live() {
  set -euo pipefail
  mount --make-rprivate /
  hostname "$1"
  mkdir -p /run/hierarchies
  mount --rbind /sys/fs/cgroup /run/hierarchies
  mount -t sysfs sysfs /sys
  mount --rbind /run/hierarchies /sys/fs/cgroup
  mount --bind "$2" /usr/local/bin/crun-lite
  for directory in /run /etc/docker /etc/containerd /etc/cni /var/lib/docker /var/lib/containerd /var/lib/containers /var/lib/cni /var/log; do
    mkdir -p "$directory"
    mount -t tmpfs -o mode=755 tmpfs "$directory"
  done
  mkdir -p /run/lock /run/netns /etc/cni/net.d
  ip link set lo up
  sysctl -qw net.ipv4.ip_forward=1
  touch /run/node-is-ready
  while true; do wait -n 2>/dev/null || sleep 0.2; done
}

[ "${BASH_SOURCE[0]}" != "$0" ] || live "$@"
