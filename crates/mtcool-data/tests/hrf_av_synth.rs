//! Drawn photographs in HRF-AV's layout: complete, drawn from a seed, and never taken for the published ones.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mtcool_data::cache::Cache;
use mtcool_data::hrf_av::{
    CLASS, FIELD, FetchConfig, HrfAvConfig, OnDamage, Role, SetShape, SynthConfig, fetch, origin, synthesize, verify,
};
use mtcool_data::{Error, HrfAv, Origin, ProblemKind};

const SMALL: SynthConfig = SynthConfig { shape: SetShape { numbers: 3, size: [150, 100] }, seed: 4 };

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let folders = [Role::Image, Role::Field, Role::Labels, Role::Vessels].map(|role| folder.join(role.folder()));
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.strip_prefix(folder).unwrap().to_owned(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn a_drawn_set_loads_like_the_published_one_and_says_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    synthesize(folder.path(), SMALL).unwrap();
    let (origin, shape) = origin(folder.path()).unwrap();
    assert!(matches!(origin, Origin::Synthetic { seed: 4, .. }));
    assert_eq!(shape, SMALL.shape);
    let report = verify(folder.path(), shape).unwrap();
    assert_eq!((report.intact, report.problems, report.snapped), (9, vec![], vec![]));
    let config = HrfAvConfig { shape, scale: 1, on_damage: OnDamage::Refuse, allows_copies: false };
    let set = HrfAv::open(folder.path(), &Cache::new(folder.path().join("cache")), config).unwrap();
    for photograph in set.all() {
        let marks = photograph.marks().bytes;
        let count =
            |is: &dyn Fn(u8) -> bool| marks.iter().filter(|mark| is(**mark)).count() as f64 / marks.len() as f64;
        assert!(count(&|mark| mark & FIELD != 0) > 0.4, "{}", photograph.id);
        for class in [1, 2] {
            assert!((0.005..0.2).contains(&count(&|mark| mark & CLASS == class)), "{} {class}", photograph.id);
        }
        assert_eq!(count(&|mark| mark & CLASS != 0 && mark & FIELD == 0), 0.0, "a vessel outside of the field");
    }
}

#[test]
fn a_set_follows_from_its_seed_and_an_interrupted_one_is_completed() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    synthesize(first.path(), SMALL).unwrap();
    let drawn = files(first.path());
    assert_eq!(drawn.len(), 27);
    synthesize(second.path(), SMALL).unwrap();
    assert!(files(second.path()) == drawn);
    for (path, _) in drawn.iter().step_by(4) {
        std::fs::remove_file(first.path().join(path)).unwrap();
    }
    synthesize(first.path(), SMALL).unwrap();
    assert!(files(first.path()) == drawn);
    // Another seed replaces every photograph, and another shape leaves none of the old ones.
    synthesize(first.path(), SynthConfig { seed: 5, ..SMALL }).unwrap();
    assert!(files(first.path()).iter().all(|(path, bytes)| path.starts_with("mask") || drawn[path] != *bytes));
    synthesize(first.path(), SynthConfig { shape: SetShape { numbers: 1, size: [60, 40] }, ..SMALL }).unwrap();
    assert_eq!(files(first.path()).len(), 9);
}

#[test]
fn drawn_and_published_photographs_never_mix() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("images")).unwrap();
    std::fs::write(folder.path().join("images/07_g.jpg"), b"published").unwrap();
    let message = synthesize(folder.path(), SMALL).unwrap_err().to_string();
    assert!(message.contains("07_g.jpg") && message.contains("another folder"), "{message}");
    assert_eq!(origin(folder.path()).unwrap(), (Origin::Real, SetShape::OFFICIAL));

    let folder = tempfile::tempdir().unwrap();
    synthesize(folder.path(), SynthConfig { shape: SetShape { numbers: 1, ..SMALL.shape }, ..SMALL }).unwrap();
    let message = fetch(folder.path(), &FetchConfig::default(), &mut |_| {}).unwrap_err().to_string();
    assert!(message.contains("got drawn photographs") && message.contains("another folder"), "{message}");
    std::fs::write(folder.path().join("synthetic.json"), b"{}").unwrap();
    let message = origin(folder.path()).unwrap_err().to_string();
    assert!(message.contains("synthetic.json") && message.contains("data synth hrf-av"), "{message}");
}

#[test]
fn without_its_manifest_a_drawn_set_is_not_taken_for_the_published_one() {
    let folder = tempfile::tempdir().unwrap();
    synthesize(folder.path(), SMALL).unwrap();
    let cache = Cache::new(folder.path().join("cache"));
    let open = |on_damage| {
        HrfAv::open(
            folder.path(),
            &cache,
            HrfAvConfig { shape: SMALL.shape, scale: 1, on_damage, allows_copies: false },
        )
    };
    // The set was read while it still had its manifest, so all of it is in the cache.
    assert_eq!(open(OnDamage::Refuse).unwrap().all().len(), 9);
    let manifest = folder.path().join("synthetic.json");
    let text = std::fs::read(&manifest).unwrap();
    std::fs::remove_file(&manifest).unwrap();
    let report = verify(folder.path(), SMALL.shape).unwrap();
    assert_eq!((report.intact, report.problems.len()), (0, 9), "every photograph says that it was drawn");
    assert!(report.problems.iter().all(|finding| finding.problem == ProblemKind::Synthetic && finding.is_defect));
    for on_damage in [OnDamage::Refuse, OnDamage::LeaveOut] {
        let Err(Error::Defective(defects)) = open(on_damage) else { panic!("was taken for photographs") };
        assert_eq!(defects.findings, report.problems);
    }
    // A single drawn photograph among published ones is also found, whatever its name is.
    let other = folder.path().join("other");
    std::fs::create_dir_all(other.join("images")).unwrap();
    std::fs::copy(folder.path().join("images/02_h.jpg"), other.join("images/01_g.JPEG")).unwrap();
    for role in [Role::Field, Role::Labels] {
        std::fs::create_dir_all(other.join(role.folder())).unwrap();
        let id = SMALL.shape.photographs().nth(1).unwrap();
        std::fs::copy(folder.path().join(role.path(id)), other.join(role.path(id))).unwrap();
    }
    let told = verify(&other, SMALL.shape).unwrap().problems;
    let told: Vec<_> = told.iter().filter(|finding| finding.problem == ProblemKind::Synthetic).collect();
    assert!(told.len() == 1 && told[0].path == Path::new("images/01_g.JPEG"), "{told:?}");

    std::fs::write(&manifest, text).unwrap();
    assert_eq!(open(OnDamage::Refuse).unwrap().all().len(), 9);
}

#[test]
fn shapes_without_photographs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let synth = |numbers, size| synthesize(folder.path(), SynthConfig { shape: SetShape { numbers, size }, seed: 0 });
    assert!(synth(0, [60, 40]).unwrap_err().to_string().contains("`numbers` is 0"));
    assert!(synth(1, [60, 0]).unwrap_err().to_string().contains("`size` is 0"));
}
