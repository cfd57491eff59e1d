"""Token ids of a student with added terms, as a teacher without them reads the same text."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Rewording:
    """Replaces the new terms of a student by the pieces that its teacher has for them.

    Args:
        student: the tokenizer of the student.
        teacher: that of the teacher.
        longest: the tokens of a text that the teacher reads at most. The others are left out, but
            for the last one, which ends the text.

    Raises:
        ValueError: the student's vocabulary is not that of the teacher with terms added at its end.
    """

    def __init__(self, student: Any, teacher: Any, longest: int) -> None:  # noqa: ANN401
        own, known = student.get_vocab(), teacher.get_vocab()
        new = sorted(own.keys() - known.keys(), key=own.__getitem__)
        if any(own.get(token) != id for token, id in known.items()):
            raise ValueError("the ids of the student must be those of the teacher, and more")
        if new and min(own[token] for token in new) < len(known):
            raise ValueError("new terms must have ids after those of the teacher")
        pieces = [[id] for id in range(len(known))]
        if new:
            pieces += teacher(new, add_special_tokens=False)["input_ids"]
        self.changes = bool(new)
        self._known, self._longest = len(known), longest
        counts = torch.tensor([len(each) for each in pieces])
        flat = torch.tensor([id for each in pieces for id in each])
        self._tables = (counts, counts.cumsum(0) - counts, flat)

    def __call__(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return token ids and masks [texts, longest]; the same if no text has a new term."""
        ids, mask = features["input_ids"], features["attention_mask"].bool()
        if not self.changes or not ids.numel() or int(ids.max()) < self._known:
            return features
        device, width = ids.device, ids.shape[1]
        counts, starts, pieces = self._tables = tuple(each.to(device) for each in self._tables)
        numbers = counts[ids] * mask
        lengths = numbers.sum(dim=1)
        # Each token of the result: its row, its place in the row, and its piece.
        flat = numbers[mask]
        row = torch.arange(len(ids), device=device)[:, None].expand(-1, width)[mask]
        row = row.repeat_interleave(flat)
        place = torch.arange(len(row), device=device) - (lengths.cumsum(0) - lengths)[row]
        within = torch.arange(len(row), device=device) - (flat.cumsum(0) - flat).repeat_interleave(
            flat
        )
        found = pieces[starts[ids[mask]].repeat_interleave(flat) + within]
        longest = min(int(lengths.max()), self._longest)
        kept = place < longest
        changed = ids.new_zeros(len(ids), longest)
        changed[row[kept], place[kept]] = found[kept].to(ids.dtype)
        ends = (place == lengths[row] - 1) & ~kept
        changed[row[ends], -1] = found[ends].to(ids.dtype)
        read = torch.arange(longest, device=device) < lengths[:, None]
        result = {"input_ids": changed, "attention_mask": read.to(features["attention_mask"].dtype)}
        if "token_type_ids" in features:
            result["token_type_ids"] = torch.zeros_like(changed)
        return result
