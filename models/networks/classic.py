"""The tutorial's two networks for 96×96 anime faces, exactly: a DCGAN (arXiv:1511.06434).

No biases anywhere; PyTorch's default initialisation, as published. The generator ends in
BatchNorm before tanh and the discriminator's last layer is a sigmoid: the preset `classic`
keeps both, so that anyone can see what it does.
"""

from torch import Tensor, nn


class Generator(nn.Module):
    """z (N, 100) → images (N, 3, 96, 96) in [-1, 1]."""

    def __init__(self, latent: int = 100) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = latent
        for out, stride, padding in ((512, 1, 0), (256, 2, 1), (128, 2, 1), (64, 2, 1)):
            layers += [
                nn.ConvTranspose2d(channels, out, 4, stride, padding, bias=False),
                nn.BatchNorm2d(out),
                nn.ReLU(inplace=True),
            ]
            channels = out
        layers += [
            nn.ConvTranspose2d(channels, 3, 5, 3, 1, bias=False),
            nn.BatchNorm2d(3),
            nn.Tanh(),
        ]
        self.layers = nn.Sequential(*layers)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.layers(z[:, :, None, None])
        return images


class Discriminator(nn.Module):
    """Images (N, 3, 96, 96) → probabilities of being real, (N,)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for out, kernel, stride in ((64, 5, 3), (128, 4, 2), (256, 4, 2), (512, 4, 2)):
            layers += [
                nn.Conv2d(channels, out, kernel, stride, 1, bias=False),
                nn.BatchNorm2d(out),
                nn.LeakyReLU(0.2, inplace=True),
            ]
            channels = out
        layers += [nn.Conv2d(channels, 1, 4, 1, 0, bias=False), nn.Sigmoid()]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.layers(images)
        return scores.flatten()
