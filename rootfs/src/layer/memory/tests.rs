//! Layers at random: the sum stays bounded, nobody waits for ever, and what fits alone is never refused.

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const SMALL: Division = Division {
    layers: 2,
    share_bytes: 10,
    extra_bytes: 6,
};

/// A layer's life: whether it wants the whole, and how large its tree is at each step.
type Life = (bool, Vec<u64>);

fn life() -> impl Strategy<Value = Life> {
    (any::<bool>(), prop::collection::vec(0..30u64, 1..12))
}

/// Runs one layer; true when all of it was taken.
fn live(memory: &Memory, (whole, steps): &Life, sum: &AtomicI64) -> bool {
    let share = memory.begin(*whole);
    let mut last = 0;
    let mut change = |to: u64| {
        let now = sum.fetch_add(to as i64 - last, Ordering::SeqCst) + to as i64 - last;
        assert!(now <= SMALL.whole_bytes() as i64, "{now} bytes together");
        last = to as i64;
    };
    let refused = steps.iter().any(|&bytes| {
        let refused = share.set(Purpose::Tree, bytes).is_err();
        if !refused {
            change(bytes);
        }
        refused
    });
    change(0);
    !refused
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn layers_share_and_end(lives in prop::collection::vec(life(), 1..9)) {
        let memory = Memory::new(SMALL);
        let (sum, done) = (AtomicI64::new(0), AtomicUsize::new(0));
        let (ended, end) = channel();
        std::thread::scope(|scope| {
            for life in &lives {
                let (memory, sum, done, ended) = (&memory, &sum, &done, ended.clone());
                scope.spawn(move || {
                    let limit = if life.0 { 26 } else { 16 };
                    let fits = life.1.iter().all(|&bytes| bytes <= limit);
                    assert_eq!(live(memory, life, sum), fits, "{life:?}");
                    done.fetch_add(1, Ordering::SeqCst);
                    let _ = ended.send(());
                });
            }
            drop(ended);
            for _ in &lives {
                // A circle would wait for ever: exit is the only way out of the scope then.
                if end.recv_timeout(Duration::from_secs(60)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    eprintln!("a circle: {lives:?}");
                    std::process::exit(1);
                }
            }
        });
        prop_assert_eq!(done.load(Ordering::SeqCst), lives.len());
        let state = memory.lock();
        prop_assert!(!state.extra && !state.whole && state.layers == 0);
    }
}

#[test]
fn two_within_their_shares_never_wait() {
    let memory = Memory::new(SMALL);
    let (one, two) = (memory.begin(false), memory.begin(false));
    for share in [&one, &two] {
        share.set(Purpose::Window, 4).unwrap();
        share.set(Purpose::Tree, 6).unwrap();
    }
    // And one of them outgrows its own.
    one.set(Purpose::Tree, 12).unwrap();
    drop(one);
    two.set(Purpose::Tree, 12).unwrap();
}

#[test]
fn what_never_fits_is_refused_with_numbers() {
    let share = Memory::new(SMALL).begin(false);
    share.set(Purpose::Window, 8).unwrap();
    let refused = share.set(Purpose::Tree, 9).unwrap_err().to_string();
    for said in ["17", "16", "window 8", "tree 9"] {
        assert!(refused.contains(said), "{refused}");
    }
}
