//! What the sizes of the pictures say about the setting `fit`.

use super::config::{Fit, FolderConfig};
use super::patches::Tiles;
use super::task::TaskKind;

/// Pictures with more pixels than this are large: see [`gibibytes`].
pub(super) const LARGE: usize = 1024 * 1024;
/// Memory for a training step of a U-Net with 16 channels at its first level, in bytes for each pixel of the batch: 6.6 GiB were
/// measured for one picture of 2048 x 2048 pixels.
const BYTES_PER_PIXEL: f64 = 1690.0;
/// Masks that are made smaller by this factor or more lose fine structures.
const COARSE: f64 = 4.0;

/// The memory that training on one input of `size`, rows and columns, needs, in GiB.
pub(super) fn gibibytes(size: [usize; 2]) -> f64 {
    size[0] as f64 * size[1] as f64 * BYTES_PER_PIXEL / f64::from(1 << 30)
}

/// A sentence about pictures of the usual size `usual`, if `config` should rather take patches, or how whole pictures are seen.
pub(super) fn advice(config: &FolderConfig, usual: [usize; 2]) -> Option<String> {
    let has_masks = config.tasks.iter().any(|task| matches!(task.kind, TaskKind::Segmentation { .. }));
    let ([height, width], [rows, columns]) = (config.scaled(usual), config.size);
    let is_large = height.saturating_mul(width) > LARGE;
    let factor = (height as f64 / rows as f64).max(width as f64 / columns as f64);
    match config.fit {
        Fit::Patches => {
            let Tiles { side, overlap, .. } = config.tiles();
            Some(format!(
                "the pictures have usually {height} rows and {width} columns: training takes patches of {rows}x{columns}, and whole \
                 pictures are seen by tiles of {side}x{side} that overlap by {overlap}"
            ))
        }
        Fit::Resize if has_masks && is_large && factor >= COARSE => Some(format!(
            "the pictures have usually {height} rows and {width} columns and are made {factor:.0} times smaller: structures of less \
             than {factor:.0} pixels may vanish; `fit` = \"patches\" keeps them"
        )),
        _ if has_masks && rows.saturating_mul(columns) > LARGE => Some(format!(
            "training on {rows}x{columns} pixels needs about {:.1} GiB for each picture of a batch; `fit` = \"patches\" with a smaller \
             `size` needs less and evaluates whole pictures by tiles",
            gibibytes(config.size)
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(settings: &str, usual: [usize; 2]) -> Option<String> {
        let text = format!(
            r#"{{ {settings}, "tasks": [{{ "name": "a", "kind": "segmentation", "mask": "{{case}}.png", "classes": {{ "0": "b", "1": "c" }} }}] }}"#
        );
        advice(&serde_json::from_str(&text).unwrap(), usual)
    }

    #[test]
    fn patches_are_advised_where_pictures_are_large() {
        assert_eq!(told(r#""size": [256, 256]"#, [600, 700]), None);
        assert!(told(r#""size": [256, 384]"#, [2336, 3504]).unwrap().contains("9 times smaller"));
        assert!(told(r#""size": [2048, 2048], "fit": "crop""#, [3000, 3000]).unwrap().contains("6.6 GiB"));
        let patches = told(r#""size": [512, 512], "fit": "patches", "scale": 0.5"#, [2000, 3000]).unwrap();
        assert!(patches.contains("1000 rows and 1500 columns") && patches.contains("1024x1024"), "{patches}");
    }
}
