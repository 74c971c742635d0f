//! The D-Bus client against a manager played by the test, and against a real bus, which checks every byte that we send.

use super::bus::{Manager, WORK_TICKS, processor_ticks};
use super::wire::{self, Kind, answer};
use crate::plan::cgroup::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;

fn properties() -> Vec<(String, Value)> {
    let text = |t: &str| Value::Text(t.into());
    vec![
        ("Delegate".into(), Value::Bool(true)),
        (
            "PIDs".into(),
            Value::Array("u".into(), vec![Value::U32(7), Value::U32(8)]),
        ),
        ("MemoryMax".into(), Value::U64(1 << 30)),
        (
            "AllowedCPUs".into(),
            Value::Array("y".into(), vec![Value::Byte(3)]),
        ),
        ("Description".into(), text("ünïcode")),
        ("Nice".into(), Value::I32(-5)),
        ("Ratio".into(), Value::F64(0.5)),
        ("Offset".into(), Value::I64(-1)),
        ("Empty".into(), Value::Array("(ss)".into(), Vec::new())),
        (
            "DeviceAllow".into(),
            Value::Array(
                "(ss)".into(),
                vec![Value::Struct(vec![text("/dev/char/1:3"), text("rwm")])],
            ),
        ),
    ]
}

fn start(manager: &mut Manager) -> u32 {
    manager.call("StartTransientUnit", "ssa(sv)a(sa(sv))", |body| {
        body.text("x.scope");
        body.text("replace");
        body.properties(&properties());
        body.array(8, |_| {});
    })
}

/// Signs the client in, then answers its first message with these bytes.
fn manager_that_answers(answers: impl FnOnce(u32) -> Vec<Vec<u8>> + Send + 'static) -> Manager {
    let (ours, mut theirs) = UnixStream::pair().expect("pair");
    std::thread::spawn(move || {
        let mut seen = Vec::new();
        let mut chunk = [0; 4096];
        let begin = b"BEGIN\r\n";
        let message_at = loop {
            let count = theirs.read(&mut chunk).expect("read");
            seen.extend_from_slice(&chunk[..count]);
            if let Some(at) = seen.windows(begin.len()).position(|w| w == begin) {
                break at + begin.len();
            }
        };
        assert!(seen.starts_with(b"\0AUTH EXTERNAL\r\n"));
        // systemd forgets a message that comes together with BEGIN.
        assert_eq!(message_at, seen.len());
        theirs.write_all(b"DATA\r\nOK 0123\r\n").expect("write");
        let count = theirs.read(&mut chunk).expect("read");
        let message = &chunk[..count];
        assert_eq!(wire::length(message), Some(message.len()));
        let call = wire::decode(message).expect("call");
        assert_eq!(
            (call.kind, call.member.as_str()),
            (Kind::Call, "StartTransientUnit")
        );
        assert_eq!(call.body, ["x.scope", "replace"]);
        for bytes in answers(1) {
            // In two pieces: a message need not come at once.
            theirs.write_all(&bytes[..9]).expect("write");
            theirs.write_all(&bytes[9..]).expect("write");
        }
    });
    Manager::on(ours, false, None, Duration::from_secs(15)).expect("manager")
}

#[test]
fn a_job_is_waited_for_even_when_its_end_comes_first() {
    for signal_first in [false, true] {
        let mut manager = manager_that_answers(move |serial| {
            let reply = answer(Kind::Reply, serial, (MEMBER, "x"), "o", &["/job/5"]);
            let other = answer(
                Kind::Signal,
                0,
                (MEMBER, "JobRemoved"),
                "uoss",
                &["4", "/job/4", "y.scope", "failed"],
            );
            let ours = answer(
                Kind::Signal,
                0,
                (MEMBER, "JobRemoved"),
                "uoss",
                &["5", "/job/5", "x.scope", "done"],
            );
            match signal_first {
                true => vec![ours, reply],
                false => vec![reply, other, ours],
            }
        });
        let serial = start(&mut manager);
        assert_eq!(manager.job(serial).expect("job"), Ok("done".into()));
    }
}

#[test]
fn a_refusal_has_its_name_and_sentence() {
    let mut manager = manager_that_answers(|serial| {
        let name = "org.freedesktop.systemd1.UnitExists";
        vec![answer(
            Kind::Error,
            serial,
            (ERROR_NAME, name),
            "s",
            &["Unit x.scope already exists."],
        )]
    });
    let serial = start(&mut manager);
    let refusal = manager.job(serial).expect("job").expect_err("refused");
    assert!(refusal.is("UnitExists"));
    assert_eq!(
        refusal.into_error("start x").to_string(),
        "start x: Unit x.scope already exists. (org.freedesktop.systemd1.UnitExists)"
    );
}

/// A manager that reads all, and says of each message what `answers` says of its member and its number.
fn manager_that_takes_its_time(
    process: Option<i32>,
    silence: Duration,
    mut answers: impl FnMut(&str, u32) -> Vec<Vec<u8>> + Send + 'static,
) -> Manager {
    let (ours, mut theirs) = UnixStream::pair().expect("pair");
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        let mut unread = Vec::new();
        // No message comes before our answer to this.
        while !unread.ends_with(b"BEGIN\r\n") {
            let count = theirs.read(&mut chunk).expect("read");
            unread.extend_from_slice(&chunk[..count]);
        }
        unread.clear();
        theirs.write_all(b"DATA\r\nOK 0123\r\n").expect("write");
        for number in 1.. {
            while wire::length(&unread).is_none_or(|length| unread.len() < length) {
                match theirs.read(&mut chunk) {
                    Ok(count) if count > 0 => unread.extend_from_slice(&chunk[..count]),
                    _ => return,
                }
            }
            let length = wire::length(&unread).expect("length");
            let message: Vec<u8> = unread.drain(..length).collect();
            let member = wire::decode(&message).expect("message").member;
            for bytes in answers(&member, number) {
                theirs.write_all(&bytes).expect("write");
            }
        }
    });
    Manager::on(ours, false, process, silence).expect("manager")
}

/// More silences than a manager that does not answer is allowed; each long enough for a thread that has to wait.
#[test]
fn a_manager_that_answers_is_waited_for_without_limit() {
    let mut manager =
        manager_that_takes_its_time(None, Duration::from_millis(300), |member, number| {
            match (member, number) {
                ("StartTransientUnit", _) => {
                    vec![answer(Kind::Reply, 1, (MEMBER, "x"), "o", &["/job/5"])]
                }
                ("Ping", 8) => {
                    let words = ["5", "/job/5", "x.scope", "done"];
                    vec![answer(
                        Kind::Signal,
                        0,
                        (MEMBER, "JobRemoved"),
                        "uoss",
                        &words,
                    )]
                }
                (_, number) => vec![answer(Kind::Reply, number, (MEMBER, "x"), "", &[])],
            }
        });
    let serial = start(&mut manager);
    assert_eq!(manager.job(serial).expect("job"), Ok("done".into()));
}

#[test]
fn a_manager_that_neither_answers_nor_works_is_given_up() {
    let mut idle = Command::new("sleep").arg("1000").spawn().expect("sleep");
    let pid = i32::try_from(idle.id()).expect("pids fit");
    for process in [None, Some(pid)] {
        let mut manager =
            manager_that_takes_its_time(process, Duration::from_millis(2), |_, _| Vec::new());
        let serial = start(&mut manager);
        let error = manager.job(serial).expect_err("nobody answers");
        assert_eq!(error.to_string(), "systemd neither answers nor works");
    }
    idle.kill().expect("kill");
    idle.wait().expect("wait");
}

#[test]
fn work_is_seen() {
    let pid = i32::try_from(std::process::id()).expect("pids fit");
    let before = processor_ticks(pid).expect("ticks");
    // Ends when this process has worked so much.
    while processor_ticks(pid).expect("ticks") < before + WORK_TICKS {}
    assert_eq!(processor_ticks(0), None);
}

#[test]
fn a_connection_that_ends_is_an_error() {
    let mut manager = manager_that_answers(|_| Vec::new());
    let serial = start(&mut manager);
    let error = manager.job(serial).expect_err("closed");
    assert_eq!(error.to_string(), "systemd closed the connection");
}

/// The daemon takes apart every value that passes through it and hangs up on a malformed one.
#[test]
fn a_real_bus_accepts_what_we_send() {
    let spawned = Command::new("dbus-daemon")
        .args(["--session", "--nofork", "--print-address"])
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut daemon) = spawned else {
        return; // No bus is installed here.
    };
    let mut address = String::new();
    let output = daemon.stdout.take().expect("stdout");
    BufReader::new(output)
        .read_line(&mut address)
        .expect("address");
    let path = address
        .strip_prefix("unix:path=")
        .and_then(|a| a.split(',').next())
        .expect("path");
    let mut manager = Manager::on(
        UnixStream::connect(path.trim()).expect("connect"),
        true,
        None,
        Duration::from_secs(15),
    )
    .expect("manager");
    let serial = start(&mut manager);
    let answer = manager.job(serial);
    daemon.kill().expect("kill");
    daemon.wait().expect("wait");
    let refusal = answer
        .expect("the bus keeps the connection")
        .expect_err("nobody is systemd here");
    assert!(
        refusal.is("ServiceUnknown") || refusal.name.contains("Spawn"),
        "{refusal:?}"
    );
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    assert_eq!(wire::decode(&[]), None);
    assert_eq!(wire::decode(&[b'B'; 32]), None);
    let whole = answer(Kind::Reply, 1, (MEMBER, "x"), "os", &["/job/5", "text"]);
    for end in 0..whole.len() {
        let _ = wire::decode(&whole[..end]);
    }
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] = 0xff;
        let _ = (wire::length(&bytes), wire::decode(&bytes));
    }
}
