"""The second floor: artifacts, runs and edges; what everything came from and what came from it."""
