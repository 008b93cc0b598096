"""What makes ``from zato.server.service import Service`` work where Zato is not installed."""
