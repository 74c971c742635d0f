//! Registries that mean well, whatever the network does.

use super::*;

#[test]
fn a_decent_registry() {
    let content = Content::new(&[&layer(3, 700_000), b"small", b"small"]);
    let fake = Fake::start({
        let content = content.clone();
        move |asked| content.answer(asked)
    });
    let (_dir, store) = store();
    let stored = pull(&store, &fake).expect("pulls");
    assert_eq!(stored.manifest.layers.len(), 3);
    assert_eq!(
        store
            .resolve(&format!("{}/app", fake.host))
            .expect("is named")
            .descriptor,
        {
            let mut named = stored.descriptor.clone();
            named.set_annotations(
                store.images().expect("reads")[0]
                    .descriptor
                    .annotations()
                    .clone(),
            );
            named
        }
    );
    let before = fake.asked().len();
    pull(&store, &fake).expect("pulls again");
    // The second pull asks for the manifest only.
    assert_eq!(fake.asked().len(), before + 1);
}

/// Remembers what it was given.
#[derive(Default)]
struct Collector(Mutex<HashMap<usize, Vec<u8>>>);

impl LayerSink for Collector {
    fn wants(&self, layer: &LayerInfo) -> bool {
        layer.index != 1
    }

    fn receive(&self, layer: &LayerInfo, blob: &mut (dyn Read + Send)) -> Result<()> {
        let mut bytes = Vec::new();
        blob.read_to_end(&mut bytes).context("unpack")?;
        self.0.lock().expect("is whole").insert(layer.index, bytes);
        Ok(())
    }
}

#[test]
fn layers_reach_the_sink_in_the_same_pass() {
    let layers = [layer(3, 3_000_000), layer(5, 10), layer(7, 1_000_000)];
    let content = Content::new(&[&layers[0], &layers[1], &layers[2]]);
    let fake = Fake::start(move |asked| content.answer(asked));
    let (_dir, store) = store();
    for _ in 0..2 {
        // From the registry, then from the store.
        let sink = Collector::default();
        pull_with(&store, &fake.host, &options(), &sink).expect("pulls");
        let got = sink.0.into_inner().expect("is whole");
        assert_eq!(got.len(), 2);
        assert!(got[&0] == layers[0] && got[&2] == layers[2]);
    }
}

#[test]
fn a_pull_that_shares_layers_asks_for_the_others_only() {
    let (shared, old, new) = (layer(3, 300_000), layer(5, 1_000), layer(7, 2_000));
    let first = Content::new(&[&shared, &old]);
    let second = Content::new(&[&shared, &new]);
    let offered = Arc::new(Mutex::new(first));
    let fake = Fake::start({
        let offered = offered.clone();
        move |asked| offered.lock().expect("is whole").answer(asked)
    });
    let (_dir, store) = store();
    pull(&store, &fake).expect("pulls");
    let before = fake.asked().len();
    let config = Digest::of(&second.config);
    *offered.lock().expect("is whole") = second;
    pull(&store, &fake).expect("pulls what differs");
    let mut asked: Vec<String> = fake.asked()[before..]
        .iter()
        .filter_map(|asked| Some(asked.path.split_once("/app/")?.1.to_owned()))
        .collect();
    asked.sort();
    let mut expected = [config, Digest::of(&new)].map(|digest| format!("blobs/{digest}"));
    expected.sort();
    assert_eq!(
        asked,
        [&expected[..], &["manifests/latest".into()]].concat()
    );
}

#[test]
fn cut_connections_are_resumed_where_they_broke() {
    let content = Content::new(&[&layer(3, 900_000)]);
    let fake = Fake::start(move |asked| {
        let mut reply = content.answer(asked);
        if reply.body.len() > 100_000 {
            reply.cut = Some(100_000);
        }
        reply
    });
    let (_dir, store) = store();
    pull(&store, &fake).expect("pulls");
    let ranges: Vec<String> = fake
        .asked()
        .iter()
        .filter_map(|a| a.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges[0], "bytes=100000-");
    assert_eq!(ranges.len(), 8);
}

#[test]
fn a_later_pull_goes_on_from_a_partial_download() {
    let bytes = layer(3, 500_000);
    let content = Content::new(&[&bytes]);
    let blob = Blob::of_bytes(&bytes);
    for spoiled in [false, true] {
        let content = content.clone();
        let fake = Fake::start(move |asked| content.answer(asked));
        let (_dir, store) = store();
        let mut partial = bytes[..200_000].to_vec();
        partial[77] ^= u8::from(spoiled);
        let path = store
            .root()
            .join(format!("ingest/sha256-{}", blob.digest.hex()));
        std::fs::write(path, partial).expect("writes");
        pull_with(&store, &fake.host, &options(), &Collector::default())
            .map(drop)
            .unwrap_or_else(|error| panic!("{error}"));
        let asked = fake.asked();
        let layer: Vec<_> = asked
            .iter()
            .filter(|a| a.path.contains(blob.digest.hex()))
            .collect();
        assert_eq!(layer[0].header("range"), Some("bytes=200000-"));
        assert_eq!(layer.len(), if spoiled { 2 } else { 1 });
    }
}

#[test]
fn a_server_without_ranges_serves_too() {
    let content = Content::new(&[&layer(3, 300_000)]);
    let first = std::sync::atomic::AtomicBool::new(true);
    let fake = Fake::start(move |asked| {
        let mut reply = content.answer(&Asked {
            headers: HashMap::new(),
            ..asked.clone()
        });
        if reply.body.len() > 100_000 && first.swap(false, Ordering::Relaxed) {
            reply.cut = Some(100_000);
        }
        reply
    });
    let (_dir, store) = store();
    pull(&store, &fake).expect("pulls");
}

#[test]
fn busy_servers_are_asked_again() {
    let content = Content::new(&[b"layer"]);
    let count = AtomicUsize::new(0);
    let fake = Fake::start(
        move |asked| match count.fetch_add(1, Ordering::Relaxed) % 3 {
            0 => Reply::status(503).header("Retry-After", "0"),
            1 => Reply::status(429),
            _ => content.answer(asked),
        },
    );
    let (_dir, store) = store();
    pull(&store, &fake).expect("pulls");
}

#[test]
fn an_index_leads_to_the_platform() {
    let content = Content::new(&[b"layer"]);
    let entry = |os: &str, digest: Digest, size: usize| {
        serde_json::json!({"mediaType": OCI_MANIFEST, "digest": digest, "size": size,
        "platform": {"os": os, "architecture": "amd64"}})
    };
    let index = serde_json::json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
        entry("windows", Digest::of(b"w"), 1), entry("linux", Digest::of(&content.manifest), content.manifest.len())]})
    .to_string();
    let digest = Digest::of(index.as_bytes());
    let fake = Fake::start(move |asked| match asked.path.as_str() {
        "/v2/app/manifests/latest" => Reply::ok(index.as_bytes()).header("Content-Type", OCI_INDEX),
        _ => content.answer(asked),
    });
    let (_dir, store) = store();
    let stored = pull(&store, &fake).expect("pulls");
    let found = store
        .resolve(&format!("{}/app@{digest}", fake.host))
        .expect("is found by the index's digest");
    assert_eq!(found.descriptor.digest(), stored.descriptor.digest());
}

#[test]
fn bearer_tokens() {
    let content = Content::new(&[&layer(3, 1000), &layer(5, 1000)]);
    let tokens = Fake::start(|asked| {
        assert!(
            asked.path.contains("service=reg")
                && asked.path.contains("scope=repository%3Aapp%3Apull"),
            "{asked:?}"
        );
        assert_eq!(asked.header("authorization"), Some("Basic bWU6c2VjcmV0"));
        Reply::ok(br#"{"token":"t0k3n","expires_in":60}"#)
    });
    let realm = tokens.host.clone();
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        Some("Bearer t0k3n") => content.answer(asked),
        _ => Reply::status(401).header(
            "WWW-Authenticate",
            format!(
                r#"Bearer realm="http://{realm}/token",service="reg",scope="repository:app:pull""#
            ),
        ),
    });
    let mut options = options();
    options.credentials.given = Some(Credential::parse("me:secret").expect("parses"));
    let (_dir, store) = store();
    pull_with(&store, &fake.host, &options, &StoreOnly).expect("pulls");
    assert_eq!(tokens.asked().len(), 1);
}

#[test]
fn a_mirror_first_and_the_registry_when_it_fails() {
    let content = Content::new(&[b"layer"]);
    let broken = Fake::start(|_| Reply::status(500));
    let half = Fake::start({
        let content = content.clone();
        move |asked| match asked.path.contains("/blobs/") {
            true => Reply::status(404),
            false => content.answer(asked),
        }
    });
    let fake = Fake::start(move |asked| content.answer(asked));
    let mut options = options();
    for mirror in [&broken, &half] {
        options.mirrors.push(
            format!("{}=http://{}/cache", fake.host, mirror.host)
                .parse()
                .expect("parses"),
        );
    }
    let (_dir, store) = store();
    pull_with(&store, &fake.host, &options, &StoreOnly).expect("pulls");
    assert!(
        half.asked()
            .iter()
            .any(|asked| asked.path == "/v2/cache/app/manifests/latest")
    );
    assert!(
        fake.asked()
            .iter()
            .all(|asked| asked.path.contains("/blobs/"))
    );
}

#[test]
fn two_pulls_of_one_image_share_the_work() {
    let content = Content::new(&[&layer(3, 2_000_000)]);
    let blob = Blob::of_bytes(&content.layers[0]);
    let fake = Fake::start(move |asked| content.answer(asked));
    let (_dir, store) = store();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| pull(&store, &fake).expect("pulls"));
        }
    });
    let fetched = fake
        .asked()
        .iter()
        .filter(|asked| asked.path.contains(blob.digest.hex()))
        .count();
    assert_eq!(fetched, 1);
}

#[test]
fn layers_that_someone_reads_are_stored_on_the_way() {
    let layers = [layer(3, 600_000), layer(5, 100_000), layer(7, 50)];
    let content = Content::new(&[&layers[0], &layers[1], &layers[2]]);
    let fake = Fake::start(move |asked| content.answer(asked));
    let (_dir, store) = store();
    let reference = reference::parse(&format!("{}/app", fake.host)).expect("parses");
    let (options, how) = (options(), transfer::Options::default());
    let registry = Registry::new(&reference, &options, &Silent);
    let session = transfer::Session::begin(&store, &registry, &how, &Silent).expect("begins");
    std::thread::scope(|scope| {
        for index in [0, 1] {
            let (session, layers) = (&session, &layers);
            scope.spawn(move || {
                let mut bytes = Vec::new();
                let mut reader = session.open_layer(index).expect("opens");
                reader.read_to_end(&mut bytes).expect("reads");
                assert!(bytes == layers[index]);
            });
        }
    });
    assert!(store.has(&Blob::of_bytes(&layers[0])));
    assert!(!store.has(&Blob::of_bytes(&layers[2])));
    assert!(store.images().expect("reads").is_empty());
    session.finish("app:1").expect("finishes");
    let opened = store.open_image("app:1").expect("is there");
    assert_eq!(opened.manifest.layers.len(), 3);
    assert!(store.has(&Blob::of_bytes(&layers[2])));
}
