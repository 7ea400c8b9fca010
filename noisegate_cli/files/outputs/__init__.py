"""Write files completely or not at all: recordings with their metadata, and documents."""
