"""The residual-encoder U-Net: the plain one with blocks of two convolutions and a shortcut in its encoder.

    x ─▶ conv, norm, leaky ReLU ─▶ conv, norm ─▶ + ─▶ leaky ReLU
    └▶ mean over the stride ─▶ 1x1 conv, norm ───┘          (each only where resolution, or number of features, changes)

Parameters of the first stage are ``encoder.0.0.{conv,norm}`` (the stem) and ``encoder.0.<1 + block>``, of others
``encoder.<stage>.<block>``; a block has ``first``, ``second`` and, where features change, ``shortcut``.
Source: He et al. 2016 (arXiv:1512.03385), shortcut of He et al. 2019 (arXiv:1812.01187); as the encoder of a U-Net:
Isensee et al. 2024 (arXiv:2404.09556).
"""

from torch import Tensor, nn
from torch.nn import functional

from autoseg.learn.networks.plain_unet import SLOPE, ConvolutionUnit, NormedConvolution, PlainUNet
from planners.contracts import NetworkPlan

_MEAN = {2: functional.avg_pool2d, 3: functional.avg_pool3d}


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut around them. (B, C_in, …) -> (B, C_out, … / stride).

    The second normalisation starts at scale 0, so that each block begins as its shortcut (Goyal et al. 2017).
    """

    def __init__(self, channels_in: int, channels_out: int, kernel: tuple[int, ...], stride: tuple[int, ...]) -> None:
        super().__init__()
        ones = (1,) * len(kernel)
        self.stride = stride
        self.first = ConvolutionUnit(channels_in, channels_out, kernel, stride)
        self.second = NormedConvolution(channels_out, channels_out, kernel, ones)
        nn.init.zeros_(self.second.norm.weight)
        self.shortcut = (
            nn.Identity()
            if channels_in == channels_out
            else NormedConvolution(channels_in, channels_out, ones, ones, bias=False)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the convolutions say to what came in."""
        new = self.second(self.first(x))
        if max(self.stride) > 1:
            x = _MEAN[len(self.stride)](x, self.stride, self.stride)
        return functional.leaky_relu(new + self.shortcut(x), SLOPE, inplace=True)


class ResidualUNet(PlainUNet):
    """The network of a ``NetworkPlan`` of family ``residual_unet``. Sizes as for the plain one."""

    @staticmethod
    def encoder_stage(plan: NetworkPlan, stage: int) -> nn.Module:
        """Residual blocks, the first of them strided; before those of the first stage, one convolution unit."""
        features, kernel, stride = plan.features[stage], plan.kernels[stage], plan.strides[stage]
        ones = (1,) * len(stride)
        stem = [ConvolutionUnit(plan.in_channels, features, kernel, ones)] if stage == 0 else []
        channels_in = plan.features[max(0, stage - 1)]
        blocks = (
            ResidualBlock(channels_in if first else features, features, kernel, stride if first else ones)
            for first in (True, *(False,) * (plan.convolutions_encoder[stage] - 1))
        )
        return nn.Sequential(*stem, *blocks)
