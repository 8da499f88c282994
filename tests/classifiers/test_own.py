import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from nbdt.classifiers.own import BasicBlock, CifarResNet, LeNet, SmallCNN
from nbdt.errors import InputError


class TestSmallCNN:
    @pytest.mark.parametrize(("widths", "side"), [((32, 64), 8), ((32, 64, 128), 28)])
    def test_shapes(self, widths, side):
        net = SmallCNN(5, 3, widths)
        assert net(torch.zeros(2, 3, side, side)).shape == (2, 5)
        assert net(torch.zeros(0, 3, side, side)).shape == (0, 5)
        assert net.linear.in_features == widths[-1]

    def test_pools_between_stages_only(self):
        assert SmallCNN(widths=(4, 8, 16)).features(torch.zeros(1, 1, 28, 28)).shape[2:] == (7, 7)

    def test_learns_digits(self):
        digits = load_digits()
        torch.manual_seed(0)
        images = torch.tensor(digits.images[:200, None] / 16, dtype=torch.float32)
        labels = torch.tensor(digits.target[:200])
        net = SmallCNN(widths=(16, 32))
        optimizer = torch.optim.Adam(net.parameters(), 1e-2)
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(images), labels).backward()
            optimizer.step()
        assert (net(images).argmax(1) == labels).float().mean() > 0.95


class TestLeNet:
    def test_has_the_parameters_it_says(self):
        assert sum(parameter.numel() for parameter in LeNet().parameters()) == 421_642

    def test_colour_and_other_classes(self):
        assert LeNet(3, 3)(torch.zeros(2, 3, 28, 28)).shape == (2, 3)


class TestBasicBlock:
    def test_shortcut_takes_every_second_pixel_and_pads_both_sides(self):
        block = BasicBlock(2, 6, 2).eval()
        nn.init.zeros_(block.conv2.weight)
        x = torch.rand(1, 2, 4, 4)
        expected = np.zeros((6, 2, 2), np.float32)
        expected[2:4] = x[0, :, ::2, ::2]
        np.testing.assert_array_equal(block(x)[0].detach(), expected)

    def test_identity_shortcut(self):
        block = BasicBlock(3, 3, 1).eval()
        nn.init.zeros_(block.conv2.weight)
        x = torch.rand(1, 3, 4, 4)
        assert torch.equal(block(x), x)


class TestCifarResNet:
    def test_has_the_parameters_of_the_paper(self):
        counts = {
            depth: sum(p.numel() for p in CifarResNet(depth=depth).parameters())
            for depth in (20, 56)
        }
        # He et al. 2015, table 6: 0.27 M and 0.85 M.
        assert counts[20] == 269_722
        assert round(counts[56] / 1e6, 2) == 0.85

    def test_names_and_strides(self):
        net = CifarResNet(7, 1)
        assert net.layer2[0].conv1.stride == (2, 2)
        assert net.layer3[2].conv1.stride == (1, 1)
        assert net.layer3[0].bn2.num_features == 64
        assert net(torch.zeros(1, 1, 32, 32)).shape == (1, 7)

    @pytest.mark.parametrize("depth", [2, 18, 21, 0])
    def test_refuses_other_depths(self, depth):
        with pytest.raises(InputError, match="6n \\+ 2"):
            CifarResNet(depth=depth)
