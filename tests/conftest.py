"""Settings for all tests."""

import torch

# The tensors are tiny: a second thread gains nothing, and on a busy machine waiting for it takes most of the time.
torch.set_num_threads(1)
