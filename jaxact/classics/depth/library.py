"""The functions on stacks of equal layers in one place, `jaxact.depth`: what depth does to gradients and training.

One example and one network per function, scanned over depth; callers batch with `vmap`.
"""

from jaxact.classics.depth.chain import CHAIN_LAWS, chain_log_gradients, draw_chain, lipschitz_bound
from jaxact.classics.depth.dying import dead_by_depth
from jaxact.classics.depth.gradients import SATURATED, Profile, log_apjn, log_loss_gradients, profile, pull_back
from jaxact.classics.depth.plan import INITS
from jaxact.classics.depth.stack import Phis, Stack, draw_stacks, forward, init_stack, prefix, sample_layer
from jaxact.classics.depth.theory import Theory, critical_init, layer_inits, mean_field_phi, predict
from jaxact.classics.depth.trainability import TrainedStack as Outcome
from jaxact.classics.depth.trainability import make_member

__all__ = [
    "CHAIN_LAWS",
    "INITS",
    "SATURATED",
    "Outcome",
    "Phis",
    "Profile",
    "Stack",
    "Theory",
    "chain_log_gradients",
    "critical_init",
    "dead_by_depth",
    "draw_chain",
    "draw_stacks",
    "forward",
    "init_stack",
    "layer_inits",
    "lipschitz_bound",
    "log_apjn",
    "log_loss_gradients",
    "make_member",
    "mean_field_phi",
    "predict",
    "prefix",
    "profile",
    "pull_back",
    "sample_layer",
]
