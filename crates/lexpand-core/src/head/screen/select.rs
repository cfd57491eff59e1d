//! Chooses the screener for this processor.

use super::pairing::Screener;
#[cfg(target_arch = "x86_64")]
use super::x86;
#[cfg(target_arch = "aarch64")]
use super::{neon, rounding::Layout};

/// The fastest screener; None if the float32 kernel alone is as fast.
pub(super) fn screener() -> Option<Screener> {
    #[cfg(target_arch = "x86_64")]
    return x86::screener();
    #[cfg(target_arch = "aarch64")]
    return Some(Screener { screen: neon::screen, layout: Layout::Pairs });
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    None
}
