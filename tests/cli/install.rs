//! `install`: the files, their modes, twice, over an older one, and what stops it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::support::runtime::{self, Output};
use crate::support::{Sandbox, cases, skip};

cases![
    puts_every_file_in_place,
    changes_nothing_the_second_time,
    replaces_an_older_version_while_it_runs,
    the_installed_program_runs,
    pays_no_heed_to_the_umask,
    refuses_a_place_that_is_a_directory,
    refuses_a_prefix_below_a_file,
    refuses_an_empty_prefix,
    says_who_may,
];

const FILES: [(&str, u32); 6] = [
    ("bin/crun-lite", 0o755),
    ("share/man/man1/crun-lite.1", 0o644),
    ("share/man/man1/crun-lite-create.1", 0o644),
    ("share/bash-completion/completions/crun-lite", 0o644),
    ("share/zsh/site-functions/_crun-lite", 0o644),
    ("share/fish/vendor_completions.d/crun-lite.fish", 0o644),
];

fn install(t: &Sandbox, prefix: &Path) -> Output {
    t.runtime_without_root(&["install", "--prefix", &prefix.to_string_lossy()])
        .output()
}

/// Every path below a directory.
fn tree(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("read a directory").path();
        if path.is_dir() {
            all.extend(tree(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

fn puts_every_file_in_place(t: &Sandbox) {
    let prefix = t.new_path("prefix");
    let said = install(t, &prefix).text();
    for (name, mode) in FILES {
        let path = prefix.join(name);
        let there = fs::metadata(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(there.permissions().mode() & 0o7777, mode, "{name}");
        let line = format!("installed {}", path.display());
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    let files = tree(&prefix).into_iter().filter(|path| path.is_file());
    assert_eq!(files.count(), said.lines().count(), "no others: {said}");
    let binary = fs::read(prefix.join(FILES[0].0)).expect("read the binary");
    assert!(binary == fs::read(runtime::path()).expect("read the runtime"));
    let page = fs::read_to_string(prefix.join(FILES[2].0)).expect("read a manual page");
    assert!(page.contains("console\\-socket"), "{page}");
}

fn changes_nothing_the_second_time(t: &Sandbox) {
    let prefix = t.new_path("prefix");
    install(t, &prefix).ok();
    let stamps = || -> Vec<_> {
        let files = tree(&prefix);
        let stamp =
            |path: &PathBuf| fs::metadata(path).map(|there| (there.ino(), there.ctime_nsec()));
        files.iter().filter_map(|path| stamp(path).ok()).collect()
    };
    let before = stamps();
    let said = install(t, &prefix).text();
    assert!(
        said.lines().all(|line| line.starts_with("unchanged ")),
        "{said}"
    );
    assert_eq!(stamps(), before);
}

fn replaces_an_older_version_while_it_runs(t: &Sandbox) {
    let prefix = t.new_path("prefix");
    fs::create_dir_all(prefix.join("bin")).expect("create bin");
    let binary = prefix.join(FILES[0].0);
    crate::support::runtime::copy_program("/bin/sleep", &binary);
    let running = t.program(&[&binary.to_string_lossy(), "100"]).spawn();
    let old = fs::metadata(&binary).expect("look at it").ino();
    install(t, &prefix).ok();
    assert_ne!(fs::metadata(&binary).expect("look at it").ino(), old);
    let still = fs::metadata(format!("/proc/{}", running.pid()));
    assert!(still.is_ok(), "what ran goes on");
    drop(running);
}

fn the_installed_program_runs(t: &Sandbox) {
    let prefix = t.new_path("prefix");
    install(t, &prefix).ok();
    let binary = prefix.join(FILES[0].0);
    let said = t.program(&[&binary.to_string_lossy(), "--version"]);
    assert!(said.output().text().starts_with("crun-lite version "));
    // And it installs itself.
    let arguments = ["install", "--prefix", &prefix.to_string_lossy()];
    let program = binary.to_string_lossy();
    let words: Vec<&str> = std::iter::once(&*program).chain(arguments).collect();
    assert!(t.program(&words).output().text().contains("unchanged"));
}

fn pays_no_heed_to_the_umask(t: &Sandbox) {
    let prefix = t.new_path("prefix");
    let script = "umask 077; exec \"$0\" install --prefix \"$1\"";
    let runtime = runtime::path();
    let words = [
        "sh",
        "-c",
        script,
        &runtime.to_string_lossy(),
        &prefix.to_string_lossy(),
    ];
    t.program(&words).output().ok();
    for path in tree(&prefix) {
        let mode = fs::metadata(&path)
            .expect("look at it")
            .permissions()
            .mode();
        assert_eq!(mode & 0o444, 0o444, "{}: {mode:o}", path.display());
    }
}

fn refuses_a_place_that_is_a_directory(t: &Sandbox) {
    let prefix = t.new_path("prefix");
    fs::create_dir_all(prefix.join(FILES[0].0)).expect("create a directory");
    let before = tree(&prefix);
    install(t, &prefix).fails_with(&["install below", "bin/crun-lite is a directory"]);
    assert_eq!(tree(&prefix), before, "nothing is half done");
}

fn refuses_a_prefix_below_a_file(t: &Sandbox) {
    let file = t.new_path("file");
    fs::write(&file, "").expect("write a file");
    let below = file.join("prefix");
    install(t, &below).fails_with(&["make directory", "not a directory"]);
}

fn refuses_an_empty_prefix(t: &Sandbox) {
    t.runtime_without_root(&["install", "--prefix", ""])
        .output()
        .fails_with(&["--prefix is empty"]);
}

// Root may not make directories in sysfs either.
fn says_who_may(t: &Sandbox) {
    if !Path::new("/sys/kernel").exists() {
        skip("no sysfs here");
    }
    install(t, Path::new("/sys/kernel/crun-lite"))
        .fails_with(&["make directory /sys/kernel/crun-lite", "--prefix ~/.local"]);
}
