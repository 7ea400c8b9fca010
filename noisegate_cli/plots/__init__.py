"""Plots of recordings and gates: values in, a matplotlib figure out."""
