"""The wire formats of others, each one file or folder; no protocol's shape leaks into the rooms below."""
