//! One parameter's update by candle's operations, one pass over the elements for each: on devices without kernels of their
//! own, and as the slow twin of the single pass.

use candle_core::{Result, Tensor};

use crate::update::{AdamFactors, AdamRule, MomentumRule, ParameterUpdate, UpdateRule, UpdatedParameter};

/// The outcome of `update`.
pub(super) fn by_operations(update: &ParameterUpdate<'_>) -> Result<UpdatedParameter> {
    match update.rule {
        UpdateRule::Momentum(rule) => momentum(rule, update),
        UpdateRule::Adam(rule) => adam(rule, update),
    }
}

fn momentum(rule: MomentumRule, update: &ParameterUpdate<'_>) -> Result<UpdatedParameter> {
    let MomentumRule { momentum, nesterov, weight_decay } = rule;
    let ParameterUpdate { rate, parameter, gradient, memory, .. } = *update;
    let mut direction = gradient.clone();
    if weight_decay > 0.0 {
        direction = (direction + (parameter * weight_decay)?)?;
    }
    if momentum == 0.0 {
        return Ok(UpdatedParameter { parameter: (parameter - (direction * rate)?)?, memory: Vec::new() });
    }
    let velocity = match memory.first() {
        Some(velocity) => ((velocity * momentum)? + &direction)?,
        None => direction.clone(),
    };
    let step = if nesterov { (direction + (&velocity * momentum)?)? } else { velocity.clone() };
    Ok(UpdatedParameter { parameter: (parameter - (step * rate)?)?, memory: vec![velocity] })
}

fn adam(rule: AdamRule, update: &ParameterUpdate<'_>) -> Result<UpdatedParameter> {
    let AdamFactors { kept, rate, root_correction } = rule.factors(update.rate);
    let ParameterUpdate { parameter, gradient, memory, .. } = *update;
    let mean = |old: Option<&Tensor>, new: &Tensor, beta: f64| {
        let new = (new * (1.0 - beta))?;
        match old {
            Some(old) => (old * beta)? + new,
            None => Ok(new),
        }
    };
    let first = mean(memory.first(), gradient, rule.beta1)?;
    let second = mean(memory.get(1), &gradient.sqr()?, rule.beta2)?;
    let step = (&first / ((second.sqrt()? * root_correction)? + rule.eps)?)?;
    Ok(UpdatedParameter { parameter: ((parameter * kept)? - (step * rate)?)?, memory: vec![first, second] })
}
