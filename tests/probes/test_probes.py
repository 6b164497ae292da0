"""What is recorded of every network: against float64 NumPy, the analyses of the library, and known networks."""

from functools import cache

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.numpy_activations import PHIS
from oracles.numpy_network import forward, layers_of, toy

from jaxact import probes, records, training
from jaxact import probes as health
from jaxact import probes as propagation
from jaxact.config import Config
from jaxact.training.ensemble import Ensemble

DATA = toy(train=60, test=40)
CHOICES = ("relu", "sigmoid", "tanh")
CONFIG = Config(activations=("tanh", "sigmoid", "relu"), widths=(7, 5, 3), batch_norm=(2,), batch_size=20, epochs=1)
WHICH = jnp.array([2, 1, 0])
ARRAYS = (WHICH, *map(jnp.asarray, (DATA.test_images, DATA.train_images, DATA.train_labels)))


@cache
def setting():
    """(model, jitted probe, variables of a network whose batch norm does something)."""
    model = training.make_model(CONFIG, CHOICES)
    variables = model.init(jax.random.key(5), ARRAYS[2][0], WHICH)
    norm = {"scale": jnp.linspace(0.5, 2, 5), "bias": jnp.linspace(-1, 1, 5)}
    running = {"mean": jnp.linspace(-0.3, 0.4, 5), "var": jnp.linspace(0.2, 3, 5)}
    params = variables["params"] | {"norm2": norm}
    return model, jax.jit(probes.make_probe(model)), {"params": params, "batch_stats": {"norm2": running}}


def with_(variables, layer, **parts):
    dense = variables["params"][layer] | parts
    return variables | {"params": variables["params"] | {layer: dense}}


def numpy_layers(model, variables):
    return [tuple(np.asarray(part, np.float64) for part in layer) for layer in propagation.mlp_affine(model, variables)]


def test_the_test_set_against_numpy():
    model, probe, variables = setting()
    found = probe(variables, *ARRAYS)
    phis = [PHIS[name] for name in CONFIG.activations]
    hidden, outputs = forward(numpy_layers(model, variables), phis, DATA.test_images)
    dead = []
    for layer, (h, x, phi) in enumerate(zip(hidden, outputs[1:], phis, strict=True)):
        slope = np.abs(phi.df(h))
        steepest = {"sigmoid": 0.25}.get(CONFIG.activations[layer], 1.0)
        pairs = (h.mean(0) ** 2).mean() / (h**2).mean()
        expected = {
            "negative": (h < 0).mean(),
            "saturated": (slope < 0.05 * steepest).mean(),
            "sparsity": (x == 0).mean(),
            "broken": 0,
            "nearly_dead": (((slope != 0).mean(0) <= 0.01) & (slope != 0).any(0)).sum(),
            "never_positive": (h <= 0).all(0).sum(),
            "mean_square": (h**2).mean(),
            "correlation": pairs,
        }
        for name, value in expected.items():
            np.testing.assert_allclose(getattr(found, name)[layer], value, rtol=2e-5, err_msg=f"{name} {layer}")
        dead.append((slope == 0).all(0))
    np.testing.assert_array_equal(found.dead, np.concatenate(dead))
    np.testing.assert_allclose(found.output_negative, (hidden[-1] < 0).mean(0), rtol=1e-6)


def test_the_training_set_against_the_analyses():
    model, probe, variables = setting()
    found = probe(variables, *ARRAYS)

    def network_of(params):
        return propagation.mlp_network(model, {**variables, "params": params}, WHICH)

    params, images = variables["params"], ARRAYS[2]
    expected = propagation.loss_gradients(network_of, params, images, ARRAYS[3])
    chex.assert_trees_all_close(found.gradient_layers, expected.layers, rtol=2e-5)
    kernels = [expected.params[f"dense{layer}"]["kernel"] for layer in (1, 2, 3)]
    norms = jnp.stack([jnp.linalg.norm(kernel) for kernel in kernels])
    chex.assert_trees_all_close(found.gradient_kernels, norms, rtol=2e-5)
    chex.assert_trees_all_equal(found.coherence, health.gradient_coherence(kernels[-1]))
    phis = propagation.mlp_nonlinearities(model, variables, WHICH)
    dimensions = health.intrinsic_dimensions(health.layer_outputs(network_of(params), phis), images)
    chex.assert_trees_all_close(found.dimension, jnp.stack([dimensions[f"layer{i}"] for i in (1, 2, 3)]), rtol=2e-5)
    jacobians = propagation.probe(model, variables, WHICH, images[: probes.JACOBIAN_EXAMPLES])
    chex.assert_trees_all_close(found.apjn, jacobians.apjn.mean(0), rtol=2e-5)
    chex.assert_trees_all_close(found.singular_values, jnp.median(jacobians.singular_values, axis=0), atol=1e-6)


def test_weights_alone():
    model, probe, variables = setting()
    found = probe(variables, *ARRAYS)
    kernels = [kernel for kernel, _ in layers_of(variables["params"])]
    np.testing.assert_array_equal(found.negative_weights, [(kernel < 0).sum() for kernel in kernels])
    assert found.certified_dead.tolist() == [0, 0, 0]
    # Behind a sigmoid, a unit with Σ max(w, 0) + b ≤ 0 is off for every input; behind tanh, one with Σ|w| + b ≤ 0.
    kernel, bias = (variables["params"]["dense3"][part] for part in ("kernel", "bias"))
    just = -jnp.maximum(kernel, 0).sum(0) * (1 + 1e-5)
    dying = with_(variables, "dense3", bias=bias.at[1].set(just[1]))
    assert probe(dying, *ARRAYS).certified_dead.tolist() == [0, 0, 1]
    second, _ = propagation.mlp_affine(model, variables)[1]
    norm = variables["params"]["norm2"] | {"bias": variables["params"]["norm2"]["bias"].at[:2].set(-100.0)}
    sunk = variables | {"params": variables["params"] | {"norm2": norm}}
    assert jnp.abs(second).sum(0).max() < 90
    assert probe(sunk, *ARRAYS).certified_dead.tolist() == [0, 2, 0]


def test_a_dead_output_layer_passes_no_gradient():
    _, probe, variables = setting()
    found = probe(with_(variables, "dense3", bias=jnp.full(3, -50.0)), *ARRAYS)
    assert found.dead[-3:].all() and found.never_positive[2] == 3 and found.negative[2] == 1
    for name in ("gradient_layers", "gradient_kernels", "coherence", "singular_values"):
        assert not getattr(found, name).any(), name
    assert found.dimension[2] == 0 and found.dimension[1] > 1


def test_a_broken_network_shows_as_broken():
    _, probe, variables = setting()
    found = probe(with_(variables, "dense1", bias=jnp.full(7, jnp.nan)), *ARRAYS)
    assert (found.broken == 1).all() and jnp.isnan(found.mean_square).all() and jnp.isnan(found.apjn[2, 0])
    assert not found.dead.any() and jnp.isnan(found.gradient_layers[0])


@pytest.mark.parametrize("strategy", ["map", pytest.param("vmap", marks=pytest.mark.slow)])
def test_an_ensemble_keeps_them_per_member_and_time(strategy):
    machine = Ensemble(CONFIG, CHOICES, DATA, size=2, strategy=strategy, devices=1, probe=True)
    history = machine.run([(CONFIG, seed) for seed in (3, 4)])
    assert history.probes is not None and not np.array_equal(
        history.probes.mean_square[0], history.probes.mean_square[1]
    )
    arrays = history.arrays(1)
    assert set(arrays) == set(records.ARRAYS)
    sizes = {"epochs": 1, "times": 2, "layers": 3, "units": 15, "classes": 3, "values": 3}
    for name, value in arrays.items():
        assert value.shape == tuple(sizes[axis] for axis in records.AXES[name]), name
    model, probe, _ = setting()
    start = jax.jit(model.init)(training.seed_key(4, training.INIT), ARRAYS[2][0], WHICH)
    expected = probe(start, *ARRAYS)
    for name in ("dead", "negative_weights", "never_positive"):
        np.testing.assert_array_equal(getattr(history.probes, name)[1, 0], getattr(expected, name), err_msg=name)
    np.testing.assert_allclose(history.probes.gradient_layers[1, 0], expected.gradient_layers, rtol=1e-5)


def test_scores_from_the_probes_pass_are_those_of_the_evaluation():
    """Chunks of any size, through batch norm; the loss up to the rounding of another order."""
    model, _, variables = setting()
    state = training.TrainState(variables["params"], variables["batch_stats"], None)
    expected = training.make_evaluate(model, 3)(state, WHICH, ARRAYS[1], jnp.asarray(DATA.test_labels))
    probe = jax.jit(probes.make_probe(model, training.evaluation_sums))
    found, sums = probe(variables, WHICH, (ARRAYS[1], jnp.asarray(DATA.test_labels)), *ARRAYS[2:])
    np.testing.assert_allclose(sums.loss / len(DATA.test_labels), expected.loss, rtol=1e-6)
    np.testing.assert_array_equal(sums.correct, expected.correct)
    np.testing.assert_array_equal(sums.predicted, expected.predicted)
    assert expected.correct.sum() not in (0, len(DATA.test_labels))
    np.testing.assert_array_equal(found.dead, setting()[1](variables, *ARRAYS).dead)


def test_records_name_every_field():
    assert tuple(sorted(records.PROBES)) == tuple(sorted(probes.Probe._fields))
