"""What happened, told to whoever wants to know: an outbox in the caller's transaction, webhooks, and consumers."""
