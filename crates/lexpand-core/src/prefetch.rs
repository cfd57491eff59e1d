//! Asking for memory ahead.

/// Asks for the memory of a value that will soon be read; nothing where the processor has no such instruction.
#[cfg(target_arch = "x86_64")]
pub fn prefetch<T>(place: &T) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: a prefetch reads nothing that the program can see, and SSE is part of x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(place).cast()) }
}

/// Asks for the memory of a value that will soon be read; nothing where the processor has no such instruction.
#[cfg(not(target_arch = "x86_64"))]
pub fn prefetch<T>(_: &T) {}
