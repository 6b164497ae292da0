"""Who may import whom, read from the sources, and what an import really loads, seen in a fresh interpreter."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import jaxact

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*(ROOT / "jaxact").rglob("*.py"), *(ROOT / "experiments").rglob("*.py")])

ORDER = (
    *("interrupts", "console", "files", "metrics", "activations", "layer_names", "data", "architectures", "config"),
    *("numerics", "records", "statistics", "report", "models", "probes", "training", "theory", "diagnosis"),
    *("cures", "museum", "execution", "study", "classics", "benchmark", "commands", "__main__"),
)
"""The library's folders and files; each may import those before it, never one after it."""

LIGHT = {"activations", "config", "data", "records", "statistics", "theory", "console", "numerics", "study"}
LIGHT |= {"commands", "report"}
"""What reads options and records, and every plan: neither JAX nor plots at the head of a module."""
LATE = {ROOT / "jaxact" / "activations" / "functions.py"}
LATE |= {ROOT / "jaxact" / "study" / "jacobian" / f"{name}.py" for name in ("measure", "tables")}
"""What is written with JAX and loaded late: when an activation is first called, when a command starts to measure."""
JAX = {"jax", "jaxlib", "flax", "optax"}
SLOW = JAX | {"tensorflow", "tensorflow_datasets", "matplotlib", "plotly", "sklearn"}


def imports(text: str, *, whole: bool = True) -> Iterator[str]:
    """Every imported name, `package.module` for `from package import module`; `whole`: those inside functions too."""
    body = ast.walk(ast.parse(text)) if whole else top_level(ast.parse(text))
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top_level(node: ast.AST) -> Iterator[ast.AST]:
    """What runs when the module is imported: not the bodies of functions, nor what only type checkers read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from top_level(child)


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def unit_of(path: Path) -> str:
    return path.relative_to(ROOT / "jaxact").with_suffix("").parts[0]


LIBRARY = [path for path in SOURCES if path.is_relative_to(ROOT / "jaxact") and unit_of(path) != "__init__"]


def files_importing(package: str) -> set[str]:
    return {
        name_of(path)
        for path in SOURCES
        if any(name.split(".")[0] == package for name in imports(path.read_text(encoding="utf-8")))
    }


def test_the_reader_of_imports_sees_them_all():
    text = "import a.b\nfrom c import d\nclass K:\n    import e\ndef f():\n    if 1:\n        from g.h import i\n"
    text += "if TYPE_CHECKING:\n    import j\n"
    assert sorted(imports(text)) == ["a.b", "c.d", "e", "g.h.i", "j"]
    assert sorted(imports(text, whole=False)) == ["a.b", "c.d", "e"]


def units_imported_by(path: Path) -> set[str]:
    names = [name.split(".") for name in imports(path.read_text(encoding="utf-8"))]
    units = {parts[1] for parts in names if parts[0] == "jaxact" and len(parts) > 1}
    return units & set(ORDER) - {unit_of(path)}


def test_every_folder_has_its_place():
    assert sorted(ORDER) == sorted({unit_of(path) for path in LIBRARY})


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_imports_go_one_way(path):
    assert units_imported_by(path) <= set(ORDER[: ORDER.index(unit_of(path))])


def test_there_is_no_circle_of_modules():
    paths = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES}
    graph = {
        module: {target for name in imports(path.read_text(encoding="utf-8")) if (target := _module(name, paths))}
        for module, path in paths.items()
    }
    graph = {module: targets - {module} for module, targets in graph.items()}
    while graph:
        ready = {module for module, targets in graph.items() if not targets & set(graph)}
        assert ready, f"a circle among {sorted(graph)}"
        graph = {module: targets for module, targets in graph.items() if module not in ready}


def _module(name: str, known: dict[str, Path]) -> str | None:
    """The module that an import names: itself, or the one that holds the name."""
    return name if name in known else name.rpartition(".")[0] if name.rpartition(".")[0] in known else None


def test_the_library_never_imports_the_experiments():
    assert not any(user.startswith("jaxact/") for user in files_importing("experiments"))
    assert any(user.startswith("experiments/") for user in files_importing("jaxact"))


def test_only_the_models_know_flax():
    """And `numerics`, which holds a setting of Flax's."""
    assert files_importing("flax") == {"jaxact/models/layers.py", "jaxact/models/networks.py", "jaxact/numerics.py"}


def test_only_the_tfds_modules_know_tfds_and_nothing_knows_tensorflow():
    users = files_importing("tensorflow_datasets") | files_importing("array_record")
    assert users and all(user.startswith("jaxact/data/tfds") for user in users)
    assert files_importing("tensorflow") == set()


def test_one_module_of_the_library_plots_but_for_the_study():
    users = files_importing("matplotlib") | files_importing("plotly")
    assert {user for user in users if not user.startswith("jaxact/study/")} == {"jaxact/report/figures.py"}


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_slow_packages_are_imported_where_they_are_used(path):
    """Not at the head of a module, but for JAX and its kin in the library's modules that are made of it."""
    text = path.read_text(encoding="utf-8")
    slow = {name.split(".")[0] for name in imports(text, whole=False)} & SLOW
    light = not path.is_relative_to(ROOT / "jaxact") or unit_of(path) in LIGHT or path.name == "plan.py"
    slow_ok = set() if light and path not in LATE else JAX
    assert slow <= slow_ok


LAZY = SLOW | {"PIL", "array_record", "jinja2", "markupsafe", "platformdirs", "requests", "rich", "scipy"}
LAZY |= {"shtab", "tensorboardX", "threadpoolctl"}
"""Optional, or slow and needed by few calls."""
LATER = {"jaxact.training", "jaxact.probes", "jaxact.execution"}
"""Parts of the library that load JAX, or are needed at the end."""


@pytest.mark.parametrize("path", LIBRARY, ids=name_of)
def test_imports_inside_functions_have_a_reason(path):
    """The heads of commands apart, which load what they need when they know that they need it."""
    text = path.read_text(encoding="utf-8")
    inner = set(imports(text)) - set(imports(text, whole=False)) - set(annotations_of(text))
    if unit_of(path) == "commands":
        return
    assert {
        name for name in inner if name.split(".")[0] not in LAZY and ".".join(name.split(".")[:2]) not in LATER
    } == set()


def annotations_of(text: str) -> Iterator[str]:
    """What only type checkers import."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imports("\n".join(ast.unparse(part) for part in node.body))


def loaded_by(code: str) -> set[str]:
    """Top-level packages in a fresh interpreter after `code`."""
    listing = "\nimport sys\nprint(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code + listing], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_jaxact_loads_nothing_slow():
    assert "jaxact" in loaded_by("import jaxact")
    assert not loaded_by("import jaxact") & {*SLOW, "scipy", "numpy"}


def test_what_input_checks_and_tables_need_loads_without_jax():
    code = "from jaxact import activations, config, data, records, statistics, theory\n"
    code += "from jaxact.commands import grid\nfrom jaxact.execution import progress, runtime\n"
    loaded = loaded_by(code + "from jaxact.study import comparison, outcome, plan, presets, published")
    assert "scipy" in loaded and not loaded & SLOW


def test_all_modules_together_load_neither_tensorflow_nor_plots():
    loaded = loaded_by("import jaxact\nfor name in jaxact.__all__: getattr(jaxact, name)")
    assert {"jax", "flax", "optax"} <= loaded
    assert not loaded & {"tensorflow", "tensorflow_datasets", "matplotlib", "sklearn"}


def test_every_module_is_an_attribute_and_nothing_else_is():
    assert set(jaxact.__all__) == set(ORDER) - {"__main__"} <= set(dir(jaxact))
    assert jaxact.meanfield is jaxact.theory and jaxact.catalogue.ENTRIES  # names of version 0.1
    with pytest.raises(AttributeError, match="no_such_module"):
        jaxact.no_such_module  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
