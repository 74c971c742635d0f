//! The description of an overlay mount: data for whoever mounts, in the two ways kernels take it. Pure.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::lower::Lower;

/// mount(2) takes one page, its last byte a NUL.
const OPTION_BYTES: usize = 4095;

/// An overlay to mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayMount {
    /// What is only read, the topmost first.
    pub lowers: Vec<Lower>,
    /// Where changes go; none for a read-only view.
    pub upper: Option<PathBuf>,
    /// overlayfs' own directory, present when `upper` is.
    pub work: Option<PathBuf>,
    /// Without privileges: overlayfs looks at `user.overlay.*`.
    pub userxattr: bool,
    /// Never sync the upper directory: right for containers that are thrown away.
    pub volatile: bool,
}

/// One `fsconfig` call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter {
    /// FSCONFIG_SET_STRING.
    Text(&'static str, OsString),
    /// FSCONFIG_SET_FLAG.
    Flag(&'static str),
}

impl OverlayMount {
    /// For `fsconfig`, one call a layer: any number of layers that overlayfs takes (500).
    /// KERNEL(6.7): `lowerdir+`; before, [`OverlayMount::options`].
    pub fn parameters(&self) -> Vec<Parameter> {
        let path = |path: &Path| path.as_os_str().to_owned();
        let mut all: Vec<Parameter> = self
            .lowers
            .iter()
            .map(|lower| Parameter::Text("lowerdir+", path(&lower.path())))
            .collect();
        all.extend(
            self.upper
                .iter()
                .map(|upper| Parameter::Text("upperdir", path(upper))),
        );
        all.extend(
            self.work
                .iter()
                .map(|work| Parameter::Text("workdir", path(work))),
        );
        all.extend(self.settings());
        all
    }

    /// Those of the parameters that are no paths.
    pub fn settings(&self) -> impl Iterator<Item = Parameter> {
        let values = self
            .values()
            .map(|(key, value)| Parameter::Text(key, value.into()));
        values.chain(self.flags().map(Parameter::Flag))
    }

    /// For mount(2). Nothing when the layers' names don't fit into a page.
    pub fn options(&self) -> Option<OsString> {
        let lowers: Vec<Vec<u8>> = self
            .lowers
            .iter()
            .map(|lower| escape(&lower.path(), b":\\,"))
            .collect();
        let mut options = [b"lowerdir=".as_slice(), &lowers.join(&b':')].concat();
        for (key, path) in [("upperdir", &self.upper), ("workdir", &self.work)] {
            if let Some(path) = path {
                options.extend_from_slice(format!(",{key}=").as_bytes());
                options.extend_from_slice(&escape(path, b"\\,"));
            }
        }
        for (key, value) in self.values() {
            options.extend_from_slice(format!(",{key}={value}").as_bytes());
        }
        for flag in self.flags() {
            options.extend_from_slice(format!(",{flag}").as_bytes());
        }
        (options.len() <= OPTION_BYTES).then(|| OsString::from_vec(options))
    }

    /// Off whatever the kernel's default: a committed upper must not speak in references to other layers.
    /// With `userxattr` the kernel itself turns the first two off, and refuses to hear of them.
    fn values(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let all = [
            ("index", "off"),
            ("redirect_dir", "off"),
            ("metacopy", "off"),
        ];
        // Images are file systems of their own: so their files have one device number all the same.
        let images = self.lowers.iter().any(|lower| lower.mount().is_some());
        let one_device = images.then_some(("xino", "on"));
        let all = all.into_iter().take(if self.userxattr { 1 } else { 3 });
        all.chain(one_device)
    }

    fn flags(&self) -> impl Iterator<Item = &'static str> {
        let volatile = self.volatile && self.upper.is_some();
        [(self.userxattr, "userxattr"), (volatile, "volatile")]
            .into_iter()
            .filter_map(|(set, flag)| set.then_some(flag))
    }
}

fn escape(path: &Path, special: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        if special.contains(&byte) {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}
