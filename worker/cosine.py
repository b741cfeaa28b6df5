"""The cosine schedule of learning rates and of the gradient penalty's weight."""

import math


def cosine(start: float, end: float, fraction: float) -> float:
    """From start to end on half a cosine, flat at both ends (arXiv:1608.03983).

    fraction: the share of the training that is done, 0 to 1.
    """
    return end + (start - end) * (1 + math.cos(math.pi * min(max(fraction, 0.0), 1.0))) / 2
