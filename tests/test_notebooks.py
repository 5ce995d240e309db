"""Notebooks run from top to bottom, more than once, show what they draw, and are kept without outputs."""

from pathlib import Path

import nbclient
import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
WRITES = ("build_corpus(", ".write(", "write_table(")
DRAWS = ("me.plots.", ".plot(", "densities.draw(", "plt.figure(", "plt.subplots(")


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == [
        "01_elements",
        "02_motifs",
        "03_transformer",
        "04_properties",
        "05_density",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code" and any(word in cell.source for word in DRAWS):
            assert any("image/png" in output.get("data", {}) for output in cell.outputs), cell.source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_second_run_replaces_what_the_first_wrote(path):
    for cell in nbformat.read(path, as_version=4).cells:
        assert cell.source.count("overwrite=True") == sum(map(cell.source.count, WRITES))
