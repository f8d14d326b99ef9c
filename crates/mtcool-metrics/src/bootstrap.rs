//! Percentile bootstrap intervals: of a mean, of a paired difference, of any statistic, and over seeds and cases together.

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::error::{MetricError, all_finite, same_length};
use crate::summary::quantile_of_sorted;

/// How intervals are drawn: percentiles of a statistic over resamples with replacement (Efron 1979).
///
/// Resample `k` follows from the seed and `k` alone: the same seed gives the same interval on every machine, and more resamples
/// begin with those that fewer would draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bootstrap {
    /// Number of resamples, at least 1.
    pub resamples: usize,
    /// Share of the resamples that the interval holds, between 0 and 1, both excluded.
    pub confidence: f64,
    /// Everything random follows from it.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 10,000 resamples, 95 %, seed 0.
    fn default() -> Self {
        Self { resamples: 10_000, confidence: 0.95, seed: 0 }
    }
}

/// An estimate with its bootstrap interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The statistic of the sample itself.
    pub estimate: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Resamples on which the statistic has no value. The ends are percentiles of the other resamples.
    pub undefined: usize,
}

impl Bootstrap {
    /// Of the mean of `values` `[N]`.
    ///
    /// # Errors
    /// If there is no value, a value is not finite, or the settings are out of their ranges.
    pub fn mean(&self, values: &[f64]) -> Result<Interval, MetricError> {
        all_finite("value", values)?;
        self.statistic(values.len(), |cases| Some(mean_at(values, cases)))
    }

    /// Of the mean of `b - a` over pairs `(a[k], b[k])`; pairs are drawn as a whole.
    ///
    /// # Errors
    /// As for [`Self::mean`], and if the lengths differ.
    pub fn paired_difference(&self, a: &[f64], b: &[f64]) -> Result<Interval, MetricError> {
        same_length("values of b", b.len(), a.len())?;
        let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| b - a).collect();
        all_finite("difference", &differences)?;
        self.mean(&differences)
    }

    /// Of a statistic of `cases` cases, such as an AUROC: `statistic` gets the indices of a resample `[cases]` and gives `None`
    /// where it is undefined, as an AUROC without positives is.
    ///
    /// # Errors
    /// If there is no case, the statistic is undefined on the sample itself or on more than half of the resamples, a value is
    /// not finite, or the settings are out of their ranges.
    pub fn statistic(
        &self,
        cases: usize,
        mut statistic: impl FnMut(&[usize]) -> Option<f64>,
    ) -> Result<Interval, MetricError> {
        self.crossed(&[cases], |drawn| statistic(&drawn[0]))
    }

    /// Of the mean of `scores` `[seeds, cases]`, every seed's network tested on the same cases: what other seeds and other cases
    /// would have given. Seeds and cases are drawn as in [`Self::crossed`].
    ///
    /// # Errors
    /// As for [`Self::mean`], and if the seeds' lengths differ.
    pub fn mean_over_seeds(&self, scores: &[Vec<f64>]) -> Result<Interval, MetricError> {
        let cases = cases_of(scores, scores.first().map_or(0, Vec::len))?;
        self.crossed(&[scores.len(), cases], |drawn| Some(mean_of_table(scores, &drawn[0], &drawn[1])))
    }

    /// Of a statistic over several crossed factors, such as seeds and cases: `sizes` has the number of levels of each factor, and
    /// `statistic` gets one list of drawn indices per factor.
    ///
    /// Each factor is drawn once per resample (the pigeonhole bootstrap, Owen 2007), so a case that is drawn twice counts twice
    /// under every seed. Drawing cases anew under each seed would treat them as different cases, and the interval would be too
    /// short. The variance over few seeds is estimated from few seeds: with 3, 1 in 9 resamples draws one seed alone, and
    /// intervals are too short; for the difference of two methods see [`CrossedDifference`](crate::CrossedDifference).
    ///
    /// # Errors
    /// As for [`Self::statistic`].
    pub fn crossed(
        &self,
        sizes: &[usize],
        mut statistic: impl FnMut(&[Vec<usize>]) -> Option<f64>,
    ) -> Result<Interval, MetricError> {
        self.validate(sizes)?;
        let mut drawn: Vec<Vec<usize>> = sizes.iter().map(|&size| (0..size).collect()).collect();
        let undefined_on_sample = MetricError::Undefined { undefined: 1, of: 1, samples: "sample" };
        let estimate = statistic(&drawn).ok_or(undefined_on_sample)?;
        all_finite("statistic of sample", &[estimate])?;
        let mut values = Vec::with_capacity(self.resamples);
        for resample in 0..self.resamples {
            let mut generator = self.generator(resample);
            for indices in &mut drawn {
                let size = indices.len() as u64;
                indices.fill_with(|| below(size, &mut generator));
            }
            values.extend(statistic(&drawn));
        }
        let undefined = self.resamples - values.len();
        if undefined > self.resamples / 2 {
            return Err(MetricError::Undefined { undefined, of: self.resamples, samples: "resamples" });
        }
        all_finite("statistic of resample", &values)?;
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - self.confidence) / 2.0;
        let end = |share| quantile_of_sorted(&values, share);
        Ok(Interval { estimate, low: end(tail), high: end(1.0 - tail), undefined })
    }

    fn validate(&self, sizes: &[usize]) -> Result<(), MetricError> {
        if self.resamples == 0 {
            return Err(MetricError::Count { what: "resamples", got: 0, expected: "at least 1" });
        }
        if !(self.confidence > 0.0 && self.confidence < 1.0) {
            let expected = "a number between 0 and 1, both excluded, such as 0.95";
            return Err(MetricError::OutOfRange { what: "confidence", index: 0, value: self.confidence, expected });
        }
        match sizes.iter().find(|&&size| size == 0) {
            Some(&got) => Err(MetricError::Count { what: "values to draw from", got, expected: "at least 1" }),
            None => Ok(()),
        }
    }

    /// The generator of one resample.
    fn generator(&self, resample: usize) -> ChaCha8Rng {
        let mut generator = ChaCha8Rng::seed_from_u64(self.seed);
        generator.set_stream(resample as u64);
        generator
    }
}

/// A whole number from 0 up to, but not including, `size`: by one multiplication, uniform up to `size / 2^64`.
fn below(size: u64, generator: &mut ChaCha8Rng) -> usize {
    ((u128::from(generator.next_u64()) * u128::from(size)) >> 64) as usize
}

fn mean_at(values: &[f64], indices: &[usize]) -> f64 {
    indices.iter().map(|&index| values[index]).sum::<f64>() / indices.len() as f64
}

fn mean_of_table(scores: &[Vec<f64>], seeds: &[usize], cases: &[usize]) -> f64 {
    seeds.iter().map(|&seed| mean_at(&scores[seed], cases)).sum::<f64>() / seeds.len() as f64
}

/// The number of cases, which has to be `expected` for every seed.
fn cases_of(scores: &[Vec<f64>], expected: usize) -> Result<usize, MetricError> {
    for of_seed in scores {
        same_length("cases of a seed", of_seed.len(), expected)?;
        all_finite("score of a seed's case", of_seed)?;
    }
    Ok(expected)
}
