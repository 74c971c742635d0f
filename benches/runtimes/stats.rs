//! Statistics of samples: median, quantiles and a 95 % interval by bootstrap.
//!
//! Pure and repeatable: the bootstrap draws from its own generator with a fixed
//! seed, so the same samples always print the same interval. It must not know
//! what the numbers measure.

use serde::{Deserialize, Serialize};

/// What a report says about one list of samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    pub median: f64,
    /// The ends of the 95 % interval of the median.
    pub low: f64,
    pub high: f64,
    pub min: f64,
    pub max: f64,
    pub count: usize,
}

const RESAMPLES: usize = 1000;

/// None when there are no samples.
pub fn summarize(samples: &[f64]) -> Option<Summary> {
    let sorted = sorted(samples);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let (low, high) = interval(samples, median);
    Some(Summary {
        median: median(samples),
        low,
        high,
        min,
        max,
        count: samples.len(),
    })
}

pub fn median(samples: &[f64]) -> f64 {
    quantile(&sorted(samples), 0.5)
}

/// How far the ends of the median's interval are from it, as a share of it. By ranks, which costs nothing between two
/// samples: half of them, and 0.98 roots of their number up and down.
pub fn spread(samples: &[f64]) -> f64 {
    const NORMAL_95: f64 = 0.98;
    let sorted = sorted(samples);
    let count = sorted.len() as f64;
    let reach = NORMAL_95 / count.sqrt();
    let at = |share: f64| quantile(&sorted, share.clamp(0.0, 1.0));
    let middle = at(0.5);
    (at(0.5 + reach) - middle).max(middle - at(0.5 - reach)) / middle
}

/// The ratio of two medians with its 95 % interval, resampling both sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ratio {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

pub fn ratio(ours: &[f64], theirs: &[f64]) -> Option<Ratio> {
    if ours.is_empty() || theirs.is_empty() {
        return None;
    }
    let mut draw = Generator::new();
    let ratios = sorted(
        &(0..RESAMPLES)
            .map(|_| median(&resample(ours, &mut draw)) / median(&resample(theirs, &mut draw)))
            .collect::<Vec<_>>(),
    );
    Some(Ratio {
        value: median(ours) / median(theirs),
        low: quantile(&ratios, 0.025),
        high: quantile(&ratios, 0.975),
    })
}

/// The 95 % interval of `statistic` by percentile bootstrap.
fn interval(samples: &[f64], statistic: fn(&[f64]) -> f64) -> (f64, f64) {
    let mut draw = Generator::new();
    let drawn = sorted(
        &(0..RESAMPLES)
            .map(|_| statistic(&resample(samples, &mut draw)))
            .collect::<Vec<_>>(),
    );
    (quantile(&drawn, 0.025), quantile(&drawn, 0.975))
}

fn resample(samples: &[f64], draw: &mut Generator) -> Vec<f64> {
    (0..samples.len())
        .map(|_| samples[draw.below(samples.len())])
        .collect()
}

fn sorted(samples: &[f64]) -> Vec<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Linear interpolation between the two nearest ranks; NaN of nothing.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

/// xorshift64*: small, and good enough to draw indices.
struct Generator(u64);

impl Generator {
    fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        drawn as usize % bound
    }
}
