//! D-Bus messages as bytes: only what a client of systemd's manager sends and reads.
//!
//! Everything is little-endian. Reading trusts nothing: a message that does not parse is `None`.

use crate::plan::cgroup::Value;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    Call = 1,
    Reply = 2,
    Error = 3,
    Signal = 4,
}

/// The largest message that the specification allows.
pub const MAX_MESSAGE_BYTES: usize = 128 << 20;

const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// Values one after the other, aligned.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn align(&mut self, boundary: usize) {
        while !self.bytes.len().is_multiple_of(boundary) {
            self.bytes.push(0);
        }
    }

    /// `u`
    pub fn u32(&mut self, value: u32) {
        self.align(4);
        self.bytes.extend(value.to_le_bytes());
    }

    /// `s` and `o`
    pub fn text(&mut self, text: &str) {
        self.u32(text.len() as u32);
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    fn signature(&mut self, text: &str) {
        self.bytes.push(text.len() as u8);
        self.bytes.extend(text.as_bytes());
        self.bytes.push(0);
    }

    /// An array; its length counts from the first element, after the padding.
    pub fn array(&mut self, element_boundary: usize, fill: impl FnOnce(&mut Writer)) {
        self.u32(0);
        let length_at = self.bytes.len() - 4;
        self.align(element_boundary);
        let start = self.bytes.len();
        fill(self);
        let length = (self.bytes.len() - start) as u32;
        self.bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// `a(sv)`
    pub fn properties(&mut self, properties: &[(String, Value)]) {
        self.array(8, |writer| {
            for (name, value) in properties {
                writer.align(8);
                writer.text(name);
                writer.signature(&value.signature());
                writer.value(value);
            }
        });
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Bool(value) => self.u32(u32::from(*value)),
            Value::Byte(value) => self.bytes.push(*value),
            Value::U32(value) => self.u32(*value),
            Value::I32(value) => self.u32(*value as u32),
            Value::I64(value) => self.eight(value.to_le_bytes()),
            Value::U64(value) => self.eight(value.to_le_bytes()),
            Value::F64(value) => self.eight(value.to_le_bytes()),
            Value::Text(text) => self.text(text),
            Value::Array(element, values) => self.array(boundary(element), |writer| {
                values.iter().for_each(|value| writer.value(value));
            }),
            Value::Struct(fields) => {
                self.align(8);
                fields.iter().for_each(|field| self.value(field));
            }
        }
    }

    fn eight(&mut self, bytes: [u8; 8]) {
        self.align(8);
        self.bytes.extend(bytes);
    }
}

fn boundary(signature: &str) -> usize {
    match signature.bytes().next() {
        Some(b'y') => 1,
        Some(b'x' | b't' | b'd' | b'(') => 8,
        _ => 4,
    }
}

/// A method call.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// Bus name; `None` where the peer is the manager itself.
    pub destination: Option<&'a str>,
    /// Object.
    pub path: &'a str,
    /// Interface.
    pub interface: &'a str,
    /// Method.
    pub member: &'a str,
    /// The body's signature.
    pub signature: &'a str,
}

impl Call<'_> {
    /// The whole message.
    pub fn encode(&self, serial: u32, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
        let mut content = Writer::default();
        body(&mut content);
        let mut message = Writer {
            bytes: vec![b'l', Kind::Call as u8, 0, 1],
        };
        message.u32(content.bytes.len() as u32);
        message.u32(serial);
        let texts = [
            (PATH, "o", Some(self.path)),
            (INTERFACE, "s", Some(self.interface)),
            (MEMBER, "s", Some(self.member)),
            (DESTINATION, "s", self.destination),
        ];
        message.array(8, |writer| {
            for (code, signature, text) in texts {
                let Some(text) = text else { continue };
                writer.align(8);
                writer.bytes.push(code);
                writer.signature(signature);
                writer.text(text);
            }
            if !self.signature.is_empty() {
                writer.align(8);
                writer.bytes.push(SIGNATURE);
                writer.signature("g");
                writer.signature(self.signature);
            }
        });
        message.align(8);
        message.bytes.extend(content.bytes);
        message.bytes
    }
}

/// An answer or a signal, as a manager would send it.
#[cfg(test)]
pub fn answer(
    kind: Kind,
    reply_to: u32,
    name: (u8, &str),
    signature: &str,
    texts: &[&str],
) -> Vec<u8> {
    let mut content = Writer::default();
    for (kind, text) in signature.bytes().zip(texts) {
        match kind {
            b'u' => content.u32(text.parse().expect("number")),
            _ => content.text(text),
        }
    }
    let mut message = Writer {
        bytes: vec![b'l', kind as u8, 0, 1],
    };
    message.u32(content.bytes.len() as u32);
    message.u32(1);
    message.array(8, |writer| {
        writer.bytes.push(REPLY_SERIAL);
        writer.signature("u");
        writer.u32(reply_to);
        for (code, kind, text) in [(name.0, "s", name.1), (SIGNATURE, "g", signature)] {
            writer.align(8);
            writer.bytes.push(code);
            writer.signature(kind);
            match kind {
                "g" => writer.signature(text),
                _ => writer.text(text),
            }
        }
    });
    message.align(8);
    message.bytes.extend(content.bytes);
    message.bytes
}

/// A message that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The call that it answers.
    pub reply_to: u32,
    /// Method or signal.
    pub member: String,
    /// An error's name.
    pub error: String,
    /// The body's leading texts, object paths and numbers (as text), as far as they are of these types.
    pub body: Vec<String>,
}

/// How long the message that begins here is; `None` where more bytes are needed to tell.
pub fn length(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader { bytes, at: 4 };
    let body = reader.u32()? as usize;
    reader.at = 12;
    let fields = reader.u32()? as usize;
    Some((16 + fields).next_multiple_of(8).saturating_add(body))
}

/// Reads one whole message.
pub fn decode(bytes: &[u8]) -> Option<Message> {
    if bytes.first() != Some(&b'l') {
        return None;
    }
    let kind = match bytes.get(1)? {
        1 => Kind::Call,
        2 => Kind::Reply,
        3 => Kind::Error,
        4 => Kind::Signal,
        _ => return None,
    };
    let mut reader = Reader { bytes, at: 12 };
    let end = 16 + reader.u32()? as usize;
    let mut message = Message {
        kind,
        reply_to: 0,
        member: String::new(),
        error: String::new(),
        body: Vec::new(),
    };
    let mut signature = String::new();
    while reader.at < end {
        reader.align(8);
        let code = reader.byte()?;
        let value = match reader.signature()?.as_str() {
            "u" => reader.u32()?.to_string(),
            "g" => reader.signature()?,
            "s" | "o" => reader.text()?,
            _ => return None,
        };
        match code {
            MEMBER => message.member = value,
            ERROR_NAME => message.error = value,
            REPLY_SERIAL => message.reply_to = value.parse().ok()?,
            SIGNATURE => signature = value,
            _ => {}
        }
    }
    reader.at = end.next_multiple_of(8);
    for kind in signature.bytes() {
        message.body.push(match kind {
            b's' | b'o' => reader.text()?,
            b'u' => reader.u32()?.to_string(),
            _ => break,
        });
    }
    Some(message)
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn align(&mut self, boundary: usize) {
        self.at = self.at.next_multiple_of(boundary);
    }

    fn byte(&mut self) -> Option<u8> {
        self.at += 1;
        self.bytes.get(self.at - 1).copied()
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.bytes.get(self.at..self.at.checked_add(4)?)?;
        self.at += 4;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn signature(&mut self) -> Option<String> {
        let length = self.byte()?;
        self.take(usize::from(length))
    }

    /// A text and the NUL after it.
    fn take(&mut self, length: usize) -> Option<String> {
        let bytes = self.bytes.get(self.at..self.at.checked_add(length)?)?;
        self.at += length + 1;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }
}
