//! Credentials from the environment's files, and from the helper programs that these name.

use oci::registry::{Credentials, HelperAnswer};
use oci::{Error, Kind};
use std::io::Write;
use std::process::{Command, Stdio};

/// The caller's credentials, read when a registry asks.
pub(super) fn credentials() -> Credentials {
    let uid = crate::container::image::outer_uid();
    Credentials {
        helper: Some(ask_helper),
        ..Credentials::from_environment(|name| std::env::var_os(name), uid)
    }
}

/// Docker's helper protocol: the server on stdin, JSON on stdout.
fn ask_helper(name: &str, server: &str) -> HelperAnswer {
    let failed = |what: String| Error::new(Kind::Denied, what);
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.is_empty() || !name.bytes().all(fits) {
        return Err(failed(format!("helper name {name:?}")));
    }
    let run = || {
        let mut child = Command::new(format!("docker-credential-{name}"))
            .arg("get")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(server.as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stdout);
        return match said.contains("credentials not found") {
            true => Ok(None),
            false => Err(failed(format!("{}", output.status))),
        };
    }
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    match (answer["Username"].as_str(), answer["Secret"].as_str()) {
        (Some(user), Some(secret)) => Ok(Some((user.to_owned(), secret.to_owned()))),
        _ => Err(failed("the answer has no Username and Secret".into())),
    }
}
