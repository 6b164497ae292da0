"""The audit: sentences of the study as predicates, evaluated on its own figures and on ours.

A claim about means is true or false where the intervals leave no doubt, and undecided where they do or where the runs
are missing. Published figures are audited as printed, runs that repeat another run counted once; a single published
run has no interval and is taken at its word. Of our runs, fewer than `LEAST_RUNS` per combination decide nothing.

Source of the statements: Nikhil & Mekala 2018, "Is ReLU After Sigmoid Bad?", its text, tables and questions.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxact.statistics.intervals import LEAST_RUNS
from jaxact.study import published
from jaxact.study.findings import Finding, all_of, apart, below, interval, reaches, shown, spread
from jaxact.study.published import PublishedTable, distinct_runs, load_table

Accuracies = Mapping[str, Float[np.ndarray, " _"]]
Ours = Mapping[str, Accuracies]
"""By protocol and configuration: percent per seed.

Protocols are `mnist` and `cifar10` as published, with `_batch32` for CIFAR-10 with the batch of the text, then
`_batchnorm` or `_batchnorm_last`, then `_rmsprop`, `_adagrad` or `_adadelta`: `mnist_adagrad`.
"""
OPTIMIZERS = ("rmsprop", "adadelta", "adagrad")
"""Those of the study's table besides SGD, whose column is a run of the main table."""

FAILED, TRAINED = 80.0, 90.0
"""The study says "fails" and "works"; here, on MNIST, a mean below 80 % has failed and one of 90 % has trained."""
SHARE_OF_OTHERS = 0.8
"""On CIFAR-10, where nothing reaches 90 %, repaired means this share of the median of the other combinations."""


class Claim(NamedTuple):
    """One sentence.

    Attributes:
        id: short name.
        statement: what is claimed.
        published: evaluated on the published figures.
        ours: evaluated on our accuracies.
    """

    id: str
    statement: str
    published: Callable[[], Finding]
    ours: Callable[[Ours], Finding]


class Audited(NamedTuple):
    """A claim and what became of it."""

    claim: Claim
    published: Finding
    ours: Finding


def audit(ours: Ours) -> list[Audited]:
    """Every claim, on both sets of figures.

    Args:
        ours: accuracies by protocol and configuration; a protocol that is absent leaves its claims undecided.
    """
    return [Audited(claim, claim.published(), claim.ours(ours)) for claim in CLAIMS]


def is_failing(name: str) -> bool:
    """Whether a configuration ends in (sigmoid, relu)."""
    return name.split("-")[-2:] == ["sigmoid", "relu"]


def _missing(what: str) -> Finding:
    return Finding("undecided", f"not run: {what}")


def _range(values: Accuracies) -> str:
    means = {name: interval(runs) for name, runs in values.items()}
    low, high = (pick(means, key=lambda name: means[name].value) for pick in (min, max))
    return f"{low} {shown(means[low])} to {high} {shown(means[high])}"


def _split(table: Accuracies) -> tuple[Accuracies, Accuracies]:
    failing = {name: runs for name, runs in table.items() if is_failing(name)}
    return failing, {name: runs for name, runs in table.items() if name not in failing}


def endings_fail(table: Accuracies) -> Finding:
    """Every ending in (sigmoid, relu) has a mean below `FAILED`."""
    failing, _ = _split(table)
    if not failing:
        return _missing("an ending in sigmoid, relu")
    answers = [below(runs, FAILED) for runs in failing.values()]
    return Finding(all_of(answers), f"means of the endings: {_range(failing)}")


def only_they_fail(table: Accuracies) -> Finding:
    """Every other combination has a mean of at least `TRAINED`."""
    _, others = _split(table)
    if not others:
        return _missing("another combination")
    answers = [reaches(runs, TRAINED) for runs in others.values()]
    bad = sorted((float(runs.mean()), name) for name, runs in others.items() if runs.mean() < TRAINED)
    shown = ", ".join(f"{name} {mean:.2f}" for mean, name in bad[:8]) + (" …" if len(bad) > 8 else "")
    return Finding(all_of(answers), f"{len(bad)} of {len(others)} others below {TRAINED:g}: {shown or 'none'}")


def they_are_the_worst(table: Accuracies) -> Finding:
    """The four lowest means of the table are the endings in (sigmoid, relu), all others clearly above them."""
    failing, others = _split(table)
    if len(table) < 64:
        return _missing(f"all 64 combinations, {len(table)} are there")
    ends, rest = ({name: interval(runs) for name, runs in part.items()} for part in (failing, others))
    best, worst = max(ends, key=lambda name: ends[name].value), min(rest, key=lambda name: rest[name].value)
    told = f"the best ending {best} {shown(ends[best])}, the worst other {worst} {shown(rest[worst])}"
    return Finding(apart(list(rest.values()), list(ends.values())), told)


def they_spread(table: Accuracies) -> Finding:
    """Every ending in (sigmoid, relu) has a larger sd than any other combination with a mean of at least 90 %."""
    failing, others = _split(table)
    own = {name: spread(runs) for name, runs in failing.items() if len(runs) > 1}
    healthy = {name: spread(runs) for name, runs in others.items() if len(runs) > 1 and runs.mean() >= TRAINED}
    if not healthy or not own:
        return _missing("two runs of an ending and of a healthy combination")
    widest = max(healthy, key=lambda name: healthy[name].value)
    told = ", ".join(f"{name} {shown(sd)}" for name, sd in own.items())
    verdict = apart(list(own.values()), list(healthy.values()))
    return Finding(verdict, f"sd {told}; widest healthy one {widest} {shown(healthy[widest])}")


def batch_norm_repairs(table: Accuracies) -> Finding:
    """With batch norm every ending in (sigmoid, relu) has a mean of at least `TRAINED`."""
    failing, _ = _split(table)
    if len(failing) < 4:
        return _missing("batch norm on the four endings")
    answers = [reaches(runs, TRAINED) for runs in failing.values()]
    return Finding(all_of(answers), f"means of the endings: {_range(failing)}")


def cifar_split(table: Accuracies) -> Finding:
    """On CIFAR-10 endings in (sigmoid, relu) score 10 %, everything else at least 50 %."""
    failing, others = _split(table)
    if not failing or not others:
        return _missing("both kinds on CIFAR-10")
    above = sorted(name for name, runs in failing.items() if below(runs, 10.5) is False)
    low = [name for name, runs in others.items() if below(runs, 50.0)]
    unclear = [
        *(r for r in failing.values() if below(r, 10.5) is None),
        *(r for r in others.values() if below(r, 50.0) is None),
    ]
    verdict = "false" if above or low else "undecided" if unclear else "true"
    return Finding(
        verdict,
        f"surely above 10 %: {', '.join(above) or 'no ending'}; others surely below 50 %: {len(low)} of {len(others)}",
    )


def repaired_like_the_others(table: Accuracies) -> Finding:
    """Every ending in (sigmoid, relu) has a mean of at least `SHARE_OF_OTHERS` of the others' median."""
    failing, others = _split(table)
    if len(failing) < 4 or not others:
        return _missing("batch norm on the four endings and on another combination")
    limit = SHARE_OF_OTHERS * float(np.median([runs.mean() for runs in others.values()]))
    answers = [reaches(runs, limit) for runs in failing.values()]
    return Finding(all_of(answers), f"means of the endings: {_range(failing)}; limit {limit:.2f}")


def fail_with_all(tables: Mapping[str, Accuracies], judge: Callable[[Accuracies], Finding] = endings_fail) -> Finding:
    """The endings in (sigmoid, relu) fail in every one of several tables, given by optimiser."""
    if absent := [name for name, table in tables.items() if not _split(table)[0]]:
        return _missing(f"an ending in sigmoid, relu with {', '.join(absent)}")
    found = {name: judge(table) for name, table in tables.items()}
    answers = [{"true": True, "false": False}.get(one.verdict) for one in found.values()]
    told = "; ".join(f"{name}: {one.numbers.removeprefix('means of the endings: ')}" for name, one in found.items())
    return Finding(all_of(answers), told)


def _on(protocol: str, predicate: Callable[[Accuracies], Finding]) -> Callable[[Ours], Finding]:
    return lambda ours: _decided(ours[protocol], predicate) if ours.get(protocol) else _missing(protocol)


def _decided(table: Accuracies, predicate: Callable[[Accuracies], Finding]) -> Finding:
    """A verdict on our runs: combinations with too few runs cannot make it `true`, and only others make it `false`."""
    found = predicate(table)
    enough = {name: runs for name, runs in table.items() if len(runs) >= LEAST_RUNS}
    few = len(table) - len(enough)
    if not few or (found.verdict == "false" and enough and predicate(enough).verdict == "false"):
        return found
    told = f"{found.numbers}; {few} of {len(table)} combinations have fewer than {LEAST_RUNS} runs, too few"
    return Finding("undecided", told) if not found.numbers.startswith("not run") else found


def _in(table: str, predicate: Callable[[Accuracies], Finding]) -> Callable[[], Finding]:
    return lambda: predicate(distinct_runs(load_table(table)))


def _no_ours(reason: str) -> Callable[[Ours], Finding]:
    return lambda _: Finding("–", reason)


def nine_runs() -> Finding:
    """The MNIST table holds nine independent runs."""
    table = load_table("mnist_mlp")
    distinct = len(table.runs) - len({pair.second for pair in published.duplicate_runs(table)})
    pairs = ", ".join(f"{pair.second} = {pair.first}" for pair in published.duplicate_runs(table))
    return Finding("true" if distinct == 9 else "false", f"{distinct} distinct runs of {len(table.runs)} ({pairs})")


def ten_batch_norm_runs() -> Finding:
    """The batch-norm table holds ten independent runs."""
    table = load_table("mnist_mlp_batchnorm")
    families = published.run_families(table)
    told = " and ".join(" ".join(family) for family in families)
    return Finding("true" if len(families) == 10 else "false", f"{len(families)} families of runs: {told}")


def optimizers_differ() -> Finding:
    """The four optimiser columns are four experiments."""
    adadelta, adagrad = load_table("mnist_mlp_adadelta"), load_table("mnist_mlp_adagrad")
    same = published.compare_runs(adadelta, adagrad)[0]
    again = published.compare_runs(load_table("mnist_mlp_sgd"), load_table("mnist_mlp"))
    repeat = next((pair.second for pair in again if pair.equal == pair.shared), None)
    told = f"Adagrad equals Adadelta in {same.equal} of {same.shared} rows; SGD is run {repeat} of the main table"
    return Finding("false" if same.equal > same.shared / 2 else "true", told)


def batch_32() -> Finding:
    """Every experiment used batches of 32."""
    other = sorted({p.batch_size for p in published.TABLES.values()} - {published.CIFAR10_BATCH_SIZE_IN_TEXT})
    tables = [name for name, p in published.TABLES.items() if p.batch_size in other]
    return Finding("false" if other else "true", f"batches of {other} in the loaders of {', '.join(tables)}")


def third_activation() -> Finding:
    """The LeNet table compares 64 networks."""
    table = load_table("cifar10_cnn_10runs")
    p = published.layer_effect_p_value(table, 2, np.random.default_rng(0))
    networks = len(published.pool_architectures(table))
    told = f"{networks} networks: the third activation is never applied (permutation test of its effect: p = {p:.2f})"
    return Finding("false", told) if networks < 64 else Finding("true", told)


def _first_run(table: str) -> Callable[[], Finding]:
    def found() -> Finding:
        read: PublishedTable = load_table(table)
        return cifar_split({name: row[:1] for name, row in zip(read.configurations, read.accuracy, strict=True)})

    return found


def _no_published(reason: str) -> Callable[[], Finding]:
    return lambda: Finding("undecided", reason)


CLAIMS = (
    Claim("endings fail", f"A ReLU output after a sigmoid fails on MNIST (mean below {FAILED:g} %).",
          _in("mnist_mlp", endings_fail), _on("mnist", endings_fail)),
    Claim("only they fail", f"Every other combination trains on MNIST (mean of at least {TRAINED:g} %).",
          _in("mnist_mlp", only_they_fail), _on("mnist", only_they_fail)),
    Claim("they are the worst", "The four endings in (sigmoid, relu) are the four worst of the 64.",
          _in("mnist_mlp", they_are_the_worst), _on("mnist", they_are_the_worst)),
    Claim("they spread", "The failing combinations vary far more between runs than the others.",
          _in("mnist_mlp", they_spread), _on("mnist", they_spread)),
    Claim("batch norm repairs", "Batch norm before every activation repairs them.",
          _in("mnist_mlp_batchnorm", batch_norm_repairs), _on("mnist_batchnorm", batch_norm_repairs)),
    Claim("batch norm last", "Batch norm on the last layer alone is enough.",
          _no_published("in the text only, without a table"), _on("mnist_batchnorm_last", batch_norm_repairs)),
    Claim("CIFAR-10", "On CIFAR-10 every ending in (sigmoid, relu) scores 10 % and everything else at least 50 %.",
          _first_run("cifar10_mlp"), _on("cifar10", cifar_split)),
    Claim("CIFAR-10 at batch 32", "The same with batches of 32, which the text says were used.",
          _no_published("published with batches of 4 only"), _on("cifar10_batch32", cifar_split)),
    Claim("batch norm on CIFAR-10", "Batch norm before every activation repairs them on CIFAR-10 (a mean of at least "
          f"{100 * SHARE_OF_OTHERS:g} % of the others' median).",
          _in("cifar10_mlp_batchnorm", repaired_like_the_others), _on("cifar10_batchnorm", repaired_like_the_others)),
    Claim("batch norm on CIFAR-10 at batch 32", "The same with batches of 32.",
          _no_published("published with batches of 4 only"),
          _on("cifar10_batch32_batchnorm", repaired_like_the_others)),
    Claim("every optimiser", "A ReLU output after a sigmoid fails with RMSprop, Adadelta and Adagrad too.",
          lambda: fail_with_all({name: distinct_runs(load_table(f"mnist_mlp_{name}")) for name in OPTIMIZERS}),
          lambda ours: fail_with_all(
              {name: ours.get(f"mnist_{name}", {}) for name in OPTIMIZERS},
              lambda table: _decided(_split(table)[0], endings_fail))),
    Claim("nine runs", "The MNIST table averages nine runs.", nine_runs, _no_ours("about the published runs only")),
    Claim("ten runs", "The batch-norm table holds ten runs.", ten_batch_norm_runs,
          _no_ours("about the published runs only")),
    Claim("four optimisers", "SGD, RMSprop, Adadelta and Adagrad were compared.", optimizers_differ,
          _no_ours("about the published runs only")),
    Claim("batch 32", "Batches of 32 in all experiments.", batch_32, _no_ours("about the published protocol only")),
    Claim("64 LeNets", "64 combinations were compared in the LeNet.", third_activation,
          _no_ours("about the published network only")),
)  # fmt: skip
