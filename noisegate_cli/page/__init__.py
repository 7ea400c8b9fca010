"""A page in one HTML file, on which a person hears a recording and sets the gate by ear."""
