"""A real notebook: its kernel trains, shows the progress by itself, and shows what came of it."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.command_line import TINY

pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

CELLS = (
    "import json, os, lander\nresult = lander.run(json.loads(os.environ['EXPERIMENT']), home=os.environ['HOME_OF_TEST'])",
    "result",
    "result.findings",
    "result.arms['fast']",
    "result.figures()['learning-curves']",
    "result.to_dataframe()",
    "result = lander.run(json.loads(os.environ['EXPERIMENT']), home=os.environ['HOME_OF_TEST'], progress=False)",
)
_EXECUTE = """
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in sys.argv[2:]])
NotebookClient(notebook, timeout=90).execute()
nbformat.write(notebook, sys.argv[1])
"""


def test_a_notebook_shows_progress_and_results_by_itself(shared_home, tmp_path):
    experiment = TINY | {"experiment_id": "in-a-notebook", "hypothesis": "<script>more</script> is better"}
    environment = os.environ | {"EXPERIMENT": json.dumps(experiment), "HOME_OF_TEST": str(shared_home.home)}
    file = tmp_path / "notebook.ipynb"
    subprocess.run(
        [sys.executable, "-c", _EXECUTE, file, *CELLS], env=environment, check=True, timeout=110, capture_output=True
    )
    ran, *shown, quiet = [cell["outputs"] for cell in json.loads(file.read_text())["cells"]]
    (progress,) = ran
    assert progress["output_type"] == "display_data"
    html = "".join(progress["data"]["text/html"])
    assert '<progress max="100" value="100.0"' in html
    assert "in-a-notebook: completed" in html
    assert "in-a-notebook: completed" in "".join(progress["data"]["text/plain"])
    for (output,), words in zip(
        shown, ("fast returned", "fast returned", "mean return", "<img src=", "mean_return"), strict=True
    ):
        assert output["output_type"] == "execute_result"
        assert words in "".join(output["data"]["text/html"])
    everything = "".join("".join(output["data"]["text/html"]) for output in (progress, *(each[0] for each in shown)))
    assert "&lt;script&gt;more&lt;/script&gt; is better" in everything
    assert "<script>" not in everything
    assert quiet == []
