"""Writes tests/oracles/dks_constants.json: the constants that the package `dks` finds, an oracle for ours.

    python -m venv VENV && VENV/bin/pip install dks absl-py && VENV/bin/python tests/oracles/dks_reference.py

Two to ten minutes. The package (Apache 2.0) computes in float64 with a fixed rule that steps over kinks.
"""

import json
from importlib.metadata import version
from pathlib import Path

NAMES = "tanh softplus leaky_relu relu selu elu swish sigmoid erf bentid atan asinh square softsign gelu gelu_exact"
TABLE = Path(__file__).with_name("dks_constants.json")


def constants(method: str, layers: int, name: str) -> dict[str, float] | None:
    """What the package finds for a chain of so many layers; None where it gives up."""
    from dks.base import activation_transform as dks

    def chain(x, r):
        for _ in range(layers):
            x = r(x)
        return x

    try:
        found = dks._get_activations_params([name], method=method.upper(), subnet_max_func=chain)[name]
    except ValueError:
        return None
    return {key: float(value) for key, value in found.items()}


def main() -> None:
    """Write the table."""
    rows = [
        {"method": method, "layers": layers, "name": name, "constants": constants(method, layers, name)}
        for layers in (3, 20)
        for method in ("dks", "tat")
        for name in NAMES.split()
    ]
    versions = {name: version(name) for name in ("dks", "numpy", "scipy", "autograd")}
    head = {"command": "python tests/oracles/dks_reference.py", "versions": versions}
    lines = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    TABLE.write_text(json.dumps(head)[:-1] + f', "rows": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
