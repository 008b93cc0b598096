"""WHAT: services, their registry and the one door through which they are invoked."""
