//! Any bytes whatsoever: parsers of untrusted text answer or refuse, and never panic; what they accept, they can write.

use oci::Digest;
use oci::bundle::{Profile, UserFiles, notation};
use oci::descriptor::{OCI_CONFIG, OCI_LAYER};
use oci::image_config::ImageConfig;
use oci::manifest::Document;
use oci::platform::Platform;
use oci::reference::{self, Location};
use proptest::prelude::*;

fn manifest() -> Vec<u8> {
    let digest = Digest::of(b"x");
    format!(
        r#"{{"schemaVersion":2,"config":{{"mediaType":"{OCI_CONFIG}","digest":"{digest}","size":1}},
        "layers":[{{"mediaType":"{OCI_LAYER}+gzip","digest":"{digest}","size":1,"annotations":{{"a":"b"}}}}]}}"#
    )
    .into_bytes()
}

fn config() -> Vec<u8> {
    let digest = Digest::of(b"x");
    format!(
        r#"{{"architecture":"amd64","os":"linux","config":{{"User":"a:b","Env":["A=b"],"Volumes":{{"/v":{{}}}},"Labels":null}},
        "rootfs":{{"type":"layers","diff_ids":["{digest}"]}},"history":[{{"empty_layer":true}}]}}"#
    )
    .into_bytes()
}

/// A document with a few bytes changed, cut or repeated.
fn bent(document: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = document.len();
    let edits = prop::collection::vec((0..length, any::<u8>(), 0..4u8), 0..6);
    edits.prop_map(move |edits| {
        let mut bytes = document.clone();
        for (at, value, how) in edits {
            let at = at.min(bytes.len().saturating_sub(1));
            match how {
                0 => bytes[at..]
                    .iter_mut()
                    .take(1)
                    .for_each(|byte| *byte = value),
                1 => bytes.truncate(at),
                2 => bytes.extend_from_within(at..),
                _ => bytes.insert(at, value),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn documents(bytes in bent(manifest())) {
        if let Ok(Document::Manifest(manifest)) = Document::parse(&bytes, None) {
            let written = serde_json::to_vec(&manifest.document).expect("writes");
            prop_assert!(Document::parse(&written, None).is_ok());
        }
    }

    #[test]
    fn configurations(bytes in bent(config())) {
        if let Ok(config) = ImageConfig::parse(&bytes) {
            let options = oci::bundle::RunOptions { command: vec!["x".into()], ..Default::default() };
            let users = UserFiles { passwd: bytes.clone(), group: bytes.clone() };
            let _ = oci::bundle::bundle(&config, &options, &users);
            let written = serde_json::to_vec(&config.document).expect("writes");
            prop_assert!(ImageConfig::parse(&written).is_ok());
        }
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Document::parse(&bytes, None);
        let _ = ImageConfig::parse(&bytes);
        let _ = Profile::parse(&bytes);
    }

    #[test]
    fn names(text in "[a-zA-Z0-9:/@._\\[\\]-]{0,60}|\\PC{0,40}") {
        if let Ok(reference) = reference::parse(&text) {
            let name = reference::store_name(&reference);
            prop_assert_eq!(reference::parse(&name).map(|again| reference::store_name(&again)), Ok(name));
        }
        if let Ok(location) = text.parse::<Location>() {
            prop_assert_eq!(location.to_string().parse::<Location>(), Ok(location));
        }
        let _ = (text.parse::<Digest>(), text.parse::<Platform>(), text.parse::<oci::registry::Mirror>());
    }

    #[test]
    fn words_of_the_command_line(text in "[a-z0-9=:,/.]{0,30}|\\PC{0,20}") {
        let _ = (notation::volume(&text), notation::mount_option(&text), notation::tmpfs(&text), notation::bytes(&text));
        let _ = (notation::cpus(&text), notation::ulimit(&text), notation::device(&text));
    }
}
