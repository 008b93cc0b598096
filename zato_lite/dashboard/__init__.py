"""Dashboard: pages for browsers on the built-in services, without any access of their own."""
