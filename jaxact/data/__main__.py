"""Fetch or verify a data set and say in one line what it is: `python -m jaxact.data NAME [--data-dir DIR]`.

The first fetch of mnist takes about half a minute, later runs under a second.
"""

import sys
from collections.abc import Sequence

from jaxact.console import Parser, one_line, open_streams
from jaxact.data.cache import cache_root
from jaxact.data.dataset import load
from jaxact.data.specs import SPECS


def parser() -> Parser:
    """The options."""
    p = Parser.of("jaxact.data", "Fetch or verify a data set.")
    p.add_argument("name", metavar="NAME", help=", ".join(SPECS))
    p.add_argument("--data-dir", metavar="DIR", help="folder with the original files or a prepared TFDS folder")
    p.add_argument("--cache-dir", metavar="DIR", help="jaxact's cache (default: JAXACT_CACHE or the user's cache)")
    p.add_argument("--offline", action="store_true", help="leave the network alone")
    return p


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: The command line without the program's name; default `sys.argv`.

    Returns:
        The exit status: 0, or 2 after an error.
    """
    chosen = parser().parse_args(arguments)
    try:
        if chosen.cache_dir is not None:
            cache_root(chosen.cache_dir)  # digits, which needs none, is told too
        data = load(chosen.name, chosen.data_dir, cache_dir=chosen.cache_dir, offline=chosen.offline)
    except (ValueError, OSError) as error:
        print(one_line(f"error: {error}"), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing half-made is kept in the cache", file=sys.stderr)
        return 130
    train, test = (f"{len(part):,} {kind}" for part, kind in ((data.train_labels, "train"), (data.test_labels, "test")))
    print(f"{chosen.name}: {train} and {test} images, standardised; source: {data.source}")
    return 0


if __name__ == "__main__":
    open_streams()
    sys.exit(main())
