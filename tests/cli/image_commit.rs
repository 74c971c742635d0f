//! `image commit`: a container's changes as an image that others run.

use std::fs;

use crate::run_image::{command, run};
use crate::support::{Container, ImageMaker, Sandbox, Value, cases, json};

cases![
    an_image_of_what_changed,
    the_configuration_changes,
    a_running_container_is_frozen_meanwhile,
    commits_of_commits,
    every_compression,
    what_mounts_made_is_no_change,
    twenty_clones_of_a_master_copy,
    refuses_what_is_no_image,
];

/// A container of the image that has run the script and ended.
fn changed<'t>(t: &'t Sandbox, image: &str, script: &str) -> Container<'t> {
    let c = Container::named(t, &t.bundle(), t.new_id());
    let words = [
        "--image", image, "--name", &c.id, "--keep", "--", "sh", "-c", script,
    ];
    run(t, &words).output().ok();
    c
}

fn commit(t: &Sandbox, c: &Container<'_>, name: &str, options: &[&str]) -> String {
    let words = [&["image", "commit", &c.id, name], options].concat();
    command(t, &words).output().text()
}

fn sh(t: &Sandbox, image: &str, script: &str) -> String {
    let id = t.new_id();
    run(
        t,
        &[
            "--image", image, "--name", &id, "--pull", "never", "--", "sh", "-c", script,
        ],
    )
    .output()
    .text()
}

fn inspect(t: &Sandbox, name: &str) -> Value {
    let text = command(t, &["image", "inspect", name]).output().text();
    let all: Value = serde_json::from_str(&text).expect("is JSON");
    all[0].clone()
}

fn an_image_of_what_changed(t: &Sandbox) {
    let image = ImageMaker::busybox(t)
        .layer(|dir| {
            fs::create_dir_all(dir.join("srv/old/deep")).expect("mkdir");
            fs::write(dir.join("srv/gone"), "").expect("write");
        })
        .write();
    let script = "echo new > /srv/file; ln /srv/file /srv/link; chmod 4711 /srv/file; rm /srv/gone; \
        rm -r /srv/old; mkdir /srv/old; touch -d @1000 /srv/old; mkfifo /srv/fifo; chown 12:34 /srv/fifo";
    let c = changed(t, &image, script);
    let digest = commit(t, &c, "changed:1", &["-m", "a message", "-a", "me"]);
    assert!(digest.starts_with("sha256:"), "{digest}");
    c.delete(&[]).ok();
    let seen = sh(
        t,
        "changed:1",
        "cd /srv; ls; stat -c '%a %h' file; stat -c '%u:%g %F' fifo; stat -c %Y old; ls old | wc -l",
    );
    assert_eq!(seen, "fifo\nfile\nlink\nold\n4711 2\n12:34 fifo\n1000\n0");
    let inspected = inspect(t, "changed:1");
    assert_eq!(inspected["layers"].as_array().map(Vec::len), Some(3));
}

fn the_configuration_changes(t: &Sandbox) {
    let image = ImageMaker::busybox(t)
        .set("Env", json!(["PATH=/bin", "A=1"]))
        .write();
    let c = changed(t, &image, "true");
    commit(
        t,
        &c,
        "config:1",
        &[
            "-c",
            "ENV A=2",
            "-c",
            "ENV B=3",
            "-c",
            "USER web",
            "-c",
            "WORKDIR /srv",
            "-c",
            r#"CMD ["sh","-c","echo $A $B $(id -un) $PWD"]"#,
        ],
    );
    c.delete(&[]).ok();
    let seen = run(t, &["--image", "config:1", "--name", &t.new_id()])
        .output()
        .text();
    assert_eq!(seen, "2 3 web /srv");
    command(t, &["image", "commit", &c.id, "x:1", "-c", "FROM x"])
        .output()
        .refused_with(&["FROM x"]);
}

fn a_running_container_is_frozen_meanwhile(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let c = Container::named(t, &t.bundle(), t.new_id());
    let script = "echo here > /file; while true; do sleep 0.05; done";
    run(
        t,
        &[
            "--image", &image, "--name", &c.id, "-d", "--", "sh", "-c", script,
        ],
    )
    .output()
    .ok();
    crate::support::sandbox::wait_for("the file", || c.exec("test -s /file").status.success());
    commit(t, &c, "running:1", &[]);
    assert_eq!(c.status(), "running", "it goes on afterwards");
    c.delete(&["--force"]).ok();
    assert_eq!(sh(t, "running:1", "cat /file"), "here");
}

fn commits_of_commits(t: &Sandbox) {
    let mut image = ImageMaker::busybox(t).write();
    for number in 1..=3 {
        let c = changed(
            t,
            &image,
            &format!(
                "echo {number} >> /log; rm -f /only{}; touch /only{number}",
                number - 1
            ),
        );
        image = format!("step:{number}");
        commit(t, &c, &image, &[]);
        c.delete(&[]).ok();
    }
    assert_eq!(
        sh(t, "step:3", "cat /log; ls / | grep only"),
        "1\n2\n3\nonly3"
    );
    assert_eq!(sh(t, "step:2", "cat /log"), "1\n2");
}

fn every_compression(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let c = changed(t, &image, "echo packed > /file");
    for how in ["none", "gzip"] {
        let name = format!("packed:{how}");
        commit(t, &c, &name, &["--compression", how]);
        assert_eq!(sh(t, &name, "cat /file"), "packed");
    }
    c.delete(&[]).ok();
}

fn what_mounts_made_is_no_change(t: &Sandbox) {
    let image = ImageMaker::empty(t).layer(|dir| {
        fs::create_dir_all(dir.join("bin")).expect("mkdir");
        let busybox = dir.join("bin/busybox");
        fs::copy("/bin/busybox", &busybox).expect("copy busybox");
        std::os::unix::fs::symlink("busybox", dir.join("bin/sh")).expect("link");
    });
    let c = changed(t, &image.write(), "true");
    commit(t, &c, "bare:1", &[]);
    c.delete(&[]).ok();
    let directory = t.new_path("export");
    command(
        t,
        &[
            "image",
            "export",
            "bare:1",
            &format!("oci:{}", directory.display()),
        ],
    )
    .output()
    .ok();
    let layers = inspect(t, "bare:1")["layers"].clone();
    let digest = layers[1]["digest"]
        .as_str()
        .expect("a digest")
        .replace("sha256:", "");
    let blob = directory.join("blobs/sha256").join(digest);
    let listed = t
        .program(&["tar", "-tzf", &blob.to_string_lossy()])
        .output()
        .text();
    for place in [
        "proc",
        "sys",
        "dev",
        "etc/hosts",
        "etc/hostname",
        "etc/resolv.conf",
    ] {
        let is_listed = listed.lines().any(|line| line.trim_matches('/') == place);
        assert!(!is_listed, "{place} in {listed}");
    }
}

/// Every clone writes to its own copy, and the disk grows by that only.
fn twenty_clones_of_a_master_copy(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let c = changed(
        t,
        &image,
        "mkdir /data; dd if=/dev/urandom of=/data/table bs=1M count=20 2>/dev/null; echo 0 > /data/row",
    );
    commit(t, &c, "master:1", &["--compression", "none"]);
    c.delete(&[]).ok();
    sh(t, "master:1", "true");
    let ids: Vec<String> = (0..20).map(|_| t.new_id()).collect();
    let script =
        "test $(cat /data/row) = 0 && echo $HOSTNAME > /data/row && echo ready && sleep 100000";
    for id in &ids {
        run(
            t,
            &[
                "--image", "master:1", "--name", id, "-d", "--", "sh", "-c", script,
            ],
        )
        .output()
        .ok();
    }
    for id in &ids {
        let clone = Container::named(t, &t.bundle(), id.clone());
        crate::support::sandbox::wait_for("its row", || clone.sh("cat /data/row") == *id);
    }
    let snapshots = t.path.join("store/overlay/snapshots");
    let used = t
        .program(&["du", "-sk", &snapshots.to_string_lossy()])
        .output()
        .text();
    let kib: u64 = used
        .split('\t')
        .next()
        .and_then(|word| word.parse().ok())
        .expect("a number");
    assert!(kib < 4096, "twenty clones of 20 MiB take {kib} KiB");
    for id in &ids {
        t.runtime(&["delete", "--force", id]).output().ok();
    }
}

fn refuses_what_is_no_image(t: &Sandbox) {
    command(t, &["image", "commit", "nobody", "x:1"])
        .output()
        .refused_with(&["nobody"]);
    let bundle = t.bundle().idle();
    let c = t.create(&bundle);
    command(t, &["image", "commit", &c.id, "x:1"])
        .output()
        .refused_with(&[&c.id, "bundle"]);
    let directory = t.new_path("directory");
    crate::support::rootfs::make(&directory);
    let id = t.new_id();
    let lower = format!("{}:O", directory.display());
    run(
        t,
        &["--rootfs", &lower, "--name", &id, "--keep", "--", "true"],
    )
    .output()
    .ok();
    command(t, &["image", "commit", &id, "x:1"])
        .output()
        .refused_with(&[&id, "directory"]);
}
