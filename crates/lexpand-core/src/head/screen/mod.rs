//! Which positions of a text can activate a term at all? Answered in small integers, with a proof.
//!
//! Nearly all pairs of a position and a term are far from active (with splade-tiny 99.99 %, the median logit is -7), and
//! most of what distinguishes terms is the same for all positions of a text. So a text's states are taken as their mean m
//! (of a short text, a typical state, whose products are known) and what is left, d = h - m. `m . w + b` is one number a
//! term; `d . w` is bounded in a basis in which few dimensions carry most of it: `d' = d T`, `w' = w S` with `T S' = I`. Of
//! the first K dimensions the dot product is taken in 7-bit integers, the others are bounded. With q the rounded vectors, s their scales, e = first part - s q and t the rest:
//!
//! `d . w <= s_d s_w (q_d . q_w) + |e_d| |w'_K| + |s_d q_d| |e_w| + |t_d| |t_w| + slack`
//!
//! by Cauchy-Schwarz for each term of `d'_K . w'_K = (s q_d + e_d) . w'_K`. A pair whose bound plus `m . w + b` is not above
//! zero is left out; all others are computed in float32 by the tile kernel, to the same bits as without screening.
//!
//! The bound is looked at after every [`STAGE`] dimensions, for a tile of positions and a group of terms at a time, and
//! what is proved is not summed further. So likes are put together: positions of a text by falling |d'|, terms by how near
//! a typical state brings them to activity. Any basis and any order give the same result; good ones leave out more.
//!
//! The integers are so short that no sum of products leaves 16 bits (Cauchy-Schwarz again), and may wrap on the way.

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
