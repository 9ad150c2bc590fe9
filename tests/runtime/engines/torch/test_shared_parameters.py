"""Parameters that models have in common are held once."""

import torch
from torch import nn

from runtime.engines.torch.shared_parameters import share_parameters


def two() -> tuple[nn.Sequential, nn.Sequential]:
    """Models whose first and second layers hold the same, but at each other's place."""
    torch.manual_seed(0)
    layers = [nn.Linear(40, 40) for _ in range(2)]
    models = []
    for order in ((0, 1), (1, 0)):
        model = nn.Sequential(nn.Linear(40, 40), nn.Linear(40, 40))
        for place, layer in enumerate(order):
            model[place].load_state_dict(layers[layer].state_dict())
        models.append(model)
    return models[0], models[1]


def test_layers_at_other_places_are_shared() -> None:
    one, other = two()
    inputs, before = torch.randn(3, 40), None
    before = other(inputs)
    assert share_parameters(other, [one]) == 2 * (40 * 40 + 40) * 4
    assert other[0].weight is one[1].weight and other[1].bias is one[0].bias
    assert torch.equal(other(inputs), before)


def test_what_differs_in_a_single_bit_stays_apart() -> None:
    one, other = two()
    with torch.no_grad():
        other[0].weight[39, 39] = torch.nextafter(other[0].weight[39, 39], torch.tensor(9.0))
        one[0].bias[5], other[1].bias[5] = 0.0, -0.0  # equal, but not the same bits
    share_parameters(other, [one])
    assert other[0].weight is not one[1].weight and other[1].bias is not one[0].bias
    assert other[1].weight is one[0].weight


def test_other_types_shapes_and_orders_in_memory_are_not_shared() -> None:
    ones = nn.Parameter(torch.ones(4, 6))
    for value in (torch.ones(4, 6, dtype=torch.float64), torch.ones(6, 4), torch.ones(6, 4).t()):
        one, other = nn.Module(), nn.Module()
        one.register_parameter("weight", ones)
        other.register_parameter("weight", nn.Parameter(value))
        assert share_parameters(other, [one]) == 0
