//! libseccomp, in a helper process that is built once a test run and started once a thread.

use crun_lite::plan::seccomp::{Arch, SockFilter};
use oci::runtime::{Seccomp, SyscallArg};
use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;

/// `oracle.c`, compiled.
static PROGRAM: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let program = directory.join(format!("seccomp-oracle-{}", std::process::id()));
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seccomp/oracle.c");
    let mut cc = Command::new("cc");
    cc.args(["-O1", "-Wall", "-Werror", "-o"]).arg(&program);
    let status = cc.args([source, "-lseccomp"]).status().expect("run cc");
    assert!(status.success(), "build {source}: install libseccomp-dev");
    program
});

/// A running helper.
struct Oracle {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

thread_local! {
    static ORACLE: RefCell<Oracle> = RefCell::new(Oracle::start());
}

/// libseccomp's number of a call, where the architecture has it.
pub fn number(arch: Arch, name: &str) -> Option<u32> {
    let answer = ask(&format!("number {} {name}\n", token(arch)));
    let number: i32 = answer.trim().parse().expect("a number");
    u32::try_from(number).ok()
}

/// libseccomp's filter for a profile as runc would have it made; the first architecture is native.
/// The error is libseccomp's, which refuses some contradictory rules.
pub fn filter(
    profile: &Seccomp,
    default: u32,
    archs: &[Arch],
    actions: &[u32],
) -> Result<Vec<SockFilter>, String> {
    let mut rules = String::new();
    let mut count = 0;
    for (rule, action) in profile.syscalls.iter().zip(actions) {
        for name in rule.names.iter().filter(|_| *action != default) {
            for args in alternatives(&rule.args) {
                write!(rules, "{action} {name} {}", args.len()).unwrap();
                for arg in args {
                    let op = operator(&arg.op);
                    write!(rules, " {} {op} {} {}", arg.index, arg.value, arg.value_two).unwrap();
                }
                rules.push('\n');
                count += 1;
            }
        }
    }
    let tokens: Vec<_> = archs.iter().map(|arch| token(*arch).to_string()).collect();
    let head = format!(
        "filter {default} {} {} {count}\n",
        archs.len(),
        tokens.join(" ")
    );
    let answer = ask(&(head + &rules));
    if answer.starts_with("error") {
        return Err(answer);
    }
    let numbers: Vec<u32> = answer
        .split_whitespace()
        .map(|word| word.parse().expect("a number"))
        .collect();
    let instruction = |words: &[u32]| SockFilter {
        code: words[0] as u16,
        jt: words[1] as u8,
        jf: words[2] as u8,
        k: words[3],
    };
    let filter: Vec<_> = numbers[1..].chunks(4).map(instruction).collect();
    assert_eq!(filter.len(), numbers[0] as usize);
    Ok(filter)
}

/// As runc: conditions that share an argument become rules of their own.
fn alternatives(args: &[SyscallArg]) -> Vec<Vec<&SyscallArg>> {
    let repeated = args
        .iter()
        .enumerate()
        .any(|(at, arg)| args[..at].iter().any(|other| other.index == arg.index));
    match repeated {
        true => args.iter().map(|arg| vec![arg]).collect(),
        false => vec![args.iter().collect()],
    }
}

/// `enum scmp_compare`.
fn operator(name: &str) -> u32 {
    let names = ["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"];
    let at = names
        .iter()
        .position(|known| name.strip_prefix("SCMP_CMP_") == Some(known));
    1 + u32::try_from(at.expect(name)).unwrap()
}

/// libseccomp's own token: x32's lacks the 64-bit mark.
fn token(arch: Arch) -> u32 {
    match arch {
        Arch::X32 => 0x4000_003e,
        _ => arch.token(),
    }
}

fn ask(request: &str) -> String {
    ORACLE.with_borrow_mut(|oracle| {
        oracle
            .requests
            .write_all(request.as_bytes())
            .expect("ask the oracle");
        let mut answer = String::new();
        oracle
            .answers
            .read_line(&mut answer)
            .expect("hear the oracle");
        assert!(!answer.is_empty(), "the oracle died of: {request}");
        answer
    })
}

impl Oracle {
    fn start() -> Oracle {
        let mut command = Command::new(&*PROGRAM);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("start the oracle");
        Oracle {
            requests: child.stdin.take().expect("piped"),
            answers: BufReader::new(child.stdout.take().expect("piped")),
            child,
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
