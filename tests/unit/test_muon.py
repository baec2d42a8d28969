"""Which weights are stepped how, how far, and that a run which goes on steps as before."""

import copy

import pytest
import torch
from torch import nn

from fetal_lm.muon import Muon, is_matrix, orthogonalised


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 16, 7), nn.Conv2d(16, 32, 3), nn.ReLU(), nn.BatchNorm2d(32), nn.Conv2d(32, 5, 1))


def losses(model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[float]:
    image = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(1))

    def closure():
        optimizer.zero_grad()
        loss = (model(image) - 1).square().mean()
        loss.backward()
        return loss.detach()

    return [float(optimizer.step(closure)) for _ in range(steps)]


def test_the_singular_vectors_stay_and_the_singular_values_become_alike():
    generator = torch.Generator().manual_seed(0)
    for rows, columns in ((32, 288), (288, 32), (32, 32)):
        matrices = torch.randn(3, rows, columns, generator=generator) * torch.tensor([1e-6, 1.0, 1e6])[:, None, None]
        steps = orthogonalised(matrices, 5)
        # A square matrix has singular values near 0, which five times are too few for.
        values = torch.linalg.svdvals(steps)[:, :24]
        assert values.min() >= 0.6
        assert values.max() <= 1.25
        left, _, right = torch.linalg.svd(matrices, full_matrices=False)
        across = left.mT @ steps @ right.mT
        assert (across - torch.diag_embed(across.diagonal(dim1=1, dim2=2))).abs().max() <= 1e-3
    assert orthogonalised(torch.zeros(1, 4, 8), 5).tolist() == torch.zeros(1, 4, 8).tolist()


def test_only_inner_weights_are_matrices():
    names = [name for name, weight in network().named_parameters() if is_matrix(weight, 16)]
    assert names == ["1.weight"]


def test_a_matrix_goes_as_far_as_adamw_and_the_rest_by_adamw():
    ours, theirs = network(), network()
    before = ours[1].weight.detach().clone()
    first = losses(ours, Muon(ours.parameters(), lr=1e-3, weight_decay=0.0), 1)
    assert first == losses(theirs, torch.optim.AdamW(theirs.parameters(), lr=1e-3, weight_decay=0.0), 1)
    step = ours[1].weight.detach() - before
    assert float(step.square().mean().sqrt()) == pytest.approx(0.2 * 1e-3, rel=0.2)
    for index in (0, 3, 4):
        for one, other in zip(ours[index].parameters(), theirs[index].parameters(), strict=True):
            assert torch.equal(one, other)


def test_weights_decay_by_themselves():
    ours, decayed = network(), network()
    losses(ours, Muon(ours.parameters(), lr=1e-2, weight_decay=0.0), 1)
    losses(decayed, Muon(decayed.parameters(), lr=1e-2, weight_decay=0.5), 1)
    before = network()[1].weight
    assert torch.allclose(ours[1].weight - decayed[1].weight, before * 1e-2 * 0.5, atol=1e-7)


def test_it_learns_and_goes_on_from_its_state_as_if_it_had_not_stopped():
    model = network()
    optimizer = Muon(model.parameters(), lr=1e-2)
    assert losses(model, optimizer, 30)[-1] <= 0.2
    later = network()
    later.load_state_dict(model.state_dict())
    goes_on = Muon(later.parameters(), lr=1e-2)
    goes_on.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert losses(model, optimizer, 3) == losses(later, goes_on, 3)


def test_gradients_are_still_there_after_a_step():
    model = network()
    losses(model, Muon(model.parameters()), 1)
    assert all(weight.grad is not None for weight in model.parameters())
