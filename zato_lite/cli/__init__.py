"""The command line: parse, invoke the same services, render."""
