//! `image rm`: takes images' names away, and what nothing needs any more.

use super::inspect::{images, names};
use super::{home, human};
use crate::cli::ExitCode;
use crate::cli::argument::flag;
use crate::cli::print;
use crate::container::Globals;
use crate::container::image::remove_unused_layers;
use crate::error::Result;
use clap::{ArgMatches, Command};

pub fn command() -> Command {
    Command::new("rm").about("remove images").arg(images()).arg(
        flag(
            "force",
            "also an image that containers use: its bytes stay until they go",
        )
        .short('f'),
    )
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let home = home(matches)?;
    for name in names(matches) {
        let garbage = home.store.remove(name, matches.get_flag("force"))?;
        let layers = remove_unused_layers(&home)?;
        print(&format!(
            "{name}: removed, {} freed\n",
            human(garbage.bytes + layers.bytes)
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
