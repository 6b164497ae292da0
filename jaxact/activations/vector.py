"""Functions of a whole axis: outputs (softmax) and units with several linear inputs (maxout, the gated family)."""

from collections.abc import Callable

from jaxact.activations.entry import Activation, Parameter, inf


def _maxout(pieces: float = 2.0) -> Activation:
    piece = Parameter("pieces", pieces, lower=1.0)
    if pieces % 1:
        raise ValueError(f"pieces must be whole, got pieces={pieces:g}: round it")
    return Activation(
        "maxout",
        "jaxact.activations.functions:maxout",
        formula="max of `pieces` consecutive inputs",
        latex=r"\max_{j} x_{j}",
        range=(-inf, inf),
        source="Goodfellow, Warde-Farley, Mirza, Courville & Bengio 2013, Maxout networks",
        parameters=(piece,),
        lipschitz=1.0,
        kind="vector",
        inputs_per_output=int(pieces),
        notes="The inputs of one output lie side by side. Ties share the gradient in JAX. A piece that never wins gets "
        "no gradient, but the unit always does.",
    )


def _gated(name: str, gate: str, latex: str, source: str, target: str = "", can_die: bool = False) -> Activation:
    """A unit value·gate on the two halves of the axis."""
    return Activation(
        name,
        target or f"jaxact.activations.functions:{name}",
        formula=f"a {gate.format('b')} with [a, b] = x",
        latex=rf"a \odot {latex}",
        range=(-inf, inf),
        source=source,
        lipschitz=inf,
        can_die=can_die,
        kind="vector",
        inputs_per_output=2,
        notes="First half value, second half gate (PyTorch's glu and JAX's; some code swaps them). All but glu grow "
        "like a b: in float16 keep |a b| below 65504.",
    )


_SHAZEER = "Shazeer 2020, GLU variants improve transformer"
_FIXED = (
    Activation(
        "softmax",
        "jax.nn:softmax",
        formula="exp(x_i) / sum_j exp(x_j)",
        latex=r"\frac{e^{x_i}}{\sum_j e^{x_j}}",
        range=(0.0, 1.0),
        source="Bridle 1990, Probabilistic interpretation of feedforward classification network outputs",
        lipschitz=0.5,
        saturates="both",
        kind="vector",
        notes="Jacobian diag(p) - ppᵀ. With cross-entropy, train on the logits (log_softmax), not on its output: a "
        "second softmax in the loss flattens it.",
    ),
    Activation(
        "log_softmax",
        "jax.nn:log_softmax",
        formula="x_i - log sum_j exp(x_j)",
        latex=r"x_i - \log \sum_j e^{x_j}",
        range=(-inf, 0.0),
        source="Bridle 1990, Probabilistic interpretation of feedforward classification network outputs",
        lipschitz=None,
        saturates="right",
        kind="vector",
        notes="Jacobian I - 1pᵀ: its norm is at most √n, reached where one class has all the probability.",
    ),
    _gated(
        "glu",
        "sigmoid({})",
        r"\sigma(b)",
        "Dauphin, Fan, Auli & Grangier 2016, Language modeling with gated convolutional networks",
        target="jax.nn:glu",
    ),
    _gated("bilinear", "{}", "b", "Mnih & Hinton 2007, Three new graphical models; " + _SHAZEER),
    _gated("reglu", "relu({})", r"\max(b, 0)", _SHAZEER, can_die=True),
    _gated("geglu", "gelu({})", r"b\,\Phi(b)", _SHAZEER),
    _gated("swiglu", "silu({})", r"b\,\sigma(b)", _SHAZEER),
)

ENTRIES: dict[str, Callable[..., Activation]] = {e.name: lambda e=e: e for e in _FIXED} | {"maxout": _maxout}
