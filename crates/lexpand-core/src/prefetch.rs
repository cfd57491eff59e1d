//! Memory prefetching.

/// Fetches the memory of a value that will soon be read. Does nothing on processors without such an
/// instruction.
#[cfg(target_arch = "x86_64")]
pub fn prefetch<T>(place: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch has no effect that the program can observe, and SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) }
}

/// Fetches the memory of a value that will soon be read. Does nothing on processors without such an
/// instruction.
#[cfg(not(target_arch = "x86_64"))]
pub fn prefetch<T>(_: &T) {}
