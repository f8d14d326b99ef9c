//! Synthetic fundus photographs show what their ground truth says, for every size and every number of threads.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use mtcool_data::fundus::{ARTERY, BACKGROUND, CUP, Fundus, RIM, VEIN};

/// The mean of (red, green, blue) over the pixels that `select` picks, and the number of these pixels.
fn mean(fundus: &Fundus, select: impl Fn(usize) -> bool) -> ([f64; 3], usize) {
    let (mut sum, mut count) = ([0.0; 3], 0);
    for (_, pixel) in fundus.pixels.chunks_exact(3).enumerate().filter(|&(index, _)| select(index)) {
        count += 1;
        sum.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    (sum.map(|sum| sum / count.max(1) as f64), count)
}

fn in_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn a_photograph_is_a_function_of_seed_index_and_size() {
    let bits = |threads, seed, index| {
        let Fundus { pixels, truth, .. } = in_pool(threads, || Fundus::draw(seed, index, [130, 150]));
        (pixels, truth.disc_cup, truth.vessels, truth.field_of_view)
    };
    let first = bits(1, 3, 5);
    assert!(first == bits(3, 3, 5));
    assert_eq!(
        [first.0.len(), first.1.len(), first.2.len(), first.3.len()],
        [3 * 130 * 150, 130 * 150, 130 * 150, 130 * 150]
    );
    for (seed, index) in [(4, 5), (3, 6)] {
        let other = bits(2, seed, index);
        assert!(first.0 != other.0 && first.1 != other.1 && first.2 != other.2);
    }
}

#[test]
fn any_size_can_be_drawn() {
    for size in [[1, 1], [1, 40], [7, 3], [90, 135], [0, 0], [0, 5], [5, 0]] {
        let fundus = Fundus::draw(1, 2, size);
        assert_eq!(fundus.pixels.len(), 3 * size[0] * size[1]);
        assert_eq!(fundus.truth.vessels.len(), size[0] * size[1]);
    }
}

#[test]
fn the_size_changes_only_how_finely_a_photograph_is_sampled() {
    for index in 0..3 {
        let (small, large) = (Fundus::draw(9, index, [160, 160]), Fundus::draw(9, index, [480, 480]));
        assert_eq!(small.truth.glaucoma, large.truth.glaucoma);
        let middle = |at: usize| (3 * (at / 160) + 1) * 480 + 3 * (at % 160) + 1;
        let same = (0..160 * 160).filter(|&at| small.truth.disc_cup[at] == large.truth.disc_cup[middle(at)]).count();
        assert!(same > 160 * 160 - 30, "{same} pixels of disc and cup agree");
        let far = |at: usize| {
            let difference =
                |channel: usize| small.pixels[3 * at + channel].abs_diff(large.pixels[3 * middle(at) + channel]);
            (0..3).map(difference).max().unwrap() > 40
        };
        let differ = (0..160 * 160).filter(|&at| far(at)).count();
        assert!(differ < 160 * 160 / 25, "{differ} pixels differ");
    }
}

#[test]
fn disc_cup_and_vessels_look_as_the_truth_says() {
    let side = 420;
    for index in 0..6 {
        let fundus = Fundus::draw(2, index, [side, side]);
        let truth = &fundus.truth;
        let (disc_cup, vessels) = (&truth.disc_cup, &truth.vessels);
        let plain = |at: usize| truth.field_of_view[at] == 1 && vessels[at] == 0;
        let of = |class: u8| mean(&fundus, |at| plain(at) && disc_cup[at] == class).0;
        let (ground, rim, cup) = (of(BACKGROUND), of(RIM), of(CUP));
        assert!(rim[1] > ground[1] + 20.0, "photograph {index}: rim {rim:?} on {ground:?}");
        assert!(cup[1] + cup[2] > rim[1] + rim[2] + 5.0, "photograph {index}: cup {cup:?} in {rim:?}");

        let of = |kind: u8| mean(&fundus, |at| disc_cup[at] == BACKGROUND && vessels[at] == kind);
        let ((artery, arteries), (vein, veins)) = (of(ARTERY), of(VEIN));
        assert!(vein[1] < artery[1] - 2.0 && artery[1] < ground[1] - 2.0, "{index}: {vein:?}, {artery:?}, {ground:?}");
        let seen = truth.field_of_view.iter().filter(|&&at| at == 1).count();
        for count in [arteries, veins] {
            assert!((0.015..0.12).contains(&(count as f64 / seen as f64)), "photograph {index}: {count} of {seen}");
        }

        let crossings = vessels.iter().filter(|&&kind| kind == ARTERY | VEIN).count();
        assert!(crossings > 30, "photograph {index}: {crossings} pixels of crossings");
        for kind in [ARTERY, VEIN] {
            let on_border = (0..vessels.len() - side).filter(|&at| {
                vessels[at] & kind != 0 && (disc_cup[at] == BACKGROUND) != (disc_cup[at + side] == BACKGROUND)
            });
            assert!(on_border.count() > 3, "photograph {index}: no vessel crosses the disc's border");
        }

        let (outside, count) = mean(&fundus, |at| truth.field_of_view[at] == 0);
        assert!(count > side * side / 6 && outside.iter().all(|&value| value < 8.0), "{outside:?} outside");
        let [x, y] = truth.fovea.map(|at| at as usize);
        assert!(plain(y * side + x) && disc_cup[y * side + x] == BACKGROUND);
    }
}

#[test]
fn veins_are_wider_than_arteries() {
    // The side of the largest square that fits into the vessels of one kind, without crossings and the disc.
    let widest = |fundus: &Fundus, kind: u8, side: usize| {
        let mut largest = 0;
        let mut square = vec![0usize; side * side];
        for at in side + 1..side * side {
            if fundus.truth.vessels[at] == kind && fundus.truth.disc_cup[at] == BACKGROUND && at % side > 0 {
                square[at] = 1 + square[at - 1].min(square[at - side]).min(square[at - side - 1]);
                largest = largest.max(square[at]);
            }
        }
        largest
    };
    let (mut arteries, mut veins) = (0, 0);
    for index in 0..6 {
        let fundus = Fundus::draw(6, index, [800, 800]);
        arteries += widest(&fundus, ARTERY, 800);
        veins += widest(&fundus, VEIN, 800);
    }
    assert!(4 * veins > 5 * arteries, "veins {veins}, arteries {arteries}");
}

#[test]
fn a_jpeg_file_holds_the_photograph() {
    let fundus = Fundus::draw(1, 0, [90, 120]);
    let decoded = image::load_from_memory(&fundus.jpeg().unwrap()).unwrap().to_rgb8();
    assert_eq!(decoded.dimensions(), (120, 90));
    let errors: Vec<f64> = decoded.iter().zip(&fundus.pixels).map(|(&a, &b)| f64::from(a.abs_diff(b))).collect();
    assert!(errors.iter().sum::<f64>() / (errors.len() as f64) < 5.0);
    assert!(Fundus::draw(1, 0, [0, 0]).jpeg().is_err());
}
