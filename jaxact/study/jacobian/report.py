"""The report of `experiments.jacobian`: what the numbers say, tables, figures, environment."""

import numpy as np

from jaxact.execution import runtime
from jaxact.probes import GRADIENT_EXAMPLES, SATURATION_SHARE
from jaxact.report.markdown import environment_list
from jaxact.report.table import aligned
from jaxact.study.jacobian.findings import findings, mean_at, number, times_of
from jaxact.study.jacobian.measure import STATISTICS_EXAMPLES, Results
from jaxact.study.jacobian.plan import JacobianPlan
from jaxact.study.jacobian.tables import Quantity, layer_quantities


def layer_table(results: Results) -> str:
    """One line per configuration, time and layer, means over seeds."""
    header = ["configuration, epoch, layer", "gradient", "over output", "mean field", "slope bound", "bound with ‖W‖₂"]
    lines = [
        [*header, "‖J‖²", "mean field", "c", "mean field", "negative %", "saturated or off %", "dead", "dimension"]
    ]
    for name, measured in results.configs.items():
        found, times = layer_quantities(measured), times_of(measured)
        for time in sorted({0, times - 1}):
            for i, activation in enumerate(measured.config.activations):
                cells = [mean_at(found[key], time, i) for key in ("gradient_norm", "attenuation_total")]
                cells += [_theory(found["attenuation_total"], time, i)]
                cells += [mean_at(found[key], time, i) for key in ("slope_bound", "norm_bound")]
                for key in ("jacobian_squared_norm", "correlation"):
                    cells += [mean_at(found[key], time, i), _theory(found[key], time, i)]
                cells += [100 * mean_at(found[key], time, i) for key in ("negative_share", "saturated_share")]
                cells += [mean_at(found[key], time, i) for key in ("dead_units", "participation_ratio")]
                label = f"{name}, {time}, {i + 1} {activation}"
                lines.append([label, *("–" if np.isnan(cell) else number(cell) for cell in cells)])
    return aligned(lines)


def _theory(quantity: Quantity, time: int, layer: int) -> float:
    return float(quantity.theory[layer]) if quantity.theory is not None and time == 0 else np.nan


def jacobian_table(results: Results) -> str:
    """One line per configuration and time: the spectrum of ∂logits/∂x."""
    header = ["configuration, epoch", "s₁ median", "5 %", "95 %", "last s median", "condition median", "rank"]
    lines = [[*header, "effective rank", "stable rank", "‖J‖²", "mean field"]]
    for name, measured in results.configs.items():
        spectrum, stack = measured.look.spectrum, measured.theory.stack if measured.theory else None
        for time in range(times_of(measured)):
            s = spectrum.singular_values[:, time]
            cells = [*np.nanquantile(s[..., 0], (0.5, 0.05, 0.95)), np.nanmedian(s[..., -1])]
            cells += [np.nanquantile(spectrum.condition[:, time], 0.5, method="inverted_cdf")]
            cells += [
                np.nanmean(getattr(spectrum, key)[:, time])
                for key in ("rank", "effective_rank", "stable_rank", "squared_norm")
            ]
            cells += [stack.chi_product[-1] * measured.config.widths[-1] if stack and not time else np.nan]
            lines.append([f"{name}, {time}", *("–" if np.isnan(cell) else number(float(cell)) for cell in cells)])
    return aligned(lines)


def report(plan: JacobianPlan, results: Results, figures: dict[str, str], command: str) -> str:
    """The Markdown report."""
    config = plan.configs[0]
    gradients = min(GRADIENT_EXAMPLES, config.limit_train or plan.spec.train_size)
    norm = (
        f" Batch norm on layers {', '.join(map(str, config.batch_norm))} has the statistics of the first "
        f"{min(STATISTICS_EXAMPLES, config.limit_train or plan.spec.train_size):,} training examples and takes them as "
        "constants (the accuracy has the running averages), and mean-field theory says nothing of it."
        if config.batch_norm
        else ""
    )
    parts = [
        f"# Propagation and health: {', '.join(results.configs)}",
        f"Command: `{command}`",
        f"{plan.spec.name}, {'-'.join(map(str, (plan.spec.features, *config.widths)))}, {config.init}, "
        f"{config.optimizer} lr {config.learning_rate:g} momentum {config.momentum:g}, batch {config.batch_size}, "
        f"{plan.epochs} epochs, {config.limit_train or plan.spec.train_size:,} training examples, {len(plan.seeds)} "
        f"seeds. Jacobians, exact, at the first {plan.examples:,} training examples; gradients of the cross-entropy "
        f"(nats) at the first {gradients:,}; health on all {plan.spec.test_size:,} test examples, saturated, "
        f"or off for a ReLU: |φ′| below {100 * SATURATION_SHARE:g} % of its largest. Inputs: q⁰ "
        f"{results.inputs.q:.4f}, c⁰ {results.inputs.c:.4f}.{norm}",
        f"Data: {results.source}.",
        "Environment:\n\n" + environment_list(runtime.environment()),
        "## What the numbers say",
        findings(results),
        "## By layer\n\nMeans over seeds, epoch 0 and the last; a ratio is a mean over the seeds that have a gradient "
        "at the output. c: correlation of the pre-activations of two examples; dimension: participation ratio.",
        layer_table(results),
        "## End to end\n\nQuantiles over examples and seeds.",
        jacobian_table(results),
        *(f"![{name}]({name})\n\n*{caption}*" for name, caption in figures.items()),
    ]
    return "\n\n".join(parts) + "\n"
