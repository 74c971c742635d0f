//! Pulls from Debian's docker-registry on loopback: plain, with TLS, with passwords; images made by umoci and skopeo.
//!
//! Skipped where the programs are not installed (`apt-get install docker-registry skopeo umoci openssl busybox-static`).

use oci::progress::Silent;
use oci::reference;
use oci::registry::{Credential, Options, Registry};
use oci::store::Store;
use oci::transfer::{self, StoreOnly, Stored, transfer};
use oci::{Kind, Result};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a self-signed certificate says of itself.
#[derive(Clone, Copy)]
enum Certificate {
    Authority,
    Leaf,
}

/// A docker-registry process, ended with the test.
struct Server {
    child: Child,
    host: String,
    dir: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn is_installed() -> bool {
    ["docker-registry", "skopeo", "umoci", "openssl"]
        .iter()
        .all(|program| {
            Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok()
        })
        && Path::new("/bin/busybox").exists()
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .expect(program);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Server {
    fn start(tls: Option<Certificate>, with_password: bool) -> Server {
        let dir = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| dir.path().join(name).display().to_string();
        // The port is free again for a moment: another process may take it, so tests retry by starting anew.
        let host = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("binds")
            .to_string();
        let mut config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: {host}\n",
            at("data")
        );
        if let Some(certificate) = tls {
            let constraint = match certificate {
                Certificate::Authority => "CA:TRUE",
                Certificate::Leaf => "CA:FALSE",
            };
            run(
                "openssl",
                &[
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=localhost",
                    "-addext",
                    "subjectAltName=IP:127.0.0.1,DNS:localhost",
                    "-addext",
                    &format!("basicConstraints=critical,{constraint}"),
                    "-keyout",
                    &at("key.pem"),
                    "-out",
                    &at("cert.pem"),
                ],
            );
            config += &format!(
                "  tls: {{certificate: {}, key: {}}}\n",
                at("cert.pem"),
                at("key.pem")
            );
        }
        if with_password {
            fs::write(at("htpasswd"), format!("{}\n", htpasswd())).expect("writes");
            config += &format!(
                "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
                at("htpasswd")
            );
        }
        fs::write(at("config.yml"), config).expect("writes");
        let child = Command::new("docker-registry")
            .args(["serve", &at("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let server = Server { child, host, dir };
        for _ in 0..200 {
            if TcpStream::connect(&server.host).is_ok() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("docker-registry doesn't listen on {}", server.host);
    }

    /// Pushes an image of two layers, under every name.
    fn push(&self, format: &str, names: &[&str], password: Option<&str>) {
        let layout = image(self.dir.path());
        for name in names {
            let to = format!("docker://{}/{name}", self.host);
            let mut arguments = vec!["copy", "-q", "--format", format, "--dest-tls-verify=false"];
            arguments.extend(
                password
                    .iter()
                    .flat_map(|password| ["--dest-creds", password]),
            );
            let from = format!("oci:{}:latest", layout.display());
            arguments.extend([from.as_str(), to.as_str()]);
            run("skopeo", &arguments);
        }
    }
}

/// As `htpasswd -B` writes it.
fn htpasswd() -> String {
    let hash = run(
        "perl",
        &[
            "-e",
            r#"print crypt("secret", '$2y$05$abcdefghijklmnopqrstuu')"#,
        ],
    );
    format!("me:{hash}")
}

/// Two layers from busybox, by umoci.
fn image(dir: &Path) -> PathBuf {
    let layout = dir.join("layout");
    if layout.exists() {
        return layout;
    }
    let image = format!("{}:latest", layout.display());
    run(
        "umoci",
        &["init", "--layout", &layout.display().to_string()],
    );
    run("umoci", &["new", "--image", &image]);
    for (name, target) in [
        ("/bin/busybox", "/bin/busybox"),
        ("/etc/hostname", "/etc/name"),
    ] {
        run(
            "umoci",
            &["insert", "--rootless", "--image", &image, name, target],
        );
    }
    run(
        "umoci",
        &[
            "config",
            "--image",
            &image,
            "--config.cmd",
            "/bin/busybox",
            "--config.env",
            "A=b",
        ],
    );
    layout
}

fn options() -> Options {
    Options {
        first_pause: Duration::from_millis(5),
        ..Options::default()
    }
}

fn pull(store: &Store, server: &Server, name: &str, options: &Options) -> Result<Stored> {
    let reference = reference::parse(&format!("{}/{name}", server.host))?;
    let registry = Registry::new(&reference, options, &Silent);
    let how = transfer::Options::default();
    transfer(
        store,
        &registry,
        &reference::store_name(&reference),
        &how,
        &StoreOnly,
        &Silent,
    )
}

fn store(server: &Server) -> Store {
    Store::open(server.dir.path().join("store")).expect("opens")
}

#[test]
fn plain_http_on_loopback_with_both_kinds_of_manifest() {
    if !is_installed() {
        return eprintln!("skipped: programs are missing");
    }
    let server = Server::start(None, false);
    server.push("oci", &["team/app:1"], None);
    server.push("v2s2", &["docker:2"], None);
    let store = store(&server);
    let oci = pull(&store, &server, "team/app:1", &options()).expect("pulls");
    let docker = pull(&store, &server, "docker:2", &options()).expect("pulls");
    assert_eq!(
        (oci.manifest.layers.len(), docker.manifest.layers.len()),
        (2, 2)
    );
    assert!(
        docker
            .descriptor
            .media_type()
            .to_string()
            .contains("docker")
    );
    assert_eq!(oci.config.diff_ids, docker.config.diff_ids);
    let digest = oci.descriptor.digest();
    pull(&store, &server, &format!("team/app@{digest}"), &options()).expect("pulls by digest");
    let error = pull(&store, &server, "team/app:absent", &options()).expect_err("is absent");
    assert_eq!(error.kind(), Kind::NotFound);

    // What other tools make of our store.
    let name = format!("oci:{}:{}/team/app:1", store.root().display(), server.host);
    assert_eq!(
        run("skopeo", &["inspect", "--format", "{{.Digest}}", &name]),
        digest.to_string()
    );
    let bundle = server.dir.path().join("bundle").display().to_string();
    run(
        "umoci",
        &[
            "unpack",
            "--rootless",
            "--image",
            &name["oci:".len()..],
            &bundle,
        ],
    );
    let unpacked = fs::read(format!("{bundle}/rootfs/bin/busybox")).expect("reads");
    assert!(unpacked == fs::read("/bin/busybox").expect("reads"));
}

/// Self-signed both as a leaf and, as Docker's manual does it, as an authority.
#[test]
fn tls_with_its_own_authority() {
    if !is_installed() {
        return eprintln!("skipped: programs are missing");
    }
    for certificate in [Certificate::Leaf, Certificate::Authority] {
        check_tls(&Server::start(Some(certificate), false));
    }
}

fn check_tls(server: &Server) {
    server.push("oci", &["app"], None);
    let store = store(server);
    let error = pull(&store, server, "app", &options()).expect_err("nobody vouches for it");
    assert!(error.to_string().contains("certificate"), "{error}");
    assert!(error.advice().is_some_and(|hint| hint.contains("certs.d")));

    let certificates = server.dir.path().join("certs.d");
    fs::create_dir_all(certificates.join(&server.host)).expect("creates");
    fs::copy(
        server.dir.path().join("cert.pem"),
        certificates.join(&server.host).join("ca.crt"),
    )
    .expect("copies");
    let trusting = Options {
        certificate_dirs: vec![certificates],
        ..options()
    };
    pull(&store, server, "app", &trusting).expect("pulls");
    let insecure = Options {
        insecure: true,
        ..options()
    };
    pull(&store, server, "app", &insecure).expect("pulls");

    // Another's certificate, even a trusted one of the same kind, doesn't help.
    let other = Server::start(Some(Certificate::Authority), false);
    let certificates = &trusting.certificate_dirs[0];
    fs::copy(
        other.dir.path().join("cert.pem"),
        certificates.join(&server.host).join("ca.crt"),
    )
    .expect("copies");
    assert!(pull(&store, server, "app", &trusting).is_err());
}

#[test]
fn passwords_over_tls() {
    if !is_installed() {
        return eprintln!("skipped: programs are missing");
    }
    let server = Server::start(Some(Certificate::Leaf), true);
    server.push("oci", &["app"], Some("me:secret"));
    let store = store(&server);
    let mut options = Options {
        insecure: true,
        ..options()
    };
    let error = pull(&store, &server, "app", &options).expect_err("is denied");
    assert_eq!(error.kind(), Kind::Denied);
    options.credentials.given = Some(Credential::parse("me:wrong").expect("parses"));
    assert_eq!(
        pull(&store, &server, "app", &options)
            .expect_err("is denied")
            .kind(),
        Kind::Denied
    );
    options.credentials.given = None;

    // What `skopeo login` writes.
    let file = server.dir.path().join("auth.json");
    let path = file.display().to_string();
    run(
        "skopeo",
        &[
            "login",
            "--authfile",
            &path,
            "--tls-verify=false",
            "-u",
            "me",
            "-p",
            "secret",
            &server.host,
        ],
    );
    options.credentials.files = vec![file];
    pull(&store, &server, "app", &options).expect("pulls");
}
