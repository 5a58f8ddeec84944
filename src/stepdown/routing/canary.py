"""Which steps a canary may serve: chosen by hash, so that a replay chooses the same."""

import hashlib


def draw(seed: int) -> float:
    """Return the place in [0, 1) of the step with this seed; local serves where it lies below the canary's share."""
    return int.from_bytes(hashlib.sha256(f"canary/{seed}".encode()).digest()[:6]) / 2**48
