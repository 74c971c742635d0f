//! cgroup v2: one directory, told in v1's words.

use super::*;

/// Reads the unified directory.
pub fn stats(record: &CgroupRecord) -> Result<Stats> {
    let mut stats = Stats::default();
    let Some(unified) = record.unified() else {
        return Ok(stats);
    };
    let directory = Directory::open(unified.path())?;
    let cpu = table(&directory, "cpu.stat")?;
    let nanoseconds = |key| get(&cpu, key) * 1000;
    stats.cpu.usage = CpuUsage {
        total: nanoseconds("usage_usec"),
        kernel: nanoseconds("system_usec"),
        user: nanoseconds("user_usec"),
        ..CpuUsage::default()
    };
    stats.cpu.throttling = Throttling {
        periods: get(&cpu, "nr_periods"),
        throttled_periods: get(&cpu, "nr_throttled"),
        throttled_time: nanoseconds("throttled_usec"),
    };
    stats.cpuset.cpus = list(
        &directory
            .read_present("cpuset.cpus.effective")?
            .unwrap_or_default(),
    );
    stats.cpuset.mems = list(
        &directory
            .read_present("cpuset.mems.effective")?
            .unwrap_or_default(),
    );
    stats.memory = memory_use(&directory)?;
    let limit = number(&directory, "pids.max")?;
    stats.pids = Pids {
        current: number(&directory, "pids.current")?,
        limit: if limit == u64::MAX { 0 } else { limit },
    };
    let io = directory.read_present("io.stat")?.unwrap_or_default();
    stats.blkio = block_io(&io);
    for size in hugepage_sizes(&directory, ".current") {
        let events = table(&directory, &format!("hugetlb.{size}.events"))?;
        let entry = MemoryEntry {
            usage: number(&directory, &format!("hugetlb.{size}.current"))?,
            failcnt: get(&events, "max"),
            ..MemoryEntry::default()
        };
        stats.hugetlb.insert(size, entry);
    }
    Ok(stats)
}

/// v1 counts memory and swap together, so the swap entry here does. COMPAT(runc)
fn memory_use(directory: &Directory) -> Result<Memory> {
    let raw = table(directory, "memory.stat")?;
    let events = table(directory, "memory.events")?;
    let usage = MemoryEntry {
        limit: number(directory, "memory.max")?,
        usage: number(directory, "memory.current")?,
        max: number(directory, "memory.peak")?,
        failcnt: get(&events, "max"),
    };
    let swap_limit = number(directory, "memory.swap.max")?;
    let swap_events = table(directory, "memory.swap.events")?;
    let swap = MemoryEntry {
        limit: match swap_limit {
            u64::MAX => u64::MAX,
            limit => limit.saturating_add(usage.limit),
        },
        usage: number(directory, "memory.swap.current")? + usage.usage,
        max: 0,
        failcnt: get(&swap_events, "max"),
    };
    Ok(Memory {
        cache: get(&raw, "file"),
        kernel: MemoryEntry {
            usage: get(&raw, "kernel"),
            ..MemoryEntry::default()
        },
        usage,
        swap,
        raw,
        ..Memory::default()
    })
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`
pub(super) fn block_io(text: &str) -> Blkio {
    let mut blkio = Blkio::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let device = words.next().and_then(|d| d.split_once(':'));
        let Some((Ok(major), Ok(minor))) = device.map(|(a, b)| (a.parse(), b.parse())) else {
            continue;
        };
        for (key, value) in words.filter_map(|word| word.split_once('=')) {
            let (list, op) = match key {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "dbytes" => (&mut blkio.io_service_bytes_recursive, "Discard"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                "dios" => (&mut blkio.io_serviced_recursive, "Discard"),
                _ => continue,
            };
            list.push(BlkioEntry {
                major,
                minor,
                op: op.into(),
                value: value.parse().unwrap_or_default(),
            });
        }
    }
    blkio
}
