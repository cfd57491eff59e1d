"""Every notebook in examples/ runs from top to bottom and is committed without outputs."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
nbformat = pytest.importorskip("nbformat")
pytestmark = pytest.mark.filterwarnings("ignore")  # warnings of Jupyter, in several versions


def test_the_quickstart_is_among_the_notebooks() -> None:
    assert "quickstart.ipynb" in [path.name for path in NOTEBOOKS]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for cell in notebook.cells:
        assert not cell.metadata
        if cell.cell_type == "code":
            assert not cell.outputs and cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cell may raise. The last cell must print ``as expected``."""
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    # Ignore the user's Jupyter settings and kernels.
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    notebook = nbformat.read(path, as_version=4)
    work = tmp_path / "work"
    work.mkdir()
    client = nbclient.NotebookClient(
        notebook, timeout=None, resources={"metadata": {"path": str(work)}}
    )
    client.execute(env=dict(os.environ))
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "as expected" in "".join(output.get("text", "") for output in code[-1].outputs)
    shown = [output.data for cell in code for output in cell.outputs if "data" in output]
    assert any("<mark" in data.get("text/html", "") for data in shown), (
        "an explanation must mark its words"
    )
