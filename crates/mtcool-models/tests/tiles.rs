//! Whole-image prediction by tiles, compared with one pass over the image.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use candle_core::{DType, Device, Result, Tensor};
use mtcool_core::Network;
use mtcool_models::{Head, Tiling, UNet, UNetConfig};
use mtcool_ops::{Conv2d, Statistics, conv2d};

/// A smooth picture `[channels, height, width]` whose pattern is different everywhere.
fn picture(channels: usize, height: usize, width: usize) -> Tensor {
    let value = |at: usize| {
        let (c, y, x) = (at / (height * width), at / width % height, at % width);
        (0.11 * x as f32 + c as f32).sin() + (0.07 * y as f32 * (1.0 + 0.01 * x as f32)).cos()
    };
    Tensor::from_vec((0..channels * height * width).map(value).collect(), (channels, height, width), &Device::Cpu)
        .unwrap()
}

/// Two heads of three convolutions 3x3: an output pixel depends on pixels at most three away.
fn convolutions(tile: &Tensor) -> Result<Vec<Tensor>> {
    let kernel = |outputs: usize, inputs: usize| {
        let values = (0..outputs * inputs * 9).map(|at| ((at * 37 % 101) as f32 - 50.0) / 60.0).collect();
        Tensor::from_vec(values, (outputs, inputs, 3, 3), &Device::Cpu)
    };
    let same = Conv2d { padding: 1, ..Conv2d::default() };
    let hidden = conv2d(&conv2d(tile, &kernel(4, 2)?, None, same.clone())?, &kernel(4, 4)?, None, same.clone())?;
    Ok(vec![conv2d(&hidden, &kernel(2, 4)?, None, same.clone())?, conv2d(&hidden, &kernel(3, 4)?, None, same.clone())?])
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

fn one_pass(image: &Tensor, forward: impl Fn(&Tensor) -> Result<Vec<Tensor>>) -> Vec<Tensor> {
    let outputs = forward(&image.unsqueeze(0).unwrap()).unwrap();
    outputs.iter().map(|logits| candle_nn::ops::softmax(logits, 1).unwrap().squeeze(0).unwrap()).collect()
}

#[test]
fn where_no_pixel_sees_beyond_the_margin_tiles_are_one_pass() {
    let image = picture(2, 53, 71);
    let whole = one_pass(&image, convolutions);
    for (side, overlap, margin) in [(16, 8, 3), (24, 9, 4), (32, 7, 3), (52, 8, 3), (20, 19, 3)] {
        let tiling = Tiling { side, overlap, margin, multiple: 1 };
        let tiled = tiling.probabilities(&image, convolutions).unwrap();
        for (tiled, whole) in tiled.iter().zip(&whole) {
            assert!(largest_difference(tiled, whole) < 1e-5, "{tiling:?}");
            let sums = tiled.sum(0).unwrap();
            assert!(largest_difference(&sums, &sums.ones_like().unwrap()) < 1e-5);
        }
    }
}

fn unet(classes: [usize; 2]) -> impl Fn(&Tensor) -> Result<Vec<Tensor>> {
    unet_of(classes, 2, 1)
}

fn unet_of(classes: [usize; 2], depth: usize, seed: u64) -> impl Fn(&Tensor) -> Result<Vec<Tensor>> {
    let heads = classes.map(|classes| Head::Segmentation { classes }).to_vec();
    let statistics = Statistics::Group { groups: 4 };
    let config = UNetConfig { in_channels: 2, base: 8, depth, statistics, heads, ..UNetConfig::default() };
    let network = UNet::new(config).unwrap();
    let parameters = network.initial_parameters(seed, DType::F32, &Device::Cpu).unwrap();
    move |tile| network.forward_all(&parameters, &[tile, tile])
}

#[test]
fn an_image_no_larger_than_a_tile_is_one_pass_to_the_bit() {
    let (image, forward) = (picture(2, 40, 64), unet([2, 3]));
    let tiling = Tiling { side: 64, overlap: 16, margin: 2, multiple: 4 };
    for (tiled, whole) in tiling.probabilities(&image, &forward).unwrap().iter().zip(one_pass(&image, &forward)) {
        assert_eq!(largest_difference(tiled, &whole), 0.0);
    }
}

#[test]
fn sides_that_poolings_do_not_divide_are_padded_by_the_mirror_image() {
    let forward = unet([2, 3]);
    let tiling = Tiling { side: 64, overlap: 16, margin: 2, multiple: 4 };
    let small = tiling.probabilities(&picture(2, 3, 61), &forward).unwrap();
    assert_eq!(small[1].dims(), [3, 3, 61]);
    // Three rows and their mirror image, a fourth, are what the network sees.
    let image = picture(2, 3, 64);
    let padded = Tensor::cat(&[&image, &image.narrow(1, 2, 1).unwrap()], 1).unwrap();
    let whole = one_pass(&padded, &forward);
    let tiled = tiling.probabilities(&image, &forward).unwrap();
    assert_eq!(largest_difference(&tiled[0], &whole[0].narrow(1, 0, 3).unwrap()), 0.0);
}

/// On an image that is alike everywhere, so that group norm finds about the same in every tile.
#[test]
fn the_grid_changes_little_of_what_a_normalising_network_says() {
    let value = |at: usize| (0.9 * (at % 170) as f32).sin() + (0.8 * (at / 170) as f32).cos();
    let image = Tensor::from_vec((0..2 * 150 * 170).map(value).collect(), (2, 150, 170), &Device::Cpu).unwrap();
    let forward = unet([2, 3]);
    let of =
        |side: usize| Tiling { side, overlap: 32, margin: 8, multiple: 4 }.probabilities(&image, &forward).unwrap();
    for (a, b) in of(64).iter().zip(of(72)) {
        let mean = (a - &b).unwrap().abs().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(largest_difference(a, &b) < 0.06 && mean < 0.006, "{} {mean}", largest_difference(a, &b));
    }
}

/// A slow background, a net of curved dark lines, and noise: no part is like another.
fn net_of_lines(height: usize, width: usize) -> Tensor {
    let noise = |at: usize| {
        let mut bits = (at as u32).wrapping_mul(2_654_435_761);
        bits = (bits ^ (bits >> 15)).wrapping_mul(2_246_822_519);
        ((bits ^ (bits >> 13)) >> 8) as f32 / (1 << 24) as f32 - 0.5
    };
    let value = |at: usize| {
        let (c, y, x) = ((at / (height * width)) as f32, (at / width % height) as f32, (at % width) as f32);
        let line = (0.07 * x + 1.3 * (0.05 * y).sin() + c).sin().abs() < 0.12
            || (0.06 * y + 1.1 * (0.04 * x).cos()).sin().abs() < 0.1;
        let background = 0.3 * (0.11 * x + c).sin() + 0.3 * (0.09 * y).cos();
        let darkness = if line { 1.5 } else { 0.0 };
        background - darkness + 0.5 * noise(at)
    };
    Tensor::from_vec((0..2 * height * width).map(value).collect(), (2, height, width), &Device::Cpu).unwrap()
}

/// The tolerance that [`Tiling`] states. Tiles of another side lie elsewhere, or one tile shows all; the image's sides are no
/// multiples of 16, so that the last tiles reach into the mirror image.
#[test]
fn a_shifted_grid_moves_a_deep_unet_by_no_more_than_the_tolerance() {
    let (height, width) = (150, 170);
    let image = net_of_lines(height, width);
    for seed in 0..2 {
        let forward = unet_of([2, 3], 4, seed);
        let of =
            |side, overlap| Tiling { side, overlap, margin: 8, multiple: 16 }.probabilities(&image, &forward).unwrap();
        let (first, shifted, one_tile) = (of(96, 48), of(112, 64), of(192, 64));
        for other in [&shifted, &one_tile] {
            for (a, b) in first.iter().zip(other) {
                let mean = (a - b).unwrap().abs().unwrap().mean_all().unwrap().to_scalar::<f32>().unwrap();
                let most = largest_difference(a, b);
                assert!(most < 0.25 && mean < 0.025, "seed {seed}: {most} at most, {mean} in the mean");
                assert!(mean > 0.0, "the grids are the same");
            }
        }
    }
}

#[test]
fn tilings_that_leave_gaps_are_refused() {
    let image = picture(2, 9, 9);
    for (side, overlap, margin, multiple) in [(0, 0, 0, 1), (8, 8, 0, 1), (8, 4, 2, 1), (10, 4, 1, 4), (8, 2, 0, 0)] {
        let tiling = Tiling { side, overlap, margin, multiple };
        assert!(tiling.probabilities(&image, convolutions).unwrap_err().to_string().contains("tiling: expected"));
    }
}
