//! Every option name of the specification's table, on a tmpfs: what mountinfo and the file system then say.

use crate::support::{Sandbox, cases, json, sandbox};

cases![
    flags_of_the_mount,
    flags_of_the_file_system,
    options_without_a_trace,
    later_options_win,
    propagation,
    data_goes_to_the_file_system,
    defaults_of_a_mount_without_options,
    nosymfollow_stops_links,
    noexec_stops_programs,
    nodev_stops_devices,
    read_only_bind,
    bind_keeps_flags_of_its_source,
    remount_of_a_bind,
    null_options
];

/// The per-mount options and the file system's options of a mount made with `options`.
fn mounted(t: &Sandbox, options: &[&str]) -> (Vec<String>, Vec<String>) {
    let line = t.sh(
        t.bundle().mount("/mnt", "tmpfs", "tmpfs", options),
        "grep ' /mnt ' /proc/self/mountinfo",
    );
    let (left, right) = line
        .split_once(" - ")
        .unwrap_or_else(|| panic!("no such mount: {line}"));
    let list = |text: Option<&str>| {
        text.unwrap_or_default()
            .split(',')
            .map(str::to_owned)
            .collect()
    };
    (list(left.split(' ').nth(5)), list(right.split(' ').nth(2)))
}

/// Tries each row and reports all that fail.
#[track_caller]
fn check(rows: &[(&[&str], &str)], has: impl Fn(&[&str], &str) -> bool) {
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(options, word)| !has(options, word))
        .collect();
    assert!(wrong.is_empty(), "not as they should be: {wrong:?}");
}

/// Whether the words hold, `!word` meaning its absence.
fn holds(list: &[String], words: &str) -> bool {
    words.split(' ').all(|word| match word.strip_prefix('!') {
        Some(word) => !list.iter().any(|entry| entry == word),
        None => list.iter().any(|entry| entry == word),
    })
}

fn flags_of_the_mount(t: &Sandbox) {
    let rows: &[(&[&str], &str)] = &[
        (&["ro"], "ro"),
        (&["rw"], "rw"),
        (&["nosuid"], "nosuid"),
        (&["nosuid", "suid"], "!nosuid"),
        (&["nodev"], "nodev"),
        (&["nodev", "dev"], "!nodev"),
        (&["noexec"], "noexec"),
        (&["noexec", "exec"], "!noexec"),
        (&["noatime"], "noatime !relatime"),
        (&["noatime", "atime"], "!noatime"),
        (&["nodiratime"], "nodiratime"),
        (&["nodiratime", "diratime"], "!nodiratime"),
        (&["relatime"], "relatime"),
        (&["strictatime"], "!relatime !noatime"),
        (&["nosymfollow"], "nosymfollow"),
        (&["nosymfollow", "symfollow"], "!nosymfollow"),
    ];
    check(rows, |options, words| holds(&mounted(t, options).0, words));
}

fn flags_of_the_file_system(t: &Sandbox) {
    let rows: &[(&[&str], &str)] = &[
        (&["sync"], "sync"),
        (&["sync", "async"], "!sync"),
        (&["dirsync"], "dirsync"),
        (&["lazytime"], "lazytime"),
        (&["lazytime", "nolazytime"], "!lazytime"),
        (&["size=1m"], "size=1024k"),
        (&["mode=700"], "mode=700"),
    ];
    check(rows, |options, words| holds(&mounted(t, options).1, words));
}

fn options_without_a_trace(t: &Sandbox) {
    let all = [
        "defaults",
        "async",
        "atime",
        "dev",
        "diratime",
        "exec",
        "iversion",
        "noiversion",
        "loud",
        "silent",
        "mand",
        "nomand",
        "norelatime",
        "nostrictatime",
        "nolazytime",
        "suid",
        "symfollow",
        "rw",
    ];
    let failing: Vec<&str> = all
        .iter()
        .filter(|option| {
            !t.run(
                &t.bundle()
                    .mount("/mnt", "tmpfs", "tmpfs", &[option])
                    .args(&["/bin/true"]),
            )
            .status
            .success()
        })
        .copied()
        .collect();
    assert!(failing.is_empty(), "refused: {failing:?}");
}

fn later_options_win(t: &Sandbox) {
    let rows: &[(&[&str], &str)] = &[
        (&["ro", "rw"], "rw !ro"),
        (&["rw", "ro"], "ro !rw"),
        (&["noatime", "strictatime"], "!noatime"),
        (&["nosuid", "noexec", "exec"], "nosuid !noexec"),
    ];
    check(rows, |options, words| holds(&mounted(t, options).0, words));
}

fn propagation(t: &Sandbox) {
    for (option, field) in [
        ("shared", "shared:"),
        ("rshared", "shared:"),
        ("unbindable", "unbindable"),
        ("runbindable", "unbindable"),
    ] {
        let line = t.sh(
            t.bundle().mount("/mnt", "tmpfs", "tmpfs", &[option]),
            "grep ' /mnt ' /proc/self/mountinfo",
        );
        assert!(line.contains(field), "{option}: {line}");
    }
    for option in ["private", "rprivate", "slave", "rslave"] {
        let line = t.sh(
            t.bundle().mount("/mnt", "tmpfs", "tmpfs", &[option]),
            "grep ' /mnt ' /proc/self/mountinfo",
        );
        assert!(
            !line.contains("shared:") && !line.contains("unbindable"),
            "{option}: {line}"
        );
    }
}

fn data_goes_to_the_file_system(t: &Sandbox) {
    let (_, data) = mounted(
        t,
        &["size=2m", "nr_inodes=77", "mode=0711", "uid=5", "gid=6"],
    );
    for word in ["size=2048k", "nr_inodes=77", "mode=711", "uid=5", "gid=6"] {
        assert!(data.iter().any(|entry| entry == word), "{word} in {data:?}");
    }
}

fn defaults_of_a_mount_without_options(t: &Sandbox) {
    assert!(holds(
        &mounted(t, &[]).0,
        "rw relatime !nosuid !nodev !noexec"
    ));
}

fn null_options(t: &Sandbox) {
    let bundle = t.bundle().push(
        "/mounts",
        json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": null}),
    );
    assert_eq!(t.sh(bundle, "grep -c ' /mnt ' /proc/self/mountinfo"), "1");
}

fn nosymfollow_stops_links(t: &Sandbox) {
    let bundle = t.bundle().mount("/mnt", "tmpfs", "tmpfs", &["nosymfollow"]);
    t.run(
        &bundle.shell(
            "ln -s /etc/passwd /mnt/link; readlink /mnt/link && ! cat /mnt/link 2>/dev/null",
        ),
    )
    .ok();
}

fn noexec_stops_programs(t: &Sandbox) {
    let bundle = t.bundle().mount("/mnt", "tmpfs", "tmpfs", &["noexec"]);
    assert_eq!(
        t.run(&bundle.shell("cp /bin/busybox /mnt/; /mnt/busybox true 2>/dev/null"))
            .code(),
        126
    );
}

fn nodev_stops_devices(t: &Sandbox) {
    let bundle =
        t.bundle()
            .capabilities(&["CAP_MKNOD"])
            .mount("/mnt", "tmpfs", "tmpfs", &["nodev"]);
    t.run(&bundle.shell("mknod /mnt/null c 1 3 && ! cat /mnt/null 2>/dev/null"))
        .ok();
}

fn read_only_bind(t: &Sandbox) {
    let source = t.new_path("source");
    std::fs::create_dir(&source).expect("create a source");
    let bundle = t
        .bundle()
        .mount("/mnt", "bind", &source.to_string_lossy(), &["bind", "ro"]);
    let output = t.run(&bundle.shell("touch /mnt/x")).fails();
    assert!(output.stderr.contains("Read-only file system"), "{output}");
    std::fs::write(source.join("y"), "").expect("the source itself stays writable");
}

fn bind_keeps_flags_of_its_source(t: &Sandbox) {
    let source = sandbox::HostMount::tmpfs(
        t,
        nix::mount::MsFlags::MS_NOEXEC | nix::mount::MsFlags::MS_NOSUID,
    );
    let bundle = t
        .bundle()
        .mount("/mnt", "bind", &source.path(), &["bind", "nodev"]);
    let line = t.sh(
        bundle,
        "grep ' /mnt ' /proc/self/mountinfo | cut -d ' ' -f 6",
    );
    let list: Vec<String> = line.split(',').map(str::to_owned).collect();
    assert!(holds(&list, "nodev"), "{line}");
}

fn remount_of_a_bind(t: &Sandbox) {
    let source = t.new_path("source");
    std::fs::create_dir(&source).expect("create a source");
    let path = source.to_string_lossy();
    let bundle = t.bundle().mount("/mnt", "bind", &path, &["rbind"]).mount(
        "/mnt",
        "bind",
        &path,
        &["remount", "bind", "ro", "noexec"],
    );
    let line = t.sh(
        bundle,
        "grep ' /mnt ' /proc/self/mountinfo | tail -n 1 | cut -d ' ' -f 6",
    );
    let list: Vec<String> = line.split(',').map(str::to_owned).collect();
    assert!(holds(&list, "ro noexec"), "{line}");
}
