//! `--trace-start FILE`: the phases of a start, for Perfetto and for the benchmark.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Sandbox, Value, cases, json, runtime, sandbox, skip};

cases![
    tells_where_the_time_of_a_run_went,
    names_the_steps_of_the_plan,
    shows_a_wait_of_each_side,
    tells_of_create_that_init_waits,
    tells_of_exec,
    tells_of_an_image,
    is_there_while_the_program_runs,
    tells_how_far_a_failed_start_came,
    tells_of_a_bundle_that_is_not_there,
    is_readable_for_its_owner_only,
    replaces_an_older_trace,
    refuses_what_is_no_ordinary_file,
    refuses_a_path_that_can_not_be_written_before_anything_is_made,
    leaves_nothing_for_a_command_line_that_is_wrong,
    debug_tells_each_step_in_the_log,
];

/// One complete event, in microseconds.
#[derive(Debug)]
struct Event {
    pid: i64,
    name: String,
    begin: f64,
    end: f64,
    about: Value,
}

/// The clock is read in nanoseconds and written in microseconds.
const ROUNDING: f64 = 0.01;

impl Event {
    fn holds(&self, other: &Event) -> bool {
        self.begin <= other.begin + ROUNDING && other.end <= self.end + ROUNDING
    }

    fn length(&self) -> f64 {
        self.end - self.begin
    }
}

struct Trace {
    /// In the file's order.
    events: Vec<Event>,
    /// Process ids with their `thread_name`.
    names: Vec<(i64, String)>,
}

impl Trace {
    #[track_caller]
    fn read(file: &Path) -> Trace {
        let text = sandbox::read(file);
        let all: Vec<Value> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        let (mut events, mut names) = (Vec::new(), Vec::new());
        for event in all {
            let pid = event["pid"].as_i64().expect("pid");
            assert_eq!(event["tid"], event["pid"], "{event}");
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            match event["ph"].as_str() {
                Some("X") => {
                    let begin = event["ts"].as_f64().expect("ts");
                    let length = event["dur"].as_f64().expect("dur");
                    assert!(begin >= 0.0 && length >= 0.0, "{event}");
                    events.push(Event {
                        pid,
                        name: text(&event["name"]),
                        begin,
                        end: begin + length,
                        about: event["args"].clone(),
                    });
                }
                Some("M") if event["name"] == "thread_name" => {
                    names.push((pid, text(&event["args"]["name"])));
                }
                Some("M") => {}
                other => panic!("an event of kind {other:?}: {event}"),
            }
        }
        Trace { events, names }
    }

    /// The events of the process that is called so: the whole, then its parts.
    #[track_caller]
    fn of(&self, name: &str) -> (&Event, Vec<&Event>) {
        let (pid, _) = self
            .names
            .iter()
            .find(|(_, named)| named == name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.names));
        let mut own = self.events.iter().filter(|event| event.pid == *pid);
        (own.next().expect("an event"), own.collect())
    }

    /// The process's parts that lie end to end, without what lies in them.
    fn phases(&self, name: &str) -> (&Event, Vec<&Event>) {
        let (whole, mut parts) = self.of(name);
        parts.retain(|part| part.name != WAIT);
        (whole, parts)
    }

    #[track_caller]
    fn check(&self) {
        for (_, name) in &self.names {
            let (whole, parts) = self.phases(name);
            assert!(!parts.is_empty());
            let mut end = whole.begin;
            for part in &parts {
                assert!(whole.holds(part), "{part:?} in {whole:?}");
                assert!((part.begin - end).abs() < ROUNDING, "a gap: {part:?}");
                end = part.end;
            }
            let sum: f64 = parts.iter().map(|part| part.length()).sum();
            assert!((sum - whole.length()).abs() < 1.0, "{sum} of {whole:?}");
            let (_, all) = self.of(name);
            for wait in all.iter().filter(|part| part.name == WAIT) {
                let within = |part: &&&Event| part.holds(wait);
                assert!(parts.iter().any(|part| within(&part)), "{wait:?}");
            }
        }
        let (runtime, _) = self.of("runtime");
        for (_, name) in &self.names {
            assert!(runtime.holds(self.of(name).0), "{name}");
        }
    }

    fn names_of(&self, process: &str) -> Vec<&str> {
        let (_, parts) = self.phases(process);
        parts.iter().map(|part| part.name.as_str()).collect()
    }

    #[track_caller]
    fn part(&self, process: &str, name: &str) -> &Event {
        let (_, parts) = self.of(process);
        let found = parts.into_iter().find(|part| part.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {:?}", self.names_of(process)))
    }
}

const WAIT: &str = "wait for the parent";

#[track_caller]
fn contains_in_order(names: &[&str], expected: &[&str]) {
    let mut rest = names.iter();
    for name in expected {
        assert!(
            rest.any(|other| other == name),
            "{name} after those before it in {names:?}"
        );
    }
}

fn new_file(t: &Sandbox) -> (PathBuf, String) {
    if !runtime::is_ours() {
        skip("a feature of crun-lite");
    }
    let file = t.new_path("trace.json");
    let text = file.to_string_lossy().into_owned();
    (file, text)
}

fn tells_where_the_time_of_a_run_went(t: &Sandbox) {
    let (file, path) = new_file(t);
    t.run_with(&t.bundle().shell("true"), &["--trace-start", &path])
        .ok();
    let trace = Trace::read(&file);
    trace.check();
    let (whole, _) = trace.of("runtime");
    assert!(whole.name.starts_with("run "), "{whole:?}");
    assert!(whole.about["error"].is_null(), "{whole:?}");
    contains_in_order(
        &trace.names_of("runtime"),
        &[
            "program start",
            "command line",
            "config.json",
            "host",
            "plan",
            "state-directory",
            "record",
            "cgroup",
            "clone",
            "limits",
            "wait for init",
            "start",
            "wait for the program",
            "delete",
        ],
    );
    let exec = trace.of("init").1.pop().expect("steps");
    assert!(exec.name.starts_with("run /bin/sh"), "{exec:?}");
    let start = trace.part("runtime", "start");
    assert!(
        (exec.end - start.end).abs() < ROUNDING,
        "{exec:?} {start:?}"
    );
}

fn names_the_steps_of_the_plan(t: &Sandbox) {
    let (file, path) = new_file(t);
    let bundle = t.bundle().shell("true");
    t.run_with(&bundle, &["--trace-start", &path]).ok();
    let bundle_path = bundle.path.to_string_lossy();
    let plan = t.runtime(&["plan", "--json", &bundle_path]).output().text();
    let plan: Value = serde_json::from_str(&plan).expect("JSON");
    let planned: Vec<&str> = plan["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["does"].as_str().expect("a sentence"))
        .collect();
    let trace = Trace::read(&file);
    let names = trace.names_of("init");
    assert_eq!(names[0], "make ready");
    assert_eq!(names.len(), planned.len() + 1, "{names:?}");
    // Some sentences hold the container's id, which `plan` does not know.
    let same = names[1..].iter().filter(|name| planned.contains(name));
    assert!(same.count() > planned.len() / 2, "{names:?} {planned:?}");
}

fn shows_a_wait_of_each_side(t: &Sandbox) {
    let (file, path) = new_file(t);
    let slow = json!({"path": "/bin/sh", "args": ["sh", "-c", "sleep 0.2"]});
    let bundle = t.bundle().shell("true").hook("createRuntime", slow);
    t.run_with(&bundle, &["--trace-start", &path]).ok();
    let trace = Trace::read(&file);
    trace.check();
    let hooks = trace.part("runtime", "runtime hooks");
    assert!(hooks.length() > 190_000.0, "{hooks:?}");
    let (_, parts) = trace.of("init");
    let longest = parts
        .iter()
        .filter(|part| part.name == WAIT)
        .max_by(|a, b| a.length().total_cmp(&b.length()))
        .expect("a wait");
    // Each notes its own side of the message between them, either first.
    let both = longest.end.min(hooks.end) - longest.begin.max(hooks.begin);
    assert!(both > 190_000.0, "{longest:?} {hooks:?}");
    let step = trace.part("init", "wait for the prestart and createRuntime hooks");
    assert!(step.holds(longest));
}

fn tells_of_create_that_init_waits(t: &Sandbox) {
    let (file, path) = new_file(t);
    let container = t.create_with(&t.bundle().idle(), &["--trace-start", &path]);
    assert_eq!(container.status(), "created");
    let trace = Trace::read(&file);
    trace.check();
    assert!(trace.of("runtime").0.name.starts_with("create "));
    assert_eq!(
        trace.names_of("runtime").last(),
        Some(&"leave init waiting")
    );
    let (_, parts) = trace.phases("init");
    let last = parts.last().expect("steps");
    assert_eq!(last.name, "wait for start");
    assert_eq!(last.about["unfinished"], true);
    container.start().ok();
    container.wait_running();
}

fn tells_of_exec(t: &Sandbox) {
    let (file, path) = new_file(t);
    let container = t.running(t.bundle());
    container
        .exec_with(&["--trace-start", &path], &["/bin/true"])
        .ok();
    let trace = Trace::read(&file);
    trace.check();
    let (whole, _) = trace.of("runtime");
    assert_eq!(whole.name, format!("exec in {}", container.id));
    contains_in_order(
        &trace.names_of("runtime"),
        &[
            "command line",
            "record and config.json",
            "host and plan",
            "cgroup and namespaces",
            "clone",
            "wait for init",
            "start",
            "wait for the program",
        ],
    );
    assert_eq!(trace.names_of("init").last(), Some(&"run /bin/true"));
}

fn tells_of_an_image(t: &Sandbox) {
    let (file, path) = new_file(t);
    let directory = t.new_path("directory");
    crate::support::rootfs::make(&directory);
    let lower = format!("{}:O", directory.display());
    let store = t.new_path("store").to_string_lossy().into_owned();
    let of_directory = ["--store", &store, "--rootfs", &lower];
    let words = [
        &["run", "--trace-start", &path],
        &of_directory[..],
        &["--", "true"],
    ]
    .concat();
    t.runtime(&words).output().ok();
    let trace = Trace::read(&file);
    trace.check();
    assert!(trace.names_of("runtime").contains(&"snapshot"));
}

fn is_there_while_the_program_runs(t: &Sandbox) {
    let (file, path) = new_file(t);
    let bundle = t.bundle().idle();
    bundle.write();
    let (id, bundle_path) = (t.new_id(), bundle.path.to_string_lossy().into_owned());
    let running = t
        .runtime(&["run", "--trace-start", &path, "--bundle", &bundle_path, &id])
        .spawn();
    sandbox::wait_for("a trace with the start", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("poststart hooks"))
    });
    Trace::read(&file).check();
    t.runtime(&["kill", &id, "KILL"]).output().ok();
    assert_eq!(running.wait().code(), 137);
    let trace = Trace::read(&file);
    trace.check();
    assert_eq!(trace.names_of("runtime").last(), Some(&"delete"));
}

fn tells_how_far_a_failed_start_came(t: &Sandbox) {
    let (file, path) = new_file(t);
    let bundle = t
        .bundle()
        .shell("true")
        .mount("/x", "bind", "/no/such/source", &["bind"]);
    let said = t
        .run_with(&bundle, &["--trace-start", &path])
        .refused_with(&["/no/such/source"]);
    let trace = Trace::read(&file);
    trace.check();
    let (whole, _) = trace.of("runtime");
    let error = whole.about["error"].as_str().expect("an error");
    assert!(said.stderr.contains(error), "{error} in {}", said.stderr);
    assert_eq!(
        trace.names_of("runtime").last(),
        Some(&"failure, and undoing")
    );
    let (_, steps) = trace.phases("init");
    let last = steps.last().expect("steps");
    assert!(last.name.contains("/no/such/source"), "{last:?}");
    assert_eq!(last.about["failed"], true);
}

fn tells_of_a_bundle_that_is_not_there(t: &Sandbox) {
    let (file, path) = new_file(t);
    t.runtime(&["run", "--trace-start", &path, "-b", "/no/such/bundle", "x1"])
        .output()
        .refused_with(&["/no/such/bundle"]);
    let trace = Trace::read(&file);
    trace.check();
    assert_eq!(trace.names.len(), 1, "no process was made");
    assert!(trace.of("runtime").0.about["error"].is_string());
}

fn is_readable_for_its_owner_only(t: &Sandbox) {
    let (file, path) = new_file(t);
    t.run_with(&t.bundle().shell("true"), &["--trace-start", &path])
        .ok();
    let mode = fs::metadata(&file).expect("stat").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

fn replaces_an_older_trace(t: &Sandbox) {
    let (file, path) = new_file(t);
    fs::write(&file, "x".repeat(100_000)).expect("write");
    t.run_with(
        &t.bundle().shell("true"),
        &[&format!("--trace-start={path}")],
    )
    .ok();
    Trace::read(&file).check();
}

fn refuses_what_is_no_ordinary_file(t: &Sandbox) {
    let (file, path) = new_file(t);
    let target = t.new_path("target");
    fs::write(&target, "precious").expect("write");
    std::os::unix::fs::symlink(&target, &file).expect("symlink");
    let bundle = t.bundle().shell("true");
    t.run_with(&bundle, &["--trace-start", &path])
        .refused_with(&[&path, "it is a link"]);
    assert_eq!(sandbox::read(&target), "precious");
    t.run_with(&bundle, &["--trace-start", "/dev/null"])
        .refused_with(&["/dev/null", "ordinary file"]);
    let fifo = t.new_path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("mkfifo");
    t.run_with(&bundle, &["--trace-start", &fifo.to_string_lossy()])
        .refused_with(&["fifo", "ordinary file"]);
}

fn refuses_a_path_that_can_not_be_written_before_anything_is_made(t: &Sandbox) {
    let (_, path) = new_file(t);
    let bundle = t.bundle().writable().shell("touch /started");
    let path = format!("{path}/in/no/directory");
    t.run_with(&bundle, &["--trace-start", &path])
        .refused_with(&["--trace-start", &path, "no such file or directory"]);
    assert!(!bundle.rootfs().join("started").exists());
    assert_eq!(t.state_entries(), Vec::<String>::new());
    let container = t.running(t.bundle());
    let said = container.exec_with(&["--trace-start", &path], &["/bin/true"]);
    assert_eq!(said.code(), 255, "{said}");
}

fn leaves_nothing_for_a_command_line_that_is_wrong(t: &Sandbox) {
    let (file, path) = new_file(t);
    t.runtime(&["run", "--trace-start", &path, "--no-such-flag", "x1"])
        .output()
        .refused_with(&["--no-such-flag"]);
    t.runtime(&["run", "--trace-start", &path, "in/valid"])
        .output()
        .refused_with(&["in/valid"]);
    t.runtime(&["exec", "--trace-start", &path, "x1"])
        .output()
        .fails_with(&["neither a command"]);
    assert!(!file.exists());
}

/// The messages of a log, in order, with their levels.
fn log_of(t: &Sandbox, program: &str) -> Vec<(String, String)> {
    let log = t.new_path("log");
    let bundle = t.bundle().args(&[program]);
    bundle.write();
    let id = t.new_id();
    let (log_path, bundle_path) = (log.to_string_lossy(), bundle.path.to_string_lossy());
    let globals = ["--debug", "--log", &log_path, "--log-format", "json"];
    let run = ["run", "--bundle", &bundle_path, &id];
    t.runtime(&[&globals[..], &run].concat()).output();
    let line = |line: &str| -> (String, String) {
        let line: Value = serde_json::from_str(line).expect("an object a line");
        let text = |key: &str| line[key].as_str().expect("a text").to_owned();
        (text("level"), text("msg"))
    };
    sandbox::read(&log).lines().map(line).collect()
}

fn debug_tells_each_step_in_the_log(t: &Sandbox) {
    if !runtime::is_ours() {
        skip("a feature of crun-lite");
    }
    let told = log_of(t, "/bin/true");
    assert!(told.iter().all(|(level, _)| level == "debug"), "{told:?}");
    for step in ["config.json: ", "clone: ", "mount proc", "run /bin/true: "] {
        let steps = told.iter().filter(|(_, text)| text.contains(step));
        assert_eq!(steps.count(), 1, "{step} in {told:?}");
    }
    let told = log_of(t, "/no/such/program");
    let failed = |(level, text): &&(String, String)| level == "debug" && text.contains(", failed");
    let failed = told.iter().find(failed).expect("the step that failed");
    assert!(failed.1.contains("find the program: "), "{failed:?}");
    let (level, text) = told.last().expect("lines");
    assert_eq!(level, "error");
    assert!(text.contains("no such file or directory"), "{text}");
}
