//! The ordinary user of these cases: made once, with subordinate ids and a manager that lingers.

use std::fs;
use std::process::{Command, Stdio};

use crate::support::{Bundle, Sandbox, Value, json};

/// Login name; its user id is [`ID`].
pub const NAME: &str = "sailor";
pub const ID: u32 = 4321;

/// Before a program's words: it runs as the user, with its groups.
pub const AS_USER: [&str; 6] = ["setpriv", "--reuid", NAME, "--regid", NAME, "--init-groups"];
/// Before a program's words: it runs in a service of the caller's own manager, and is waited for.
pub const IN_SERVICE: [&str; 6] = [
    "systemd-run",
    "--user",
    "--pipe",
    "--wait",
    "--quiet",
    "--collect",
];

/// Makes the user where it is missing, and starts its manager.
pub fn prepare() {
    let script = format!(
        "id {NAME} || useradd --uid {ID} --create-home {NAME}
         for file in /etc/subuid /etc/subgid; do sed -i /^{NAME}:/d $file; echo {NAME}:700000:65536 >>$file; done
         loginctl enable-linger {NAME}
         for i in $(seq 100); do test -S /run/user/{ID}/bus && break; sleep 0.2; done"
    );
    let quiet = Stdio::null;
    Command::new("sh")
        .args(["-c", &script])
        .stdin(quiet())
        .stdout(quiet())
        .stderr(quiet())
        .status()
        .expect("start sh");
}

/// The sandbox's directory becomes the user's, with a bundle that an ordinary user can run.
pub fn bundle(t: &Sandbox, subordinate: bool) -> Bundle {
    let range = |container: u32, host: u32, size: u32| json!({"containerID": container, "hostID": host, "size": size});
    let mut ranges = vec![range(0, ID, 1)];
    if subordinate {
        ranges.push(range(1, 700_000, 65_536));
    }
    let mut bundle = t.bundle().namespace("user");
    // A devpts for group 5 wants that group mapped.
    if !subordinate && let Some(Value::Array(mounts)) = bundle.config.get_mut("mounts") {
        for mount in mounts.iter_mut().filter(|mount| mount["type"] == "devpts") {
            mount["options"] = json!([
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620"
            ]);
        }
    }
    let bundle = bundle
        .set("/linux/uidMappings", Value::Array(ranges.clone()))
        .set("/linux/gidMappings", Value::Array(ranges))
        .without("/linux/resources")
        .without("/linux/cgroupsPath");
    give(t);
    bundle
}

/// Gives all of the sandbox but busybox, which is shared, to the user.
pub fn give(t: &Sandbox) {
    crate::support::bundle::chown_tree(&t.path, ID);
    fs::create_dir_all(t.root()).expect("create --root");
    std::os::unix::fs::chown(t.root(), Some(ID), Some(ID)).expect("chown --root");
}
