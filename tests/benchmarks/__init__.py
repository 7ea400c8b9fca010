"""Benchmarks: time, memory and quality of ngate and of other gates, and long random tests."""
