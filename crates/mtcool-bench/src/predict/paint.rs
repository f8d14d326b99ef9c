//! Predicted maps at the photograph's own size: probabilities between the centres of the map's pixels are interpolated linearly
//! along rows and columns, and each pixel of the photograph takes its most probable class.

use anyhow::{Result, ensure};

use crate::suite::{MapPlace, PredictedMap};

/// A pixel of the photograph along one side: the two neighbouring pixels of the map, and the weight of the second one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Between {
    first: usize,
    second: usize,
    weight: f32,
}

/// For each of `length` pixels of the photograph along one side, where it lies between the `count` pixels of the map; `None`
/// outside of the map. The map begins at `corner`, and each of its pixels covers `scale` pixels of the photograph.
fn places(length: usize, count: usize, corner: i64, scale: f64, is_whole: bool) -> Vec<Option<Between>> {
    let place = |at: usize| {
        // The middle of the pixel, in pixels of the map from its border.
        let middle = (at as f64 + 0.5 - corner as f64) / scale;
        (is_whole || (0.0..count as f64).contains(&middle)).then(|| {
            let from_first_centre = (middle - 0.5).clamp(0.0, (count - 1) as f64);
            let first = from_first_centre as usize;
            let weight = (from_first_centre - first as f64) as f32;
            Between { first, second: (first + 1).min(count - 1), weight }
        })
    };
    (0..length).map(place).collect()
}

/// A predicted map, laid over its photograph.
struct Layer<'a> {
    map: &'a PredictedMap,
    rows: Vec<Option<Between>>,
    columns: Vec<Option<Between>>,
}

impl<'a> Layer<'a> {
    fn new(map: &'a PredictedMap, [height, width]: [usize; 2]) -> Result<Self> {
        let ([rows, columns], kinds) = (map.size, map.classes.len());
        ensure!(
            rows > 0 && columns > 0 && (1..=256).contains(&kinds) && map.probabilities.len() == kinds * rows * columns,
            "the map `{}` has {} probabilities for {kinds} classes on {rows}x{columns} pixels",
            map.kind,
            map.probabilities.len()
        );
        ensure!(
            map.probabilities.iter().all(|probability| probability.is_finite()),
            "the probabilities of the map `{}` are not finite numbers",
            map.kind
        );
        let (corner, scale, is_whole) = match map.place {
            MapPlace::Whole { scale } => ([0, 0], scale, true),
            MapPlace::Part { corner, scale } => (corner, scale, false),
        };
        ensure!(
            scale.iter().all(|scale| scale.is_finite() && *scale > 0.0),
            "the map `{}` has the scale {scale:?}: expected positive numbers",
            map.kind
        );
        Ok(Self {
            map,
            rows: places(height, rows, corner[0], scale[0], is_whole),
            columns: places(width, columns, corner[1], scale[1], is_whole),
        })
    }

    /// Adds the probabilities of `class` along row `row` of the photograph to `line`. Outside of the map, class 0 has probability 1.
    fn add(&self, class: usize, row: usize, line: &mut [f32]) {
        let outside = if class == 0 { 1.0 } else { 0.0 };
        let Some(row) = self.rows[row] else {
            line.iter_mut().for_each(|probability| *probability += outside);
            return;
        };
        let [height, width] = self.map.size;
        let plane = &self.map.probabilities[class * height * width..][..height * width];
        let (above, below) = (&plane[row.first * width..][..width], &plane[row.second * width..][..width]);
        let mix = |first: f32, second: f32, weight: f32| first + (second - first) * weight;
        for (probability, column) in line.iter_mut().zip(&self.columns) {
            *probability += match column {
                Some(column) => {
                    let at = |at: usize| mix(above[at], below[at], row.weight);
                    mix(at(column.first), at(column.second), column.weight)
                }
                None => outside,
            };
        }
    }
}

/// The maps of one kind that one or several networks predicted for a photograph: its probabilities are their means.
pub(super) struct Overlay<'a> {
    layers: Vec<Layer<'a>>,
    size: [usize; 2],
    /// Number of classes.
    kinds: usize,
}

impl<'a> Overlay<'a> {
    /// `maps`, which have the same classes, on a photograph of `size`, height and width.
    ///
    /// # Errors
    /// If a map contradicts itself or has other classes than the first one, or its probabilities are not finite.
    pub(super) fn new(maps: &[&'a PredictedMap], size: [usize; 2]) -> Result<Self> {
        let kinds = maps.first().map_or(0, |map| map.classes.len());
        for map in maps {
            ensure!(
                map.classes == maps[0].classes,
                "the map `{}` has other classes in one run than in another: expected runs with the same tasks",
                map.kind
            );
        }
        let layers = maps.iter().copied().map(|map| Layer::new(map, size)).collect::<Result<_>>()?;
        Ok(Self { layers, size, kinds })
    }

    /// The most probable class of each pixel of the photograph, `[H * W]`; of equally probable classes the first. Pixels outside
    /// of the map have class 0.
    pub(super) fn classes(&self) -> Vec<u8> {
        let [height, width] = self.size;
        let mut classes = vec![0; height * width];
        let (mut best, mut line) = (vec![0.0f32; width], vec![0.0f32; width]);
        for (row, found) in classes.chunks_exact_mut(width.max(1)).enumerate() {
            if self.layers.iter().all(|layer| layer.rows[row].is_none()) {
                continue;
            }
            for class in 0..self.kinds {
                self.line(class, row, &mut line);
                for ((best, found), &probability) in best.iter_mut().zip(&mut *found).zip(&line) {
                    if class == 0 || probability > *best {
                        (*best, *found) = (probability, class as u8);
                    }
                }
            }
        }
        classes
    }

    /// The probability of `class` at each pixel of the photograph, `[H * W]`. Outside of the map, class 0 has probability 1.
    pub(super) fn probabilities(&self, class: usize) -> Vec<f32> {
        let [height, width] = self.size;
        let mut all = vec![0.0; height * width];
        all.chunks_exact_mut(width.max(1)).enumerate().for_each(|(row, line)| self.line(class, row, line));
        all
    }

    /// The probabilities of `class` along row `row` of the photograph.
    fn line(&self, class: usize, row: usize, line: &mut [f32]) {
        line.fill(0.0);
        self.layers.iter().for_each(|layer| layer.add(class, row, line));
        let count = self.layers.len() as f32;
        line.iter_mut().for_each(|probability| *probability /= count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::MapClass;

    fn map(
        size: [usize; 2],
        classes: usize,
        place: MapPlace,
        values: impl Fn(usize, usize, usize) -> f32,
    ) -> PredictedMap {
        let [height, width] = size;
        let all = (0..classes).flat_map(|class| (0..height * width).map(move |at| (class, at / width, at % width)));
        PredictedMap {
            kind: "mask".into(),
            classes: (0..classes).map(|class| MapClass::new(format!("{class}"), [class as u8; 3])).collect(),
            size,
            probabilities: all.map(|(class, row, column)| values(class, row, column)).collect(),
            place,
        }
    }

    /// The slow and obvious twin: the probability of `class` at a pixel, from the four pixels of the map around it.
    fn twin(map: &PredictedMap, class: usize, [row, column]: [usize; 2]) -> Option<f64> {
        let (corner, scale, is_whole) = match map.place {
            MapPlace::Whole { scale } => ([0, 0], scale, true),
            MapPlace::Part { corner, scale } => (corner, scale, false),
        };
        let [height, width] = map.size;
        let mut inside = true;
        let at: Vec<f64> = [row, column]
            .iter()
            .zip(corner)
            .zip(scale)
            .zip(map.size)
            .map(|(((&pixel, corner), scale), count)| {
                let middle = (pixel as f64 + 0.5 - corner as f64) / scale;
                inside &= middle >= 0.0 && middle < count as f64;
                middle - 0.5
            })
            .collect();
        let mut sum = 0.0;
        for y in 0..height {
            for x in 0..width {
                // A hat of width 1 around each pixel's centre; at the borders it goes on at its height.
                let hat = |at: f64, centre: usize, count: usize| {
                    let at = at.max(0.0).min(count as f64 - 1.0);
                    (1.0 - (at - centre as f64).abs()).max(0.0)
                };
                sum += hat(at[0], y, height)
                    * hat(at[1], x, width)
                    * f64::from(map.probabilities[(class * height + y) * width + x]);
            }
        }
        (inside || is_whole).then_some(sum)
    }

    #[test]
    fn every_pixel_has_the_mean_of_its_neighbours_in_the_map() {
        let values = |class: usize, row: usize, column: usize| ((7 * class + 3 * row + 5 * column) % 11) as f32 / 11.0;
        for place in [
            MapPlace::Whole { scale: [4.0, 3.0] },
            MapPlace::Whole { scale: [2.5, 1.0] },
            MapPlace::Part { corner: [-3, 2], scale: [4.0, 2.0] },
            MapPlace::Part { corner: [5, -40], scale: [1.0, 2.0] },
        ] {
            let map = map([3, 4], 3, place, values);
            let size = [14, 13];
            let overlay = Overlay::new(&[&map], size).unwrap();
            let (classes, planes) = (overlay.classes(), [0, 1, 2].map(|class| overlay.probabilities(class)));
            for at in 0..size[0] * size[1] {
                let pixel = [at / size[1], at % size[1]];
                for (class, plane) in planes.iter().enumerate() {
                    let want = twin(&map, class, pixel).unwrap_or(if class == 0 { 1.0 } else { 0.0 });
                    assert!((f64::from(plane[at]) - want).abs() < 1e-6, "{place:?} {pixel:?} {class}");
                }
                let most = planes.iter().map(|plane| plane[at]).fold(f32::MIN, f32::max);
                let first = planes.iter().position(|plane| plane[at] == most).unwrap();
                assert_eq!(usize::from(classes[at]), first, "{place:?} {pixel:?}");
            }
        }
    }

    #[test]
    fn a_map_of_the_photographs_size_stays_as_it_is() {
        let values = |class: usize, row: usize, column: usize| f32::from(u8::from((row * 5 + column) % 3 == class));
        let whole = map([4, 5], 3, MapPlace::Whole { scale: [1.0, 1.0] }, values);
        let want: Vec<u8> = (0..20).map(|at| (at % 3) as u8).collect();
        assert_eq!(Overlay::new(&[&whole], [4, 5]).unwrap().classes(), want);
    }

    #[test]
    fn a_part_begins_and_ends_where_it_lies() {
        // Everything inside is class 1.
        let place = MapPlace::Part { corner: [-1, 1], scale: [2.0, 2.0] };
        let part = map([2, 2], 2, place, |class, _, _| class as f32);
        let classes = Overlay::new(&[&part], [4, 6]).unwrap().classes();
        let row = [0, 1, 1, 1, 1, 0];
        assert_eq!(classes, [row, row, row, [0; 6]].concat());
    }

    #[test]
    fn a_map_that_contradicts_itself_is_refused() {
        let whole = MapPlace::Whole { scale: [1.0, 1.0] };
        let good = map([2, 2], 2, whole, |_, _, _| 0.5);
        let message = |map: PredictedMap| Overlay::new(&[&map], [2, 2]).err().unwrap().to_string();
        assert!(message(PredictedMap { size: [2, 3], ..good.clone() }).contains("8 probabilities for 2 classes"));
        let place = MapPlace::Whole { scale: [0.0, 1.0] };
        assert!(message(PredictedMap { place, ..good.clone() }).contains("positive"));
        let probabilities = vec![f32::NAN; 8];
        assert!(message(PredictedMap { probabilities, ..good }).contains("not finite"));
    }

    #[test]
    fn several_maps_are_averaged_wherever_they_lie() {
        let values = |class: usize, row: usize, column: usize| ((7 * class + 3 * row + 5 * column) % 11) as f32 / 11.0;
        let first = map([3, 4], 2, MapPlace::Whole { scale: [4.0, 3.0] }, values);
        let second = map([2, 2], 2, MapPlace::Part { corner: [3, 4], scale: [2.0, 3.0] }, |class, _, _| class as f32);
        let size = [12, 12];
        let alone = [&first, &second].map(|map| Overlay::new(&[map], size).unwrap());
        let both = Overlay::new(&[&first, &second], size).unwrap();
        let planes = [0, 1].map(|class| both.probabilities(class));
        for (class, plane) in planes.iter().enumerate() {
            let of_each = alone.each_ref().map(|overlay| overlay.probabilities(class));
            for (at, got) in plane.iter().enumerate() {
                assert!((got - (of_each[0][at] + of_each[1][at]) / 2.0).abs() < 1e-6, "{class} {at}");
            }
        }
        let most: Vec<u8> = planes[0].iter().zip(&planes[1]).map(|(first, second)| u8::from(second > first)).collect();
        assert_eq!(both.classes(), most);
        let other = map([2, 2], 3, MapPlace::Whole { scale: [6.0, 6.0] }, |_, _, _| 0.5);
        let message = Overlay::new(&[&first, &other], size).err().unwrap().to_string();
        assert!(message.contains("other classes"), "{message}");
    }
}
