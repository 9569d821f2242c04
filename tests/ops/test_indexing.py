"""The selected set as a mask: what stands behind the last valid position must not matter."""

import torch

from baleen.ops import selection_mask


def test_padding_does_not_unselect_what_is_valid():
    # as a replayed selection has it: paddings of -1 became 0, and 0 is selected
    positions = torch.tensor([[[0, 3, 0, 0], [2, 1, 0, 4]]])
    valid = torch.tensor([[[True, True, False, False], [True, True, False, True]]])
    mask = selection_mask(positions, valid, 5)
    assert [row.nonzero().flatten().tolist() for row in mask[0]] == [[0, 3], [1, 2, 4]]
