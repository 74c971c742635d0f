//! How layers are unpacked: the options that `run`, `create`, `image unpack` and `image mount` have in common.

use crate::cli::argument::text;
use crate::cli::offer::Offer;
use crate::error::{Context, Error, Result};
use clap::ArgMatches;
use oci::bundle::notation;
use rootfs::layer::Limits;
use rootfs::snapshot::{Form, UnpackOptions};

/// Above so many uncompressed bytes a ratio that was asked for is looked at.
const RATIO_FROM_BYTES: u64 = 1 << 20;

pub(in crate::cli) const UNPACK: &[Offer] = &[
    Offer::option(
        "snapshotter",
        "overlay|erofs",
        "keep new layers as directories, or each as one EROFS image",
    ),
    Offer::option(
        "max-ratio",
        "N",
        "refuse a layer that is packed more than N to 1 (default: 400, from 1 GiB on)",
    ),
    Offer::option(
        "max-files",
        "N",
        "refuse a layer of more entries (default: 5000000)",
    ),
    Offer::option(
        "max-depth",
        "N",
        "refuse a name of more components (default: 256)",
    ),
    Offer::option(
        "max-xattr-size",
        "BYTES",
        "refuse a larger extended attribute (default: 64k)",
    ),
    Offer::option(
        "max-header-size",
        "BYTES",
        "refuse a larger extension header (default: 1m)",
    ),
];

pub(in crate::cli) fn unpack_options(matches: &ArgMatches) -> Result<UnpackOptions> {
    Ok(UnpackOptions {
        form: form(matches)?,
        limits: limits(matches)?,
        ..UnpackOptions::default()
    })
}

/// `--snapshotter`, else `CRUN_LITE_SNAPSHOTTER`.
fn form(matches: &ArgMatches) -> Result<Form> {
    let (origin, word) = match text(matches, "snapshotter")? {
        Some(word) => ("--snapshotter", word),
        None => match std::env::var_os("CRUN_LITE_SNAPSHOTTER") {
            Some(word) => ("CRUN_LITE_SNAPSHOTTER", word.to_string_lossy().into_owned()),
            None => return Ok(Form::default()),
        },
    };
    match word.as_str() {
        "" => Ok(Form::default()),
        "overlay" => Ok(Form::Directory),
        "erofs" if crate::container::image::is_machine_root() => Ok(Form::Erofs),
        "erofs" => Err(Error::new(format!(
            "{origin} erofs: Linux lets nobody but the machine's root mount EROFS"
        ))
        .hint("use overlay, the default")),
        other => Err(Error::new(format!(
            "{origin}: unknown value {other:?}, want overlay or erofs"
        ))),
    }
}

fn limits(matches: &ArgMatches) -> Result<Limits> {
    let mut limits = Limits::default();
    if let Some(bytes) = max_layer_bytes(matches)? {
        limits.bytes = bytes;
    }
    if let Some(ratio) = number(matches, "max-ratio")? {
        limits.ratio = ratio;
        limits.ratio_from_bytes = RATIO_FROM_BYTES;
    }
    if let Some(count) = number(matches, "max-files")? {
        limits.entries = count;
    }
    if let Some(depth) = number(matches, "max-depth")? {
        limits.path_depth = usize::try_from(depth).unwrap_or(usize::MAX);
    }
    if let Some(bytes) = bytes(matches, "max-xattr-size")? {
        limits.xattr_bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    }
    if let Some(bytes) = bytes(matches, "max-header-size")? {
        limits.header_bytes = bytes;
    }
    Ok(limits)
}

/// `--max-layer-size`, which pulls and imports have too.
pub(in crate::cli) fn max_layer_bytes(matches: &ArgMatches) -> Result<Option<u64>> {
    bytes(matches, "max-layer-size")
}

fn bytes(matches: &ArgMatches, name: &str) -> Result<Option<u64>> {
    let size = |text: String| {
        let bytes = notation::bytes(&text).map_err(Error::from)?;
        u64::try_from(bytes).map_err(|_| Error::new(format!("{text:?} is no size")))
    };
    let size = text(matches, name)?.map(size).transpose();
    size.context(format_args!("--{name}"))
}

fn number(matches: &ArgMatches, name: &str) -> Result<Option<u64>> {
    let number = |text: String| {
        let number = text.parse().ok().filter(|&number| number > 0);
        number.ok_or_else(|| Error::new(format!("--{name} {text:?}: want a number from 1 on")))
    };
    text(matches, name)?.map(number).transpose()
}
