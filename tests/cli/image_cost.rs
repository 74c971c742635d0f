//! What images cost: memory however large a layer is, and of an image that shares layers only the others.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;

use crate::run_image::{command, run};
use crate::support::{ImageMaker, Sandbox, cases, runtime};

cases![
    a_large_layer_takes_less_than_64_mib,
    an_image_that_shares_layers_adds_only_its_own,
];

const LIMIT_KIB: u64 = 64 << 10;

/// Fetched, hashed, stored, inflated and unpacked: 208 MiB of noise that repeats itself.
fn a_large_layer_takes_less_than_64_mib(t: &Sandbox) {
    let noise: Vec<u8> = (0..16u32 << 10)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    let image = ImageMaker::empty(t)
        .layer(|dir| {
            let mut file = fs::File::create(dir.join("big")).expect("create");
            for _ in 0..13 << 10 {
                file.write_all(&noise).expect("write");
            }
        })
        .write();
    for snapshotter in ["overlay", "erofs"] {
        let store = t.path.join(format!("store-{snapshotter}"));
        let runtime = runtime::path();
        let words = [
            "busybox",
            "time",
            "-v",
            &runtime.to_string_lossy(),
            "image",
            "unpack",
            "-q",
            "--snapshotter",
            snapshotter,
            &image,
        ];
        let output = t
            .program(&words)
            .env("CRUN_LITE_STORE", &store)
            .output()
            .ok();
        let said = output.stderr.lines().find_map(|line| {
            let (_, kib) = line.split_once("Maximum resident set size (kbytes): ")?;
            kib.trim().parse::<u64>().ok()
        });
        let kib = said.unwrap_or_else(|| panic!("no size: {output}"));
        assert!(kib < LIMIT_KIB, "{snapshotter}: {kib} KiB");
        fs::remove_dir_all(store).expect("remove the store");
    }
}

/// Every blob and every unpacked layer, with what changes when it is written again.
fn contents(t: &Sandbox) -> BTreeMap<String, (u64, i64, i64)> {
    let below = |directory: &str| {
        let entries = fs::read_dir(t.path.join("store").join(directory)).expect("read");
        let facts = |entry: fs::DirEntry| {
            let name = format!("{directory}/{}", entry.file_name().to_string_lossy());
            let facts = entry.metadata().expect("stat");
            (name, (facts.ino(), facts.mtime(), facts.mtime_nsec()))
        };
        entries.flatten().map(facts).collect::<Vec<_>>()
    };
    let places = ["blobs/sha256", "overlay/layers/sha256"];
    places.into_iter().flat_map(below).collect()
}

fn an_image_that_shares_layers_adds_only_its_own(t: &Sandbox) {
    let parent = ImageMaker::busybox(t).write();
    let id = t.new_id();
    let change = ["sh", "-c", "echo more > /more"];
    run(
        t,
        &[
            &["--keep", "--image", &parent, "--name", &id, "--"][..],
            &change,
        ]
        .concat(),
    )
    .output()
    .ok();
    let child = format!("oci:{}", t.path.join("child").display());
    for words in [
        &["image", "commit", &id, "child:1"][..],
        &["image", "export", "child:1", &child],
        &["delete", &id],
        &["image", "rm", "child:1"],
        &["image", "prune", "--all"],
    ] {
        command(t, words).output().ok();
    }
    run(t, &["--image", &parent, "true"]).output().ok();
    let before = contents(t);
    run(t, &["--image", &child, "--", "cat", "/more"])
        .output()
        .ok();
    let after = contents(t);
    for (name, facts) in &before {
        assert_eq!(after.get(name), Some(facts), "{name} was made again");
    }
    let new: Vec<&String> = after
        .keys()
        .filter(|name| !before.contains_key(*name))
        .collect();
    let blobs = new.iter().filter(|name| name.starts_with("blobs/")).count();
    // A manifest, a configuration and a layer; the layer, unpacked.
    assert_eq!((blobs, new.len()), (3, 4), "{new:?}");
}
