"""Gate many recordings incrementally, in parallel.

`interface` defines the configuration, the report and the observer of a batch; `run` executes it.
`discovery` finds the recordings, `plan` stores them, `manifest` records the results, `incremental`
decides which recordings to gate, `executors` provide the worker pools, `job_runner` schedules the
jobs, and `worker` gates one recording. Only `worker` loads numpy.
"""
