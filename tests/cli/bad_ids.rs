//! Ids that aren't ones: refused by every command with one sentence, and nothing left.

use crate::support::{Container, Sandbox, cases};

cases![
    create_refuses_them,
    run_refuses_them,
    every_command_refuses_them,
    accepts_every_allowed_character,
    takes_a_long_id
];

fn bad_ids() -> Vec<String> {
    let mut ids: Vec<String> = [
        "", ".", "..", "a/b", "/", "../up", "a b", "a\nb", "ü", "a:b", "$(id)", "a\\b",
    ]
    .map(str::to_owned)
    .to_vec();
    ids.push("x".repeat(1025));
    ids
}

fn listing(t: &Sandbox) -> Vec<String> {
    let names = std::fs::read_dir(&t.path)
        .expect("list the sandbox")
        .flatten();
    let mut names: Vec<String> = names
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn create_refuses_them(t: &Sandbox) {
    let bundle = t.bundle().idle();
    bundle.write();
    std::fs::create_dir(t.root()).expect("create --root");
    let before = listing(t);
    for id in bad_ids() {
        Container::named(t, &bundle, id.clone())
            .create(&[])
            .refused_with(&["id"]);
        assert_eq!(listing(t), before, "after {id:?}");
        assert_eq!(
            std::fs::read_dir(t.root()).expect("list --root").count(),
            0,
            "after {id:?}"
        );
    }
    assert_eq!(t.traces(), Vec::<String>::new());
}

fn run_refuses_them(t: &Sandbox) {
    let bundle = t.bundle().args(&["/bin/true"]);
    bundle.write();
    std::fs::create_dir(t.root()).expect("create --root");
    for id in bad_ids() {
        t.runtime(&["run", "--bundle", &bundle.path.to_string_lossy(), &id])
            .output()
            .refused_with(&["id"]);
        assert_eq!(
            std::fs::read_dir(t.root()).expect("list --root").count(),
            0,
            "after {id:?}"
        );
    }
}

fn every_command_refuses_them(t: &Sandbox) {
    std::fs::create_dir(t.root()).expect("create --root");
    std::fs::create_dir(t.path.join("up")).expect("create a directory beside --root");
    for command in ["state", "start", "kill", "delete", "pause", "resume", "ps"] {
        for id in bad_ids() {
            t.runtime(&[command, &id]).output().fails();
        }
    }
    assert!(t.path.join("up").exists());
}

fn accepts_every_allowed_character(t: &Sandbox) {
    let id = format!("{}-aZ9_+.-b", t.tag);
    let container = Container::named(t, &t.bundle().idle(), id);
    container.create(&[]).ok();
    assert_eq!(container.status(), "created");
}

/// A file name of 255 bytes is the most that the state directory can be.
fn takes_a_long_id(t: &Sandbox) {
    let id = format!("{}{}", t.tag, "y".repeat(200 - t.tag.len()));
    let container = Container::named(t, &t.bundle().idle(), id);
    container.create(&[]).ok();
    container.start().ok();
    container.delete(&["--force"]).ok();
}
