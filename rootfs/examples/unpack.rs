//! Unpacks one layer blob into a directory and says how long it took: `unpack BLOB DIRECTORY`.

use std::error::Error;
use std::fs::File;
use std::time::Instant;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let blob = arguments.next().ok_or("a blob is missing")?;
    let directory = arguments.next().ok_or("a directory is missing")?;
    let started = Instant::now();
    let options = rootfs::layer::Options::privileged(blob.to_string_lossy());
    let applied =
        rootfs::layer::apply(File::open(&blob)?, File::open(&directory)?.into(), &options)?;
    println!(
        "{} {} entries {} bytes {:?}",
        applied.diff_id,
        applied.entries,
        applied.bytes,
        started.elapsed()
    );
    Ok(())
}
