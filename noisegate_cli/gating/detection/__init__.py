"""What opens the gate: level rule, signal model, evidence, thresholds."""
