"""The ground floor: identifiers, clock, errors, names, hashing, settings, operations. Imports nothing of ours."""
