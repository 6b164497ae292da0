"""How activation functions interact across the layers of a network: why a combination trains or dies.

Submodules load on first use, so that `import jaxact` loads neither JAX nor anything else that is slow.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"
_MODULES = frozenset(
    {"activations", "comparison", "config", "data", "functions", "metrics", "ensemble", "models", "published"}
    | {"claims", "diagnosis", "health", "meanfield", "optimizers", "parallel", "probes", "propagation", "records"}
    | {"statistics", "training", "architectures", "convolution", "lenet_probes", "lowrank"}
)
_FUNCTIONS = {"diagnose": "diagnosis", "tailor": "tailoring"}
__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"jaxact.{name}")
    if name in _FUNCTIONS:
        return getattr(import_module(f"jaxact.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'jaxact' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_FUNCTIONS})
