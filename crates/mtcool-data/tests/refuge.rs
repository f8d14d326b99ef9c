//! REFUGE2018's files: every layout that is accepted and every defect that is named, on files that the tests write themselves.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod refuge_files;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use mtcool_data::refuge::{CropPlacement, MaskCodes, Refuge, RefugeConfig, RefugePart, RefugeReport, Splits, verify};
use mtcool_data::{Error, Finding, Origin, ProblemKind};
use refuge_files::{Coding, Layout, SIZE, jpeg, mask, plain, sheet, with_orientation, write_set};

fn look(folder: &Path) -> RefugeReport {
    verify(folder, &|_, _| {}).unwrap()
}

fn open(folder: &Path, cache: &Path) -> mtcool_data::Result<Refuge> {
    let config = RefugeConfig {
        crop: 16,
        side: 16,
        placement: CropPlacement::CENTRED,
        allows_copies: false,
        cache: cache.to_owned(),
    };
    Refuge::open(folder, &config, &|_, _| {})
}

fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let (data, cache) = (root.path().join("refuge"), root.path().join("cache"));
    (root, data, cache)
}

/// The findings without the notes on the small size of the tests' pictures.
fn findings(report: &RefugeReport) -> Vec<&Finding> {
    let is_size_note = |finding: &Finding| !finding.is_defect && finding.problem == ProblemKind::WronglySized;
    report.findings.iter().filter(|finding| !is_size_note(finding)).collect()
}

#[test]
fn the_official_folders_are_read() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let report = look(&data);
    assert_eq!(findings(&report), Vec::<&Finding>::new());
    assert_eq!(report.complete, [(400, 40), (400, 40), (400, 40)]);
    let notes: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    assert_eq!(notes.len(), 4, "one a folder of photographs: {notes:?}");
    assert!(notes.iter().any(|note| note.contains("expected 1634x1634, got 32x24 (400 files, such as V0001.jpg)")));

    let refuge = open(&data, &cache).unwrap();
    assert_eq!(refuge.origin(), &Origin::Real);
    assert_eq!(refuge.cases().len(), 1200);
    for (index, case) in refuge.cases().iter().enumerate() {
        let (expected, classes) = plain(&case.name);
        assert_eq!(case.glaucoma, expected.glaucoma, "{}", case.name);
        assert_eq!(refuge.classes(index), classes, "{}", case.name);
        // JPEG changes plain colours only slightly.
        let middle = &refuge.pixels(index)[3 * (8 * 16 + 8)..][..3];
        assert!(middle.iter().zip(expected.color).all(|(&a, b)| a.abs_diff(b) < 6), "{}: {middle:?}", case.name);
    }
    // Notes that were made while decoding are repeated when the files are not decoded again.
    let again = open(&data, &cache).unwrap();
    for refuge in [&refuge, &again] {
        assert_eq!(refuge.notes().len(), 4, "{:?}", refuge.notes());
        assert!(refuge.notes().iter().all(|note| note.problem == ProblemKind::WronglySized && !note.is_defect));
        assert!((0..1200).all(|index| refuge.size(index) == [24, 32]));
    }
    assert_eq!(refuge.fingerprint(), again.fingerprint());

    let splits = refuge.splits(1, Splits::HELD_OUT);
    let glaucoma = |indices: &[u32]| indices.iter().filter(|&&index| refuge.cases()[index as usize].glaucoma).count();
    assert_eq!([&splits.train, &splits.selection, &splits.test].map(|split| split.len()), [720, 80, 400]);
    assert_eq!([&splits.train, &splits.selection, &splits.test].map(|split| glaucoma(split)), [72, 8, 40]);
    assert!(splits.test.iter().all(|&index| refuge.cases()[index as usize].part == RefugePart::Test));
}

#[test]
fn other_layouts_hold_the_same_photographs() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let official = open(&data, &cache).unwrap();
    let doubled = |path: &Path| {
        let (first, rest) = path.to_str().unwrap().split_once('/').unwrap();
        PathBuf::from(first).join(first).join(rest)
    };
    let repacked = |path: &Path| {
        let text =
            path.to_str().unwrap().replace("Annotation-Training400/", "").replace("REFUGE-Validation400-GT/", "");
        let part = match path.to_str().unwrap() {
            text if text.contains("Training400") => "REFUGE1-train",
            text if text.contains("Validation400") => "REFUGE1-val",
            _ => "REFUGE1-test",
        };
        Path::new("REFUGE2/Train").join(part).join(text.replace("REFUGE-Test-GT/", ""))
    };
    let upper = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        let name = if name.ends_with("xlsx") { name.replace("xlsx", "XLSX") } else { name.to_uppercase() };
        path.with_file_name(name.replace(".JPG", ".JPEG"))
    };
    let flat =
        |path: &Path| PathBuf::from(path.to_str().unwrap().replace("Masks/G/", "Masks/").replace("Masks/N/", "Masks/"));
    type Place = dyn Fn(&Path) -> PathBuf;
    let layouts: [(&str, &Place); 4] =
        [("doubled", &doubled), ("repacked", &repacked), ("upper case", &upper), ("flat test masks", &flat)];
    for (name, place) in layouts {
        let (_root, data, cache) = folders();
        write_set(&data, &Layout { place, ..Layout::default() });
        let report = look(&data);
        assert_eq!(findings(&report), Vec::<&Finding>::new(), "{name}");
        let refuge = open(&data, &cache).unwrap();
        assert_eq!(refuge.cases(), official.cases(), "{name}");
        for index in (0..1200).step_by(37) {
            assert_eq!(refuge.classes(index), official.classes(index), "{name}");
            assert_eq!(refuge.pixels(index), official.pixels(index), "{name}");
        }
    }
}

#[test]
fn copies_coded_otherwise_are_read_and_told() {
    for (coding, text) in [
        (Coding::BackgroundZero, "a copy coded 0 background, 1 rim, 2 cup; read as such"),
        (Coding::CupZero, "a copy coded 2 background, 1 rim, 0 cup; read as such"),
        (Coding::Swapped, "a copy coded 0 background, 128 rim, 255 cup; read as such"),
        (Coding::Other, "a copy coded 1 background, 3 rim, 2 cup; read as such"),
    ] {
        let (_root, data, cache) = folders();
        write_set(&data, &Layout { coding, ..Layout::default() });
        let report = look(&data);
        assert_eq!(report.defects().count(), 0);
        let told = findings(&report);
        assert_eq!(told.len(), 5, "one a folder of masks: {told:?}");
        assert!(
            told.iter().all(|finding| finding.problem == ProblemKind::WronglyCoded && finding.detail.starts_with(text))
        );
        let refuge = open(&data, &cache).unwrap();
        for index in (0..1200).step_by(37) {
            assert_eq!(refuge.classes(index), plain(&refuge.cases()[index].name).1);
        }
        assert_ne!(refuge.mask_codes(), MaskCodes::OFFICIAL);
        let noted = refuge.notes().iter().filter(|note| note.detail.starts_with(text)).count();
        assert_eq!(noted, 5, "{:?}", refuge.notes());
    }
}

/// The masks of all photographs in the official set.
fn masks(data: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![data.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                _ if path.is_dir() => folders.push(path),
                Some(extension) if extension == "bmp" => found.push(path),
                _ => {}
            }
        }
    }
    found
}

#[test]
fn masks_of_sixteen_bits_keep_their_values_and_one_rule_holds_for_the_folder() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    for path in masks(&data) {
        let picture = image::open(&path).unwrap().into_luma8();
        let deep = image::ImageBuffer::from_fn(picture.width(), picture.height(), |x, y| {
            let value: u16 = match picture[(x, y)][0] {
                255 => 0,
                128 => 128,
                _ => 255,
            };
            image::Luma([value])
        });
        fs::remove_file(&path).unwrap();
        deep.save(path.with_extension("png")).unwrap();
    }
    let refuge = open(&data, &cache).unwrap();
    assert_eq!(refuge.mask_codes(), MaskCodes { background: 0, rim: 128, cup: 255 });
    assert_eq!(refuge.classes(3), plain(&refuge.cases()[3].name).1);

    // Other codes in some of the masks are refused, also with the same values.
    let file = data.join("REFUGE-Test-GT/Disc_Cup_Masks/N/T0006.png");
    fs::write(&file, mask(SIZE, |class| [255, 128, 0][usize::from(class)])).unwrap();
    let report = look(&data);
    let defects: Vec<String> = report.defects().map(ToString::to_string).collect();
    let expected = "T0006.png`: wrongly coded: by the places of its values coded 255 background, 128 rim, 0 cup, but the folder is \
                    coded 0 background, 128 rim, 255 cup";
    assert!(defects.len() == 1 && defects[0].contains(expected), "{defects:?}");
}

#[test]
fn a_folder_without_any_cup_or_any_rule_is_refused() {
    for (codes, part) in [([1, 2, 2], "two values, such as 1 around and 2 inside"), ([7, 7, 7], "got [7]")] {
        let (_root, data, cache) = folders();
        write_set(&data, &Layout::default());
        let masks = masks(&data);
        let bytes = mask(SIZE, |class| codes[usize::from(class)]);
        masks.iter().for_each(|path| fs::write(path, &bytes).unwrap());
        let report = look(&data);
        let defects: Vec<String> = report.defects().map(ToString::to_string).collect();
        assert!(defects.len() == 1 && defects[0].contains(part), "{defects:?}");
        let message = open(&data, &cache).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn specks_move_no_crop_and_are_told_with_file_and_size() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let clean = open(&data, &cache).unwrap();
    let file = data.join("Annotation-Training400/Disc_Cup_Masks/Glaucoma/g0002.bmp");
    let mut picture = image::open(&file).unwrap().into_luma8();
    for (x, y) in [(31, 23), (30, 22), (0, 23)] {
        picture[(x, y)] = image::Luma([128]);
    }
    picture.save(&file).unwrap();
    let expected = "g0002.bmp`: unusual: parts of 2, 1 pixels apart from the disc are taken as background";
    assert!(look(&data).to_string().contains(expected));
    let refuge = open(&data, &cache).unwrap();
    let index = refuge.cases().iter().position(|case| case.name == "g0002").unwrap();
    assert_eq!((refuge.classes(index), refuge.pixels(index)), (clean.classes(index), clean.pixels(index)));
    assert_eq!((refuge.specks(index), clean.specks(index)), (3, 0));
    assert!(refuge.notes().iter().any(|note| note.to_string().contains(expected)), "{:?}", refuge.notes());
}

#[test]
fn the_same_photograph_twice_is_refused_unless_it_is_allowed() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    // T0001 and T0002 have the same diagnosis, and T0010 has glaucoma.
    for (from, to) in [("Test400/T0001", "Test400/T0002"), ("Test400/T0001", "Test400/T0010")] {
        fs::copy(data.join(format!("{from}.jpg")), data.join(format!("{to}.jpg"))).unwrap();
    }
    // The same pixels in a file of another format.
    let copy = data.join("REFUGE-Validation400/V0007");
    image::open(data.join("Training400/Glaucoma/g0001.jpg")).unwrap().save(copy.with_extension("png")).unwrap();
    fs::remove_file(copy.with_extension("jpg")).unwrap();
    let report = look(&data);
    let told: Vec<(bool, String)> =
        findings(&report).into_iter().map(|finding| (finding.is_defect, finding.to_string())).collect();
    let expected = [
        (
            true,
            "V0007.png`: doubled: V0007 (Validation, no glaucoma) is the same photograph as g0001 (Train, glaucoma)",
        ),
        (false, "T0002.jpg`: doubled: T0002 (Test, no glaucoma) is the same photograph as T0001 (Test, no glaucoma)"),
        (true, "T0010.jpg`: doubled: T0010 (Test, glaucoma) is the same photograph as T0001 (Test, no glaucoma)"),
    ];
    assert_eq!(told.len(), 3, "{told:#?}");
    for (is_defect, part) in expected {
        assert!(told.iter().any(|(defect, text)| *defect == is_defect && text.contains(part)), "{part}\n{told:#?}");
    }
    let message = open(&data, &cache).unwrap_err().to_string();
    assert!(message.contains("2 defects") && message.contains("`--set data.settings.on_copies=allow`"), "{message}");
    let config = RefugeConfig { crop: 16, side: 16, placement: CropPlacement::CENTRED, allows_copies: true, cache };
    let refuge = Refuge::open(&data, &config, &|_, _| {}).unwrap();
    let names = refuge.copies().into_iter().map(|pair| pair.map(|index| refuge.cases()[index].name.clone()));
    assert_eq!(names.collect::<Vec<_>>(), [["V0007", "g0001"], ["T0002", "T0001"], ["T0010", "T0001"]]);
    assert!(refuge.notes().iter().all(|note| !note.is_defect));
}

#[test]
fn a_photograph_that_is_to_be_turned_takes_its_mask_along_where_that_fits() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let clean = open(&data, &cache).unwrap();
    let (image, truth) = ("Training400/Glaucoma/g0002.jpg", "Annotation-Training400/Disc_Cup_Masks/Glaucoma/g0002.bmp");
    let index = clean.cases().iter().position(|case| case.name == "g0002").unwrap();
    let plain = fs::read(data.join(image)).unwrap();
    let stored = image::open(data.join(truth)).unwrap();
    let turned_by = |orientation: u8, mask: &image::DynamicImage, detail: &str| {
        fs::write(data.join(image), with_orientation(&plain, orientation)).unwrap();
        mask.to_luma8().save(data.join(truth)).unwrap();
        let refuge = open(&data, &cache).unwrap();
        let note = refuge.notes().iter().find(|note| note.detail.contains("EXIF")).unwrap().to_string();
        assert!(
            note.contains(&format!("g0002.jpg`: unusual: turned as its file says (EXIF orientation {orientation})"))
        );
        assert!(note.contains(detail), "{note}");
        (refuge.size(index), refuge.classes(index), refuge.pixels(index))
    };
    // The disc is square and its crop as well, so that a crop is turned as a whole.
    let (size, classes, pixels) = turned_by(6, &stored, "its mask fits the photograph only as it is stored");
    assert_eq!((size, &classes), ([32, 24], &clean.classes(index)));
    let upright = turned_by(6, &stored.rotate90(), "its mask has the size of the turned photograph");
    assert_eq!(upright, (size, classes, pixels.clone()));
    let side = 16;
    let quarter = |at: usize| {
        let (row, column) = (at / side, at % side);
        clean.pixels(index)[3 * ((side - 1 - column) * side + row)..][..3].to_vec()
    };
    // The centre of an even number of pixels may lie one pixel off.
    let matches = (0..side * side).filter(|&at| pixels[3 * at..3 * at + 3] == quarter(at)).count();
    assert!(matches > 150, "{matches}");
    turned_by(3, &stored, "its mask fits both ways and is taken as drawn on the turned photograph");
}

#[test]
fn photographs_and_masks_may_have_other_formats() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let official = open(&data, &cache).unwrap();
    let resave = |folder: &str, extension: &str| {
        for entry in fs::read_dir(data.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                image::open(&path).unwrap().save(path.with_extension(extension)).unwrap();
                fs::remove_file(path).unwrap();
            }
        }
    };
    resave("Test400", "png");
    resave("REFUGE-Test-GT/Disc_Cup_Masks/G", "tif");
    resave("REFUGE-Test-GT/Disc_Cup_Masks/N", "tif");
    resave("Training400/Glaucoma", "tif");
    assert_eq!(findings(&look(&data)), Vec::<&Finding>::new());
    let refuge = open(&data, &cache).unwrap();
    for index in (0..1200).step_by(37) {
        assert_eq!(refuge.pixels(index), official.pixels(index));
        assert_eq!(refuge.classes(index), official.classes(index));
    }
}

#[test]
fn a_grey_photograph_is_read_and_told() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let file = data.join("Test400/T0008.jpg");
    image::open(&file).unwrap().into_luma8().save(&file).unwrap();
    let refuge = open(&data, &cache).unwrap();
    let index = refuge.cases().iter().position(|case| case.name == "T0008").unwrap();
    assert!(refuge.is_grey(index) && !refuge.is_grey(0));
    let expected = "`Test400/T0008.jpg`: unusual: a grey photograph; read as equal red, green and blue";
    assert!(refuge.notes().iter().any(|note| note.to_string() == expected), "{:?}", refuge.notes());
}

#[test]
fn a_photograph_that_was_cut_off_before_its_end_marker_is_refused() {
    let (_root, data, _cache) = folders();
    write_set(&data, &Layout::default());
    let file = data.join("Test400/T0009.jpg");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, [&whole[..whole.len() - 12], &[0, 0xff, 0xd9]].concat()).unwrap();
    let defects: Vec<String> = look(&data).defects().map(ToString::to_string).collect();
    assert!(defects.len() == 1 && defects[0].contains("T0009.jpg`: unreadable: a truncated JPEG file"), "{defects:?}");
}

#[test]
fn spreadsheets_of_open_programs_are_no_data_and_renamed_columns_are_found_or_told() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let official = open(&data, &cache).unwrap();
    let place = "REFUGE-Validation400-GT";
    fs::write(data.join(place).join("~$Fovea_locations.xlsx"), b"\x05owner").unwrap();
    fs::write(data.join(place).join(".~lock.Fovea_locations.xlsx#"), b"owner").unwrap();
    assert_eq!(findings(&look(&data)), Vec::<&Finding>::new());
    let with_header = |header: &[&str]| {
        let row = |number: u32| {
            vec![format!("V{number:04}.jpg"), "7".into(), u8::from(number.is_multiple_of(10)).to_string()]
        };
        fs::write(data.join(place).join("Fovea_locations.xlsx"), sheet(header, (1..=400).map(row))).unwrap();
    };
    with_header(&["photo", "x", "diagnosis"]);
    assert_eq!(open(&data, &cache).unwrap().cases(), official.cases());
    with_header(&["photo", "x", "result"]);
    let report = look(&data).to_string();
    for part in [
        "looked for a column of image names (`ImgName`) and one of diagnoses (`Glaucoma Label`), 0 or 1",
        "`REFUGE-Validation400-GT/Fovea_locations.xlsx` has the columns `photo`, `x`, `result`",
    ] {
        assert!(report.contains(part), "no `{part}` in {report}");
    }
}

#[test]
fn diagnoses_of_the_test_part_may_come_from_folders_alone() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    fs::remove_file(data.join("REFUGE-Test-GT/Glaucoma_label_and_Fovea_location.xlsx")).unwrap();
    assert_eq!(findings(&look(&data)), Vec::<&Finding>::new());
    let refuge = open(&data, &cache).unwrap();
    assert!(refuge.cases().iter().all(|case| case.glaucoma == plain(&case.name).0.glaucoma));

    // Without the folders, there is no source of the diagnoses left.
    for kind in ["G", "N"] {
        let folder = data.join("REFUGE-Test-GT/Disc_Cup_Masks").join(kind);
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            fs::rename(&path, data.join("REFUGE-Test-GT/Disc_Cup_Masks").join(path.file_name().unwrap())).unwrap();
        }
    }
    let report = look(&data);
    let told = findings(&report);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].is_defect && told[0].problem == ProblemKind::Missing);
    assert_eq!(told[0].path, Path::new("REFUGE-Test-GT/Glaucoma_label_and_Fovea_location.xlsx"));
    assert!(matches!(open(&data, &cache), Err(Error::Defective(_))));
}

#[test]
fn other_diagnoses_of_the_same_photographs_are_other_samples() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let first = open(&data, &cache).unwrap();
    let labels = (1..=400).map(|number| vec![format!("V{number:04}.jpg"), u8::from(number % 10 == 1).to_string()]);
    let file = data.join("REFUGE-Validation400-GT/Fovea_locations.xlsx");
    fs::write(file, sheet(&["ImgName", "Glaucoma Label"], labels)).unwrap();
    let second = open(&data, &cache).unwrap();
    assert_ne!(second.fingerprint(), first.fingerprint());
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 3, "nothing was cut again");
}

#[test]
fn what_comes_along_in_the_archives_does_no_harm() {
    let (_root, data, _cache) = folders();
    write_set(&data, &Layout::default());
    let put = |path: &str, bytes: &[u8]| {
        let path = data.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    // The photographs of the macula challenge are in the same archive and also use the letter N.
    put("Training400/AMD/AMD/A0001.jpg", b"");
    put("Training400/AMD/Non-AMD/N0001.jpg", b"");
    put("__MACOSX/Training400/Glaucoma/g0001.jpg", b"");
    put("Training400/Glaucoma/._g0001.jpg", b"");
    put("Training400/Glaucoma/Thumbs.db", b"");
    put("readme.txt", b"");
    assert_eq!(findings(&look(&data)), Vec::<&Finding>::new());
    // The numbers of the second challenge's photographs continue those of the first.
    put("Validation/Images/V0401.jpg", b"");
    put("Validation/Images/V0402.jpg", b"");
    put("figures/example.png", b"");
    let report = look(&data);
    let told: Vec<_> =
        findings(&report).into_iter().map(|finding| (finding.problem, finding.is_defect, &finding.path)).collect();
    let foreign = |path: &'static str| (ProblemKind::Foreign, false, PathBuf::from(path));
    let expected = [foreign("Validation/Images"), foreign("figures")];
    assert_eq!(told, expected.iter().map(|(problem, defect, path)| (*problem, *defect, path)).collect::<Vec<_>>());
}

#[test]
fn every_defect_is_listed_file_by_file() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    let remove = |path: &str| fs::remove_file(data.join(path)).unwrap();
    let write = |path: &str, bytes: &[u8]| {
        fs::create_dir_all(data.join(path).parent().unwrap()).unwrap();
        fs::write(data.join(path), bytes).unwrap();
    };
    let read = |path: &str| fs::read(data.join(path)).unwrap();
    let train_masks = "Annotation-Training400/Disc_Cup_Masks";
    let validation_masks = "REFUGE-Validation400-GT/Disc_Cup_Masks";
    remove("Training400/Glaucoma/g0003.jpg");
    remove("REFUGE-Validation400/V0004.jpg");
    remove(&format!("{train_masks}/Non-Glaucoma/n0005.bmp"));
    remove("REFUGE-Test-GT/Disc_Cup_Masks/N/T0006.bmp");
    // A second file with the same bytes is a note; one with other bytes is a defect.
    write("Training400/Training400/Glaucoma/g0007.jpg", &read("Training400/Glaucoma/g0007.jpg"));
    write("copy/V0008.jpg", &jpeg([1, 2, 3], SIZE));
    let whole = read("Test400/T0009.jpg");
    write("Test400/T0009.jpg", &whole[..whole.len() - 40]);
    write("Training400/Non-Glaucoma/n0010.jpg", b"no picture");
    let whole = read(&format!("{validation_masks}/V0011.bmp"));
    write(&format!("{validation_masks}/V0011.bmp"), &whole[..whole.len() / 2]);
    write(&format!("{validation_masks}/V0012.bmp"), &mask(SIZE, |class| [255, 127, 0][usize::from(class)]));
    write(&format!("{validation_masks}/V0013.bmp"), &mask(SIZE, |class| [255, 0, 0][usize::from(class)]));
    write(&format!("{validation_masks}/V0014.bmp"), &mask(SIZE, |_| 255));
    write(&format!("{train_masks}/Glaucoma/g0015.bmp"), &mask([20, 32], |class| [255, 128, 0][usize::from(class)]));
    write(&format!("{train_masks}/Glaucoma/g0016.bmp"), &mask(SIZE, |class| [255, 128, 128][usize::from(class)]));
    fs::rename(data.join("Training400/Non-Glaucoma/n0017.jpg"), data.join("Training400/Glaucoma/n0017.jpg")).unwrap();
    // One row is missing, one has neither 0 nor 1, and one contradicts the folder of the mask.
    let labels = |part: &str, change: &dyn Fn(u32) -> Option<&'static str>| {
        let rows = (1..=400).filter_map(|number| Some((format!("{part}{number:04}.jpg"), change(number)?.to_owned())));
        sheet(&["ImgName", "Glaucoma Label"], rows.map(|(name, label)| vec![name, label]))
    };
    let usual = |number: u32| if number.is_multiple_of(10) { "1" } else { "0" };
    let file = "REFUGE-Validation400-GT/Fovea_locations.xlsx";
    write(file, &labels("V", &|number| (number != 18).then(|| if number == 19 { "yes" } else { usual(number) })));
    let test_file = "REFUGE-Test-GT/Glaucoma_label_and_Fovea_location.xlsx";
    write(test_file, &labels("T", &|number| Some(if number == 20 { "0" } else { usual(number) })));

    let report = look(&data);
    let told: BTreeSet<(String, ProblemKind, bool)> = findings(&report)
        .into_iter()
        .map(|finding| (finding.path.to_str().unwrap().to_owned(), finding.problem, finding.is_defect))
        .collect();
    let defect = |path: &str, problem| (path.to_owned(), problem, true);
    let expected: BTreeSet<(String, ProblemKind, bool)> = [
        defect("Training400/Glaucoma/g0003.jpg", ProblemKind::Missing),
        defect("REFUGE-Validation400/V0004.jpg", ProblemKind::Missing),
        defect(&format!("{train_masks}/Non-Glaucoma/n0005.bmp"), ProblemKind::Missing),
        defect("REFUGE-Test-GT/Disc_Cup_Masks/N/T0006.bmp", ProblemKind::Missing),
        ("Training400/Training400/Glaucoma/g0007.jpg".into(), ProblemKind::Doubled, false),
        defect("copy/V0008.jpg", ProblemKind::Doubled),
        defect("Test400/T0009.jpg", ProblemKind::Unreadable),
        defect("Training400/Non-Glaucoma/n0010.jpg", ProblemKind::Unreadable),
        defect(&format!("{validation_masks}/V0011.bmp"), ProblemKind::Unreadable),
        defect(&format!("{validation_masks}/V0012.bmp"), ProblemKind::WronglyCoded),
        defect(&format!("{validation_masks}/V0013.bmp"), ProblemKind::WronglyCoded),
        defect(&format!("{validation_masks}/V0014.bmp"), ProblemKind::WronglyCoded),
        defect(&format!("{train_masks}/Glaucoma/g0015.bmp"), ProblemKind::WronglySized),
        (format!("{train_masks}/Glaucoma/g0016.bmp"), ProblemKind::WronglyCoded, false),
        defect("Training400/Glaucoma/n0017.jpg", ProblemKind::Mislabelled),
        defect(file, ProblemKind::Mislabelled),
        defect("REFUGE-Test-GT/Disc_Cup_Masks/G/T0020.bmp", ProblemKind::Mislabelled),
    ]
    .into();
    let difference: Vec<_> = told.symmetric_difference(&expected).collect();
    assert!(difference.is_empty(), "{difference:#?}\n{report}");
    // Number 18 has no row and number 19 no label: two findings on the same file.
    let rows: Vec<&str> =
        report.defects().filter(|found| found.path == Path::new(file)).map(|found| found.detail.as_str()).collect();
    assert!(rows.len() == 3 && rows.iter().any(|row| row.contains("V0018")), "{rows:?}");
    assert!(rows.iter().any(|row| row.contains("V0019: expected 0 or 1, got `yes`")), "{rows:?}");
    assert!(report.to_string().contains("expected 32x24 like its photograph, got 32x20"), "{report}");
    assert!(report.to_string().contains("got [0, 127, 255]"), "{report}");
    assert_eq!(report.complete, [(398, 39), (397, 40), (399, 39)]);

    // Opening the set fails with a message that says what is wrong and how to list the rest.
    let message = open(&data, &cache).unwrap_err().to_string();
    for part in ["defects", "g0015.bmp", "and ", " more", "cargo xtask data verify refuge --data "] {
        assert!(message.contains(part), "no `{part}` in: {message}");
    }
}

#[test]
fn a_defect_inside_a_picture_is_found_while_opening() {
    let (_root, data, cache) = folders();
    write_set(&data, &Layout::default());
    for name in ["V0011", "V0300"] {
        fs::write(data.join(format!("REFUGE-Validation400/{name}.jpg")), b"no picture").unwrap();
    }
    match open(&data, &cache).unwrap_err() {
        Error::Defective(report) => assert_eq!(report.defects().count(), 2, "{report}"),
        other => panic!("{other}"),
    }
    let left: Vec<_> = fs::read_dir(&cache).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_str().unwrap().starts_with("refuge-crops")), "{left:?}");
}

#[test]
fn an_empty_folder_says_what_to_do() {
    let (_root, data, cache) = folders();
    for _ in 0..2 {
        let message = open(&data, &cache).unwrap_err().to_string();
        for part in ["REFUGE2018", "g0001.jpg", "--data DIR", "--data synth"] {
            assert!(message.contains(part), "no `{part}` in: {message}");
        }
        fs::create_dir_all(&data).unwrap();
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let (_root, data, cache) = folders();
    for (crop, side, key) in [(0, 1, "crop"), (9000, 1, "crop"), (16, 0, "side"), (16, 3, "side"), (16, 32, "side")] {
        let config =
            RefugeConfig { crop, side, placement: CropPlacement::CENTRED, allows_copies: false, cache: cache.clone() };
        let message = Refuge::open(&data, &config, &|_, _| {}).unwrap_err().to_string();
        assert!(message.starts_with(&format!("`{key}` is")), "{message}");
    }
}
