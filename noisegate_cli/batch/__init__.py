"""Gate many recordings incrementally, in parallel.

`interface` defines the configuration, the report and the observer of a batch; `run` executes it.
`discovery` finds the recordings, `plan` stores them, `manifest` records the results, `incremental`
decides which recordings to gate, `executors` provide the worker pools, `job_runner` schedules the
jobs, and `worker` gates one recording. Only `worker` loads numpy.

A recording passes through three record types:

- `Recording`: properties before it is gated. `discovery` creates it and `plan` completes it.
- `Job`: input of a worker. It is separate because it is pickled for each recording: it has absolute
  paths, and no previous result.
- `RecordingResult`: outcome. The worker creates it, `run` completes it, the manifest and the plan
  store it, and the observer receives it. A previous result has the same type.

There are two stores:

- The manifest is persistent. It is an append-only text file because appending a line is safe on a
  network filesystem and after a crash, and because users read it. It lists started outputs too, so
  that no second file must be kept consistent with it.
- The plan is a temporary SQLite database. It sorts and joins the recordings and the manifest on
  disk, so that the memory of the parent process does not grow with their number.
"""
