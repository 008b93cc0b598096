"""Deployment of service files: import, swap, remove, and watch for changes."""
