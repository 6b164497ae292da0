"""The notebook: as committed it is executed, small and free of this machine; executed again it has no error."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "why_relu_after_sigmoid.ipynb"
PLACE = re.compile(r"(?<![\w.:/])/(?:home|root|work|tmp|usr|opt|Users|var|mnt)/|[A-Z]:\\\\")


@pytest.fixture
def notebook() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, 4)


def code_of(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_committed_executed_from_top_to_bottom_without_an_error(notebook):
    nbformat.validate(notebook)
    cells = code_of(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)) and len(cells) >= 10
    kinds = [output.output_type for cell in cells for output in cell.outputs]
    assert "error" not in kinds and all(cell.outputs for cell in cells)
    assert not [output for cell in cells for output in cell.outputs if output.get("name") == "stderr"]


def test_it_is_small_and_says_nothing_of_the_machine_that_ran_it(notebook):
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 500_000
    assert PLACE.search("see /home/me/x") and not PLACE.search("a/home/b")
    assert not PLACE.search(re.sub(r'"image/png": "[^"]*"', "", text))
    assert "timestamp" not in text and "execution" not in {key for cell in notebook.cells for key in cell.metadata}


def test_it_uses_the_public_api_alone(notebook):
    """No module of the experiments, no name with an underscore, and every jaxact module by its public name."""
    import jaxact

    modules = set()
    for cell in code_of(notebook):
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, ast.ImportFrom):
                modules.add(node.module)
            elif isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_")
    assert not any(name.startswith("experiments") for name in modules)
    ours = {name.split(".")[1] for name in modules if name.startswith("jaxact.")}
    assert ours and ours <= {*jaxact.__all__, "prediction"}


def test_its_prose_makes_no_claim_in_numbers_that_a_run_could_contradict(notebook):
    """Percentages and accuracies are printed by cells; the prose says what to look at, and what `off` is to mean."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    prose = prose.replace("negative for at least 99 % of the test images", "")
    assert not re.search(r"\d\s*(%|points)|\d\.\d", prose)


@pytest.mark.slow
def test_it_runs(notebook, tmp_path):
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in code_of(notebook) for output in cell.outputs]
    assert "error" not in {output.output_type for output in outputs}
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 4
