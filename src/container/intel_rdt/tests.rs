//! On a directory that stands for the mounted file system. What the kernel does by itself, the fake does by hand: a
//! new group has `mon_groups`, and its files vanish with it.

use super::*;
use crate::plan::intel_rdt::plan_intel_rdt;
use oci::runtime::Spec;
use tempfile::TempDir;

/// No process has it: above the kernel's largest.
const NOBODY: i32 = 0x7fff_ffff;

fn plan(rdt: &str) -> IntelRdtPlan {
    let json = format!(r#"{{"linux":{{"intelRdt":{rdt}}}}}"#);
    plan_intel_rdt(&Spec::parse(json.as_bytes()).unwrap(), "web1").unwrap()
}

fn surveyed(plan: &IntelRdtPlan, root: &TempDir) -> RdtRecord {
    survey(plan, root.path().to_owned()).unwrap()
}

fn existing(root: &TempDir, group: &str, schemata: &str) {
    let path = root.path().join(group);
    fs::create_dir_all(path.join("mon_groups")).unwrap();
    fs::write(path.join("schemata"), schemata).unwrap();
}

fn file(root: &TempDir, name: &str) -> String {
    fs::read_to_string(root.path().join(name)).unwrap_or_default()
}

/// The kernel's part of removing a group.
fn forget_files(group: &Path) {
    for name in ["tasks", "schemata"] {
        let _ = fs::remove_file(group.join(name));
    }
    let _ = fs::remove_dir(group.join("mon_groups"));
}

#[test]
fn a_new_group_is_made_written_entered_and_removed() {
    let root = TempDir::new().unwrap();
    let plan = plan(r#"{"l3CacheSchema":"L3:0=f","memBwSchema":"MB:0=20"}"#);
    let mut record = surveyed(&plan, &root);
    assert!(record.group_made && !root.path().join("web1").exists());
    make(&plan, &mut record).unwrap();
    assert_eq!(file(&root, "web1/schemata"), "L3:0=f\nMB:0=20\n");
    admit(&record, NOBODY).unwrap();
    assert_eq!(file(&root, "web1/tasks"), NOBODY.to_string());
    forget_files(&record.group_path());
    remove(&record).unwrap();
    assert!(!root.path().join("web1").exists());
    remove(&record).unwrap();
}

#[test]
fn lines_are_written_after_the_schemas() {
    let root = TempDir::new().unwrap();
    let plan = plan(r#"{"l3CacheSchema":"L3:0=f","schemata":["L2:0=3","MB:0=10"]}"#);
    let mut record = surveyed(&plan, &root);
    make(&plan, &mut record).unwrap();
    assert_eq!(file(&root, "web1/schemata"), "L2:0=3\nMB:0=10\n");
}

#[test]
fn nothing_is_written_where_no_schema_is_given() {
    let root = TempDir::new().unwrap();
    let plan = plan("{}");
    let mut record = surveyed(&plan, &root);
    make(&plan, &mut record).unwrap();
    assert!(root.path().join("web1").is_dir());
    assert!(!root.path().join("web1/schemata").exists());
}

#[test]
fn an_existing_group_is_used_as_it_is_and_stays() {
    let root = TempDir::new().unwrap();
    existing(&root, "gold", "    L3:0=00f;1=fff\n");
    for rdt in [
        r#"{"closID":"gold"}"#,
        r#"{"closID":"gold","l3CacheSchema":"L3:0=f"}"#,
    ] {
        let plan = plan(rdt);
        let mut record = surveyed(&plan, &root);
        make(&plan, &mut record).unwrap();
        assert_eq!(file(&root, "gold/schemata"), "    L3:0=00f;1=fff\n");
        remove(&record).unwrap();
        assert!(root.path().join("gold").is_dir());
    }
}

#[test]
fn an_existing_group_must_say_the_same() {
    let root = TempDir::new().unwrap();
    existing(&root, "gold", "    L3:0=00f\n");
    let plan = plan(r#"{"closID":"gold","l3CacheSchema":"L3:0=ff"}"#);
    let error = make(&plan, &mut surveyed(&plan, &root)).unwrap_err();
    assert!(
        error.to_string().contains(r#"doesn't say "L3:0=ff""#),
        "{error}"
    );
}

#[test]
fn a_named_group_without_schemata_is_not_made() {
    let root = TempDir::new().unwrap();
    let error = survey(&plan(r#"{"closID":"gold"}"#), root.path().to_owned()).unwrap_err();
    assert!(
        error.to_string().ends_with("gold does not exist"),
        "{error}"
    );
}

#[test]
fn the_root_group_is_entered_and_never_removed() {
    let root = TempDir::new().unwrap();
    let plan = plan(r#"{"closID":"/"}"#);
    let mut record = surveyed(&plan, &root);
    make(&plan, &mut record).unwrap();
    admit(&record, NOBODY).unwrap();
    assert_eq!(file(&root, "tasks"), NOBODY.to_string());
    remove(&record).unwrap();
    assert!(root.path().is_dir());
}

#[test]
fn the_monitoring_group_comes_and_goes_in_a_group_that_stays() {
    let root = TempDir::new().unwrap();
    existing(&root, "gold", "");
    let plan = plan(r#"{"closID":"gold","enableMonitoring":true}"#);
    let mut record = surveyed(&plan, &root);
    make(&plan, &mut record).unwrap();
    admit(&record, NOBODY).unwrap();
    let monitor = root.path().join("gold/mon_groups/web1");
    assert_eq!(
        file(&root, "gold/mon_groups/web1/tasks"),
        NOBODY.to_string()
    );
    assert_eq!(file(&root, "gold/tasks"), NOBODY.to_string());
    forget_files(&monitor);
    remove(&record).unwrap();
    assert!(!monitor.exists() && root.path().join("gold").is_dir());
}

#[test]
fn a_group_that_others_joined_stays() {
    let root = TempDir::new().unwrap();
    let plan = plan(r#"{"closID":"gold","schemata":["L3:0=f"]}"#);
    let mut record = surveyed(&plan, &root);
    make(&plan, &mut record).unwrap();
    admit(&record, std::process::id() as i32).unwrap();
    remove(&record).unwrap();
    assert!(root.path().join("gold").is_dir());
}

#[test]
fn a_group_that_another_made_meanwhile_is_not_ours() {
    let root = TempDir::new().unwrap();
    let plan = plan(r#"{"closID":"gold","l3CacheSchema":"L3:0=f"}"#);
    let mut record = surveyed(&plan, &root);
    existing(&root, "gold", "L3:0=f\n");
    make(&plan, &mut record).unwrap();
    assert!(!record.group_made);
}

#[test]
fn an_update_writes_its_lines_and_a_refusal_has_the_kernels_words() {
    let root = TempDir::new().unwrap();
    existing(&root, "gold", "");
    let plan = plan(r#"{"closID":"gold"}"#);
    let mut record = surveyed(&plan, &root);
    update(&record, "MB:0=20\n").unwrap();
    assert_eq!(file(&root, "gold/schemata"), "MB:0=20\n");
    fs::create_dir(root.path().join("info")).unwrap();
    fs::write(root.path().join("info/last_cmd_status"), "Unknown domain\n").unwrap();
    record.group = "absent".into();
    let error = update(&record, "MB:9=20\n").unwrap_err();
    assert_eq!(error.advice(), Some("resctrl says: Unknown domain"));
}

#[test]
fn the_mount_is_found_by_its_type() {
    let table = "22 1 8:1 / / rw - ext4 /dev/root rw\n\
        30 22 0:30 /gold /mnt rw - resctrl resctrl rw\n\
        31 22 0:30 / /sys/fs/res\\040ctrl rw,nosuid shared:9 - resctrl resctrl rw,cdp\n";
    assert_eq!(find_mount(table), Some("/sys/fs/res ctrl".into()));
    assert_eq!(
        find_mount("22 1 8:1 / /resctrl rw - ext4 resctrl rw\n"),
        None
    );
}

#[test]
fn statistics_are_what_the_groups_files_say() {
    let root = TempDir::new().unwrap();
    let put = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    put("info/L3/cbm_mask", "7ff\n");
    put("info/L3/min_cbm_bits", "1\n");
    put("info/L3/num_closids", "16\n");
    put("schemata", "    MB:0=100\n    L3:0=7ff\n");
    put("web1/schemata", "    MB:0=20\n    L3:0=f\n");
    put(
        "web1/mon_groups/web1/mon_data/mon_L3_01/llc_occupancy",
        "Unavailable\n",
    );
    put(
        "web1/mon_groups/web1/mon_data/mon_L3_00/llc_occupancy",
        "4096\n",
    );
    put(
        "web1/mon_groups/web1/mon_data/mon_L3_00/mbm_total_bytes",
        "9\n",
    );
    put(
        "web1/mon_groups/web1/mon_data/mon_L3_00/mbm_local_bytes",
        "5\n",
    );
    let record = surveyed(&plan(r#"{"enableMonitoring":true}"#), &root);
    assert_eq!(
        serde_json::to_value(stats(&record)).unwrap(),
        serde_json::json!({
            "l3_cache_info": {"cbm_mask": "7ff", "min_cbm_bits": 1, "num_closids": 16},
            "l3_cache_schema_root": "L3:0=7ff",
            "l3_cache_schema": "L3:0=f",
            "mem_bw_schema_root": "MB:0=100",
            "mem_bw_schema": "MB:0=20",
            "schemata": ["MB:0=20", "L3:0=f"],
            "mbm_stats": [{"mbm_total_bytes": 9, "mbm_local_bytes": 5}],
            "cmt_stats": [{"llc_occupancy": 4096}, {"llc_occupancy": 0}],
        })
    );
}
