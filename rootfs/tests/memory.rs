//! How much memory a layer may cost: less than 64 MiB, whatever it holds. Measured in a process of its own.

#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use std::io::Read;
use std::process::Command;

use rootfs::layer::{Division, Memory};
use support::Ground;
use support::tar::{Item, RawZstd, archive, dir, entry_bytes, file, zstd};

const CHILD: &str = "CRUN_LITE_TEST_MEMORY";
/// Set to write an EROFS image and no directory.
const IMAGE: &str = "CRUN_LITE_TEST_MEMORY_IMAGE";
const LIMIT_KIB: u64 = 64 << 10;
/// Of kinds that have little memory to share: what they have, the program, its buffers.
const SMALL_LIMIT_KIB: u64 = 14 << 10;

/// Less memory for kinds that grow with their entries: a short archive proves what each is charged, as a long one would.
fn memory(kind: &str) -> Memory {
    match kind {
        "directories" | "implicit" | "hard links" | "symlinks" | "deep" | "long names"
        | "small attributes" => Memory::new(Division {
            layers: 1,
            share_bytes: 4 << 20,
            extra_bytes: 2 << 20,
        }),
        _ => Memory::default(),
    }
}

fn limit_kib(kind: &str) -> u64 {
    match memory(kind).most_bytes() {
        bytes if bytes < 8 << 20 => SMALL_LIMIT_KIB,
        _ => LIMIT_KIB,
    }
}

/// Entries made as they are read: the archive itself is never in memory.
struct Made<F: FnMut(usize) -> Option<Vec<u8>>> {
    make: F,
    at: usize,
    rest: std::io::Cursor<Vec<u8>>,
}

impl<F: FnMut(usize) -> Option<Vec<u8>>> Read for Made<F> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.rest.read(buffer)? {
                0 => match (self.make)(self.at) {
                    Some(bytes) => self.rest = std::io::Cursor::new(bytes),
                    None => return Ok(0),
                },
                n => return Ok(n),
            }
            self.at += 1;
        }
    }
}

fn made(make: impl FnMut(usize) -> Option<Vec<u8>> + Send + 'static) -> Box<dyn Read + Send> {
    Box::new(Made {
        make,
        at: 0,
        rest: std::io::Cursor::new(Vec::new()),
    })
}

/// One file of so many MiB, which never are in memory at once: noise, again and again with another byte in front.
fn big_file(mib: usize) -> Box<dyn Read + Send> {
    let mut state = 1u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let block: Vec<u8> = (0..16 << 10).map(|_| noise()).collect();
    let block = block.repeat(64);
    made(move |n| match n {
        0 => Some(file("big", "").size((mib as u64) << 20).header().to_vec()),
        n if n <= mib => Some([&[n as u8], &block[1..]].concat()),
        _ => None,
    })
}

/// So many empty files, twenty in a directory.
fn files(count: usize) -> Box<dyn Read + Send> {
    made(move |n| {
        let name = format!("usr/share/package{}/file{n}", n / 20);
        (n < count).then(|| entry_bytes(&file(name, "")))
    })
}

/// What is unpacked at the same time.
fn layers(kind: &str) -> Vec<Box<dyn Read + Send>> {
    match kind {
        // The largest window with as many files as fit, the largest tree, and what may be beside that one.
        "all at once" => vec![
            Box::new(RawZstd::new(files(60_000), 25)),
            files(130_000),
            Box::new(RawZstd::new(files(37_000), 23)),
        ],
        kind => vec![layer(kind)],
    }
}

fn layer(kind: &str) -> Box<dyn Read + Send> {
    match kind {
        "directories" => made(|n| {
            let name = format!("{}{n}", "d".repeat(80));
            (n < 8_000).then(|| {
                [
                    entry_bytes(&dir(&name)),
                    entry_bytes(&file(format!("{name}/f"), "x")),
                ]
                .concat()
            })
        }),
        "implicit" => made(|n| {
            (n < 120_000).then(|| entry_bytes(&file(format!("{}{n}/f", "i".repeat(80)), "")))
        }),
        "hard links" => made(|n| {
            (n < 120_000).then(|| {
                entry_bytes(&support::tar::hard_link(
                    format!("l{n}"),
                    format!("nowhere/{n}"),
                ))
            })
        }),
        "symlinks" => made(|n| {
            let target = "t/".repeat(2000);
            (n < 140_000)
                .then(|| entry_bytes(&support::tar::symlink(format!("l{n}"), target.as_str())))
        }),
        "deep" => made(|n| {
            let name = format!("{n}/{}f", "d/".repeat(250));
            (n < 140_000).then(|| entry_bytes(&file("f", "").pax("path", name)))
        }),
        "long names" => made(|n| {
            let name = format!("{}{n}", "n".repeat(240));
            (n < 80_000).then(|| entry_bytes(&file("f", "").pax("path", name)))
        }),
        "small attributes" => made(|n| {
            (n < 140_000).then(|| entry_bytes(&file(format!("f{n}"), "").xattr("user.a", "")))
        }),
        "attributes" => made(|n| {
            let item = (0..15).fold(file("f", ""), |item, k| {
                item.xattr(&format!("user.{k}"), vec![b'x'; 60_000])
            });
            (n < 20).then(|| entry_bytes(&item))
        }),
        "sparse" => {
            let map: String = (0..100_000).map(|n| format!("{},1\n", n * 2)).collect();
            let body = format!("100000\n{}", map.replace(',', "\n"));
            let body = [support::tar::padded(body.as_bytes()), vec![1; 100_000]].concat();
            let item = Item {
                body,
                ..file("f", "")
            }
            .pax("GNU.sparse.major", "1")
            .pax("GNU.sparse.minor", "0");
            let item = item
                .pax("GNU.sparse.name", "f")
                .pax("GNU.sparse.realsize", "300000");
            Box::new(std::io::Cursor::new(archive([item])))
        }
        "zstd window" => {
            let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(25).unwrap();
            encoder.long_distance_matching(true).unwrap();
            let tar = archive([file("zeros", vec![0; 40 << 20])]);
            std::io::Write::write_all(&mut encoder, &tar).unwrap();
            Box::new(std::io::Cursor::new(encoder.finish().unwrap()))
        }
        "one big file" => big_file(96),
        "208 MiB of gzip" => {
            let level = flate2::Compression::fast();
            Box::new(flate2::read::GzEncoder::new(big_file(208), level))
        }
        "208 MiB of zstd" => Box::new(zstd::stream::read::Encoder::new(big_file(208), 1).unwrap()),
        _ => Box::new(std::io::Cursor::new(zstd(&archive([])))),
    }
}

fn peak_kib(status: &str) -> u64 {
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Unpacks the layers of `kind` at once and prints the peak of this process.
fn measure(kind: &str) {
    let ground = Ground::new();
    let (blobs, memory) = (layers(kind), memory(kind));
    // What the test itself used to make the layer doesn't count.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let unpack = |blob| {
        let root = std::fs::File::open(ground.fs()).unwrap();
        let mut options = rootfs::layer::Options::privileged(kind);
        options.memory = memory.clone();
        let outcome = match std::env::var_os(IMAGE) {
            None => rootfs::layer::apply(blob, root.into(), &options),
            Some(_) => {
                let (image, spool) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
                rootfs::erofs::write(blob, image, spool, &options)
            }
        };
        outcome
            .map(|applied| applied.entries)
            .map_err(|error| error.to_string())
    };
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let unpacks: Vec<_> = blobs
            .into_iter()
            .map(|blob| scope.spawn(|| unpack(blob)))
            .collect();
        unpacks.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let peak = peak_kib(&std::fs::read_to_string("/proc/self/status").unwrap());
    println!("PEAK {peak} {outcomes:?}");
}

#[test]
fn memory_stays_below_64_mib_whatever_the_layer() {
    if let Ok(kind) = std::env::var(CHILD) {
        return measure(&kind);
    }
    let kinds = [
        "empty",
        "directories",
        "implicit",
        "hard links",
        "attributes",
        "sparse",
        "zstd window",
        "one big file",
    ];
    let of_images = [
        "symlinks",
        "deep",
        "long names",
        "small attributes",
        "all at once",
    ];
    let as_directory = kinds.map(|kind| (kind, None));
    let as_image = kinds.iter().chain(&of_images);
    let as_image = as_image.map(|kind| (*kind, Some((IMAGE, "1"))));
    let long = [
        ("208 MiB of gzip", None),
        ("208 MiB of zstd", Some((IMAGE, "1"))),
    ];
    for (kind, image) in as_directory.into_iter().chain(as_image).chain(long) {
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "memory_stays_below_64_mib_whatever_the_layer",
                "--nocapture",
            ])
            .env(CHILD, kind)
            .envs(image)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let peak = text
            .lines()
            .find_map(|line| line.split_once("PEAK "))
            .map(|(_, rest)| rest.to_owned());
        let Some(peak) = peak else {
            panic!(
                "{kind}: {text}\n{}",
                String::from_utf8_lossy(&output.stderr)
            )
        };
        println!("{kind} {image:?}: {peak}");
        let kib: u64 = peak.split(' ').next().unwrap().parse().unwrap();
        assert!(kib < limit_kib(kind), "{kind} {image:?}: {kib} KiB");
        assert!(kind != "all at once" || !peak.contains("Err"), "{peak}");
    }
}
