//! The client against registries that behave, fail and lie: a tiny one in this process, on loopback.

mod honest;
mod hostile;

use super::*;
use crate::descriptor::{DOCKER_CONFIG, OCI_CONFIG, OCI_LAYER};
use crate::digest::Digest;
use crate::progress::Silent;
use crate::reference;
use crate::store::Store;
use crate::transfer::{self, LayerInfo, LayerSink, StoreOnly, Stored, transfer};
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What came in.
#[derive(Debug, Clone)]
struct Asked {
    path: String,
    headers: HashMap<String, String>,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What goes out.
#[derive(Default, Clone)]
struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// Of the body only so much is sent, then the connection ends, or hangs.
    cut: Option<usize>,
    hang: bool,
    /// No Content-Length: the end of the connection is the end of the body.
    unbounded: bool,
}

impl Reply {
    fn ok(body: &[u8]) -> Reply {
        Reply {
            status: 200,
            body: body.to_vec(),
            ..Reply::default()
        }
    }

    fn status(status: u16) -> Reply {
        Reply {
            status,
            ..Reply::default()
        }
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    fn send(&self, stream: &mut TcpStream) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", self.status);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.unbounded {
            head += &format!("Content-Length: {}\r\n", self.body.len());
        }
        stream.write_all(format!("{head}\r\n").as_bytes())?;
        stream.write_all(&self.body[..self.cut.unwrap_or(self.body.len())])?;
        if self.hang {
            std::thread::sleep(Duration::from_secs(2));
        }
        Ok(())
    }
}
/// A registry in this process.
struct Fake {
    host: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Fake {
    fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let host = listener.local_addr().expect("is bound").to_string();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (asked.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Fake { host, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("is whole").clone()
    }
}

fn serve(mut stream: TcpStream, log: &Mutex<Vec<Asked>>, answer: &dyn Fn(&Asked) -> Reply) {
    let mut lines = BufReader::new(stream.try_clone().expect("clones")).split(b'\n');
    let mut line = || {
        Some(
            String::from_utf8_lossy(&lines.next()?.ok()?)
                .trim_end()
                .to_owned(),
        )
    };
    let Some(first) = line() else { return };
    let Some(path) = first
        .strip_prefix("GET ")
        .and_then(|rest| rest.split(' ').next())
    else {
        // What Go's server says to a TLS handshake.
        let _ = stream.write_all(
            b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTPS request to an HTTP server.\n",
        );
        return;
    };
    let mut headers: HashMap<String, String> = HashMap::new();
    while let Some(text) = line().filter(|text| !text.is_empty()) {
        let (name, value) = text.split_once(": ").unwrap_or((&text, ""));
        headers
            .entry(name.to_lowercase())
            .or_default()
            .push_str(value);
    }
    let asked = Asked {
        path: path.to_owned(),
        headers,
    };
    log.lock().expect("is whole").push(asked.clone());
    let _ = answer(&asked).send(&mut stream);
}

/// Everything an image consists of, by the paths of the protocol.
#[derive(Clone, Default)]
struct Content {
    layers: Vec<Vec<u8>>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Content {
    fn new(layers: &[&[u8]]) -> Content {
        let diff_ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
        let config = serde_json::json!({"architecture": "amd64", "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": diff_ids}})
        .to_string()
        .into_bytes();
        let entries: Vec<_> = layers
            .iter()
            .map(|layer| serde_json::json!({"mediaType": OCI_LAYER, "digest": Digest::of(layer), "size": layer.len()}))
            .collect();
        let manifest = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": entries,
            "config": {"mediaType": OCI_CONFIG, "digest": Digest::of(&config), "size": config.len()}});
        Content {
            layers: layers.iter().map(|layer| layer.to_vec()).collect(),
            config,
            manifest: manifest.to_string().into_bytes(),
        }
    }

    /// As a decent registry answers, ranges included.
    fn answer(&self, asked: &Asked) -> Reply {
        let Some((_, what)) = asked.path.split_once("/app/") else {
            return Reply::status(404);
        };
        if what == "manifests/latest" || what == format!("manifests/{}", Digest::of(&self.manifest))
        {
            return Reply::ok(&self.manifest).header("Content-Type", OCI_MANIFEST);
        }
        let digest = what.strip_prefix("blobs/").unwrap_or_default();
        let blobs = self.layers.iter().chain([&self.config]);
        match blobs
            .into_iter()
            .find(|bytes| Digest::of(bytes).to_string() == digest)
        {
            None => Reply::status(404),
            Some(bytes) => ranged(bytes, asked),
        }
    }
}

fn ranged(bytes: &[u8], asked: &Asked) -> Reply {
    let from = asked
        .header("range")
        .and_then(|text| text.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    match from {
        None => Reply::ok(bytes),
        Some(from) => {
            let range = format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len());
            let mut reply = Reply::ok(&bytes[from..]).header("Content-Range", range);
            reply.status = 206;
            reply
        }
    }
}

fn options() -> Options {
    Options {
        stall_timeout: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(2),
        attempts: 3,
        first_pause: Duration::from_millis(2),
        ..Options::default()
    }
}

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let store = Store::open(dir.path()).expect("opens");
    (dir, store)
}

fn pull_with(store: &Store, host: &str, options: &Options, sink: &dyn LayerSink) -> Result<Stored> {
    let reference = reference::parse(&format!("{host}/app")).expect("parses");
    let registry = Registry::new(&reference, options, &Silent);
    let name = reference::store_name(&reference);
    let how = transfer::Options {
        platform: "linux/amd64".parse().expect("parses"),
        jobs: 3,
        ..transfer::Options::default()
    };
    transfer(store, &registry, &name, &how, sink, &Silent)
}

fn pull(store: &Store, fake: &Fake) -> Result<Stored> {
    pull_with(store, &fake.host, &options(), &StoreOnly)
}

/// Fails with these words, and leaves a store without image and without garbage.
fn refused(fake: &Fake, words: &str) {
    let (_dir, store) = store();
    let error = pull(&store, fake).expect_err("is refused");
    assert!(error.to_string().contains(words), "{error}");
    assert!(store.images().expect("is whole").is_empty());
    store
        .collect_garbage(&crate::store::GcOptions::default())
        .expect("collects");
    assert_eq!(
        std::fs::read_dir(store.root().join("blobs/sha256"))
            .expect("lists")
            .count(),
        0
    );
}

fn layer(seed: u8, bytes: usize) -> Vec<u8> {
    (0..bytes)
        .map(|i| (i as u8).wrapping_mul(seed) ^ (i >> 8) as u8)
        .collect()
}
