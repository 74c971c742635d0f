//! `image pull`: an image from a registry into the store.

use super::credential;
use super::progress::Reporter;
use super::store;
use super::unpacking::max_layer_bytes;
use crate::cli::ExitCode;
use crate::cli::argument::{path, positional, text, texts};
use crate::cli::offer::{Offer, with_all};
use crate::container::Globals;
use crate::error::{Error, Result};
use clap::{Arg, ArgMatches, Command};
use oci::platform::Platform;
use oci::reference::{self, Location};
use oci::registry::{self, Credential, Options};
use oci::transfer::{self, StoreOnly};

pub fn command() -> Command {
    let command = Command::new("pull")
        .about("fetch an image from a registry")
        .arg(
            Arg::new("image")
                .value_name("IMAGE")
                .help("such as busybox, quay.io/org/name:tag or docker://registry/name@digest")
                .required(true),
        );
    with_all(command, &[REGISTRY, TRANSFER])
}

/// How registries are spoken to.
pub(in crate::cli) const REGISTRY: &[Offer] = &[
    Offer::option("creds", "USER:PASSWORD", "credentials of the registry"),
    Offer::option(
        "authfile",
        "FILE",
        "file of credentials, as Docker and Podman write it",
    ),
    Offer::options("mirror", "[REGISTRY=]URL", "ask there first; repeatable"),
    Offer::switch(
        "tls-verify",
        "verify certificates; =false also allows plain HTTP",
    ),
];

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let word = positional(matches, "image").unwrap_or_default();
    let reference = match word.parse()? {
        Location::Registry(reference) => reference,
        Location::Name(name) => reference::parse(&name)?,
        _ => return super::import::run_with(matches, &word, None),
    };
    let store = store(matches)?;
    let reporter = Reporter::new(matches)?;
    let stored = registry::pull(
        &store,
        &reference,
        &registry_options(matches)?,
        &transfer_options(matches)?,
        &StoreOnly,
        &reporter,
    );
    let stored = reporter.finish(stored)?;
    reporter.done(&reference::store_name(&reference), &stored)?;
    Ok(ExitCode::SUCCESS)
}

/// What `pull` and `import` have in common.
pub(in crate::cli) const TRANSFER: &[Offer] = &[
    Offer::option("platform", "OS/ARCH[/VARIANT]", "which image of several"),
    Offer::option("jobs", "N", "layers at once"),
    Offer::option(
        "max-layer-size",
        "BYTES",
        "refuse a larger layer, packed or unpacked (default: 256g unpacked)",
    ),
    Offer::option("progress", "HOW", "auto, plain, json or none"),
    Offer::flag("quiet", "print the digest only").short('q'),
];

pub(in crate::cli) fn transfer_options(matches: &ArgMatches) -> Result<transfer::Options> {
    let mut how = transfer::Options::default();
    if let Some(platform) = text(matches, "platform")? {
        how.platform = platform.parse::<Platform>()?;
    }
    if let Some(jobs) = text(matches, "jobs")? {
        let number = jobs.parse().ok().filter(|jobs| (1..=64).contains(jobs));
        how.jobs = number
            .ok_or_else(|| Error::new(format!("--jobs {jobs}: want a number from 1 to 64")))?;
    }
    if let Some(bytes) = max_layer_bytes(matches)? {
        how.max_layer_bytes = bytes;
    }
    Ok(how)
}

/// What [`REGISTRY`] describes.
pub(in crate::cli) fn registry_options(matches: &ArgMatches) -> Result<Options> {
    let mut options = Options {
        credentials: credential::credentials(),
        insecure: matches
            .try_get_one("tls-verify")
            .is_ok_and(|verify| verify == Some(&false)),
        ..Options::default()
    };
    if let Some(file) = path(matches, "authfile") {
        std::fs::metadata(&file)
            .map_err(|error| Error::io(format!("open {}", file.display()), &error))?;
        options.credentials.files = vec![file];
    }
    if let Some(given) = text(matches, "creds")? {
        options.credentials.given = Some(Credential::parse(&given)?);
    }
    options.conf = super::conf::registries_conf()?;
    for mirror in texts(matches, "mirror")? {
        options.mirrors.push(mirror.parse()?);
    }
    Ok(options)
}
