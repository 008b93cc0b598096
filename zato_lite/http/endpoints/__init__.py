"""Endpoints: the routes of the server itself."""
