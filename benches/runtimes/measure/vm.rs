//! A virtual machine that runs the same workload: QEMU's microvm with Debian's
//! cloud kernel and the same root file system as an initramfs.
//!
//! With KVM where it boots a guest, else with software emulation, and then each
//! row says so. It must not know what it is compared with.

use crate::cpio;
use crate::ground::Ground;
use crate::model::Row;
use crate::peers::on_path;
use crate::process::pss_kib;
use crate::sample::After;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ROUNDS: usize = 3;
/// A guest that KVM can't run hangs silently.
const PROBE_PATIENCE: Duration = Duration::from_secs(4);
const EMULATED: &str =
    "software emulation (TCG), no KVM here: many times slower than a real virtual machine";

#[derive(Debug, Clone, Copy)]
enum Accelerator {
    Kvm,
    Emulation,
}

pub struct Machine {
    qemu: PathBuf,
    kernel: PathBuf,
    initramfs: PathBuf,
    accelerator: Accelerator,
}

/// The row of the virtual machine in `first-instruction`.
pub fn first_instruction(ground: &Ground) -> Option<Row> {
    row(ground, |machine| {
        let boot = |_| {
            ground
                .stopwatch
                .time_to_first_output(&mut machine.command(), After::Kill)
        };
        (0..ROUNDS).map(boot).collect()
    })
}

/// The row of the virtual machine in `standing-memory`.
pub fn standing_memory(ground: &Ground) -> Option<Row> {
    row(ground, |machine| {
        let command = &mut machine.command();
        let held = ground.stopwatch.at_first_output(command, pss_kib);
        held.and_then(|kib| kib).map(|kib| vec![kib])
    })
}

/// None where no virtual machine monitor is installed.
fn row(ground: &Ground, ask: impl Fn(&Machine) -> Result<Vec<f64>, String>) -> Option<Row> {
    const NAME: &str = "QEMU microvm";
    let qemu = on_path("qemu-system-x86_64").filter(|_| ground.wants_virtual_machine)?;
    let machine = match Machine::find(ground, qemu) {
        Ok(machine) => machine,
        Err(reason) => return Some(Row::new(NAME, Err(reason))),
    };
    let name = format!("{NAME} ({})", machine.accelerator.name());
    let note = machine.accelerator.note().map(str::to_owned);
    Some(Row::new(&name, ask(&machine)).noted(note))
}

impl Accelerator {
    fn name(self) -> &'static str {
        match self {
            Self::Kvm => "KVM",
            Self::Emulation => "TCG",
        }
    }

    fn note(self) -> Option<&'static str> {
        match self {
            Self::Kvm => None,
            Self::Emulation => Some(EMULATED),
        }
    }

    fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            Self::Emulation => ["-accel", "tcg,thread=multi", "-cpu", "max"],
        }
    }
}

impl Machine {
    fn find(ground: &Ground, qemu: PathBuf) -> Result<Self, String> {
        let mut machine = Self {
            qemu,
            kernel: find_kernel()?,
            initramfs: ground.work.join("initramfs"),
            accelerator: Accelerator::Kvm,
        };
        if !machine.initramfs.exists() {
            cpio::write(&ground.work.join("rootfs"), &machine.initramfs)?;
        }
        if !ground.kvm_boots(|| machine.boots(ground)) {
            machine.accelerator = Accelerator::Emulation;
        }
        Ok(machine)
    }

    fn boots(&self, ground: &Ground) -> bool {
        if !Path::new("/dev/kvm").exists() {
            return false;
        }
        let boot = || {
            ground
                .stopwatch
                .time_to_first_output(&mut self.command(), After::Kill)
        };
        ground.stopwatch.with_patience(PROBE_PATIENCE, boot).is_ok()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.qemu);
        command.args(["-M", "microvm,acpi=off,rtc=on"]);
        command.args(self.accelerator.arguments());
        command
            .args(["-smp", "1", "-m", "128", "-kernel"])
            .arg(&self.kernel);
        command.arg("-initrd").arg(&self.initramfs);
        // The word after the dashes goes to init and tells the workload to stay.
        let line = "console=ttyS0 panic=-1 quiet loglevel=0 rdinit=/bin/first -- stay";
        command.args(["-append", line]);
        command.args(["-nodefaults", "-no-user-config", "-nographic", "-no-reboot"]);
        command.args(["-serial", "stdio"]);
        command
    }
}

fn find_kernel() -> Result<PathBuf, String> {
    let boot = std::fs::read_dir("/boot").map_err(|error| format!("read /boot: {error}"))?;
    let mut kernels: Vec<PathBuf> = boot
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("vmlinuz-") && name.contains("cloud")
        })
        .collect();
    kernels.sort();
    let none =
        "no cloud kernel in /boot: apt-get install --no-install-recommends linux-image-cloud-amd64";
    kernels.pop().ok_or_else(|| none.to_owned())
}
