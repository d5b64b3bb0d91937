"""Training: a CSV table becomes a chosen, measured and published scikit-learn pipeline.

`table` reads, `task` says what kind of problem it is, `search` compares the families, `trainer` puts
them together, `publication` hands the result to the registry. Nothing here prints: progress is
reported as `step.Step` values to a callable that the caller passes in.
"""
