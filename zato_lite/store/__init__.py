"""KEEPING: jobs, runs and the ledger in SQLite."""
