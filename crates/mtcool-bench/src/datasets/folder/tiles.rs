//! Whole pictures of any size, seen by one tile after the other, where training takes patches.

use anyhow::Result;
use candle_core::Tensor;
use mtcool_core::{Network, Parameters};
use mtcool_data::folder::{FolderConfig, Tiles};
use mtcool_models::Tiling;

use super::forward::forward;

/// The largest number of pixels by whose multiples tiles are laid out. It divides the usual side of a tile, and the poolings of
/// every usual network divide it.
const MULTIPLE: usize = 64;
/// Added to probabilities, of which the logarithm is taken.
const LEAST: f64 = 1e-30;

/// The tiling of whole pictures by the settings of `config`.
pub(super) fn tiling(config: &FolderConfig) -> Tiling {
    let Tiles { side, overlap, margin } = config.tiles();
    // A power of two that divides the side, and leaves room for an overlap of half of it.
    let multiple = [side / 2, MULTIPLE].into_iter().fold(1 << side.trailing_zeros(), usize::min);
    Tiling { side, overlap, margin, multiple: multiple.max(1) }
}

/// As [`forward`], for `tasks` with masks and a whole picture `[1, C, H, W]` of any size. The outputs `[1, K, H, W]` are the
/// logarithms of the probabilities, which are weighted means over the tiles that show a pixel.
pub(super) fn tiled(
    network: &dyn Network,
    parameters: &Parameters,
    tasks: &[usize],
    (picture, tiling): (&Tensor, Tiling),
) -> Result<Vec<Tensor>> {
    let maps = tiling.probabilities(&picture.squeeze(0)?, |tile| forward(network, parameters, tasks, tile))?;
    // Each map is freed as soon as its logarithms are there.
    maps.into_iter().map(|map| Ok((map.unsqueeze(0)? + LEAST)?.log()?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(settings: &str) -> Tiling {
        tiling(&serde_json::from_str(&format!("{{ \"size\": [512, 256], \"fit\": \"patches\" {settings} }}")).unwrap())
    }

    #[test]
    fn usual_tiles_and_those_of_the_settings_cover_pictures() {
        assert_eq!(of(""), Tiling { side: 1024, overlap: 128, margin: 32, multiple: 64 });
        let small = of(r#", "tile": 96, "overlap": 16, "margin": 0"#);
        assert_eq!(small, Tiling { side: 96, overlap: 16, margin: 0, multiple: 32 });
        // Every tile that the settings allow is one that a tiling allows.
        for side in 32..200usize {
            for settings in [String::new(), format!(", \"overlap\": {}, \"margin\": 0", side / 2)] {
                let found = of(&format!(", \"tile\": {side}{settings}"));
                assert!(found.check().is_ok() && side.is_multiple_of(found.multiple), "{found:?}");
            }
        }
    }
}
