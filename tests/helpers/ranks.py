"""Scripts that Lightning's launcher starts once for each process."""

import os
import socket
import subprocess
import sys
from pathlib import Path


def run_ranks(folder, script, *arguments):
    """Run a script that fits under ddp, on a free port and with these helpers at hand; fail if it does.

    Args:
        folder: where the script is written.
        script: its text.
        *arguments: its arguments.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = folder / "rank.py"
    path.write_text(script)
    helpers = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": helpers, "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    environment.pop("PL_GLOBAL_SEED", None)
    subprocess.run([sys.executable, str(path), *arguments], check=True, env=environment, timeout=300)
