//! How long a filter takes: to compile, first and repeatedly, and to load. Prints medians in microseconds.
//!
//! `cargo bench --bench seccomp`. Each filter is loaded in a thread of its own, since filters add up.

use crun_lite::plan::seccomp::{Arch, Options, compile};
use crun_lite::sys::seccomp::load;
use oci::runtime::Seccomp;
use std::hint::black_box;
use std::time::Instant;

const OPTIONS: Options = Options {
    enosys_stub: true,
    unknown_fails: false,
    strict: false,
};

fn main() {
    let docker = include_bytes!("../tests/seccomp/docker.json");
    let podman = include_bytes!("../tests/seccomp/podman.json");
    println!("profile, architectures: instructions; compile first, median; load median (us)");
    for (name, json) in [("docker", &docker[..]), ("podman", &podman[..])] {
        let profile: Seccomp = oci::runtime::parse(json).expect("the profile parses");
        let mut native = profile.clone();
        native.architectures.clear();
        measure(name, &profile);
        measure(name, &native);
    }
}

fn measure(name: &str, profile: &Seccomp) {
    let build = || compile(profile, Arch::NATIVE, &OPTIONS).expect("the profile compiles");
    let first = microseconds(build);
    let plan = build();
    let compiles = median((0..500).map(|_| microseconds(build)));
    let loads = median((0..100).map(|_| {
        std::thread::scope(|scope| scope.spawn(|| time_load(&plan.filter, plan.flags)).join())
            .expect("the thread lives")
    }));
    let archs = profile.architectures.len().max(1);
    let instructions = plan.filter.len();
    println!("{name}, {archs}: {instructions}; {first:.1}, {compiles:.1}; {loads:.1}");
}

fn time_load(filter: &[libc::sock_filter], flags: u32) -> f64 {
    nix::sys::prctl::set_no_new_privs().expect("set no_new_privs");
    microseconds(|| load(filter, flags).expect("load the filter"))
}

fn microseconds<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(work());
    start.elapsed().as_secs_f64() * 1e6
}

fn median(times: impl Iterator<Item = f64>) -> f64 {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
