"""Dead and ill networks as people met them: each with its symptom, its diagnosis, the number behind it and its cure.

    from jaxact import museum
    case = museum.case("softmax-twice")
    print(case.symptom, case.ill.diagnose(), case.cure(case.ill).diagnose().ok, sep=" | ")

A case is small, offline and takes seconds; all data are drawn by NumPy from a seed. The collection is the test set of
`jaxact.diagnose`: it names every case, and calls every cured network and every healthy twin healthy.
"""

from collections.abc import Callable

from jaxact.config import closest
from jaxact.museum import dead, labels, training
from jaxact.museum.exhibit import Exhibit, Specimen

__all__ = ["CASES", "Exhibit", "Specimen", "case"]

CASES: dict[str, Callable[[], Exhibit]] = {
    "sixteen-features": dead.sixteen_features,
    "relu-output-targets-below-0": dead.relu_output_below_zero,
    "relu-output-raw-targets": dead.relu_output_first_step,
    "relu-output-zero-kernel": dead.relu_output_zero_weights,
    "biases-that-kill": dead.bias_kills,
    "zero-kernel-behind-relu": dead.zero_kernel_behind_relu,
    "dead-ensemble": dead.dead_ensemble,
    "softmax-twice": labels.softmax_twice,
    "constant-weights": training.constant_weights,
    "wrong-sigmoid-derivative": training.wrong_derivative,
    "labels-from-1": labels.labels_from_one,
    "labels-shifted-by-1": labels.labels_shifted,
    "labels-in-another-order": labels.labels_shuffled,
    "inputs-not-standardised": training.raw_bytes,
    "inputs-not-centred": training.off_centre,
    "first-step-kills": training.first_step_kills,
    "stuck-at-ln-k": training.stuck_at_guessing,
}
"""How to build each case, by name."""


def case(name: str) -> Exhibit:
    """The case of that name; an unknown one is a ValueError."""
    if name not in CASES:
        raise closest(name, CASES, "case of the museum")
    return CASES[name]()
