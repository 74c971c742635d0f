//! Device rules: the eBPF program and the v1 lines against what the rules mean.

use super::super::devices::{self, ALL, Kind, MKNOD, READ, WRITE};
use super::super::{devices_bpf, devices_v1};
use super::*;
use oci::runtime::DeviceRule;
use proptest::prelude::*;

fn rule(allow: bool, kind: &str, major: i64, minor: i64, access: &str) -> DeviceRule {
    DeviceRule {
        allow,
        kind: kind.into(),
        major: Some(major),
        minor: Some(minor),
        access: access.into(),
    }
}

/// The meaning of a rule list: each access is decided by the last rule that names it.
fn allowed(rules: &[DeviceRule], kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    let always = devices::effective(&[]).expect("always").1;
    [MKNOD, READ, WRITE]
        .iter()
        .filter(|bit| access & **bit != 0)
        .all(|bit| {
            let letter = match *bit {
                MKNOD => 'm',
                READ => 'r',
                _ => 'w',
            };
            let by_default = always.iter().any(|r| {
                r.kind == kind
                    && r.access & bit != 0
                    && r.major.is_none_or(|n| n == major)
                    && r.minor.is_none_or(|n| n == minor)
            });
            let named = |r: &&DeviceRule| {
                let number =
                    |rule: Option<i64>, n| rule.is_none_or(|r| r == -1 || r == i64::from(n));
                let kind_fits = match r.kind.as_str() {
                    "c" => kind == Kind::Char,
                    "b" => kind == Kind::Block,
                    _ => true,
                };
                kind_fits
                    && number(r.major, major)
                    && number(r.minor, minor)
                    && r.access.contains(letter)
            };
            by_default || rules.iter().rev().find(named).is_some_and(|r| r.allow)
        })
}

fn encode(program: &[Instruction]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for i in program {
        bytes.extend([i.code, i.src << 4 | i.dst]);
        bytes.extend(i.offset.to_le_bytes());
        bytes.extend(i.constant.to_le_bytes());
    }
    bytes
}

fn run(vm: &rbpf::EbpfVmRaw, kind: Kind, major: u32, minor: u32, access: u8) -> bool {
    let kind: u32 = if kind == Kind::Char { 2 } else { 1 };
    let mut context = Vec::new();
    for word in [u32::from(access) << 16 | kind, major, minor] {
        context.extend(word.to_le_bytes());
    }
    vm.execute_program(&mut context).expect("run") == 1
}

fn any_rule() -> impl Strategy<Value = DeviceRule> {
    let kind = prop_oneof![Just("a"), Just("c"), Just("b"), Just("")];
    let number =
        || prop_oneof![2 => Just(-1i64), 6 => 0i64..6, 1 => Just(4095), 1 => Just(1 << 20)];
    let access = prop_oneof![3 => Just("rwm"), 1 => Just("r"), 1 => Just("w"), 1 => Just("m"), 1 => Just("rw"), 1 => Just("wm")];
    (any::<bool>(), kind, number(), number(), access)
        .prop_map(|(allow, kind, major, minor, access)| rule(allow, kind, major, minor, access))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_program_means_what_the_rules_mean(rules in prop::collection::vec(any_rule(), 0..24)) {
        let program = devices_bpf::program(&rules).expect("program").map(|p| encode(&p));
        let vm = program.as_ref().map(|p| rbpf::EbpfVmRaw::new(Some(p)).expect("verified"));
        let numbers = [0, 1, 3, 5, 8, 136, 4095];
        for kind in [Kind::Char, Kind::Block] {
            for (major, minor) in numbers.iter().flat_map(|a| numbers.map(|b| (*a, b))) {
                for access in [READ, WRITE, READ | WRITE, MKNOD, ALL] {
                    prop_assert_eq!(
                        vm.as_ref().is_none_or(|vm| run(vm, kind, major, minor, access)),
                        allowed(&rules, kind, major, minor, access),
                        "{:?} {}:{} {}", kind, major, minor, access
                    );
                }
            }
        }
    }

    #[test]
    fn no_jump_leaves_the_program_and_every_instruction_is_reached(rules in prop::collection::vec(any_rule(), 0..24)) {
        let Some(program) = devices_bpf::program(&rules).expect("program") else { return Ok(()) };
        let mut reached = vec![false; program.len()];
        let mut open = vec![0];
        while let Some(at) = open.pop() {
            prop_assert!(at < program.len());
            if std::mem::replace(&mut reached[at], true) {
                continue;
            }
            let target = (at as i64 + 1 + i64::from(program[at].offset)) as usize;
            match program[at].code {
                0x95 => {}
                0x05 => open.push(target),
                0x16 | 0x56 | 0x46 => open.extend([at + 1, target]),
                _ => open.push(at + 1),
            }
        }
        prop_assert!(reached.iter().all(|r| *r));
    }

    #[test]
    fn v1_never_allows_more_than_the_rules(rules in prop::collection::vec(any_rule(), 0..16)) {
        let Ok(writes) = devices_v1::writes(&rules) else { return Ok(()) };
        let kernel = V1Kernel::after(&writes);
        for (kind, letter) in [(Kind::Char, 'c'), (Kind::Block, 'b')] {
            for (major, minor) in (0..6).flat_map(|a| (0..6).map(move |b| (a, b))) {
                for access in [READ, WRITE, READ | WRITE] {
                    let says = kernel.allows(letter, major, minor, access);
                    prop_assert!(!says || allowed(&rules, kind, major, minor, access), "{letter} {major}:{minor} {access}\n{writes:?}");
                }
            }
        }
    }
}

/// The kernel's v1 device cgroup: a default and exceptions to it, compared by their exact numbers.
#[derive(Default)]
struct V1Kernel {
    allow_by_default: bool,
    exceptions: Vec<(char, Option<u32>, Option<u32>, u8)>,
}

impl V1Kernel {
    fn after(writes: &[Write]) -> V1Kernel {
        let mut kernel = V1Kernel {
            allow_by_default: true,
            exceptions: Vec::new(),
        };
        for write in writes {
            let Write::One(one) = write else {
                panic!("{write:?}")
            };
            kernel.write(one.file == "devices.allow", &one.value);
        }
        kernel
    }

    fn write(&mut self, allow: bool, value: &str) {
        let mut parts = value.split([' ', ':']);
        let kind = parts.next().expect("kind").chars().next().expect("letter");
        if kind == 'a' {
            *self = V1Kernel {
                allow_by_default: allow,
                exceptions: Vec::new(),
            };
            return;
        }
        let mut number = || parts.next().expect("number").parse::<u32>().ok();
        let (major, minor) = (number(), number());
        let letters = parts.next().expect("access");
        let access = letters.chars().fold(0, |bits, c| {
            bits | match c {
                'r' => READ,
                'w' => WRITE,
                _ => MKNOD,
            }
        });
        let found = self
            .exceptions
            .iter_mut()
            .find(|e| (e.0, e.1, e.2) == (kind, major, minor));
        match (allow == self.allow_by_default, found) {
            (true, Some(exception)) => exception.3 &= !access,
            (true, None) => {}
            (false, Some(exception)) => exception.3 |= access,
            (false, None) => self.exceptions.push((kind, major, minor, access)),
        }
        self.exceptions.retain(|e| e.3 != 0);
    }

    fn allows(&self, kind: char, major: u32, minor: u32, access: u8) -> bool {
        let mut fitting = self.exceptions.iter().filter(|e| {
            e.0 == kind && e.1.is_none_or(|n| n == major) && e.2.is_none_or(|n| n == minor)
        });
        match self.allow_by_default {
            true => !fitting.any(|e| e.3 & access != 0),
            false => fitting.any(|e| e.3 & access == access),
        }
    }
}

fn v1_lines(rules: &[DeviceRule]) -> Vec<String> {
    let writes = devices_v1::writes(rules).expect("writes");
    writes.iter().map(|w| w.to_string()).collect()
}

#[test]
fn without_rules_only_the_always_allowed_devices_are() {
    let expected = [
        "devices.deny = \"a\"",
        "devices.allow = \"c *:* m\"",
        "devices.allow = \"b *:* m\"",
        "devices.allow = \"c 1:3 rwm\"",
        "devices.allow = \"c 1:5 rwm\"",
        "devices.allow = \"c 1:7 rwm\"",
        "devices.allow = \"c 1:8 rwm\"",
        "devices.allow = \"c 1:9 rwm\"",
        "devices.allow = \"c 5:0 rwm\"",
        "devices.allow = \"c 5:2 rwm\"",
        "devices.allow = \"c 136:* rwm\"",
    ];
    assert_eq!(v1_lines(&[]), expected);
    assert_eq!(v1_lines(&[rule(false, "a", -1, -1, "rwm")]), expected);
}

#[test]
fn a_privileged_container_needs_no_program() {
    let all = [rule(true, "a", -1, -1, "rwm")];
    assert_eq!(devices_bpf::program(&all), Ok(None));
    assert_eq!(
        v1_lines(&all),
        ["devices.allow = \"a\" (a refusal is a warning)"]
    );
}

#[test]
fn v1_takes_back_each_covered_exception_and_refuses_holes() {
    let rules = [
        rule(true, "c", 10, 229, "rw"),
        rule(true, "c", 10, 200, "rwm"),
        rule(false, "c", 10, -1, "w"),
    ];
    let lines = v1_lines(&rules);
    assert!(
        lines.contains(&"devices.deny = \"c 10:229 w\"".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"devices.deny = \"c 10:200 w\"".to_owned()),
        "{lines:?}"
    );
    let hole = [
        rule(true, "c", 10, -1, "rwm"),
        rule(false, "c", 10, 229, "rw"),
    ];
    let error = devices_v1::writes(&hole).expect_err("hole");
    assert!(
        error
            .to_string()
            .contains("can't except c 10:229 rw from c 10:* rwm"),
        "{error}"
    );
    let docker = [
        rule(true, "c", -1, -1, "m"),
        rule(false, "c", 10, 200, "rwm"),
    ];
    assert!(devices_v1::writes(&docker).is_ok());
}

#[test]
fn the_usual_rules_make_a_short_program() {
    let program = devices_bpf::program(&[rule(false, "a", -1, -1, "rwm")])
        .expect("ok")
        .expect("program");
    assert!(program.len() <= 32, "{} instructions", program.len());
}
