//! Mount entries: any list of options on any type of mount.

use oci::runtime::{IdMapping, Mount};
use proptest::prelude::*;
use rootfs::mount::{MountFacts, mount_option_names, plan_mount};
use std::path::Path;

/// A known option, one with a value, or anything.
fn option() -> impl Strategy<Value = String> {
    let names: Vec<String> = mount_option_names().map(Into::into).collect();
    prop_oneof![
        4 => prop::sample::select(names),
        1 => ("(size|mode|idmap|ridmap|uid|data)", "[=:;a-z0-9-]{0,12}").prop_map(|(name, value)| name + "=" + &value),
        1 => any::<String>(),
    ]
}

fn mapping() -> impl Strategy<Value = Vec<IdMapping>> {
    let range = any::<[u32; 3]>().prop_map(|[container_id, host_id, size]| IdMapping {
        container_id,
        host_id,
        size,
    });
    prop::collection::vec(range, 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_options_are_planned_or_refused(
        options in prop::collection::vec(option(), 0..8),
        kind in prop_oneof![Just("bind"), Just("proc"), Just("sysfs"), Just("tmpfs"), Just("cgroup"), Just("devpts"), Just(""), Just("x\0y")],
        destination in prop_oneof![Just("/mnt".to_owned()), Just("/proc".to_owned()), any::<String>()],
        source in any::<String>(),
        mappings in (mapping(), mapping()),
        facts in any::<[bool; 3]>(),
    ) {
        let mount = Mount {
            destination, source, kind: kind.into(), options,
            uid_mappings: mappings.0, gid_mappings: mappings.1,
        };
        let facts = MountFacts {
            root: None,
            bundle: Path::new("/bundle"), label: "", label_option: "context",
            user_namespace: facts[0], new_network_namespace: facts[1], new_ipc_namespace: facts[2],
            uid_mappings: &[], gid_mappings: &[],
        };
        if let Err(error) = plan_mount(&mount, 7, &facts) {
            prop_assert!(error.to_string().starts_with("mounts[7]"), "{}", error);
        }
    }
}
