//! `man` (hidden): writes a manual page for the program and one for each command.

use super::{ExitCode, argument, help};
use crate::container::Globals;
use crate::error::{Context, Result};
use clap::{Arg, ArgMatches, Command};
use std::path::PathBuf;

pub fn command() -> Command {
    Command::new("man")
        .about("write manual pages")
        .hide(true)
        .arg(
            Arg::new("directory")
                .value_name("DIR")
                .help("where to")
                .required(true),
        )
}

pub fn run(_: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let directory = PathBuf::from(argument::positional(matches, "directory").unwrap_or_default());
    std::fs::create_dir_all(&directory)
        .context(format_args!("make directory {}", directory.display()))?;
    for (name, page) in pages()? {
        let path = directory.join(name);
        std::fs::write(&path, page).context(format_args!("write {}", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A page for the program and one for each command that isn't hidden: file name and text.
pub fn pages() -> Result<Vec<(String, Vec<u8>)>> {
    let mut tree = help::whole_tree().disable_help_subcommand(true);
    tree.build();
    let mut pages = Vec::new();
    render(&tree, &mut pages).context("write manual pages")?;
    Ok(pages)
}

fn render(command: &Command, pages: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    for inner in command
        .get_subcommands()
        .filter(|inner| !inner.is_hide_set())
    {
        render(inner, pages)?;
    }
    let man = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    man.render(&mut text)?;
    pages.push((man.get_filename(), text));
    Ok(())
}
