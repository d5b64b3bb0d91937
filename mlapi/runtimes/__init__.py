"""Model files and the objects made from them; the only place where a file becomes code that runs."""
