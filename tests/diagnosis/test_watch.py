"""`watch` in three kinds of loops: its numbers against plain NumPy, planted deaths by step, and one trace for all."""

import csv
import io
import warnings
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from flax.training.train_state import TrainState
from oracles.event_files import scalars_of
from oracles.foreign_networks import changed

import jaxact
from jaxact.diagnosis.watch import BrokenWarning, Death, DeathWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)).astype(np.float32)
LABELS = RNG.integers(0, 3, 40)
WIDTHS = (6, 8, 7, 3)


def draw(widths=WIDTHS, seed=1):
    rng = np.random.default_rng(seed)
    pairs = zip(widths[:-1], widths[1:], strict=True)
    return [
        {"w": jnp.asarray(rng.normal(size=shape) * (2 / shape[0]) ** 0.5, jnp.float32), "b": jnp.full(shape[1], 0.3)}
        for shape in pairs
    ]


def network(params, x):
    """ReLU, tanh, linear."""
    x = jax.nn.relu(x @ params[0]["w"] + params[0]["b"][None])
    x = jnp.tanh(x @ params[1]["w"] + params[1]["b"][None])
    return x @ params[2]["w"] + params[2]["b"][None]


def killed(params, layer, units):
    off = params[layer] | {"b": params[layer]["b"].at[jnp.array(units)].set(-100.0)}
    return [*params[:layer], off, *params[layer + 1 :]]


def in_numpy(params, x, labels):
    """Pre-activations, and ∂(mean cross-entropy)/∂h, by plain matrix products in float64."""
    w, b = ([np.asarray(layer[part], float) for layer in params] for part in ("w", "b"))
    h, outputs = [], np.asarray(x, float)
    for k, phi in enumerate((lambda h: np.maximum(h, 0), np.tanh, lambda h: h)):
        h.append(outputs @ w[k] + b[k])
        outputs = phi(h[-1])
    shifted = np.exp(h[2] - h[2].max(1, keepdims=True))
    p = shifted / shifted.sum(1, keepdims=True)
    back = [np.zeros(0), np.zeros(0), p - np.eye(3)[labels]]
    back[1] = back[2] @ w[2].T * (1 - np.tanh(h[1]) ** 2)
    back[0] = back[1] @ w[1].T * (h[0] > 0)
    return h, back, -np.log(p[np.arange(len(x)), labels]).mean()


def looked(watcher, step, variables, info=None) -> Any:
    """What the callback saw; it must have looked."""
    look = watcher(step, variables, info)
    assert look is not None
    return look


def quiet(watcher, steps, variables):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return [watcher(step, variables) for step in steps]


def test_the_numbers_are_those_of_numpy():
    params = killed(draw(), 0, [2, 5])
    with pytest.warns(DeathWarning, match=r"units 2, 5 of .* are dead at step 0, at the first look; 2 of 8"):
        look = looked(jaxact.watch(network, X, 1, labels=LABELS), 0, params)
    h, back, loss = in_numpy(params, X, LABELS)
    inputs = [X, np.maximum(h[0], 0), np.tanh(h[1])]
    np.testing.assert_allclose(look.loss, loss, rtol=1e-5)
    for layer, own, gradient, received in zip(look.layers, h, back, inputs, strict=True):
        assert layer.dead == ((2, 5) if own is h[0] else ())
        np.testing.assert_allclose((layer.mean, layer.deviation), (own.mean(), own.std()), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer.loss_gradient, np.sqrt((gradient**2).sum(1).mean()), rtol=1e-4)
        np.testing.assert_allclose(layer.kernel_gradient, np.linalg.norm(received.T @ gradient) / len(X), rtol=1e-4)


def test_the_gradient_of_a_single_output_is_exact():
    """A random sign does not change the norm of one output's gradient."""
    params = draw((6, 8, 7, 1), seed=3)
    look = looked(jaxact.watch(network, X[:16], 5), 0, params)
    h, _, _ = in_numpy(params[:2] + [{"w": jnp.zeros((7, 3)), "b": jnp.zeros(3)}], X[:16], LABELS[:16])
    last = np.ones((16, 1))
    middle = last @ np.asarray(params[2]["w"], float).T * (1 - np.tanh(h[1]) ** 2)
    first = middle @ np.asarray(params[1]["w"], float).T * (h[0] > 0)
    expected = [np.sqrt((part**2).sum(1).mean()) for part in (first, middle, last)]
    np.testing.assert_allclose([layer.output_gradient for layer in look.layers], expected, rtol=1e-5)
    assert np.isnan([look.loss, look.layers[0].loss_gradient, look.layers[0].kernel_gradient]).all()


def test_a_planted_death_is_told_at_its_step_and_once():
    """A loop in plain JAX; at step 30 units 1 and 4 of the first layer die, at step 50 the whole second layer."""
    slopes = jax.jit(jax.grad(lambda p: jnp.square(network(p, X)).mean()))
    params, watcher, told = draw(), jaxact.watch(network, X, 10), {}
    for step in range(71):
        params = jax.tree.map(lambda p, g: p - 0.01 * g, params, slopes(params))
        params = killed(params, 0, [1, 4]) if step == 27 else params
        if step == 43:
            params = [params[0], {"w": 0 * params[1]["w"], "b": jnp.full(7, 100.0)}, params[2]]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            look = watcher(step, params)
        assert (look is None) == (step % 10 != 0)
        told |= {step: [str(warning.message) for warning in caught]} if caught else {}
    names = [layer.name for layer in watcher.looks[0].layers]
    assert told == {
        30: [f"units 1, 4 of {names[0]} are dead at step 30, and were not at step 20; 2 of 8 are dead by now"],
        50: [f"layer {names[1]} is dead at step 50, and was not at step 40: all 7 units pass no gradient"],
    }
    assert watcher.deaths[0] == Death(30, 20, names[0], "units", (1, 4), 2, 8)
    assert watcher.deaths[1][3:] == ("layer", tuple(range(7)), 7, 7)


def test_history_as_arrays_rows_and_csv():
    watcher, params = jaxact.watch(network, X, 2), draw()
    assert watcher.to_csv() == "" and watcher.rows() == [] and watcher.arrays.dead.shape[0] == 0
    quiet(watcher, [0, 1], params)
    with pytest.warns(DeathWarning, match="unit 3 of"):
        watcher(np.int64(2), killed(params, 0, [3]), {"lr": jnp.float32(0.5)})
    seen = watcher.arrays
    assert seen.step.tolist() == [0, 2] and seen.dead.tolist() == [[0, 0, 0], [1, 0, 0]]
    np.testing.assert_array_equal(seen.mean[1], [layer.mean for layer in watcher.looks[1].layers])
    rows = list(csv.DictReader(io.StringIO(watcher.to_csv())))
    assert [(row["step"], row["layer"]) for row in rows[:3]] == [("0", name) for name in seen.layers]
    assert (rows[0]["lr"], rows[3]["lr"], rows[3]["dead"], rows[3]["dead_units"]) == ("", "0.5", "1", "3")
    assert float(rows[4]["deviation"]) == seen.deviation[1, 1] and rows[3]["loss"] == ""


class Flax(nn.Module):
    """Two layers, with a ReLU output."""

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(nn.Dense(5)(x))
        return nn.relu(nn.Dense(2)(x))


def test_a_flax_loop_is_traced_once():
    traces = []

    def apply_fn(variables, x):
        traces.append(x.shape)
        return Flax().apply(variables, x)

    variables = Flax().init(jax.random.key(0), X)
    state = TrainState.create(apply_fn=apply_fn, params=variables["params"], tx=optax.sgd(0.1))
    slopes = jax.jit(jax.grad(lambda p: jnp.square(jnp.asarray(Flax().apply({"params": p}, X)) - 1).mean()))
    deaths = []
    watcher = jaxact.watch(apply_fn, X, 3, on_death=deaths.append)
    quiet(watcher, [0], state)
    once = len(traces)
    for step in range(1, 10):
        state = state.apply_gradients(grads=slopes(state.params))
        if step == 5:
            state = state.replace(
                params=changed({"params": state.params}, "Dense_1", "bias", lambda b: b - 100)["params"]
            )
        quiet(watcher, [int(state.step)], state)
    assert once > 0 and len(traces) == once and len(watcher.looks) == 4
    assert [(death.step, death.layer, death.kind, death.units) for death in deaths] == [(6, "Dense_1", "layer", (0, 1))]


def test_an_optax_loop_and_its_curve_in_tensorboard(tmp_path):
    def loss(params):
        return optax.softmax_cross_entropy_with_integer_labels(network(params, X), jnp.asarray(LABELS)).mean()

    optimizer, params = optax.adam(1e-2), draw()

    @jax.jit
    def train(params, state):
        value, slopes = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(slopes, state, params)
        return optax.apply_updates(params, updates), state, value

    state, losses = optimizer.init(params), {}
    with jaxact.watch(network, X, 4, labels=LABELS, tensorboard=tmp_path / "board") as watcher:
        for step in range(13):
            before = params
            params, state, value = train(params, state)
            watcher(step, before, {"loss": value})
            losses[step] = float(value)
    found = scalars_of(tmp_path / "board")
    for step in (0, 4, 8, 12):
        look = watcher.looks[step // 4]
        np.testing.assert_allclose(found["loss/watched_batch", step], losses[step], rtol=1e-5)
        np.testing.assert_allclose(found["info/loss", step], losses[step], rtol=1e-6)
        assert found[f"dead_units/{look.layers[0].name}", step] == len(look.layers[0].dead) / 8
        np.testing.assert_allclose(found[f"deviation/{look.layers[1].name}", step], look.layers[1].deviation, rtol=1e-6)
    assert {step for _, step in found} == {0, 4, 8, 12} and losses[12] < losses[0]


def test_a_module_that_brings_its_variables_is_handed_over_at_every_call():
    first = nnx.Linear(6, 5, rngs=nnx.Rngs(0))
    model = nnx.Sequential(first, nnx.relu, nnx.Linear(5, 2, rngs=nnx.Rngs(1)))
    watcher = jaxact.watch(model, X, 1)
    watcher(0, model)
    first.bias[...] = first.bias[...].at[3].set(-100.0)
    with pytest.warns(DeathWarning, match=r"unit 3 of layers/0 is dead at step 1, and was not at step 0; 1 of 5"):
        watcher(1, model)


def test_nan_during_training_is_one_warning_that_names_the_layer():
    watcher, params = jaxact.watch(network, X, 1, labels=LABELS), draw()
    quiet(watcher, [0], params)
    bad = [params[0], params[1] | {"w": params[1]["w"].at[0, 0].set(jnp.nan)}, params[2]]
    name = watcher.looks[0].layers[1].name
    with pytest.warns(
        BrokenWarning, match=f"{name} is broken at step 1 .the look before was at step 0.: 14.29% of its pre"
    ):
        look = looked(watcher, 1, bad)
    assert look.layers[1].broken == pytest.approx(1 / 7) and np.isnan(look.layers[1].mean)
    quiet(watcher, [2], bad)
    assert len(watcher.looks) == 3 and watcher.deaths == []
    with pytest.warns(BrokenWarning, match="1 entries of 1/w"):
        jaxact.watch(network, X, 1)(0, bad)


def test_no_unit_dies_behind_a_factor_that_starts_at_0():
    def gated(params, x):
        return x @ params["v"] + params["gate"] * jax.nn.relu(x @ params["w"])

    params = {"v": draw()[0]["w"], "w": draw(seed=2)[0]["w"], "gate": jnp.zeros(())}
    watcher = jaxact.watch(gated, X, 1)
    quiet(watcher, [0], params)
    quiet(watcher, [1], params | {"gate": jnp.ones(())})
    off = params | {"gate": jnp.ones(()), "w": params["w"].at[:, 3].set(0)}
    with pytest.warns(DeathWarning, match="unit 3 of w is dead at step 2, and was not at step 1; 1 of 8"):
        watcher(2, off)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"every": 0}, "every is 0: give the steps between two looks"),
        ({"every": True}, "every is True"),
        ({"batch": None}, "the batch is None"),
        ({"batch": X * np.nan}, "240 of the 240 entries of the batch"),
        ({"labels": LABELS[:5]}, r"labels have shape \(5,\)"),
        ({"apply_fn": None}, "apply_fn is None"),
    ],
)
def test_bad_arguments_are_one_line(change, message):
    with pytest.raises(ValueError, match=message) as caught:
        jaxact.watch(**({"apply_fn": network, "batch": X, "every": 1} | change))
    assert "\n" not in str(caught.value)


def test_bad_calls_are_one_line(tmp_path, monkeypatch):
    watcher, params = jaxact.watch(network, X, 1), draw()
    wrong: list[tuple[Any, Any, Any, str]] = [
        (0.5, params, None, "step is 0.5"),
        (0, None, None, "variables is None"),
        (0, params, {"loss": "low"}, "info is"),
    ]
    for step, variables, info, message in wrong:
        with pytest.raises(ValueError, match=message):
            watcher(step, variables, info)
    for call in (lambda p: watcher(0, p), lambda p: watcher(p[0]["b"].sum().astype(int), params)):
        with pytest.raises(ValueError, match="watch was called inside jit, grad or vmap"):
            jax.jit(call)(params)
    with pytest.raises(ValueError, match="labels run from 1 to 3, the network has 3 classes: count them from 0"):
        jaxact.watch(network, X, 1, labels=LABELS + 1)(0, params)
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written"):
        jaxact.watch(network, X, 1, tensorboard=tmp_path / "file")
    monkeypatch.setattr("jaxact.report.tensorboard.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="tensorboard= needs tensorboardX: pip install"):
        jaxact.watch(network, X, 1, tensorboard=tmp_path)
