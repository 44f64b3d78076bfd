"""Stands in for ``maxl fit`` in tests of comparisons: it writes the same files in the same order, in milliseconds.

Its numbers are a function of method, seed and epoch. ``FAKE_FIT`` holds, as JSON, what shall happen to a run: the name
of a point, ``"dies in epoch"``, ``"dies at checkpoint"``, ``"dies in row"``, ``"fails"`` or ``"hangs"``, and the epoch;
it happens to the run's first attempt.
"""

import hashlib
import json
import os
import signal
import sys
import time
from pathlib import Path

EPOCHS = 8


def number(*key):
    """A share that depends on the key alone."""
    return int(hashlib.sha256(repr(key).encode()).hexdigest()[:6], 16) / 2**24


def option(name):
    return sys.argv[len(sys.argv) - 1 - sys.argv[::-1].index(f"--{name}") + 1] if f"--{name}" in sys.argv else None


def write(stream, epoch, **values):
    columns = ("epoch", "step", "test/accuracy", "train/accuracy", "train/label_entropy", "val/accuracy")
    values |= {"epoch": epoch, "step": epoch}
    stream.write(",".join(str(values.get(name.replace("/", "_"), "")) for name in columns) + "\n")
    stream.flush()


def main():
    method, seed = option("trainer.logger.name"), option("trainer.logger.version")
    folder = Path(option("trainer.logger.save_dir"), method, seed)
    event, at = json.loads(os.environ.get("FAKE_FIT", "{}")).get(f"{method}/{seed}", (None, None))
    if len(json.loads((folder / "attempts.json").read_text())) > 1:
        event = None
    print(f"training {method}, {seed}", flush=True)
    checkpoint = folder / "checkpoints" / "last.ckpt"
    checkpoint.parent.mkdir(exist_ok=True)
    first = 1 + json.loads(Path(option("ckpt_path")).read_text())["epoch"] if option("ckpt_path") else 0
    stream = (folder / "metrics.csv").open("w")  # as Lightning's logger: what was there is gone
    stream.write("epoch,step,test/accuracy,train/accuracy,train/label_entropy,val/accuracy\n")
    for epoch in range(first, EPOCHS):
        reached = epoch == at
        write(stream, epoch, train_label_entropy=number(method, seed, epoch, "first batch"))
        if reached and event == "fails":
            print("Traceback\nValueError: out of luck", flush=True)
            sys.exit(1)
        if reached and event == "hangs":
            time.sleep(60)
        if reached and event == "dies in epoch":
            os.kill(os.getpid(), signal.SIGKILL)
        write(stream, epoch, train_label_entropy=number(method, seed, epoch, "second batch"))
        write(stream, epoch, val_accuracy=number(method, seed, epoch, "val"))
        checkpoint.write_text(json.dumps({"epoch": epoch}))
        if reached and event == "dies at checkpoint":
            os.kill(os.getpid(), signal.SIGKILL)
        accuracy = number(method, seed, epoch, "test")
        if reached and event == "dies in row":
            stream.write(f"{epoch},{epoch},{str(accuracy)[:4]}")
            stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        write(stream, epoch, test_accuracy=accuracy, train_accuracy=number(method, seed, epoch, "train"))


if __name__ == "__main__":
    main()
