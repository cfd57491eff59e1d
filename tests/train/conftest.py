"""Tests of training need torch: they are skipped without it."""

import pytest

pytest.importorskip("torch")
