//! Annotations: the image's facts and labels, then the user's.
//!
//! A label is a stranger's word. It must not become an annotation that steers this program, its peers or its callers.

use super::options::RunOptions;
use crate::image_config::ImageConfig;
use crate::spec;
use std::collections::BTreeMap;

/// Annotations that steer: runc's, crun's, systemd's, CRIU's, krun's, containerd's, CRI's.
const CONTROL: [&str; 12] = [
    "run.oci.",
    "org.systemd.",
    "org.criu.",
    "krun",
    "io.kubernetes.",
    "io.kubernetes-cri",
    "io.containerd.",
    "module.wasm.",
    "run.crun-lite.",
    "org.crun-lite.",
    "io.katacontainers.",
    "org.opencontainers.runc.",
];

/// The same, as whole names.
const CONTROL_NAMES: [&str; 3] = ["bundle", "owner", "rootfs"];

/// Whether an annotation means something to programs rather than people.
pub fn is_control(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CONTROL_NAMES.contains(&name.as_str()) || CONTROL.iter().any(|prefix| name.starts_with(prefix))
}

/// SPEC(image-spec/conversion.md#annotation-fields): implicit ones, then labels, then the user's.
pub(super) fn annotations(
    config: &ImageConfig,
    image: &spec::Config,
    options: &RunOptions,
) -> BTreeMap<String, String> {
    let document = &config.document;
    let mut ports = image.exposed_ports().clone().unwrap_or_default();
    ports.sort();
    let facts = [
        ("os", Some(document.os().to_string())),
        ("architecture", Some(document.architecture().to_string())),
        ("variant", document.variant().clone()),
        ("os.version", document.os_version().clone()),
        ("author", document.author().clone()),
        ("created", document.created().clone()),
        ("stopSignal", image.stop_signal().clone()),
        ("exposedPorts", Some(ports.join(","))),
    ];
    let mut annotations: BTreeMap<String, String> = facts
        .into_iter()
        .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value?)))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let labels = image.labels().iter().flatten();
    let harmless = labels.filter(|(name, _)| !name.is_empty() && !is_control(name));
    annotations.extend(harmless.map(|(name, value)| (name.clone(), value.clone())));
    annotations.extend(options.annotations.clone());
    annotations
}
