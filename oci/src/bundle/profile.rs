//! A user's seccomp profile: Docker's file format, of which the runtime specification's is a part.
//!
//! Docker's rules can depend on architecture and capabilities. Reading such a file as if they didn't would allow too much.

use super::defaults::ALL_CAPABILITIES;
use crate::error::{Error, Kind, Result};
use crate::runtime::{self, Seccomp, SyscallRule};
use serde::Deserialize;

/// A profile, its conditions not yet decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    base: Seccomp,
    rules: Vec<ConditionalRule>,
    architectures: Vec<ArchitectureMap>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct File {
    arch_map: Option<Vec<ArchitectureMap>>,
    syscalls: Option<Vec<ConditionalRule>>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ArchitectureMap {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
struct ConditionalRule {
    #[serde(flatten)]
    rule: SyscallRule,
    /// Docker's old form of one name.
    name: String,
    includes: Option<Condition>,
    excludes: Option<Condition>,
}

#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Condition {
    arches: Option<Vec<String>>,
    caps: Option<Vec<String>>,
    /// Every kernel that this program runs on is newer than any that profiles ask for.
    min_kernel: Option<String>,
}

impl Profile {
    /// Reads a profile's JSON.
    pub fn parse(json: &[u8]) -> Result<Profile> {
        let malformed = |error| Error::new(Kind::Invalid, format!("seccomp profile: {error}"));
        let base: Seccomp = runtime::parse(json).map_err(malformed)?;
        let file: File = runtime::parse(json).map_err(malformed)?;
        if base.default_action.is_empty() {
            return Err(Error::new(
                Kind::Invalid,
                "seccomp profile: no defaultAction",
            ));
        }
        let rules = file.syscalls.unwrap_or_default();
        let conditions = rules
            .iter()
            .flat_map(|rule| [&rule.includes, &rule.excludes])
            .flatten();
        for capability in conditions.flat_map(|condition| condition.caps.iter().flatten()) {
            if !ALL_CAPABILITIES.contains(&capability.as_str()) {
                return Err(Error::new(
                    Kind::Invalid,
                    format!("seccomp profile: there is no capability {capability:?}"),
                ));
            }
        }
        Ok(Profile {
            base,
            rules,
            architectures: file.arch_map.unwrap_or_default(),
        })
    }

    /// Decides the conditions for a process with these capabilities in its bounding set, on this machine.
    pub(super) fn resolve(&self, bounding: &[String]) -> Seccomp {
        let native = super::seccomp::architectures()
            .first()
            .copied()
            .unwrap_or_default();
        let mut profile = self.base.clone();
        if let Some(map) = self
            .architectures
            .iter()
            .find(|map| map.architecture == native)
        {
            profile.architectures = vec![native.to_owned()];
            profile
                .architectures
                .extend(map.sub_architectures.clone().unwrap_or_default());
        }
        let applies = |rule: &&ConditionalRule| rule.applies(bounding);
        profile.syscalls = self
            .rules
            .iter()
            .filter(applies)
            .map(ConditionalRule::plain)
            .collect();
        profile
    }
}

impl ConditionalRule {
    fn applies(&self, bounding: &[String]) -> bool {
        let architecture = docker_architecture();
        let is_ours = |arches: &[String]| arches.iter().any(|name| name == architecture);
        let has = |capability: &String| bounding.contains(capability);
        let included = self.includes.as_ref().is_none_or(|condition| {
            let arches = condition.arches.as_deref().unwrap_or_default();
            let caps = condition.caps.as_deref().unwrap_or_default();
            (arches.is_empty() || is_ours(arches)) && caps.iter().all(has)
        });
        let excluded = self.excludes.as_ref().is_some_and(|condition| {
            is_ours(condition.arches.as_deref().unwrap_or_default())
                || condition.caps.iter().flatten().any(has)
                || condition.min_kernel.is_some()
        });
        included && !excluded
    }

    fn plain(&self) -> SyscallRule {
        let mut rule = self.rule.clone();
        if !self.name.is_empty() {
            rule.names.push(self.name.clone().into());
        }
        rule
    }
}

/// As `includes.arches` names it.
fn docker_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::borrow::Cow;

    #[test]
    fn conditions_decide() {
        let text = br#"{"defaultAction":"SCMP_ACT_ERRNO","archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]}],
            "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW","args":null,"includes":{},"excludes":{}},
            {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
            {"names":["clone"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_ADMIN"]}},
            {"name":"old","action":"SCMP_ACT_ALLOW","includes":{"arches":["no-such-arch"]}}]}"#;
        let profile = Profile::parse(text).expect("parses");
        let names = |bounding: &[&str]| -> Vec<String> {
            let bounding: Vec<String> = bounding.iter().map(|name| (*name).to_owned()).collect();
            let rules = profile.resolve(&bounding).syscalls;
            let names = rules.into_iter().flat_map(|rule| rule.names);
            names.map(Cow::into_owned).collect()
        };
        assert_eq!(names(&[]), ["read", "clone"]);
        assert_eq!(names(&["CAP_SYS_ADMIN"]), ["read", "mount"]);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(
            profile.resolve(&[]).architectures,
            ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
        );
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Profile::parse(b"{}").is_err());
        assert!(Profile::parse(b"[]").is_err());
        let unknown = br#"{"defaultAction":"x","syscalls":[{"includes":{"caps":["CAP_FLY"]}}]}"#;
        assert!(Profile::parse(unknown).is_err());
    }

    #[test]
    fn podmans_own_profile_parses() {
        if let Ok(text) = std::fs::read("/usr/share/containers/seccomp.json") {
            let profile = Profile::parse(&text).expect("parses").resolve(&[]);
            assert!(profile.syscalls.len() > 5);
        }
    }
}
