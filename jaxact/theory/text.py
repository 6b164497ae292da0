"""What `experiments.predict` says of its predictions: tables, the verdict in plain words, JSON, CSV and report."""

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from jaxact import activations
from jaxact.config import Config
from jaxact.report.table import aligned
from jaxact.theory.groups import InputGroups
from jaxact.theory.prediction import FEW_ACTIVE, Prediction
from jaxact.theory.stack import InputStatistics

FATAL, RISKY = 0.5, 0.05
"""Expected dead outputs from which a network is in trouble, or the chance of any dead output."""
ROUND_OFF = 1e-12
VANISHING = 1e-2
"""The product of chi below which gradients are called small, and above whose inverse large."""


class Request(NamedTuple):
    """What is to be predicted: one configuration, or all of a grid, on data of these statistics."""

    configs: list[Config]
    features: int
    data: InputGroups | InputStatistics
    inputs: int
    source: str


def heading(request: Request) -> str:
    """The network and the data in one line."""
    config, data = request.configs[0], request.data
    shape = "-".join(map(str, (request.features, *config.widths)))
    return (
        f"{shape}, {config.init}; {request.source}: q0 {data.q:.5f}, c0 {data.c:.5f}, dead on {request.inputs:,} inputs"
    )


def verdict(found: Prediction) -> list[str]:
    """What a prediction means, in plain words with the number behind each."""
    config, stack, units = found.config, found.stack, found.config.widths[-1]
    expected, none = float(found.expected_dead[-1]), float(found.dead_outputs[0])
    if expected < FATAL and 1 - none < RISKY:
        can_die = activations.get(config.activations[-1]).can_die
        why = f"{expected:.2g} of {units} on average" if can_die else f"{config.activations[-1]} has no flat part"
        lines = [f"No output is expected to start dead ({why})."]
    else:
        lines = [
            f"Trouble: about {expected:.1f} of {units} outputs start dead and get no gradient; none does in "
            f"{percent(none)} of the networks. Training can revive one only through the layers below, or kill more.",
            f"A {config.activations[-1]} output is dead with probability {found.dead[-1]:.3g}, because its "
            f"pre-activations on two inputs have correlation {stack.c[-1]:.4f}.",
            *_cause(found),
        ]
    lines += caveats(found)
    dying = [f"layer {i + 1}: {n:.3g}" for i, n in enumerate(found.expected_dead[:-1]) if n >= FATAL]
    if dying:
        lines.append(f"Dead hidden units expected: {', '.join(dying)}.")
    weakest, total = int(stack.chi.argmin()), stack.chi_product[-1]
    lines.append(
        f"chi per layer {' '.join(f'{chi:.3g}' for chi in stack.chi)}: from output to input a squared gradient is "
        f"multiplied by {total:.2g}, least kept by layer {weakest + 1} ({config.activations[weakest]})."
    )
    if total < VANISHING or total > 1 / VANISHING:
        lines[-1] += (
            f" That {'slows learning down but does' if total < 1 else 'unsettles learning but need'} not stop it."
        )
    return lines


def caveats(found: Prediction) -> list[str]:
    """Where counts on real networks depart from the predicted dead outputs, in plain words."""
    config, lines = found.config, []
    if not activations.get(config.activations[-1]).can_die:
        return lines
    layer = found.sparsest
    if layer is not None:
        lines.append(
            f"Caution: the number of dead outputs may be far off. On an input only about {found.active[layer]:.2g} of "
            f"the {config.widths[layer]} units of layer {layer + 1} ({config.activations[layer]}) are active; "
            f"the theory needs {FEW_ACTIVE} or more."
        )
    if isinstance(found.data, InputStatistics):
        lines.append("Caution: q0 and c0 say nothing of the inputs' lengths, so all count as equally long and unlike.")
    return lines


def _unsure(predictions: Sequence[Prediction]) -> list[str]:
    """The line of caution of a ranking."""
    dying = [p for p in predictions if activations.get(p.config.activations[-1]).can_die]
    names = [p.config.name for p in dying if p.sparsest is not None]
    if not names:
        return []
    return [f"Caution: too few units are active for the theory, and dead outputs may be far off: {', '.join(names)}."]


def _cause(found: Prediction) -> list[str]:
    """The hidden layer whose activations are least centred, if that explains the correlation."""
    hidden = found.mean_share[:-1]
    if not hidden.size or hidden.max() < 0.5:
        return []
    layer = int(hidden.argmax())
    return [
        f"The {found.config.activations[layer]} of layer {layer + 1} causes that: {percent(hidden[layer])} of the "
        "second moment of its activations is their mean, the same for every input."
    ]


def percent(share: float) -> str:
    """A share as percent with three digits."""
    return f"{100 * share:.3g} %"


def rows(found: Prediction) -> list[dict[str, Any]]:
    """One row per layer."""
    stack, config = found.stack, found.config
    columns = {
        "q": stack.q,
        "c": stack.c,
        "mean": np.where(abs(stack.mean) < ROUND_OFF, 0.0, stack.mean),  # rounding noise would differ by machine
        "mean_share": np.where(found.mean_share < ROUND_OFF, 0.0, found.mean_share),
        "chi": stack.chi,
        "chi_product": stack.chi_product,
        "dead_probability": found.dead,
        "expected_dead": found.expected_dead,
    }
    layers = zip(config.activations, config.widths, strict=True)
    return [
        {"configuration": config.name, "layer": i + 1, "activation": activation, "units": width}
        | {name: float(column[i]) for name, column in columns.items()}
        for i, (activation, width) in enumerate(layers)
    ]


def table(found: Prediction) -> str:
    """The layers of one prediction as aligned text."""
    lines = ["layer  activation       units        q       c     E[x]      chi  P(dead)  dead units"]
    for row in rows(found):
        lines.append(
            f"{row['layer']:>5}  {row['activation']:<15} {row['units']:>6} {row['q']:>8.4g} {row['c']:>7.4f} "
            f"{row['mean']:>8.4g} {row['chi']:>8.3g} {row['dead_probability']:>8.2g} {row['expected_dead']:>11.3g}"
        )
    return "\n".join(lines)


def ranking(predictions: Sequence[Prediction]) -> str:
    """All configurations by expected dead outputs, most first, as aligned Markdown."""
    header = ["configuration", "dead outputs", "none dead", "c at output", "chi per layer", "chi product"]
    body = [
        [
            p.config.name,
            f"{p.expected_dead[-1]:.2f}" if p.expected_dead[-1] >= 0.005 else f"{p.expected_dead[-1]:.1g}",
            percent(p.dead_outputs[0]),
            f"{p.stack.c[-1]:.4f}",
            " ".join(f"{chi:.3f}" for chi in p.stack.chi),
            f"{p.stack.chi_product[-1]:.2g}",
        ]
        for p in predictions
    ]
    return aligned([header, *body])


def finding(predictions: Sequence[Prediction]) -> str:
    """What a ranking shows, in sentences made from its numbers."""
    failing = [p for p in predictions if p.expected_dead[-1] >= FATAL]
    rest = predictions[len(failing) :]
    lines = [
        f"{len(failing)} of {len(predictions)} combinations are expected to start with {FATAL} or more dead outputs"
    ]
    if failing:
        names = ", ".join(f"{p.config.name} {p.expected_dead[-1]:.2f}" for p in failing)
        lines[0] += f" (of {failing[0].config.widths[-1]}): {names}."
    else:
        lines[0] += "."
    if rest:
        lines.append(f"The next is {rest[0].config.name} with {rest[0].expected_dead[-1]:.2g}.")
    return " ".join(lines)


def rendered(request: Request, predictions: Sequence[Prediction], *, grid: bool, as_json: bool = False) -> str:
    """The answer as text or JSON."""
    if as_json:
        answer = {"features": request.features, "q0": request.data.q, "c0": request.data.c, "inputs": request.inputs}
        answer |= {"source": request.source, "init": request.configs[0].init}
        found = [
            {"layers": rows(p), "dead_outputs": p.dead_outputs.tolist(), "verdict": verdict(p)} for p in predictions
        ]
        if hasattr(request.data, "share"):
            answer["groups"] = request.data._asdict()
        return json.dumps(answer | ({"ranking": found} if grid else found[0]), indent=2)
    if grid:
        return (
            f"{heading(request)}\n\n{ranking(predictions)}\n\n{' '.join([finding(predictions), *_unsure(predictions)])}"
        )
    return "\n".join([heading(request), "", table(predictions[0]), "", *verdict(predictions[0])])


def tidy(predictions: Sequence[Prediction]) -> str:
    """The CSV text: one row per configuration and layer, sorted, in fixed formats."""
    found = [row for p in sorted(predictions, key=lambda p: p.config.name) for row in rows(p)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found[0])
    writer.writerows([f"{x:.6g}" if isinstance(x, float) else x for x in row.values()] for row in found)
    return text.getvalue()
