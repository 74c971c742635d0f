//! Docker 20.10 with crun-lite as an added runtime: what people type every day.

use super::machine::demand;
use super::support::{Sandbox, cases};

cases![
    run,
    terminal,
    logs_and_exec,
    exec_errors,
    pause,
    top_and_stats,
    update,
    copy,
    signals,
    limits,
    init,
    user,
    capabilities,
    privileged,
    read_only,
    tmpfs,
    volumes,
    mounts_with_propagation,
    rename,
    exec_on_a_terminal,
    follow_logs,
    stop_signal_and_timeout,
    device,
    ulimit,
    sysctl,
    seccomp,
    no_new_privileges,
    host_network,
    bridge_and_published_port,
    host_namespaces,
    shared_namespaces,
    oom,
    command_errors,
    mount_of_a_directory_on_a_file,
    names,
    health,
    failing_health,
    attach,
    restart,
    private_cgroup_namespace,
    standard_input,
    commit,
    build,
];

const PROLOGUE: &str = "exec 9>/run/import.lock; flock 9; docker image inspect bb >/dev/null 2>&1 || docker import @W/root.tar bb >/dev/null; flock -u 9
case @RT in */runc) RT=runc;; *) RT=mine;; esac
on() { docker run --runtime $RT \"$@\"; }; run() { on --rm --network none \"$@\"; }
detach() { on -d --name @N --network none \"$@\" >/dev/null; }; show() { docker inspect -f \"$1\" @N; }
quiet() { grep -v -e '^$' -e 'error waiting for container: context canceled' -e \"^Run 'docker\"; }
trap 'docker rm -f @N >/dev/null 2>&1' EXIT";

#[track_caller]
fn prints(script: &str, expected: &str) {
    demand(PROLOGUE, script, expected);
}

fn run(_: &Sandbox) {
    prints("run bb echo hi; run bb sh -c 'exit 7'; echo $?", "hi\n7");
}

fn terminal(_: &Sandbox) {
    prints(
        "run -t bb tty; script -qec \"docker run --runtime $RT --rm -it --network none bb tty\" /dev/null < <(sleep 9)",
        "/dev/pts/0\n~/dev/pts/0",
    );
}

fn logs_and_exec(_: &Sandbox) {
    prints(
        "detach bb sh -c 'echo out; sleep 1000'; sleep 0.5; docker logs @N; docker exec @N echo in; docker exec -t @N tty; docker exec -u web @N id -un; docker exec @N sh -c 'exit 9'; echo $?",
        "out\nin\n/dev/pts/0\nweb\n9",
    );
}

fn exec_errors(_: &Sandbox) {
    prints(
        "detach bb sleep 1000; docker exec @N nope; echo $?; docker exec @N /etc/plain; echo $?; docker exec -w /not/there @N pwd; echo $?",
        "~exec: \"nope\": executable file not found in $PATH\n126\n~permission denied\n126\n~no such file or directory\n126",
    );
}

fn pause(_: &Sandbox) {
    prints(
        "detach bb sleep 1000; docker pause @N >/dev/null; show '{{.State.Status}}'; docker unpause @N >/dev/null; show '{{.State.Status}}'",
        "paused\nrunning",
    );
}

fn top_and_stats(_: &Sandbox) {
    prints(
        "detach bb sleep 1000; docker top @N | tail -1 | awk '{print $(NF-1), $NF}'; docker stats --no-stream --format '{{.PIDs}}' @N",
        "sleep 1000\n1",
    );
}

fn update(_: &Sandbox) {
    prints(
        "detach bb sleep 1000; docker update --memory 64m --memory-swap 64m --cpus 0.5 --pids-limit 50 @N >/dev/null; cd /sys/fs/cgroup; i=$(show '{{.Id}}'); cat memory/docker/$i/memory.limit_in_bytes cpu/docker/$i/cpu.cfs_quota_us pids/docker/$i/pids.max",
        "67108864\n50000\n50",
    );
}

fn copy(_: &Sandbox) {
    prints(
        "detach bb sleep 1000; docker cp @N:/etc/plain /run/@N && cat /run/@N",
        "plain",
    );
}

fn signals(_: &Sandbox) {
    prints(
        "detach bb sh -c 'trap \"exit 4\" TERM; trap \"echo one\" USR1; while true; do sleep 0.1; done'; sleep 0.5; docker kill -s USR1 @N >/dev/null; docker stop @N >/dev/null; docker logs @N; show '{{.State.ExitCode}}'; docker start @N >/dev/null; docker kill @N >/dev/null; show '{{.State.Status}} {{.State.ExitCode}}'",
        "one\n4\nexited 137",
    );
}

fn limits(_: &Sandbox) {
    prints(
        "run --memory 32m --cpus 0.5 --pids-limit 20 --cpuset-cpus 0 bb sh -c 'cd /sys/fs/cgroup; cat memory/memory.limit_in_bytes cpu/cpu.cfs_quota_us pids/pids.max cpuset/cpuset.cpus'",
        "33554432\n50000\n20\n0",
    );
}

fn init(_: &Sandbox) {
    prints("run --init bb cat /proc/1/comm", "docker-init");
}

fn user(_: &Sandbox) {
    prints(
        "run --user web --group-add 50 bb id -G; run --user 1234:55 bb id -u; run --user nosuch bb id >/run/@N 2>&1; echo $?; quiet </run/@N",
        "~50\n1234\n125\n~unable to find user nosuch",
    );
}

fn capabilities(_: &Sandbox) {
    prints(
        "run --cap-drop ALL --cap-add NET_RAW bb grep CapEff /proc/self/status",
        "CapEff:\t0000000000002000",
    );
}

// runc and crun refuse capabilities that can't be granted here; the specification says to warn.
fn privileged(_: &Sandbox) {
    prints(
        "run --privileged bb sh -c 'mount -t tmpfs none /mnt && readlink /dev/ptmx'",
        "pts/ptmx",
    );
}

fn read_only(_: &Sandbox) {
    prints(
        "run --read-only bb touch /x; run --read-only --tmpfs /t bb touch /t/x",
        "touch: /x: Read-only file system",
    );
}

fn tmpfs(_: &Sandbox) {
    prints(
        "run --tmpfs /t:size=1m,mode=700 bb sh -c 'stat -c %a /t; df -k /t | tail -1'",
        "700\n~1024",
    );
}

fn volumes(_: &Sandbox) {
    prints(
        "mkdir -p /run/@N; echo v >/run/@N/f; run -v /run/@N:/v:ro bb sh -c 'cat /v/f; touch /v/x 2>&1'; run -v @Nvol:/etc bb cat /etc/plain; docker volume rm @Nvol >/dev/null",
        "v\ntouch: /v/x: Read-only file system\nplain",
    );
}

// The machine's mounts are private but one: what is mounted there later is seen in a container that receives.
fn mounts_with_propagation(_: &Sandbox) {
    prints(
        "mkdir -p /run/@N; mount -t tmpfs none /run/@N; mount --make-shared /run/@N; mkdir /run/@N/in; for p in rslave rprivate; do on -d --name @N$p --network none --mount type=bind,source=/run/@N,target=/v,bind-propagation=$p bb sleep 1000 >/dev/null; done; mount -t tmpfs none /run/@N/in; touch /run/@N/in/new; for p in rslave rprivate; do docker exec @N$p ls /v/in; docker exec @N$p grep -c ' /v.*master:' /proc/self/mountinfo; docker rm -f @N$p >/dev/null; done; umount -l /run/@N",
        "new\n2\n0",
    );
}

fn rename(_: &Sandbox) {
    prints(
        "detach bb sleep 1000; docker rename @N @Nnew; docker exec @Nnew echo in; docker rename @Nnew @N; docker stop -t 0 @N >/dev/null; show '{{.Name}} {{.State.Status}}'",
        "in\n~/case\n",
    );
}

fn exec_on_a_terminal(_: &Sandbox) {
    prints(
        "detach bb sleep 1000; script -qec \"stty rows 33 cols 99; docker exec -it @N sh -c 'tty; sleep 0.3; stty size'\" /dev/null < <(sleep 9)",
        "/dev/pts/0\n33 99",
    );
}

fn follow_logs(_: &Sandbox) {
    prints(
        "detach bb sh -c 'for i in 1 2 3; do echo $i; sleep 0.3; done'; docker logs -f @N",
        "1\n2\n3",
    );
}

fn stop_signal_and_timeout(_: &Sandbox) {
    prints(
        "detach --stop-signal USR2 bb sh -c 'trap \"exit 8\" USR2; while true; do sleep 0.1; done'; sleep 0.5; docker stop @N >/dev/null; show '{{.State.ExitCode}}'; docker rm @N >/dev/null; detach bb sh -c 'trap : TERM; while true; do sleep 0.1; done'; sleep 0.5; docker stop -t 1 @N >/dev/null; show '{{.State.ExitCode}}'",
        "8\n137",
    );
}

fn device(_: &Sandbox) {
    prints(
        "run --device /dev/loop0:/dev/l0:r bb sh -c 'stat -c %t /dev/l0; dd if=/dev/zero of=/dev/l0 count=0 2>&1'",
        "7\ndd: can't open '/dev/l0': Operation not permitted",
    );
}

fn ulimit(_: &Sandbox) {
    prints(
        "run --ulimit nofile=100:200 bb sh -c 'ulimit -n; ulimit -Hn'",
        "100\n200",
    );
}

fn sysctl(_: &Sandbox) {
    prints(
        "run --sysctl net.ipv4.ip_forward=0 --sysctl kernel.msgmax=4096 bb cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
        "0\n4096",
    );
}

fn seccomp(_: &Sandbox) {
    prints(
        "echo '{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":[{\"names\":[\"mkdir\",\"mkdirat\"],\"action\":\"SCMP_ACT_ERRNO\"}]}' >/run/@N.json; run --security-opt seccomp=/run/@N.json bb mkdir /a; run --security-opt seccomp=unconfined bb grep Seccomp: /proc/self/status",
        "mkdir: can't create directory '/a': Operation not permitted\nSeccomp:\t0",
    );
}

fn no_new_privileges(_: &Sandbox) {
    prints(
        "run --security-opt no-new-privileges bb grep NoNew /proc/self/status",
        "NoNewPrivs:\t1",
    );
}

fn host_network(_: &Sandbox) {
    prints(
        "on --rm --network host bb ls /sys/class/net | grep -e docker0 -e lo",
        "docker0\nlo",
    );
}

fn bridge_and_published_port(_: &Sandbox) {
    prints(
        "on -d --name @N -p @P:80 bb sh -c 'echo page >/index.html; httpd -f -h /' >/dev/null; sleep 1; busybox wget -qO- http://127.0.0.1:@P/; on --rm bb wget -qO- http://$(show '{{.NetworkSettings.IPAddress}}')/",
        "page\npage",
    );
}

fn host_namespaces(_: &Sandbox) {
    prints(
        "run --ipc host --pid host --uts host bb sh -c 'for n in ipc pid uts; do readlink /proc/self/ns/$n; done' >/run/@N; readlink /proc/self/ns/ipc /proc/self/ns/pid /proc/self/ns/uts | cmp - /run/@N && echo same",
        "same",
    );
}

fn shared_namespaces(_: &Sandbox) {
    prints(
        "detach --ipc shareable bb sleep 1000; on --rm --network container:@N --pid container:@N --ipc container:@N bb cat /proc/1/comm",
        "sleep",
    );
}

fn oom(_: &Sandbox) {
    prints(
        "on --name @N --memory 16m --memory-swap 16m --network none bb tail /dev/zero; show '{{.State.OOMKilled}} {{.State.ExitCode}}'; run --oom-score-adj 500 bb cat /proc/self/oom_score_adj",
        "true 137\n500",
    );
}

fn command_errors(_: &Sandbox) {
    prints(
        "for c in nope /no/such /etc/plain; do run bb $c >/run/@N 2>&1; code=$?; quiet </run/@N; echo $code; done",
        "~exec: \"nope\": executable file not found in $PATH\n127\n~exec /no/such: no such file or directory\n127\n~exec /etc/plain: permission denied\n126",
    );
}

fn mount_of_a_directory_on_a_file(_: &Sandbox) {
    prints(
        "run -v /tmp:/etc/plain bb true 2>&1 | quiet",
        "~not a directory: unknown: Are you trying to mount a directory onto a file (or vice-versa)?",
    );
}

fn names(_: &Sandbox) {
    prints(
        "run --hostname abc --add-host x:1.2.3.4 --dns 9.9.9.9 bb sh -c 'hostname; grep 1.2.3.4 /etc/hosts; cat /etc/resolv.conf'",
        "abc\n1.2.3.4\tx\nnameserver 9.9.9.9",
    );
}

fn health(_: &Sandbox) {
    prints(
        "detach --health-cmd true --health-interval 1s bb sleep 1000; for i in $(seq 80); do [ $(show '{{.State.Health.Status}}') = healthy ] && break; sleep 0.1; done; show '{{.State.Health.Status}}'",
        "healthy",
    );
}

fn failing_health(_: &Sandbox) {
    prints(
        "detach --health-cmd 'test -e /well' --health-interval 1s --health-retries 1 bb sleep 1000; become() { for i in $(seq 80); do [ $(show '{{.State.Health.Status}}') = $1 ] && break; sleep 0.1; done; show '{{.State.Health.Status}}'; }; become unhealthy; docker exec @N touch /well; become healthy",
        "unhealthy\nhealthy",
    );
}

fn attach(_: &Sandbox) {
    prints(
        "detach -i bb sh -c 'read line; echo got $line; exit 3'; (echo word; sleep 1) | docker attach @N; show '{{.State.ExitCode}}'",
        "got word\n3",
    );
}

fn restart(_: &Sandbox) {
    prints(
        "detach --restart on-failure:2 bb sh -c 'exit 3'; for i in $(seq 100); do [ \"$(show '{{.RestartCount}} {{.State.Status}}')\" = '2 exited' ] && break; sleep 0.1; done; show '{{.RestartCount}} {{.State.ExitCode}}'",
        "2 3",
    );
}

fn private_cgroup_namespace(_: &Sandbox) {
    prints(
        "run --cgroupns private bb grep -c ':/$' /proc/self/cgroup >/run/@N; [ $(cat /run/@N) -gt 5 ] && echo private",
        "private",
    );
}

fn standard_input(_: &Sandbox) {
    prints("echo abc | run -i bb cat", "abc");
}

fn commit(_: &Sandbox) {
    prints(
        "detach bb sh -c 'echo new >/new'; docker wait @N >/dev/null; docker commit @N @N:new >/dev/null; run @N:new cat /new; docker rmi @N:new >/dev/null",
        "new",
    );
}

fn build(_: &Sandbox) {
    prints(
        "mkdir -p /run/@Nb; printf 'FROM bb\\nRUN echo built >/b\\nCMD [\"cat\",\"/b\"]\\n' >/run/@Nb/Dockerfile; DOCKER_BUILDKIT=0 docker build -q --network none -t @N:b /run/@Nb >/dev/null 2>&1; run @N:b; docker rmi @N:b >/dev/null",
        "built",
    );
}
