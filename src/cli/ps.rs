//! `ps`: the processes in a container, by ps(1)'s own table or as JSON.
//!
//! Words behind the id go to ps(1). Where that isn't installed the table is made from /proc.

use super::{ExitCode, argument, print};
use crate::container::{Globals, StateDir, processes};
use crate::error::{Error, Result};
use clap::{Arg, ArgMatches, Command};

pub fn command() -> Command {
    Command::new("ps")
        .about("list the processes in a container")
        .arg(argument::option("format", "FORMAT", "table or json").short('f'))
        .arg(argument::container_id())
        .arg(
            Arg::new("arguments")
                .value_name("ARGUMENT")
                .help("for ps(1) (default: -ef); its output must have a PID column")
                .num_args(0..)
                .last(true),
        )
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let json = argument::is_json(matches)?;
    let dir = StateDir::open(&globals.root, &argument::id(matches)?)?;
    let pids = processes::pids(&dir.read()?)?;
    let text = match json {
        true => json_line(&pids),
        false => table(&pids, &arguments(matches))?,
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}

fn arguments(matches: &ArgMatches) -> Vec<String> {
    let given = matches.get_many::<String>("arguments").unwrap_or_default();
    let mut arguments: Vec<String> = given.cloned().collect();
    if arguments.is_empty() {
        arguments.push("-ef".into());
    }
    arguments
}

fn json_line(pids: &[i32]) -> String {
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    format!("[{}]\n", pids.join(","))
}

fn table(pids: &[i32], arguments: &[String]) -> Result<String> {
    let output = match std::process::Command::new("ps").args(arguments).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(own_table(pids)),
        Err(error) => return Err(Error::io("run ps", &error)),
        Ok(output) => output,
    };
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(Error::new(format!(
            "ps: {}: {}",
            output.status,
            complaint.trim()
        )));
    }
    filter(&String::from_utf8_lossy(&output.stdout), pids)
        .ok_or_else(|| Error::new("ps: its output has no PID column"))
}

/// The header, and the lines whose PID is in `pids`.
fn filter(output: &str, pids: &[i32]) -> Option<String> {
    let (header, lines) = output.split_once('\n')?;
    let column = header.split_whitespace().position(|word| word == "PID")?;
    let ours = |line: &&str| {
        let pid = line
            .split_whitespace()
            .nth(column)
            .and_then(|word| word.parse().ok());
        pid.is_some_and(|pid: i32| pids.contains(&pid))
    };
    let kept = lines.lines().filter(ours).map(|line| format!("{line}\n"));
    Some(std::iter::once(format!("{header}\n")).chain(kept).collect())
}

fn own_table(pids: &[i32]) -> String {
    let header = format!("{:<8} {:>7} {:>7} CMD\n", "UID", "PID", "PPID");
    std::iter::once(header)
        .chain(pids.iter().filter_map(|pid| processes::describe(*pid)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_containers_lines_stay() {
        let output =
            "UID   PID  PPID CMD\nroot    1     0 init 7\nroot    7     1 sh\nroot   17     1 x\n";
        assert_eq!(
            filter(output, &[7]).unwrap(),
            "UID   PID  PPID CMD\nroot    7     1 sh\n"
        );
        assert_eq!(filter("CMD\nsh\n", &[7]), None);
        assert_eq!(json_line(&[7, 9]), "[7,9]\n");
    }

    #[test]
    fn our_own_table_names_a_process() {
        let pid = std::process::id() as i32;
        let table = own_table(&[pid, i32::MAX]);
        assert_eq!(table.lines().count(), 2);
        assert!(table.contains(&pid.to_string()), "{table}");
    }
}
