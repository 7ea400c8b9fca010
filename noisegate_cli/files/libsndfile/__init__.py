"""Decode and encode with libsndfile, through soundfile."""
