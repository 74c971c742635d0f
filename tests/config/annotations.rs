//! crun's annotations that change how a container is made.

use crate::support::listeners::FdListener;
use crate::support::{Sandbox, Value, cases, json, sandbox};

cases![
    pidfd_receiver,
    seccomp_receiver,
    unknown_system_calls_fail_when_told,
    ready_made_filter,
    hooks_write_to_files,
    hook_files_must_open
];

fn pidfd_receiver(t: &Sandbox) {
    let listener = FdListener::at(&t.new_path("pidfd"));
    let path = listener.path.to_string_lossy();
    let bundle = t
        .bundle()
        .idle()
        .set("/annotations", json!({"run.oci.pidfd_receiver": path}));
    let container = t.create(&bundle);
    let pidfd = listener.take_fd();
    let number = std::os::fd::AsRawFd::as_raw_fd(&pidfd);
    let fdinfo = sandbox::read(format!("/proc/self/fdinfo/{number}"));
    let line = format!("Pid:\t{}\n", container.pid());
    assert!(fdinfo.contains(&line), "{fdinfo}");
}

fn seccomp_receiver(t: &Sandbox) {
    let listener = FdListener::at(&t.new_path("agent"));
    let path = listener.path.to_string_lossy();
    let rule = json!({"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    let bundle = t
        .bundle()
        .idle()
        .set("/linux/seccomp", profile)
        .set("/annotations", json!({"run.oci.seccomp.receiver": path}));
    let container = t.create(&bundle);
    let (text, fds) = listener.take_text();
    let state: Value = serde_json::from_str(&text).expect("the agent gets JSON");
    assert_eq!((&state["pid"], fds.len()), (&json!(container.pid()), 1));
}

fn unknown_system_calls_fail_when_told(t: &Sandbox) {
    let rule = json!({"names": ["no_such_call"], "action": "SCMP_ACT_ERRNO"});
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    let bundle = t
        .bundle()
        .args(&["/bin/true"])
        .set("/linux/seccomp", profile);
    t.run(&bundle).ok();
    let told = json!({"run.oci.seccomp_fail_unknown_syscall": "1"});
    t.run(&bundle.set("/annotations", told))
        .refused_with(&["no_such_call"]);
}

/// `ld [0]; jeq #83 (mkdir), kill it with errno 28, else allow` for x86-64.
fn mkdir_filter() -> String {
    let instructions: [(u16, u8, u8, u32); 4] = [
        (0x20, 0, 0, 0),
        (0x15, 0, 1, 83),
        (0x06, 0, 0, 0x0005_0000 | 28),
        (0x06, 0, 0, 0x7fff_0000),
    ];
    let bytes: Vec<u8> = instructions
        .iter()
        .flat_map(|(code, jt, jf, k)| {
            [&code.to_ne_bytes()[..], &[*jt, *jf], &k.to_ne_bytes()].concat()
        })
        .collect();
    base64(&bytes)
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, at| {
            word << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
        });
        for digit in 0..4 {
            let index = (word >> (18 - 6 * digit)) & 63;
            text.push(match digit <= chunk.len() {
                true => char::from(DIGITS[index as usize]),
                false => '=',
            });
        }
    }
    text
}

fn ready_made_filter(t: &Sandbox) {
    if std::env::consts::ARCH != "x86_64" {
        crate::support::skip("the filter is x86-64's");
    }
    let annotation = |text: &str| json!({"run.oci.seccomp_bpf_data": text});
    let bundle = t.bundle().writable();
    let output = t.run(
        &bundle
            .clone()
            .set("/annotations", annotation(&mkdir_filter()))
            .shell("mkdir /tmp/x"),
    );
    let seen = output.fails().stderr;
    assert!(seen.contains("No space left on device"), "{seen}");
    for bad in ["AAAA", "not base64!", ""] {
        let bundle = bundle.clone().set("/annotations", annotation(bad));
        t.run(&bundle.args(&["/bin/true"]))
            .refused_with(&["seccomp_bpf_data"]);
    }
}

fn hooks_write_to_files(t: &Sandbox) {
    let (out, err) = (t.new_path("out"), t.new_path("err"));
    let annotations = json!({
        "run.oci.hooks.stdout": out.to_string_lossy(),
        "run.oci.hooks.stderr": err.to_string_lossy(),
    });
    let hook = |kind: &str| {
        let script = format!("echo {kind}; echo {kind} failed >&2");
        json!({"path": "/bin/busybox", "args": ["sh", "-c", script]})
    };
    let kinds = [
        "createRuntime",
        "createContainer",
        "startContainer",
        "poststart",
        "poststop",
    ];
    let bundle = kinds
        .iter()
        .fold(t.bundle(), |bundle, kind| bundle.hook(kind, hook(kind)));
    t.run(&bundle.set("/annotations", annotations).args(&["/bin/true"]))
        .silent();
    assert_eq!(sandbox::read(&out), kinds.join("\n") + "\n");
    assert_eq!(sandbox::read(&err), kinds.join(" failed\n") + " failed\n");
}

fn hook_files_must_open(t: &Sandbox) {
    let annotations = json!({"run.oci.hooks.stdout": "/no/such/directory/file"});
    let bundle = t.bundle().set("/annotations", annotations);
    t.run(&bundle.args(&["/bin/true"]))
        .refused_with(&["run.oci.hooks.stdout", "/no/such/directory/file"]);
}
