//! Safe pruning of the head ("screening"): which positions of a text can activate a term at all?
//! Small integers answer, with a proof.
//!
//! Nearly all pairs of a position and a term are far from active: 99.99 % with splade-tiny, where
//! the median logit is -7. Most of what distinguishes terms is the same for all positions of a
//! text. So a state h is split into the text's mean m and the rest d = h - m. For a short text, a
//! typical state with known products replaces the mean.
//!
//! `m . w + b` is one number per term. `d . w` is bounded in a basis in which few dimensions carry
//! most of it: `d' = d T`, `w' = w S` with `T S' = I`. The dot product over the first K dimensions
//! is taken in 7-bit integers, the others are bounded. With q the rounded vectors, s their scales,
//! e = first part - s q and t the rest:
//!
//! `d . w <= s_d s_w (q_d . q_w) + |e_d| |w'_K| + |s_d q_d| |e_w| + |t_d| |t_w| + slack`
//!
//! by Cauchy-Schwarz for each term of `d'_K . w'_K = (s q_d + e_d) . w'_K`. If the bound plus
//! `m . w + b` is not above zero, the pair is skipped. The tile kernel computes all others in
//! float32, to the same bits as without screening.
//!
//! The bound is tested after every [`STAGE`](rounding::STAGE) dimensions, for a tile of positions
//! and a group of terms at a time, and what is proved inactive is not summed further. So similar
//! ones are put together: positions of a text by descending |d'|, terms by how near a typical state
//! brings them to activity. Any basis and any order give the same result; good ones skip more.
//!
//! The integers are so short that no sum of products exceeds 16 bits (Cauchy-Schwarz again).
//! Partial sums may wrap.

mod build;
mod group;
#[cfg(target_arch = "aarch64")]
mod neon;
mod pairing;
mod rounding;
mod select;
#[cfg(test)]
mod tests;
mod text;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use build::{Screen, order};
pub(super) use group::GroupDots;
pub(super) use pairing::Passed;
pub(super) use rounding::PANELS;
pub(super) use text::ScreenedText;
