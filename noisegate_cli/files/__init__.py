"""Read and write recordings: formats, decoders, encoders, tags, pipes and atomic outputs."""
