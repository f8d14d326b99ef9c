//! The settings of a loss on numbers as the passes need them.

use super::settings::RegressionLoss;

/// The settings as numbers: what is left out has the weight 0.
#[derive(Clone, Copy)]
#[cfg_attr(feature = "cuda", repr(C))]
pub(crate) struct RegressionWeights {
    l1: f64,
    l2: f64,
    huber: f64,
    delta: f64,
}

impl RegressionWeights {
    pub(crate) fn new(settings: &RegressionLoss) -> Self {
        let huber = settings.huber.unwrap_or_default();
        Self {
            l1: settings.l1.unwrap_or(0.0),
            l2: settings.l2.unwrap_or(0.0),
            huber: settings.huber.map_or(0.0, |huber| huber.weight),
            delta: huber.delta,
        }
    }

    /// The loss of one prediction that is `error` above its target.
    pub(crate) fn loss(&self, error: f64) -> f64 {
        let size = error.abs();
        let mut loss = 0.0;
        // A weight of 0 makes no NaN of an infinite error.
        if self.l1 > 0.0 {
            loss += self.l1 * size;
        }
        if self.l2 > 0.0 {
            loss += self.l2 * error * error;
        }
        if self.huber > 0.0 {
            let is_small = size <= self.delta;
            loss += self.huber * if is_small { error * error / 2.0 } else { self.delta * (size - self.delta / 2.0) };
        }
        loss
    }

    /// Its derivative.
    pub(crate) fn slope(&self, error: f64) -> f64 {
        let sign = if error == 0.0 { 0.0 } else { error.signum() };
        let mut slope = 0.0;
        if self.l1 > 0.0 {
            slope += self.l1 * sign;
        }
        if self.l2 > 0.0 {
            slope += self.l2 * 2.0 * error;
        }
        if self.huber > 0.0 {
            slope += self.huber * if error.abs() <= self.delta { error } else { self.delta * sign };
        }
        slope
    }
}
