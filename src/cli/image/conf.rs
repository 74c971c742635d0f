//! Finding `registries.conf`: the user's own, else the machine's, then the directory of parts.

use crate::error::{Context, Error, Result};
use oci::registry::RegistriesConf;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const MACHINE: &str = "/etc/containers";
const FILE: &str = "registries.conf";

/// What the files say that count for the caller.
pub(super) fn registries_conf() -> Result<RegistriesConf> {
    let mut conf = RegistriesConf::default();
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(named) = variable("CONTAINERS_REGISTRIES_CONF") {
        add(&mut conf, Path::new(&named))?;
        return Ok(conf);
    }
    let home = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")))
        .map(|config| config.join("containers"));
    let own = home
        .as_ref()
        .map(|home| home.join(FILE))
        .filter(|file| file.exists());
    add(
        &mut conf,
        &own.unwrap_or_else(|| Path::new(MACHINE).join(FILE)),
    )?;
    let directories = [Some(PathBuf::from(MACHINE)), home];
    for directory in directories.into_iter().flatten() {
        for part in parts(&directory.join("registries.conf.d")) {
            add(&mut conf, &part)?;
        }
    }
    Ok(conf)
}

/// `*.conf`, in the order of their names.
fn parts(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "conf")
    });
    files.sort();
    files
}

/// A file that is missing says nothing.
fn add(conf: &mut RegistriesConf, file: &Path) -> Result<()> {
    let text = match fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text.context(format_args!("read {}", file.display()))?,
    };
    conf.add(&text)
        .map_err(|error| Error::from(error).context(file.display()))
}
