"""The parts of `experiments.depth`: each computes its tables, rows of plain values in a fixed order."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np

from jaxact import numerics
from jaxact import theory as mf
from jaxact.classics.depth.chain import CHAIN_LAWS, chain_log_gradients, draw_chain
from jaxact.classics.depth.dying import dead_by_depth
from jaxact.classics.depth.gradients import log_apjn
from jaxact.classics.depth.lab import DRAW, INPUT, PROBE, Draws, Lab, Rows
from jaxact.classics.depth.plan import DepthPlan
from jaxact.classics.depth.stack import prefix
from jaxact.classics.depth.trainability import TrainedStack, make_member
from jaxact.execution.progress import progress
from jaxact.statistics import clopper_pearson
from jaxact.training import parallel

TEN = np.log(10)
EXAMPLES = 4  # inputs per network of part gradients
LOOKED_AT = 64  # training examples on which the layers of trained stacks are measured
EVERY = 20  # deeper stacks have every fifth layer in the tables
DYING_WIDTHS = (2, 3, 4, 6, 10)
DYING_INPUTS = (1, 16)


@numerics.pinned()
def chain(lab: Lab) -> dict[str, Rows]:
    """|∂x^r/∂x^0| of width-1 chains beside the bound, for every activation and law of the weight."""
    keys = jax.random.split(lab.key(DRAW), lab.plan.chains)
    x = jax.random.normal(lab.key(INPUT), (lab.plan.chains,))

    @jax.jit
    def logs_of(weights: Any, biases: Any, which: Any) -> Any:
        return jax.vmap(lambda w, b, x: chain_log_gradients(w, b, lab.phis, which, x))(weights, biases, x)

    rows: Rows = []
    for law, init in CHAIN_LAWS.items():
        drawn = jax.jit(jax.vmap(lambda key, init=init: draw_chain(key, init, lab.deepest)))(keys)
        for which, entry in enumerate(lab.phis.entries):
            logs = np.asarray(logs_of(*drawn, which), np.float64)
            assert entry.lipschitz is not None
            rows += [_chain_row(entry.spec, law, r, logs[:, r - 1], entry.lipschitz) for r in range(1, lab.deepest + 1)]
    print(f"chain: {lab.plan.chains} chains of {lab.deepest} units, {len(CHAIN_LAWS)} laws", flush=True)
    return {"chain": sorted(rows, key=lambda row: (lab.plan.activations.index(row["activation"]), row["law"]))}


def _chain_row(activation: str, law: str, r: int, logs: np.ndarray, slope: float) -> dict[str, Any]:
    bound = r * np.log10(slope)
    mean, rms = log_mean(logs) / TEN, log_mean(2 * logs) / 2 / TEN
    # A hair of room: |w| = 1 at φ'(0) meets the bound exactly, up to rounding.
    above = float(np.mean(logs > bound * TEN + 1e-4))
    row = {"activation": activation, "law": law, "length": r, "log10_bound": float(bound), "log10_mean": mean}
    return row | {"log10_rms": rms, "log10_median": float(np.median(logs)) / TEN, "share_above_bound": above}


def log_mean(logs: np.ndarray, axis: Any = None) -> Any:
    """Logarithm of the mean of exp(logs); −inf where all are."""
    with np.errstate(divide="ignore"):
        peak = np.max(logs, axis=axis, keepdims=True)
        shift = np.where(np.isfinite(peak), peak, 0)
        mean = np.log(np.mean(np.exp(logs - shift), axis=axis)) + shift.squeeze(axis)
    return float(mean) if np.ndim(mean) == 0 else mean


@numerics.pinned()
def gradients(lab: Lab) -> dict[str, Rows]:
    """√APJN of wide stacks at initialisation, every layer of stacks of the plan's depths, beside mean-field theory."""
    plan, mesh = lab.plan, parallel.make_mesh()
    networks = padded(plan.networks, mesh.size)
    probes = jax.random.normal(lab.key(PROBE), (plan.networks, EXAMPLES, plan.wide))[networks]
    images = lab.data.train_images[: plan.networks * EXAMPLES]
    images = np.resize(images, (plan.networks, EXAMPLES, lab.features))[networks]

    def logs_of(stack: Any, which: Any, images: Any, probes: Any) -> Any:
        return jax.vmap(lambda x, v: log_apjn(stack, lab.phis, which, x, v))(images, probes)

    run = parallel.over_members(logs_of, mesh, parallel.resolve_strategy("auto"), (False, True, False, False))
    rows: Rows = []
    draws = Draws(lab, plan.wide, networks.tolist())
    with progress(len(lab.combinations), "gradients") as bar:
        for done, (name, init, law, predicted) in enumerate(lab.combinations, start=1):
            logs = np.asarray(run(draws.stacks(law), np.int32(lab.which(name)), images, probes), np.float64)
            slope = lab.phis.entries[lab.which(name)].lipschitz
            assert slope is not None
            for length in plan.depths:
                theory = predicted.log_apjn[length - 1, :length] / 2 / TEN
                bound = float(np.log10(slope)) * np.arange(length - 1, -1, -1)
                head = {"activation": name, "init": init, "width": plan.wide, "depth": length}
                rows += _gradient_rows(head, logs[: plan.networks, :, length - 1, :length], theory, bound)
            bar.advance(1)
            if not done % len(plan.inits):
                bar.say(f"gradients: {done} of {len(lab.combinations)} activations and initialisers")
    return {"gradients": rows}


def padded(members: int, size: int) -> np.ndarray:
    """Indices of so many members, the last repeated up to a multiple of the number of devices."""
    return np.minimum(np.arange(-(-members // size) * size), members - 1)


def tabled(depth: int) -> list[int]:
    """Layers of a stack that the tables hold, from 1: all up to `EVERY` layers, else the first and every fifth."""
    return [layer for layer in range(1, depth + 1) if depth <= EVERY or layer == 1 or layer % 5 == 0]


def _gradient_rows(head: dict[str, Any], logs: np.ndarray, theory: np.ndarray, bound: np.ndarray) -> Rows:
    """Rows of one stack depth, from ln APJN [networks, examples, layers]."""
    rms = log_mean(logs, axis=(0, 1)) / 2 / TEN
    per_network = log_mean(logs, axis=1) / 2 / TEN
    with np.errstate(invalid="ignore"):
        typical, low, high = np.median(per_network, 0), per_network.min(0), per_network.max(0)
    columns = {
        "log10_chain_bound": bound,
        "log10_predicted": theory,
        "log10_rms": np.atleast_1d(rms),
        "log10_median": typical,
    }
    columns |= {"log10_min": low, "log10_max": high}
    return [
        head | {"layer": layer} | {name: float(column[layer - 1]) for name, column in columns.items()}
        for layer in tabled(logs.shape[2])
    ]


@numerics.pinned()
def training(lab: Lab) -> dict[str, Rows]:
    """Accuracy after the budget for every activation, initialiser and depth, and the layers before and after."""
    plan, mesh = lab.plan, parallel.make_mesh()
    member = make_member(lab.phis, plan.epochs, plan.batch_size, LOOKED_AT)
    shared = (False, True, False, False, True, True, True, True)
    run = parallel.over_members(member, mesh, parallel.resolve_strategy("auto"), shared)
    full = len(lab.data.train_images) // plan.batch_size * plan.batch_size
    data = lab.data.train_images[:full], lab.data.train_labels[:full], lab.data.test_images, lab.data.test_labels
    draws = Draws(lab, plan.width, plan.seeds)
    stacks = jax.device_get([draws.stacks(one.law) for one in lab.combinations])  # NumPy slices without compiling
    order = [(rate, i) for rate in plan.learning_rates for i in range(len(plan.seeds))]
    rates, index = (np.array(column)[padded(len(order), mesh.size)] for column in zip(*order, strict=True))

    def arguments(number: int, length: int) -> tuple[Any, ...]:
        members = jax.tree.map(lambda leaf: leaf[index], prefix(stacks[number], length))
        which = np.int32(lab.which(lab.combinations[number].activation))
        return members, which, rates.astype(np.float32), np.array(plan.seeds)[index], *data

    runs: Rows = []
    layers: Rows = []
    with (
        ThreadPoolExecutor(mesh.size) as pool,  # XLA compiles outside the interpreter's lock
        progress(len(stacks) * len(plan.depths) * len(order) * plan.epochs, "training") as bar,
    ):
        compiled = {length: pool.submit(run.lower(*arguments(0, length)).compile) for length in plan.depths}
        for length in plan.depths:
            for number, one in enumerate(lab.combinations):
                outcome = jax.device_get(compiled[length].result()(*arguments(number, length)))
                head = {"activation": one.activation, "init": one.init, "width": plan.width, "depth": length}
                runs += _run_rows(head, plan, order, outcome)
                layers += _layer_rows(head, plan, outcome)
                bar.advance(len(order) * plan.epochs)
            bar.say(f"training: depth {length}")
    by = lambda row: (lab.which(row["activation"]), plan.inits.index(row["init"]), row["depth"])  # noqa: E731
    return {"training": sorted(runs, key=by), "layers": sorted(layers, key=by)}


def _run_rows(head: dict[str, Any], plan: DepthPlan, order: list[tuple[float, int]], outcome: TrainedStack) -> Rows:
    best = best_rate(plan, outcome)
    return [
        head
        | {"learning_rate": rate, "seed": plan.seeds[i], "best_rate": int(rate == plan.learning_rates[best])}
        | {"train_loss": float(outcome.loss[k, -1]), "train_accuracy": float(outcome.train_accuracy[k])}
        | {"test_accuracy": float(outcome.test_accuracy[k]), "diverged": int(not np.isfinite(outcome.loss[k]).all())}
        for k, (rate, i) in enumerate(order)
    ]


def best_rate(plan: DepthPlan, outcome: TrainedStack) -> int:
    """The learning rate whose seeds end with the largest mean training accuracy; the test set has no say."""
    shape = len(plan.learning_rates), len(plan.seeds)
    members = shape[0] * shape[1]
    finite = np.isfinite(outcome.loss[:members]).all(axis=1)
    return int(np.argmax(np.where(finite, outcome.train_accuracy[:members], 0).reshape(shape).mean(axis=1)))


def _layer_rows(head: dict[str, Any], plan: DepthPlan, outcome: TrainedStack) -> Rows:
    """Rows per layer, before and after training at the best rate, averaged over seeds (gradients: in the logarithm)."""
    best, seeds = best_rate(plan, outcome), len(plan.seeds)
    rows: Rows = []
    for stage in ("before", "after"):
        of_best = [np.asarray(x)[best * seeds : (best + 1) * seeds].mean(axis=0) for x in getattr(outcome, stage)]
        gradient, kernel, saturated, zero, dead = of_best
        rows += [
            head
            | {"stage": stage, "layer": i + 1, "log10_gradient": float(gradient[i] / TEN)}
            | {"log10_kernel_gradient": float(kernel[i] / TEN), "saturated": float(saturated[i])}
            | {"zero": float(zero[i]), "dead_units": float(dead[i])}
            for i in (layer - 1 for layer in tabled(head["depth"]))
        ]
    return rows


@numerics.pinned()
def dying(lab: Lab) -> dict[str, Rows]:
    """The share of ReLU networks dead by each depth, for one input beside the closed form, and for several inputs."""
    images, widest = lab.data.train_images[: max(DYING_INPUTS)], max(DYING_WIDTHS)

    @jax.jit
    def dead_of(keys: Any, images: Any, width: Any) -> Any:
        return jax.vmap(lambda key: dead_by_depth(key, images, width, lab.deepest, widest))(keys)

    rows: Rows = []
    for width in DYING_WIDTHS:
        dead = np.asarray(dead_of(jax.random.split(lab.key(DRAW, width), lab.plan.chains), images, width))
        for inputs in DYING_INPUTS:
            counts = dead[:, :, :inputs].all(axis=2).sum(axis=0)
            for length, count in enumerate(counts.tolist(), start=1):
                share, low, high = clopper_pearson(count, lab.plan.chains)
                exact = mf.dying_relu_probability([width] * length) if inputs == 1 else None
                row = {"width": width, "depth": length, "inputs": inputs, "networks": lab.plan.chains, "dead": count}
                rows.append(row | {"share": float(share), "low": float(low), "high": float(high), "closed_form": exact})
        print(f"dying: {lab.plan.chains} networks of width {width}", flush=True)
    return {"dying": rows}
