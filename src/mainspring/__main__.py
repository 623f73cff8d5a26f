"""`python -m mainspring` is the command `mainspring`."""

from __future__ import annotations

from mainspring.cli import main

main()
