"""The top floor: the ASGI application, its gatekeeper, and the supervisor behind `mainspring up`."""
