//! `crun-lite image` from end to end, on files: what it prints, and its exit codes.
//!
//! Pulling from a real registry is tested in `oci/tests/docker_registry.rs`.

use std::path::Path;
use std::process::{Command, Output};

struct Ground(tempfile::TempDir);

impl Ground {
    fn image(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_crun-lite"))
            .arg("image")
            .args(words)
            .env("CRUN_LITE_STORE", self.0.path().join("store"))
            .current_dir(self.0.path())
            .output()
            .expect("starts")
    }

    fn works(&self, words: &[&str]) -> String {
        let output = self.image(words);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn fails(&self, words: &[&str]) -> String {
        let output = self.image(words);
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}

/// A layout with one image `l:one`, by umoci.
fn ground() -> Option<Ground> {
    let ground = Ground(tempfile::tempdir().expect("temporary directory"));
    let umoci = |words: &[&str]| {
        let run = Command::new("umoci")
            .args(words)
            .current_dir(ground.0.path())
            .output();
        run.is_ok_and(|output| output.status.success())
    };
    let made = umoci(&["init", "--layout", "l"])
        && umoci(&["new", "--image", "l:one"])
        && umoci(&[
            "insert",
            "--rootless",
            "--image",
            "l:one",
            "/etc/hostname",
            "/name",
        ]);
    made.then_some(ground)
}

#[test]
fn import_list_export_and_remove() {
    let Some(ground) = ground() else {
        return eprintln!("skipped: no umoci");
    };
    let digest = ground.works(&["import", "oci:l:one", "quay.io/me/app:1", "-q"]);
    assert!(digest.starts_with("sha256:"), "{digest}");
    assert_eq!(ground.works(&["ls", "-q"]), "quay.io/me/app:1\n");
    assert!(ground.works(&["ls"]).starts_with("NAME"));
    let listed: serde_json::Value =
        serde_json::from_str(&ground.works(&["ls", "--format", "json"])).expect("is JSON");
    assert_eq!(listed[0]["layers"], 1);
    let inspected: serde_json::Value =
        serde_json::from_str(&ground.works(&["inspect", "quay.io/me/app:1"])).expect("is JSON");
    assert_eq!(inspected[0]["digest"], digest.trim());
    assert_eq!(
        inspected[0]["layers"][0]["diffID"],
        inspected[0]["layers"][0]["chainID"]
    );

    ground.works(&[
        "export",
        "quay.io/me/app:1",
        "docker-archive:out.tar:hello:2",
    ]);
    assert!(Path::new(&ground.0.path().join("out.tar")).exists());
    ground.works(&["import", "docker-archive:out.tar"]);
    assert_eq!(
        ground.works(&["ls", "-q"]),
        "docker.io/library/hello:2\nquay.io/me/app:1\n"
    );
    assert!(
        ground
            .works(&["rm", "hello:2", "quay.io/me/app:1"])
            .contains("removed")
    );
    assert_eq!(ground.works(&["ls", "-q"]), "");
    assert_eq!(
        ground.works(&["prune"]),
        "0 blobs, 0 unpacked layers, 0 forgotten containers, 0 B freed\n"
    );
}

#[test]
fn mistakes_are_told_with_advice() {
    let Some(ground) = ground() else {
        return eprintln!("skipped: no umoci");
    };
    assert!(
        ground
            .fails(&["inspect", "nope"])
            .contains("crun-lite image pull nope")
    );
    assert!(
        ground
            .fails(&["import", "oci:l:two"])
            .contains("no image \"two\"")
    );
    assert!(ground.fails(&["pull", "UPPER/x"]).contains("lower-case"));
    assert!(
        ground
            .fails(&["pull", "--progress", "loud", "x"])
            .contains("--progress")
    );
    assert!(
        ground
            .fails(&["export", "nope", "elsewhere"])
            .contains("nope")
    );
    ground.fails(&["fly"]);
}

#[test]
fn progress_for_programs_is_json_lines() {
    let Some(ground) = ground() else {
        return eprintln!("skipped: no umoci");
    };
    let text = ground.works(&["import", "oci:l:one", "--progress", "json"]);
    let events: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("is JSON"))
        .collect();
    assert_eq!(events.last().expect("ends")["event"], "stored");
    assert!(
        events
            .iter()
            .any(|event| event["stage"] == "done" && event["role"] == "layer")
    );
}
