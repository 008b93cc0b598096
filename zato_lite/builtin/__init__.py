"""The framework's own services: ordinary ones, invoked like any other."""
