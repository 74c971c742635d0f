//! A blob's bytes from a registry, whatever the network does: a cut or stalled download goes on where it was.
//!
//! Whether the bytes are right is for the reader behind this one to say.

use super::endpoint::Endpoint;
use super::http::{Client, Failure, Request, cut, header};
use crate::descriptor::Blob;
use crate::error::{Error, Kind, Result};
use std::io::{self, Read};
use std::time::{Duration, Instant};
use ureq::BodyReader;
use ureq::http::StatusCode;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE};

/// So many new bytes make earlier failures forgotten: a registry that drips and cuts is not patiently served for ever.
const PROGRESS_BYTES: u64 = 64 << 10;
/// Fewer bytes than this within one stall timeout of reading is a stall too.
const MIN_WINDOW_BYTES: u64 = 1024;

/// Reads a blob from an offset to its end.
pub(super) struct ResumingBody<'c> {
    client: &'c Client<'c>,
    endpoint: Endpoint,
    blob: Blob,
    at: u64,
    body: Option<BodyReader<'static>>,
    failures: u32,
    /// Where the present run of failures began.
    failed_at: u64,
    window: Window,
}

/// How long reading took and what it brought; the consumer's own time doesn't count.
#[derive(Default)]
struct Window {
    waited: Duration,
    bytes: u64,
}

impl<'c> ResumingBody<'c> {
    /// Sends the request; an empty rest needs none.
    pub(super) fn open(
        client: &'c Client<'c>,
        endpoint: &Endpoint,
        blob: &Blob,
        offset: u64,
    ) -> Result<ResumingBody<'c>> {
        let mut body = ResumingBody {
            client,
            endpoint: endpoint.clone(),
            blob: blob.clone(),
            at: offset,
            body: None,
            failures: 0,
            failed_at: offset,
            window: Window::default(),
        };
        if offset < blob.size {
            client.retry(|| body.request())?;
        }
        Ok(body)
    }

    /// One request for what is left.
    fn request(&mut self) -> Result<(), Failure> {
        let request = Request {
            endpoint: &self.endpoint,
            path: format!("blobs/{}", self.blob.digest),
            accept: &["*/*"],
            offset: self.at,
        };
        let response = self.client.get(&request)?;
        let number = |text: Option<&str>| text.and_then(|text| text.trim().parse::<u64>().ok());
        let length = number(header(&response, CONTENT_LENGTH.as_str()));
        let skipped = match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = header(&response, CONTENT_RANGE.as_str()).unwrap_or_default();
                self.check_range(range)?;
                0
            }
            _ => self.at,
        };
        let expected = self.blob.size - self.at + skipped;
        if let Some(length) = length.filter(|length| *length != expected) {
            let what = format!(
                "blob {}: the registry has {length} bytes where {expected} are expected",
                self.blob.digest
            );
            return Err(Error::new(Kind::Corrupt, what).into());
        }
        let mut body = response.into_body().into_reader();
        skip(&mut body, skipped)?;
        self.body = Some(body);
        Ok(())
    }

    /// `bytes FIRST-LAST/TOTAL` must be what was asked for.
    fn check_range(&self, range: &str) -> Result<()> {
        let parsed = range.trim().strip_prefix("bytes ").and_then(|rest| {
            let (span, total) = rest.split_once('/')?;
            Some((
                span.split_once('-')?.0.parse::<u64>().ok()?,
                total.to_owned(),
            ))
        });
        let total = self.blob.size.to_string();
        match parsed {
            Some((first, size)) if first == self.at && (size == total || size == "*") => Ok(()),
            _ => {
                let what = format!(
                    "blob {}: asked for bytes from {}, got {range:?}",
                    self.blob.digest, self.at
                );
                Err(Error::new(Kind::Corrupt, what))
            }
        }
    }

    /// Counts a failure; tries to go on unless there were too many without progress.
    fn resume(&mut self, error: Error) -> io::Result<()> {
        self.body = None;
        let mut failure = Failure::from(error);
        loop {
            if self.at >= self.failed_at + PROGRESS_BYTES {
                self.failures = 0;
            }
            self.failed_at = self.at;
            self.failures += 1;
            if failure.error.kind() != Kind::Transient
                || self.failures >= self.client.options().attempts
            {
                let what = format!(
                    "blob {}: after {} of {} bytes",
                    self.blob.digest, self.at, self.blob.size
                );
                return Err(failure.error.context(what).into_io());
            }
            self.client.pause(self.failures, &failure);
            match self.request() {
                Ok(()) => return Ok(()),
                Err(next) => failure = next,
            }
        }
    }

    fn stalls(&mut self, waited: Duration, count: usize) -> bool {
        self.window.waited += waited;
        self.window.bytes += count as u64;
        if self.window.waited < self.client.options().stall_timeout {
            return false;
        }
        std::mem::take(&mut self.window).bytes < MIN_WINDOW_BYTES
    }
}

/// A server that ignores ranges sends the beginning again.
fn skip(body: &mut BodyReader<'static>, bytes: u64) -> Result<()> {
    let skipped = io::copy(&mut body.take(bytes), &mut io::sink()).map_err(|error| cut(&error))?;
    match skipped == bytes {
        true => Ok(()),
        false => Err(Error::new(Kind::Transient, "the connection broke")),
    }
}

impl Read for ResumingBody<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let is_whole = self.at >= self.blob.size;
            let Some(body) = &mut self.body else {
                if is_whole {
                    return Ok(0);
                }
                self.resume(Error::new(Kind::Transient, "the connection broke"))?;
                continue;
            };
            let began = Instant::now();
            match body.read(buffer) {
                Ok(count) if count > 0 => {
                    self.at += count as u64;
                    if self.stalls(began.elapsed(), count) && self.at < self.blob.size {
                        self.resume(Error::new(Kind::Transient, "the registry stalls"))?;
                    }
                    return Ok(count);
                }
                // Behind the last byte neither an end nor a broken connection matters.
                _ if is_whole => return Ok(0),
                Ok(_) => self.resume(Error::new(Kind::Transient, "the connection broke"))?,
                Err(error) => self.resume(cut(&error))?,
            }
        }
    }
}
