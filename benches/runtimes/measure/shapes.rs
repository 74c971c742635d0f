//! Whole runs of containers that are not the default one: Docker's shape, a
//! user namespace, and a user without privileges.

use super::{Answer, Progress, back_to_back, run};
use crate::bundle::{ROOTLESS_ID, Shape};
use crate::ground::Ground;
use crate::model::{Measure, Unit};
use crate::peers::{Kind, Peer};

pub fn docker(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let rows = run::rows(
        ground,
        ground.oci_peers(),
        Shape::Docker,
        back_to_back(ground),
        progress,
    )?;
    Ok(Answer::of(Measure {
        id: "run-docker".into(),
        title: "run /bin/true, in Docker's shape".into(),
        about: "A seccomp profile like Docker's for three architectures, 20 mounts, masked paths, device rules, limits of memory, processor and processes.".into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }))
}

pub fn user_namespace(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let shape = Shape::UserNamespace;
    let rows = run::rows(
        ground,
        ground.oci_peers(),
        shape,
        back_to_back(ground),
        progress,
    )?;
    Ok(Answer::of(Measure {
        id: "run-userns".into(),
        title: "run /bin/true, in a user namespace".into(),
        about: "Started by root; 65,536 ids are mapped to unprivileged ones.".into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }))
}

pub fn rootless(ground: &Ground, progress: &mut Progress) -> Result<Answer, String> {
    let peers = ground
        .peers
        .iter()
        .filter(|peer| matches!(peer.kind, Kind::Oci | Kind::Bubblewrap))
        .map(|peer| peer.as_user(ROOTLESS_ID))
        .collect::<Result<Vec<Peer>, String>>()?;
    let rows = run::rows(
        ground,
        peers.iter(),
        Shape::Rootless,
        back_to_back(ground),
        progress,
    )?;
    Ok(Answer::of(Measure {
        id: "run-rootless".into(),
        title: "run /bin/true, started without privileges".into(),
        about: "Started by an ordinary user whose id is mapped to root; no cgroup, as he may write none.".into(),
        unit: Unit::Milliseconds,
        rows,
        question: String::new(),
    }))
}
