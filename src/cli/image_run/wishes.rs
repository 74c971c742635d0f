//! From the words of the command line to [`RunOptions`]. What a word means is `oci::bundle::notation`'s to say; what the
//! host must be asked (a device's numbers, a variable's value) is asked here.

use crate::cli::argument::{is_set, number, text, texts};
use crate::container::Id;
use crate::container::image::own_maps;
use crate::error::{Context, Error, Result};
use clap::ArgMatches;
use oci::bundle::{HostDevice, Limits, Network, RunOptions, Security, notation};
use oci::runtime::{Device, IdMapping, Mount};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

/// The longest host name that Linux takes, in bytes.
const MAX_HOSTNAME_BYTES: usize = 64;

/// Everything that was said about the container.
pub fn run_options(matches: &ArgMatches, id: &Id) -> Result<RunOptions> {
    let network = network(matches)?;
    let is_rootless = !crate::container::image::is_machine_root();
    let (uids, gids) = id_maps(matches, is_rootless)?;
    let defaults = RunOptions::default();
    Ok(RunOptions {
        command: command(matches)?,
        entrypoint: entrypoint(matches)?,
        env: environment(matches)?,
        workdir: text(matches, "workdir")?,
        user: text(matches, "user")?,
        groups: texts(matches, "group-add")?,
        hostname: hostname(matches, id, &network)?,
        mounts: mounts(matches)?,
        devices: texts(matches, "device")?
            .iter()
            .map(|text| device(text))
            .collect::<Result<_>>()?,
        read_only: is_set(matches, "read-only"),
        cap_add: texts(matches, "cap-add")?,
        cap_drop: texts(matches, "cap-drop")?,
        limits: limits(matches)?,
        network,
        terminal: is_set(matches, "tty"),
        rlimits: texts(matches, "ulimit")?
            .iter()
            .map(|text| notation::ulimit(text).map_err(Error::from))
            .collect::<Result<_>>()?,
        annotations: pairs(matches, "annotation")?,
        sysctls: pairs(matches, "sysctl")?,
        security: security(matches)?,
        uid_mappings: uids,
        gid_mappings: gids,
        is_rootless,
        shm_bytes: match bytes(matches, "shm-size")? {
            Some(size) => u64::try_from(size).unwrap_or_default(),
            None => defaults.shm_bytes,
        },
        ..defaults
    })
}

fn command(matches: &ArgMatches) -> Result<Vec<String>> {
    let words = matches.get_many::<OsString>("command").unwrap_or_default();
    words
        .map(|word| match word.to_str() {
            Some(word) => Ok(word.to_owned()),
            None => Err(Error::new(format!("{word:?} is not UTF-8"))),
        })
        .collect()
}

/// An empty one is a wish too: no entrypoint.
fn entrypoint(matches: &ArgMatches) -> Result<Option<Vec<String>>> {
    match matches.try_get_one::<OsString>("entrypoint").ok().flatten() {
        None => Ok(None),
        Some(word) if word.is_empty() => Ok(Some(Vec::new())),
        Some(_) => Ok(text(matches, "entrypoint")?.map(|program| vec![program])),
    }
}

/// The files' first, then the options'. A name without a value has the caller's, or is left out.
fn environment(matches: &ArgMatches) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in texts(matches, "env-file")? {
        let lines = std::fs::read_to_string(&file).context(format_args!("--env-file {file}"))?;
        let named = lines.lines().map(str::trim_start);
        all.extend(
            named
                .filter(|line| !line.is_empty() && !line.starts_with('#'))
                .map(str::to_owned),
        );
    }
    all.extend(texts(matches, "env")?);
    let value = |entry: String| match entry.contains('=') {
        true => Some(entry),
        false => std::env::var(&entry)
            .ok()
            .map(|value| format!("{entry}={value}")),
    };
    Ok(all.into_iter().filter_map(value).collect())
}

fn network(matches: &ArgMatches) -> Result<Network> {
    match text(matches, "network")? {
        None => Ok(Network::None),
        Some(word) if word == "none" => Ok(Network::None),
        Some(word) if word == "host" => Ok(Network::Host),
        Some(path) if path.starts_with('/') => Ok(Network::Path(path)),
        Some(other) => Err(Error::new(format!(
            "--network: unknown value {other:?}, want host, none or the path of a network namespace"
        ))),
    }
}

fn hostname(matches: &ArgMatches, id: &Id, network: &Network) -> Result<String> {
    if let Some(name) = text(matches, "hostname")? {
        return Ok(name);
    }
    if *network == Network::Host {
        let name = nix::unistd::gethostname().context("gethostname")?;
        return Ok(name.to_string_lossy().into_owned());
    }
    let id = id.as_str();
    Ok(id[..id.len().min(MAX_HOSTNAME_BYTES)].to_owned())
}

/// In the order of kinds; a later one of the same place covers an earlier one.
fn mounts(matches: &ArgMatches) -> Result<Vec<Mount>> {
    type Read = fn(&str) -> oci::Result<Mount>;
    let kinds: [(&str, Read); 3] = [
        ("volume", notation::volume),
        ("mount", notation::mount_option),
        ("tmpfs", notation::tmpfs),
    ];
    let mut mounts = Vec::new();
    for (name, read) in kinds {
        for text in texts(matches, name)? {
            let mount = read(&text)?;
            if mount.kind == "bind" && name == "volume" {
                make_source(&mount.source)?;
            }
            mounts.push(mount);
        }
    }
    Ok(mounts)
}

/// COMPAT(docker): a volume's missing source is made, a mount's is an error.
fn make_source(source: &str) -> Result<()> {
    match std::fs::symlink_metadata(source) {
        Ok(_) => Ok(()),
        Err(_) => std::fs::create_dir_all(source).context(format_args!("--volume: mkdir {source}")),
    }
}

fn device(text: &str) -> Result<HostDevice> {
    let wanted = notation::device(text)?;
    let metadata = std::fs::metadata(&wanted.source)
        .context(format_args!("--device {text}: stat {}", wanted.source))?;
    let kind = match metadata.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => {
            return Err(Error::new(format!(
                "--device {text}: {} is no device",
                wanted.source
            )));
        }
    };
    Ok(HostDevice {
        device: Device {
            kind: kind.into(),
            path: wanted.destination,
            major: nix::sys::stat::major(metadata.rdev()) as i64,
            minor: nix::sys::stat::minor(metadata.rdev()) as i64,
            file_mode: Some(metadata.mode() & 0o777),
            uid: Some(metadata.uid()),
            gid: Some(metadata.gid()),
        },
        access: wanted.access,
    })
}

fn bytes(matches: &ArgMatches, name: &str) -> Result<Option<i64>> {
    let size = text(matches, name)?.map(|text| notation::bytes(&text).map_err(Error::from));
    size.transpose().context(format_args!("--{name}"))
}

fn limits(matches: &ArgMatches) -> Result<Limits> {
    Ok(Limits {
        memory_bytes: bytes(matches, "memory")?,
        memory_swap_bytes: bytes(matches, "memory-swap")?,
        cpus_thousandths: text(matches, "cpus")?
            .map(|text| notation::cpus(&text))
            .transpose()?,
        cpu_shares: number(matches, "cpu-shares")?,
        cpuset_cpus: text(matches, "cpuset-cpus")?.unwrap_or_default(),
        cpuset_mems: text(matches, "cpuset-mems")?.unwrap_or_default(),
        pids: number(matches, "pids-limit")?,
    })
}

/// Who is not root gets a user namespace in which it is, with the ids it has.
fn id_maps(matches: &ArgMatches, is_rootless: bool) -> Result<(Vec<IdMapping>, Vec<IdMapping>)> {
    let uids: Vec<IdMapping> = id_ranges(matches, "uidmap")?;
    let gids: Vec<IdMapping> = id_ranges(matches, "gidmap")?;
    match (uids.is_empty(), gids.is_empty()) {
        (true, true) if is_rootless => Ok(own_maps()),
        (true, true) => Ok((Vec::new(), Vec::new())),
        (false, true) => Ok((uids.clone(), uids)),
        (false, false) => Ok((uids, gids)),
        (true, false) => Err(Error::new("--gidmap: want --uidmap too")),
    }
}

fn id_ranges(matches: &ArgMatches, name: &str) -> Result<Vec<IdMapping>> {
    let words = texts(matches, name)?;
    words.iter().map(|text| id_map(name, text)).collect()
}

fn id_map(name: &str, text: &str) -> Result<IdMapping> {
    let numbers: Option<Vec<u32>> = text.split(':').map(|word| word.parse().ok()).collect();
    match numbers.as_deref() {
        Some([container_id, host_id, size]) if *size > 0 => Ok(IdMapping {
            container_id: *container_id,
            host_id: *host_id,
            size: *size,
        }),
        _ => Err(Error::new(format!(
            "--{name} {text:?}: want INSIDE:OUTSIDE:SIZE"
        ))),
    }
}

fn pairs(matches: &ArgMatches, name: &str) -> Result<BTreeMap<String, String>> {
    let pair = |text: String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err(Error::new(format!("--{name} {text:?}: want NAME=VALUE"))),
    };
    texts(matches, name)?.into_iter().map(pair).collect()
}

fn security(matches: &ArgMatches) -> Result<Security> {
    let mut security = Security::default();
    for text in texts(matches, "security-opt")? {
        let read = |file: &str| {
            std::fs::read(file).map_err(|error| {
                oci::Error::new(oci::Kind::Invalid, format!("read {file}: {error}"))
            })
        };
        notation::security_opt(&text, &mut security, read)?;
    }
    Ok(security)
}
