"""Mean-field theory of fully connected networks at initialisation, in NumPy and SciPy.

Variance and correlation maps, χ, depth scales, fixed points, the edge of chaos, and from the output correlation the
probability that an output unit is dead. Quadrature is exact to 1e-10, kinks included.
"""

from jaxact.meanfield.criticality import (
    FixedPoint,
    correlation_fixed_point,
    critical_weight_variance,
    depth_scale,
    edge_of_chaos,
    variance_fixed_points,
)
from jaxact.meanfield.dead import (
    all_dead_probability,
    dead_distribution,
    dead_probability,
    dying_relu_probability,
    expected_dead,
    log_dead_probability,
    sigmoid_attenuation_bound,
)
from jaxact.meanfield.groups import (
    GroupState,
    InputGroups,
    first_state,
    group_dead_probability,
    input_groups,
    next_state,
)
from jaxact.meanfield.initialisers import INITIALISERS, Init, initialiser, stack_inits
from jaxact.meanfield.maps import (
    Moments,
    PairMoments,
    correlation_map,
    moments,
    pair_moments,
    susceptibility,
    variance_map,
    variance_slope,
)
from jaxact.meanfield.quadrature import Phi, expectation, pair_expectation
from jaxact.meanfield.stack import InputStatistics, StackPrediction, input_statistics, predict_stack

__all__ = [
    "next_state",
    "input_groups",
    "group_dead_probability",
    "first_state",
    "InputGroups",
    "GroupState",
    "INITIALISERS",
    "FixedPoint",
    "Init",
    "InputStatistics",
    "Moments",
    "PairMoments",
    "Phi",
    "StackPrediction",
    "all_dead_probability",
    "correlation_fixed_point",
    "correlation_map",
    "critical_weight_variance",
    "dead_distribution",
    "dead_probability",
    "depth_scale",
    "dying_relu_probability",
    "edge_of_chaos",
    "expectation",
    "expected_dead",
    "initialiser",
    "input_statistics",
    "log_dead_probability",
    "moments",
    "pair_expectation",
    "pair_moments",
    "predict_stack",
    "sigmoid_attenuation_bound",
    "stack_inits",
    "susceptibility",
    "variance_fixed_points",
    "variance_map",
    "variance_slope",
]
