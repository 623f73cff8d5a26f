"""Data that stays where it is: what of it a version pins down, and how it is read again."""
