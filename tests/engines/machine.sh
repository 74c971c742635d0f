#!/usr/bin/env bash
# The first process of a private machine: own mounts, network, processes and cgroups, so that its end takes everything along.
# Wants WORK (a directory of the test's), CGROUP (a cgroup's name) and RUNTIME (the runtime under test) in the environment.
set -euo pipefail

mount --make-rprivate /

# Its own tree in each hierarchy; `unshare -C` then makes that the root of what is seen inside.
if [ "${1:-}" != inside ]; then
  while IFS=: read -r _ controllers path; do
    hierarchy=/sys/fs/cgroup/${controllers#name=}
    [ -n "$controllers" ] || hierarchy=/sys/fs/cgroup/unified
    [ -d "$hierarchy" ] || continue
    own=$hierarchy${path%/}/$CGROUP
    mkdir -p "$own"
    echo "$own" >>"$WORK/cgroups"
    if [ "$controllers" = cpuset ]; then
      cat "$hierarchy${path%/}/cpuset.cpus" >"$own/cpuset.cpus"
      cat "$hierarchy${path%/}/cpuset.mems" >"$own/cpuset.mems"
      echo 1 >"$own/cgroup.clone_children"
    fi
    echo $$ >"$own/cgroup.procs"
  done </proc/self/cgroup
  exec unshare --cgroup "$0" inside
fi

umount -R -l /sys
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /sys/fs/cgroup
cut -d: -f2 /proc/self/cgroup | while read -r controllers; do
  if [ -z "$controllers" ]; then
    mkdir /sys/fs/cgroup/unified
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified
    continue
  fi
  mkdir "/sys/fs/cgroup/${controllers#name=}"
  options=$controllers
  [ "${controllers#name=}" = "$controllers" ] || options="none,$controllers"
  mount -t cgroup -o "$options" cgroup "/sys/fs/cgroup/${controllers#name=}"
done

mount -t tmpfs tmpfs /run
mkdir -p /run/lock /run/netns /run/user "$WORK/state"
chmod 755 "$WORK"
mount -t tmpfs -o mode=755 tmpfs "$WORK/state"
mkdir -p "$WORK/state/docker" "$WORK/state/containerd"
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward

# What is written to these stays in the machine.
for directory in /etc /usr/local /var/lib; do
  layer=$WORK/state/layers$directory
  mkdir -p "$layer/upper" "$layer/work"
  mount -t overlay -o "lowerdir=$directory,upperdir=$layer/upper,workdir=$layer/work" overlay "$directory"
done

# An ordinary user with subordinate ids.
echo 'sailor:x:4321:4321::/run/user/4321/home:/bin/sh' >>/etc/passwd
echo 'sailor:x:4321:' >>/etc/group
# Whose ids Podman's `--userns auto` shares out.
for file in subuid subgid; do echo 'containers:1000000:1000000' >>"/etc/$file"; done
for file in subuid subgid; do echo 'sailor:700000:65536' >>"/etc/$file"; done
mkdir -p /run/user/4321/home
chown -R 4321:4321 /run/user/4321

# As an operator does it.
"$WORK/bin/runtime" install >"$WORK/install.log"

cat >/run/containerd.toml <<END
version = 2
root = "$WORK/state/containerd"
state = "/run/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
END
containerd -c /run/containerd.toml >"$WORK/containerd.log" 2>&1 &
echo '{}' >/run/docker.json
dockerd --config-file /run/docker.json --data-root "$WORK/state/docker" --exec-root /run/docker --pidfile /run/docker.pid \
  -H unix:///run/docker.sock --bip 172.31.99.1/24 --exec-opt native.cgroupdriver=cgroupfs \
  --add-runtime "mine=$RUNTIME" --default-runtime mine >"$WORK/dockerd.log" 2>&1 &

for _ in $(seq 300); do
  if docker -H unix:///run/docker.sock version >/dev/null 2>&1 && ctr version >/dev/null 2>&1; then
    touch "$WORK/ready"
    break
  fi
  sleep 0.1
done
# Orphans are ours to reap.
while true; do wait -n 2>/dev/null || sleep 0.2; done
