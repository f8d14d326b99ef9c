//! Procedural fundus photographs with their ground truth: any number, of any size, from a seed.
//!
//! A photograph is a pure function of (seed, index, size); the size changes only how finely it is sampled. The retina has
//! pigment, choroid and nerve fibres; arteries (thin, bright, with a reflex) and veins (wide, dark) follow the arcades and cross
//! each other and the disc's border; disc and cup have soft borders; there are drusen, exudates and haemorrhages; a camera blurs
//! and adds noise. Whether an eye has glaucoma is drawn first; then cup-to-disc ratio and notches of the rim are drawn from
//! distributions that depend on it and overlap, so that no classifier can be right about every eye.

mod anatomy;
mod camera;
mod geometry;
mod lesions;
mod paint;
mod random;
mod raster;
mod style;
mod texture;
mod tree;

use image::codecs::jpeg::JpegEncoder;
use rayon::prelude::*;

pub use anatomy::Anatomy;

use paint::FundusScene;
use random::{Dice, RandomStream};
use raster::Vessels;
use style::Style;
use tree::{Tree, VesselKind};

/// The version of the drawing rules; it is part of a synthetic set's origin.
pub const GENERATOR: u32 = 1;

/// In [`Truth::vessels`]: this pixel shows an artery.
pub const ARTERY: u8 = 1;
/// In [`Truth::vessels`]: this pixel shows a vein. A pixel that shows both is a crossing.
pub const VEIN: u8 = 2;

/// In [`Truth::disc_cup`]: outside the disc.
pub const BACKGROUND: u8 = 0;
/// In [`Truth::disc_cup`]: in the disc, outside the cup.
pub const RIM: u8 = 1;
/// In [`Truth::disc_cup`]: in the cup.
pub const CUP: u8 = 2;

/// A photograph and its ground truth.
#[derive(Clone, Debug)]
pub struct Fundus {
    /// (height, width).
    pub size: [usize; 2],
    /// `[H, W, 3]`, red, green, blue.
    pub pixels: Vec<u8>,
    /// The ground truth.
    pub truth: Truth,
    quality: u8,
}

/// The ground truth of a photograph; maps are `[H, W]`.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The diagnosis.
    pub glaucoma: bool,
    /// The fovea as (x, y) in pixels.
    pub fovea: [f32; 2],
    /// [`BACKGROUND`], [`RIM`] or [`CUP`].
    pub disc_cup: Vec<u8>,
    /// [`ARTERY`], [`VEIN`], both or 0.
    pub vessels: Vec<u8>,
    /// 1 in the field of view, 0 outside.
    pub field_of_view: Vec<u8>,
}

impl Fundus {
    /// Draws photograph `index` of `seed` with `size` = (height, width).
    pub fn draw(seed: u64, index: u64, size: [usize; 2]) -> Self {
        let anatomy = Anatomy::draw(seed, index);
        let style = Style::draw(seed, index);
        let view = anatomy.view(size);
        let grow = |kind, part, other: Option<&Tree>| {
            Tree::grow(&anatomy, &view, kind, other, &mut Dice::new(seed, index, part))
        };
        let arteries = grow(VesselKind::Artery, RandomStream::Arteries, None);
        let veins = grow(VesselKind::Vein, RandomStream::Veins, Some(&arteries));
        let [arteries, veins] = [arteries, veins].map(|tree| Vessels::of(&tree, &view, size));
        let lesions = lesions::lesions(&anatomy, seed, index);
        let scene = FundusScene {
            anatomy: &anatomy,
            style: &style,
            view: &view,
            lesions: &lesions,
            arteries: &arteries,
            veins: &veins,
        };
        let colors = scene.paint(size);
        let pixels = camera::expose(colors, size[1], view.radius, &style, |row| {
            Dice::of_row(seed, index, RandomStream::Sensor, row)
        });
        Self { size, pixels, truth: truth(&scene, size), quality: style.quality }
    }

    /// The photograph as a JPEG file.
    ///
    /// # Errors
    /// If a side is 0 or above 65,535.
    pub fn jpeg(&self) -> image::ImageResult<Vec<u8>> {
        let mut file = Vec::new();
        let [height, width] = self.size.map(|side| side as u32);
        let mut encoder = JpegEncoder::new_with_quality(&mut file, self.quality);
        encoder.encode(&self.pixels, width, height, image::ExtendedColorType::Rgb8)?;
        Ok(file)
    }
}

fn truth(scene: &FundusScene<'_>, [height, width]: [usize; 2]) -> Truth {
    let mut truth = Truth {
        glaucoma: scene.anatomy.glaucoma,
        fovea: scene.anatomy.fovea([height, width]),
        disc_cup: vec![BACKGROUND; height * width],
        vessels: vec![0; height * width],
        field_of_view: vec![0; height * width],
    };
    let maps = truth.disc_cup.par_chunks_mut(width.max(1)).zip(truth.vessels.par_chunks_mut(width.max(1)));
    let maps = maps.zip(truth.field_of_view.par_chunks_mut(width.max(1)));
    maps.enumerate().for_each(|(row, ((disc_cup, vessels), field_of_view))| {
        for column in 0..width {
            let (field, index) = (scene.view.field(row, column), row * width + column);
            if !scene.visible(field) {
                continue;
            }
            field_of_view[column] = 1;
            vessels[column] =
                ARTERY * u8::from(scene.arteries.holds(index)) + VEIN * u8::from(scene.veins.holds(index));
            if let Some((distance, angle)) = scene.anatomy.disc.polar(scene.view.retina(field), 1.0) {
                disc_cup[column] = if distance < scene.anatomy.disc.cup(angle) { CUP } else { RIM };
            }
        }
    });
    truth
}
