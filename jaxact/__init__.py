"""How activation functions interact across the layers of a network: why a combination trains or dies.

Submodules load on first use, so that `import jaxact` loads neither JAX nor anything else that is slow.
"""

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jaxact.cures import repair as repair
    from jaxact.diagnosis import diagnose as diagnose
    from jaxact.diagnosis.watch import watch as watch
    from jaxact.theory.tailoring import tailor as tailor

from jaxact import interrupts

__version__ = "0.2.0"
_MODULES = frozenset(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
_FUNCTIONS = {
    "diagnose": "diagnosis", "repair": "cures", "tailor": "theory.tailoring",
    "watch": "diagnosis.watch",
}  # fmt: skip
_MOVED = {
    "catalogue": "activations.catalogue", "functions": "activations.functions", "convolution": "models.convolution",
    "optimizers": "training.optimizers", "lowrank": "training.lowrank", "ensemble": "training.ensemble",
    "parallel": "training.parallel", "health": "probes", "propagation": "probes", "lenet_probes": "probes",
    "meanfield": "theory", "prediction": "theory.prediction", "scores": "statistics.scores",
    "calibration": "statistics.calibration", "published": "study.published", "claims": "study.claims",
    "findings": "study.findings", "comparison": "study.comparison", "depth": "classics.depth.library",
    "planar": "classics.planar", "heads": "classics.heads.outputs",
}  # fmt: skip
"""Where the modules of version 0.1 are now; `from jaxact import meanfield` goes on working."""
__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]
interrupts.one_line_while_loading()


def __getattr__(name: str) -> Any:
    if name in _MODULES or name in _MOVED:
        return import_module(f"jaxact.{_MOVED.get(name, name)}")
    if name in _FUNCTIONS:
        return getattr(import_module(f"jaxact.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'jaxact' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_FUNCTIONS})
