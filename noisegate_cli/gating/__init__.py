"""The core: arithmetic on arrays, without paths, printing or a terminal.

A noise gate is *level → mask → gain → samples*. Each step is a module: `detection.detector`,
`gain.mask`, `gain.envelope` and `gain.overlap_add`. A fixed threshold only needs the frame levels
of `frames.levels`. The automatic gate has two passes. In the first pass `analysis` learns a model
of signal and noise, tries it in a `simulation` and makes a `decision`; in the second pass `gate`
scores every frame with it: `frames.band_power` → `detection.band_levels` →
`detection.likelihood_detector`. `spectral` adds the gate that works in each frequency bin.

Results are codes and numbers, such as a `detection.verdict`; `terminal` turns them into text.

Each step is an object that receives blocks through `process(…, last=False)` and stores only the
state that it needs. The output is identical for any division of the input into blocks.
"""
