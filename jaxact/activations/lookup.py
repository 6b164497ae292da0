"""The catalogue of activations: name → function and the facts about it.

`get("elu:alpha=0.5")` looks one up, `names()` lists them, `register("mine", fn)` adds your own, which then works
everywhere by name. Importing this module does not load JAX; calling an activation does.
"""

import dataclasses
import difflib
import inspect
import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from jaxact.activations import tailored
from jaxact.activations.catalogue import ENTRIES, SYNONYMS
from jaxact.activations.entry import NAME, Activation, Parameter, as_numpy, resolve
from jaxact.activations.measured import measure

_TABLE = dict(ENTRIES)
_MOVED = {"experiments.interventions:half_tanh": "jaxact.activations.functions:half_tanh"}
"""Functions of version 0.1 that records name where they no longer are."""
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_PARAMETER = r"[A-Za-z_]\w*=[-+.\w]+"
_PARAMETERS = rf"(?::{_PARAMETER}(?:,{_PARAMETER})*)?"
_PLAIN = rf"(?:{_IMPORT_PATH.pattern}|{NAME.pattern}){_PARAMETERS}"
WRITTEN = rf"(?:{_PLAIN}|(?:{'|'.join(tailored.FORMS)})\({_PLAIN}\){_PARAMETERS})"
"""What the text of an entry looks like, `spec`, whether or not there is such an entry."""
_MEASURABLE = ("range", "derivative_at_zero", "lipschitz", "kinks", "can_die", "saturates")
_DECLARABLE = {f.name for f in dataclasses.fields(Activation)} - {"name", "target", "spec"}


def names(kind: str | None = None) -> tuple[str, ...]:
    """Names in the catalogue, registered ones included, in alphabetical order.

    Args:
        kind: "elementwise" or "vector" for those alone; None for all.

    Returns:
        The names `get` accepts.

    Raises:
        ValueError: If the kind is neither of the two.
    """
    if kind not in (None, "elementwise", "vector"):
        raise ValueError(f"kind {kind!r} does not exist: use 'elementwise', 'vector' or None")
    return tuple(sorted(name for name, build in _TABLE.items() if kind is None or build().kind == kind))


def get(spec: str) -> Activation:
    """Looks an activation up.

    Args:
        spec: A name (`relu`), a name with parameters (`elu:alpha=0.5`, `rrelu:lower=0.1,upper=0.3`), or a function of
            your own as `package.module:function`, with parameters after another colon; it is imported, and what
            the catalogue cannot know about it is measured. Any of these transformed to meet a target, `dks(sigmoid)`,
            `tat(tanh):layers=8` or `alive(relu)`: see `jaxact.activations.tailored`.

    Returns:
        The entry, bound to these parameters; its `spec` is the canonical form of the text.

    Raises:
        ValueError: If the name or a parameter is unknown (the message has the closest one), a value is out of range, or
            a function cannot be imported or is not what its kind says.
    """
    if "(" in spec or ")" in spec:
        return _transformed(spec.strip())
    name, colon, text = spec.strip().partition(":")
    if name in _TABLE:
        build = _TABLE[name]
    elif path := _IMPORT_PATH.match(spec.strip()):
        name, (colon, text) = path.group(), spec.strip()[path.end() :].partition(":")[1:]
        if "=" in spec.strip()[path.end() :].partition(":")[0]:
            raise ValueError(_unknown(spec.partition(":")[0]))
        build = _builder(name, _import(name), {})
    else:
        raise ValueError(_unknown(name))
    defaults = build()
    given = _parse(defaults.name, defaults.parameters, text) if colon else {}
    try:
        entry = build(**given)
    except ValueError as error:
        raise ValueError(f"activation {spec!r}: {error}") from error
    changed = [
        f"{p.name}={p.value!r}"
        for p, default in zip(entry.parameters, defaults.parameters, strict=True)
        if p.value != default.value
    ]
    return dataclasses.replace(_complete(entry), spec=name + ":" * bool(changed) + ",".join(changed))


def known(spec: str) -> Activation | None:
    """Looks up what the catalogue holds, without importing anything: for names that a file gives.

    Args:
        spec: As for `get`.

    Returns:
        The entry; None for a function named by its module, and for a name or parameter that does not exist.
    """
    form = tailored.PATTERN.fullmatch(spec.strip())
    if (form.group(2) if form else spec).strip().partition(":")[0] not in _TABLE:
        return None
    try:
        return get(spec)
    except ValueError:
        return None


def register(name: str, fn: Callable[..., Any] | str, *, replace: bool = False, **facts: Any) -> Activation:
    """Adds a function of your own: `register("cube", lambda x: x**3)`; it then works wherever a name does.

    Keyword arguments of the function whose default is a float become parameters (`cube:scale=2`), an argument called
    `key` makes it stochastic, and facts not given are measured (see `measured.measure` for the limits of that).

    Args:
        name: Lower-case letters, digits and underscores, starting with a letter.
        fn: `fn(x, **parameters)` written with jax.numpy, elementwise unless kind="vector"; or
            `package.module:function`.
        replace: Allows a name that is taken.
        **facts: Fields of `Activation`, for the default parameters: kinks, range, parameters (to make one learnable) …

    Returns:
        The entry.

    Raises:
        ValueError: If the name is malformed or taken, a fact does not exist, or the function is unsuitable.
    """
    if not NAME.fullmatch(name):
        raise ValueError(f"name {name!r} must match {NAME.pattern}: use lower-case letters, digits and underscores")
    if name in _TABLE and not replace:
        raise ValueError(f"activation {name!r} exists: choose another name or pass replace=True")
    for fact in facts:
        if fact not in _DECLARABLE:
            raise ValueError(f"an activation has no fact {fact!r}{_closest(fact, _DECLARABLE)}")
    build = _builder(name, _import(fn) if isinstance(fn, str) else fn, facts)
    entry = _complete(build())
    _TABLE[name] = build
    return dataclasses.replace(entry, spec=name)


def _transformed(spec: str) -> Activation:
    """The entry of `dks(sigmoid):layers=8`."""
    parts = tailored.PATTERN.fullmatch(spec)
    if not parts or not parts[2].strip() or "(" in parts[2] or ")" in parts[2]:
        raise ValueError(
            f"activation {spec[:80]!r} is none of one plain activation in brackets: write dks(relu), or "
            "dks(relu):layers=8"
        )
    form, inner, options = parts.groups(default="")
    if form not in tailored.FORMS:
        raise ValueError(f"unknown target {form!r} of an activation{_closest(form, tailored.FORMS)}")
    entry = get(inner)
    name = f"{form}({entry.spec})"
    values = _parse(name, tailored.options(form, entry), options[1:]) if options else {}
    try:
        return tailored.build(form, entry, values)
    except ValueError as error:
        raise ValueError(f"activation {name + options!r}: {error}") from error


def _closest(word: str, known: Any) -> str:
    """A hint for an error message: the nearest known words, or all of them where none is near."""
    if not known:
        return ": it has none"
    lower = word.lower()
    near = [SYNONYMS[lower]] if SYNONYMS.get(lower) in known else difflib.get_close_matches(lower, sorted(known), 3)
    return f": did you mean {' or '.join(near)}?" if near else f": choose from {', '.join(sorted(known))}"


def _unknown(name: str) -> str:
    return f"unknown activation {name!r}{_closest(name, _TABLE)} (your own: package.module:function)"


def _parse(name: str, parameters: tuple[Parameter, ...], text: str) -> dict[str, float]:
    """Parameter values from `name=value,name=value`."""
    known = [p.name for p in parameters]
    values: dict[str, float] = {}
    for item in text.split(","):
        parameter, equals, number = (part.strip() for part in item.partition("="))
        if not equals:
            raise ValueError(f"activation {name}: {item!r} is no parameter: write {name}:parameter=value")
        if parameter not in known:
            raise ValueError(f"activation {name} has no parameter {parameter!r}{_closest(parameter, known)}")
        if parameter in values:
            raise ValueError(f"activation {name}: {parameter} is given twice: remove one")
        try:
            values[parameter] = float(number)
        except ValueError:
            raise ValueError(f"activation {name}: {parameter}={number!r} is not a number: write 0.5") from None
    return values


def _import(path: str) -> Callable[..., Any]:
    """The function at `package.module:function`."""
    path = _MOVED.get(path, path)
    module, _, attribute = path.partition(":")
    try:
        loaded = import_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # whatever a module does that is a script: SystemExit, SyntaxError, …
        if isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}."):
            hint = _closest(module, _TABLE) if difflib.get_close_matches(module, _TABLE) else ""
            hint = hint or ": put its folder on PYTHONPATH"
        else:
            hint = f" ({_reason(error)}): mend that module"
        raise ValueError(f"cannot import {module!r} for {path!r}{hint}") from error
    if not callable(getattr(loaded, attribute, None)):
        public = [n for n, value in vars(loaded).items() if callable(value) and not n.startswith("_")]
        raise ValueError(f"module {module!r} has no function {attribute!r}{_closest(attribute, public)}")
    return resolve(path)


def _reason(error: BaseException) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _builder(name: str, fn: Callable[..., Any], facts: dict[str, Any]) -> Callable[..., Activation]:
    """A function of the parameters that returns the entry of a user's function."""
    try:
        signature = inspect.signature(fn)
    except (ValueError, TypeError) as error:  # a class or a function of another language
        raise ValueError(f"activation {name} cannot run under JAX ({error}): write it with jax.numpy") from None
    arguments = signature.parameters.values()
    inferred = tuple(Parameter(p.name, float(p.default)) for p in arguments if isinstance(p.default, float))
    known = {"parameters": inferred, "stochastic": "key" in signature.parameters} | facts
    parameters: tuple[Parameter, ...] = known.pop("parameters")
    _check_signature(name, signature, [*(p.name for p in parameters), *["key"] * known["stochastic"]])

    def build(**values: float) -> Activation:
        bound = tuple(dataclasses.replace(p, value=values.get(p.name, p.value)) for p in parameters)
        # Facts were stated for the default parameters; with others they have to be measured.
        stated = {f: v for f, v in known.items() if bound == parameters or f not in _MEASURABLE}
        described: dict[str, Any] = dict.fromkeys(_MEASURABLE) | stated
        return Activation(name, fn, parameters=bound, **described)

    return build


def _check_signature(name: str, signature: inspect.Signature, named: list[str]) -> None:
    """Check, without calling it, that a function takes one array: who knows what else a call would do.

    Raises:
        ValueError: it takes none, its first argument may be left out, or it needs others besides.
    """
    first = next(iter(signature.parameters.values()), None)
    try:
        signature.bind(None, **dict.fromkeys(named))
    except TypeError:
        first = None
    if first is None or first.default is not first.empty:
        called = str(signature) if len(str(signature)) <= 60 else f"{str(signature)[:57]}..."
        raise ValueError(f"activation {name} is called as {called}: it must take one array, as (x) does")


@cache
def _complete(entry: Activation) -> Activation:
    """The entry with unstated facts measured, after a check that the function is usable."""
    missing = [fact for fact in _MEASURABLE if getattr(entry, fact) is None]
    if entry.kind != "elementwise" or not missing:
        return entry
    import jax

    try:
        shape = jax.eval_shape(entry, jax.ShapeDtypeStruct((2, 3), np.float32)).shape
        points = np.linspace(-2.0, 2.1, 12)
        value, part = (as_numpy(entry)[0](x) for x in (points, np.resize(points[::3], points.shape)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit and a test runner's own are none of Exception
        raise ValueError(
            f"activation {entry.name} cannot run under JAX ({_reason(error)}): write it with jax.numpy"
        ) from error
    if shape != (2, 3) or not np.allclose(value[::3], part[:4], rtol=1e-6, atol=1e-9, equal_nan=True):
        raise ValueError(f"activation {entry.name} is not elementwise: make it so, or register it with kind='vector'")
    measured = measure(entry)
    return dataclasses.replace(entry, **{fact: measured[fact] for fact in missing})
