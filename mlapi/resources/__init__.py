"""The HTTP faces: Flask-RESTful resources that load, call and dump."""
