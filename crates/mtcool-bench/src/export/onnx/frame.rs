//! Both ends of the graph: from pixels to the network's input, and from its outputs to answers.

use super::builder::{Attribute, Builder, Dim};
use crate::export::content::{Answer, Picture};
use crate::suite::TaskOutput;

/// Pictures in the graph.
pub(super) struct ReadPicture {
    /// The network's input.
    pub(super) input: String,
    /// Height and width of the pictures before they were padded; `None` if they are not padded.
    sides: Option<String>,
    /// Height and width as dimensions.
    dims: [Dim; 2],
}

/// Adds an input for pixels, and the nodes that make the network's input of them.
pub(super) fn read(graph: &mut Builder, picture: &Picture) -> ReadPicture {
    let Picture { name, form, channels, size, multiple } = picture;
    let dims = match size {
        Some(size) => size.map(Dim::Fixed),
        None => ["height", "width"].map(|side| match name.split_once('.') {
            Some((_, task)) => Dim::Named(format!("{side}.{task}")),
            None => Dim::Named(side.into()),
        }),
    };
    let [height, width] = dims.clone();
    graph.input(name, &[batch(), Dim::Fixed(*channels), height, width], &form.description);
    let mut x = name.clone();
    if form.white != 1.0 {
        let white = graph.number(form.white);
        x = graph.node("Div", &[&x, &white], &[]);
    }
    for (operator, role, values) in [("Sub", "mean", &form.mean), ("Div", "deviation", &form.deviation)] {
        if !values.is_empty() {
            let values = graph.floats(&format!("/{name}/{role}"), &[values.len(), 1, 1], values);
            x = graph.node(operator, &[&x, &values], &[]);
        }
    }
    if *multiple == 1 {
        return ReadPicture { input: x, sides: None, dims };
    }
    // Pixels that are missing below and on the right: (m - side mod m) mod m.
    let sides = graph.node("Shape", &[name], &[Attribute::Integer("start", 2), Attribute::Integer("end", 4)]);
    let multiple = graph.integers(&[*multiple as i64]);
    let rest = graph.node("Mod", &[&sides, &multiple], &[]);
    let missing = graph.node("Sub", &[&multiple, &rest], &[]);
    let missing = graph.node("Mod", &[&missing, &multiple], &[]);
    let before = graph.integers(&[0; 6]);
    let pads = graph.node("Concat", &[&before, &missing], &[Attribute::Integer("axis", 0)]);
    let input = graph.node("Pad", &[&x, &pads], &[]);
    ReadPicture { input, sides: Some(sides), dims }
}

/// Adds the outputs of a task, whose last layer has the output `raw`: its answer, called like the task, and for classes the
/// logits.
pub(super) fn answer(graph: &mut Builder, task: &Answer, raw: &str, picture: &ReadPicture) {
    let (answer, logits) = (task.name.to_string(), format!("{}.logits", task.name));
    let softmax = [Attribute::Integer("axis", 1)];
    let names = task.form.names.join(", ");
    match task.output {
        TaskOutput::Segmentation { classes } => {
            match &picture.sides {
                None => graph.node_to(&logits, "Identity", &[raw], &[]),
                Some(sides) => {
                    let (from, axes) = (graph.integers(&[0, 0]), graph.integers(&[2, 3]));
                    graph.node_to(&logits, "Slice", &[raw, &from, sides, &axes], &[]);
                }
            }
            graph.node_to(&answer, "Softmax", &[&logits], &softmax);
            let [height, width] = picture.dims.clone();
            let shape = [batch(), Dim::Fixed(classes), height, width];
            graph.output(&answer, &shape, &format!("probability of each class at each pixel: {names}"));
            graph.output(&logits, &shape, "logits of the classes at each pixel");
        }
        TaskOutput::Class { classes } => {
            graph.node_to(&logits, "Identity", &[raw], &[]);
            graph.node_to(&answer, "Softmax", &[&logits], &softmax);
            let shape = [batch(), Dim::Fixed(classes)];
            graph.output(&answer, &shape, &format!("probability of each class: {names}"));
            graph.output(&logits, &shape, "logits of the classes");
        }
        TaskOutput::Multilabel { labels } => {
            graph.node_to(&logits, "Identity", &[raw], &[]);
            let both = graph.node("Softmax", &[&logits], &softmax);
            let present = graph.integer(1);
            graph.node_to(&answer, "Gather", &[&both, &present], &[Attribute::Integer("axis", 1)]);
            graph.output(&answer, &[batch(), Dim::Fixed(labels)], &format!("probability of each property: {names}"));
            let shape = [batch(), Dim::Fixed(2), Dim::Fixed(labels)];
            graph.output(&logits, &shape, "logits of absence and presence of each property");
        }
        TaskOutput::Regression { values } => {
            let [mean, deviation] = task.form.scale.map(|number| graph.number(number as f32));
            let scaled = graph.node("Mul", &[raw, &deviation], &[]);
            graph.node_to(&answer, "Add", &[&scaled, &mean], &[]);
            let unit = task.form.unit.as_ref().map_or_else(String::new, |unit| format!(", in {unit}"));
            graph.output(&answer, &[batch(), Dim::Fixed(values)], &format!("numbers{unit}: {names}"));
        }
    }
}

fn batch() -> Dim {
    Dim::Named("batch".into())
}
