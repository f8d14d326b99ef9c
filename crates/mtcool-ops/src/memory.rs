//! Large vectors without the costs of the allocator: memory that the process keeps, and elements that are written once.

use std::mem::MaybeUninit;

use num_traits::Zero;
use rayon::prelude::*;

/// Tells the C allocator to keep freed memory for the next allocation instead of unmapping it.
///
/// A training step allocates and frees the same large buffers again and again. By default glibc maps each of them anew: the
/// system's kernel clears the new pages and interrupts the other threads' processors to make them forget the old ones, which
/// took longer than LeNet's arithmetic (28.6 against 8.3 ms per step). A program calls this once, before anything else. With
/// another allocator than glibc's it does nothing. Peak memory is unchanged, but the process keeps it until its end.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        const TOP_PAD: i32 = 16 << 20;
        // SAFETY: mallopt changes settings of the allocator and has no other requirements.
        unsafe {
            libc::mallopt(libc::M_MMAP_MAX, 0);
            // One arena only: the heaps of others are given back to the system whatever the threshold.
            libc::mallopt(libc::M_ARENA_MAX, 1);
            libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
            libc::mallopt(libc::M_TOP_PAD, TOP_PAD);
        }
    }
}

/// A vector of `len` elements that `write` writes, without setting them to zero first: on one thread, zeros would be a
/// sixteenth of a U-Net's step.
///
/// # Safety
/// `write` writes every element. (That none is read before it is written follows from the type.)
pub(crate) unsafe fn initialised<T: Copy>(len: usize, write: impl FnOnce(&mut [MaybeUninit<T>])) -> Vec<T> {
    // SAFETY: the caller's promise.
    unsafe { initialised_all(&[len], |rooms| write(rooms[0])) }.swap_remove(0)
}

/// [`initialised`] for several vectors at once.
///
/// # Safety
/// As [`initialised`], for every element of every vector.
pub(crate) unsafe fn initialised_all<T: Copy>(
    lens: &[usize],
    write: impl FnOnce(&mut [&mut [MaybeUninit<T>]]),
) -> Vec<Vec<T>> {
    let mut vectors: Vec<Vec<T>> = lens.iter().map(|&len| Vec::with_capacity(len)).collect();
    let rooms = vectors.iter_mut().zip(lens).map(|(vector, &len)| {
        let room = &mut vector.spare_capacity_mut()[..len];
        #[cfg(test)]
        // Bytes that are a NaN of every element type, so that an element that is left out shows in every comparison.
        // SAFETY: the room is exclusively borrowed, and any bytes may lie in a `MaybeUninit`.
        unsafe {
            room.as_mut_ptr().write_bytes(0xff, len);
        }
        room
    });
    write(&mut rooms.collect::<Vec<&mut [MaybeUninit<T>]>>());
    for (vector, &len) in vectors.iter_mut().zip(lens) {
        // SAFETY: the capacity is at least `len`, and by the caller's promise the first `len` elements are written. Should
        // `write` panic, this is never reached, and the vectors are dropped empty.
        unsafe { vector.set_len(len) };
    }
    vectors
}

/// A slice that has values already, for code that writes new ones.
///
/// # Safety
/// Nothing but values is written: afterwards the slice is read as values again.
pub(crate) unsafe fn room_of<T: Copy>(values: &mut [T]) -> &mut [MaybeUninit<T>] {
    // SAFETY: `MaybeUninit<T>` has the layout of `T`, and the caller keeps every element a value.
    unsafe { &mut *(std::ptr::from_mut(values) as *mut [MaybeUninit<T>]) }
}

/// Writes `value` to every element, and gives the room as a slice of values.
pub(crate) fn fill<T: Copy>(room: &mut [MaybeUninit<T>], value: T) -> &mut [T] {
    room.fill(MaybeUninit::new(value));
    // SAFETY: every element has just been written, and `MaybeUninit<T>` has the layout of `T`.
    unsafe { &mut *(std::ptr::from_mut(room) as *mut [T]) }
}

/// A copy, made by all threads.
pub(crate) fn copied<T: Copy + Send + Sync>(source: &[T]) -> Vec<T> {
    const ELEMENTS_A_JOB: usize = 64 * 1024;
    let write = |target: &mut [MaybeUninit<T>]| {
        let chunks = target.par_chunks_mut(ELEMENTS_A_JOB).zip(source.par_chunks(ELEMENTS_A_JOB));
        chunks.for_each(|(target, source)| {
            target.write_copy_of_slice(source);
        });
    };
    // SAFETY: source and target have the same length, hence the same chunks, and each chunk is written whole.
    unsafe { initialised(source.len(), write) }
}

/// A vector of `len` elements that `write` changes from zero: for results so small, such as maps of a few classes, that
/// setting them to zero takes no time worth an `unsafe`.
pub(crate) fn written<T: Copy + Zero>(len: usize, write: impl FnOnce(&mut [T])) -> Vec<T> {
    let mut values = vec![T::zero(); len];
    write(&mut values);
    values
}

/// Under Miri (`cargo +nightly miri test -p mtcool-ops --lib memory`) these tests fail on any read of memory that has not
/// been written, and on any write past a vector.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_hold_what_was_written() {
        // SAFETY: the loop writes every element of both.
        let vectors = unsafe {
            initialised_all(&[3, 0, 5], |rooms| {
                for (index, room) in rooms.iter_mut().enumerate() {
                    room.iter_mut().enumerate().for_each(|(at, element)| {
                        element.write((10 * index + at) as f32);
                    });
                }
            })
        };
        assert_eq!(vectors, [vec![0.0, 1.0, 2.0], vec![], vec![20.0, 21.0, 22.0, 23.0, 24.0]]);
        let source: Vec<f64> = (0..200_000).map(f64::from).collect();
        assert!(copied(&source) == source && copied::<f64>(&[]).is_empty());
    }

    #[test]
    fn rooms_become_values_and_back() {
        // SAFETY: `fill` writes every element.
        let mut values = unsafe { initialised(4, |room| fill(room, 7.0f32)[2] += 1.0) };
        assert_eq!(values, [7.0, 7.0, 8.0, 7.0]);
        // SAFETY: a value is written.
        unsafe { room_of(&mut values)[0].write(1.0) };
        assert_eq!(values, [1.0, 7.0, 8.0, 7.0]);
    }

    /// What other modules' tests rely on: an element that is left out is not by chance what it should be.
    #[test]
    fn an_element_that_is_left_out_is_not_a_number_in_tests() {
        // SAFETY: broken on purpose; in tests `initialised_all` has written all bytes itself.
        let values = unsafe { initialised(3, |room: &mut [MaybeUninit<f32>]| room[1] = MaybeUninit::new(2.0)) };
        assert!(values[0].is_nan() && values[1] == 2.0 && values[2].is_nan());
    }

    #[test]
    fn a_panic_while_writing_leaves_no_vector() {
        // SAFETY: `initialised` does not return.
        let broken = std::panic::catch_unwind(|| unsafe {
            initialised(8, |room: &mut [MaybeUninit<f64>]| {
                room[0].write(1.0);
                panic!("halfway");
            })
        });
        assert!(broken.is_err());
    }
}
