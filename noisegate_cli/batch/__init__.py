"""Many recordings: which there are, what is left to do, all of them through the gate, and a memory.

`terms` say what a batch is told and tells, `run` does one: `choosing` finds the recordings, `plan`
holds them, `manifest` remembers what became of them, `deciding` compares, `executors` have workers,
`runner` keeps them busy, and a `worker` gates one recording after the other: only there is numpy
loaded.
"""
