"""Detection: level threshold, signal model, likelihood scores and threshold estimation."""
