"""One narrow port per kind of compute, and its adapters: tables, tasks, models."""
