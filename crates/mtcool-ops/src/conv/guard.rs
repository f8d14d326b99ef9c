//! For tests: slices that no kernel can overrun without being noticed.

use std::ops::Deref;

/// A copy of a slice between two pages without access rights, ending exactly at the second: a load one element beyond its
/// end, or a page before its beginning, ends the test with a fault. On other systems than Linux, and under Miri, which
/// checks every access itself, it is a plain copy.
pub(super) struct Guarded<T> {
    #[cfg(all(target_os = "linux", not(miri)))]
    mapping: (*mut libc::c_void, usize),
    #[cfg(all(target_os = "linux", not(miri)))]
    first: *const T,
    #[cfg(all(target_os = "linux", not(miri)))]
    len: usize,
    #[cfg(any(miri, not(target_os = "linux")))]
    copy: Vec<T>,
}

#[cfg(all(target_os = "linux", not(miri)))]
impl<T: Copy> Guarded<T> {
    pub(super) fn new(values: &[T]) -> Self {
        let bytes = size_of_val(values);
        // SAFETY: the mapping is private and new; it has room for `bytes` between its first and last page, which `mprotect`
        // closes; elements are plain numbers and their size divides a page.
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
            let inner = bytes.next_multiple_of(page);
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let base = libc::mmap(std::ptr::null_mut(), inner + 2 * page, access, kind, -1, 0);
            assert!(base != libc::MAP_FAILED, "no memory for a guarded slice");
            let first = base.cast::<u8>().add(page + inner - bytes).cast::<T>();
            first.copy_from_nonoverlapping(values.as_ptr(), values.len());
            for guard in [base, base.cast::<u8>().add(page + inner).cast()] {
                assert_eq!(libc::mprotect(guard, page, libc::PROT_NONE), 0, "no guard page");
            }
            Self { mapping: (base, inner + 2 * page), first, len: values.len() }
        }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
impl<T> Deref for Guarded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: `new` has written `len` elements there.
        unsafe { std::slice::from_raw_parts(self.first, self.len) }
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own.
        unsafe { libc::munmap(self.mapping.0, self.mapping.1) };
    }
}

// SAFETY: nothing writes after `new`.
#[cfg(all(target_os = "linux", not(miri)))]
unsafe impl<T: Sync> Sync for Guarded<T> {}

#[cfg(any(miri, not(target_os = "linux")))]
impl<T: Copy> Guarded<T> {
    pub(super) fn new(values: &[T]) -> Self {
        Self { copy: values.to_vec() }
    }
}

#[cfg(any(miri, not(target_os = "linux")))]
impl<T> Deref for Guarded<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.copy
    }
}
