//! A disk that is full in the middle: a clear error, nothing half visible, and the same command works with more space.

use crate::support::runtime;
use crate::support::{ImageMaker, Sandbox, cases};

cases![
    a_pull_and_run_on_a_disk_of_every_size,
    a_commit_on_a_full_disk
];

/// Runs a script with a tmpfs of that many KiB as the store, in a mount namespace of its own.
fn with_small_store(t: &Sandbox, kib: u32, script: &str) -> crate::support::Output {
    let store = t.path.join("store");
    std::fs::create_dir_all(&store).expect("mkdir");
    let runtime = runtime::path();
    let prologue = format!(
        "mount -t tmpfs -o size={kib}k,mode=700 none {store} || exit 99; L='{runtime} --root {root}'; \
         export CRUN_LITE_STORE={store}; more() {{ mount -o remount,size=64m {store}; }}\n",
        store = store.display(),
        runtime = runtime.display(),
        root = t.root().display(),
    );
    t.program(&["unshare", "-m", "sh", "-c", &(prologue + script)])
        .output()
}

fn a_pull_and_run_on_a_disk_of_every_size(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let mut failures = 0;
    for kib in [
        16, 64, 200, 600, 1000, 1200, 1500, 2000, 2600, 3200, 3600, 4200,
    ] {
        let script = format!(
            "if $L run -q --image {image} true; then echo worked; else \
               test -z \"$(ls $CRUN_LITE_STORE/overlay/layers/sha256 $CRUN_LITE_STORE/overlay/snapshots 2>/dev/null | grep -v :)\" \
                 || echo half; \
               more; $L run -q --image {image} echo works now; fi; $L image prune -a >/dev/null; ls $CRUN_LITE_STORE/overlay/layers/sha256"
        );
        let output = with_small_store(t, kib, &script);
        let said = output.stdout.trim();
        match said {
            "worked" => assert_eq!(output.stderr, "", "{kib} KiB"),
            "works now" => {
                failures += 1;
                assert!(is_clear(&output.stderr), "{kib} KiB: {output}");
            }
            _ => panic!("{kib} KiB: {output}"),
        }
        assert_eq!(t.state_entries(), Vec::<String>::new(), "{kib} KiB");
    }
    assert!(failures > 5, "only {failures} sizes were too small");
}

fn a_commit_on_a_full_disk(t: &Sandbox) {
    let image = ImageMaker::busybox(t).write();
    let id = t.new_id();
    let script = format!(
        "$L run -q --image {image} --name {id} --keep -- sh -c 'head -c 1500000 /dev/urandom > /data' || exit 1; \
         $L image commit {id} x:1 && exit 2; $L image ls -q | grep -c x:1; ls $CRUN_LITE_STORE/ingest $CRUN_LITE_STORE/leases; \
         more; $L image commit {id} x:1 > /dev/null || exit 3; $L delete {id}; \
         $L run --image x:1 -- sh -c 'wc -c < /data'"
    );
    let output = with_small_store(t, 5300, &script);
    assert!(is_clear(&output.stderr), "{output}");
    assert!(
        output.stdout.trim().starts_with('0') && output.stdout.trim().ends_with("1500000"),
        "{output}"
    );
}

fn is_clear(message: &str) -> bool {
    message.contains("no space left") || message.contains("ENOSPC")
}
