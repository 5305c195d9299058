"""The plain U-Net: convolution, instance normalisation, leaky ReLU; strided convolutions down, transposed ones up.

    encoder.0 ──────────────────────────▶ decoder.<last> ─▶ heads.<last>   full resolution
      └▶ encoder.1 ─────────────▶ decoder.… ─▶ heads.…
           └▶ … ─▶ encoder.<bottleneck> ─▶ decoder.0 ─▶ heads.0            coarsest head

Parameters are called ``encoder.<stage>.<unit>.{conv,norm}``, ``decoder.<level>.up``,
``decoder.<level>.units.<unit>.{conv,norm}`` and ``heads.<level>``; decoder levels count from the bottleneck up. Every
level has a head, used or not, so that the parameters do not depend on deep supervision.
Source: Ronneberger et al. 2015 (arXiv:1505.04597); Isensee et al. 2021 (doi:10.1038/s41592-020-01008-z).
"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from planners.contracts import NetworkPlan

SLOPE = 0.01
"""Of the leaky ReLU for negative inputs."""
EPSILON = 1e-5
"""Added to variances before dividing by their root."""

THIN = 3
"""Extents below this are convolved in float32 on a CPU: there the library's bfloat16 gradients of the weights read and
write outside their memory (oneDNN 3.12; extents of 3 and more passed 13 000 random shapes)."""

_CONVOLUTION = {2: nn.Conv2d, 3: nn.Conv3d}
_TRANSPOSED = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


class InstanceNorm(nn.Module):
    """Normalise each channel of each sample to mean 0 and variance 1, then scale and shift; statistics in float32.

    On a CPU the built-in instance normalisation copies channels-last tensors to contiguous ones and back. Batch
    normalisation of one sample is the same thing, keeps the layout and takes bfloat16 with float32 weights.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, …)."""
        if x.device.type != "cpu":
            return functional.instance_norm(x, weight=self.weight, bias=self.bias, eps=EPSILON)
        return torch.cat(
            [functional.batch_norm(s, None, None, self.weight, self.bias, True, 0.0, EPSILON) for s in x.split(1)]
        )


class NormedConvolution(nn.Module):
    """Convolution and normalisation. (B, C_in, …) -> (B, C_out, … / stride)."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: tuple[int, ...],
        stride: tuple[int, ...],
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        padding = tuple((k - 1) // 2 for k in kernel)
        self.conv = _CONVOLUTION[len(kernel)](
            channels_in,
            channels_out,
            kernel,  # type: ignore[arg-type]
            stride,  # type: ignore[arg-type]
            padding,  # type: ignore[arg-type]
            bias=bias,
        )
        self.norm = InstanceNorm(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the two in order."""
        if x.device.type == "cpu" and min(x.shape[2:]) < THIN:
            with torch.autocast("cpu", enabled=False):
                return self.norm(self.conv(x.float()))
        return self.norm(self.conv(x))


class ConvolutionUnit(NormedConvolution):
    """Convolution, normalisation, activation. (B, C_in, …) -> (B, C_out, … / stride)."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply the three in order."""
        return functional.leaky_relu(super().forward(x), SLOPE, inplace=True)


class DecoderLevel(nn.Module):
    """Bring the coarser features up, join the skip connection, convolve."""

    def __init__(self, below: int, skip: int, kernel: tuple[int, ...], stride: tuple[int, ...], units: int) -> None:
        super().__init__()
        self.up = _TRANSPOSED[len(kernel)](below, skip, stride, stride)  # type: ignore[arg-type]
        self.units = units_in_a_row(2 * skip, skip, kernel, (1,) * len(kernel), units)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, below, …) and the encoder's (B, skip, … · stride) -> (B, skip, … · stride)."""
        return self.units(torch.cat((self.up(x), skip), dim=1))


class PlainUNet(nn.Module):
    """The network of a ``NetworkPlan``. Sizes must be divisible by the product of the strides along each axis."""

    def __init__(self, plan: NetworkPlan) -> None:
        super().__init__()
        features, stages = plan.features, len(plan.features)
        self.encoder = nn.ModuleList(self.encoder_stage(plan, stage) for stage in range(stages))
        climb = range(stages - 2, -1, -1)
        self.decoder = nn.ModuleList(
            DecoderLevel(
                features[s + 1], features[s], plan.kernels[s], plan.strides[s + 1], plan.convolutions_decoder[s]
            )
            for s in climb
        )
        self.heads = nn.ModuleList(_CONVOLUTION[plan.dimension](features[s], plan.heads, 1) for s in climb)

    @staticmethod
    def encoder_stage(plan: NetworkPlan, stage: int) -> nn.Module:
        """One resolution of the encoder; families that differ from this one differ here."""
        channels_in = (plan.in_channels, *plan.features)[stage]
        kernel, stride = plan.kernels[stage], plan.strides[stage]
        return units_in_a_row(channels_in, plan.features[stage], kernel, stride, plan.convolutions_encoder[stage])

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, heads, …) of (B, C, …)."""
        return self.heads[-1](self._decode(x)[-1])

    def forward_deep(self, x: Tensor) -> list[Tensor]:
        """Logits of every decoder level but the coarsest (unless it is the only one), full resolution first."""
        features = self._decode(x)
        first = min(1, len(features) - 1)
        return [self.heads[level](features[level]) for level in range(len(features) - 1, first - 1, -1)]

    def _decode(self, x: Tensor) -> list[Tensor]:
        skips = []
        for stage in self.encoder:
            x = stage(x)
            skips.append(x)
        levels = []
        for level, skip in zip(self.decoder, reversed(skips[:-1]), strict=True):
            x = level(x, skip)
            levels.append(x)
        return levels


def initialize(network: nn.Module, seed: int) -> None:
    """Draw all convolution weights from Kaiming's normal distribution; biases 0 (He et al. 2015, arXiv:1502.01852)."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, a=SLOPE, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def scales(plan: NetworkPlan) -> list[tuple[int, ...]]:
    """Cumulative strides of the outputs of ``forward_deep``, full resolution first.

    >>> plan = NetworkPlan(family="plain_unet", dimension=2, in_channels=1, heads=2, features=(4, 8, 8),
    ...     strides=((1, 1), (2, 2), (2, 1)), kernels=((3, 3),) * 3, convolutions_encoder=(2, 2, 2),
    ...     convolutions_decoder=(2, 2))
    >>> scales(plan)
    [(1, 1)]
    """
    cumulative = list(itertools.accumulate(plan.strides, lambda a, b: tuple(x * y for x, y in zip(a, b, strict=True))))
    levels = len(plan.features) - 1
    return cumulative[: max(1, levels - 1)]


def units_in_a_row(
    channels_in: int, channels_out: int, kernel: tuple[int, ...], stride: tuple[int, ...], count: int
) -> nn.Sequential:
    """``count`` convolution units, the first of them strided."""
    first = ConvolutionUnit(channels_in, channels_out, kernel, stride)
    rest = (ConvolutionUnit(channels_out, channels_out, kernel, (1,) * len(kernel)) for _ in range(count - 1))
    return nn.Sequential(first, *rest)
