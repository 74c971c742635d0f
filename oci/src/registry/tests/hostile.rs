//! Registries that lie, stall, cut and ask for what is not theirs; and a sink that fails.

use super::*;

struct Picky;

impl LayerSink for Picky {
    fn wants(&self, _: &LayerInfo) -> bool {
        true
    }

    fn receive(&self, layer: &LayerInfo, blob: &mut (dyn Read + Send)) -> Result<()> {
        let mut few = [0; 10];
        blob.read_exact(&mut few).context("unpack")?;
        match layer.index {
            2 => Err(Error::new(
                Kind::Invalid,
                "entry /etc/x: the disk is on fire",
            )),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_failing_sink_stops_everything_and_is_the_one_quoted() {
    let layers: Vec<Vec<u8>> = (1..6).map(|seed| layer(seed, 2_000_000)).collect();
    let content = Content::new(&layers.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let fake = Fake::start(move |asked| content.answer(asked));
    let (_dir, store) = store();
    let error = pull_with(&store, &fake.host, &options(), &Picky)
        .expect_err("fails")
        .to_string();
    assert!(
        error.starts_with("layer 3 of 5") && error.ends_with("on fire"),
        "{error}"
    );
    assert!(store.images().expect("is whole").is_empty());
}

#[test]
fn stalls_end_in_time() {
    for part in ["manifests", "blobs"] {
        let content = Content::new(&[&layer(3, 100)]);
        let fake = Fake::start(move |asked| {
            let mut reply = content.answer(asked);
            if asked.path.contains(part) {
                reply.cut = Some(10);
                reply.hang = true;
            }
            reply
        });
        let impatient = Options {
            stall_timeout: Duration::from_millis(200),
            ..options()
        };
        let (_dir, store) = store();
        let error = pull_with(&store, &fake.host, &impatient, &StoreOnly).expect_err("stalls");
        assert_eq!(error.kind(), Kind::Transient);
        assert!(
            error.to_string().contains("the connection broke"),
            "{error}"
        );
    }
}

#[test]
fn lies_about_content_are_refused() {
    let bytes = layer(3, 50_000);
    type Lie = fn(&mut Reply);
    let lies: [(Lie, &str); 5] = [
        (|reply| reply.body[40_000] ^= 1, "have the digest"),
        (
            |reply| reply.body.truncate(49_999),
            "49999 bytes where 50000 are expected",
        ),
        (
            |reply| reply.body.push(0),
            "50001 bytes where 50000 are expected",
        ),
        (
            |reply| (reply.unbounded, reply.body) = (true, vec![0; 60_000]),
            "goes on behind its 50000 bytes",
        ),
        (|reply| *reply = Reply::status(404), "404"),
    ];
    for (lie, words) in lies {
        let content = Content::new(&[&bytes]);
        let fake = Fake::start(move |asked| {
            let mut reply = content.answer(asked);
            if reply.body.len() == 50_000 {
                lie(&mut reply);
            }
            reply
        });
        refused(&fake, words);
    }
}

#[test]
fn lies_about_documents_are_refused() {
    let content = Content::new(&[b"layer"]);
    let with = |bytes: Vec<u8>, media_type: &'static str| {
        let content = content.clone();
        Fake::start(move |asked| match asked.path.contains("/manifests/") {
            true => Reply::ok(&bytes).header("Content-Type", media_type),
            false => content.answer(asked),
        })
    };
    let text = String::from_utf8(content.manifest.clone()).expect("is text");
    refused(
        &with(content.manifest.clone(), OCI_INDEX),
        "was announced as",
    );
    refused(
        &with(vec![b' '; 5 << 20], OCI_MANIFEST),
        "sends more than 4194304 bytes",
    );
    refused(
        &with(
            text.replace("\"layers\"", "\"manifests\":[],\"layers\"")
                .into(),
            OCI_MANIFEST,
        ),
        "both an index and a manifest",
    );
    refused(
        &with(
            text.replace(&format!("{}", content.config.len()), "9999999")
                .into(),
            OCI_MANIFEST,
        ),
        "larger than 8388608",
    );
    refused(
        &with(
            text.replace(OCI_CONFIG, DOCKER_CONFIG)
                .replace(OCI_LAYER, "text/plain")
                .into(),
            OCI_MANIFEST,
        ),
        "is no layer",
    );
    let extra = text.replace("\"layers\":[", "\"layers\":[{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\"size\":0},");
    refused(
        &with(extra.into(), OCI_MANIFEST),
        "names 1 layers, the manifest 2",
    );
}

#[test]
fn a_digest_in_the_reference_is_checked() {
    let content = Content::new(&[b"layer"]);
    let served = content.clone();
    let fake =
        Fake::start(move |_| Reply::ok(&served.manifest).header("Content-Type", OCI_MANIFEST));
    let reference =
        reference::parse(&format!("{}/app@{}", fake.host, Digest::of(b"other"))).expect("parses");
    let options = options();
    let error = Registry::new(&reference, &options, &Silent)
        .root()
        .expect_err("is refused");
    assert!(error.to_string().contains("have the digest"), "{error}");
    assert_eq!(error.kind(), Kind::Corrupt);
}

#[test]
fn credentials_stay_with_the_origin_that_asked() {
    let content = Content::new(&[&layer(3, 1000)]);
    let cdn = Fake::start({
        let content = content.clone();
        move |asked| content.answer(asked)
    });
    let away = cdn.host.clone();
    let fake = Fake::start(move |asked| {
        if asked.header("authorization") != Some("Basic bWU6c2VjcmV0") {
            return Reply::status(401).header("WWW-Authenticate", "Basic realm=\"x\"");
        }
        match asked.path.contains("/blobs/") {
            true => Reply::status(307).header("Location", format!("http://{away}{}", asked.path)),
            false => content.answer(asked),
        }
    });
    let (_dir, store) = store();
    let mut options = options();
    options.credentials.given = Some(Credential::parse("me:secret").expect("parses"));
    pull_with(&store, &fake.host, &options, &StoreOnly).expect("pulls");
    assert_eq!(cdn.asked().len(), 2);
    assert!(
        cdn.asked()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

#[test]
fn another_hosts_credentials_are_never_sent() {
    let content = Content::new(&[b"layer"]);
    let fake = Fake::start(move |asked| match asked.header("authorization") {
        None => Reply::status(401).header("WWW-Authenticate", "Basic realm=\"docker.io\""),
        Some(_) => content.answer(asked),
    });
    let dir = tempfile::tempdir().expect("temporary directory");
    let file = dir.path().join("auth.json");
    std::fs::write(
        &file,
        r#"{"auths":{"docker.io":{"auth":"dTpw"},"127.0.0.1":{"auth":"dTpw"}}}"#,
    )
    .expect("writes");
    let mut options = options();
    options.credentials.files = vec![file];
    let (_dir, store) = store();
    let error = pull_with(&store, &fake.host, &options, &StoreOnly).expect_err("is denied");
    assert_eq!(error.kind(), Kind::Denied);
    assert!(error.advice().is_some());
    assert!(
        fake.asked()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

#[test]
fn endless_redirects_and_token_loops_end() {
    let fake = Fake::start(|asked| Reply::status(302).header("Location", asked.path.clone()));
    refused(&fake, "redirects too often");
    let fake = Fake::start(|_| Reply::status(302));
    refused(&fake, "redirects to nowhere");
    let fake = Fake::start(|_| Reply::status(302).header("Location", "file:///etc/shadow"));
    refused(&fake, "another protocol");
    let fake = Fake::start(|_| {
        Reply::status(401).header("WWW-Authenticate", "Bearer realm=\"gopher://x\"")
    });
    refused(&fake, "is no web address");
    let fake = Fake::start(|_| Reply::status(401));
    refused(&fake, "401");
}

#[test]
fn what_a_registry_says_is_quoted_without_control_characters() {
    let fake = Fake::start(|_| {
        let mut reply = Reply::ok(
            "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"pay \\u001b[31mfirst\"}]}".as_bytes(),
        );
        reply.status = 403;
        reply
    });
    refused(&fake, "403 Forbidden (pay [31mfirst)");
}
