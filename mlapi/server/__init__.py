"""Running behind gunicorn: settings, structured logs, and what a person sees at the start."""
