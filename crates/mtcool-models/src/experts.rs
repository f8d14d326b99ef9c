//! Mixtures of experts on vectors of features: MMoE (Ma et al. 2018) and CGC (Tang et al. 2020).

use candle_core::{Result, Tensor, bail};
use mtcool_core::{Diagram, Layer, NodeId, ParameterName, Parameters, Weights};
use mtcool_ops::{Activation, Linear, Precision, WeightsOf, linear, softmax, weighted_sum};

use crate::cooperative::{CooperativeLayer, Transform};
use crate::fusion::{Features, Fusion};
use crate::spec::{Init, ParameterSpec};

/// How many experts there are. For shared features x `[B, F]`, task k reads
///
/// `sum_e g_ke(x) f_e(x)`, `g_k(x) = softmax(V_k x + c_k)`, `f_e(x) = relu(W_e x + b_e)`,
///
/// where the sum is over the shared experts, which every task reads, and task k's own experts, which no other task reads.
///
/// - With shared experts alone this is MMoE, the multi-gate mixture of experts.
/// - With both kinds it is CGC, customized gate control: one level of PLE, progressive layered extraction.
/// - With a single shared expert and no other every gate is 1: hard sharing, with gates that do nothing.
///
/// The shared experts are theta, with units that the tasks own in even shares; a task's own experts and its gate are its phi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Experts {
    /// Number of shared experts.
    pub shared: usize,
    /// Number of each task's own experts.
    pub of_task: usize,
}

impl Experts {
    /// MMoE with `experts` experts.
    pub fn mmoe(experts: usize) -> Self {
        Self { shared: experts, of_task: 0 }
    }

    /// CGC with `shared` shared experts and `of_task` own ones for each task.
    pub fn cgc(shared: usize, of_task: usize) -> Self {
        Self { shared, of_task }
    }

    pub(crate) fn check(self) -> Result<()> {
        if self.shared + self.of_task > 0 {
            return Ok(());
        }
        bail!("a mixture without experts: expected at least one that a task can read")
    }
}

/// A mixture in the place of a fully connected layer of `outputs` units.
#[derive(Clone, Debug)]
pub(crate) struct Mixture {
    experts: Experts,
    shared: Vec<CooperativeLayer>,
    inputs: usize,
    outputs: usize,
    tasks: usize,
    precision: Precision,
}

impl Mixture {
    /// Experts from `inputs` features to `outputs` units; `owned` gives the tasks their parts of a layer.
    ///
    /// # Errors
    /// If the units of an expert cannot be divided among the tasks.
    pub(crate) fn new(
        experts: Experts,
        [inputs, outputs]: [usize; 2],
        tasks: usize,
        precision: Precision,
        owned: impl Fn(CooperativeLayer) -> Result<CooperativeLayer>,
    ) -> Result<Self> {
        let shared = |expert: usize| {
            let name = format!("expert{expert}");
            owned(CooperativeLayer::new(name, Transform::Linear, inputs, outputs, tasks, Fusion::Concat)?)
        };
        let shared = (0..experts.shared).map(shared).collect::<Result<_>>()?;
        Ok(Self { experts, shared, inputs, outputs, tasks, precision })
    }

    /// Units of an expert, which is what a task reads.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Experts that one task reads.
    fn read(&self) -> usize {
        self.experts.shared + self.experts.of_task
    }

    /// The parameters of all experts and gates.
    pub(crate) fn parameters(&self) -> Vec<ParameterSpec> {
        let mut specs: Vec<ParameterSpec> = self.shared.iter().flat_map(CooperativeLayer::parameters).collect();
        for task in 0..self.tasks {
            let own = (0..self.experts.of_task).map(|expert| (own_expert(expert), self.outputs));
            for (layer, rows) in own.chain([("gate".to_owned(), self.read())]) {
                for (role, shape) in [("weight", vec![rows, self.inputs]), ("bias", vec![rows])] {
                    let name = ParameterName::phi(task, format!("{layer}.{role}"));
                    specs.push(ParameterSpec { name, shape, init: Init::FanIn(self.inputs), decays: role == "weight" });
                }
            }
        }
        specs
    }

    /// What task `task` reads of the features `x` `[B, F]`: `[B, outputs]`.
    ///
    /// # Errors
    /// If a parameter is missing or a shape does not fit.
    pub(crate) fn forward(&self, parameters: &Parameters, task: usize, x: &Tensor) -> Result<Tensor> {
        let joined = Features::Joined(x.clone());
        let shared = |expert: &CooperativeLayer| -> Result<Tensor> {
            Ok(expert.forward(parameters, &joined)?.of_task(task).clone())
        };
        let of_task = |layer: &str, activation: Activation| {
            let [weight, bias] = ["weight", "bias"].map(|role| parameters.phi(task, &format!("{layer}.{role}")));
            linear(x, weight?, bias?, Linear { activation, precision: self.precision, ..Linear::default() })
        };
        let own = (0..self.experts.of_task).map(|expert| of_task(&own_expert(expert), Activation::Relu));
        let experts = self.shared.iter().map(shared).chain(own).collect::<Result<Vec<Tensor>>>()?;
        let gate = softmax(&of_task("gate", Activation::Identity)?)?;
        weighted_sum(&experts.iter().collect::<Vec<_>>(), &gate, WeightsOf::Samples)
    }

    /// Adds what task `task` reads of `x` to `diagram`.
    pub(crate) fn describe(&self, diagram: &mut Diagram, task: usize, x: NodeId) -> NodeId {
        let of_task = |diagram: &mut Diagram, layer: &str| {
            let of = |role: &str| Weights::from(ParameterName::phi(task, format!("{layer}.{role}")));
            let [weight, bias] = ["weight", "bias"].map(of);
            diagram.add(Layer::Linear { weight, bias }, &[x])
        };
        let gate = of_task(diagram, "gate");
        let mut read = vec![diagram.add(Layer::Softmax, &[gate])];
        read.extend(self.shared.iter().flat_map(|expert| expert.describe(diagram, &[x])));
        for expert in 0..self.experts.of_task {
            let y = of_task(diagram, &own_expert(expert));
            read.push(diagram.add(Layer::Relu, &[y]));
        }
        diagram.add(Layer::Mixture, &read)
    }
}

/// The name of expert `expert` of one task.
fn own_expert(expert: usize) -> String {
    format!("own_expert{expert}")
}
