"""What is measured in each frame: levels, histograms, band powers, spectra, statistics."""
