"""Which parameters the diagnosis sees and which the gradient reaches, against `jax.grad` of the outputs."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.foreign_networks import batch, changed, healthy, start

import jaxact
from jaxact.diagnosis.adapters import form_of, paths_of, traced
from jaxact.diagnosis.reach import every_output, find_groups, used_leaves

X = batch(6)


def groups(network, weights, x=X):
    """Why each parameter group is not seen; "" for those that are."""
    form, _ = form_of(weights, x)
    graph = traced(network, form, {}).subject.graph
    used = used_leaves(every_output(network, form.structure), form.leaves, x)
    return {group.name: group.unseen for group in find_groups(graph, paths_of(form.structure), form.leaves, used)}


def square(*names, **others):
    rng = np.random.default_rng(0)
    shapes = {name: (6, 6) for name in names} | others
    return {
        name: {"kernel": jnp.asarray(rng.normal(size=shape) / 6**0.5, jnp.float32)} for name, shape in shapes.items()
    }


def k(weights, name):
    return weights[name]["kernel"]


def scanned(w, x):
    x, _ = jax.lax.scan(lambda x, w: (jnp.tanh(x @ w), None), x @ k(w, "a"), k(w, "body"))
    return x @ k(w, "z")


def while_loop(w, x):
    return jax.lax.while_loop(lambda x: x.sum() > 1e9, lambda x: x @ k(w, "body"), x @ k(w, "a")) @ k(w, "z")


def branched(w, x):
    x = x @ k(w, "a")
    return jax.lax.cond(x.sum() > 0, lambda x: x @ k(w, "body"), lambda x: x, x) @ k(w, "z")


def second(w, x):
    x = jnp.tanh(x @ k(w, "a"))
    return x @ k(w, "z"), {"value": jax.nn.relu(x @ k(w, "body"))}


def unused(w, x):
    return jnp.tanh(x @ k(w, "a")) @ k(w, "z")


@pytest.mark.parametrize(
    ("network", "why", "shape"),
    [
        (scanned, "inside a scan", (3, 6, 6)),
        (while_loop, "inside a while loop", (6, 6)),
        (branched, "inside a cond", (6, 6)),
        (second, "for another output", (6, 6)),
        (unused, "no output depends on it", (6, 6)),
    ],
)
def test_why_a_parameter_group_is_not_seen(network, why, shape):
    assert groups(network, square("a", "z", body=shape)) == {"a": "", "z": "", "body": why}


def test_groups_are_modules_and_running_averages_are_none():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = x + self.param("shift", nn.initializers.zeros, (1, 6))
            x = nn.BatchNorm(use_running_average=True)(nn.Dense(6, name="inner")(x))
            x = nn.PReLU()(x) * self.param("temperature", nn.initializers.ones, ())
            return nn.Dense(3)(x.reshape(len(x), 2, 3)).sum(1)

    found = groups(Net().apply, start(Net(), X))
    assert sorted(found) == ["BatchNorm_0", "Dense_0", "PReLU_0/negative_slope", "inner", "shift", "temperature"]
    assert set(found.values()) == {""}
    assert groups(
        lambda w, x: x @ w[0] + 0 * w[2].astype(jnp.float32), [jnp.ones((6, 2)), jnp.ones(3), jnp.ones((), int)]
    ) == {
        "0": "",
        "1": "no output depends on it",
    }


def test_other_outputs_layers_in_loops_and_unused_ones_are_not_called_healthy():
    found = jaxact.diagnose(second, square("a", "z", "body", "spare"), X)
    assert (found.main, found.verdicts[0].number, found.verdicts[0].limit) == ("incomplete", 2, 4)
    text = "2 of 4 parameter groups seen; not seen: body (for another output), spare (no output depends on it)"
    assert [verdict.text for verdict in found.verdicts] == [text] and "healthy" not in str(found)
    assert jaxact.diagnose(unused, square("a", "z"), X).main == "healthy"


class Grouped(nn.Module):
    """The reshape within the group norm hides the activation."""

    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(nn.relu(nn.GroupNorm(2)(nn.Dense(8)(x))))


def test_a_network_whose_output_is_the_same_for_all_inputs_is_never_healthy():
    variables = changed(start(Grouped(), X), "GroupNorm_0", "bias", lambda b: b - 100)
    assert not np.any(jax.jacrev(lambda x: Grouped().apply(variables, x))(X[:2]))
    found = jaxact.diagnose(Grouped().apply, variables, X)
    kinds = {verdict.kind for verdict in found.verdicts if not verdict.because}
    assert found.main != "healthy" and kinds & {"dead", "no gradient"}
    assert jaxact.diagnose(Grouped().apply, start(Grouped(), X), X).main == "healthy"


@pytest.mark.parametrize(
    ("between", "stuck"),
    [
        (jax.lax.stop_gradient, ["a"]),
        pytest.param(jnp.round, ["a"], marks=pytest.mark.slow),
        pytest.param(lambda h: 0 * h, ["a", "b"], marks=pytest.mark.slow),
        pytest.param(lambda h: jnp.sort(h, axis=-1), [], marks=pytest.mark.slow),
    ],
)
def test_parameters_without_gradient_are_named(between, stuck):
    """Of all outputs together, against `jax.grad`; the other output keeps a layer alive that the first one loses."""
    weights = square("a", "b")

    def network(w, x):
        return between(x @ k(w, "a")) @ k(w, "b") + jnp.ones((1, 6))

    slopes = jax.grad(lambda w: jnp.sum(network(w, X) * batch(6, seed=3)))(weights)
    assert [name for name in weights if not np.any(k(slopes, name))] == stuck
    found = jaxact.diagnose(network, weights, X)
    assert (found.main == "healthy") == (not stuck)
    texts = " ".join(verdict.text for verdict in found.verdicts)
    assert not stuck or all(name in texts for name in stuck)
    other = jaxact.diagnose(lambda w, x: (network(w, x), x @ k(w, "a") @ k(w, "b")), weights, X)
    assert "no gradient" not in [verdict.kind for verdict in other.verdicts]


def test_a_branch_that_starts_at_a_factor_of_zero_is_not_dead():
    """As in ReZero: the factor moves in the first step, the branch in the second. Frozen at 0, it stays dead."""
    rng = np.random.default_rng(0)
    shapes = {"in": (12, 16), "b0": (16, 16), "b1": (16, 16), "out": (16, 5)}
    weights = {name: {"kernel": jnp.asarray(rng.normal(size=shape) / 4, jnp.float32)} for name, shape in shapes.items()}
    factors = {"alpha0": jnp.zeros(()), "alpha1": jnp.zeros(())}

    def network(w, x):
        h = x @ k(w, "in")
        for index in range(2):
            h = h + w[f"alpha{index}"] * jnp.tanh(h @ k(w, f"b{index}"))
        return h @ k(w, "out")

    x = jnp.asarray(rng.normal(size=(48, 12)), jnp.float32)
    found = jaxact.diagnose(network, weights | factors, x)
    found.assert_healthy()
    assert any(note.startswith("b0, b1 get their gradient only after") for note in found.notes)
    slope = jax.grad(lambda w: jnp.sum(network(w, x) ** 2))(weights | factors)
    assert not np.any(k(slope, "b0")) and float(slope["alpha0"]) != 0
    moved = {name: value - 0.01 * slope[name] for name, value in factors.items()}
    assert np.any(k(jax.grad(lambda w: jnp.sum(network(w, x) ** 2))(weights | moved), "b0"))
    frozen = jaxact.diagnose(lambda w, x: network(w | factors, x), weights, x)
    assert not frozen.ok


def test_an_output_that_only_later_examples_turn_on_has_a_gradient():
    """The first 16 examples, on which the gradient is looked at first, are all on its flat side."""
    weights = {"a": {"kernel": jnp.ones((4, 1))}}
    x = jnp.where(jnp.arange(48)[:, None] < 40, -1.0, 1.0) * jnp.arange(1.0, 49.0)[:, None] * jnp.ones((1, 4))
    found = jaxact.diagnose(lambda w, x: jax.nn.relu(x @ k(w, "a")), weights, x)
    assert "no gradient" not in [verdict.kind for verdict in found.verdicts]
    never = jaxact.diagnose(lambda w, x: jax.nn.relu(x @ k(w, "a")), weights, -jnp.abs(x))
    assert not never.ok


@pytest.mark.slow
def test_heads_and_branches_that_start_at_zero_are_no_fault():
    """After the head's first step the rest has its gradient; a head and a branch behind it need two steps."""

    def network(w, x):
        x = jnp.tanh(x @ k(w, "a"))
        x = x + jnp.tanh(x @ k(w, "b")) @ k(w, "c")
        return x @ k(w, "z")

    waiting = {"z": "a, b, c get their gradient only after z has", "c": "b gets its gradient only after c has"}
    for zeros, note in (waiting | {"cz": waiting["z"]}).items():
        weights = square("a", "b", "c", "z")
        for name in zeros:
            weights[name]["kernel"] *= 0
        found = jaxact.diagnose(network, weights, X)
        assert found.main == "healthy" and any(text.startswith(note) for text in found.notes)
    weights["b"]["kernel"] *= 0  # a product of two that are both 0 never moves
    found = jaxact.diagnose(network, weights, X)
    assert found.main == "equal weights" and "all weights of b, c are 0" in found.verdicts[0].text


@pytest.mark.slow
def test_the_gradient_of_outputs_behind_a_while_loop_is_not_looked_at_and_that_is_said():
    def network(w, x):
        h = jnp.tanh(x @ k(w, "a"))
        return h @ k(w, "z"), jax.lax.while_loop(lambda h: h.sum() > 1e9, lambda h: h @ k(w, "body"), h)

    found = jaxact.diagnose(network, square("a", "z", "body"), X)
    assert found.main == "incomplete" and any("gradient of all outputs was not looked at" in n for n in found.notes)


@pytest.mark.slow
def test_a_dead_layer_explains_what_gets_no_gradient_before_and_after_it_but_no_other_branch():
    model, variables, x = healthy()
    found = jaxact.diagnose(model.apply, changed(variables, "Conv_1", "bias", lambda b: b - 100), x)
    assert [verdict.kind for verdict in found.verdicts] == ["dead"]

    def network(w, x):
        hidden = jax.lax.stop_gradient((x @ k(w, "b")).reshape(-1, 3, 2))
        return jax.nn.relu(x @ k(w, "a") - 100) @ k(w, "z") + hidden.reshape(-1, 6)

    found = jaxact.diagnose(network, square("a", "b", "z"), X)
    causes = [(verdict.kind, verdict.layer) for verdict in found.verdicts if not verdict.because]
    assert sorted(causes) == [("dead", "a"), ("dead", "b")]
