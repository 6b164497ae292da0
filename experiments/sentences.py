"""Make every sentence of README that holds a number of the committed records, from those records.

    python -m experiments.sentences                      prints them, paragraph by paragraph
    python -m experiments.sentences --check README.md    and says which of them the file does not hold, word for word

Run in a checkout, whose results/ it reads. Half a minute. A test does the same, so that no figure in README is typed.
"""

from jaxact.commands.sentences import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
