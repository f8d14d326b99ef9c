//! The state of a method between steps, as the named numbers of a checkpoint.

use mtcool_core::{Error, Result};

/// The named numbers of a state.
pub(crate) type Numbers = Vec<(String, f64)>;

/// The numbers of the lists, under the names `{name}.0`, `{name}.1`, ...
pub(crate) fn save(lists: &[(&str, &[f64])]) -> Numbers {
    let entries = |(name, values): &(&str, &[f64])| {
        let named = values.iter().enumerate().map(|(at, &value)| (format!("{name}.{at}"), value));
        named.collect::<Vec<_>>()
    };
    lists.iter().flat_map(entries).collect()
}

/// The lists called `names`, in this order; a list without numbers in `state` is empty.
///
/// # Errors
/// If `state` has a number of another name: it is the state of another method.
pub(crate) fn load<const N: usize>(state: Numbers, names: [&str; N]) -> Result<[Vec<f64>; N]> {
    let mut lists = [const { Vec::new() }; N];
    for (key, value) in state {
        let place = key.rsplit_once('.').and_then(|(name, at)| {
            let list = names.iter().position(|known| *known == name)?;
            (at.parse() == Ok(lists[list].len())).then_some(list)
        });
        match place {
            Some(list) => lists[list].push(value),
            None => {
                return Err(Error::Mismatch {
                    what: "method state".into(),
                    expected: format!("numbers called {}", names.map(|name| format!("`{name}.0`, ...")).join(", ")),
                    got: format!("`{key}`: the state of another method"),
                });
            }
        }
    }
    Ok(lists)
}

/// The numbers of a method inside another one, under the names `{part}.{name}`.
pub(crate) fn nested(part: &str, state: Numbers) -> Numbers {
    state.into_iter().map(|(name, value)| (format!("{part}.{name}"), value)).collect()
}

/// The numbers called `{part}.{name}`, under `name`, and the other ones: the reverse of [`nested`].
pub(crate) fn split(state: Numbers, part: &str) -> (Numbers, Numbers) {
    let (mut inside, mut others) = (Vec::new(), Vec::new());
    for (key, value) in state {
        match key.strip_prefix(part).and_then(|rest| rest.strip_prefix('.')) {
            Some(name) => inside.push((name.to_owned(), value)),
            None => others.push((key, value)),
        }
    }
    (inside, others)
}

/// Fills a list that is still empty with one `value` per task.
///
/// # Errors
/// If the list is filled already and its length is not `tasks`.
pub(crate) fn start(list: &mut Vec<f64>, tasks: usize, value: f64) -> Result<()> {
    if list.is_empty() {
        list.resize(tasks, value);
    }
    if list.len() == tasks {
        return Ok(());
    }
    Err(Error::Mismatch {
        what: "method state".into(),
        expected: format!("numbers of {tasks} tasks"),
        got: format!("{}: the state of another problem", list.len()),
    })
}
