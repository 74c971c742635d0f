//! Golden plans: `NAME.json` on host `HOST` comes to `NAME.HOST.plan`, for hosts that this machine isn't, without root.
//!
//! `UPDATE_GOLDEN=1` writes the plans again; an empty file made by hand becomes a new one. A configuration that is
//! refused has the error as its plan.

mod hosts;
mod mutation;

use crun_lite::host::Host;
use crun_lite::plan::{CgroupManager, InitPlan, Options, Step, plan};
use oci::runtime::Spec;
use std::fs;
use std::path::{Path, PathBuf};

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plan")
}

/// All configurations, by name.
fn configurations() -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory()).expect("tests/plan exists");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.expect("is readable").path())
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    let read = |path: PathBuf| {
        let name = path
            .file_stem()
            .expect("has a name")
            .to_string_lossy()
            .into_owned();
        (name, fs::read(&path).expect("is readable"))
    };
    files.into_iter().map(read).collect()
}

fn options() -> Options {
    Options {
        id: "web1".into(),
        bundle: "/bundle".into(),
        ..Options::default()
    }
}

/// What the user of `plan` reads.
fn planned(json: &[u8], host: &Host) -> String {
    let spec = match Spec::parse(json) {
        Ok(spec) => spec,
        Err(error) => return format!("error: {error}\n"),
    };
    match plan(&spec, host, &options()) {
        Ok(plan) => plan.to_string(),
        Err(error) => format!("error: {error}\n"),
    }
}

#[test]
fn plans_are_as_written_down() {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for (name, json) in configurations() {
        let mut compared = 0;
        for (host_name, host) in hosts::all() {
            let golden = directory().join(format!("{name}.{host_name}.plan"));
            let Ok(expected) = fs::read_to_string(&golden) else {
                continue;
            };
            compared += 1;
            let actual = planned(&json, &host);
            if update {
                fs::write(&golden, &actual).expect("is writable");
            } else if actual != expected {
                wrong.push(format!(
                    "{}:\n{}",
                    golden.display(),
                    difference(&expected, &actual)
                ));
            }
        }
        assert!(compared > 0, "{name}.json has no plan for any host");
    }
    assert!(
        wrong.is_empty(),
        "UPDATE_GOLDEN=1 accepts what changed:\n{}",
        wrong.join("\n")
    );
}

/// The lines that only one of two texts has.
fn difference(expected: &str, actual: &str) -> String {
    let only = |mark: &'static str, these: &str, others: &str| -> Vec<String> {
        let others: Vec<&str> = others.lines().collect();
        let lines = these.lines().filter(|line| !others.contains(line));
        lines.map(|line| format!("  {mark}{line}")).collect()
    };
    [only("-", expected, actual), only("+", actual, expected)]
        .concat()
        .join("\n")
}

#[test]
fn json_plans_hold_every_step_of_the_text() {
    for (name, json) in configurations() {
        for (host_name, host) in hosts::all() {
            let Ok(plan) = plan(&Spec::parse(&json).expect("parses"), &host, &options()) else {
                continue;
            };
            let value = plan.to_json();
            let steps = value["steps"].as_array().expect("is an array");
            assert_eq!(steps.len(), plan.init.steps.len(), "{name} on {host_name}");
            let text = plan.to_string();
            for step in steps {
                let sentence = step["does"].as_str().expect("is a sentence");
                assert!(text.contains(sentence), "{name} on {host_name}: {sentence}");
                assert!(!step["kind"].as_str().expect("is a name").is_empty());
            }
        }
    }
}

/// `start` plans again to say what failed, without knowing what `create` was told; steps are counted from the last.
#[test]
fn what_create_was_told_changes_no_step_after_the_start() {
    let told = |cgroup_manager| Options {
        no_pivot: true,
        no_new_keyring: true,
        inherited_fds: vec![3, 4],
        listen_fds: 2,
        notify_dir: Some("/run/web1/notify".into()),
        volumes: vec![("/data".into(), "/volumes/1".into())],
        cgroup_manager,
        ..options()
    };
    let untold = Options {
        cgroup_manager: CgroupManager::Disabled,
        ..options()
    };
    let mut compared = 0;
    for (name, json) in configurations() {
        let spec = Spec::parse(&json).expect("parses");
        for (host_name, host) in hosts::all() {
            for manager in [CgroupManager::Cgroupfs, CgroupManager::Systemd] {
                let Ok(created) = plan(&spec, &host, &told(manager)) else {
                    continue;
                };
                let again = plan(&spec, &host, &untold).expect("is planned again");
                let at = format!("{name} on {host_name}");
                assert_eq!(after_start(&again.init), after_start(&created.init), "{at}");
                compared += 1;
            }
        }
    }
    assert!(compared > 20, "{compared}");
}

/// What is done, not with what: variables of the program's environment come from what `create` was told.
fn after_start(plan: &InitPlan) -> Vec<std::mem::Discriminant<Step>> {
    let starts = |step: &Step| matches!(step, Step::AwaitStart);
    let kinds = plan.steps.iter().rev().take_while(|step| !starts(step));
    kinds.map(std::mem::discriminant).collect()
}
