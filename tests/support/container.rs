//! A container of a sandbox: the lifecycle commands by its id, and what the host shows of it.
//!
//! The sandbox deletes it in the end, so that a case may stop anywhere.

use std::path::PathBuf;

use serde_json::Value;

use super::runtime::{Invocation, Output};
use super::sandbox::wait_for;
use super::{Bundle, Sandbox};

/// A container that exists or is about to.
pub struct Container<'a> {
    sandbox: &'a Sandbox,
    pub id: String,
    pub bundle: Bundle,
}

impl<'a> Container<'a> {
    /// A container that `create` would make with this id.
    pub fn named(sandbox: &'a Sandbox, bundle: &Bundle, id: impl Into<String>) -> Self {
        Container {
            sandbox,
            id: id.into(),
            bundle: bundle.clone(),
        }
    }

    /// `create` with flags, after writing the configuration.
    #[track_caller]
    pub fn create(&self, flags: &[&str]) -> Output {
        self.bundle.write();
        let path = self.bundle.path.to_string_lossy();
        let mut arguments = vec!["create", "--bundle", &path];
        arguments.extend(flags);
        arguments.push(&self.id);
        self.sandbox.runtime(&arguments).output()
    }

    /// A lifecycle command with the id as its last argument.
    pub fn invoke(&self, arguments: &[&str]) -> Invocation {
        let all: Vec<&str> = arguments
            .iter()
            .copied()
            .chain([self.id.as_str()])
            .collect();
        self.sandbox.runtime(&all)
    }

    #[track_caller]
    pub fn start(&self) -> Output {
        self.invoke(&["start"]).output()
    }

    #[track_caller]
    pub fn pause(&self) -> Output {
        self.invoke(&["pause"]).output()
    }

    #[track_caller]
    pub fn resume(&self) -> Output {
        self.invoke(&["resume"]).output()
    }

    #[track_caller]
    pub fn delete(&self, flags: &[&str]) -> Output {
        let arguments: Vec<&str> = ["delete"].iter().chain(flags).copied().collect();
        self.invoke(&arguments).output()
    }

    #[track_caller]
    pub fn kill(&self, signal: &str) -> Output {
        self.sandbox.runtime(&["kill", &self.id, signal]).output()
    }

    #[track_caller]
    pub fn update(&self, flags: &[&str]) -> Output {
        let arguments: Vec<&str> = ["update"].iter().chain(flags).copied().collect();
        self.invoke(&arguments).output()
    }

    /// `update --resources -` with this text on standard input.
    #[track_caller]
    pub fn update_from(&self, resources: &Value) -> Output {
        self.invoke(&["update", "--resources", "-"])
            .stdin(&resources.to_string())
            .output()
    }

    /// `exec` of a command line, not yet started.
    pub fn exec_invocation(&self, flags: &[&str], command: &[&str]) -> Invocation {
        let mut arguments = vec!["exec"];
        arguments.extend(flags);
        arguments.push(&self.id);
        arguments.extend(command);
        self.sandbox.runtime(&arguments)
    }

    #[track_caller]
    pub fn exec_with(&self, flags: &[&str], command: &[&str]) -> Output {
        self.exec_invocation(flags, command).output()
    }

    /// `exec` of a shell script.
    #[track_caller]
    pub fn exec(&self, script: &str) -> Output {
        self.exec_with(&[], &["/bin/sh", "-c", script])
    }

    /// What a shell script prints in the container.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.exec(script).text()
    }

    /// `exec --process` with this description.
    #[track_caller]
    pub fn exec_process(&self, process: &Value, flags: &[&str]) -> Output {
        let file = self.sandbox.new_path("process.json");
        std::fs::write(&file, process.to_string()).expect("write the process description");
        let path = file.to_string_lossy();
        let mut arguments = vec!["exec", "--process", &path];
        arguments.extend(flags);
        arguments.push(&self.id);
        self.sandbox.runtime(&arguments).output()
    }

    #[track_caller]
    pub fn state(&self) -> Value {
        let text = self.invoke(&["state"]).output().text();
        serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("state is no JSON: {error}: {text}"))
    }

    #[track_caller]
    pub fn status(&self) -> String {
        self.state()["status"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The pid of init as the host sees it.
    #[track_caller]
    pub fn pid(&self) -> i32 {
        let state = self.state();
        let pid = state["pid"]
            .as_i64()
            .unwrap_or_else(|| panic!("no pid in {state}"));
        i32::try_from(pid).expect("pids fit")
    }

    #[track_caller]
    pub fn wait_stopped(&self) {
        wait_for("the container to stop", || self.status() == "stopped");
    }

    /// Waits through its creation too, when `state` does not know it yet.
    #[track_caller]
    pub fn wait_running(&self) {
        wait_for("the container to run", || {
            let known = self.invoke(&["state"]).output();
            let state = serde_json::from_str::<Value>(&known.stdout);
            state.is_ok_and(|state| state["status"] == "running")
        });
    }

    /// Kills init and waits for the state to say so.
    #[track_caller]
    pub fn stop(&self) {
        self.kill("KILL").ok();
        self.wait_stopped();
    }

    /// The container's directory in the v1 hierarchy of a controller.
    pub fn v1_cgroup(&self, controller: &str) -> PathBuf {
        super::host::v1_cgroup(controller, self.bundle.cgroups_path())
    }

    /// A file of the container's v1 cgroup, without its last line break.
    #[track_caller]
    pub fn cgroup_value(&self, controller: &str, file: &str) -> String {
        super::sandbox::read(self.v1_cgroup(controller).join(file))
            .trim_end()
            .to_owned()
    }
}
