"""Command line: parses arguments, invokes services, prints results."""
