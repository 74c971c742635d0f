//! Names to addresses without libc: `/etc/hosts`, then the name servers of `/etc/resolv.conf`.
//!
//! A static binary must not call `getaddrinfo`: glibc would load the host's NSS libraries into it.

use super::dns::{self, Answer, RecordType};
use super::endpoint::bare_host;
use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

/// More name servers than this are not asked, as in libc.
const MAX_SERVERS: usize = 3;

/// As many as `ureq` tries.
const MAX_ADDRESSES: usize = 16;

/// The system's resolver configuration, read anew at each look-up.
#[derive(Debug, Clone)]
pub(super) struct SystemResolver {
    hosts: PathBuf,
    resolv_conf: PathBuf,
}

impl Default for SystemResolver {
    fn default() -> Self {
        SystemResolver {
            hosts: "/etc/hosts".into(),
            resolv_conf: "/etc/resolv.conf".into(),
        }
    }
}

impl Resolver for SystemResolver {
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = bare_host(uri.host().unwrap_or_default());
        let port = uri
            .port_u16()
            .unwrap_or(if uri.scheme_str() == Some("https") {
                443
            } else {
                80
            });
        let mut found = self.empty();
        for address in self.look_up(host)?.into_iter().take(MAX_ADDRESSES) {
            found.push(SocketAddr::new(address, port));
        }
        match found.is_empty() {
            true => Err(ureq::Error::HostNotFound),
            false => Ok(found),
        }
    }
}

impl SystemResolver {
    /// All addresses of a name; none when there is no such name.
    pub(super) fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let text = fs::read_to_string(&self.hosts).unwrap_or_default();
        let listed = in_hosts(&text, host);
        if !listed.is_empty() {
            return Ok(listed);
        }
        // RFC 6761: never a question for a name server.
        if host.eq_ignore_ascii_case("localhost")
            || host.to_ascii_lowercase().ends_with(".localhost")
        {
            return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        let settings = Settings::parse(&fs::read_to_string(&self.resolv_conf).unwrap_or_default());
        for name in settings.candidates(host) {
            let addresses = settings.ask(&name)?;
            if !addresses.is_empty() {
                return Ok(addresses);
            }
        }
        Ok(Vec::new())
    }
}

fn in_hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let lines = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default());
    lines
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let address = words.next()?.parse().ok()?;
            words
                .any(|name| name.eq_ignore_ascii_case(host))
                .then_some(address)
        })
        .collect()
}

/// What `resolv.conf(5)` says.
#[derive(Debug, PartialEq, Eq)]
struct Settings {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    ndots: usize,
    timeout: Duration,
    attempts: u32,
}

impl Settings {
    fn parse(text: &str) -> Settings {
        let mut settings = Settings {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
        };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") if settings.servers.len() < MAX_SERVERS => {
                    let address = words.next().and_then(|word| word.parse().ok());
                    settings
                        .servers
                        .extend(address.map(|ip: IpAddr| SocketAddr::new(ip, 53)));
                }
                Some("search" | "domain") => settings.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|word| settings.option(word)),
                _ => {}
            }
        }
        if settings.servers.is_empty() {
            settings.servers.push((Ipv4Addr::LOCALHOST, 53).into());
        }
        settings
    }

    fn option(&mut self, word: &str) {
        let Some((name, Ok(value))) = word
            .split_once(':')
            .map(|(name, value)| (name, value.parse::<u32>()))
        else {
            return;
        };
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = Duration::from_secs(u64::from(value.clamp(1, 30))),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The name with and without the search list, in the order to try.
    fn candidates(&self, host: &str) -> Vec<String> {
        if host.ends_with('.') {
            return vec![host.to_owned()];
        }
        let mut names: Vec<String> = self
            .search
            .iter()
            .map(|domain| format!("{host}.{domain}"))
            .collect();
        match host.matches('.').count() >= self.ndots {
            true => names.insert(0, host.to_owned()),
            false => names.push(host.to_owned()),
        }
        names
    }

    fn ask(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let four = self.ask_for(name, RecordType::A);
        let six = self.ask_for(name, RecordType::Aaaa);
        match (four, six) {
            (Err(error), Err(_)) => Err(error),
            (Err(error), Ok(six)) if six.is_empty() => Err(error),
            (four, six) => Ok(four
                .into_iter()
                .flatten()
                .chain(six.into_iter().flatten())
                .collect()),
        }
    }

    fn ask_for(&self, name: &str, record: RecordType) -> io::Result<Vec<IpAddr>> {
        let mut problem = io::Error::new(
            io::ErrorKind::TimedOut,
            format!("look up {name}: no name server answers"),
        );
        for _ in 0..self.attempts {
            for server in &self.servers {
                match ask_server(*server, name, record, self.timeout) {
                    Ok(Answer::Addresses(addresses)) => return Ok(addresses),
                    Ok(Answer::NoName) => return Ok(Vec::new()),
                    Ok(_) => {
                        problem =
                            io::Error::other(format!("look up {name}: name server {server} fails"))
                    }
                    Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(error),
                    Err(_) => {}
                }
            }
        }
        Err(problem)
    }
}

fn ask_server(
    server: SocketAddr,
    name: &str,
    record: RecordType,
    timeout: Duration,
) -> io::Result<Answer> {
    // An unguessable id; the kernel adds an unguessable port, and `connect` drops what others send.
    let id = RandomState::new().build_hasher().finish() as u16;
    let question = dns::question(id, name, record).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("look up {name}: not a host name"),
        )
    })?;
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0))?;
    socket.connect(server)?;
    socket.send(&question)?;
    let deadline = Instant::now() + timeout;
    let mut buffer = [0; dns::UDP_BYTES as usize];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        socket.set_read_timeout(Some(left))?;
        let count = socket.recv(&mut buffer)?;
        match dns::answer(&question, &buffer[..count], record) {
            Answer::Foreign => continue,
            Answer::Truncated => return ask_over_tcp(server, &question, record, timeout),
            answer => return Ok(answer),
        }
    }
}

fn ask_over_tcp(
    server: SocketAddr,
    question: &[u8],
    record: RecordType,
    timeout: Duration,
) -> io::Result<Answer> {
    let mut stream = TcpStream::connect_timeout(&server, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let mut framed = (question.len() as u16).to_be_bytes().to_vec();
    framed.extend(question);
    stream.write_all(&framed)?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(dns::answer(question, &message, record))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::dns::tests::reply;
    use std::net::TcpListener;

    #[test]
    fn hosts_come_before_dns() {
        let text =
            "127.0.0.1 localhost\n# 10.0.0.1 no\n10.0.0.2 Registry.Local r # c\n10.0.0.3 r\n";
        let found: Vec<String> = in_hosts(text, "R")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["10.0.0.2", "10.0.0.3"]);
        assert!(in_hosts(text, "no").is_empty());
    }

    #[test]
    fn resolv_conf() {
        let settings = Settings::parse(
            "nameserver 1.1.1.1\nnameserver ::1\nsearch a.b c\noptions ndots:2 timeout:1 rotate\n",
        );
        assert_eq!(settings.servers.len(), 2);
        assert_eq!(
            (settings.ndots, settings.timeout),
            (2, Duration::from_secs(1))
        );
        assert_eq!(settings.candidates("r.x"), ["r.x.a.b", "r.x.c", "r.x"]);
        assert_eq!(
            settings.candidates("r.x.y"),
            ["r.x.y", "r.x.y.a.b", "r.x.y.c"]
        );
        assert_eq!(settings.candidates("r."), ["r."]);
        assert_eq!(
            Settings::parse("").servers,
            ["127.0.0.1:53".parse().expect("parses")]
        );
    }

    /// A name server on loopback: silent once, then truncated over UDP, whole over TCP.
    #[test]
    fn a_lost_packet_and_a_long_answer() {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("binds");
        let server = udp.local_addr().expect("is bound");
        let tcp = TcpListener::bind(server).expect("binds");
        let address: IpAddr = "192.0.2.7".parse().expect("parses");
        let thread = std::thread::spawn(move || {
            let mut buffer = [0; 512];
            udp.recv_from(&mut buffer).expect("receives");
            let (count, from) = udp.recv_from(&mut buffer).expect("receives");
            udp.send_to(&reply(&buffer[..count], [0x83, 0x80], &[]), from)
                .expect("sends");
            let (mut stream, _) = tcp.accept().expect("accepts");
            let count = stream.read(&mut buffer).expect("reads");
            let answer = reply(&buffer[2..count], [0x81, 0x80], &[address]);
            let mut framed = (answer.len() as u16).to_be_bytes().to_vec();
            framed.extend(answer);
            stream.write_all(&framed).expect("writes");
        });
        let settings = Settings {
            servers: vec![server],
            timeout: Duration::from_millis(200),
            ..Settings::parse("")
        };
        assert_eq!(
            settings
                .ask_for("registry.example", RecordType::A)
                .expect("answers"),
            [address]
        );
        thread.join().expect("ends");
    }

    #[test]
    fn addresses_and_localhost_need_no_server() {
        let resolver = SystemResolver {
            hosts: "/nonexistent".into(),
            resolv_conf: "/nonexistent".into(),
        };
        assert_eq!(
            resolver.look_up("10.1.2.3").expect("is one"),
            ["10.1.2.3".parse::<IpAddr>().expect("parses")]
        );
        assert_eq!(resolver.look_up("::1").expect("is one").len(), 1);
        assert_eq!(resolver.look_up("a.localhost").expect("is known").len(), 2);
    }
}
