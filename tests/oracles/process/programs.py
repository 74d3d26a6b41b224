"""Programs of the tests, and what they are asked."""

import torch

from blackbox_am.core.units import Unit

X = torch.rand(5, 2, 3, generator=torch.Generator().manual_seed(0))
SUM, TOP, ENDS = units = [Unit("scores", j) for j in range(3)]


def on_line(statement: str) -> str:
    return f"import json, os, sys, time\nfor line in sys.stdin:\n    {statement}\n"


GOOD = 'print(json.dumps({"scores": [[1, 2, 3]] * len(json.loads(line)["stimuli"])}), flush=True)'
