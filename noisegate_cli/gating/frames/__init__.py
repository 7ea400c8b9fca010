"""Measurements of frames: levels, histograms, band powers, spectra, statistics."""
