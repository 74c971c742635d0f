//! Parsing what kernels say, and the schema's keys.

use super::*;

#[test]
fn pressure_is_parsed() {
    let text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=123\nfull avg10=0.00 avg60=0.00 avg300=0.10 total=7\n";
    let psi = parse_psi(text);
    assert_eq!(
        (psi.some.avg10, psi.some.avg60, psi.some.total),
        (1.5, 0.25, 123)
    );
    assert_eq!((psi.full.avg300, psi.full.total), (0.1, 7));
}

#[test]
fn lists_are_spread_out() {
    assert_eq!(list("0-2,7\n"), [0, 1, 2, 7]);
    assert!(list("\n").is_empty());
}

#[test]
fn io_stat_is_told_in_v1s_words() {
    let blkio = v2::block_io("8:16 rbytes=4096 wbytes=0 rios=1 wios=2 dbytes=0 dios=0\n7:0 \n");
    let entry = |op: &str, value| BlkioEntry {
        major: 8,
        minor: 16,
        op: op.into(),
        value,
    };
    let bytes = [entry("Read", 4096), entry("Write", 0), entry("Discard", 0)];
    assert_eq!(blkio.io_service_bytes_recursive, bytes);
    assert_eq!(blkio.io_serviced_recursive[1], entry("Write", 2));
}

#[test]
fn keys_are_runcs() {
    let json = serde_json::to_value(Stats::default()).expect("json");
    let expected = serde_json::json!({
        "cpu": {"usage": {"kernel": 0, "user": 0}, "throttling": {}},
        "cpuset": {"cpu_exclusive": 0, "mem_hardwall": 0, "mem_exclusive": 0, "memory_migrate": 0,
            "memory_spread_page": 0, "memory_spread_slab": 0, "memory_pressure": 0,
            "sched_load_balance": 0, "sched_relax_domain_level": 0},
        "memory": {"usage": {"limit": 0, "failcnt": 0}, "swap": {"limit": 0, "failcnt": 0},
            "kernel": {"limit": 0, "failcnt": 0}, "kernelTCP": {"limit": 0, "failcnt": 0}},
        "pids": {}, "blkio": {}, "hugetlb": {}, "intel_rdt": {}, "network_interfaces": null
    });
    assert_eq!(json, expected);
}
