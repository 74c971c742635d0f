//! `demo`: this program as an image of three layers, from nothing to a container that says what it sees.
//!
//! Needs no network, no package and no file but our own; leaves nothing.

use super::argument::flag;
use super::image_run::invented_id;
use super::{ExitCode, exit_code, print};
use crate::container::image::demo::{INSIDE, Stage, report, write_image};
use crate::container::image::{
    Base, FetchOptions, Home, ImageOptions, fetch, is_machine_root, own_maps,
};
use crate::container::{self, CreateOptions, Globals};
use crate::error::Result;
use clap::{ArgMatches, Command};
use oci::bundle::{Limits, RunOptions};
use oci::progress::Silent;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So that the container has a limit to show.
const MEMORY_BYTES: i64 = 64 << 20;

pub fn command() -> Command {
    Command::new("demo")
        .about("make an image of this program, run it, and show what it sees and how long it took")
        .arg(flag(INSIDE.trim_start_matches('-'), "be the container's program").hide(true))
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    if matches.get_flag(INSIDE.trim_start_matches('-')) {
        print(&report()?)?;
        return Ok(ExitCode::SUCCESS);
    }
    container::own_binary::protect()?;
    let stage = Stage::below(&std::env::temp_dir())?;
    let (layout, store) = (stage.path().join("image"), stage.path().join("store"));
    let mut clock = Clock(Instant::now());

    let bytes = write_image(&layout, &stage.path().join("trees"))?;
    let size = super::image::human(bytes);
    clock.tell(
        "image",
        &format!("3 layers, {size}: this program, a change, a deletion"),
    )?;

    let home = Home::open(&store)?;
    let reference = format!("oci:{}", layout.display());
    let fetched = fetch(&home, &reference, &FetchOptions::default(), &Silent)?;
    clock.tell(
        "import",
        "fetched, hashed, inflated and unpacked in one pass",
    )?;

    print("container\n")?;
    let options = options(home, Base::Image(Arc::new(fetched)))?;
    let code = container::run::run(globals, &options)?;
    clock.tell("run", "made, started, waited for, deleted")?;
    drop(options);
    drop(stage);
    clock.tell("left behind", "nothing")?;
    Ok(exit_code(code))
}

fn options(home: Home, base: Base) -> Result<CreateOptions> {
    let id = invented_id()?;
    let (uid_mappings, gid_mappings) = match is_machine_root() {
        true => Default::default(),
        false => own_maps(),
    };
    let run = RunOptions {
        uid_mappings,
        gid_mappings,
        hostname: "demo".into(),
        limits: Limits {
            memory_bytes: is_machine_root().then_some(MEMORY_BYTES),
            ..Limits::default()
        },
        is_rootless: !is_machine_root(),
        ..RunOptions::default()
    };
    let mut options = CreateOptions::new(id, ".");
    options.image = Some(ImageOptions {
        home,
        base,
        run,
        remove: true,
    });
    Ok(options)
}

/// Says what was done, and how long it took since the last word.
struct Clock(Instant);

impl Clock {
    fn tell(&mut self, phase: &str, what: &str) -> Result<()> {
        let took = std::mem::replace(&mut self.0, Instant::now()).elapsed();
        print(&format!("{phase:<13} {what:<58} {}\n", milliseconds(took)))
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:>8.1} ms", time.as_secs_f64() * 1000.0)
}
