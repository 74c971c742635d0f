//! `image inspect`: everything that is known of images, as JSON.

use super::home;
use crate::cli::ExitCode;
use crate::cli::print_json;
use crate::container::Globals;
use crate::container::image::Home;
use crate::error::Result;
use clap::{Arg, ArgAction, ArgMatches, Command};
use oci::store::Opened;
use rootfs::snapshot::Form;
use serde_json::json;

pub fn command() -> Command {
    Command::new("inspect")
        .about("print an image's manifest and configuration")
        .arg(images())
}

/// One or more images of the store.
pub(super) fn images() -> Arg {
    Arg::new("images")
        .value_name("IMAGE")
        .help("name or digest of an image of the store")
        .action(ArgAction::Append)
        .num_args(1..)
        .required(true)
}

pub(super) fn names(matches: &ArgMatches) -> impl Iterator<Item = &String> {
    matches.get_many::<String>("images").into_iter().flatten()
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let home = home(matches)?;
    let opened = names(matches).map(|name| as_json(&home, &home.store.open_image(name)?));
    let opened = opened.collect::<Result<Vec<_>>>()?;
    print_json(&opened)?;
    Ok(ExitCode::SUCCESS)
}

fn as_json(home: &Home, opened: &Opened) -> Result<serde_json::Value> {
    let layers = opened.manifest.layers.iter().zip(&opened.config.diff_ids);
    let layers: Vec<_> = layers
        .zip(opened.config.chain_ids())
        .map(|((layer, diff_id), chain_id)| {
            let unpacked = home.snapshots.form(diff_id)?.map(word);
            Ok(json!({"digest": layer.blob.digest, "size": layer.blob.size, "mediaType": layer.media_type,
                "diffID": diff_id, "chainID": chain_id, "unpacked": unpacked}))
        })
        .collect::<Result<_>>()?;
    Ok(json!({
        "name": opened.image.name,
        "digest": opened.image.descriptor.digest(),
        "mediaType": opened.image.descriptor.media_type(),
        "size": opened.manifest.total_bytes(),
        "layers": layers,
        "config": opened.config.document,
        "annotations": opened.manifest.document.annotations(),
    }))
}

/// What `--snapshotter` calls it.
pub(super) fn word(form: Form) -> &'static str {
    match form {
        Form::Directory => "overlay",
        Form::Erofs => "erofs",
    }
}
