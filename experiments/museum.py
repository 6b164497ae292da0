"""Does the diagnosis name what is wrong? Dead and ill networks as people met them, their cures and healthy twins.

    python -m experiments.museum                                         all cases: a minute or two on one core
    python -m experiments.museum --cases softmax-twice labels-from-1 --steps 1000
    python -m experiments.museum --out results/museum

Every case is diagnosed and trained three times: ill, cured, and as the twin that never was ill. Training is gradient
descent on the whole batch, for the symptom to be seen. Data are drawn from a seed: nothing is downloaded.
Expected: all 17 ill networks named with their layer, all cured ones and twins healthy.
"""

from jaxact.commands.museum import main
from jaxact.execution import runtime

if __name__ == "__main__":
    runtime.run(main)
