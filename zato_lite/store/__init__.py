"""Storage: jobs, runs, ledger, accounts and audit log in SQLite."""
