"""What the numbers of `experiments.jacobian` say, in sentences that are made from them."""

import numpy as np

from jaxact import activations as catalogue
from jaxact.statistics import clopper_pearson, spearman
from jaxact.study.jacobian.measure import HUTCHINSON_PROBES, Measured, Results
from jaxact.study.jacobian.tables import Quantity, hutchinson, layer_quantities, mean_sd

ALIKE = 1.1
"""Factor up to which two gradient ratios count as alike."""
GAP = 5.0
"""Percentage points below the best configuration of the run from which one counts as failing."""
LEAST_SEEDS = 5
"""Seeds from which a rank correlation over them is stated."""
Found = dict[str, Quantity]


def number(value: float) -> str:
    """Three significant digits, plain between 0.001 and 10,000; "none" where undefined."""
    if np.isnan(value):
        return "none"
    if value == 0 or np.isinf(value):
        return "0" if value == 0 else "∞"
    plain = 1e-3 <= abs(value) < 1e4
    return (
        f"{value:#.3g}".rstrip(".")
        if plain
        else f"{value:.2e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    )


def mean_at(quantity: Quantity, time: int, layer: int) -> float:
    """The mean over seeds of a layer's quantity at one time."""
    return mean_sd(quantity.values[:, time, layer])[1]


def _change(quantity: Quantity, layer: int, times: int, factor: float = 1.0) -> str:
    """`start → end`, or the start alone."""
    ends = [number(factor * mean_at(quantity, time, layer)) for time in ((0, -1) if times > 1 else (0,))]
    return " → ".join(ends)


def times_of(measured: Measured) -> int:
    """How many times were measured, initialisation among them."""
    return measured.look.spectral_norms.shape[1]


def findings(results: Results) -> str:
    """What the numbers say: per configuration, across configurations, and of the methods themselves."""
    parts = []
    for name, measured in results.configs.items():
        found = layer_quantities(measured)
        said = [_accuracy(measured), _gradient(measured, found), *_dead(measured, found), _hidden(measured, found)]
        said += [_jacobian(measured)]
        parts.append(f"**{name}**\n\n" + "\n".join(f"- {sentence}" for sentence in said if sentence))
    if across := _across(results):
        parts.append("**Across the configurations**\n\n" + "\n".join(f"- {sentence}" for sentence in across))
    parts.append("**The methods**\n\n" + "\n".join(f"- {sentence}" for sentence in _methods(results)))
    return "\n\n".join(parts)


def _accuracy(measured: Measured) -> str:
    if times_of(measured) == 1:
        return ""
    seeds, mean, sd = mean_sd(measured.accuracy())
    lost = (measured.look.evaluation.predicted[:, -1] == 0).sum(-1)
    spread = f" (sd {sd:.2f}, {seeds} seeds)" if seeds > 1 else ""
    diverged = f"; {measured.diverged.sum()} of {len(lost)} seeds diverged" if measured.diverged.any() else ""
    classes = measured.config.widths[-1]
    return (
        f"Accuracy after {times_of(measured) - 1} epochs: {mean:.2f} %{spread}; {lost.mean():.1f} of {classes} classes "
        f"are never predicted{diverged}."
    )


def _gradient(measured: Measured, found: Found) -> str:
    if len(measured.config.widths) == 1:
        return ""
    total, times = found["attenuation_total"], times_of(measured)
    silent = found["gradient_norm"].values[..., -1] == 0
    expected = f" (mean field {number(total.theory[0])})" if total.theory is not None else ""
    text = f"Gradient at layer 1 over that at the output: {number(mean_at(total, 0, 0))} at initialisation{expected}"
    if times > 1:
        text += f", {number(mean_at(total, -1, 0))} at the end"
    slopes = mean_at(found["slope_bound"], 0, 0)
    more = ", which grown kernels exceed" if times > 1 and mean_at(total, -1, 0) > slopes else ""
    text += f"; the slopes alone allow {number(slopes)}{more}, with the kernels' norms "
    text += f"{_change(found['norm_bound'], 0, times)}."
    if silent[:, -1].any():
        when = "at the end" if times > 1 else "at initialisation"
        text += f" In {silent[:, -1].sum()} of {len(silent)} networks no gradient at all enters at the output {when}."
    return text


def _dead(measured: Measured, found: Found) -> list[str]:
    """Of the output units; nothing where the activation of the output cannot die."""
    if catalogue.get(measured.config.activations[-1]).can_die is False:
        return []
    dead, times = found["dead_units"], times_of(measured)
    expected = f" (mean field {number(dead.theory[-1])})" if dead.theory is not None else ""
    text = f"Dead outputs: {mean_at(dead, 0, -1):.2f} of {measured.config.widths[-1]} at initialisation{expected}"
    if times > 1:
        deaths, revivals = (found[name].values[:, 1:, -1].sum(1).mean() for name in ("deaths", "revivals"))
        born = found["births"].values[:, 1:, -1].sum(1).mean()
        text += f", {mean_at(dead, -1, -1):.2f} at the end: per network {deaths:.2f} deaths, {born + revivals:.2f} "
        text += "returns to life between one look and the next"
    proven = mean_at(found["certified_dead_units"], -1, -1)
    proven = f"{proven:.2f} are" if proven else "none is"
    text += f"; {proven} dead by the weights alone, whatever the input (interval certificate)."
    nearly, off = (_change(found[key], -1, times, f) for key, f in (("nearly_dead_units", 1), ("sparsity_share", 100)))
    return [text, f"Nearly dead outputs (active in at most 1 % of the examples): {nearly}; outputs at 0: {off} %."]


def _hidden(measured: Measured, found: Found) -> str:
    """Of the hidden layers: dead units where they can die, saturation where slopes only shrink."""
    parts, times = [], times_of(measured)
    for i, (name, width) in enumerate(zip(measured.config.activations[:-1], measured.config.widths, strict=False)):
        entry = catalogue.get(name)
        if entry.can_die is not False:
            parts.append(f"layer {i + 1} ({name}) {_change(found['dead_units'], i, times)} of {width} units dead")
        elif entry.saturates != "no":
            parts.append(f"layer {i + 1} ({name}) {_change(found['saturated_share'], i, times, 100)} % saturated")
    return f"Hidden layers: {'; '.join(parts)}." if parts else ""


def _jacobian(measured: Measured) -> str:
    spectrum, times = measured.look.spectrum, times_of(measured)
    values, said = spectrum.singular_values.shape[-1], []
    for time, when in ((0, "at initialisation"), (-1, "at the end"))[: min(times, 2)]:
        s = spectrum.singular_values[:, time]
        s = s[~np.isnan(s).any(-1)]
        if not s.size:
            said.append(f"{when} NaN")
            continue
        rank, effective = (float(np.nanmean(x[:, time])) for x in (spectrum.rank, spectrum.effective_rank))
        full = float((spectrum.rank[:, time] == values).mean())
        said.append(
            f"{when} rank {rank:.2f} of {values} (full at {100 * full:.0f} % of the examples), effective rank "
            f"{effective:.2f}, largest singular value {number(float(np.median(s[:, 0])))} (median)"
        )
    return f"∂logits/∂x: {'; '.join(said)}."


def _across(results: Results) -> list[str]:
    """Whether attenuation or dead outputs tell the failing configurations of this run from the others."""
    found = {name: m for name, m in results.configs.items() if times_of(m) > 1 and len(m.config.widths) > 1}
    scores = {name: mean_sd(m.accuracy())[1] for name, m in found.items()}
    scores = {name: score for name, score in scores.items() if not np.isnan(score)}
    if len(scores) < 2:
        return []
    best = max(scores, key=lambda name: scores[name])
    failing = [name for name in scores if scores[name] < scores[best] - GAP]
    fine = [name for name in scores if name not in failing]
    if not failing:
        return [f"No configuration is more than {GAP:g} points below the best, {best} ({scores[best]:.2f} %)."]
    quantities = {name: layer_quantities(found[name]) for name in scores}
    passed = {name: mean_at(quantities[name]["attenuation_total"], 0, 0) for name in scores}
    dead = {name: mean_at(quantities[name]["dead_units"], 0, -1) for name in scores}
    kernel = {name: mean_at(quantities[name]["kernel_gradient_norm"], 0, 0) for name in scores}
    said, near = [], f"configurations within {GAP:g} points of the best"
    for name in failing:
        lost = f"{name} ({scores[name]:.2f} %, {scores[best] - scores[name]:.1f} points below {best})"
        weaker = [other for other in fine if passed[other] <= ALIKE * passed[name]]
        others = ", ".join(
            f"{other} {number(passed[other])} (first kernel {number(kernel[other])}, {scores[other]:.2f} %)"
            for other in weaker or fine
        )
        own = f"{number(passed[name])} of the output's gradient reaches layer 1 at initialisation (the gradient of its "
        own += f"kernel has norm {number(kernel[name])})"
        if weaker:
            alike = f"no more (within {100 * (ALIKE - 1):.0f} %) in {near}"
            said.append(f"Attenuation does not explain {lost}: {own}, and {alike}: {others}.")
        else:
            said.append(f"This run does not clear attenuation of {lost}: {own}, more in all {near}: {others}.")
        most = max(fine, key=lambda other: dead[other])
        said.append(_apart(name, most, *(quantities[n]["dead_units"].values[:, 0, -1] for n in (name, most))))
        said[-1] += _within(found[name], quantities[name])
    return said


def _apart(name: str, other: str, own: np.ndarray, theirs: np.ndarray) -> str:
    """Whether dead outputs at initialisation set a failing configuration apart, seed by seed."""
    more, seeds = int((own > theirs).sum()), len(own)
    share = clopper_pearson(more, seeds)
    verdict = "set it apart" if share.low > 0.5 else "do not set it apart" if share.high < 0.5 else "decide nothing"
    return (
        f"Dead outputs at initialisation {verdict}: {name} has {own.mean():.2f}, {other}, the most of those near the "
        f"best, {theirs.mean():.2f}; the same seed has more in {more} of {seeds} pairs."
    )


def _within(measured: Measured, found: Found) -> str:
    """Rank correlations over the seeds of one configuration, of the accuracy with what was known at initialisation."""
    accuracy, parts = measured.accuracy(), []
    for name, values in (
        ("dead outputs", found["dead_units"].values[:, 0, -1]),
        ("the gradient ratio", found["attenuation_total"].values[:, 0, 0]),
    ):
        known = np.isfinite(values) & np.isfinite(accuracy)
        if known.sum() < LEAST_SEEDS or not np.ptp(values[known]) or not np.ptp(accuracy[known]):
            continue
        rank = spearman(values[known].astype(float), accuracy[known], np.random.default_rng(0))
        parts.append(f"{rank.rho:.2f}".replace("-", "−") + f" with {name} at initialisation (p {rank.p_value:.2g})")
    said = f"accuracy has rank correlation {' and '.join(parts)}"
    return f" Over its {len(accuracy)} seeds, {said}, p not corrected for the number of tests." if parts else ""


def _methods(results: Results) -> list[str]:
    """How far the estimator and the theory are from the exact Jacobians, and how close the bound comes."""
    scores, ratios, slack = [], [], []
    for measured in results.configs.values():
        exact = measured.look.apjn.mean((0, 2))
        lower = np.tril_indices(exact.shape[-1], -1)
        for time in range(times_of(measured)):
            estimate, error = (matrix[lower] for matrix in hutchinson(measured, time))
            some = error > 0
            scores += list(np.abs(estimate - exact[time][lower])[some] / error[some])
        if measured.theory:
            expected = measured.theory.stack.apjn[lower]
            ratios += list(exact[0][lower] / np.where(expected == 0, np.nan, expected))
        found = layer_quantities(measured)
        share = found["attenuation_total"].values / found["norm_bound"].values
        slack += list(share[..., :-1][np.isfinite(share[..., :-1])])
    said = []
    if scores:
        above = sum(score > 2 for score in scores)
        said.append(
            f"Hutchinson's estimates ({HUTCHINSON_PROBES} random vectors per example) lie within {max(scores):.1f} "
            f"standard errors of the exact partial Jacobian norms, {above} of {len(scores)} beyond 2."
        )
    if ratios := [ratio for ratio in ratios if np.isfinite(ratio)]:
        said.append(
            f"Exact partial Jacobian norms at initialisation are {min(ratios):.2f} to {max(ratios):.2f} times those "
            "that mean-field theory predicts."
        )
    if slack:
        said.append(
            f"No network exceeds the bound with the kernels' norms: at most {100 * max(slack):.0f} % of it is reached."
            if max(slack) <= 1 + 1e-4
            else f"The bound with the kernels' norms is exceeded {max(slack):.3f} times: rounding, or an error."
        )
    return said or ["Nothing to compare: one layer has no layer-to-layer Jacobian."]
