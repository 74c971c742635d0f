//! The statistics, against numbers worked out by hand.

use crate::sample::order;
use crate::stats::{median, ratio, spread, summarize};

#[test]
fn the_median_is_the_middle_or_the_mean_of_the_middle_two() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(&[]).is_nan());
}

#[test]
fn a_summary_keeps_the_outlier() {
    let summary = summarize(&[1.0, 1.0, 1.0, 1.0, 100.0]).expect("there are samples");
    assert_eq!(
        (summary.median, summary.max, summary.count),
        (1.0, 100.0, 5)
    );
    assert!(summarize(&[]).is_none());
}

#[test]
fn the_interval_holds_the_median_and_shrinks_with_samples() {
    let few: Vec<f64> = (0..10).map(f64::from).collect();
    let many: Vec<f64> = (0..1000).map(|n| f64::from(n % 10)).collect();
    let (few, many) = (
        summarize(&few).expect("ten"),
        summarize(&many).expect("a thousand"),
    );
    assert!(few.low <= few.median && few.median <= few.high);
    assert!(many.high - many.low < few.high - few.low);
}

#[test]
fn the_same_samples_give_the_same_interval() {
    let samples = [5.0, 1.0, 4.0, 2.0, 9.0, 3.0];
    assert_eq!(summarize(&samples), summarize(&samples));
}

#[test]
fn a_ratio_of_constant_samples_has_no_width() {
    let ratio = ratio(&[1.0; 9], &[4.0; 9]).expect("samples on both sides");
    assert_eq!((ratio.value, ratio.low, ratio.high), (0.25, 0.25, 0.25));
}

#[test]
fn a_ratio_of_noise_holds_the_truth() {
    let ours: Vec<f64> = (0..40).map(|n| 2.0 + f64::from(n % 7) / 10.0).collect();
    let theirs: Vec<f64> = (0..40).map(|n| 8.0 + f64::from(n % 5) / 10.0).collect();
    let ratio = ratio(&ours, &theirs).expect("samples on both sides");
    assert!(ratio.low < ratio.value && ratio.value < ratio.high);
    assert!(ratio.low > 0.2 && ratio.high < 0.35);
}

#[test]
fn samples_that_agree_are_narrow_and_few_or_noisy_ones_are_not() {
    assert_eq!(spread(&[4.0; 12]), 0.0);
    let noisy: Vec<f64> = (0..24).map(|n| 4.0 + f64::from(n % 5)).collect();
    assert!(spread(&noisy) > 0.1, "{}", spread(&noisy));
    // One that is far off says nothing of the middle.
    let mut steady = vec![4.0; 23];
    steady.push(400.0);
    assert_eq!(spread(&steady), 0.0);
    assert!(spread(&[]).is_nan());
}

#[test]
fn every_peer_has_one_turn_a_round_and_no_fixed_predecessor() {
    let mut before_first = std::collections::BTreeSet::new();
    for round in 0..10 {
        let turns = order(round, 5);
        let mut sorted = turns.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2, 3, 4]);
        let place = turns
            .iter()
            .position(|turn| *turn == 0)
            .expect("has a turn");
        before_first.insert(place.checked_sub(1).map(|place| turns[place]));
    }
    assert!(before_first.len() > 2, "{before_first:?}");
}
