//! What a step allocates at most at one time, with ten tasks: a method that works from the Gramian against Joint.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::{DType, Device, Tensor};
use mtcool_baselines::{Joint, UpGrad};
use mtcool_core::random::{Purpose, stream, uniform};
use mtcool_core::{
    Batch, BatchSource, Combine, GradientMethod, GradientStorage, Loss, Method, Problem, Result, Step, UpdateSettings,
};
use mtcool_models::{Head, MapOf, UNet, UNetConfig};
use mtcool_ops::{Statistics, cross_entropy};

const TASKS: usize = 10;
const BATCH: usize = 8;
const SIDE: usize = 64;

/// Counts the bytes that are allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator; the other methods are the trait's, which call these.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(LIVE.fetch_add(layout.size(), Ordering::SeqCst) + layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::SeqCst);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The same images for all tasks.
struct Images;

impl BatchSource for Images {
    fn next(&mut self, task: usize) -> Result<Batch> {
        Ok(self.next_all(TASKS)?.swap_remove(task))
    }

    fn next_all(&mut self, tasks: usize) -> Result<Vec<Batch>> {
        let mut generator = stream(1, Purpose::Method, [0; 4], "images");
        let input = uniform(&mut generator, 1.0, &(BATCH, 3, SIDE, SIDE).into(), DType::F32, &Device::Cpu)?;
        let target = |task: usize| (0..BATCH as u32).map(|n| u32::from(n % 10 == task as u32)).collect::<Vec<u32>>();
        let batch =
            |task| Ok(Batch { input: input.clone(), target: Tensor::from_vec(target(task), BATCH, &Device::Cpu)? });
        (0..tasks).map(batch).collect()
    }
}

/// The most bytes that a step has allocated at one time, in a process that does nothing else meanwhile.
fn peak(combine: Combine, storage: GradientStorage) -> usize {
    // A U-Net's encoder with answers per image: the tasks share nearly all parameters and all maps.
    let heads = vec![Head::Image { outputs: 2, map: MapOf::Nothing }; TASKS];
    let sizes = UNetConfig { heads, statistics: Statistics::Batch, ..UNetConfig::default() };
    let losses = (0..TASKS).map(|_| -> Loss { Box::new(cross_entropy) });
    let problem = Problem::new(Box::new(UNet::new(sizes).unwrap()), losses.collect()).unwrap();
    let mut parameters = problem.network().initial_parameters(5, DType::F32, &Device::Cpu).unwrap();
    let mut method = GradientMethod::new(combine, 0.01, UpdateSettings::default()).unwrap().storing(storage);
    for step in 0..2 {
        if step > 0 {
            PEAK.store(LIVE.load(Ordering::SeqCst), Ordering::SeqCst);
        }
        let (problem, parameters) = (&problem, &mut parameters);
        method.step(Step { problem, parameters, batches: &mut Images, progress: 0.0 }).unwrap().check_finite().unwrap();
    }
    PEAK.load(Ordering::SeqCst)
}

// The only test of this executable: another one beside it would be counted as well.
#[test]
fn with_ten_tasks_layerwise_gradients_take_at_most_a_third_more_than_joint() {
    let upgrad = || Combine::Gradients(Box::new(UpGrad::new(1e-4, 1e-4).unwrap()));
    let joint = peak(Combine::Losses(Box::new(Joint)), GradientStorage::Stored);
    let stored = peak(upgrad(), GradientStorage::Stored);
    let layerwise = peak(upgrad(), GradientStorage::Layerwise);
    let ratio = |bytes: usize| bytes as f64 / joint as f64;
    println!("joint {joint} bytes, stored {:.2} and layerwise {:.2} times as many", ratio(stored), ratio(layerwise));
    assert!(ratio(layerwise) <= 1.3, "{:.3} of Joint's peak", ratio(layerwise));
    assert!(ratio(stored) > 1.3, "stored {:.3}: this network would not show that anything is saved", ratio(stored));
}
