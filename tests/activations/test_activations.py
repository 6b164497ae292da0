"""Looking entries up, their facts, parameters and keys, your own functions, and the check of derivatives."""

import subprocess
import sys

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from jaxact import activations as catalogue
from jaxact.activations import lookup
from jaxact.activations.measured import measure

ELEMENTWISE = catalogue.names("elementwise")
VARIANTS = (
    "leaky_relu:negative_slope=-0.5",
    "leaky_relu:negative_slope=0",
    "prelu:negative_slope=2",
    "rrelu:lower=0.1,upper=0.3",
    "rrelu:lower=0,upper=0",
    "elu:alpha=0",
    "elu:alpha=2",
    "celu:alpha=2",
    "threshold:threshold=-1,value=2",
    "threshold:threshold=1,value=1",
    "hardshrink:lambd=1.3",
    "softshrink:lambd=1.3",
    "squareplus:b=1",
    "swish:beta=2",
    "sine:frequency=3",
)


@pytest.fixture
def scratch(monkeypatch):
    """A catalogue whose registrations are forgotten after the test."""
    monkeypatch.setattr(lookup, "_TABLE", dict(lookup._TABLE))


def test_importing_and_looking_up_load_no_heavy_library():
    code = (
        "import sys, jaxact.activations as a; [a.get(n) for n in a.names()]; a.get('elu:alpha=0.5').range; "
        "print({'jax', 'flax', 'scipy', 'matplotlib', 'jaxtyping'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


@pytest.mark.parametrize("spec", ELEMENTWISE + VARIANTS)
def test_stated_facts_against_the_function(spec):
    # Independent: the facts are stated from theory; `measure` scans the function itself.
    entry = catalogue.get(spec)
    facts = measure(entry)
    assert facts["range"] == pytest.approx(entry.range, abs=1e-4)
    assert facts["lipschitz"] == pytest.approx(entry.lipschitz, abs=1e-4)
    assert facts["derivative_at_zero"] == pytest.approx(entry.derivative_at_zero, abs=1e-12)
    assert facts["kinks"] == pytest.approx(entry.kinks, abs=1e-8)
    assert (facts["can_die"], facts["saturates"]) == (entry.can_die, entry.saturates)


@pytest.mark.parametrize("name", catalogue.names())
def test_every_entry_is_described(name):
    entry = catalogue.get(name)
    assert (entry.name, entry.spec) == (name, name)
    assert entry.formula and entry.latex and entry.range
    assert any(year.isdigit() for year in entry.source.replace(",", " ").split()), entry.source
    assert hasattr(jax.nn.initializers, entry.initializer)
    assert hash(entry) == hash(catalogue.get(name))


def test_lipschitz_of_vector_functions():
    # The Jacobian's spectral norm by SVD: softmax reaches ½ at two equal logits, log_softmax √n at a certain class.
    def norm(name, x):
        return np.linalg.norm(jacobians[name](jnp.array(x, jnp.float32)), 2)

    jacobians = {n: jax.jit(jax.jacobian(catalogue.get(n))) for n in ("softmax", "log_softmax", "maxout")}
    rng = np.random.default_rng(0)
    for x in rng.normal(scale=3, size=(20, 4)).astype(np.float32):
        assert norm("softmax", x) <= 0.5 + 1e-6
        assert norm("maxout", x) <= 1 + 1e-6
    assert norm("softmax", [0.0, 0, -50, -50]) == pytest.approx(catalogue.get("softmax").lipschitz, abs=1e-6)
    assert norm("maxout", [0.0, 1, 2, 3]) == pytest.approx(catalogue.get("maxout").lipschitz, abs=1e-6)
    assert norm("log_softmax", [0.0, -50, -50, -50]) == pytest.approx(2, abs=1e-6)


@pytest.mark.parametrize(
    ("spec", "canonical"),
    [
        ("relu", "relu"),
        (" elu : alpha = .50 ".replace(" :", ":"), "elu:alpha=0.5"),
        ("elu:alpha=1.0", "elu"),
        ("rrelu:upper=0.3,lower=0.1", "rrelu:lower=0.1,upper=0.3"),
        ("jax.nn:celu:alpha=.5", "jax.nn:celu:alpha=0.5"),
    ],
)
def test_spec_is_canonical_and_round_trips(spec, canonical):
    entry = catalogue.get(spec)
    assert entry.spec == canonical
    assert catalogue.get(entry.spec) == entry


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("rulu", r"unknown activation 'rulu': did you mean relu or"),
        ("ReLU", r"did you mean relu"),
        ("linear", r"did you mean identity\?"),
        ("rulu:alpha=1", r"unknown activation 'rulu': did you mean relu"),
        ("rulu:alpha", r"cannot import 'rulu' for 'rulu:alpha': did you mean relu"),
        ("", r"choose from bilinear, celu, .*threshold"),
        ("elu:alpha=-1", r"alpha=-1 is outside \[0, 1000\]"),
        ("elu:alpha=nan", r"alpha=nan is outside"),
        ("elu:alpha=inf", r"alpha=inf is outside"),
        ("elu:alpha=x", r"alpha='x' is not a number"),
        ("elu:alfa=1", r"elu has no parameter 'alfa': did you mean alpha\?"),
        ("elu:alpha", r"write elu:parameter=value"),
        ("elu:alpha=1,alpha=2", r"alpha is given twice"),
        ("relu:alpha=1", r"relu has no parameter 'alpha': it has none"),
        ("celu:alpha=0", r"alpha=0 is outside \[0.001, 1000\]"),
        ("swish:beta=0", r"beta=0 is outside"),
        ("rrelu:lower=0.4,upper=0.2", r"lower must not exceed upper, got lower=0.4 > upper=0.2"),
        ("maxout:pieces=2.5", r"pieces must be whole, got pieces=2.5"),
        ("no.such:function", r"cannot import 'no.such' for 'no.such:function': put its folder on PYTHONPATH"),
        ("jax.nn:gelo", r"module 'jax.nn' has no function 'gelo': did you mean .*gelu"),
        ("jax.nn:softmax", r"not elementwise"),
        ("numpy:tanh", r"cannot run under JAX .*: write it with jax.numpy"),
        ("jax.numpy:exp", r"not finite at x = 1000"),
    ],
)
def test_errors_are_one_line_with_a_remedy(spec, message):
    with pytest.raises(ValueError, match=message) as info:
        catalogue.get(spec)
    assert "\n" not in str(info.value)


def test_names_by_kind():
    assert set(catalogue.names()) == set(ELEMENTWISE) | set(catalogue.names("vector"))
    with pytest.raises(ValueError, match="'elementwise', 'vector' or None"):
        catalogue.names("scalar")
    with pytest.raises(ValueError, match="softmax acts along an axis"):
        catalogue.as_numpy(catalogue.get("softmax"))


def test_register_a_function_of_your_own(scratch):
    # Facts measured against what is known of a leaky ReLU shifted by 0.3.
    entry = catalogue.register("bent", lambda x, slope=0.5: jnp.where(x > 0.3, x, slope * x))
    assert "bent" in catalogue.names("elementwise") and catalogue.get("bent") == entry
    assert (entry.kinks, entry.range, entry.lipschitz) == ((0.3,), (-np.inf, np.inf), 1)
    steep = catalogue.get("bent:slope=2")
    assert (steep.lipschitz, steep.derivative_at_zero, steep.spec) == (2, 2, "bent:slope=2.0")
    assert jax.jit(steep)(-1.0) == -2
    with pytest.raises(ValueError, match="'bent' exists"):
        catalogue.register("bent", jnp.tanh)
    assert catalogue.register("bent", jnp.tanh, replace=True).range == (-1, 1)


def test_register_with_facts_and_learnable_parameters(scratch):
    parameters = (
        catalogue.Parameter("scale", 2.0, learnable=True),
        catalogue.Parameter("unit", 10.0),
        catalogue.Parameter("shift", 1.0, learnable=True),
    )
    entry = catalogue.register(
        "affine", lambda x, scale, unit, shift: scale * x + unit * shift, parameters=parameters, lipschitz=7.0
    )
    assert (entry.start, entry.lipschitz, entry.derivative_at_zero) == ((2.0, 1.0), 7.0, 2.0)
    assert (entry(3.0), entry(3.0, jnp.array([5.0, -1.0, 99.0]))) == (16, 5)
    # A stated fact holds for the default parameters only.
    assert catalogue.get("affine:scale=3").lipschitz == 3
    assert catalogue.get("affine:scale=2").lipschitz == 7


@pytest.mark.parametrize(
    ("name", "fn", "facts", "message"),
    [
        ("Big", jnp.tanh, {}, "must match"),
        ("relu", jnp.tanh, {}, "exists: choose another name or pass replace=True"),
        ("mine", jnp.tanh, {"lipshitz": 1.0}, "no fact 'lipshitz': did you mean lipschitz"),
        ("mine", np.tanh, {}, "write it with jax.numpy"),
        ("mine", jnp.cumsum, {}, "not elementwise"),
        ("mine", jnp.log, {}, "not finite"),
    ],
)
def test_register_refuses(scratch, name, fn, facts, message):
    before = catalogue.names()
    with pytest.raises(ValueError, match=message):
        catalogue.register(name, fn, **facts)
    assert catalogue.names() == before


def test_integers_and_python_numbers_become_floats():
    sigmoid = catalogue.get("sigmoid")
    assert sigmoid(0) == 0.5 and sigmoid(jnp.array([0, 1])).dtype == jnp.float32


@pytest.mark.parametrize(
    ("name", "formula"), [("prelu", lambda x, a: np.where(x > 0, x, a * x)), ("swish", lambda x, b: x * expit(b * x))]
)
def test_learnable_parameters(name, formula):
    entry = catalogue.get(name)
    x = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)
    start, channels = jnp.array(entry.start), jnp.array([[0.1, 0.2, 0.3, 0.4]])
    with jax.numpy_rank_promotion("raise"):
        chex.assert_trees_all_close(entry(x, start), entry(x), formula(x, entry.start[0]), rtol=1e-6)
        chex.assert_trees_all_close(entry(x, channels), formula(x, np.array(channels)), rtol=1e-6)
        assert entry(jnp.array(x, jnp.bfloat16), channels).dtype == jnp.bfloat16
        gradient = jax.grad(lambda theta: entry(x, theta).sum())(channels)
    # Central differences in float64 of the sum over examples: each channel has a parameter of its own.
    wide, values, step = x.astype(np.float64), np.array(channels, np.float64), 1e-4
    expected = (formula(wide, values + step).sum(0) - formula(wide, values - step).sum(0)) / (2 * step)
    np.testing.assert_allclose(gradient[0], expected, rtol=1e-5)
    with pytest.raises(ValueError, match=rf"{name} learns 1 parameters .*: theta has 0 rows"):
        entry(x, jnp.zeros((0,)))


def test_rrelu_draws_in_training_and_not_in_test():
    entry = catalogue.get("rrelu:lower=0.1,upper=0.3")
    x = jnp.full((100_000,), -1.0)
    slopes = -entry(x, key=jax.random.key(0))
    assert slopes.min() >= 0.1 and slopes.max() <= 0.3
    # Mean of a uniform: standard error (0.2/√12)/√n = 1.8e-4.
    assert float(slopes.mean()) == pytest.approx(0.2, abs=1e-3)
    assert float(slopes.var()) == pytest.approx(0.2**2 / 12, rel=0.02)
    chex.assert_trees_all_equal(slopes, -entry(x, key=jax.random.key(0)))
    assert (slopes != -entry(x, key=jax.random.key(1))).mean() > 0.99
    chex.assert_trees_all_close(entry(x), jnp.full_like(x, -0.2))
    chex.assert_trees_all_equal(entry(-x, key=jax.random.key(0)), -x)
    assert entry(x.astype(jnp.bfloat16), key=jax.random.key(0)).dtype == jnp.bfloat16


def test_all_elementwise_entries_are_branches_of_one_switch():
    entries = [catalogue.get(name) for name in ELEMENTWISE]
    x = jnp.linspace(-2.0, 2.0, 5)

    @jax.jit
    def run(which, x, theta, key):
        return jax.lax.switch(which, [lambda x, e=e: e(x, theta, key) for e in entries], x)

    theta, key = jnp.array([0.5, 9.0]), jax.random.key(3)
    for which, entry in enumerate(entries):
        expected = catalogue.as_numpy(catalogue.get(entry.name))[0](x)
        if entry.start:  # the switch passes them 0.5, and a second value they ignore
            expected = catalogue.as_numpy(catalogue.get(f"{entry.name}:{entry.parameters[0].name}=0.5"))[0](x)
        if entry.stochastic:
            expected = entry(x, key=key)
        np.testing.assert_allclose(run(which, x, theta, key), expected, rtol=2e-6, atol=2e-7)


def test_facts_can_be_looked_up_while_tracing(scratch):
    catalogue.register("fresh", lambda x: x - jnp.sin(x))
    traced = jax.jit(lambda x: x * catalogue.get("erf").mean + catalogue.get("fresh").derivative_at_zero)
    assert float(traced(1.0)) == pytest.approx(0, abs=1e-12)


def test_as_numpy_is_float64_whatever_the_global_precision():
    phi, dphi = catalogue.as_numpy(catalogue.get("tanh"))
    x = np.linspace(-1, 1, 7, dtype=np.float32).reshape(7, 1)  # farther out 1 − tanh² cancels, as the compiler likes
    for got, expected in ((phi(x), np.tanh(np.float64(x))), (dphi(x), 1 / np.cosh(np.float64(x)) ** 2)):
        assert got.dtype == np.float64 and got.shape == x.shape
        np.testing.assert_allclose(got, expected, rtol=1e-14)
    assert phi(0.5).shape == ()


def test_check_derivative_exposes_the_sigmoid_bug():
    # Back-propagation has a = σ(z) at hand and needs a(1 − a); the bug applies σ once more to a.
    def right(z):
        a = expit(z)
        return a * (1 - a)

    def wrong(z):
        a = expit(z)
        return expit(a) * (1 - expit(a))

    assert catalogue.check_derivative(expit, right).passed
    report = catalogue.check_derivative(expit, wrong)
    assert not report.passed
    # At the ends of the axis the slope should vanish; the bug gives σ(0)(1 − σ(0)) = ¼ on the left.
    assert report.point < -4 and report.stated == pytest.approx(0.25, abs=1e-4)
    assert report.measured == pytest.approx(right(report.point), abs=1e-10)


def test_check_derivative_limits():
    relu = catalogue.get("relu")
    report = catalogue.check_derivative(relu, catalogue.derivative(relu), np.array([0.0, 1.0]))
    assert not report.passed and report.point == 0 and report.measured == pytest.approx(0.5)
    assert catalogue.check_derivative(relu, catalogue.derivative(relu), np.array([0.0, 1.0]), kinks=(0.0,)).passed
    with pytest.raises(ValueError, match="no point is left"):
        catalogue.check_derivative(relu, relu, np.zeros(1), kinks=(0.0,))
    with pytest.raises(ValueError, match="not finite at x = 0"):
        catalogue.check_derivative(lambda x: x, lambda x: x * np.nan, np.zeros(1))
