"""Gate many recordings incrementally, in parallel.

`interface` defines the configuration, the report and the observer of a batch. `run` executes it:

1. `trees` checks the folders, and `discovery` finds the recordings.
2. `plan` stores them; `recording_settings` knows the settings of each, after `thresholds` has
   measured shared thresholds.
3. `incremental` decides from the manifest which recordings to gate.
4. `gating_phase` makes a `job` for each of them and records the results in the `manifest`.
5. `csv_report` and `contact_sheet` write the report and the sheet of recordings to review.

`job_runner` schedules the jobs on a pool: `process_pool` or `dask_pool`. `worker` is the process of
the first one. Only `job` loads numpy, in the worker.

A recording passes through three record types:

- `Recording`: properties before it is gated. `discovery` creates it and `plan` completes it.
- `Job`: input of a worker. It is separate because it is pickled for each recording: it has absolute
  paths, and no previous result.
- `RecordingResult`: outcome. The job creates it, `gating_phase` completes it, the manifest and the
  plan store it, and the observer receives it. A previous result has the same type.

There are two stores:

- The manifest is persistent. It is an append-only text file because appending a line is safe on a
  network filesystem and after a crash, and because users read it. It lists started outputs too, so
  that no second file must be kept consistent with it.
- The plan is a temporary SQLite database. It sorts and joins the recordings and the manifest on
  disk, so that the memory of the parent process does not grow with their number.
"""
