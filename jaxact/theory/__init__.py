"""What is known of a network before it is trained: mean-field maps, χ, criticality, dead outputs."""

from jaxact.config import INITIALIZERS as INITIALISERS  # its name here in version 0.1
from jaxact.theory.criticality import (
    FixedPoint,
    correlation_fixed_point,
    critical_weight_variance,
    depth_scale,
    edge_of_chaos,
    variance_fixed_points,
)
from jaxact.theory.dead import (
    all_dead_probability,
    dead_distribution,
    dead_probability,
    dying_relu_probability,
    expected_dead,
    log_dead_probability,
    sigmoid_attenuation_bound,
)
from jaxact.theory.groups import GroupState, InputGroups, first_state, group_dead_probability, input_groups, next_state
from jaxact.theory.initialisers import Init, initialiser, stack_inits
from jaxact.theory.maps import (
    Moments,
    PairMoments,
    correlation_map,
    moments,
    pair_moments,
    susceptibility,
    variance_map,
    variance_slope,
)
from jaxact.theory.quadrature import Phi, expectation, pair_expectation
from jaxact.theory.stack import InputStatistics, StackPrediction, input_statistics, predict_stack

__all__ = [
    "FixedPoint",
    "GroupState",
    "INITIALISERS",
    "Init",
    "InputGroups",
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
    "first_state",
    "group_dead_probability",
    "initialiser",
    "input_groups",
    "input_statistics",
    "log_dead_probability",
    "moments",
    "next_state",
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
