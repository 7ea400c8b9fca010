"""Many recordings: which there are, what is left to do, all of them through the gate, and a memory.

`choosing` finds the recordings, `plan` holds them, `manifest` remembers what became of them,
`worker` gates one, `executors` are where workers run, `runner` keeps them busy, `run` does a batch.
"""
