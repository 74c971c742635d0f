//! `run --image`: what is mounted in the container besides its root: volumes, devices, tmpfs.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::run_image::{command, run, sh};
use crate::support::{ImageMaker, Sandbox, cases, json};

cases![
    binds_volumes_mounts_and_tmpfs,
    volumes_of_the_image_are_apart,
    volumes_of_a_mapped_image_are_mapped,
    makes_the_root_read_only,
    gives_devices_and_limits,
];

fn binds_volumes_mounts_and_tmpfs(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let host = t.new_path("volume");
    let host = host.to_string_lossy();
    let mount = format!("type=bind,source={host},destination=/again,ro");
    let seen = sh(
        t,
        &image,
        &[
            "-v",
            &format!("{host}:/data"),
            "--mount",
            &mount,
            "--tmpfs",
            "/fast:size=1m",
        ],
        "echo kept > /data/file; cat /again/file; touch /again/x 2>&1 | grep -o Read-only; grep -c ' /fast tmpfs' /proc/mounts",
    );
    assert_eq!(seen, "kept\nRead-only\n1");
    let file = std::path::Path::new(&*host).join("file");
    assert_eq!(fs::read_to_string(file).expect("read"), "kept\n");
}

/// An image with volumes, what looks at them, and what is then seen.
fn with_volumes(t: &Sandbox) -> (String, &'static str, &'static str) {
    let image = ImageMaker::busybox(t)
        .layer(|dir| {
            fs::create_dir_all(dir.join("data/sub")).expect("mkdir");
            fs::write(dir.join("data/from-image"), "1").expect("write");
            fs::set_permissions(dir.join("data"), fs::Permissions::from_mode(0o750))
                .expect("chmod");
            std::os::unix::fs::chown(dir.join("data"), Some(1000), Some(1000)).expect("chown");
        })
        .set(
            "Volumes",
            json!({"/data": {}, "/made/new": {}, "relative/too": {}, "/": {}, "/a/../etc": {}}),
        )
        .write();
    let script = "stat -c '%a %u' /data; ls /data; touch /data/x /made/new/x /relative/too/x && echo writable; \
        touch /x 2>/dev/null || echo read-only; grep -c ' /data ' /proc/mounts";
    let seen = "750 1000\nfrom-image\nsub\nwritable\nread-only\n1";
    (image, script, seen)
}

fn volumes_of_the_image_are_apart(t: &Sandbox) {
    let (image, script, seen) = with_volumes(t);
    assert_eq!(sh(t, &image, &["--read-only"], script), seen);
    // What the user mounts there takes its place.
    let own = t.new_path("own");
    let volume = format!("{}:/data", own.display());
    assert_eq!(
        sh(t, &image, &["-v", &volume], "ls /data; touch /data/mine"),
        ""
    );
    assert!(own.join("mine").exists());
    // A commit has nothing of a volume.
    let id = t.new_id();
    run(
        t,
        &[
            "--image", &image, "--name", &id, "--keep", "--", "touch", "/data/x", "/kept",
        ],
    )
    .output()
    .ok();
    command(t, &["image", "commit", &id, "volumes:1"])
        .output()
        .ok();
    t.runtime(&["delete", &id]).output().ok();
    assert_eq!(
        sh(t, "volumes:1", &[], "ls /data /kept"),
        "/kept\n\n/data:\nfrom-image\nsub"
    );
}

fn volumes_of_a_mapped_image_are_mapped(t: &Sandbox) {
    let (image, script, seen) = with_volumes(t);
    let mapped = ["--read-only", "--uidmap", "0:100000:65536"];
    assert_eq!(sh(t, &image, &mapped, script), seen);
}

fn makes_the_root_read_only(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let seen = sh(
        t,
        &image,
        &["--read-only", "--tmpfs", "/tmp"],
        "touch /x 2>&1 | grep -o Read-only; touch /tmp/x && echo writable",
    );
    assert_eq!(seen, "Read-only\nwritable");
}

fn gives_devices_and_limits(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let seen = sh(
        t,
        &image,
        &[
            "--device",
            "/dev/zero:/dev/mine:r",
            "--ulimit",
            "nofile=100:200",
            "--shm-size",
            "1m",
        ],
        "head -c 2 /dev/mine | od -An -tx1; ulimit -n; ulimit -Hn; df -k /dev/shm | tail -n1 | awk '{print $2}'",
    );
    assert_eq!(seen, " 00 00\n100\n200\n1024");
}
