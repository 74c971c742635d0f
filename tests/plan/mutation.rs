//! Configurations that nobody would write: mutations of the golden ones come to a plan or to one sentence, never to a
//! panic, on every host.

use crate::{configurations, hosts, planned};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Values that code tends to trip over.
fn odd_value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just(String::new()),
        Just("\0".to_owned()),
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just("../../etc/passwd".to_owned()),
        Just("-1".to_owned()),
        Just("0-4294967295".to_owned()),
        Just("é\u{7f}\n=,%d".to_owned()),
        Just("bind".to_owned()),
        Just("idmap=uids=@0-0-0#;gids=".to_owned()),
        ".{0,40}",
    ];
    let number = prop_oneof![
        Just(json!(0)),
        Just(json!(-1)),
        Just(json!(i64::MIN)),
        Just(json!(u64::MAX)),
        Just(json!(u32::MAX)),
        Just(json!(0.5)),
        any::<i64>().prop_map(|number| json!(number)),
        (0..70i64).prop_map(|number| json!(number)),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        number,
        text.prop_map(Value::String),
    ];
    leaf.prop_recursive(2, 8, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
            prop::collection::hash_map("[a-z\0/.]{0,6}", inner, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// One change: which node, by its number in a walk of the document, and what happens to it.
#[derive(Debug, Clone)]
enum Change {
    Replace(Value),
    /// A child is taken from elsewhere in the document.
    Graft(usize),
    Remove,
    Repeat,
}

fn change() -> impl Strategy<Value = (usize, Change)> {
    let change = prop_oneof![
        4 => odd_value().prop_map(Change::Replace),
        2 => (0..400usize).prop_map(Change::Graft),
        1 => Just(Change::Remove),
        1 => Just(Change::Repeat),
    ];
    (0..400usize, change)
}

fn node(document: &mut Value, number: usize) -> &mut Value {
    let count = count(document);
    walk(document, &mut (number % count)).expect("the number is within the document")
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum::<usize>(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0,
    }
}

fn walk<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(items) => items.iter_mut().find_map(|item| walk(item, left)),
        Value::Object(fields) => fields.values_mut().find_map(|field| walk(field, left)),
        _ => None,
    }
}

fn apply(document: &mut Value, number: usize, change: Change) {
    let graft = match &change {
        Change::Graft(from) => node(document, *from).clone(),
        _ => Value::Null,
    };
    let place = node(document, number);
    match (change, place) {
        (Change::Replace(value), place) => *place = value,
        (Change::Graft(_), place) => *place = graft,
        (Change::Remove, Value::Array(items)) => drop(items.pop()),
        (Change::Remove, Value::Object(fields)) => {
            if let Some(name) = fields.keys().next().cloned() {
                fields.remove(&name);
            }
        }
        (Change::Remove, place) => *place = Value::Null,
        (Change::Repeat, Value::Array(items)) => items.extend(items.clone()),
        (Change::Repeat, place) => *place = json!([place.clone(), place.clone()]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_configuration_never_panics(which in 0..100usize, changes in prop::collection::vec(change(), 1..6)) {
        let configurations = configurations();
        let (_, json) = &configurations[which % configurations.len()];
        let mut document: Value = serde_json::from_slice(json).expect("is JSON");
        for (number, change) in changes {
            apply(&mut document, number, change);
        }
        let json = document.to_string();
        for (_, host) in hosts::all() {
            let text = planned(json.as_bytes(), &host);
            prop_assert!(!text.trim().is_empty());
            if text.starts_with("error: ") {
                prop_assert_eq!(text.lines().count(), 1, "{}", text);
            }
        }
    }

    #[test]
    fn bytes_that_are_no_configuration_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..2000usize) {
        let (_, host) = hosts::all().remove(0);
        prop_assert!(planned(&bytes, &host).starts_with("error: "));
        let (_, json) = configurations().remove(0);
        let cut = &json[..cut.min(json.len() - 2)];
        prop_assert!(planned(cut, &host).starts_with("error: "));
    }
}
