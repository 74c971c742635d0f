//! A virtual machine that runs the same workload: QEMU's microvm with Debian's cloud kernel and the same root file
//! system, as an initramfs and on a disk.
//!
//! With KVM where it boots a guest, else with software emulation, and then each
//! row says so. It must not know what it is compared with.

use super::{Answer, Progress};
use crate::bundle::{copy, make_directory};
use crate::cpio;
use crate::ground::Ground;
use crate::interrupt;
use crate::model::{Measure, Row, Unit};
use crate::peers::on_path;
use crate::process::pss_kib;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Software emulation on a busy machine takes its time.
const BOOT_PATIENCE: Duration = Duration::from_secs(60);
/// A guest that KVM can't run hangs silently.
const PROBE_PATIENCE: Duration = Duration::from_secs(4);
const EMULATED: &str =
    "software emulation (TCG), no KVM here: many times slower than a real virtual machine";

#[derive(Debug, Clone, Copy)]
enum Accelerator {
    Kvm,
    Emulation,
}

/// Where the guest's root file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Root {
    /// In memory, unpacked by the kernel.
    Initramfs,
    /// ext4 on virtio-blk. Debian's kernel has the drivers as modules, so an initramfs loads them first, as in any cloud.
    Disk,
}

pub struct Machine {
    qemu: PathBuf,
    kernel: PathBuf,
    initramfs: PathBuf,
    disk: Option<PathBuf>,
    accelerator: Accelerator,
}

/// What a boot shows: when its workload spoke, and what its monitor held then.
#[derive(Debug, Clone, Copy)]
pub struct Boot {
    milliseconds: f64,
    held_kib: f64,
}

/// A form of the machine, and its boots; a number is a part of each.
pub struct Booted {
    name: String,
    note: Option<String>,
    boots: Result<Vec<Boot>, String>,
}

impl Booted {
    fn row(&self, part: fn(&Boot) -> f64) -> Row {
        let numbers = |boots: &Vec<Boot>| boots.iter().map(part).collect();
        let outcome = self.boots.as_ref().map(numbers).map_err(Clone::clone);
        Row::new(&self.name, outcome).noted(self.note.clone())
    }
}

/// The rows of the virtual machine in `first-instruction`.
pub fn first_instruction(ground: &Ground) -> Vec<Row> {
    let booted = ground.booted.get_or_init(|| boot_each(ground));
    let rows = booted.iter().map(|form| form.row(|boot| boot.milliseconds));
    rows.collect()
}

/// The rows of the virtual machine in `standing-memory`: all that its monitor holds.
pub fn standing_memory(ground: &Ground) -> Vec<Row> {
    let booted = ground.booted.get_or_init(|| boot_each(ground));
    let rows = booted.iter().map(|form| form.row(|boot| boot.held_kib));
    rows.collect()
}

/// A boot takes seconds where it is emulated: both questions share them.
fn boot_each(ground: &Ground) -> Vec<Booted> {
    let rounds = if ground.full { 5 } else { 1 };
    forms(ground, |machine| {
        let boots = (0..rounds).filter(|_| !interrupt::is_asked());
        boots.map(|_| machine.boot(ground)).collect()
    })
}

/// What the root file system takes on disk, with what boots it.
pub fn disk_used(ground: &Ground, _progress: &mut Progress) -> Result<Answer, String> {
    let bundle = Row::new("a bundle", Ok(vec![tree_kib(&ground.work.join("rootfs"))?]));
    let machines = each_form(ground, |name, found| {
        let size = found.and_then(|machine| Ok(vec![machine.disk_kib()?]));
        Row::new(&name, size)
    });
    Ok(Answer::of(Measure {
        id: "disk".into(),
        title: "Disk that a container or a virtual machine needs".into(),
        about: "The root file system as each keeps it; of a virtual machine with its kernel and initramfs. Programs are not counted."
            .into(),
        unit: Unit::Kibibytes,
        rows: std::iter::once(bundle).chain(machines).collect(),
        question: String::new(),
    }))
}

fn allocated_kib(file: &Path) -> Result<f64, String> {
    const BLOCKS_PER_KIB: f64 = 2.0;
    let data = std::fs::symlink_metadata(file)
        .map_err(|error| format!("stat {}: {error}", file.display()))?;
    Ok(data.blocks() as f64 / BLOCKS_PER_KIB)
}

fn tree_kib(directory: &Path) -> Result<f64, String> {
    let mut all = allocated_kib(directory)?;
    let entries = std::fs::read_dir(directory)
        .map_err(|error| format!("read {}: {error}", directory.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        all += if is_directory {
            tree_kib(&path)?
        } else {
            allocated_kib(&path)?
        };
    }
    Ok(all)
}

/// One for each form of the root; none where no virtual machine monitor is installed.
fn forms(ground: &Ground, ask: impl Fn(&Machine) -> Result<Vec<Boot>, String>) -> Vec<Booted> {
    each_form(ground, |name, found| match found {
        Err(reason) => Booted {
            name,
            note: None,
            boots: Err(reason),
        },
        Ok(machine) => Booted {
            name: format!("{name} ({})", machine.accelerator.name()),
            note: machine.accelerator.note().map(str::to_owned),
            boots: ground
                .stopwatch
                .with_patience(BOOT_PATIENCE, || ask(&machine)),
        },
    })
}

fn each_form<T>(ground: &Ground, show: impl Fn(String, Result<Machine, String>) -> T) -> Vec<T> {
    let qemu = on_path("qemu-system-x86_64").filter(|_| ground.wants_virtual_machine);
    let Some(qemu) = qemu else { return Vec::new() };
    [Root::Initramfs, Root::Disk]
        .map(|root| {
            let name = format!("QEMU microvm, {}", root.name());
            show(name, Machine::find(ground, &qemu, root))
        })
        .into()
}

impl Root {
    fn name(self) -> &'static str {
        match self {
            Self::Initramfs => "initramfs",
            Self::Disk => "disk",
        }
    }
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
    fn find(ground: &Ground, qemu: &Path, root: Root) -> Result<Self, String> {
        let kernel = find_kernel()?;
        let (initramfs, disk) = match root {
            Root::Initramfs => (
                packed(ground, "initramfs", &ground.work.join("rootfs"))?,
                None,
            ),
            Root::Disk => (
                packed(ground, "disk-initramfs", &loader(ground, &kernel)?)?,
                Some(make_disk(ground)?),
            ),
        };
        let mut machine = Self {
            qemu: qemu.to_owned(),
            kernel,
            initramfs,
            disk,
            accelerator: Accelerator::Kvm,
        };
        if !ground.kvm_boots(|| machine.boots(ground)) {
            machine.accelerator = Accelerator::Emulation;
        }
        Ok(machine)
    }

    fn boot(&self, ground: &Ground) -> Result<Boot, String> {
        let command = &mut self.command();
        let (milliseconds, held) = ground.stopwatch.look_at_first_output(command, pss_kib)?;
        Ok(Boot {
            milliseconds,
            held_kib: held?,
        })
    }

    fn disk_kib(&self) -> Result<f64, String> {
        let files = [
            Some(&self.kernel),
            Some(&self.initramfs),
            self.disk.as_ref(),
        ];
        let sizes = files.into_iter().flatten().map(|file| allocated_kib(file));
        sizes.sum()
    }

    fn boots(&self, ground: &Ground) -> bool {
        if !Path::new("/dev/kvm").exists() {
            return false;
        }
        let boot = || self.boot(ground);
        ground.stopwatch.with_patience(PROBE_PATIENCE, boot).is_ok()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.qemu);
        // The kernel finds virtio devices of a microvm by ACPI, and has no other use for it.
        let acpi = if self.disk.is_some() { "on" } else { "off" };
        command.args(["-M", &format!("microvm,acpi={acpi},rtc=on")]);
        command.args(self.accelerator.arguments());
        command
            .args(["-smp", "1", "-m", "128", "-kernel"])
            .arg(&self.kernel);
        command.arg("-initrd").arg(&self.initramfs);
        command.args(["-append", &self.kernel_words()]);
        command.args(["-nodefaults", "-no-user-config", "-nographic", "-no-reboot"]);
        command.args(["-serial", "stdio"]);
        if let Some(disk) = &self.disk {
            let file = disk.display();
            let drive = format!("id=root,file={file},format=raw,if=none,readonly=on");
            command.args(["-drive", &drive, "-device", "virtio-blk-device,drive=root"]);
        }
        command
    }

    fn kernel_words(&self) -> String {
        let quiet = "console=ttyS0 panic=-1 quiet loglevel=0";
        match (&self.disk, self.accelerator) {
            // The word after the dashes goes to init and tells the workload to stay.
            (None, _) => format!("{quiet} rdinit=/bin/first -- stay"),
            (Some(_), Accelerator::Kvm) => format!("{quiet} rdinit=/init"),
            // Without KVM's clock, and without the timers that ACPI speaks of, it would calibrate for ever.
            (Some(_), Accelerator::Emulation) => {
                format!("{quiet} rdinit=/init tsc_early_khz=2500000 no_timer_check")
            }
        }
    }
}

fn packed(ground: &Ground, name: &str, directory: &Path) -> Result<PathBuf, String> {
    let archive = ground.work.join(name);
    if !archive.exists() {
        cpio::write(directory, &archive)?;
    }
    Ok(archive)
}

/// In the order in which they need each other.
const MODULES: [&str; 4] = [
    "drivers/virtio/virtio_ring.ko",
    "drivers/virtio/virtio.ko",
    "drivers/virtio/virtio_mmio.ko",
    "drivers/block/virtio_blk.ko",
];

const LOADER: &str = "\
#!/bin/busybox sh
for module in virtio_ring virtio virtio_mmio virtio_blk; do /bin/busybox insmod /modules/$module.ko; done
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t ext4 -o ro /dev/vda /disk
exec /bin/busybox switch_root /disk /bin/first stay
";

/// What finds the disk and starts from it.
fn loader(ground: &Ground, kernel: &Path) -> Result<PathBuf, String> {
    let directory = ground.work.join("loader");
    if directory.exists() {
        return Ok(directory);
    }
    let name = kernel.file_name().unwrap_or_default().to_string_lossy();
    let version = name.trim_start_matches("vmlinuz-");
    let modules = Path::new("/lib/modules").join(version).join("kernel");
    for inside in ["bin", "dev", "disk", "modules"] {
        make_directory(&directory.join(inside))?;
    }
    copy(
        &ground.work.join("rootfs/bin/busybox"),
        &directory.join("bin/busybox"),
    )?;
    for module in MODULES {
        let module = modules.join(module);
        let name = module.file_name().unwrap_or_default();
        copy(&module, &directory.join("modules").join(name))?;
    }
    let init = directory.join("init");
    std::fs::write(&init, LOADER)
        .and_then(|()| std::fs::set_permissions(&init, PermissionsExt::from_mode(0o755)))
        .map_err(|error| format!("write {}: {error}", init.display()))?;
    Ok(directory)
}

fn make_disk(ground: &Ground) -> Result<PathBuf, String> {
    let disk = ground.work.join("disk.ext4");
    if !disk.exists() {
        let mke2fs = on_path("mke2fs").ok_or("no mke2fs: apt-get install e2fsprogs")?;
        let mut command = Command::new(mke2fs);
        command.args(["-q", "-t", "ext4", "-m", "0", "-d"]);
        command
            .arg(ground.work.join("rootfs"))
            .arg(&disk)
            .arg("16M");
        ground.stopwatch.time(&mut command)?;
    }
    Ok(disk)
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
