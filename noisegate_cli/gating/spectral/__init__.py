"""Spectral gate, per frequency bin: noise estimation, Wiener gain, overlap-add."""
