//! docker-compose 1.29: two services on a network of their own, from `up` to `down`.

use super::machine::demand;
use super::support::{Sandbox, cases};

cases![
    up_in_the_foreground,
    up_detached_ps_and_exec,
    follows_logs,
    images,
    scale,
    down_leaves_nothing,
];

const PROLOGUE: &str = r#"
exec 9>/run/import.lock; flock 9; docker image inspect bb >/dev/null 2>&1 || docker import @W/root.tar bb >/dev/null; flock -u 9
case @RT in */runc) RT=runc;; *) RT=mine;; esac
mkdir -p /run/@N; cd /run/@N; cat >docker-compose.yml <<END
version: "2.4"
services:
  web: {image: bb, runtime: $RT, init: true, command: "sh -c 'echo serving; hostname >/index.html; exec httpd -f -h /'"}
  seer: {image: bb, runtime: $RT, depends_on: [web], command: "sh -c 'sleep 1; wget -qO- http://web/ >/dev/null && echo seen'"}
END
dc() { docker-compose --ansi never "$@" 2>/dev/null; }
trap 'dc down -t 0' EXIT
"#;

#[track_caller]
fn prints(script: &str, expected: &str) {
    demand(PROLOGUE, script, expected);
}

fn up_in_the_foreground(_: &Sandbox) {
    prints(
        "dc up --exit-code-from seer | sed 's/ *|/|/' | sort; echo ${PIPESTATUS[0]}",
        "Aborting on container exit...
         ~Attaching to
         ~seer_1 exited with code 0
         seer_1| seen
         web_1| serving
         0",
    );
}

fn up_detached_ps_and_exec(_: &Sandbox) {
    prints(
        "dc up -d; dc ps | grep -c '^@N'; dc ps web | grep -c ' Up '; dc exec -T web echo in; dc exec -T web cat /proc/1/comm",
        "2\n1\nin\ndocker-init",
    );
}

fn follows_logs(_: &Sandbox) {
    prints(
        "dc up -d; timeout 4 docker-compose --ansi never logs -f 2>/dev/null | sed 's/ *|/|/' | grep '|' | sort -u",
        "seer_1| seen\nweb_1| serving",
    );
}

fn images(_: &Sandbox) {
    prints(
        "dc up -d web; dc images | awk 'NR > 2 { print $2, $3 }'",
        "bb latest",
    );
}

fn scale(_: &Sandbox) {
    prints(
        "for n in 4 1; do dc up -d -t 0 --scale web=$n web; dc ps -q web | wc -l; done",
        "4\n1",
    );
}

fn down_leaves_nothing(_: &Sandbox) {
    prints(
        "dc up -d; dc down -t 0; echo $?; docker ps -aq --filter label=com.docker.compose.project=@N | wc -l; docker network ls -q --filter label=com.docker.compose.project=@N | wc -l",
        "0\n0\n0",
    );
}
