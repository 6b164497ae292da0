"""Trains the networks of `experiments.jacobian`, keeping their states, and looks into them between epochs."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from jaxact import numerics, probes, training
from jaxact import probes as propagation
from jaxact.config import Config
from jaxact.study.jacobian.plan import JacobianPlan
from jaxact.theory import InputGroups, InputStatistics, input_groups, prediction
from jaxact.training import parallel

if TYPE_CHECKING:
    from jaxact.data import Dataset
    from jaxact.execution.progress import Progress

CHUNK = 100
"""Examples at a time, per network; exact Jacobians are taken one by one on a CPU (see `make_look`)."""
HUTCHINSON_PROBES = 8
LAYER_EXAMPLES = 5
"""Examples at which the spectra of whole layers are taken: each costs a 500 × 784 decomposition."""
STATISTICS_EXAMPLES = 10_000
"""Training examples that batch norm's full-batch statistics are taken over."""
CALL = 32
"""Most members of a call on an accelerator; on a CPU it is one per device, so that progress shows."""
HUTCHINSON = 3  # purpose of a seed's stream, after INIT, SHUFFLE, NOISE


class Look(NamedTuple):
    """One network at one time, layers in order; batch norm, if any, uses full-batch statistics as constants.

    Attributes:
        evaluation: on the test set, with the running averages of batch norm as a user's network has them.
        probe: health on the test set, gradients over the first 1,000 training examples.
        attenuation: of the gradient at the pre-activations, beside its bounds.
        spectral_norms: ‖W^l‖₂, batch norm folded in.
        spectrum: of ∂logits/∂x, at every example.
        layer_norms: ‖∂x^l/∂x^(l−1)‖_F² at every example.
        apjn: (1/n_L)‖∂h^L/∂h^l‖_F² at [L, l], at every example.
        hutchinson: the same, estimated without Jacobians, mean over the examples with its standard error.
        layer_spectra: per layer, of ∂x^l/∂x^(l−1), at the first `LAYER_EXAMPLES` examples.
    """

    evaluation: training.Evaluation
    probe: probes.Probe
    attenuation: propagation.Attenuation
    spectral_norms: Any
    spectrum: propagation.Spectrum
    layer_norms: Any
    apjn: Any
    hutchinson: propagation.Estimate
    layer_spectra: tuple[propagation.Spectrum, ...]


class Measured(NamedTuple):
    """One configuration.

    Attributes:
        config: the configuration.
        look: a `Look` of NumPy arrays, [seeds, times, ...]; times are initialisation and the end of every epoch.
        theory: mean-field prediction at initialisation, dead units on as many inputs as the test set has; None with
            batch norm, which has none.
    """

    config: Config
    look: Any
    theory: prediction.Prediction | None

    @property
    def diverged(self) -> np.ndarray:
        """[seeds] whether the final test loss is not finite."""
        return ~np.isfinite(self.look.evaluation.loss[:, -1])

    def accuracy(self, time: int = -1) -> np.ndarray:
        """[seeds] test accuracy in percent; NaN for a diverged seed."""
        scores = self.look.evaluation
        accuracy = 100 * scores.correct[:, time].sum(-1) / scores.predicted[:, time].sum(-1)
        return np.where(self.diverged, np.nan, accuracy)


class Results(NamedTuple):
    """All configurations, by name, with the statistics of their inputs and where these came from."""

    configs: dict[str, Measured]
    inputs: InputGroups | InputStatistics
    source: str


def measure(plan: JacobianPlan, data: "Dataset", bar: "Progress") -> Results:
    """Train every configuration from every seed and look into the networks at every time."""
    known = input_groups(data.train_images)
    lab, found = Lab(plan, data), {}
    for config in plan.configs:
        theory = None
        if not config.batch_norm:
            theory = prediction.predict(config, data.train_images.shape[1], known, len(data.test_labels))
        found[config.name] = Measured(config, lab.run(config, bar), theory)
    return Results(found, known, data.source)


class Lab:
    """One architecture, compiled once for all activations of a plan, with the data on its devices."""

    @numerics.pinned()
    def __init__(self, plan: JacobianPlan, data: "Dataset") -> None:
        self.plan, config = plan, plan.configs[0]
        mesh, strategy = parallel.make_mesh(), parallel.resolve_strategy("auto")
        # A vmapped call gets the activations of one configuration, so that its switch is not computed in full.
        self.size = mesh.size if strategy == "map" else -(-min(CALL, len(plan.seeds)) // mesh.size) * mesh.size
        self.members, self.shared = (NamedSharding(mesh, spec) for spec in (parallel.MEMBERS, parallel.SHARED))
        program = training.make_program(config, plan.choices)
        look = make_look(config, plan.choices, plan.examples)
        own, common = False, True
        self._start = parallel.over_members(program.initialise, mesh, strategy, (own, common, common))
        self._epoch = parallel.over_members(
            program.epoch, mesh, strategy, (own, own, common, common, common, common), donate=(0,)
        )
        self._look = parallel.over_members(look, mesh, strategy, (own, own, common, common, common, common))
        self.train = self._put((data.train_images, data.train_labels))
        self.test = self._put((data.test_images, data.test_labels))
        self.example = self._put(data.train_images[0])

    def _put(self, tree: Any) -> Any:
        return jax.device_put(tree, self.shared)

    @numerics.pinned()
    def run(self, config: Config, bar: "Progress") -> Look:
        """Train one configuration from all seeds; [seeds, times, ...]."""
        seeds, calls = self.plan.seeds, []
        for first in range(0, len(seeds), self.size):
            call = seeds[first : first + self.size]
            looks = self._call(config, call, bar)
            calls.append(jax.tree.map(lambda *times: np.stack(times, axis=1), *looks))
            bar.say(_line(Measured(config, calls[-1], None), call))
        return jax.tree.map(lambda *parts: np.concatenate(parts), *calls)

    def _call(self, config: Config, seeds: Sequence[int], bar: "Progress") -> list[Look]:
        padded = np.array([*seeds, *[seeds[-1]] * (self.size - len(seeds))], np.int32)
        keys = jax.device_put(padded, self.members)
        which = self._put(np.array(training.which_of(config, self.plan.choices), np.int32))
        state, looks = self._start(keys, which, self.example), []
        for number in range(self.plan.epochs + 1):
            if number:
                state, _ = self._epoch(state, keys, which, self._put(np.int32(number - 1)), *self.train)
            seen = jax.device_get(self._look(state, keys, which, self._put(np.int32(number)), self.test, self.train))
            looks.append(jax.tree.map(lambda leaf: leaf[: len(seeds)], seen))
            bar.advance(len(seeds))
        return looks


def _line(measured: Measured, seeds: Sequence[int]) -> str:
    accuracy, dead = measured.accuracy(), measured.look.probe.dead[..., -measured.config.widths[-1] :].sum(-1)
    said = ", ".join(f"{value:.1f}" for value in accuracy)
    outputs = ", ".join(f"{first} → {last}" for first, last in dead[:, [0, -1]])
    return f"{measured.config.name}, seeds {', '.join(map(str, seeds))}: accuracy {said} %, dead outputs {outputs}"


def make_look(config: Config, choices: tuple[str, ...], examples: int) -> Callable[..., Look]:
    """What is looked at in one member: (state, seed, which, epoch, (images, labels) of test and train) → `Look`."""
    model = training.make_mlp(config, choices)
    # A batched decomposition on a CPU waits for threads of the pool it occupies: two devices then wait for each other.
    chunk = 1 if jax.default_backend() == "cpu" else CHUNK
    glance, evaluate = probes.make_probe(model), training.make_program(config, choices).evaluate

    def look(state: training.TrainState, seed: Any, which: Any, epoch: Any, test: Any, train: Any) -> Look:
        variables = {"params": state.params, "batch_stats": state.batch_stats}
        variables = propagation.full_batch_statistics(model, variables, which, train[0][:STATISTICS_EXAMPLES])
        probe, images = glance(variables, which, test[0], *train), train[0][:examples]
        spectral_norms = jnp.stack([propagation.spectral_norm(w) for w, _ in propagation.mlp_affine(model, variables)])
        phis = propagation.mlp_nonlinearities(model, variables, which).values()
        steepest = jnp.stack([jnp.asarray(phi.steepest) for phi in phis])
        jacobians = propagation.probe(model, variables, which, images, chunk=chunk)
        size = max(images.shape[1], config.widths[-1])

        def layers(x: Any) -> tuple[propagation.Spectrum, ...]:
            chain = propagation.mlp_chain(model, variables, which, x)
            numbers = range(1, len(config.widths) + 1)
            return tuple(propagation.spectrum(propagation.layer_jacobian(chain, layer)) for layer in numbers)

        return Look(
            evaluation=evaluate(state, which, *test),
            probe=probe,
            attenuation=propagation.attenuation(probe.gradient_layers, steepest, spectral_norms),
            spectral_norms=spectral_norms,
            spectrum=jax.vmap(lambda s: propagation.summarise_spectrum(s, size))(jacobians.singular_values),
            layer_norms=jacobians.layer_norms,
            apjn=jacobians.apjn,
            hutchinson=_hutchinson(
                propagation.mlp_network(model, variables, which), images, training.seed_key(seed, HUTCHINSON, epoch)
            ),
            layer_spectra=jax.lax.map(layers, images[:LAYER_EXAMPLES]),
        )

    return look


def _hutchinson(network: propagation.Network, images: Any, key: Any) -> propagation.Estimate:
    def one(example: Any) -> propagation.Estimate:
        return propagation.hutchinson_apjn(network, *example, probes=HUTCHINSON_PROBES)

    keys = jax.random.split(key, len(images))
    return propagation.average(jax.lax.map(one, (images, keys), batch_size=min(CHUNK, len(images))))


def units(measured: Measured, flags: np.ndarray, layer: int) -> np.ndarray:
    """The part of an array over the units of all layers that belongs to layer number `layer` (from 0)."""
    edges = np.cumsum([0, *measured.config.widths])
    return flags[..., edges[layer] : edges[layer + 1]]
