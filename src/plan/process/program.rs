//! SPEC(config.md#process) `args` and `env`: the program, where to look for it, and what it is told.

use crate::error::Result;
use crate::plan::ExecOp;
use crate::plan::field::{c_string, invalid};
use oci::runtime::Process;
use std::ffi::CString;

/// Where programs are sought when the environment has no PATH.
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program with its environment; `extra` variables come from the runtime and give way to the author's.
pub fn plan_program(
    process: &Process,
    extra: &[String],
    warnings: &mut Vec<String>,
) -> Result<ExecOp> {
    let program = match process.args.first().map(String::as_str) {
        None => return Err(invalid("process.args", "needs a program to run")),
        Some("") => return Err(invalid("process.args[0]", "is empty")),
        Some(program) => program,
    };
    let args = process.args.iter().enumerate();
    let args: Result<Vec<_>> = args
        .map(|(index, text)| c_string(format_args!("process.args[{index}]"), text.as_str()))
        .collect();
    let mut env = plan_environment("process.env", extra, &mut Vec::new())?;
    env.extend(plan_environment("process.env", &process.env, warnings)?);
    let mut env = last_of_each_name(env);
    // COMPAT(runc): an empty HOME is none.
    env.retain(|variable| variable.as_bytes() != b"HOME=");
    let has = |name: &[u8]| env.iter().any(|variable| name_of(variable) == name);
    Ok(ExecOp {
        args: args?,
        candidates: candidates(program, path_of(&env))?,
        home_for: (!has(b"HOME")).then_some(process.user.uid),
        env,
    })
}

/// An environment without duplicates, the last of a name winning. What is no variable is left out with a warning.
pub fn plan_environment(
    at: &str,
    env: &[String],
    warnings: &mut Vec<String>,
) -> Result<Vec<CString>> {
    let mut variables = Vec::with_capacity(env.len());
    for (index, variable) in env.iter().enumerate() {
        let at = format!("{at}[{index}]");
        match variable.split_once('=') {
            Some((name, _)) if !name.is_empty() => variables.push(c_string(at, variable.as_str())?),
            _ => warnings.push(format!(
                "{at}: {variable:?} is not NAME=VALUE and is left out"
            )),
        }
    }
    Ok(last_of_each_name(variables))
}

/// Keeps the last of each name, where the first of that name stood.
fn last_of_each_name(env: Vec<CString>) -> Vec<CString> {
    let mut places = std::collections::HashMap::with_capacity(env.len());
    let mut kept: Vec<CString> = Vec::with_capacity(env.len());
    for variable in env {
        match places.get(name_of(&variable)) {
            Some(&place) => kept[place] = variable,
            None => {
                places.insert(name_of(&variable).to_vec(), kept.len());
                kept.push(variable);
            }
        }
    }
    kept
}

fn name_of(variable: &CString) -> &[u8] {
    let bytes = variable.to_bytes();
    bytes.split(|byte| *byte == b'=').next().unwrap_or(bytes)
}

fn path_of(env: &[CString]) -> &[u8] {
    let path = env.iter().find(|variable| name_of(variable) == b"PATH");
    path.map_or(DEFAULT_PATH.as_bytes(), |variable| {
        &variable.to_bytes()["PATH=".len()..]
    })
}

/// Where `program` may be, in order. An empty entry of PATH is the working directory (POSIX, 8.3).
fn candidates(program: &str, path: &[u8]) -> Result<Vec<CString>> {
    let at = "process.args[0]";
    if program.contains('/') {
        return Ok(vec![c_string(at, program)?]);
    }
    let directories = path.split(|byte| *byte == b':');
    directories
        .map(|directory| match directory {
            b"" => c_string(at, format!("./{program}")),
            _ => c_string(at, [directory, b"/", program.as_bytes()].concat()),
        })
        .collect()
}
