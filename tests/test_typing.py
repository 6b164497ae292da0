"""The public API as a user's type checker sees it: basedpyright in standard mode, on a file outside the package."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

import jaxact

TYPICAL = """
import jax
import jax.numpy as jnp
import numpy as np

import jaxact
from jaxact import activations, config, data, models, probes, records, statistics, theory, training
from jaxact.config import Config
from jaxact.theory import prediction
from jaxact.training.ensemble import History, train_seeds

cube = activations.register("cube", lambda x: x**3)
slope: jax.Array = cube(jnp.ones(3), key=None)
gain: float = activations.get("elu:alpha=0.5").gain
one = Config(activations=("relu", "sigmoid", "relu"), dataset="digits", widths=(20, 20, 10))
digits = data.load("digits", limit_train=100)
history: History = train_seeds(one, digits, range(3), probe=True)
final: np.ndarray = history.test_loss[:, -1]
model = models.MLP((20, 10), ("relu",))
variables = model.init(jax.random.key(0), jnp.asarray(digits.test_images[0]), jnp.zeros(2, int))
network = probes.mlp_network(model, variables, jnp.zeros(2, int))
matrix: jax.Array = probes.jacobian(lambda x: network(x, {})[0], jnp.asarray(digits.test_images[0]))
dead: np.ndarray = prediction.predict(one, 64, prediction.STATISTICS["digits"], 100).dead_outputs
found = jaxact.diagnose(lambda v, x: model.apply(v, x, jnp.zeros(2, int))[0], variables, digits.test_images[:64])
print(found, [verdict.remedy for verdict in found.verdicts], config.parse_seeds("3"), training.INIT, theory.Init(1, 0))
print(records.read_all, statistics)
"""
WRONG = "from jaxact.config import Config\n\nConfig(activations=3)\n"


def test_the_package_says_that_it_is_typed():
    assert (Path(jaxact.__file__).parent / "py.typed").is_file()


@pytest.mark.slow
def test_typical_uses_pass_and_a_wrong_one_does_not(tmp_path):
    if importlib.util.find_spec("basedpyright") is None:
        pytest.skip("basedpyright comes with the extra dev")
    (tmp_path / "typical.py").write_text(TYPICAL, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    where = {"typeCheckingMode": "standard", "extraPaths": [str(Path(jaxact.__file__).parent.parent)]}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(where), encoding="utf-8")
    command = [sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable]
    done = subprocess.run([*command, "--project", str(tmp_path)], capture_output=True, text=True, check=False)
    told = json.loads(done.stdout)["generalDiagnostics"]
    errors = [(Path(one["file"]).name, one["message"]) for one in told if one["severity"] == "error"]
    assert [name for name, _ in errors] == ["wrong.py"], errors
