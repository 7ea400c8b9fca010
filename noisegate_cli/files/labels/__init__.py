"""Labels: segments of a recording as text, in the formats of other programs."""
