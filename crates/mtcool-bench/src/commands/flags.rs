//! Translates flags into assignments that override an experiment's file.

use crate::cli::ConfigFlags;
use crate::plan::Overrides;
use crate::suite::Registry;

/// The flags as assignments.
pub(super) fn overrides(flags: &ConfigFlags, registry: &Registry) -> Overrides {
    let text = |value: &str| toml::Value::from(value).to_string();
    let mut assignments = Vec::new();
    if let Some(seeds) = flags.seeds {
        assignments.push(format!("seeds={seeds}"));
    }
    match flags.methods.as_deref() {
        Some([all]) if all == "all" => {
            let names: Vec<_> = registry.methods().iter().map(|entry| text(&entry.name)).collect();
            assignments.push(format!("methods=[{}]", names.join(",")));
        }
        Some(methods) => {
            let names: Vec<_> = methods.iter().map(|name| text(name.trim())).collect();
            assignments.push(format!("methods=[{}]", names.join(",")));
        }
        None => {}
    }
    if let Some(device) = &flags.device {
        assignments.push(format!("device={}", text(device)));
    }
    match flags.data.as_deref() {
        Some("synth") => assignments.push("data.source=\"synth\"".into()),
        Some(folder) => {
            assignments.push("data.source=\"folder\"".into());
            assignments.push(format!("data.folder={}", text(folder)));
        }
        None => {}
    }
    assignments.extend(flags.assignments.iter().cloned());
    Overrides { profile: flags.profile.clone(), assignments }
}
