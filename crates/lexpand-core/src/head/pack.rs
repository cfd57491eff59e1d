//! The decoder's weights in the order in which the kernel reads them.

/// Terms in a panel: two AVX2 registers, one AVX-512 register, four NEON registers of float32.
pub(super) const PANEL: usize = 16;

/// Panels of [`PANEL`] terms, each stored `[width, PANEL]`; the last one is filled with terms that never fire.
#[derive(Debug)]
pub(super) struct Panels {
    values: Vec<f32>,
    bias: Vec<f32>,
    terms: usize,
    width: usize,
}

impl Panels {
    /// Packs `weights` `[bias.len(), width]`.
    pub(super) fn pack(weights: &[f32], bias: &[f32], width: usize) -> Self {
        let terms = bias.len();
        let panels = terms.div_ceil(PANEL);
        let mut values = vec![0.0; panels * PANEL * width];
        for (term, row) in weights.chunks_exact(width).enumerate() {
            let start = (term / PANEL) * PANEL * width + term % PANEL;
            for (i, &value) in row.iter().enumerate() {
                values[start + i * PANEL] = value;
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(panels * PANEL, f32::NEG_INFINITY);
        Panels { values, bias, terms, width }
    }

    pub(super) fn terms(&self) -> usize {
        self.terms
    }

    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// Number of panels.
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
