"""A tailored activation on the command line: its constants are found by JAX, which must find its settings made."""

import os
import subprocess
import sys

import pytest

AT_IMPORT = """
import os, sys
from importlib import import_module

class Spy:
    def find_spec(self, name, path=None, target=None):
        if name == "jax":
            print(*(os.environ.get(v) for v in ("JAX_COMPILATION_CACHE_DIR", "JAX_NUM_CPU_DEVICES", "XLA_FLAGS")))
            sys.stdout.flush()
            os._exit(7)

sys.meta_path.insert(0, Spy())
import_module("jaxact.commands." + sys.argv[1]).main(sys.argv[2:])
"""


@pytest.mark.parametrize(
    ("line", "devices"),
    [
        ("grid --dry-run --dataset digits --devices 3 --configs dks(sigmoid)-relu-relu", "3"),
        ("predict dks(sigmoid)-relu-relu", "1"),
        ("depth --activations alive(relu)", str(len(os.sched_getaffinity(0)) if sys.platform == "linux" else "")),
        ("planar --activations tat(tanh)", str(len(os.sched_getaffinity(0)) if sys.platform == "linux" else "")),
    ],
)
def test_settings_are_made_before_a_name_starts_jax(tmp_path, line, devices):
    environment = {name: v for name, v in os.environ.items() if not name.startswith(("JAX", "XLA"))}
    environment |= {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path), "PYTHONPATH": os.getcwd()}
    done = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, *line.split()], env=environment, capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 7, done.stderr
    cache, counted, flags = done.stdout.split()[-3:]
    assert cache.startswith(str(tmp_path)) and counted == (devices or counted)
    assert flags == "--xla_cpu_multi_thread_eigen=false"
