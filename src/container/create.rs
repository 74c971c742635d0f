//! `create`: makes a container whose process waits for `start`. SPEC(runtime.md#create)

use super::console::Console;
use super::make::{AfterCreated, Making};
use super::options::{CreateOptions, Globals};
use super::trace::{self, Trace};
use super::{image, own_binary};
use crate::error::{Context, Result};

/// Everything but the user's process is done when this returns.
pub fn create(globals: &Globals, options: &CreateOptions) -> Result<()> {
    own_binary::protect()?;
    let id = &options.id;
    let trace = Trace::open(options.trace_start.as_ref(), "create", id)?;
    let created = create_named(globals, options).context(format_args!("create {id}"));
    trace.finish(&created);
    created
}

fn create_named(globals: &Globals, options: &CreateOptions) -> Result<()> {
    let making = Making::plan(globals, options, false)?;
    let console = Console::open(
        making.spec.process.as_ref(),
        options.console_socket.as_deref(),
    )?;
    let (made, created) = making.run(&console, AfterCreated::Wait)?;
    created.leave_waiting()?;
    made.keep();
    if let Some(image) = &options.image {
        image::sweep(globals, &image.home);
    }
    trace::mark("leave init waiting");
    Ok(())
}
