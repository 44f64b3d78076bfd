"""Two processes equal one with the whole batch, under plain ddp."""

import pytest
import torch
from ranks import run_ranks
from training import assert_same, data, fit, maxl, state

OPTIONS = {
    "interleaved": {},
    "clipped": {"gradient_clip_val": 0.05, "meta_gradient_clip_val": 0.1, "accumulate_grad_batches": 2},
    "alternating": {"update": "alternating"},
}
SCRIPT = """
import os, sys, torch
from torch.utils.data import DataLoader, DistributedSampler
from training import data, fit, maxl, state

whole = data(n=12, batch_size=12).dataset

class Halves(DistributedSampler):  # Lightning would shuffle a sampler of its own: the order is given by hand
    def __init__(self):
        rank = int(os.environ.get("LOCAL_RANK", 0))
        super().__init__(whole, 2, rank, shuffle=False)
        self.order = [i for start in (0, 6) for i in range(start + 3 * rank, start + 3 * rank + 3)]

    def __iter__(self):
        return iter(self.order)

    def __len__(self):
        return 6

options, out = eval(sys.argv[1]), sys.argv[2]
module = maxl("smooth", **options)
trainer = fit(module, DataLoader(whole, batch_size=3, sampler=Halves()), 4, strategy="ddp", devices=2)
torch.save(state(module), f"{out}.{trainer.global_rank}")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
def test_two_processes_equal_one(tmp_path, name):
    """Two gloo ranks with half of each batch, in float64 and without batch statistics."""
    out = tmp_path / "state"
    run_ranks(tmp_path, SCRIPT, repr(OPTIONS[name]), str(out))
    module = maxl("smooth", **OPTIONS[name])
    fit(module, data(n=12, batch_size=6), 4)
    for rank in (0, 1):
        assert_same(torch.load(f"{out}.{rank}"), state(module), 1e-12)
