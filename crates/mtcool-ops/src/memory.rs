//! Buffers that come and go with every step should not go back to the system in between.

use rayon::prelude::*;

/// Tells the C allocator to keep freed memory for the next allocation instead of unmapping it.
///
/// A training step allocates and frees the same large buffers again and again. By default glibc maps each anew: the kernel
/// clears its pages and interrupts the other threads' processors to forget the old ones, which took longer than LeNet's
/// arithmetic (28.6 against 8.3 ms a step). A program calls this once, first thing; where the allocator is another, it does
/// nothing. Peak memory is unchanged; it stays with the process until its end.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const TOP_PAD: i32 = 16 << 20;
        // SAFETY: mallopt changes tunables of the allocator and has no other requirements.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            // The heaps of further arenas are given back whatever the threshold.
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_TOP_PAD, TOP_PAD);
        }
    }
}

/// `len` elements that `write` sets, without setting them to zero first: on one thread, that would be a sixteenth of a U-Net's
/// step.
///
/// # Safety
/// `write` reads no element before it has written it, and writes all.
pub(crate) unsafe fn written<T: Copy>(len: usize, write: impl FnOnce(&mut [T])) -> Vec<T> {
    // SAFETY: the caller's promise.
    unsafe { written_all(&[len], |parts| write(parts[0])) }.swap_remove(0)
}

/// [`written`] for several vectors at once.
///
/// # Safety
/// As [`written`].
pub(crate) unsafe fn written_all<T: Copy>(lens: &[usize], write: impl FnOnce(&mut [&mut [T]])) -> Vec<Vec<T>> {
    let mut parts: Vec<Vec<T>> = lens.iter().map(|&len| Vec::with_capacity(len)).collect();
    let rooms = parts.iter_mut().zip(lens).map(|(part, &len)| {
        let room = &mut part.spare_capacity_mut()[..len];
        #[cfg(test)]
        // Bytes that are a NaN of either element type: an element that is missed shows in every comparison.
        // SAFETY: any bytes may lie in uninitialised memory.
        unsafe {
            room.as_mut_ptr().write_bytes(0xff, len);
        }
        // SAFETY: elements are plain numbers, which the caller's promise makes initialised before they are read.
        unsafe { &mut *(std::ptr::from_mut(room) as *mut [T]) }
    });
    write(&mut rooms.collect::<Vec<&mut [T]>>());
    for (part, &len) in parts.iter_mut().zip(lens) {
        // SAFETY: the caller's promise.
        unsafe { part.set_len(len) };
    }
    parts
}

/// A copy, made by all threads.
pub(crate) fn copied<T: Copy + Send + Sync>(source: &[T]) -> Vec<T> {
    const ELEMENTS_A_JOB: usize = 64 * 1024;
    // SAFETY: the chunks of both are the same.
    unsafe {
        written(source.len(), |target| {
            let chunks = target.par_chunks_mut(ELEMENTS_A_JOB).zip(source.par_chunks(ELEMENTS_A_JOB));
            chunks.for_each(|(target, source)| target.copy_from_slice(source));
        })
    }
}
