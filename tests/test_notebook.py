"""The notebook that comes with the project, run as Jupyter runs it."""

from __future__ import annotations

import json
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from PIL import Image

NOTEBOOK = Path(__file__).parents[1] / "examples" / "train_and_show.ipynb"


@pytest.fixture
def outputs(tmp_path):
    """What each cell of code put out, by kind: text, values, pictures."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    place = tmp_path / "notebook"
    place.mkdir()
    # What the notebook trains goes with the other files of the tests, and its benchmarks draw few.
    tests = str(Path(__file__).parent)
    first = f"""import sys, tempfile
tempfile.tempdir = {str(place)!r}
sys.path.append({tests!r})
from few_draws import draw_few
draw_few()"""
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
    where = {"metadata": {"path": str(place)}}
    NotebookClient(notebook, timeout=None, kernel_name="python3", resources=where).execute()
    return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"][1:]


def text(cell):
    return "".join(output.text for output in cell if output.output_type == "stream")


def test_it_runs(outputs):
    """One test, since it trains and benchmarks."""
    shows_how_far_training_is(outputs)
    shows_the_figure(outputs)
    reconstructs_a_gate(outputs)


def shows_how_far_training_is(outputs):
    said = text(outputs[0]).splitlines()
    assert said[0].startswith("resolution, seed 42: epochs 0 to 10, in ")
    assert any(line.startswith("epoch  10/10  phase 4") for line in said)
    assert "epoch 10: benchmarking …" in said
    assert all(output.output_type == "stream" and output.name == "stdout" for output in outputs[0])


def shows_the_figure(outputs):
    assert "resolution_evolution.png" in outputs[1][-1].data["text/plain"]
    (shown,) = (output.data["image/png"] for output in outputs[2] if "image/png" in output.get("data", {}))
    with Image.open(BytesIO(b64decode(shown))) as picture:
        assert picture.width > 600
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 100


def reconstructs_a_gate(outputs):
    assert text(outputs[3]) == "[[-1, -1, -1], [-1, 0, 0], [-1, 0, 1]] exact\n"


def test_it_is_kept_without_what_it_put_out():
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells if "outputs" in cell)
