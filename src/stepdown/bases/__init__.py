"""Pretrained models that local ones can be tuned from."""
