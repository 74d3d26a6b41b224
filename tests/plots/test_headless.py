"""Figures need neither a display nor pyplot."""

from __future__ import annotations

import os
import subprocess
import sys


def test_needs_neither_pyplot_nor_torch_nor_a_display(tmp_path):
    code = (
        "import sys, numpy as np\n"
        "from blackbox_am.plots import Row, montage\n"
        "montage([Row('a', [np.zeros((4, 4))])], ['x']).savefig(sys.argv[1])\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "m.png")],
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
