//! One private connection to a systemd manager: all that a command has to say goes out at once, without a thread.
//!
//! The system's manager answers root on a socket of its own, without the bus in between; otherwise it is asked by the bus.

use super::wire::{self, Call, Kind, Message, Writer};
use crate::error::{Context, Error, Result};
use crate::sys::process::stat_fields;
use nix::sys::socket::{getsockopt, sockopt};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

const MANAGER: &str = "org.freedesktop.systemd1.Manager";
const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
const BUS: &str = "org.freedesktop.DBus";

/// After so long a silence the manager is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(15);

/// After so many silences, none of them broken by an answer or filled with work, it hangs. Whatever it says, to us or
/// to all, begins the count anew: hundreds of scopes at once queue up in systemd, and a job takes what its unit allows.
const SILENCES: u32 = 6;

/// A manager that used so many clock ticks during a silence was busy with others: a hundredth of that time.
pub(super) const WORK_TICKS: u64 = 15;

/// An open connection.
#[derive(Debug)]
pub struct Manager {
    stream: UnixStream,
    /// Whether a bus is in between.
    by_bus: bool,
    serial: u32,
    unsent: Vec<u8>,
    unread: Vec<u8>,
    signed_in: bool,
    /// The manager's own process, where no bus is in between.
    process: Option<i32>,
}

/// Where a manager may be found, the direct way first.
fn addresses(user: bool) -> Vec<(PathBuf, bool)> {
    let variable = if user {
        "DBUS_SESSION_BUS_ADDRESS"
    } else {
        "DBUS_SYSTEM_BUS_ADDRESS"
    };
    let named = std::env::var(variable).ok().and_then(|address| {
        let path = address
            .strip_prefix("unix:path=")?
            .split([',', ';'])
            .next()?
            .to_owned();
        Some((PathBuf::from(path), true))
    });
    if named.is_some() {
        return named.into_iter().collect();
    }
    match user {
        true => {
            let uid = nix::unistd::Uid::effective();
            let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
            let runtime = runtime.unwrap_or_else(|| format!("/run/user/{uid}").into());
            vec![
                (runtime.join("systemd/private"), false),
                (runtime.join("bus"), true),
            ]
        }
        false => vec![
            ("/run/systemd/private".into(), false),
            ("/run/dbus/system_bus_socket".into(), true),
        ],
    }
}

impl Manager {
    /// Connects to the system's or the user's manager. Nothing is sent yet.
    pub fn connect(user: bool) -> Result<Manager> {
        let mut failures = Vec::new();
        for (path, by_bus) in addresses(user) {
            match UnixStream::connect(&path) {
                Ok(stream) => {
                    let peer = getsockopt(&stream, sockopt::PeerCredentials).ok();
                    let process = peer.map(|peer| peer.pid()).filter(|_| !by_bus);
                    return Manager::on(stream, by_bus, process, SILENCE);
                }
                Err(error) => failures.push(
                    Error::io(format_args!("connect to {}", path.display()), &error).to_string(),
                ),
            }
        }
        let whose = if user { "the user's" } else { "the system's" };
        Err(
            Error::new(format!("reach {whose} systemd: {}", failures.join("; "))).hint(
                "without systemd leave --systemd-cgroup out (or say --cgroup-manager cgroupfs)",
            ),
        )
    }

    /// Queues authentication and, on a bus, the greeting and the wish for signals: no reply is waited for.
    /// systemd itself is signed in with first: what it reads together with the last line of that it leaves lying until
    /// something else happens on the connection.
    pub(super) fn on(
        stream: UnixStream,
        by_bus: bool,
        process: Option<i32>,
        silence: Duration,
    ) -> Result<Manager> {
        stream
            .set_read_timeout(Some(silence))
            .context("set a time limit on the D-Bus connection")?;
        let mut manager = Manager {
            stream,
            by_bus,
            serial: 0,
            // The empty DATA leaves our identity to the socket's credentials, which is right in user namespaces too.
            unsent: b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n".to_vec(),
            unread: Vec::new(),
            signed_in: false,
            process,
        };
        if !by_bus {
            manager.send()?;
            manager.wait_signed_in()?;
        } else {
            let bus = |member, signature| Call {
                destination: Some(BUS),
                path: "/org/freedesktop/DBus",
                interface: BUS,
                member,
                signature,
            };
            manager.queue(bus("Hello", ""), |_| {});
            manager.queue(bus("AddMatch", "s"), |body| {
                body.text("type='signal',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'");
            });
            manager.call("Subscribe", "", |_| {});
        }
        Ok(manager)
    }

    fn queue(&mut self, call: Call<'_>, body: impl FnOnce(&mut Writer)) -> u32 {
        self.serial += 1;
        self.unsent.extend(call.encode(self.serial, body));
        self.serial
    }

    /// Queues a method call of the manager; its serial.
    pub fn call(&mut self, member: &str, signature: &str, body: impl FnOnce(&mut Writer)) -> u32 {
        let call = Call {
            destination: self.by_bus.then_some("org.freedesktop.systemd1"),
            path: MANAGER_PATH,
            interface: MANAGER,
            member,
            signature,
        };
        self.queue(call, body)
    }

    /// Sends what is queued, waits for the answer to `serial`: its body, or the error's name and text.
    pub fn reply(&mut self, serial: u32) -> Result<Result<Vec<String>, Refusal>> {
        self.send()?;
        self.wait(|message| {
            let ours = message.reply_to == serial;
            match message.kind {
                Kind::Reply if ours => Some(Ok(message.body.clone())),
                Kind::Error if ours => Some(Err(Refusal {
                    name: message.error.clone(),
                    text: message.body.first().cloned().unwrap_or_default(),
                })),
                _ => None,
            }
        })
    }

    /// Like [`Manager::reply`] for a call that starts a job, then waits for the job's end: its result.
    pub fn job(&mut self, serial: u32) -> Result<Result<String, Refusal>> {
        self.send()?;
        let mut job = None;
        let mut finished: Vec<(String, String)> = Vec::new();
        self.wait(|message| {
            match message.kind {
                Kind::Reply if message.reply_to == serial => {
                    job = message.body.first().cloned();
                }
                Kind::Error if message.reply_to == serial => {
                    let text = message.body.first().cloned().unwrap_or_default();
                    return Some(Err(Refusal {
                        name: message.error.clone(),
                        text,
                    }));
                }
                // Number, object, unit, result. It may come before the reply.
                Kind::Signal if message.member == "JobRemoved" => {
                    if let [_, object, _, result] = &message.body[..] {
                        finished.push((object.clone(), result.clone()));
                    }
                }
                _ => {}
            }
            let ours = finished
                .iter()
                .find(|(object, _)| Some(object) == job.as_ref());
            ours.map(|(_, result)| Ok(result.clone()))
        })
    }

    fn send(&mut self) -> Result<()> {
        let bytes = std::mem::take(&mut self.unsent);
        self.stream.write_all(&bytes).context("send to systemd")
    }

    fn wait<T>(&mut self, mut judge: impl FnMut(&Message) -> Option<T>) -> Result<T> {
        loop {
            self.sign_in()?;
            while let Some(message) = self.next_message()? {
                if let Some(found) = judge(&message) {
                    return Ok(found);
                }
            }
            self.receive()?;
        }
    }

    fn wait_signed_in(&mut self) -> Result<()> {
        while !self.signed_in {
            self.receive()?;
            self.sign_in()?;
        }
        Ok(())
    }

    /// Waits for more, as long as the manager says or does something.
    fn receive(&mut self) -> Result<()> {
        let mut chunk = [0; 4096];
        let (mut silences, mut worked) = (0, None);
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Error::new("systemd closed the connection")),
                Ok(count) => {
                    self.unread.extend_from_slice(&chunk[..count]);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let ticks = self.process.and_then(processor_ticks);
                    let is_busy = ticks
                        .zip(worked)
                        .is_some_and(|(now, then)| now >= then + WORK_TICKS);
                    silences = if is_busy { 0 } else { silences + 1 };
                    worked = ticks;
                    if silences >= SILENCES {
                        return Err(Error::new("systemd neither answers nor works"));
                    }
                    self.ask()?;
                }
                Err(error) => return Err(Error::io("wait for systemd's answer", &error)),
            }
        }
    }

    /// A question that a manager answers without doing anything. Nothing may come between the lines of signing in.
    fn ask(&mut self) -> Result<()> {
        if !self.signed_in {
            return Ok(());
        }
        let ping = Call {
            destination: self.by_bus.then_some("org.freedesktop.systemd1"),
            path: MANAGER_PATH,
            interface: "org.freedesktop.DBus.Peer",
            member: "Ping",
            signature: "",
        };
        self.queue(ping, |_| {});
        self.send()
    }

    /// Two lines come before the first message: the answers to AUTH and DATA.
    fn sign_in(&mut self) -> Result<()> {
        while !self.signed_in {
            let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") else {
                return Ok(());
            };
            let line: Vec<u8> = self.unread.drain(..end + 2).collect();
            match &line[..] {
                line if line.starts_with(b"OK") => self.signed_in = true,
                line if line.starts_with(b"DATA") => {}
                line => {
                    let line = String::from_utf8_lossy(line);
                    return Err(Error::new(format!(
                        "systemd refuses our identity: {}",
                        line.trim()
                    )));
                }
            }
        }
        Ok(())
    }

    fn next_message(&mut self) -> Result<Option<Message>> {
        if !self.signed_in {
            return Ok(None);
        }
        let Some(length) = wire::length(&self.unread) else {
            return Ok(None);
        };
        if length > wire::MAX_MESSAGE_BYTES {
            return Err(Error::new("systemd sent a message that is too long"));
        }
        if self.unread.len() < length {
            return Ok(None);
        }
        let bytes: Vec<u8> = self.unread.drain(..length).collect();
        let message = wire::decode(&bytes);
        message
            .map(Some)
            .ok_or_else(|| Error::new("systemd sent a message that is none"))
    }
}

/// How long a process has used a processor, in clock ticks: fields 14 and 15.
pub(super) fn processor_ticks(pid: i32) -> Option<u64> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let mut used = stat_fields(&stat)?.skip(11);
    let mut next = || std::str::from_utf8(used.next()?).ok()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// An error that the manager answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Such as `org.freedesktop.systemd1.UnitExists`.
    pub name: String,
    /// Its sentence.
    pub text: String,
}

impl Refusal {
    /// Whether it is this error of systemd's.
    pub fn is(&self, name: &str) -> bool {
        self.name.rsplit('.').next() == Some(name)
    }

    /// As an error of ours.
    pub fn into_error(self, operation: impl std::fmt::Display) -> Error {
        let failed = Error::new(format!("{operation}: {} ({})", self.text, self.name));
        match self.name.ends_with("AccessDenied")
            || self.name.ends_with("InteractiveAuthorizationRequired")
        {
            true => {
                failed.hint("only root may use the system's manager; others have one of their own")
            }
            false => failed,
        }
    }
}
