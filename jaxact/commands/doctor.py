"""Say what a bug report needs: versions, devices, caches, and which data are there.

jaxact doctor > doctor.txt                      2 s
"""

import os
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

from jaxact import numerics
from jaxact.console import Parser
from jaxact.data.cache import cache_root
from jaxact.data.specs import SPECS
from jaxact.execution import runtime

MODULE = "jaxact.commands.doctor"


def parser() -> Parser:
    """The options: none."""
    return Parser.of(MODULE, __doc__)


def lines() -> Iterator[str]:
    """What is here, one fact a line; starts JAX."""
    environment = runtime.environment()
    packages = environment.pop("packages")
    yield from (f"{name}: {value}" for name, value in environment.items() if name != "settings")
    yield from (f"{name}: {version or 'missing'}" for name, version in packages.items())
    yield f"settings that may change numbers: {numerics.settings() or 'none'}"
    yield f"compilation cache: {_folder(os.environ.get('JAX_COMPILATION_CACHE_DIR'))}"
    root = cache_root()
    yield f"data cache: {_folder(root)}"
    for name in SPECS:
        found = sorted(path.name for path in root.glob(f"*{name}*"))
        yield f"data, {name}: {', '.join(found) or 'not in the cache'}"
    extras = sorted(
        {text.rpartition("extra == ")[2].strip("'\" ") for text in requires("jaxact") or () if "extra ==" in text}
    )
    yield f"extras: {', '.join(extras)}"


def _folder(path: str | Path | None) -> str:
    if path is None:
        return "none"
    path = Path(path)
    if not path.is_dir():
        return f"{path} (not there)"
    files = [file for file in path.rglob("*") if file.is_file()]
    return f"{path} ({len(files)} files, {sum(file.stat().st_size for file in files) / 2**20:.0f} MiB)"


def main(argv: list[str] | None = None) -> int:
    """Print what is here.

    Returns:
        Exit status: 0 done, 2 bad input.
    """
    parser().parse_args(argv)
    runtime.configure()
    for line in lines():
        print(line)
    return 0
