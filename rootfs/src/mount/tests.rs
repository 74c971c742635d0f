//! Every mount option, the order of operations, and how each is said.

use super::*;
use libc::*;
use oci::runtime::{IdMapping, Mount};
use std::path::Path;

const USERNS: [IdMapping; 2] = [
    IdMapping {
        container_id: 0,
        host_id: 0,
        size: 1,
    },
    IdMapping {
        container_id: 1,
        host_id: 2,
        size: 1000,
    },
];

fn facts() -> MountFacts<'static> {
    MountFacts {
        bundle: Path::new("/bundle"),
        root: Some(Path::new("/bundle/rootfs")),
        label: "",
        label_option: "context",
        user_namespace: false,
        new_network_namespace: true,
        new_ipc_namespace: true,
        uid_mappings: &USERNS,
        gid_mappings: &USERNS,
    }
}

fn entry(kind: &str, source: &str, destination: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        source: source.into(),
        kind: kind.into(),
        options: options.iter().map(|option| (*option).to_owned()).collect(),
        ..Mount::default()
    }
}

fn planned(mount: &Mount) -> MountOp {
    plan_mount(mount, 0, &facts()).unwrap_or_else(|error| panic!("{error}"))
}

fn ext4(options: &[&str]) -> MountOp {
    planned(&entry("ext4", "/dev/sda", "/data", options))
}

fn bound(options: &[&str]) -> MountOp {
    planned(&entry("none", "/src", "/data", options))
}

fn refused(mount: &Mount) -> String {
    plan_mount(mount, 7, &facts())
        .expect_err("must be refused")
        .to_string()
}

fn attributes(set: u64, clear: u64) -> Attributes {
    Attributes { set, clear }
}

fn superblock(op: &MountOp) -> u64 {
    match op.what {
        Mounted::FileSystem {
            superblock_flags, ..
        } => superblock_flags,
        _ => panic!("{op:?} is no file system"),
    }
}

fn data(op: &MountOp) -> Vec<String> {
    let (Mounted::FileSystem { options, .. } | Mounted::Remount { options, .. }) = &op.what else {
        panic!("{op:?} has no data");
    };
    let text = |option: &FsOption| match &option.value {
        Some(value) => format!(
            "{}={}",
            option.key.to_string_lossy(),
            value.to_string_lossy()
        ),
        None => option.key.to_string_lossy().into_owned(),
    };
    options.iter().map(text).collect()
}

#[test]
fn names_are_sorted_so_that_they_can_be_sought() {
    let names: Vec<_> = mount_option_names().collect();
    assert!(names.is_sorted());
    assert!(names.iter().all(|name| options::meaning(name).is_some()));
}

#[test]
fn every_name_of_the_specification_is_known() {
    let specified = "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev \
        nodiratime noexec noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private ratime \
        rbind rdev rdiratime relatime remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime \
        rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime rsuid rsymfollow runbindable \
        rw shared silent slave strictatime suid symfollow sync tmpcopyup unbindable idmap ridmap";
    for name in specified.split_whitespace() {
        assert!(options::meaning(name).is_some(), "{name}");
    }
}

#[test]
fn each_attribute_has_its_bit_for_one_mount_and_for_the_tree() {
    let table = [
        ("nosuid", "suid", MOUNT_ATTR_NOSUID),
        ("nodev", "dev", MOUNT_ATTR_NODEV),
        ("noexec", "exec", MOUNT_ATTR_NOEXEC),
        ("nodiratime", "diratime", MOUNT_ATTR_NODIRATIME),
        ("nosymfollow", "symfollow", MOUNT_ATTR_NOSYMFOLLOW),
        ("ro", "rw", MOUNT_ATTR_RDONLY),
    ];
    for (set, clear, bit) in table {
        assert_eq!(
            bound(&["bind", set]).attributes,
            attributes(bit, 0),
            "{set}"
        );
        assert_eq!(
            bound(&["bind", clear]).attributes,
            attributes(0, bit),
            "{clear}"
        );
        assert_eq!(
            bound(&["bind", set, clear]).attributes,
            attributes(0, bit),
            "{set},{clear}"
        );
        let (set, clear) = (format!("r{set}"), format!("r{clear}"));
        let tree = bound(&["rbind", &set]);
        assert_eq!(tree.recursive_attributes, attributes(bit, 0), "{set}");
        assert_eq!(tree.attributes, Attributes::default(), "{set}");
        assert_eq!(
            bound(&["rbind", &clear]).recursive_attributes,
            attributes(0, bit),
            "{clear}"
        );
    }
}

#[test]
fn access_time_modes_exclude_each_other_and_clear_the_whole_field() {
    let table: [(&[&str], u64); 7] = [
        (&["noatime"], MOUNT_ATTR_NOATIME),
        (&["strictatime"], MOUNT_ATTR_STRICTATIME),
        (&["relatime"], MOUNT_ATTR_RELATIME),
        (&["atime"], MOUNT_ATTR_RELATIME),
        (&["noatime", "nostrictatime"], MOUNT_ATTR_NOATIME),
        (&["strictatime", "nostrictatime"], MOUNT_ATTR_RELATIME),
        (&["noatime", "strictatime"], MOUNT_ATTR_STRICTATIME),
    ];
    for (options, set) in table {
        let expected = attributes(set, MOUNT_ATTR__ATIME);
        assert_eq!(ext4(options).attributes, expected, "{options:?}");
        let recursive: Vec<String> = options.iter().map(|option| format!("r{option}")).collect();
        let recursive: Vec<&str> = recursive.iter().map(String::as_str).collect();
        assert_eq!(
            ext4(&recursive).recursive_attributes,
            expected,
            "{recursive:?}"
        );
    }
    assert_eq!(ext4(&["norelatime"]).attributes, Attributes::default());
}

#[test]
fn superblock_options_have_their_flags() {
    let table: [(&[&str], u64); 9] = [
        (&["sync"], MS_SYNCHRONOUS),
        (&["sync", "async"], 0),
        (&["dirsync"], MS_DIRSYNC),
        (&["mand"], MS_MANDLOCK),
        (&["lazytime"], MS_LAZYTIME),
        (&["lazytime", "nolazytime"], 0),
        (&["iversion"], MS_I_VERSION),
        (&["silent"], MS_SILENT),
        (&["silent", "loud", "noiversion", "nomand", "defaults"], 0),
    ];
    for (options, flags) in table {
        let op = ext4(options);
        assert_eq!(superblock(&op), flags, "{options:?}");
        assert_eq!(data(&op), [""; 0], "{options:?}");
        assert_eq!(op.attributes, Attributes::default(), "{options:?}");
    }
}

#[test]
fn read_only_reaches_the_superblock_of_real_file_systems_only() {
    assert_eq!(superblock(&ext4(&["ro"])), MS_RDONLY);
    let sysfs = planned(&entry("sysfs", "sysfs", "/sys", &["ro"]));
    assert_eq!(superblock(&sysfs), 0);
    assert_eq!(sysfs.attributes.set, MOUNT_ATTR_RDONLY);
    assert!(!sysfs.readonly_later);
}

#[test]
fn a_read_only_tmpfs_is_writable_until_the_end() {
    let op = planned(&entry(
        "tmpfs",
        "tmpfs",
        "/run",
        &["ro", "nosuid", "tmpcopyup"],
    ));
    assert_eq!(op.attributes, attributes(MOUNT_ATTR_NOSUID, 0));
    assert!(op.copy_up);
    let late = op.late_readonly().expect("was put off");
    assert_eq!(late.attributes.set, MOUNT_ATTR_RDONLY);
    assert_eq!(late.destination.as_c_str(), c"/run");
    assert_eq!(late.late_readonly(), None);
    assert_eq!(bound(&["bind", "ro"]).late_readonly(), None);
}

#[test]
fn what_the_table_does_not_know_goes_to_the_file_system() {
    let op = planned(&entry(
        "tmpfs",
        "",
        "/t",
        &["size=64k,mode=755", "noswap", "", "Ro"],
    ));
    assert_eq!(data(&op), ["size=64k", "mode=755", "noswap", "Ro"]);
    let op = planned(&entry(
        "overlay",
        "o",
        "/o",
        &[r"lowerdir=/a\,b:/c", r#"context="a:b,c""#],
    ));
    assert_eq!(data(&op), [r"lowerdir=/a\,b:/c", "context=a:b,c"]);
}

#[test]
fn a_bind_is_decided_by_its_options() {
    let op = planned(&entry(
        "tmpfs",
        "some/dir",
        "/data",
        &["bind", "copy-symlink", "dest-nofollow"],
    ));
    let expected = Mounted::Bind {
        source: c"/bundle/some/dir".into(),
        recursive: false,
        no_follow: true,
        copy_symlink: true,
    };
    assert_eq!(op.what, expected);
    assert!(op.no_follow_destination);
    let Mounted::Bind {
        recursive,
        no_follow,
        ..
    } = bound(&["bind", "rbind", "src-nofollow"]).what
    else {
        panic!("rbind is a bind");
    };
    assert!(recursive && no_follow);
}

#[test]
fn propagation_keeps_its_order() {
    let op = bound(&["rbind", "rslave", "shared"]);
    let expected = [
        Propagation {
            flag: MS_SLAVE,
            recursive: true,
        },
        Propagation {
            flag: MS_SHARED,
            recursive: false,
        },
    ];
    assert_eq!(op.propagation, expected);
}

#[test]
fn a_bind_ignores_what_engines_do_with_volumes() {
    assert_eq!(bound(&["rbind", "z", "Z", "U"]), bound(&["rbind"]));
}

#[test]
fn remount_with_bind_leaves_the_superblock() {
    let op = planned(&entry("", "", "/data", &["remount", "bind", "ro"]));
    assert_eq!(
        op.what,
        Mounted::Remount {
            superblock_flags: None,
            options: vec![]
        }
    );
    assert_eq!(op.attributes.set, MOUNT_ATTR_RDONLY);
    let op = planned(&entry("", "", "/data", &["remount", "sync", "size=1k"]));
    assert_eq!(data(&op), ["size=1k"]);
}

#[test]
fn destinations_are_made_absolute_and_clean() {
    let table = [
        ("data", "/data"),
        ("//a/./b//c/..", "/a/b"),
        ("../../x", "/x"),
        ("/", "/"),
    ];
    for (written, clean) in table {
        let op = planned(&entry("tmpfs", "tmpfs", written, &[]));
        assert_eq!(op.destination.to_str(), Ok(clean), "{written}");
    }
}

#[test]
fn refusals_name_the_field() {
    let mut half = entry("none", "/src", "/data", &["bind", "idmap"]);
    half.uid_mappings = USERNS.to_vec();
    let table = [
        (
            entry("tmpfs", "", "", &[]),
            "mounts[7].destination: is required",
        ),
        (entry("", "", "/x", &[]), "mounts[7].type: is required"),
        (
            entry("bind", "/src", "/x", &["ro"]),
            "mounts[7].options: the type \"bind\" means nothing",
        ),
        (
            entry("bind", "", "/x", &["rbind"]),
            "mounts[7].source: a bind mount needs a source",
        ),
        (
            entry("bind", "/s", "/x", &["bind", "size=1"]),
            "mounts[7].options[1]: \"size=1\" is an option",
        ),
        (
            entry("tmpfs", "", "/x\0", &[]),
            "mounts[7].destination: holds a NUL byte",
        ),
        (
            entry("tmpfs", "", "/x", &["a\0"]),
            "mounts[7].options[0]: holds a NUL byte",
        ),
        (
            entry("tmpfs", "", "/proc", &[]),
            "mounts[7].destination: only a file system of type proc",
        ),
        (
            entry("", "/s", "/proc/sys/../self", &["bind"]),
            "mounts[7].destination: /proc/self is inside /proc",
        ),
        (
            entry("none", "/s", "/x", &["bind", "idmap"]),
            "mounts[7]: an id mapping needs",
        ),
        (
            half,
            "mounts[7]: uidMappings and gidMappings must be given together",
        ),
        (
            entry("none", "/s", "/x", &["bind", "idmap=uids=0-0"]),
            "mounts[7]: expected FROM-TO-LENGTH",
        ),
        (
            entry("none", "/s", "/x", &["bind", "idmap=uids=0-0-1"]),
            "mounts[7]: idmap=… needs both",
        ),
        (
            entry("none", "/s", "/x", &["bind", "idmap=u=0-0-1"]),
            "mounts[7]: expected uids=… or gids=…",
        ),
        (
            entry("none", "/s", "/x", &["bind", "idmap=uids=@1-9000-1"]),
            "mounts[7]: the container maps no id",
        ),
    ];
    for (mount, expected) in table {
        let error = refused(&mount);
        assert!(
            error.starts_with(expected),
            "{error}\n  expected {expected}"
        );
    }
}

#[test]
fn files_of_proc_that_engines_emulate_may_be_covered() {
    for destination in ["/proc/meminfo", "/proc/net/dev", "/process"] {
        planned(&entry("none", "/src", destination, &["bind"]));
    }
}

#[test]
fn proc_and_sysfs_are_not_mounted_through_a_symlink() {
    assert!(planned(&entry("proc", "proc", "/proc", &[])).no_follow_destination);
    assert!(planned(&entry("sysfs", "sysfs", "/sys", &[])).no_follow_destination);
    assert!(!planned(&entry("tmpfs", "tmpfs", "/tmp", &[])).no_follow_destination);
}

#[test]
fn an_id_mapping_comes_from_the_entry_the_option_or_the_container() {
    let mut listed = entry("none", "/src", "/data", &["bind"]);
    listed.uid_mappings = USERNS.to_vec();
    listed.gid_mappings = USERNS.to_vec();
    let ranges = |uids: &[IdMapping], gids: &[IdMapping]| IdmapSource::Ranges {
        uids: uids.to_vec(),
        gids: gids.to_vec(),
    };
    let idmap = planned(&listed).idmap.expect("mappings alone ask for it");
    assert_eq!(
        idmap,
        Idmap {
            mapping: ranges(&USERNS, &USERNS),
            recursive: false
        }
    );

    let op = bound(&["rbind", "ridmap=uids=@1-3-10#5-6-7;gids=0-100-10"]);
    let range = |container_id, host_id, size| IdMapping {
        container_id,
        host_id,
        size,
    };
    let mapping = ranges(&[range(1, 4, 10), range(5, 7, 7)], &[range(0, 100, 10)]);
    assert_eq!(
        op.idmap,
        Some(Idmap {
            mapping,
            recursive: true
        })
    );

    let userns = MountFacts {
        user_namespace: true,
        ..facts()
    };
    let tmpfs = entry("tmpfs", "tmpfs", "/data", &["idmap"]);
    let idmap = plan_mount(&tmpfs, 0, &userns).expect("is valid").idmap;
    assert_eq!(
        idmap,
        Some(Idmap {
            mapping: IdmapSource::Container,
            recursive: false
        })
    );
}

#[test]
fn a_label_is_added_once_and_where_it_is_taken() {
    let labelled = MountFacts {
        label: "u:r:t:s0:c1,c2",
        ..facts()
    };
    let of = |kind, options: &[&str]| {
        data(&plan_mount(&entry(kind, "", "/x", options), 0, &labelled).expect("is valid"))
    };
    assert_eq!(
        of("tmpfs", &["size=1k"]),
        ["size=1k", "context=u:r:t:s0:c1,c2"]
    );
    assert_eq!(of("tmpfs", &["fscontext=x"]), ["fscontext=x"]);
    assert_eq!(of("mqueue", &[]), [""; 0]);
}

#[test]
fn sysfs_without_an_own_network_falls_back_to_the_hosts() {
    let sysfs = entry("sysfs", "sysfs", "/sys", &["ro"]);
    let shared = MountFacts {
        user_namespace: true,
        new_network_namespace: false,
        ..facts()
    };
    let op = plan_mount(&sysfs, 0, &shared).expect("is valid");
    assert_eq!(op.fallback_bind.as_deref(), Some(c"/sys"));
    assert_eq!(op.attributes.set, MOUNT_ATTR_RDONLY);
    assert_eq!(planned(&sysfs).fallback_bind, None);
    let bind = entry("sysfs", "/sys", "/sys", &["rbind"]);
    assert_eq!(
        plan_mount(&bind, 0, &shared)
            .expect("is valid")
            .fallback_bind,
        None
    );
}

#[test]
fn a_bound_dev_is_seen() {
    assert!(dev::dev_is_bound(&[entry("", "/dev", "/dev/", &["rbind"])]));
    assert!(!dev::dev_is_bound(&[
        entry("tmpfs", "", "/dev", &[]),
        entry("", "/x", "/dev/x", &["bind"])
    ]));
}

#[test]
fn an_operation_is_a_sentence() {
    let range = [IdMapping {
        container_id: 0,
        host_id: 5,
        size: 7,
    }];
    let mut mapped = entry(
        "",
        "/src",
        "/d",
        &[
            "rbind",
            "rro",
            "rnosuid",
            "rslave",
            "shared",
            "ridmap",
            "src-nofollow",
        ],
    );
    mapped.uid_mappings = range.to_vec();
    mapped.gid_mappings = range.to_vec();
    let table = [
        (
            entry("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"]),
            "mount proc on /proc (type=proc, nodev,noexec,nosuid)",
        ),
        (
            entry("tmpfs", "shm", "/dev/shm", &[]),
            "mount shm on /dev/shm (type=tmpfs)",
        ),
        (
            entry(
                "tmpfs",
                "t",
                "/t",
                &["ro", "strictatime", "sync", "mode=755", "tmpcopyup"],
            ),
            "mount t on /t (type=tmpfs, strictatime,tmpcopyup,ro at the end,sync,mode=755)",
        ),
        (
            entry(
                "ext4",
                "/dev/a\nb",
                "/e",
                &["ro", "atime", "suid", "silent"],
            ),
            "mount /dev/a\\nb on /e (type=ext4, relatime,ro,suid,silent)",
        ),
        (entry("", "/s", "/d", &["bind"]), "mount /s on /d (bind)"),
        (
            entry("", "/s", "/d", &["bind", "copy-symlink", "rw"]),
            "mount /s on /d (bind,rw,copy-symlink)",
        ),
        (
            mapped,
            "mount /src on /d (rbind,rnosuid,rro,rslave,shared,ridmap=uids=0-5-7;gids=0-5-7,src-nofollow)",
        ),
        (
            entry("", "", "/d", &["remount", "bind", "ro"]),
            "change the mount on /d (remount,bind,ro)",
        ),
        (
            entry("", "", "/d", &["remount", "size=1k"]),
            "change the mount on /d (remount,size=1k)",
        ),
        (
            entry("tmpfs", "t", "/t", &[r#"context="a,b""#]),
            r#"mount t on /t (type=tmpfs, context="a,b")"#,
        ),
    ];
    for (mount, expected) in table {
        assert_eq!(planned(&mount).to_string(), expected);
    }
    let shared = MountFacts {
        user_namespace: true,
        new_network_namespace: false,
        ..facts()
    };
    let op = plan_mount(&entry("sysfs", "sysfs", "/sys", &["ro"]), 0, &shared).expect("is valid");
    assert_eq!(
        op.to_string(),
        "mount sysfs on /sys (type=sysfs, ro; or bind /sys)"
    );
}
