//! Traces in both forms of the format.

use crate::trace::parse;

#[test]
fn complete_events_start_from_zero_in_order() {
    let text = r#"{"traceEvents":[
        {"ph":"M","name":"thread_name","pid":1,"tid":2,"args":{"name":"child"}},
        {"ph":"X","name":"mounts","pid":1,"tid":2,"ts":150,"dur":40.5},
        {"ph":"X","name":"plan","pid":1,"tid":1,"ts":100,"dur":20}]}"#;
    let waterfall = parse("run", text).expect("a trace");
    let seen: Vec<_> = waterfall
        .phases
        .iter()
        .map(|phase| {
            (
                phase.lane.as_str(),
                phase.name.as_str(),
                phase.start_us,
                phase.length_us,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("1", "plan", 0.0, 20.0), ("child", "mounts", 50.0, 40.5)]
    );
}

#[test]
fn pairs_nest() {
    let text = r#"[{"ph":"B","name":"outer","ts":0},{"ph":"B","name":"inner","ts":2},
        {"ph":"E","ts":5},{"ph":"E","ts":9}]"#;
    let waterfall = parse("run", text).expect("a trace");
    let lengths: Vec<_> = waterfall
        .phases
        .iter()
        .map(|phase| (phase.name.as_str(), phase.length_us))
        .collect();
    assert_eq!(lengths, [("outer", 9.0), ("inner", 3.0)]);
}

#[test]
fn what_is_no_trace_is_refused() {
    assert!(parse("run", "{}").is_err());
    assert!(parse("run", "[{\"ph\":\"E\",\"ts\":1}]").is_err());
}
