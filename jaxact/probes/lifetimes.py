"""When units die and come back, from a history of dead flags."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

NEVER = -1


class Lifetimes(NamedTuple):
    """Epochs of the turning points of every unit (`NEVER` = −1 where there is none), and how many units turn when.

    Attributes:
        birth: first epoch at which the unit is alive: 0 unless it starts dead.
        death: first epoch after its birth at which it is dead.
        revival: first epoch after that death at which it is alive again.
        births: per epoch, units alive for the first time.
        deaths: per epoch, units that were alive an epoch before and are dead, each time they die.
        revivals: per epoch, units that were dead an epoch before, alive once before that, and are alive again.
    """

    birth: Int[Array, "*batch units"]
    death: Int[Array, "*batch units"]
    revival: Int[Array, "*batch units"]
    births: Int[Array, "*batch epochs"]
    deaths: Int[Array, "*batch epochs"]
    revivals: Int[Array, "*batch epochs"]


def lifetimes(dead: Bool[Array, "epochs units"]) -> Lifetimes:
    """Birth, death and revival of the units of one layer.

    Args:
        dead: whether a unit is dead (`LayerHealth.dead`), at initialisation (epoch 0) and after every epoch.

    Raises:
        ValueError: an empty history.
    """
    if not len(dead):
        raise ValueError("the history holds 0 epochs: give at least the flags at initialisation")
    epoch = jnp.arange(len(dead))[:, None]
    alive = ~dead

    def first(event: Bool[Array, "epochs units"]) -> Int[Array, " units"]:
        return jnp.where(event.any(0), jnp.argmax(event, axis=0), NEVER)

    birth = first(alive)
    death = first(dead & (epoch > birth[None, :]) & (birth != NEVER)[None, :])
    revival = first(alive & (epoch > death[None, :]) & (death != NEVER)[None, :])
    before = jnp.concatenate([jnp.ones_like(dead[:1]), dead[:-1]])
    risen, born = before & alive, epoch == birth[None, :]
    return Lifetimes(birth, death, revival, born.sum(1), (~before & dead).sum(1), (risen & ~born).sum(1))
