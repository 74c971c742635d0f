//! cgroup v1: a hierarchy a controller.

use super::*;

/// `USER_HZ` is 100 on every architecture that containers run on.
const NANOSECONDS_A_TICK: u64 = 10_000_000;

/// Reads every hierarchy that the container is in.
pub fn stats(record: &CgroupRecord) -> Result<Stats> {
    let mut stats = Stats::default();
    let open = |controller: &str| {
        let found = record.directories.iter().find(|d| d.has(controller));
        found.map(|d| Directory::open(d.path())).transpose()
    };
    if let Some(cpu) = open("cpu")? {
        let table = table(&cpu, "cpu.stat")?;
        stats.cpu.throttling = Throttling {
            periods: get(&table, "nr_periods"),
            throttled_periods: get(&table, "nr_throttled"),
            throttled_time: get(&table, "throttled_time"),
        };
    }
    if let Some(cpuacct) = open("cpuacct")? {
        stats.cpu.usage = cpu_usage(&cpuacct)?;
    }
    if let Some(cpuset) = open("cpuset")? {
        stats.cpuset = placement(&cpuset)?;
    }
    if let Some(memory) = open("memory")? {
        stats.memory = memory_use(&memory)?;
    }
    if let Some(pids) = open("pids")? {
        let limit = number(&pids, "pids.max")?;
        stats.pids = Pids {
            current: number(&pids, "pids.current")?,
            limit: if limit == u64::MAX { 0 } else { limit },
        };
    }
    if let Some(blkio) = open("blkio")? {
        stats.blkio = block_io(&blkio)?;
    }
    if let Some(hugetlb) = open("hugetlb")? {
        stats.hugetlb = huge_pages(&hugetlb)?;
    }
    Ok(stats)
}

fn cpu_usage(directory: &Directory) -> Result<CpuUsage> {
    let ticks = table(directory, "cpuacct.stat")?;
    let mut usage = CpuUsage {
        total: number(directory, "cpuacct.usage")?,
        kernel: get(&ticks, "system") * NANOSECONDS_A_TICK,
        user: get(&ticks, "user") * NANOSECONDS_A_TICK,
        ..CpuUsage::default()
    };
    // A line a processor after the heading: number, user, system.
    let text = directory
        .read_present("cpuacct.usage_all")?
        .unwrap_or_default();
    for line in text.lines().skip(1) {
        let mut columns = line
            .split(' ')
            .skip(1)
            .filter_map(|c| c.parse::<u64>().ok());
        let (user, kernel) = (columns.next().unwrap_or(0), columns.next().unwrap_or(0));
        usage.percpu_user.push(user);
        usage.percpu_kernel.push(kernel);
    }
    let text = directory
        .read_present("cpuacct.usage_percpu")?
        .unwrap_or_default();
    usage.percpu = text
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    Ok(usage)
}

fn placement(directory: &Directory) -> Result<Cpuset> {
    let read = |file: &str| number(directory, &format!("cpuset.{file}"));
    let level = directory
        .read_present("cpuset.sched_relax_domain_level")?
        .unwrap_or_default();
    Ok(Cpuset {
        cpus: list(&directory.read_present("cpuset.cpus")?.unwrap_or_default()),
        mems: list(&directory.read_present("cpuset.mems")?.unwrap_or_default()),
        cpu_exclusive: read("cpu_exclusive")?,
        mem_exclusive: read("mem_exclusive")?,
        mem_hardwall: read("mem_hardwall")?,
        memory_migrate: read("memory_migrate")?,
        memory_spread_page: read("memory_spread_page")?,
        memory_spread_slab: read("memory_spread_slab")?,
        memory_pressure: read("memory_pressure")?,
        sched_load_balance: read("sched_load_balance")?,
        sched_relax_domain_level: level.trim().parse().unwrap_or_default(),
    })
}

fn memory_use(directory: &Directory) -> Result<Memory> {
    let raw = table(directory, "memory.stat")?;
    let entry = |kind: &str| {
        let read = |suffix: &str| number(directory, &format!("memory.{kind}{suffix}"));
        Ok::<_, crate::error::Error>(MemoryEntry {
            limit: read("limit_in_bytes")?,
            usage: read("usage_in_bytes")?,
            max: read("max_usage_in_bytes")?,
            failcnt: read("failcnt")?,
        })
    };
    Ok(Memory {
        cache: get(&raw, "cache"),
        usage: entry("")?,
        swap: entry("memsw.")?,
        kernel: entry("kmem.")?,
        kernel_tcp: entry("kmem.tcp.")?,
        raw,
        psi: None,
    })
}

/// The files of the BFQ scheduler where there is one that counted, else those of the throttle.
fn block_io(directory: &Directory) -> Result<Blkio> {
    let read = |name: &str| entries(directory, &format!("blkio.{name}"));
    let scheduled = |name: &str| {
        let plain = read(name)?;
        match plain.is_empty() {
            true => read(&format!("bfq.{name}")),
            false => Ok(plain),
        }
    };
    let counted = |name: &str| {
        let plain = scheduled(name)?;
        match plain.is_empty() {
            true => read(&format!("throttle.{name}")),
            false => Ok(plain),
        }
    };
    Ok(Blkio {
        io_service_bytes_recursive: counted("io_service_bytes_recursive")?,
        io_serviced_recursive: counted("io_serviced_recursive")?,
        io_queued_recursive: scheduled("io_queued_recursive")?,
        io_service_time_recursive: scheduled("io_service_time_recursive")?,
        io_wait_time_recursive: scheduled("io_wait_time_recursive")?,
        io_merged_recursive: scheduled("io_merged_recursive")?,
        io_time_recursive: scheduled("time_recursive")?,
        sectors_recursive: scheduled("sectors_recursive")?,
        psi: None,
    })
}

/// `8:0 Read 4096` or `8:0 4096`; the last line is a total over all devices.
fn entries(directory: &Directory, file: &str) -> Result<Vec<BlkioEntry>> {
    let text = directory.read_present(file)?.unwrap_or_default();
    let parsed = text.lines().filter_map(|line| {
        let (device, rest) = line.split_once(' ')?;
        let (major, minor) = device.split_once(':')?;
        let (op, value) = rest.split_once(' ').unwrap_or(("", rest));
        Some(BlkioEntry {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            op: op.to_owned(),
            value: value.parse().ok()?,
        })
    });
    Ok(parsed.collect())
}

fn huge_pages(directory: &Directory) -> Result<BTreeMap<String, MemoryEntry>> {
    let mut pages = BTreeMap::new();
    for size in hugepage_sizes(directory, ".usage_in_bytes") {
        let read = |suffix: &str| number(directory, &format!("hugetlb.{size}.{suffix}"));
        let entry = MemoryEntry {
            limit: 0,
            usage: read("usage_in_bytes")?,
            max: read("max_usage_in_bytes")?,
            failcnt: read("failcnt")?,
        };
        pages.insert(size, entry);
    }
    Ok(pages)
}
