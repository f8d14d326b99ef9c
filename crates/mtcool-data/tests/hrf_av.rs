//! HRF-AV's files: what every pixel becomes, which files are refused with which message, and which patches are cut from them.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod hrf_av_set;

use std::path::Path;
use std::sync::Arc;

use hrf_av_set::{SMALL, class, in_field, path, picture, with_orientation, write, write_image, write_vessels};
use mtcool_data::cache::Cache;
use mtcool_data::hrf_av::{
    CLASS, ChannelStatistics, Class, FIELD, HrfAvConfig, OnDamage, PatchConfig, Patches, Photograph, Role, VESSEL,
    verify,
};
use mtcool_data::picture::Picture;
use mtcool_data::{Augmentation, Error, HrfAv, Result, Sample};
use sha2::{Digest, Sha256};

struct Set {
    folder: tempfile::TempDir,
}

impl Set {
    fn new() -> Self {
        let set = Self { folder: tempfile::tempdir().unwrap() };
        write(set.path());
        set
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn open_as(&self, scale: usize, on_damage: OnDamage) -> Result<HrfAv> {
        HrfAv::open(
            self.path(),
            &Cache::new(self.path().join("cache")),
            HrfAvConfig { shape: SMALL, scale, on_damage, allows_copies: false },
        )
    }

    fn open(&self, scale: usize) -> HrfAv {
        self.open_as(scale, OnDamage::Refuse).unwrap()
    }

    /// All problems, one line each, without the path of the set's folder.
    fn problems(&self) -> Vec<String> {
        let report = verify(self.path(), SMALL).unwrap();
        let folder = format!("{}/", self.path().display());
        report.problems.iter().map(|problem| problem.to_string().replace(&folder, "")).collect()
    }
}

#[test]
fn every_pixel_is_what_the_files_say() {
    let set = Set::new();
    let loaded = set.open(1);
    assert_eq!(loaded.all().len(), 9);
    for photograph in loaded.all() {
        let id = photograph.id;
        assert_eq!([photograph.width(), photograph.height()], SMALL.size);
        let file = Picture::read_rgb(&set.path().join(Role::Image.path(id))).unwrap();
        assert_eq!(photograph.pixels().bytes, file.bytes);
        let marks = photograph.marks();
        for (index, &mark) in marks.bytes.iter().enumerate() {
            let (x, y) = ((index % marks.width) as u32, (index / marks.width) as u32);
            assert_eq!(mark & CLASS, class(id, x, y) as u8, "{id} {x} {y}");
            assert_eq!(mark & FIELD != 0, in_field(x, y));
            assert_eq!(mark & VESSEL != 0, class(id, x, y) != Class::Background);
        }
    }
    assert_eq!(verify(set.path(), SMALL).unwrap().to_string(), "9 of 9 photographs intact, 0 with `manual1`");
}

#[test]
fn a_photograph_at_half_the_size_has_the_means_of_its_pixels() {
    let set = Set::new();
    let loaded = set.open(2);
    let photograph = &loaded.all()[4];
    let (height, width) = (photograph.height(), photograph.width());
    let file = Picture::read_rgb(&set.path().join(Role::Image.path(photograph.id))).unwrap();
    assert_eq!([height, width, photograph.pixels().bytes.len()], [18, 24, 3 * 18 * 24]);
    for index in 0..height * width {
        // The mean of four pixels of the file, rounded.
        let (x, y) = (index % width * 2, index / width * 2);
        for channel in 0..3 {
            let at = |x: usize, y: usize| u32::from(file.bytes[(y * 48 + x) * 3 + channel]);
            let mean = (at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1) + 2) / 4;
            assert_eq!(u32::from(photograph.pixels().bytes[3 * index + channel]), mean);
        }
    }
}

#[test]
fn manual_vessels_decide_on_the_binary_task_where_they_are() {
    let set = Set::new();
    let ids: Vec<_> = SMALL.photographs().collect();
    let vessel = |x: u32, y: u32| class(ids[2], x + 1, y) != Class::Background;
    write_vessels(set.path(), ids[2], vessel);
    let report = verify(set.path(), SMALL).unwrap().to_string();
    assert!(report.contains("1 with `manual1`\n  note: `manual1` holds 1 of 9 photographs"), "{report}");
    let loaded = set.open(1);
    let notes = loaded.notes();
    assert!(notes.len() == 1 && notes[0].contains("two sources") && notes[0].contains("remove it"), "{notes:?}");
    for photograph in loaded.all() {
        for (index, mark) in photograph.marks().bytes.iter().enumerate() {
            let (x, y) = ((index % 48) as u32, (index / 48) as u32);
            let by_class = class(photograph.id, x, y) != Class::Background;
            let want = if photograph.id == ids[2] { vessel(x, y) } else { by_class };
            assert_eq!((mark & VESSEL != 0, mark & CLASS), (want, class(photograph.id, x, y) as u8));
        }
    }
}

#[test]
fn anti_aliased_labels_are_snapped_and_counted() {
    let set = Set::new();
    let (plain, id) = (set.open(1), SMALL.photographs().nth(5).unwrap());
    // Every coloured pixel becomes somewhat darker and every black one somewhat brighter, but never beyond the middle.
    let file = set.path().join(Role::Labels.path(id));
    let soft = |x: u32, y: u32| match class(id, x, y) {
        Class::Background => [(x % 60) as u8, 0, (y % 60) as u8],
        other => other.colour().map(|level| level - level / 255 * ((x * y % 100) as u8)),
    };
    picture(SMALL.size, soft).save(&file).unwrap();
    let counted = (0..36).flat_map(|y| (0..48).map(move |x| (x, y)));
    let counted = counted.filter(|&(x, y)| !Class::ALL.iter().any(|class| class.colour() == soft(x, y))).count();
    let report = verify(set.path(), SMALL).unwrap();
    assert_eq!((report.problems, report.snapped), (vec![], vec![(file, counted)]));
    let snapped = set.open(1);
    assert_eq!(snapped.all()[5].marks().bytes, plain.all()[5].marks().bytes);
}

#[test]
fn names_in_another_case_and_other_picture_formats_are_read() {
    let set = Set::new();
    let ids: Vec<_> = SMALL.photographs().collect();
    let image = set.path().join(Role::Image.path(ids[0]));
    std::fs::rename(&image, image.with_file_name("01_DR.jpeg")).unwrap();
    let field = set.path().join(Role::Field.path(ids[1]));
    image::open(&field).unwrap().into_luma8().save(field.with_extension("png")).unwrap();
    std::fs::remove_file(&field).unwrap();
    std::fs::write(set.path().join("images/Thumbs.db"), b"of no picture's name").unwrap();
    assert_eq!(set.problems(), Vec::<String>::new());
    assert_eq!(set.open(1).all().len(), 9);
}

/// Damages one file after the other; each must be named together with what is wrong.
#[test]
fn every_damage_is_named_file_by_file_and_the_rest_is_loaded_only_on_request() {
    let set = Set::new();
    let file = |role: Role, id: &str| path(set.path(), role, id);
    std::fs::remove_file(file(Role::Field, "01_dr")).unwrap();
    std::fs::copy(file(Role::Image, "01_g"), file(Role::Image, "01_g").with_extension("JPEG")).unwrap();
    let bytes = std::fs::read(file(Role::Image, "01_h")).unwrap();
    std::fs::write(file(Role::Image, "01_h"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(file(Role::Labels, "02_dr"), b"no picture").unwrap();
    let smaller = |role: Role, id: &str| picture([24, 18], |_, _| [255; 3]).save(file(role, id)).unwrap();
    write_image(&file(Role::Image, "02_g"), [36, 48], |_, _| [9; 3]);
    smaller(Role::Labels, "02_g");
    smaller(Role::Field, "02_h");
    let white = |x: u32, y: u32| match class(SMALL.photographs().nth(6).unwrap(), x, y) {
        Class::Crossing => [255; 3],
        other => other.colour(),
    };
    picture(SMALL.size, white).save(file(Role::Labels, "03_dr")).unwrap();
    picture(SMALL.size, |_, _| [0; 3]).save(file(Role::Labels, "03_g")).unwrap();
    picture(SMALL.size, |_, _| [0; 3]).save(file(Role::Field, "03_g")).unwrap();

    let problems = set.problems();
    let want = [
        "`mask/01_dr_mask.tif`: missing",
        "`images/01_g.jpg`: doubled: by `images/01_g.JPEG`; remove one of them",
        "`images/01_h.jpg`: unreadable: a JPEG file truncated after",
        "`HRF_AV_GT/02_dr_AVmanual.png`: unreadable: a file of no known picture format",
        "`images/02_g.jpg`: wrongly sized: expected 48x36, got 36x48",
        "`HRF_AV_GT/02_g_AVmanual.png`: wrongly sized: expected 48x36, got 24x18",
        "`mask/02_h_mask.tif`: wrongly sized: expected 48x36, got 24x18",
        "`HRF_AV_GT/03_dr_AVmanual.png`: wrongly coded: expected red arteries, blue veins and green crossings on black, got 15 \
         pixels far from all of them, the first (255, 255, 255) at 22, 13",
        "`HRF_AV_GT/03_g_AVmanual.png`: wrongly coded: expected red arteries, blue veins and green crossings on black, got black",
        "`mask/03_g_mask.tif`: wrongly coded: expected a white field of view on black, got black alone",
    ];
    for (got, want) in problems.iter().zip(want) {
        assert!(got.starts_with(want), "{got}\nwanted: {want}");
    }
    assert_eq!(problems.len(), want.len(), "{problems:#?}");

    let Err(Error::Defective(named)) = set.open_as(1, OnDamage::Refuse) else { panic!("was loaded") };
    assert_eq!(named.defects().count(), want.len());
    let message = set.open_as(1, OnDamage::Refuse).err().unwrap().to_string();
    for part in [
        "02_dr_AVmanual.png",
        "10 defects",
        "and 5 more",
        "data verify hrf-av",
        "`--set data.settings.on_damage=leave_out`",
    ] {
        assert!(message.contains(part), "no `{part}` in {message}");
    }
    assert!(!message.contains("03_g"), "{message}");
    let rest = set.open_as(1, OnDamage::LeaveOut).unwrap();
    assert_eq!(rest.all().iter().map(|photograph| photograph.id.to_string()).collect::<Vec<_>>(), ["03_h"]);
    assert_eq!(rest.left_out(), named.findings);
    // A part of a split keeps the photographs that are there.
    let ids: Vec<_> = SMALL.photographs().collect();
    assert_eq!(rest.photographs(&ids[5..]).len(), 1);
}

/// A folder in the place of a file can be listed but not read, whatever the user's rights are.
#[test]
fn files_that_cannot_be_read_are_damage_like_any_other() {
    let set = Set::new();
    let file = |role: Role, id: &str| path(set.path(), role, id);
    // The photograph is in the cache already, but that says nothing about the file as it is now.
    assert_eq!(set.open(1).all().len(), 9);
    for (role, id) in [(Role::Image, "01_dr"), (Role::Labels, "01_dr"), (Role::Field, "02_h")] {
        std::fs::remove_file(file(role, id)).unwrap();
        std::fs::create_dir(file(role, id)).unwrap();
    }
    std::fs::write(file(Role::Labels, "02_h"), b"no picture").unwrap();
    let Err(Error::Defective(named)) = set.open_as(1, OnDamage::Refuse) else { panic!("was loaded, or not named") };
    assert_eq!(named.findings, verify(set.path(), SMALL).unwrap().problems);
    let named: Vec<String> = named.findings.iter().map(ToString::to_string).collect();
    for (got, want) in named.iter().zip([
        "`images/01_dr.JPG`: unreadable: ",
        "`HRF_AV_GT/01_dr_AVmanual.png`: unreadable: ",
        "`mask/02_h_mask.tif`: unreadable: ",
        "`HRF_AV_GT/02_h_AVmanual.png`: unreadable: a file of no known picture format",
    ]) {
        assert!(got.starts_with(want), "{got}\nwanted: {want}");
    }
    assert_eq!(named.len(), 4, "{named:#?}");
    let rest = set.open_as(1, OnDamage::LeaveOut).unwrap();
    assert_eq!((rest.all().len(), rest.left_out().len()), (7, 4));
}

#[test]
fn a_key_follows_what_a_photograph_is_loaded_from() {
    let set = Set::new();
    let keys = |scale| set.open(scale).all().iter().map(|photograph| photograph.key().to_owned()).collect::<Vec<_>>();
    let first = keys(1);
    assert_eq!(first, keys(1));
    assert!(first.iter().zip(keys(2)).all(|(one, two)| *one != two));
    let ids: Vec<_> = SMALL.photographs().collect();
    write_vessels(set.path(), ids[3], |x, y| class(ids[3], x + 1, y) != Class::Background);
    let changed: Vec<usize> = (0..9).zip(keys(1)).filter(|(at, key)| first[*at] != *key).map(|(at, _)| at).collect();
    assert_eq!(changed, [3]);
}

#[test]
fn statistics_are_those_of_the_pixels_in_the_field() {
    let set = Set::new();
    let loaded = set.open(1);
    let part = &loaded.all()[2..5];
    let statistics = ChannelStatistics::of(part);
    for channel in 0..3 {
        let inside = part.iter().flat_map(|photograph| {
            let pixels = photograph.pixels().bytes.chunks_exact(3).zip(photograph.marks().bytes);
            pixels.filter(|(_, mark)| **mark & FIELD != 0).map(move |(pixel, _)| f64::from(pixel[channel]) / 255.0)
        });
        let values: Vec<f64> = inside.collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        assert!((statistics.mean[channel] - mean).abs() < 1e-4, "{statistics:?} {mean}");
        let deviation = variance.sqrt().max(1.0 / 255.0);
        assert!((statistics.deviation[channel] - deviation).abs() < 1e-4, "{statistics:?} {deviation}");
    }
    assert_ne!(statistics, ChannelStatistics::of(&loaded.all()[..2]));
}

#[test]
fn a_folder_without_the_set_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let message = verify(folder.path(), SMALL).unwrap_err().to_string();
    for part in ["HRF-AV", "`images`", "cargo xtask data fetch hrf-av", "--data DIR"] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
    let set = Set::new();
    let message = set.open_as(37, OnDamage::Refuse).err().unwrap().to_string();
    assert!(message.contains("`scale` is 37") && message.contains("at most 36"), "{message}");
    for id in SMALL.photographs() {
        std::fs::remove_file(set.path().join(Role::Image.path(id))).unwrap();
    }
    let message = set.open_as(1, OnDamage::LeaveOut).err().expect("nothing is left").to_string();
    assert!(!message.contains("leave_out"), "{message}");
}

/// Sets the highest bit of a cached photograph's last mark, with or without correct checksums. The result is a new file, so that a
/// reader of the old one is not disturbed.
fn change_last_mark(entry: &Path, with_checksums: bool) {
    let bytes = std::fs::read(entry).unwrap();
    let (rest, magic) = bytes.split_at(bytes.len() - 8);
    let (rest, length) = rest[..rest.len() - 32].split_last_chunk::<8>().unwrap();
    let (arrays, table) = rest.split_at(rest.len() - u64::from_le_bytes(*length) as usize);
    let (mut arrays, mut table): (_, serde_json::Value) = (arrays.to_vec(), serde_json::from_slice(table).unwrap());
    *arrays.last_mut().unwrap() ^= 0x80;
    if with_checksums {
        // The checksum of the pixels and the pixels come before.
        let marks = &arrays[64 + 3 * SMALL.size[0] * SMALL.size[1]..];
        let hash: String = Sha256::digest(marks).iter().map(|byte| format!("{byte:02x}")).collect();
        table["arrays"][2]["sha256"] = hash.into();
    }
    let table = table.to_string().into_bytes();
    let tail = [&(table.len() as u64).to_le_bytes(), Sha256::digest(&table).as_slice(), magic].concat();
    std::fs::remove_file(entry).unwrap();
    std::fs::write(entry, [arrays, table, tail].concat()).unwrap();
}

#[test]
fn nothing_is_decoded_twice_but_a_changed_file_is() {
    let set = Set::new();
    let first = set.open(1).all()[0].pixels().bytes.to_vec();
    let entries =
        || std::fs::read_dir(set.path().join("cache")).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    assert_eq!(entries().len(), 9);
    // If the marks of the changed cache are read, the files were not decoded.
    entries().iter().for_each(|entry| change_last_mark(entry, true));
    let again = set.open(1);
    assert!(again.all().iter().all(|photograph| photograph.marks().bytes.last().unwrap() & 0x80 != 0));
    // A mark that has changed since it was written is damage, so the photograph is decoded again.
    entries().iter().for_each(|entry| change_last_mark(entry, false));
    let repaired = set.open(1);
    assert!(repaired.all().iter().all(|photograph| photograph.marks().bytes.last().unwrap() & 0x80 == 0));
    assert_eq!(entries().len(), 9);
    set.open(2);
    assert_eq!(entries().len(), 18, "another scale is another entry");
    let id = SMALL.photographs().next().unwrap();
    write_image(&set.path().join(Role::Image.path(id)), SMALL.size, |x, _| [x as u8, 200, 9]);
    assert_ne!(set.open(1).all()[0].pixels().bytes, first);
    assert_eq!(entries().len(), 19);
    // A file that was damaged since then is noticed, although its decoded form is still in the cache.
    std::fs::write(path(set.path(), Role::Labels, "02_g"), b"damaged").unwrap();
    assert!(set.open_as(1, OnDamage::Refuse).is_err());
}

#[test]
fn inverted_and_foreign_vessels_are_refused_with_their_agreement() {
    let set = Set::new();
    let ids: Vec<_> = SMALL.photographs().collect();
    write_vessels(set.path(), ids[0], |x, y| class(ids[0], x, y) == Class::Background);
    write_vessels(set.path(), ids[1], |x, y| (1..4).contains(&x) && y > 3);
    write_vessels(set.path(), ids[2], |x, y| class(ids[2], x, y) != Class::Background);
    let problems = set.problems();
    assert_eq!(problems.len(), 2, "{problems:#?}");
    let expected =
        "wrongly coded: expected white vessels on black, those of `HRF_AV_GT`, got a picture that agrees with it on";
    for (problem, name) in problems.iter().zip(["01_dr", "01_g"]) {
        assert!(problem.starts_with(&format!("`manual1/{name}.tif`: {expected}")), "{problem}");
    }
    assert!(problems[0].contains("on 0 % of the pixels") && problems[0].contains("100 % of the pixels: invert it"));
    assert!(problems[1].contains("and on 2 % of the vessels; it belongs to another photograph"), "{}", problems[1]);
    assert!(set.open_as(1, OnDamage::Refuse).is_err());
}

#[test]
fn the_same_photograph_under_two_names_is_refused_unless_it_is_allowed() {
    let set = Set::new();
    let file = |role: Role, id: &str| path(set.path(), role, id);
    // The same pixels in a file of another format.
    std::fs::remove_file(file(Role::Image, "03_h")).unwrap();
    let pixels = image::open(file(Role::Image, "01_dr")).unwrap();
    pixels.save(file(Role::Image, "03_h").with_extension("png")).unwrap();
    let expected = "`images/03_h.png`: doubled: 03_h is the same photograph as 01_dr";
    let problems = set.problems();
    assert!(problems.len() == 1 && problems[0].starts_with(expected), "{problems:#?}");
    let message = set.open_as(1, OnDamage::LeaveOut).err().unwrap().to_string();
    assert!(message.contains(expected) && message.contains("`--set data.settings.on_copies=allow`"), "{message}");
    let config = HrfAvConfig { shape: SMALL, scale: 1, on_damage: OnDamage::Refuse, allows_copies: true };
    let allowed = HrfAv::open(set.path(), &Cache::new(set.path().join("cache")), config).unwrap();
    assert_eq!((allowed.all().len(), allowed.copies().len()), (9, 1));
}

#[test]
fn a_photograph_that_is_to_be_turned_is_turned_and_told() {
    let set = Set::new();
    let file = path(set.path(), Role::Image, "02_g");
    let plain = set.open(1).all()[4].pixels().bytes.to_vec();
    let jpeg = std::fs::read(&file).unwrap();
    std::fs::write(&file, with_orientation(&jpeg, 3)).unwrap();
    let set_turned = set.open(1);
    let turned = set_turned.all()[4].pixels().bytes.to_vec();
    let upside_down: Vec<u8> = plain.chunks_exact(3).rev().flatten().copied().collect();
    assert!(turned == upside_down);
    let notes = set_turned.notes();
    assert!(notes.len() == 1 && notes[0].contains("(EXIF): 02_g; their labels are taken as"), "{notes:?}");
    assert!(verify(set.path(), SMALL).unwrap().to_string().contains("turned as their files say (EXIF): 02_g"));
    // A quarter turn exchanges the sides.
    std::fs::write(&file, with_orientation(&jpeg, 6)).unwrap();
    assert!(set.problems()[0].contains("wrongly sized: expected 48x36, got 36x48"));
}

const PLAIN: PatchConfig = PatchConfig { side: 9, batch_size: 2, seed: 5, augment: Augmentation::NONE, workers: 1 };
const CHANGED: PatchConfig = PatchConfig {
    augment: Augmentation {
        mirror: true,
        flip: true,
        right_angles: true,
        rotation: 20.0,
        scale: 0.2,
        brightness: 0.05,
        contrast: 0.1,
        exposure: 0.2,
        tint: 0.1,
        gamma: 0.2,
    },
    ..PLAIN
};

/// The batches `first..first + count` as numbers.
fn batches(photographs: &[Arc<Photograph>], config: PatchConfig, first: u64, count: usize) -> Vec<(Vec<f32>, Vec<u8>)> {
    let mut patches = Patches::new(photographs.to_vec(), config, first).unwrap();
    let flat = |sample: Sample| {
        let side = config.side;
        assert_eq!(sample.inputs.dims(), [config.batch_size, 3, side, side]);
        assert_eq!(sample.targets.dims(), [config.batch_size, 2, side, side]);
        let inputs = sample.inputs.flatten_all().unwrap().to_vec1().unwrap();
        (inputs, sample.targets.flatten_all().unwrap().to_vec1().unwrap())
    };
    (0..count).map(|_| flat(patches.next().unwrap())).collect()
}

#[test]
fn patches_are_the_same_to_the_bit_whoever_makes_them_and_wherever_one_starts() {
    let set = Set::new();
    let photographs = set.open(1).all().to_vec();
    let all = batches(&photographs, CHANGED, 0, 12);
    for workers in [2, 3] {
        assert!(batches(&photographs, PatchConfig { workers, ..CHANGED }, 0, 12) == all);
        assert!(batches(&photographs, PatchConfig { workers, ..CHANGED }, 7, 5) == all[7..]);
    }
    assert!(batches(&photographs, PatchConfig { seed: 6, ..CHANGED }, 0, 12) != all);
    // Batches of another size are cut from the same sequence of patches.
    let single = batches(&photographs, PatchConfig { batch_size: 1, ..CHANGED }, 2, 2);
    assert!([single[0].0.clone(), single[1].0.clone()].concat() == all[1].0);
}

#[test]
fn an_unchanged_patch_is_a_piece_of_its_photograph_around_a_place_in_the_field() {
    let set = Set::new();
    let photographs = set.open(1).all().to_vec();
    let mut corners = Vec::new();
    for side in [9, 8] {
        for (inputs, targets) in batches(&photographs, PatchConfig { side, batch_size: 1, ..PLAIN }, 0, 45) {
            let plane = side * side;
            let piece = |photograph: &Photograph, left: usize, top: usize| {
                (0..plane).all(|index| {
                    let at = (top + index / side) * 48 + left + index % side;
                    let mark = photograph.marks().bytes[at];
                    [targets[index], targets[plane + index]] == [u8::from(mark & VESSEL != 0), mark & CLASS]
                        && (0..3).all(|channel| {
                            inputs[channel * plane + index]
                                == f32::from(photograph.pixels().bytes[3 * at + channel]) / 255.0
                        })
                })
            };
            let places = (0..=36 - side).flat_map(|top| (0..=48 - side).map(move |left| (left, top)));
            let found =
                places.clone().find(|&(left, top)| photographs.iter().any(|photograph| piece(photograph, left, top)));
            let (left, top) = found.expect("a piece of no photograph");
            assert!(in_field((left + side / 2) as u32, (top + side / 2) as u32), "centre at {left}, {top} is outside");
            corners.push((left, top));
        }
    }
    corners.sort_unstable();
    corners.dedup();
    assert!(corners.len() > 70, "{} places of 90", corners.len());
}

#[test]
fn the_photographs_take_turns() {
    let set = Set::new();
    let photographs = set.open(1).all().to_vec();
    // The blue channel of a photograph identifies it.
    let whole = PatchConfig { side: 48, batch_size: 1, ..PLAIN };
    let middle = |inputs: &[f32]| inputs[2 * 48 * 48 + 24 * 48 + 24].to_bits();
    let seen: Vec<u32> = batches(&photographs, whole, 0, 36).iter().map(|(inputs, _)| middle(inputs)).collect();
    let rounds: Vec<Vec<u32>> = seen.chunks(9).map(<[u32]>::to_vec).collect();
    for round in &rounds {
        let mut sorted = round.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 9, "one came twice");
    }
    assert!(rounds[0] != rounds[1] || rounds[1] != rounds[2], "never shuffled anew");
}

#[test]
fn a_patch_larger_than_the_photograph_is_filled_with_nothing() {
    let set = Set::new();
    let photographs = set.open(1).all().to_vec();
    for (inputs, targets) in batches(&photographs, PatchConfig { side: 64, batch_size: 1, ..PLAIN }, 0, 9) {
        for index in 0..64 * 64 {
            let (x, y) = (index % 64, index / 64);
            let inside = (8..56).contains(&x) && (14..50).contains(&y);
            assert_eq!(inputs[index] > 0.0, inside, "{x} {y}");
            assert!(inside || (targets[index], targets[4096 + index]) == (0, 0));
        }
    }
}

#[test]
fn settings_without_meaning_are_refused() {
    let set = Set::new();
    let photographs = set.open(1).all().to_vec();
    let tilted = Augmentation { rotation: 200.0, ..Augmentation::NONE };
    for (config, key) in [
        (PatchConfig { side: 0, ..PLAIN }, "`side` is 0"),
        (PatchConfig { batch_size: 0, ..PLAIN }, "`batch_size` is 0"),
        (PatchConfig { workers: 0, ..PLAIN }, "`workers` is 0"),
        (PatchConfig { augment: tilted, ..PLAIN }, "`rotation` is 200"),
    ] {
        let message = Patches::new(photographs.clone(), config, 0).err().unwrap().to_string();
        assert!(message.contains(key), "{message}");
    }
    assert!(Patches::new(vec![], PLAIN, 0).err().unwrap().to_string().contains("`photographs` is 0"));
}
