//! Mount tables of hosts that we don't have.

use super::*;

const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
99 23 0:32 / /somewhere\\040else rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup systemd rw,xattr,release_agent=/usr/lib/agent,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

fn hierarchy(mount: &str, controllers: &[&str]) -> Hierarchy {
    Hierarchy {
        mount: mount.into(),
        controllers: controllers.iter().map(|c| c.to_string()).collect(),
    }
}

#[test]
fn hybrid_lists_each_hierarchy_once_and_the_unified_mount() {
    let own = "3:name=systemd:/\n2:memory:/job/1\n1:cpuacct,cpu:/work\n0::/job\n";
    let (layout, own) = lay_out(&parse_mounts(HYBRID), own);
    let hierarchies = vec![
        hierarchy("/sys/fs/cgroup/cpu,cpuacct", &["cpu", "cpuacct"]),
        hierarchy("/sys/fs/cgroup/memory", &["memory"]),
        hierarchy("/sys/fs/cgroup/systemd", &["name=systemd"]),
    ];
    let unified = Some("/sys/fs/cgroup/unified".into());
    assert_eq!(
        layout,
        CgroupLayout::V1 {
            hierarchies,
            unified
        }
    );
    let places = [("cpu,cpuacct", "/work"), ("memory", "/job/1"), ("", "/job")];
    assert_eq!(own, places.map(|(c, p)| (c.to_owned(), p.to_owned())));
}

#[test]
fn cgroup2_at_the_usual_place_wins_over_a_stray_v1_mount() {
    let mountinfo = "\
30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate
80 23 0:50 / /opt/vpn/net_cls rw - cgroup net_cls rw,net_cls
";
    let (layout, own) = lay_out(
        &parse_mounts(mountinfo),
        "1:net_cls:/\n0::/user.slice/s.scope\n",
    );
    assert!(
        matches!(layout, CgroupLayout::V2 { mount, .. } if mount == Path::new("/sys/fs/cgroup"))
    );
    assert_eq!(own, [(String::new(), "/user.slice/s.scope".to_owned())]);
}

#[test]
fn a_mount_of_a_subtree_shortens_the_callers_path() {
    let mountinfo = "90 80 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
    let place = |own| lay_out(&parse_mounts(mountinfo), own).1;
    assert_eq!(
        place("4:memory:/docker/abc/in\n"),
        [("memory".to_owned(), "/in".to_owned())]
    );
    assert_eq!(place("4:memory:/docker/abc\n"), []);
    assert_eq!(place("4:memory:/docker/abcdef\n"), []);
    assert_eq!(place("4:memory:/../..\n"), []);
}

#[test]
fn without_any_cgroup_mount_there_is_no_layout() {
    let mounts = parse_mounts("1 0 8:1 / / rw - ext4 /dev/vda rw\n");
    assert_eq!(lay_out(&mounts, "0::/\n"), (CgroupLayout::None, Vec::new()));
}

#[test]
fn mount_points_are_unescaped() {
    assert_eq!(unescape("/a\\040b\\134c\\x"), "/a b\\c\\x");
}

#[test]
fn this_host_is_probed() {
    let (layout, _) = probe_cgroups().expect("probe");
    assert_ne!(layout, CgroupLayout::None);
}

#[test]
fn a_mount_under_another_is_none() {
    // What a container engine does: a tmpfs over all of it, with v1 hierarchies on top.
    let mountinfo = "\
20 1 8:1 / / rw - ext4 /dev/sda rw
21 20 0:20 / /sys rw - sysfs sysfs rw
30 21 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
31 30 0:40 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu
33 31 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
34 31 0:31 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids
35 34 0:41 / /sys/fs/cgroup/pids rw - tmpfs tmpfs rw
";
    let found = parse_mounts(mountinfo);
    let places: Vec<_> = found.iter().map(|mount| mount.mount.as_path()).collect();
    assert_eq!(
        places,
        [
            Path::new("/sys/fs/cgroup/cpu"),
            Path::new("/sys/fs/cgroup/unified")
        ]
    );
    let over_the_parent = "\
20 1 8:1 / / rw - ext4 /dev/sda rw
21 20 0:20 / /sys rw - sysfs sysfs rw
30 21 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
40 21 0:50 / /sys/fs rw - tmpfs tmpfs rw
";
    assert_eq!(parse_mounts(over_the_parent), []);
    let over_the_grandparent = "\
20 1 8:1 / / rw - ext4 /dev/sda rw
21 20 0:20 / /sys rw - sysfs sysfs rw
30 21 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw
40 21 0:50 / /sys rw - tmpfs tmpfs rw
";
    assert_eq!(parse_mounts(over_the_grandparent), []);
}
