//! One list of gradients per task that a method keeps between steps, as the named tensors of a checkpoint.

use mtcool_core::{Error, Gradients, ParameterName, Result, StateTensors};

/// The tensors of the lists, under the names `{slot}.{task}.{parameter}`.
pub(crate) fn save(lists: &[(&str, &[Gradients])]) -> StateTensors {
    let mut tensors = StateTensors::new();
    for (slot, rows) in lists {
        for (task, row) in rows.iter().enumerate() {
            row.iter().for_each(|(name, tensor)| tensors.insert(format!("{slot}.{task}.{name}"), tensor.clone()));
        }
    }
    tensors
}

/// The lists called `slots`, in this order; a list without tensors is empty.
///
/// # Errors
/// If `tensors` has one of another name: it is the state of another method.
pub(crate) fn load<const N: usize>(tensors: &StateTensors, slots: [&str; N]) -> Result<[Vec<Gradients>; N]> {
    let mut lists = [const { Vec::<Gradients>::new() }; N];
    for (key, tensor) in tensors.iter() {
        let place = key.split_once('.').and_then(|(slot, rest)| {
            let (task, parameter) = rest.split_once('.')?;
            let list = slots.iter().position(|known| *known == slot)?;
            Some((list, task.parse::<usize>().ok()?, parameter.parse::<ParameterName>().ok()?))
        });
        let Some((list, task, parameter)) = place else {
            let expected = format!("tensors called {}", slots.map(|slot| format!("`{slot}.0.*`, ...")).join(", "));
            let got = format!("`{key}`: the state of another method");
            return Err(Error::Mismatch { what: "method state".into(), expected, got });
        };
        if lists[list].len() <= task {
            lists[list].resize(task + 1, Gradients::new());
        }
        lists[list][task].insert(parameter, tensor.clone());
    }
    Ok(lists)
}

/// Fills a list that is still empty with one row without tensors per task; a missing tensor counts as zero.
///
/// # Errors
/// If the list is filled already and has not one row per task.
pub(crate) fn start(list: &mut Vec<Gradients>, tasks: usize) -> Result<()> {
    if list.is_empty() {
        list.resize(tasks, Gradients::new());
    }
    if list.len() == tasks {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "method state".into(),
        expected: format!("tensors of {tasks} tasks"),
        got: format!("{}: the state of another problem", list.len()),
    })
}

/// `keep old + (1 - keep) new`, on the device and in the order of `new`: a checkpoint does not keep the order.
///
/// # Errors
/// If two tensors of one parameter differ in shape.
pub(crate) fn blend(old: &Gradients, new: &Gradients, keep: f64) -> Result<Gradients> {
    Gradients::new().add_scaled(new, 1.0 - keep)?.add_scaled(&placed(old, new)?, keep)
}

/// `row` on the device of `beside`: a restored tensor may lie on another one.
///
/// # Errors
/// If a tensor cannot be moved.
pub(crate) fn placed(row: &Gradients, beside: &Gradients) -> Result<Gradients> {
    row.map(|_, tensor| Ok(tensor.to_device(beside.device())?))
}
