"""The web console: pages over the same services that Python, HTTP and the command line call."""
