//! SPEC(config.md): the version, the root, names, annotations, hooks and mounts.

use super::{Findings, Subject, id_ranges};
use oci::runtime::{Hook, VERSION};

/// SPEC(config.md#specification-version)
pub(super) fn version(subject: &Subject<'_>, findings: &mut Findings) {
    let at = "ociVersion";
    let version = subject.spec.version.as_str();
    match major(version) {
        _ if version.is_empty() => findings.refuse(at, "is required"),
        None => findings.refuse(
            at,
            format_args!("{version:?} is no version such as {VERSION}"),
        ),
        Some(1) => {}
        Some(_) => {
            let problem =
                format!("{version:?} is not supported: this runtime knows 1.0.0 to {VERSION}");
            findings.refuse(at, problem);
        }
    }
}

/// The first number of a semantic version, `None` where it is none.
fn major(version: &str) -> Option<u64> {
    let (version, build) = version
        .split_once('+')
        .map_or((version, None), |(version, build)| (version, Some(build)));
    let (numbers, pre) = version
        .split_once('-')
        .map_or((version, None), |(numbers, pre)| (numbers, Some(pre)));
    let word = |word: &str| {
        !word.is_empty()
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if ![pre, build]
        .into_iter()
        .flatten()
        .all(|part| part.split('.').all(word))
    {
        return None;
    }
    let number = |text: &str| match text.len() > 1 && text.starts_with('0') {
        true => None,
        false => text
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then(|| text.parse::<u64>().ok())?,
    };
    let numbers: Vec<u64> = numbers.split('.').map(number).collect::<Option<_>>()?;
    (numbers.len() == 3).then(|| numbers[0])
}

/// SPEC(config.md#root)
pub(super) fn root(subject: &Subject<'_>, findings: &mut Findings) {
    match &subject.spec.root {
        None => findings.refuse("root", "is required"),
        Some(root) if root.path.is_empty() => findings.refuse("root.path", "is required"),
        Some(_) => {}
    }
}

/// SPEC(config.md#hostname), SPEC(config.md#domainname)
pub(super) fn names(subject: &Subject<'_>, findings: &mut Findings) {
    const LONGEST: usize = 64;
    let names = [
        ("hostname", &subject.spec.hostname),
        ("domainname", &subject.spec.domainname),
    ];
    for (at, name) in names.into_iter().filter(|(_, name)| !name.is_empty()) {
        if !subject.has("uts") {
            findings.refuse(
                at,
                "needs a \"uts\" namespace: the host's name must not change",
            );
        }
        if name.len() > LONGEST {
            findings.refuse(
                at,
                format_args!("is {} bytes long, the kernel takes {LONGEST}", name.len()),
            );
        }
    }
}

/// SPEC(config.md#annotations)
pub(super) fn annotations(subject: &Subject<'_>, findings: &mut Findings) {
    if subject.spec.annotations.contains_key("") {
        findings.tolerate("annotations", "a key must not be empty");
    }
}

/// SPEC(config.md#posix-platform-hooks)
pub(super) fn hooks(subject: &Subject<'_>, findings: &mut Findings) {
    let Some(hooks) = &subject.spec.hooks else {
        return;
    };
    let kinds: [(&str, &[Hook]); 6] = [
        ("prestart", &hooks.prestart),
        ("createRuntime", &hooks.create_runtime),
        ("createContainer", &hooks.create_container),
        ("startContainer", &hooks.start_container),
        ("poststart", &hooks.poststart),
        ("poststop", &hooks.poststop),
    ];
    for (kind, hooks) in kinds {
        for (index, hook) in hooks.iter().enumerate() {
            judge_hook(format!("hooks.{kind}[{index}]"), hook, findings);
        }
    }
}

fn judge_hook(at: String, hook: &Hook, findings: &mut Findings) {
    match hook.path.as_bytes() {
        [] => findings.refuse(format_args!("{at}.path"), "is required"),
        [b'/', ..] => {}
        _ => findings.tolerate(format_args!("{at}.path"), "must be absolute"),
    }
    if let Some(seconds @ ..=0) = hook.timeout {
        findings.refuse(
            format_args!("{at}.timeout"),
            format_args!("must be greater than 0, not {seconds}"),
        );
    }
}

/// SPEC(config.md#mounts): what an entry's planning can't see, since it judges one option after the other.
pub(super) fn mounts(subject: &Subject<'_>, findings: &mut Findings) {
    for (index, mount) in subject.spec.mounts.iter().enumerate() {
        id_ranges(
            &format!("mounts[{index}].uidMappings"),
            &mount.uid_mappings,
            findings,
        );
        id_ranges(
            &format!("mounts[{index}].gidMappings"),
            &mount.gid_mappings,
            findings,
        );
        let mapped = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
        let asked = |option: &String| matches!(option.as_str(), "idmap" | "ridmap");
        if mapped && !mount.options.iter().any(asked) {
            let problem = "should hold idmap or ridmap, so that no runtime leaves the mappings out";
            findings.tolerate(format_args!("mounts[{index}].options"), problem);
        }
    }
}
