"""Decode and encode with FFmpeg, through PyAV."""
