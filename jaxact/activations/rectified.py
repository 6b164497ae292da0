"""Piecewise linear rectifiers and the exponential units."""

from collections.abc import Callable

from jaxact.activations.entry import Activation, Parameter, inf

_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717


def _sloped(name: str, target: str, slope: float, **facts) -> Activation:
    """An entry that is x on the right and slope·x on the left."""
    return Activation(
        name,
        target,
        range=(-inf if slope > 0 else 0.0, inf),
        derivative_at_zero=1.0,
        lipschitz=max(1.0, abs(slope)),
        kinks=(0.0,),
        can_die=slope == 0,
        saturates="left" if slope == 0 else "no",
        initializer="he_normal",
        **facts,
    )


def _leaky_relu(negative_slope: float = 0.01) -> Activation:
    return _sloped(
        "leaky_relu",
        "jax.nn:leaky_relu",
        negative_slope,
        formula="x if x >= 0 else negative_slope x",
        latex=r"\max(x, 0) + a \min(x, 0)",
        source="Maas, Hannun & Ng 2013, Rectifier nonlinearities improve neural network acoustic models",
        parameters=(Parameter("negative_slope", negative_slope),),
        notes="Slope 0.01 in JAX and PyTorch, 0.3 in Keras, 0.2 in TensorFlow. φ'(0) is 1 here, the slope in "
        "PyTorch. He initialisation: weight variance 2 / ((1 + slope²) fan_in).",
    )


def _prelu(negative_slope: float = 0.25) -> Activation:
    return _sloped(
        "prelu",
        "jax.nn:leaky_relu",
        negative_slope,
        formula="x if x >= 0 else negative_slope x, negative_slope learned",
        latex=r"\max(x, 0) + a \min(x, 0),\ a \text{ learned}",
        source="He, Zhang, Ren & Sun 2015, Delving deep into rectifiers",
        parameters=(Parameter("negative_slope", negative_slope, learnable=True),),
        notes="Starts at 0.25 (paper, PyTorch); flax starts at 0.01, Keras at 0. One slope per layer, or per channel "
        "if theta has that axis. No weight decay on it: that would push towards relu. φ'(0) is 1 here, the slope in "
        "PyTorch.",
    )


def _rrelu(lower: float = 1 / 8, upper: float = 1 / 3) -> Activation:
    limits = Parameter("lower", lower, 0.0, 1.0), Parameter("upper", upper, 0.0, 1.0)
    if lower > upper:
        raise ValueError(f"lower must not exceed upper, got lower={lower:g} > upper={upper:g}: swap them")
    return _sloped(
        "rrelu",
        "jaxact.activations.functions:rrelu",
        (lower + upper) / 2,
        formula="x if x >= 0 else a x, a ~ U(lower, upper) per element in training, (lower + upper)/2 at test",
        latex=r"\max(x, 0) + a \min(x, 0),\ a \sim U(l, u)",
        source="Xu, Wang, Chen & Li 2015, Empirical evaluation of rectified activations in convolutional network",
        parameters=limits,
        stochastic=True,
        notes="Test slope 11/48, the mean slope, as in PyTorch; the paper writes x/a with a ~ U(3, 8) and tests with "
        "x/5.5 (leaky_relu:negative_slope=0.181818 gives that). The facts describe test mode.",
    )


def _elu(alpha: float = 1.0) -> Activation:
    return Activation(
        "elu",
        "jaxact.activations.functions:elu",
        formula="x if x > 0 else alpha (exp(x) - 1)",
        latex=r"\max(x, 0) + \alpha (e^{\min(x, 0)} - 1)",
        range=(-alpha, inf),
        source="Clevert, Unterthiner & Hochreiter 2015, Fast and accurate deep network learning by exponential "
        "linear units",
        parameters=(Parameter("alpha", alpha, lower=0.0),),
        derivative_at_zero=alpha,
        lipschitz=max(1.0, alpha),
        kinks=(0.0,),
        can_die=alpha == 0,
        saturates="left",
        initializer="he_normal",
        notes="φ' jumps at 0 unless alpha is 1 (then φ'' does); see celu.",
    )


def _celu(alpha: float = 1.0) -> Activation:
    return Activation(
        "celu",
        "jaxact.activations.functions:celu",
        formula="max(x, 0) + alpha (exp(min(x, 0)/alpha) - 1)",
        latex=r"\max(x, 0) + \alpha (e^{\min(x, 0) / \alpha} - 1)",
        range=(-alpha, inf),
        source="Barron 2017, Continuously differentiable exponential linear units",
        parameters=(Parameter("alpha", alpha, lower=1e-3),),
        derivative_at_zero=1.0,
        lipschitz=1.0,
        kinks=(0.0,),
        saturates="left",
        initializer="he_normal",
        notes="Differs from elu unless alpha is 1: here φ' is continuous for every alpha.",
    )


def _threshold(threshold: float = 1.0, value: float = 0.0) -> Activation:
    return Activation(
        "threshold",
        "jaxact.activations.functions:threshold",
        formula="x if x > threshold else value",
        latex=r"x \text{ if } x > \theta \text{ else } v",
        range=(min(threshold, value), inf),
        source="Konda, Memisevic & Krueger 2014, Zero-bias autoencoders and the benefits of co-adapting features",
        parameters=(Parameter("threshold", threshold), Parameter("value", value)),
        derivative_at_zero=1.0 if threshold < 0 else 0.0,
        lipschitz=1.0,
        kinks=(threshold,),
        can_die=True,
        saturates="left",
        initializer="he_normal",
        notes="Jumps at the threshold unless it equals the value (then relu shifted). PyTorch has no defaults; these "
        "are those of Keras's ThresholdedReLU.",
    )


_FIXED = (
    Activation(
        "relu",
        "jax.nn:relu",
        formula="max(x, 0)",
        latex=r"\max(x, 0)",
        range=(0.0, inf),
        source="Fukushima 1969, Visual feature extraction by a multilayered network of analog threshold elements; "
        "Nair & Hinton 2010",
        derivative_at_zero=0.0,
        lipschitz=1.0,
        kinks=(0.0,),
        can_die=True,
        saturates="left",
        initializer="he_normal",
        notes="φ'(0) = 0 as in PyTorch; jnp.maximum(x, 0) gives 1/2 there and leaks gradient into dead units.",
    ),
    Activation(
        "relu6",
        "jax.nn:relu6",
        formula="min(max(x, 0), 6)",
        latex=r"\min(\max(x, 0), 6)",
        range=(0.0, 6.0),
        source="Krizhevsky 2010, Convolutional deep belief networks on CIFAR-10",
        derivative_at_zero=0.0,
        lipschitz=1.0,
        kinks=(0.0, 6.0),
        can_die=True,
        saturates="both",
        initializer="he_normal",
        notes="Dead on the right as well: no gradient above 6.",
    ),
    Activation(
        "selu",
        "jax.nn:selu",
        formula="1.0507 (x if x > 0 else 1.6733 (exp(x) - 1))",
        latex=r"\lambda \left(\max(x, 0) + \alpha (e^{\min(x, 0)} - 1)\right)",
        range=(-_SELU_SCALE * _SELU_ALPHA, inf),
        source="Klambauer, Unterthiner, Mayr & Hochreiter 2017, Self-normalizing neural networks",
        derivative_at_zero=_SELU_SCALE * _SELU_ALPHA,
        lipschitz=_SELU_SCALE * _SELU_ALPHA,
        kinks=(0.0,),
        saturates="left",
        notes="Mean 0 and variance 1 under N(0, 1) with weights of variance 1/fan_in (lecun_normal, gain 1); PyTorch's "
        "calculate_gain returns 3/4 instead.",
    ),
)

_PARAMETRISED = (_leaky_relu, _prelu, _rrelu, _elu, _celu, _threshold)
ENTRIES: dict[str, Callable[..., Activation]] = {e.name: lambda e=e: e for e in _FIXED} | {
    build.__name__[1:]: build for build in _PARAMETRISED
}
