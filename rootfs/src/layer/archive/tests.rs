//! The reader against GNU tar and Python's tarfile: whatever we accept, they read the same, or refuse.
//!
//! Archives in all dialects are generated and then damaged at random; the seed is fixed, so a failure comes again.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::entry::Kind;
use super::{Archive, BLOCK_BYTES};
use crate::layer::limits::Limits;

/// Name, type, size and link of each entry, as the oracles print them; nothing for an archive that is refused.
fn listing(bytes: &[u8]) -> Option<Vec<String>> {
    let limits = Limits::default();
    let mut archive = Archive::new(bytes, &limits);
    let mut lines = Vec::new();
    loop {
        let Ok(entry) = archive.next_entry() else {
            return None;
        };
        let Some(entry) = entry else { break };
        let (kind, link) = match &entry.kind {
            Kind::File => ("-", None),
            Kind::Directory => ("d", None),
            Kind::Symlink { target } => ("l", Some(target)),
            Kind::HardLink { target } => ("h", Some(target)),
            Kind::CharDevice { .. } => ("c", None),
            Kind::BlockDevice { .. } => ("b", None),
            Kind::Fifo => ("p", None),
        };
        let mut content = 0u64;
        loop {
            let Ok(body) = archive.body() else {
                return None;
            };
            if body.is_empty() {
                break;
            }
            content += body.len() as u64;
            let n = body.len();
            archive.consume(n);
        }
        if entry.segments.is_none() && content != entry.size {
            return None;
        }
        let link = link.map_or(String::new(), |link| hex(link));
        lines.push(format!(
            "{kind} {} {} {link}",
            entry.size,
            hex(trimmed(&entry.path))
        ));
    }
    Some(lines)
}

fn trimmed(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&b| b != b'/').map_or(0, |at| at + 1);
    &path[..end]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Reads every `N.tar` of a directory by both oracles; prints `N python|gnu LINE` and `N python|gnu refused`.
const ORACLES: &str = r#"
import os, re, subprocess, sys, tarfile
kinds = {tarfile.REGTYPE: '-', tarfile.AREGTYPE: '-', tarfile.CONTTYPE: '-', tarfile.GNUTYPE_SPARSE: '-', tarfile.DIRTYPE: 'd',
         tarfile.SYMTYPE: 'l', tarfile.LNKTYPE: 'h', tarfile.CHRTYPE: 'c', tarfile.BLKTYPE: 'b', tarfile.FIFOTYPE: 'p'}
enc = lambda s: s.encode('utf-8', 'surrogateescape')
def python(path):
    out = []
    with tarfile.open(path, 'r:', encoding='utf-8', errors='surrogateescape', errorlevel=2) as tar:
        for m in tar:
            kind = kinds.get(m.type, '?')
            link = enc(m.linkname).hex() if kind in 'lh' else ''
            size = m.size if kind == '-' else 0
            out.append(f"{kind} {size} {enc(m.name).rstrip(b'/').hex()} {link}")
        # tarfile takes a broken header after the first for the end; that is a refusal.
        tar.fileobj.seek(tar.offset)
        block = tar.fileobj.read(512)
        if block.strip(b'\0'):
            raise tarfile.ReadError('trailing')
    return out
line = re.compile(rb'^(.)[-rwxsStT]{9} \S+ +(\S+) (\S+ \S+) (.*)$', re.S)
def gnu(path):
    r = subprocess.run(['tar', '-tvf', path, '--numeric-owner', '--full-time', '--quoting-style=escape'], capture_output=True, env={'LC_ALL': 'C', 'TZ': 'UTC', 'PATH': os.environ['PATH']})
    if r.returncode or b'ignored' in r.stderr or b'garbage' in r.stderr or b'A lone zero block' in r.stderr:
        raise ValueError(r.stderr)
    out = []
    for l in r.stdout.split(b'\n')[:-1]:
        kind, size, _, name = line.match(l).groups()
        kind = kind.replace(b'C', b'-')
        link = b''
        if kind == b'l': name, link = name.split(b' -> ', 1)
        if kind == b'h': name, link = name.split(b' link to ', 1)
        size = size if kind == b'-' else b'0'
        unescape = lambda s: s.decode('latin-1').encode('latin-1').decode('unicode_escape').encode('latin-1')
        out.append(f"{kind.decode()} {size.decode()} {unescape(name).rstrip(b'/').hex()} {unescape(link).hex()}")
    return out
for name in sorted(os.listdir(sys.argv[1])):
    for who, read in (('python', python), ('gnu', gnu)):
        try:
            for l in read(os.path.join(sys.argv[1], name)): print(name[:-4], who, l)
            print(name[:-4], who, 'accepted')
        except Exception as e:
            print(name[:-4], who, 'refused')
"#;

/// By archive and oracle: the listing, or nothing for a refusal.
type Said = BTreeMap<(usize, String), Option<Vec<String>>>;

/// What both oracles say of each archive; nothing where they are not installed.
fn oracles(archives: &[Vec<u8>]) -> Option<Said> {
    let dir = tempfile::tempdir().unwrap();
    for (at, bytes) in archives.iter().enumerate() {
        std::fs::write(dir.path().join(format!("{at}.tar")), bytes).unwrap();
    }
    let output = Command::new("python3")
        .args(["-c", ORACLES])
        .arg(dir.path())
        .stderr(Stdio::inherit())
        .output()
        .ok()?;
    let mut said = Said::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let mut words = line.splitn(3, ' ');
        let at = words.next().unwrap().parse().unwrap();
        let who = words.next().unwrap().to_owned();
        let entry = said.entry((at, who)).or_insert_with(|| Some(Vec::new()));
        match words.next().unwrap() {
            "refused" => *entry = None,
            "accepted" => {}
            line => entry.as_mut().unwrap().push(line.to_owned()),
        }
    }
    Some(said)
}

/// A small generator of random numbers, the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

fn header(dice: &mut Dice, flag: u8, name: &[u8], link: &[u8], size: usize) -> [u8; BLOCK_BYTES] {
    let mut header = match dice.roll(3) {
        0 => tar::Header::new_ustar(),
        1 => tar::Header::new_gnu(),
        _ => tar::Header::new_old(),
    };
    let old = header.as_old_mut();
    old.name[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    old.linkname[..link.len()].copy_from_slice(link);
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_mode(0o644);
    header.set_uid(1000);
    header.set_gid(1000);
    header.set_mtime(1_700_000_000);
    header.set_size(size as u64);
    if header.as_ustar().is_some() || header.as_gnu().is_some() {
        let _ = header.set_device_major(1).and(header.set_device_minor(3));
    }
    header.set_cksum();
    *header.as_bytes()
}

fn push(out: &mut Vec<u8>, header: &[u8], body: &[u8]) {
    out.extend_from_slice(header);
    out.extend_from_slice(body);
    out.resize(out.len().next_multiple_of(BLOCK_BYTES), 0);
}

fn generated(dice: &mut Dice) -> Vec<u8> {
    let mut out = Vec::new();
    for at in 0..1 + dice.roll(4) {
        let name = format!("name-{at}{}", "/deeper".repeat(dice.roll(3)));
        let body = vec![b'a' + at as u8; dice.roll(1200)];
        let record = |key: &str, value: &str| {
            let line = format!("{key}={value}\n");
            let length = (line.len() + 3..)
                .find(|n| n.to_string().len() + 1 + line.len() == *n)
                .unwrap();
            format!("{length} {line}")
        };
        let kind = dice.roll(8);
        match dice.roll(8) {
            0 => {
                let records = [
                    record("path", &format!("pax/{name}")),
                    record("mtime", "15"),
                ]
                .concat();
                push(
                    &mut out,
                    &header(dice, b'x', b"p", b"", records.len()),
                    records.as_bytes(),
                );
            }
            1 => {
                let long = format!("{}{name}\0", "long/".repeat(30));
                push(
                    &mut out,
                    &header(dice, b'L', b"././@LongLink", b"", long.len()),
                    long.as_bytes(),
                );
            }
            // Only files have a size: elsewhere it is refused.
            2 if kind > 3 => {
                let records = record("size", &body.len().to_string());
                push(
                    &mut out,
                    &header(dice, b'x', b"p", b"", records.len()),
                    records.as_bytes(),
                );
            }
            _ => {}
        }
        match kind {
            0 => push(&mut out, &header(dice, b'5', name.as_bytes(), b"", 0), b""),
            1 => push(
                &mut out,
                &header(dice, b'2', name.as_bytes(), b"target", 0),
                b"",
            ),
            2 => push(
                &mut out,
                &header(dice, b'1', name.as_bytes(), b"name-0", 0),
                b"",
            ),
            3 => push(&mut out, &header(dice, b'6', name.as_bytes(), b"", 0), b""),
            _ => push(
                &mut out,
                &header(dice, b'0', name.as_bytes(), b"", body.len()),
                &body,
            ),
        }
    }
    out.resize(out.len() + 1024, 0);
    out
}

/// Changes some bytes of headers and makes their checksums right again, or cuts, doubles or swaps blocks.
fn damaged(dice: &mut Dice, mut bytes: Vec<u8>) -> Vec<u8> {
    for _ in 0..1 + dice.roll(3) {
        let blocks = bytes.len() / BLOCK_BYTES;
        let at = dice.roll(blocks) * BLOCK_BYTES;
        match dice.roll(10) {
            0 => bytes.truncate(at.max(BLOCK_BYTES)),
            1 => {
                let block = bytes[at..at + BLOCK_BYTES].to_vec();
                bytes.splice(at..at, block);
            }
            2 => {
                let byte = at + dice.roll(BLOCK_BYTES);
                bytes[byte] = dice.roll(256) as u8;
            }
            _ => {
                let fields = [
                    (0, 100),
                    (124, 12),
                    (124, 12),
                    (156, 1),
                    (157, 100),
                    (257, 8),
                    (345, 155),
                    (100, 24),
                ];
                let (start, length) = fields[dice.roll(fields.len())];
                let choice = b"01234567\0 /.7x5gLKSA\x80\xff";
                for _ in 0..1 + dice.roll(2) {
                    bytes[at + start + dice.roll(length)] = choice[dice.roll(choice.len())];
                }
                let block = &mut bytes[at..at + BLOCK_BYTES];
                if block.iter().any(|&b| b != 0) {
                    let mut fixed = tar::Header::from_byte_slice(block).clone();
                    fixed.set_cksum();
                    block.copy_from_slice(fixed.as_bytes());
                }
            }
        }
    }
    bytes
}

/// As `umoci insert` writes them.
#[test]
fn an_archive_may_end_behind_its_last_body() {
    let mut dice = Dice(7);
    let header = header(&mut dice, b'0', b"file", b"", 700);
    let mut bytes = Vec::new();
    push(&mut bytes, &header, &[b'x'; 700]);
    bytes.truncate(BLOCK_BYTES + 700);
    assert_eq!(listing(&bytes).unwrap().len(), 1);
    bytes.truncate(BLOCK_BYTES + 699);
    assert_eq!(listing(&bytes), None);
}

#[test]
fn what_we_accept_others_read_the_same() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let count = std::env::var("CRUN_LITE_TEST_ARCHIVES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(400);
    let archives: Vec<Vec<u8>> = (0..count)
        .map(|at| {
            let whole = generated(&mut dice);
            if at % 8 == 0 {
                whole
            } else {
                damaged(&mut dice, whole)
            }
        })
        .collect();
    let Some(said) = oracles(&archives) else {
        return eprintln!("skipped: no python3");
    };
    let mut accepted = 0;
    for ((at, who), theirs) in &said {
        let ours = listing(&archives[*at]);
        accepted += usize::from(ours.is_some() && theirs.is_some());
        if let (Some(ours), Some(theirs)) = (&ours, theirs) {
            let path = format!("/tmp/crun-lite-differs-{at}.tar");
            if ours != theirs {
                std::fs::write(&path, &archives[*at]).unwrap();
            }
            assert_eq!(ours, theirs, "{who} reads {path} in another way");
        }
        assert!(
            at % 8 != 0 || (ours.is_some() && theirs.is_some()),
            "{who}: archive {at} is whole"
        );
    }
    assert!(
        accepted > count / 4,
        "only {accepted} archives were accepted by two"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the bytes, the reader ends, and doesn't panic.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..4096)) {
        let _ = listing(&bytes);
    }

    #[test]
    fn any_damage_is_read_or_refused(seed in 1u64.., cut in 0usize..6000) {
        let mut dice = Dice(seed);
        let mut bytes = generated(&mut dice);
        for _ in 0..4 {
            bytes = damaged(&mut dice, bytes);
        }
        bytes.truncate(cut.max(1));
        let _ = listing(&bytes);
    }
}
