//! DNS messages: one question out, addresses in. Pure; sockets are the resolver's.
//!
//! RFC 1035, and RFC 6891 for answers longer than 512 bytes. Everything that comes in is hostile.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordType {
    /// IPv4.
    A = 1,
    /// IPv6.
    Aaaa = 28,
}

/// The size of answer that we say we take over UDP, in bytes: fits the paths of the Internet unfragmented.
pub(super) const UDP_BYTES: u16 = 1232;

/// What an answer comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The addresses; none when the name has no such record.
    Addresses(Vec<IpAddr>),
    /// There is no such name.
    NoName,
    /// Longer than UDP carries: ask again over TCP.
    Truncated,
    /// The server failed or refused: another may do better.
    Failed,
    /// Not the answer to our question.
    Foreign,
}

/// A recursive question, or none when the name can't be one.
pub(super) fn question(id: u16, name: &str, record: RecordType) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(64);
    message.extend(id.to_be_bytes());
    // Recursion desired; one question, one additional record.
    message.extend([0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 1]);
    let name = name.trim_end_matches('.');
    if name.is_empty() || name.len() > 253 {
        return None;
    }
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        message.push(label.len() as u8);
        message.extend(label.bytes());
    }
    message.extend([0, 0, record as u8, 0, 1]);
    // The OPT pseudo-record: root name, type 41, our size, no flags, no data.
    message.extend([0, 0, 41]);
    message.extend(UDP_BYTES.to_be_bytes());
    message.extend([0; 6]);
    Some(message)
}

/// Reads the answer to `question`.
pub(super) fn answer(question: &[u8], message: &[u8], record: RecordType) -> Answer {
    parse(question, message, record).unwrap_or(Answer::Foreign)
}

fn parse(question: &[u8], message: &[u8], record: RecordType) -> Option<Answer> {
    let asked_end = name_end(question, 12)? + 4;
    let asked = question.get(12..asked_end)?;
    let echoed = message.get(12..asked_end)?;
    let is_ours = message.get(..2)? == question.get(..2)?
        && message.get(2)? & 0x80 != 0
        && word(message, 4)? == 1
        && echoed.eq_ignore_ascii_case(asked);
    if !is_ours {
        return None;
    }
    if message.get(2)? & 0x02 != 0 {
        return Some(Answer::Truncated);
    }
    match message.get(3)? & 0x0f {
        0 => {}
        3 => return Some(Answer::NoName),
        _ => return Some(Answer::Failed),
    }
    let mut at = asked_end;
    let mut addresses = Vec::new();
    for _ in 0..word(message, 6)? {
        at = name_end(message, at)?;
        let (kind, class, length) = (
            word(message, at)?,
            word(message, at + 2)?,
            word(message, at + 8)?,
        );
        let data = message.get(at + 10..at + 10 + usize::from(length))?;
        if kind == record as u16 && class == 1 {
            addresses.push(address(data)?);
        }
        at += 10 + usize::from(length);
    }
    Some(Answer::Addresses(addresses))
}

fn address(data: &[u8]) -> Option<IpAddr> {
    match data.len() {
        4 => <[u8; 4]>::try_from(data)
            .ok()
            .map(|octets| IpAddr::V4(Ipv4Addr::from(octets))),
        16 => <[u8; 16]>::try_from(data)
            .ok()
            .map(|octets| IpAddr::V6(Ipv6Addr::from(octets))),
        _ => None,
    }
}

fn word(message: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([
        *message.get(at)?,
        *message.get(at + 1)?,
    ]))
}

/// Where a name ends. A pointer ends it; pointers are never followed.
fn name_end(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *message.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2),
            length if length & 0xc0 == 0 => at += 1 + usize::from(length),
            _ => return None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An answer as a server would write it: a CNAME, then the addresses.
    pub(crate) fn reply(question: &[u8], flags: [u8; 2], addresses: &[IpAddr]) -> Vec<u8> {
        let end = name_end(question, 12).expect("is a question") + 4;
        let mut message = question[..end].to_vec();
        message[2..4].copy_from_slice(&flags);
        message[6..12].copy_from_slice(&[0, addresses.len() as u8 + 1, 0, 0, 0, 0]);
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]);
        for address in addresses {
            let (kind, octets) = match address {
                IpAddr::V4(a) => (1, a.octets().to_vec()),
                IpAddr::V6(a) => (28, a.octets().to_vec()),
            };
            message.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 9, 0, octets.len() as u8]);
            message.extend(octets);
        }
        message
    }

    #[test]
    fn addresses_come_out() {
        let asked = question(7, "registry.example", RecordType::A).expect("is a name");
        let four: IpAddr = "192.0.2.1".parse().expect("parses");
        let six: IpAddr = "2001:db8::1".parse().expect("parses");
        let reply = reply(&asked, [0x81, 0x80], &[four, six]);
        assert_eq!(
            answer(&asked, &reply, RecordType::A),
            Answer::Addresses(vec![four])
        );
        assert_eq!(
            answer(&asked, &reply, RecordType::Aaaa),
            Answer::Addresses(vec![six])
        );
    }

    #[test]
    fn failures_are_told_apart() {
        let asked = question(7, "a.b", RecordType::A).expect("is a name");
        let with = |flags| answer(&asked, &reply(&asked, flags, &[]), RecordType::A);
        assert_eq!(with([0x81, 0x83]), Answer::NoName);
        assert_eq!(with([0x81, 0x82]), Answer::Failed);
        assert_eq!(with([0x83, 0x80]), Answer::Truncated);
        assert_eq!(with([0x01, 0x80]), Answer::Foreign);
        let other = question(8, "a.b", RecordType::A).expect("is a name");
        assert_eq!(
            answer(&asked, &reply(&other, [0x81, 0x80], &[]), RecordType::A),
            Answer::Foreign
        );
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let asked = question(7, "registry.example", RecordType::A).expect("is a name");
        let whole = reply(
            &asked,
            [0x81, 0x80],
            &["192.0.2.1".parse().expect("parses")],
        );
        for cut in 0..whole.len() {
            answer(&asked, &whole[..cut], RecordType::A);
            for value in [0, 1, 0x3f, 0x40, 0xc0, 0xff] {
                let mut bent = whole.clone();
                bent[cut] = value;
                answer(&asked, &bent, RecordType::A);
            }
        }
    }

    #[test]
    fn only_names_are_asked_for() {
        for bad in ["", ".", "a..b", &"x".repeat(64), &"x.".repeat(130)] {
            assert!(question(1, bad, RecordType::A).is_none(), "{bad}");
        }
        assert!(question(1, "a.b.", RecordType::A).is_some());
    }
}
