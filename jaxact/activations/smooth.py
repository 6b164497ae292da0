"""Smooth rectifiers and self-gated units, and the shrinkage functions."""

from collections.abc import Callable

from jaxact.activations.entry import Activation, Parameter, inf

# Extrema without a closed form, from mpmath to 20 digits; tests recompute them.
_SILU_MINIMUM, _SILU_SLOPE = -0.27846454276107379511, 1.099839320128866917
_GELU_MINIMUM, _GELU_SLOPE = -0.16997120747990366169, 1.1289041451851547863
_GELU_TANH_MINIMUM, _GELU_TANH_SLOPE = -0.17004075057125405064, 1.1289930686587717655
_MISH_MINIMUM, _MISH_SLOPE = -0.30884341301725040663, 1.0884981612517278612
_LISHT_SLOPE = 1.1996786402577338339  # the x > 0 with x tanh(x) = 1


def _swish(beta: float = 1.0) -> Activation:
    return Activation(
        "swish",
        "jaxact.activations.functions:swish",
        formula="x sigmoid(beta x), beta learned",
        latex=r"x \, \sigma(\beta x),\ \beta \text{ learned}",
        range=(_SILU_MINIMUM / beta if beta > 0 else -inf, inf),
        source="Ramachandran, Zoph & Le 2017, Searching for activation functions",
        parameters=(Parameter("beta", beta, lower=1e-3, learnable=True),),
        derivative_at_zero=0.5,
        lipschitz=_SILU_SLOPE,
        saturates="left",
        initializer="he_normal",
        notes="JAX's and TensorFlow's swish is silu (beta fixed at 1). Towards 0 it is x/2, towards infinity relu.",
    )


def _squareplus(b: float = 4.0) -> Activation:
    return Activation(
        "squareplus",
        "jaxact.activations.functions:squareplus",
        formula="(x + sqrt(x^2 + b)) / 2",
        latex=r"\tfrac{1}{2}\left(x + \sqrt{x^2 + b}\right)",
        range=(0.0, inf),
        source="Barron 2021, Squareplus: a softplus-like algebraic rectifier",
        parameters=(Parameter("b", b, lower=1e-3),),
        derivative_at_zero=0.5,
        lipschitz=1.0,
        saturates="left",
        initializer="he_normal",
        notes="jax.nn.squareplus is the sum as written, which drowns in rounding on the left (absolute error about "
        "eps |x|). Here it keeps its digits, b/(4|x|) far out.",
    )


def _hardshrink(lambd: float = 0.5) -> Activation:
    return Activation(
        "hardshrink",
        "jaxact.activations.functions:hardshrink",
        formula="x if |x| > lambd else 0",
        latex=r"x \text{ if } |x| > \lambda \text{ else } 0",
        range=(-inf, inf),
        source="Donoho & Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage",
        parameters=(Parameter("lambd", lambd, lower=1e-3),),
        derivative_at_zero=0.0,
        lipschitz=1.0,
        kinks=(-lambd, lambd),
        can_die=True,
        notes="Jumps at ±lambd, so it is not Lipschitz continuous: lipschitz is sup |φ'| between the jumps.",
    )


def _softshrink(lambd: float = 0.5) -> Activation:
    return Activation(
        "softshrink",
        "jaxact.activations.functions:softshrink",
        formula="sign(x) max(|x| - lambd, 0)",
        latex=r"\operatorname{sign}(x) \max(|x| - \lambda, 0)",
        range=(-inf, inf),
        source="Donoho & Johnstone 1994, Ideal spatial adaptation by wavelet shrinkage; "
        "Gregor & LeCun 2010, Learning fast approximations of sparse coding",
        parameters=(Parameter("lambd", lambd, lower=1e-3),),
        derivative_at_zero=0.0,
        lipschitz=1.0,
        kinks=(-lambd, lambd),
        can_die=True,
        notes="The proximal operator of lambd |x|.",
    )


def _rectifier(
    name: str, target: str, minimum: float, slope: float, at_zero: float = 0.5, saturates: str = "left", **facts
) -> Activation:
    """An unbounded smooth rectifier."""
    return Activation(
        name,
        target,
        range=(minimum, inf),
        lipschitz=slope,
        derivative_at_zero=at_zero,
        saturates=saturates,  # pyright: ignore[reportArgumentType]
        initializer="he_normal",
        **facts,
    )


_FIXED = (
    _rectifier(
        "softplus",
        "jax.nn:softplus",
        0.0,
        1.0,
        formula="log(1 + exp(x))",
        latex=r"\log(1 + e^x)",
        source="Dugas, Bengio, Bélisle, Nadeau & Garcia 2000, Incorporating second-order functional knowledge for "
        "better option pricing",
        notes="PyTorch has a scale beta and turns linear beyond beta x = 20; here it is exact.",
    ),
    _rectifier(
        "silu",
        "jax.nn:silu",
        _SILU_MINIMUM,
        _SILU_SLOPE,
        formula="x sigmoid(x)",
        latex=r"x \, \sigma(x)",
        source="Hendrycks & Gimpel 2016, Gaussian error linear units; Elfwing, Uchibe & Doya 2017, Sigmoid-weighted "
        "linear units",
        notes="Minimum at x = -1.278465, largest slope at 2.399357. Also called swish-1; see swish for a learned beta.",
    ),
    _rectifier(
        "gelu",
        "jaxact.activations.functions:gelu",
        _GELU_MINIMUM,
        _GELU_SLOPE,
        formula="x Phi(x) = x erfc(-x/sqrt(2)) / 2",
        latex=r"x \, \Phi(x)",
        source="Hendrycks & Gimpel 2016, Gaussian error linear units",
        notes="The erf form, the default of PyTorch and Keras; jax.nn.gelu and flax default to gelu_tanh. Minimum at "
        "x = -0.751792, largest slope at √2.",
    ),
    _rectifier(
        "gelu_tanh",
        "jaxact.activations.functions:gelu_tanh",
        _GELU_TANH_MINIMUM,
        _GELU_TANH_SLOPE,
        formula="x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2",
        latex=r"\tfrac{x}{2}\left(1 + \tanh\left(\sqrt{2/\pi}\,(x + 0.044715 x^3)\right)\right)",
        source="Hendrycks & Gimpel 2016, Gaussian error linear units",
        notes="jax.nn.gelu's default; differs from gelu by up to 4.7324e-4. Here as x sigmoid(2u), which is not 0 "
        "below -5 in float32 as 1 + tanh(u) is.",
    ),
    _rectifier(
        "mish",
        "jaxact.activations.functions:mish",
        _MISH_MINIMUM,
        _MISH_SLOPE,
        at_zero=0.6,
        formula="x tanh(softplus(x))",
        latex=r"x \tanh(\log(1 + e^x))",
        source="Misra 2019, Mish: a self regularized non-monotonic activation function",
        notes="Minimum at x = -1.192431, largest slope at 1.490571.",
    ),
    _rectifier(
        "hard_silu",
        "jax.nn:hard_silu",
        -0.375,
        1.5,
        formula="x relu6(x + 3) / 6",
        latex=r"\tfrac{x}{6}\min(\max(x + 3, 0), 6)",
        source="Howard et al. 2019, Searching for MobileNetV3",
        kinks=(-3.0, 3.0),
        can_die=True,
        notes="Also called hard_swish. sup |φ'| = 3/2 is approached below x = 3; minimum at x = -3/2.",
    ),
    _rectifier(
        "lisht",
        "jaxact.activations.functions:lisht",
        0.0,
        _LISHT_SLOPE,
        at_zero=0.0,
        saturates="no",
        formula="x tanh(x)",
        latex=r"x \tanh(x)",
        source="Roy, Manna, Dubey & Chaudhuri 2019, LiSHT: non-parametric linearly scaled hyperbolic tangent",
        notes="Even, so it cannot tell x from -x.",
    ),
    Activation(
        "tanhshrink",
        "jaxact.activations.functions:tanhshrink",
        formula="x - tanh(x)",
        latex=r"x - \tanh(x)",
        range=(-inf, inf),
        source="Collobert, Kavukcuoglu & Farabet 2011, Torch7 (software; no earlier use known)",
        derivative_at_zero=0.0,
        lipschitz=1.0,
        notes="Like x³/3 near 0, where the gradient vanishes; small weights therefore learn very slowly.",
    ),
)

_PARAMETRISED = (_swish, _squareplus, _hardshrink, _softshrink)
ENTRIES: dict[str, Callable[..., Activation]] = {e.name: lambda e=e: e for e in _FIXED} | {
    build.__name__[1:]: build for build in _PARAMETRISED
}
