//! `update`: changes a container's limits. The options are laid over what `--resources` says.

use super::ExitCode;
use super::argument::{self, number, option, path, text};
use crate::container::{Globals, UpdateOptions};
use crate::error::{Context, Error, Result};
use clap::{ArgMatches, Command};
use oci::runtime::{BlockIo, Cpu, MAX_CONFIG_BYTES, Memory, Pids, Resources};
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub fn command() -> Command {
    Command::new("update")
        .about("change a container's limits")
        .arg(option("resources", "FILE", "limits in JSON; - is stdin").short('r'))
        .arg(option(
            "blkio-weight",
            "WEIGHT",
            "block I/O weight, 10 to 1000",
        ))
        .arg(option("cpu-period", "MICROSECONDS", "period of the quota"))
        .arg(option(
            "cpu-quota",
            "MICROSECONDS",
            "run time a period; -1 for no limit",
        ))
        .arg(option(
            "cpu-burst",
            "MICROSECONDS",
            "run time that may be saved up",
        ))
        .arg(option(
            "cpu-rt-period",
            "MICROSECONDS",
            "period of the real-time run time",
        ))
        .arg(option(
            "cpu-rt-runtime",
            "MICROSECONDS",
            "real-time run time a period",
        ))
        .arg(option("cpu-share", "SHARES", "weight against other containers").alias("cpu-shares"))
        .arg(option(
            "cpu-idle",
            "0|1",
            "whether it only runs when nobody else wants to",
        ))
        .arg(option("cpuset-cpus", "LIST", "CPUs it may run on"))
        .arg(option("cpuset-mems", "LIST", "memory nodes it may use"))
        .arg(option("kernel-memory", "BYTES", "kernel memory; obsolete"))
        .arg(option(
            "kernel-memory-tcp",
            "BYTES",
            "kernel memory of TCP buffers; cgroup v1",
        ))
        .arg(option(
            "memory",
            "BYTES",
            "memory, as 64m or -1 for no limit",
        ))
        .arg(option(
            "memory-reservation",
            "BYTES",
            "memory that is left to it under pressure",
        ))
        .arg(option(
            "memory-swap",
            "BYTES",
            "memory and swap together; -1 for no limit",
        ))
        .arg(option("pids-limit", "N", "processes; -1 for no limit"))
        .arg(option(
            "l3-cache-schema",
            "SCHEMA",
            "Intel RDT cache schema",
        ))
        .arg(option(
            "mem-bw-schema",
            "SCHEMA",
            "Intel RDT memory bandwidth schema",
        ))
        .arg(argument::container_id())
}

pub fn run(globals: &Globals, matches: &ArgMatches) -> Result<ExitCode> {
    let id = argument::id(matches)?;
    crate::container::update::update(globals, &id, &options(matches)?)?;
    Ok(ExitCode::SUCCESS)
}

fn options(matches: &ArgMatches) -> Result<UpdateOptions> {
    let mut resources = match path(matches, "resources") {
        Some(file) => read(&file)?,
        None => Resources::default(),
    };
    lay_over(&mut resources, matches)?;
    Ok(UpdateOptions {
        resources,
        l3_cache_schema: text(matches, "l3-cache-schema")?,
        mem_bw_schema: text(matches, "mem-bw-schema")?,
    })
}

/// COMPAT(containerd): it always calls `update --resources=-` and writes to stdin.
fn read(file: &Path) -> Result<Resources> {
    let mut json = Vec::new();
    let reader: Box<dyn Read> = match file.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(File::open(file).context(format_args!("open {}", file.display()))?),
    };
    reader
        .take(MAX_CONFIG_BYTES)
        .read_to_end(&mut json)
        .context(format_args!("read {}", file.display()))?;
    let is_object = json.trim_ascii_start().starts_with(b"{");
    if !is_object {
        // A list would be read as the fields in their order.
        let problem = format!("resources in {}: want a JSON object", file.display());
        return Err(Error::new(problem));
    }
    oci::runtime::parse(&json)
        .map_err(|error| Error::new(format!("resources in {}: {error}", file.display())))
}

fn lay_over(resources: &mut Resources, matches: &ArgMatches) -> Result<()> {
    let cpu = cpu(resources.cpu.take().unwrap_or_default(), matches)?;
    resources.cpu = (cpu != Cpu::default()).then_some(cpu);
    let memory = memory(resources.memory.take().unwrap_or_default(), matches)?;
    resources.memory = (memory != Memory::default()).then_some(memory);
    if let Some(limit) = number(matches, "pids-limit")? {
        resources.pids = Some(Pids { limit: Some(limit) });
    }
    if let Some(weight) = number(matches, "blkio-weight")? {
        resources
            .block_io
            .get_or_insert_with(BlockIo::default)
            .weight = Some(weight);
    }
    Ok(())
}

fn cpu(was: Cpu, matches: &ArgMatches) -> Result<Cpu> {
    Ok(Cpu {
        shares: number(matches, "cpu-share")?.or(was.shares),
        quota: number(matches, "cpu-quota")?.or(was.quota),
        burst: number(matches, "cpu-burst")?.or(was.burst),
        period: number(matches, "cpu-period")?.or(was.period),
        realtime_runtime: number(matches, "cpu-rt-runtime")?.or(was.realtime_runtime),
        realtime_period: number(matches, "cpu-rt-period")?.or(was.realtime_period),
        cpus: text(matches, "cpuset-cpus")?.unwrap_or(was.cpus),
        mems: text(matches, "cpuset-mems")?.unwrap_or(was.mems),
        idle: number(matches, "cpu-idle")?.or(was.idle),
    })
}

fn memory(was: Memory, matches: &ArgMatches) -> Result<Memory> {
    Ok(Memory {
        limit: size(matches, "memory")?.or(was.limit),
        reservation: size(matches, "memory-reservation")?.or(was.reservation),
        swap: size(matches, "memory-swap")?.or(was.swap),
        kernel: size(matches, "kernel-memory")?.or(was.kernel),
        kernel_tcp: size(matches, "kernel-memory-tcp")?.or(was.kernel_tcp),
        ..was
    })
}

fn size(matches: &ArgMatches, name: &str) -> Result<Option<i64>> {
    let Some(text) = text(matches, name)? else {
        return Ok(None);
    };
    match bytes(&text) {
        Some(bytes) => Ok(Some(bytes)),
        None => Err(Error::new(format!(
            "--{name}: {text:?} is no size: want bytes, or a number with k, m, g, t or p, or -1"
        ))),
    }
}

/// COMPAT(runc): `64m`, `64MB`, `64MiB`, `1.5g`, `1024`: powers of 1024, whatever the letters' case. -1 is no limit.
fn bytes(text: &str) -> Option<i64> {
    if text == "-1" {
        return Some(-1);
    }
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let power = match unit
        .strip_suffix("ib")
        .or(unit.strip_suffix('b'))
        .unwrap_or(&unit)
    {
        "" => 0,
        "k" => 1,
        "m" => 2,
        "g" => 3,
        "t" => 4,
        "p" => 5,
        _ => return None,
    };
    let scale = 1_i64 << (10 * power);
    if let Ok(whole) = number.parse::<i64>() {
        return whole.checked_mul(scale);
    }
    let bytes = number.parse::<f64>().ok()? * scale as f64;
    (bytes < i64::MAX as f64).then_some(bytes as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<UpdateOptions> {
        let line = std::iter::once("update").chain(words.iter().copied());
        options(&command().try_get_matches_from(line).unwrap())
    }

    #[test]
    fn sizes_are_read_as_runc_reads_them() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-1", Some(-1)),
            ("1024", Some(1024)),
            ("1k", Some(1024)),
            ("64M", Some(64 << 20)),
            ("64mb", Some(64 << 20)),
            ("64MiB", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            ("2 g", Some(2 << 30)),
            ("7b", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("99999999p", None),
            ("", None),
            ("m", None),
            ("1x", None),
            ("-2", None),
            ("1.2.3", None),
            ("i", None),
        ] {
            assert_eq!(bytes(text), expected, "{text:?}");
        }
    }

    #[test]
    fn flags_are_laid_over_the_file() {
        let file = std::env::temp_dir().join(format!("crun-lite-update-{}", std::process::id()));
        std::fs::write(
            &file,
            r#"{"memory":{"limit":5,"swap":9},"pids":{"limit":7}}"#,
        )
        .unwrap();
        let file_word = format!("--resources={}", file.display());
        let updated = parse(&[&file_word, "--memory=1k", "--cpu-quota=-1", "c1"]).unwrap();
        std::fs::remove_file(&file).unwrap();
        let memory = updated.resources.memory.unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(1024), Some(9)));
        assert_eq!(updated.resources.pids.unwrap().limit, Some(7));
        assert_eq!(updated.resources.cpu.unwrap().quota, Some(-1));
    }

    #[test]
    fn what_is_not_said_stays_absent() {
        assert_eq!(parse(&["c1"]).unwrap().resources, Resources::default());
        let error = parse(&["--pids-limit=x", "c1"]).unwrap_err().to_string();
        assert!(error.starts_with("--pids-limit: \"x\": "), "{error}");
    }
}
