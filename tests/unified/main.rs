//! Pure cgroup v2: every limit read back from the kernel and felt, on a host that has nothing else.
//!
//! Runs where such a host is; `cargo test --test vm -- v2::unified` brings one. Elsewhere nothing runs.

#[path = "../support/mod.rs"]
mod support;

mod devices;
mod lifecycle;
mod limits;
mod memory;
mod placement;

fn main() -> std::process::ExitCode {
    if !support::host::is_pure_v2() {
        println!(
            "\nthis host is no pure cgroup v2 host: `cargo test --test vm -- v2::unified` makes one\n"
        );
        return std::process::ExitCode::SUCCESS;
    }
    support::harness::main(
        "unified",
        &[
            ("devices", devices::CASES),
            ("lifecycle", lifecycle::CASES),
            ("limits", limits::CASES),
            ("memory", memory::CASES),
            ("placement", placement::CASES),
        ],
    )
}

/// A file of a container's cgroup, without its last line break.
#[track_caller]
fn value(container: &support::Container<'_>, file: &str) -> String {
    support::sandbox::read(directory(container).join(file))
        .trim_end()
        .to_owned()
}

/// A container's cgroup.
fn directory(container: &support::Container<'_>) -> std::path::PathBuf {
    let path = container.bundle.cgroups_path().trim_start_matches('/');
    std::path::Path::new("/sys/fs/cgroup").join(path)
}

/// A number of a file like `cpu.stat`.
#[track_caller]
fn counter(container: &support::Container<'_>, file: &str, name: &str) -> u64 {
    let text = value(container, file);
    let found = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    found.unwrap_or_else(|| panic!("{file} has no {name}: {text}"))
}
