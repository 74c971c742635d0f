//! A `config.json` or root file system that can't be used: one clear sentence, exit code 1, nothing left.

use std::fs;
use std::time::Duration;

use crate::support::{Bundle, Sandbox, cases, json};

cases![
    missing_config,
    missing_bundle,
    empty_config,
    truncated_config,
    config_of_100_megabytes,
    config_with_a_huge_string,
    deeply_nested_config,
    config_that_is_no_object,
    config_that_is_a_directory,
    config_that_is_not_utf8,
    config_with_trailing_text,
    missing_rootfs,
    rootfs_that_is_a_file,
    rootfs_that_is_a_symlink_loop,
    unknown_fields_are_fine,
];

/// Runs the bundle as it lies on disk and demands a refusal that leaves nothing.
#[track_caller]
fn refused(t: &Sandbox, bundle: &Bundle, texts: &[&str]) {
    for command in ["create", "run"] {
        let arguments = [
            command,
            "--bundle",
            &bundle.path.to_string_lossy(),
            &t.new_id(),
        ];
        t.runtime(&arguments)
            .time_limit(Duration::from_secs(30))
            .output()
            .refused_with(texts);
        assert_eq!(t.state_entries(), Vec::<String>::new());
        assert_eq!(t.wait_until_gone(), Vec::<String>::new());
    }
}

#[track_caller]
fn refused_text(t: &Sandbox, config: impl AsRef<[u8]>, texts: &[&str]) {
    let bundle = t.bundle();
    fs::write(bundle.path.join("config.json"), config).expect("write config.json");
    refused(t, &bundle, texts);
}

fn missing_config(t: &Sandbox) {
    refused(t, &t.bundle(), &["config.json"]);
}

fn missing_bundle(t: &Sandbox) {
    t.runtime(&["create", "--bundle", "/no/such/bundle", &t.new_id()])
        .output()
        .refused_with(&["/no/such/bundle"]);
}

fn empty_config(t: &Sandbox) {
    refused_text(t, "", &["config.json"]);
}

fn truncated_config(t: &Sandbox) {
    let whole = t.bundle().config.to_string();
    for length in [1, 20, whole.len() / 2, whole.len() - 1] {
        refused_text(t, &whole[..length], &["config.json"]);
    }
}

fn config_of_100_megabytes(t: &Sandbox) {
    let mut text = t.bundle().args(&["/bin/true"]).config.to_string();
    text.push_str(&" ".repeat(100 << 20));
    refused_text(t, text, &["config.json"]);
}

fn config_with_a_huge_string(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/annotations", json!({"big": "x".repeat(100 << 20)}));
    refused_text(t, bundle.config.to_string(), &["config.json"]);
}

fn deeply_nested_config(t: &Sandbox) {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let nested = format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
        refused_text(
            t,
            format!("{{\"ociVersion\": \"1.0.2\", \"process\": {nested}}}"),
            &[],
        );
    }
}

fn config_that_is_no_object(t: &Sandbox) {
    for text in ["[]", "null", "5", "\"text\"", "true"] {
        refused_text(t, text, &[]);
    }
}

fn config_that_is_a_directory(t: &Sandbox) {
    let bundle = t.bundle();
    fs::create_dir(bundle.path.join("config.json")).expect("create a directory");
    refused(t, &bundle, &["config.json"]);
}

fn config_that_is_not_utf8(t: &Sandbox) {
    let mut text = t
        .bundle()
        .set("/hostname", json!("XX"))
        .config
        .to_string()
        .into_bytes();
    let place = text
        .windows(4)
        .position(|part| part == b"\"XX\"")
        .expect("the host name is there");
    text[place + 1] = 0xff;
    refused_text(t, text, &["config.json"]);
}

fn config_with_trailing_text(t: &Sandbox) {
    let text = format!("{} x", t.bundle().config);
    refused_text(t, text, &["config.json"]);
}

fn missing_rootfs(t: &Sandbox) {
    let bundle = t.bundle();
    fs::rename(bundle.rootfs(), bundle.path.join("elsewhere")).expect("move the root file system");
    refused(t, bundle.write(), &["rootfs"]);
}

fn rootfs_that_is_a_file(t: &Sandbox) {
    let bundle = t.bundle().set("/root/path", json!("file"));
    fs::write(bundle.path.join("file"), "").expect("write a file");
    refused(t, bundle.write(), &["file"]);
}

fn rootfs_that_is_a_symlink_loop(t: &Sandbox) {
    let bundle = t.bundle().set("/root/path", json!("loop"));
    std::os::unix::fs::symlink("loop", bundle.path.join("loop")).expect("link");
    refused(t, bundle.write(), &["loop"]);
}

fn unknown_fields_are_fine(t: &Sandbox) {
    let bundle = t
        .bundle()
        .set("/future", json!({"a": [1]}))
        .set("/linux/future", json!(true))
        .set("/process/future", json!("x"));
    let bundle = bundle
        .set("/windows", json!({"layerFolders": []}))
        .set("/solaris", json!({}))
        .set("/vm", json!({}));
    assert_eq!(t.sh(bundle, "echo fine"), "fine");
}
