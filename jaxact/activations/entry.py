"""What one activation is: its function and the facts about it. Loads JAX only when a function is first called."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from jaxact.activations.pointwise import NumpyFunction, derivative, gaussian_mean, in_float64

if TYPE_CHECKING:
    import jax

inf = math.inf
NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Parameter:
    """One parameter of an activation.

    Args:
        name: The keyword under which the function takes it.
        value: Its value; the start value where it is learnable.
        lower: Smallest value accepted (the limits keep every entry finite in float32).
        upper: Largest value accepted.
        learnable: Whether training changes it.
    """

    name: str
    value: float
    lower: float = -1e3
    upper: float = 1e3
    learnable: bool = False

    def __post_init__(self):
        if not self.lower <= self.value <= self.upper:  # false for NaN as well
            raise ValueError(
                f"parameter {self.name}={self.value:g} is outside [{self.lower:g}, {self.upper:g}]: choose one inside"
            )


@lru_cache
def resolve(target: str | Callable[..., Any]) -> Callable[..., Any]:
    """The function behind a target, which is that function or `package.module:function` (imported on first use)."""
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)


@dataclass(frozen=True)
class Activation:
    """An activation φ and the facts about it; calling it evaluates φ.

    All facts hold for `parameters` as they stand: `get("elu:alpha=0.5").range` is (-0.5, inf). For entries with random
    parameters they describe test mode. A number the entry does not state is None; `get` measures it for a user's own.

    Args:
        name: Standard name.
        target: The function, or `package.module:function`, called as `fn(x, **parameters)`.
        formula: Plain text.
        latex: LaTeX, without dollar signs.
        range: Infimum and supremum of φ (of each output, for a vector function).
        source: First use in networks: authors, year, title.
        parameters: In the order of `theta` (those that are learnable) and of `spec`.
        derivative_at_zero: φ'(0) as computed, also where 0 is a kink.
        lipschitz: sup |φ'| where φ is differentiable (the Lipschitz constant if φ is continuous); for vector functions
            the sup of the Jacobian's spectral norm, None where it depends on the length.
        kinks: Points where φ, φ' or φ'' jumps: a quadrature must be split there.
        can_die: Whether φ' is exactly 0 on an interval, so that a unit whose inputs all lie there learns nothing.
        saturates: The sides on which φ' tends to 0: "no", "left", "right" or "both".
        initializer: Recommended initialiser of the weights that feed it, by its name in `jax.nn.initializers`.
        notes: Where libraries differ, and other traps.
        kind: "elementwise", or "vector" for functions along the last axis (outputs and layers of their own).
        stochastic: Whether it takes a key in training.
        inputs_per_output: Inputs consumed per output along the last axis (1, or more for maxout and gated units).
        spec: The text `get` accepts for exactly this entry; `get` fills it in.
    """

    name: str
    target: str | Callable[..., Any]
    formula: str = ""
    latex: str = ""
    range: tuple[float, float] | None = None
    source: str = ""
    parameters: tuple[Parameter, ...] = ()
    derivative_at_zero: float | None = None
    lipschitz: float | None = None
    kinks: tuple[float, ...] | None = ()
    can_die: bool | None = False
    saturates: Literal["no", "left", "right", "both"] | None = "no"
    initializer: str = "lecun_normal"
    notes: str = ""
    kind: Literal["elementwise", "vector"] = "elementwise"
    stochastic: bool = False
    inputs_per_output: int = 1
    spec: str = ""

    @property
    def fn(self) -> Callable[..., Any]:
        """The bare function, without its parameters."""
        return resolve(self.target)

    @property
    def start(self) -> tuple[float, ...]:
        """Start values of the learnable parameters, in the order of `theta`."""
        return tuple(p.value for p in self.parameters if p.learnable)

    def __call__(
        self, x: "jax.typing.ArrayLike", theta: "jax.Array | None" = None, key: "jax.Array | None" = None
    ) -> "jax.Array":
        """Evaluates φ(x); same signature for every entry, so that entries can be branches of one `lax.switch`.

        Args:
            x: Any shape; its floating dtype is kept, 16-bit ones are computed in float32. Vector functions act along
                the last axis.
            theta: Learnable parameters, [p] or per channel [p, units] with units = x.shape[-1]; None takes the start
                values. Rows beyond this entry's own are ignored, so branches can share one array.
            key: Typed PRNG key, in training only; None means test mode. Only stochastic entries use it.

        Returns:
            φ(x) in the dtype of x; shorter along the last axis where `inputs_per_output` > 1.

        Raises:
            ValueError: If theta has too few rows or the last axis cannot be divided.
        """
        import jax.numpy as jnp

        x = jnp.asarray(x)
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))  # in 16 bits slopes cancel, squares overflow
        if self.inputs_per_output > 1 and x.shape[-1] % self.inputs_per_output:
            raise ValueError(
                f"{self.name} takes {self.inputs_per_output} inputs per output: "
                f"the last axis is {x.shape[-1]}, make it a multiple of {self.inputs_per_output}"
            )
        arguments: dict[str, Any] = {p.name: p.value for p in self.parameters}
        if theta is not None:
            arguments |= self._learned(theta, wide)
        if self.stochastic:
            arguments["key"] = key
        return self.fn(wide, **arguments).astype(x.dtype)

    def _learned(self, theta: "jax.Array", x: "jax.Array") -> "dict[str, jax.Array]":
        import jax.numpy as jnp

        learnable = [p.name for p in self.parameters if p.learnable]
        if theta.shape[0] < len(learnable):
            raise ValueError(
                f"{self.name} learns {len(learnable)} parameters ({', '.join(learnable)}): theta has {theta.shape[0]} "
                f"rows, give [{len(learnable)}] or [{len(learnable)}, units]"
            )
        # Broadcast by hand: implicit rank promotion is an error under the strict setting the tests run with.
        spread = (lambda value: value) if theta.ndim == 1 else (lambda value: jnp.broadcast_to(value, x.shape))
        return {name: spread(theta[i].astype(x.dtype)) for i, name in enumerate(learnable)}

    @cached_property
    def _moments(self) -> tuple[float, float]:
        phi, _ = as_numpy(self)
        mean = gaussian_mean(phi, self.kinks or ())
        return mean, gaussian_mean(lambda z: (phi(z) - mean) ** 2, self.kinks or ())

    @property
    def mean(self) -> float:
        """E[φ(Z)] for Z ~ N(0, 1), by quadrature."""
        return self._moments[0]

    @property
    def variance(self) -> float:
        """Var[φ(Z)] for Z ~ N(0, 1), by quadrature."""
        return self._moments[1]

    @property
    def gain(self) -> float:
        """1/√E[φ(Z)²]: weights of variance gain²/fan_in keep a second moment of 1 (√2 for relu: He et al. 2015)."""
        return 1 / math.sqrt(self.variance + self.mean**2)


@cache
def as_numpy(activation: Activation) -> tuple[NumpyFunction, NumpyFunction]:
    """φ and φ' as float64 NumPy functions, whatever the global precision; learnable ones at their start values.

    Args:
        activation: An elementwise entry; a stochastic one is taken in test mode.

    Returns:
        φ and φ', each from an array of any shape to a float64 array of that shape (one compilation per shape).

    Raises:
        ValueError: If the activation is not elementwise.
    """
    if activation.kind != "elementwise":
        raise ValueError(
            f"{activation.name} acts along an axis and has no scalar form: choose an elementwise activation"
        )
    return in_float64(activation), in_float64(derivative(activation))
