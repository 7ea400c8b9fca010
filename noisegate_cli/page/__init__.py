"""A page in one HTML file, to listen to a recording and adjust the gate by ear."""
