"""The second floor: principals, tokens and roles; the rules that every operation asks."""
