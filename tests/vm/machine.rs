//! One virtual machine from power on to its end: QEMU in software, two serial lines, no network.
//!
//! The first line is the console, kept as a log; the second brings the results.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use super::image::Image;

/// A guest that says nothing for so long hangs. The slowest single test takes some seconds in it.
const SILENCE: Duration = Duration::from_secs(420);

/// What the guest is given.
pub struct Machine<'a> {
    pub image: &'a Image,
    pub payload: &'a Path,
    /// A shell script, executed by the guest.
    pub plan: &'a str,
    /// Words for the kernel.
    pub command_line: &'a str,
    pub log: &'a Path,
}

/// How a machine ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    PoweredOff,
    Silent,
}

impl Machine<'_> {
    /// Boots it and hands each line of results over.
    pub fn run(&self, mut line: impl FnMut(&str)) -> End {
        let plan = self.log.with_extension("plan");
        let mut text = self.plan.to_owned();
        // A disk is a whole number of sectors.
        text.extend(std::iter::repeat_n('\n', 512 - text.len() % 512));
        fs::write(&plan, text).expect("write the guest's plan");
        let mut qemu = self
            .qemu(&plan)
            .spawn()
            .expect("start qemu-system-x86_64 (Debian package qemu-system-x86)");
        let lines = read_lines(&mut qemu);
        loop {
            match lines.recv_timeout(SILENCE) {
                Ok(text) => line(&text),
                Err(RecvTimeoutError::Disconnected) => {
                    qemu.wait().expect("wait for QEMU");
                    return End::PoweredOff;
                }
                Err(RecvTimeoutError::Timeout) => {
                    qemu.kill().ok();
                    qemu.wait().ok();
                    return End::Silent;
                }
            }
        }
    }

    fn qemu(&self, plan: &Path) -> Command {
        let disk = |id: &str, file: &Path, mode: &str| {
            let file = file.display();
            [
                "-drive".to_owned(),
                format!("id={id},file={file},format=raw,if=none,cache=unsafe,{mode}"),
                "-device".to_owned(),
                format!("virtio-blk-pci,drive={id}"),
            ]
        };
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args([
            "-M",
            "q35",
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "3072",
        ]);
        qemu.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        qemu.arg("-kernel")
            .arg(&self.image.kernel)
            .arg("-initrd")
            .arg(&self.image.initrd);
        // Software emulation keeps time badly enough that the kernel doubts its clocks.
        let quiet = "console=ttyS0 panic=-1 loglevel=4 no_timer_check tsc=reliable mitigations=off random.trust_cpu=on";
        qemu.arg("-append")
            .arg(format!("{quiet} {}", self.command_line));
        qemu.arg("-serial")
            .arg(format!("file:{}", self.log.display()));
        qemu.args(["-serial", "stdio"]);
        qemu.args(disk("a", &self.image.disk, "snapshot=on"));
        qemu.args(disk("b", self.payload, "readonly=on"));
        qemu.args(disk("c", plan, "readonly=on"));
        let errors = File::create(self.log.with_extension("qemu")).expect("create QEMU's log");
        qemu.stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors);
        qemu
    }
}

fn read_lines(qemu: &mut Child) -> Receiver<String> {
    let output = qemu.stdout.take().expect("standard output is a pipe");
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let text = String::from_utf8_lossy(&line);
            if sender.send(text.trim_end_matches('\r').to_owned()).is_err() {
                return;
            }
        }
    });
    lines
}
