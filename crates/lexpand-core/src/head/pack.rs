//! The decoder's weights in the order in which the kernel reads them.

/// Terms in a panel: two AVX2 registers, one AVX-512 register, or four NEON registers of float32.
pub(super) const PANEL: usize = 16;

/// Panels of [`PANEL`] terms, each stored `[width, PANEL]`. The last one is padded with terms that
/// are never active.
#[derive(Debug)]
pub(super) struct Panels {
    values: Vec<f32>,
    bias: Vec<f32>,
    /// The term at each place.
    terms: Vec<u32>,
    width: usize,
}

impl Panels {
    /// Packs `weights` `[bias.len(), width]`, terms in ascending order.
    pub(super) fn pack(weights: &[f32], bias: &[f32], width: usize) -> Self {
        let terms = (0..bias.len() as u32).collect();
        Self::place(terms, width, |term| {
            (weights[term * width..].iter().copied().take(width), bias[term])
        })
    }

    /// Reorders the terms: `places` is a permutation of the places of these panels.
    pub(super) fn reordered(&self, places: &[u32]) -> Self {
        let mut moved =
            Self::place(places.to_vec(), self.width, |place| (self.row(place), self.bias[place]));
        moved.terms.iter_mut().for_each(|place| *place = self.terms[*place as usize]);
        moved
    }

    fn place<R: Iterator<Item = f32>>(
        terms: Vec<u32>,
        width: usize,
        row: impl Fn(usize) -> (R, f32),
    ) -> Self {
        let filled = terms.len().next_multiple_of(PANEL);
        let mut packed = Panels {
            values: vec![0.0; filled * width],
            bias: vec![f32::NEG_INFINITY; filled],
            terms,
            width,
        };
        for (place, &term) in packed.terms.iter().enumerate() {
            let (values, bias) = row(term as usize);
            let start = (place / PANEL) * PANEL * width + place % PANEL;
            for (i, value) in values.enumerate() {
                packed.values[start + i * PANEL] = value;
            }
            packed.bias[place] = bias;
        }
        packed
    }

    /// The weights of the term at a place, `[width]`.
    pub(super) fn row(&self, place: usize) -> impl Iterator<Item = f32> {
        let start = (place / PANEL) * PANEL * self.width + place % PANEL;
        self.values[start..].iter().copied().step_by(PANEL).take(self.width)
    }

    /// The bias of the term at a place.
    pub(super) fn bias(&self, place: usize) -> f32 {
        self.bias[place]
    }

    /// The term at each place.
    pub(super) fn terms(&self) -> &[u32] {
        &self.terms
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The number of panels.
    pub(super) fn len(&self) -> usize {
        self.bias.len() / PANEL
    }

    /// The weights `[width, PANEL]` and biases of one panel.
    pub(super) fn panel(&self, i: usize) -> (&[f32], &[f32; PANEL]) {
        let size = PANEL * self.width;
        let bias = self.bias[i * PANEL..].first_chunk().expect("bias is filled up to whole panels");
        (&self.values[i * size..(i + 1) * size], bias)
    }
}
