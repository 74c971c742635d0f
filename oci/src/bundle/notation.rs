//! The strings of `run`'s options as people know them from Docker: volumes, mounts, sizes, limits, devices.
//!
//! Pure text to data; whether a path exists is for whoever mounts it.

use super::options::{SeccompChoice, Security};
use crate::error::{Context, Error, Kind, Result};
use crate::runtime::{Mount, Rlimit};

fn refuse<T>(what: &str, text: &str, why: &str) -> Result<T> {
    Err(Error::new(Kind::Invalid, format!("{what} {text:?}: {why}")))
}

fn mount(destination: &str, kind: &str, source: &str, options: Vec<String>) -> Mount {
    Mount {
        destination: super::absolute(destination),
        source: source.to_owned(),
        kind: kind.to_owned(),
        options,
        ..Mount::default()
    }
}

/// `-v SOURCE:DESTINATION[:OPTIONS]`.
pub fn volume(text: &str) -> Result<Mount> {
    let mut parts = text.split(':');
    let (source, destination, options) =
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(source), Some(destination), options, None) => {
                (source, destination, options.unwrap_or(""))
            }
            _ => return refuse("volume", text, "no SOURCE:DESTINATION[:OPTIONS]"),
        };
    if !source.starts_with('/') {
        return refuse("volume", text, "the source is no absolute path").map_err(|error: Error| {
            error.hint("there are no named volumes; give a directory of the host")
        });
    }
    if !destination.starts_with('/') {
        return refuse("volume", text, "the destination is no absolute path");
    }
    let mut all = vec!["rbind".to_owned()];
    let mut propagation = "rprivate";
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "ro" | "rw" | "nosuid" | "suid" | "nodev" | "dev" | "noexec" | "exec" | "idmap" => {
                all.push(option.into())
            }
            "bind" => all[0] = "bind".into(),
            "shared" | "slave" | "private" | "rshared" | "rslave" | "rprivate" => {
                propagation = option
            }
            // Labels and caches of other hosts.
            "z" | "Z" | "rbind" | "cached" | "delegated" | "consistent" | "U" => {}
            _ => return refuse("volume", text, &format!("unknown option {option:?}")),
        }
    }
    all.push(propagation.into());
    Ok(mount(destination, "bind", source, all))
}

/// `--mount type=bind,source=…,destination=…[,ro]`, `type=tmpfs`.
pub fn mount_option(text: &str) -> Result<Mount> {
    let (mut kind, mut source, mut destination, mut options) = ("bind", "", "", Vec::new());
    let (mut recursive, mut propagation) = (true, "rprivate");
    for field in text.split(',') {
        let (key, value) = field.split_once('=').unwrap_or((field, ""));
        let is_true = matches!(value, "" | "true" | "1");
        match key {
            "type" => kind = value,
            "source" | "src" => source = value,
            "destination" | "dst" | "target" => destination = value,
            "readonly" | "ro" => options.extend(is_true.then(|| "ro".to_owned())),
            "bind-propagation" => propagation = value,
            "bind-nonrecursive" => recursive = !is_true,
            "tmpfs-size" => options.push(format!("size={}", bytes(value)?)),
            "tmpfs-mode" => options.push(format!("mode={value}")),
            "idmap" => options.push("idmap".into()),
            "consistency" => {}
            _ => return refuse("mount", text, &format!("unknown field {key:?}")),
        }
    }
    if !destination.starts_with('/') {
        return refuse("mount", text, "the destination is no absolute path");
    }
    match kind {
        "bind" if source.starts_with('/') => {
            options.insert(
                0,
                if recursive {
                    "rbind".into()
                } else {
                    "bind".into()
                },
            );
            options.push(propagation.to_owned());
            Ok(mount(destination, "bind", source, options))
        }
        "bind" => refuse("mount", text, "the source is no absolute path"),
        "tmpfs" => {
            options.splice(0..0, TMPFS.map(str::to_owned));
            Ok(mount(destination, "tmpfs", "tmpfs", options))
        }
        _ => refuse("mount", text, "the type is neither bind nor tmpfs"),
    }
}

const TMPFS: [&str; 3] = ["noexec", "nosuid", "nodev"];

/// `--tmpfs DESTINATION[:OPTIONS]`.
pub fn tmpfs(text: &str) -> Result<Mount> {
    let (destination, options) = text.split_once(':').unwrap_or((text, ""));
    if !destination.starts_with('/') {
        return refuse("tmpfs", text, "the destination is no absolute path");
    }
    let given = options
        .split(',')
        .filter(|option| !option.is_empty())
        .map(str::to_owned);
    Ok(mount(
        destination,
        "tmpfs",
        "tmpfs",
        TMPFS.map(str::to_owned).into_iter().chain(given).collect(),
    ))
}

/// `512`, `64k`, `1.5g`: powers of 1024. `-1` is unlimited.
pub fn bytes(text: &str) -> Result<i64> {
    if text == "-1" {
        return Ok(-1);
    }
    let lower = text.to_ascii_lowercase();
    let bare = lower.trim_end_matches("ib").trim_end_matches('b');
    let (number, shift) = match bare.chars().last() {
        Some('k') => (&bare[..bare.len() - 1], 10),
        Some('m') => (&bare[..bare.len() - 1], 20),
        Some('g') => (&bare[..bare.len() - 1], 30),
        Some('t') => (&bare[..bare.len() - 1], 40),
        _ => (bare, 0),
    };
    let exact = number
        .parse::<i64>()
        .ok()
        .and_then(|n| n.checked_mul(1 << shift));
    let value = exact.or_else(|| {
        let fraction: f64 = number.parse().ok()?;
        let value = fraction * (1u64 << shift) as f64;
        (value.is_finite() && value < 9e18).then_some(value as i64)
    });
    match value.filter(|value| *value >= 0) {
        Some(value) => Ok(value),
        None => refuse("size", text, "no number of bytes such as 512m"),
    }
}

/// `--cpus 1.5`, in thousandths.
pub fn cpus(text: &str) -> Result<u64> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && (0.01..=100_000.0).contains(&number) => {
            Ok((number * 1000.0).round() as u64)
        }
        _ => refuse("cpus", text, "no number of processors such as 1.5"),
    }
}

/// `--ulimit NAME=SOFT[:HARD]`.
pub fn ulimit(text: &str) -> Result<Rlimit> {
    const NAMES: [&str; 16] = [
        "as",
        "core",
        "cpu",
        "data",
        "fsize",
        "locks",
        "memlock",
        "msgqueue",
        "nice",
        "nofile",
        "nproc",
        "rss",
        "rtprio",
        "rttime",
        "sigpending",
        "stack",
    ];
    let Some((name, values)) = text.split_once('=') else {
        return refuse("ulimit", text, "no NAME=SOFT[:HARD]");
    };
    let bare = name.to_ascii_lowercase();
    let bare = bare.strip_prefix("rlimit_").unwrap_or(&bare);
    if !NAMES.contains(&bare) {
        return refuse("ulimit", text, "there is no such limit");
    }
    let number = |word: &str| match word {
        "-1" | "unlimited" => Some(u64::MAX),
        _ => word.parse().ok(),
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    match (number(soft), number(hard)) {
        (Some(soft), Some(hard)) if soft <= hard => Ok(Rlimit {
            kind: format!("RLIMIT_{}", bare.to_ascii_uppercase()),
            hard,
            soft,
        }),
        (Some(_), Some(_)) => refuse("ulimit", text, "the soft limit is above the hard one"),
        _ => refuse("ulimit", text, "no number"),
    }
}

/// A device of the host: where it is there, where it is inside, and of `r`, `w`, `m`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePath {
    /// On the host.
    pub source: String,
    /// In the container.
    pub destination: String,
    /// Of `r`, `w`, `m`.
    pub access: String,
}

/// `--device SOURCE[:DESTINATION][:ACCESS]`.
pub fn device(text: &str) -> Result<DevicePath> {
    let is_access =
        |word: &str| !word.is_empty() && word.bytes().all(|byte| b"rwm".contains(&byte));
    let parts: Vec<&str> = text.split(':').collect();
    let (source, destination, access) = match parts[..] {
        [source] => (source, source, "rwm"),
        [source, access] if is_access(access) => (source, source, access),
        [source, destination] => (source, destination, "rwm"),
        [source, destination, access] if is_access(access) => (source, destination, access),
        _ => ("", "", ""),
    };
    if !source.starts_with('/') || !destination.starts_with('/') {
        return refuse(
            "device",
            text,
            "no SOURCE[:DESTINATION][:ACCESS] with absolute paths",
        );
    }
    Ok(DevicePath {
        source: source.to_owned(),
        destination: super::absolute(destination),
        access: access.to_owned(),
    })
}

/// One `--security-opt`. `read` reads a seccomp profile's file.
pub fn security_opt(
    text: &str,
    security: &mut Security,
    read: impl FnOnce(&str) -> Result<Vec<u8>>,
) -> Result<()> {
    let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
    match (key, value) {
        ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
        ("no-new-privileges", "false") => security.no_new_privileges = false,
        ("seccomp", "unconfined") => security.seccomp = SeccompChoice::Unconfined,
        ("seccomp", "builtin") => security.seccomp = SeccompChoice::Default,
        ("seccomp", path) if !path.is_empty() => {
            let profile = super::Profile::parse(&read(path)?).context(path)?;
            security.seccomp = SeccompChoice::Profile(Box::new(profile));
        }
        ("apparmor", "unconfined") => security.apparmor.clear(),
        ("apparmor", profile) if !profile.is_empty() => security.apparmor = profile.to_owned(),
        ("label", "disable") => security.selinux_label.clear(),
        ("unmask", paths) if !paths.is_empty() => {
            security.unmask.extend(paths.split(':').map(str::to_owned))
        }
        ("systempaths", "unconfined") => security.unmask.push("ALL".into()),
        _ => return refuse("security option", text, "there is no such option"),
    }
    Ok(())
}
