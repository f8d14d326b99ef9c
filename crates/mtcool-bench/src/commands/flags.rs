//! Translates flags into assignments that override an experiment's file.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use crate::cli::ConfigFlags;
use crate::plan::{NamedRun, Overrides};

/// The flags as assignments.
///
/// # Errors
/// If a flag has no valid form, or a key is given twice.
pub(super) fn overrides(flags: &ConfigFlags) -> Result<Overrides> {
    let mut assignments = Vec::new();
    if let Some(seeds) = &flags.seeds {
        assignments.push(format!("seeds={}", seeds_as_toml(seeds)?));
    }
    if let Some(methods) = &flags.methods {
        let names: Vec<_> = methods.iter().map(|name| quoted(name.trim())).collect();
        assignments.push(format!("methods=[{}]", names.join(",")));
    }
    let only = named_runs(flags)?;
    if !only.is_empty() && flags.methods.is_none() {
        let names: BTreeSet<_> = only.iter().map(|run| quoted(&run.method)).collect();
        assignments.push(format!("methods=[{}]", names.into_iter().collect::<Vec<_>>().join(",")));
    }
    if !only.is_empty() && flags.seeds.is_none() {
        let seeds: BTreeSet<_> = only.iter().map(|run| run.seed).collect();
        assignments.push(format!("seeds={:?}", seeds.into_iter().collect::<Vec<_>>()));
    }
    for grid in &flags.grid {
        assignments.push(grid_as_assignment(grid)?);
    }
    if let Some(device) = &flags.device {
        assignments.push(format!("device={}", quoted(device)));
    }
    match flags.data.as_deref() {
        Some("synth") => assignments.push("data.source=\"synth\"".into()),
        Some(folder) => {
            assignments.push("data.source=\"folder\"".into());
            assignments.push(format!("data.folder={}", quoted(folder)));
        }
        None => {}
    }
    assignments.extend(flags.overfit.map(|count| format!("overfit={count}")));
    check_keys(flags)?;
    assignments.extend(flags.assignments.iter().cloned());
    Ok(Overrides { profile: flags.profile.clone(), assignments })
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

/// `3` is a number of runs, `0,3,7` is a list of seeds.
fn seeds_as_toml(text: &str) -> Result<String> {
    let number = |part: &str| -> Result<u64> {
        let parsed = part.trim().parse().ok();
        parsed.ok_or_else(|| {
            anyhow::anyhow!(
                "`--seeds` is `{text}`: expected a number of runs, such as 3, or a list of seeds, such as 0,3,7"
            )
        })
    };
    Ok(match text.strip_suffix(',').unwrap_or(text) {
        one if one == text && !one.contains(',') => number(one)?.to_string(),
        list => format!("{:?}", list.split(',').map(number).collect::<Result<Vec<u64>>>()?),
    })
}

/// The runs that `--only` names.
///
/// # Errors
/// If one is not named by method and seed.
pub(super) fn named_runs(flags: &ConfigFlags) -> Result<Vec<NamedRun>> {
    flags.only.iter().map(|text| named_run(text)).collect()
}

fn named_run(text: &str) -> Result<NamedRun> {
    let of_parts =
        |(name, seed): (&str, &str)| Some(NamedRun { method: name.trim().to_owned(), seed: seed.trim().parse().ok()? });
    let run = text.rsplit_once(':').and_then(of_parts);
    run.with_context(|| format!("`--only` is `{text}`: expected METHOD:SEED, such as mtcool:3"))
}

/// `method.mtcool.bound=0.01,0.02` as an assignment to the experiment's table `grid`.
fn grid_as_assignment(text: &str) -> Result<String> {
    let Some((key, values)) = text.split_once('=') else {
        bail!("`--grid` is `{text}`: expected KEY=VALUES, such as method.mtcool.bound=0.01,0.02,0.05");
    };
    let is_toml = |values: &str| format!("values = [{values}]").parse::<toml::Table>().is_ok();
    let values = if is_toml(values) {
        values.to_owned()
    } else {
        // Texts need no quotes.
        let part = |part: &str| if is_toml(part) { part.to_owned() } else { quoted(part.trim()) };
        values.split(',').map(part).collect::<Vec<_>>().join(",")
    };
    Ok(format!("grid.{}=[{values}]", key.trim()))
}

/// Checks that no key is given twice, since the later value alone would count.
fn check_keys(flags: &ConfigFlags) -> Result<()> {
    let key = |assignment: &str| assignment.split('=').next().unwrap_or_default().trim().to_owned();
    for (flag, assignments) in [("--set", &flags.assignments), ("--grid", &flags.grid)] {
        for (at, assignment) in assignments.iter().enumerate() {
            let key = key(assignment);
            let is_twice =
                assignments[..at].iter().any(|other| other.split('=').next().is_some_and(|k| k.trim() == key));
            let advice = if key.starts_with("method.") {
                format!("give all values at once with `--grid {key}=VALUE,VALUE,...`, and each gets a row of its own")
            } else {
                "give one value".into()
            };
            ensure!(!is_twice, "`{flag} {key}=...` is given twice: {advice}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(change: impl FnOnce(&mut ConfigFlags)) -> Result<Vec<String>> {
        let mut flags = ConfigFlags::default();
        change(&mut flags);
        overrides(&flags).map(|overrides| overrides.assignments)
    }

    #[test]
    fn seeds_are_a_number_or_a_list() {
        let seeds = |text: &str| flags(|flags| flags.seeds = Some(text.into()));
        assert_eq!(seeds("3").unwrap(), ["seeds=3"]);
        assert_eq!(seeds("0,3,7").unwrap(), ["seeds=[0, 3, 7]"]);
        assert_eq!(seeds("7,").unwrap(), ["seeds=[7]"]);
        for wrong in ["", "x", "1,x", "-1"] {
            assert!(seeds(wrong).unwrap_err().to_string().contains("such as 0,3,7"), "{wrong}");
        }
    }

    #[test]
    fn single_runs_are_methods_and_seeds() {
        let only = |runs: &[&str]| flags(|flags| flags.only = runs.iter().map(|run| (*run).to_owned()).collect());
        assert_eq!(only(&["mtcool:3"]).unwrap(), ["methods=[\"mtcool\"]", "seeds=[3]"]);
        assert_eq!(
            only(&["mtcool:3", "joint:0", "mtcool:0"]).unwrap(),
            ["methods=[\"joint\",\"mtcool\"]", "seeds=[0, 3]"]
        );
        let of_a_sweep = flags(|flags| {
            flags.only = vec!["mtcool:3".into()];
            flags.methods = Some(vec!["joint".into(), "mtcool".into()]);
        });
        assert_eq!(of_a_sweep.unwrap(), ["methods=[\"joint\",\"mtcool\"]", "seeds=[3]"]);
        for wrong in ["mtcool", "mtcool:x", "3"] {
            assert!(only(&[wrong]).unwrap_err().to_string().contains("METHOD:SEED"), "{wrong}");
        }
    }

    #[test]
    fn a_grid_is_a_list_of_values() {
        let grid = |text: &str| flags(|flags| flags.grid = vec![text.into()]);
        assert_eq!(grid("method.mtcool.bound=0.01,0.02").unwrap(), ["grid.method.mtcool.bound=[0.01,0.02]"]);
        assert_eq!(grid("method.f_mtl.around=joint, mgda").unwrap(), ["grid.method.f_mtl.around=[\"joint\",\"mgda\"]"]);
        assert_eq!(grid("method.joint.weights=[1,2],[2,1]").unwrap(), ["grid.method.joint.weights=[[1,2],[2,1]]"]);
        assert!(grid("method.mtcool.bound").unwrap_err().to_string().contains("KEY=VALUES"));
    }

    #[test]
    fn a_key_is_given_once() {
        let twice = |keys: [&str; 2]| flags(|flags| flags.assignments = keys.map(str::to_owned).to_vec());
        let message = twice(["method.mtcool.bound=0.1", "method.mtcool.bound = 0.2"]).unwrap_err().to_string();
        assert!(message.contains("given twice") && message.contains("--grid method.mtcool.bound="), "{message}");
        assert!(twice(["training.epochs=1", "training.epochs=2"]).unwrap_err().to_string().contains("give one value"));
        assert_eq!(twice(["training.epochs=1", "training.batch_size=2"]).unwrap().len(), 2);
    }
}
