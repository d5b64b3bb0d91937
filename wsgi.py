"""`app`, for any WSGI server: `gunicorn wsgi:app -c python:mlapi.server.settings`."""

from mlapi.app import create_app

app = create_app()
