//! A data set: points in the plane. Task `inside` asks whether a point lies in a ring, task `angle` for a number.

use anyhow::Result;
use candle_core::{D, DType, Device, Tensor};
use mtcool_bench::suite::{
    CaseScore, Column, DataPlace, DatasetEntry, DatasetSpec, Evaluation, MapSink, Split, Suite, TaskOutput, TaskSpec,
};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{Batch, BatchSource, Parameters, Problem, batches};
use rand::RngCore;
use serde_json::Value;

/// Training, validation and test points.
const COUNTS: [usize; 3] = [2000, 500, 500];

pub(crate) fn entry() -> DatasetEntry {
    let open = |_: DataPlace<'_>, _: &Value| -> Result<Box<dyn Suite>> {
        let draw = |part: usize| {
            let mut generator = stream(part as u64, Purpose::Method, [0; 4], "points");
            uniform(&mut generator, 1.0, &(COUNTS[part], 2).into(), DType::F32, &Device::Cpu)
        };
        Ok(Box::new(Ring([draw(0)?, draw(1)?, draw(2)?])))
    };
    DatasetEntry { fetch: |_| Ok(()), ..DatasetEntry::new("ring", "mlp", |_| Ok(spec()), open) }
}

fn spec() -> DatasetSpec {
    let (classes, numbers) = (TaskOutput::Class { classes: 2 }, TaskOutput::Regression { values: 1 });
    DatasetSpec {
        input: [2, 1, 1],
        tasks: vec![TaskSpec::new("inside", classes), TaskSpec::new("angle", numbers)],
        columns: vec![
            Column::new("inside", "accuracy", "Inside (%)"),
            Column::new("angle", "error", "Error").lower_is_better().in_own_unit(),
        ],
        figure: None,
        has_test: true,
    }
}

/// Points `[N, 2]` of each part.
struct Ring([Tensor; 3]);

/// What task `task` asks of points `[N, 2]`: classes `[N]`, or the cosine of twice the angle `[N, 1]`.
fn target(task: usize, points: &Tensor) -> candle_core::Result<Tensor> {
    let squares = points.sqr()?;
    let radius = squares.sum_keepdim(1)?;
    if task == 0 {
        return radius.ge(0.2)?.mul(&radius.le(0.7)?)?.squeeze(1)?.to_dtype(DType::U32);
    }
    (squares.narrow(1, 0, 1)? - squares.narrow(1, 1, 1)?)?.div(&(radius + 1e-6)?)
}

impl Suite for Ring {
    fn origin(&self) -> Value {
        Value::Null
    }

    fn samples(&self, _: usize) -> usize {
        COUNTS[0]
    }

    fn batches(&self, device: &Device, size: usize, seed: u64, position: u64) -> Result<Box<dyn BatchSource>> {
        let (points, device, mut next) = (self.0[0].clone(), device.clone(), [position; 2]);
        Ok(Box::new(batches::from_fn(move |task| -> candle_core::Result<Batch> {
            let mut generator = stream(seed, Purpose::Method, [task as u32, next[task] as u32, 0, 0], "batch");
            next[task] += 1;
            let chosen: Vec<u32> = (0..size).map(|_| generator.next_u32() % COUNTS[0] as u32).collect();
            let input = points.index_select(&Tensor::new(chosen, &Device::Cpu)?, 0)?;
            Ok(Batch { target: target(task, &input)?.to_device(&device)?, input: input.to_device(&device)? })
        })))
    }

    fn evaluate(
        &self,
        problem: &Problem,
        parameters: &Parameters,
        split: Split,
        _: Option<&mut MapSink<'_>>,
    ) -> Result<Evaluation> {
        let points = &self.0[if split == Split::Test { 2 } else { 1 }];
        let mut evaluation = Evaluation::default();
        for (task, Column { task: name, metric, .. }) in spec().columns.into_iter().enumerate() {
            let (output, truth) = (problem.network().forward(parameters, task, points)?, target(task, points)?);
            let scores = match task {
                0 => (output.argmax(D::Minus1)?.eq(&truth)?.to_dtype(DType::F32)? * 100.0)?,
                _ => (&output - &truth)?.abs()?.flatten_all()?,
            };
            let loss = problem.loss(task, &output, &truth)?.to_scalar::<f32>()?;
            evaluation.measure(name.clone(), "loss", f64::from(loss));
            evaluation.measure(name.clone(), metric.clone(), f64::from(scores.mean_all()?.to_scalar::<f32>()?));
            // One score per point, so that methods are compared point by point.
            for (point, value) in scores.to_vec1::<f32>()?.into_iter().enumerate() {
                let (task, metric, case) = (name.clone(), metric.clone(), point.to_string());
                evaluation.scores.push(CaseScore { task, case, metric, value: f64::from(value) });
            }
        }
        Ok(evaluation)
    }
}
