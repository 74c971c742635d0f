//! Unpacks one layer blob and says how long it took: `unpack BLOB DIRECTORY`, or `unpack BLOB IMAGE SPOOL` for EROFS.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::time::Instant;

use rootfs::layer::Options;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let started = Instant::now();
    let applied = match arguments.as_slice() {
        [blob, directory] => {
            let options = Options::privileged(blob.to_string_lossy());
            rootfs::layer::apply(File::open(blob)?, File::open(directory)?.into(), &options)?
        }
        [blob, image, spool] => {
            let create = |path| {
                File::options()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .open(path)
            };
            let options = Options::privileged(blob.to_string_lossy());
            rootfs::erofs::write(File::open(blob)?, create(image)?, create(spool)?, &options)?
        }
        _ => return Err("usage: unpack BLOB DIRECTORY | unpack BLOB IMAGE SPOOL".into()),
    };
    let (id, entries, bytes) = (applied.diff_id, applied.entries, applied.bytes);
    println!(
        "{id} {entries} entries {bytes} bytes {:?}",
        started.elapsed()
    );
    Ok(())
}
