//! Shows what a folder of HRF-AV holds and how long loading takes: `cargo run --example look_at_hrf_av -- DIR`.

use std::path::Path;
use std::time::Instant;

use mtcool_data::cache::Cache;
use mtcool_data::hrf_av::{CLASS, FIELD, HrfAvConfig, OnDamage, PatchConfig, Patches, SetShape, verify};
use mtcool_data::{Augmentation, HrfAv};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("name the folder that holds `images`, `mask` and `HRF_AV_GT`")?;
    let folder = Path::new(&folder);
    let timer = Instant::now();
    println!("{}", verify(folder, SetShape::OFFICIAL)?);
    println!("verified in {:.1?}", timer.elapsed());
    let scratch = tempfile::tempdir()?;
    for scale in [4, 2, 1] {
        let cache = Cache::new(scratch.path());
        let config =
            HrfAvConfig { shape: SetShape::OFFICIAL, scale, on_damage: OnDamage::LeaveOut, allows_copies: false };
        let timer = Instant::now();
        HrfAv::open(folder, &cache, config)?;
        let decoded = timer.elapsed();
        let timer = Instant::now();
        let set = HrfAv::open(folder, &cache, config)?;
        println!("scale {scale}: {} decoded in {decoded:.1?}, mapped in {:.1?}", set.all().len(), timer.elapsed());
        let mut counts = [0u64; 4];
        let (mut inside, mut pixels) = (0, 0);
        for mark in set.all().iter().flat_map(|photograph| photograph.marks().bytes) {
            counts[usize::from(mark & CLASS)] += 1;
            inside += u64::from(mark & FIELD != 0);
            pixels += 1;
        }
        let share = |count: u64| 100.0 * count as f64 / pixels as f64;
        let [background, artery, vein, crossing] = counts.map(share);
        println!(
            "  {:.2}% in the field; artery {artery:.3}%, vein {vein:.3}%, crossing {crossing:.3}%, rest {background:.3}%",
            share(inside)
        );
        for augment in [
            Augmentation::NONE,
            Augmentation { mirror: true, flip: true, rotation: 15.0, scale: 0.2, gamma: 0.2, ..Augmentation::NONE },
        ] {
            let config = PatchConfig { side: 2048 / scale, batch_size: 1, seed: 0, augment, workers: 1 };
            let mut patches = Patches::new(set.all().to_vec(), config, 0)?;
            let timer = Instant::now();
            for _ in 0..8 {
                patches.next()?;
            }
            println!("  a patch of side {}: {:.1?}, rotation {}", config.side, timer.elapsed() / 8, augment.rotation);
        }
    }
    Ok(())
}
