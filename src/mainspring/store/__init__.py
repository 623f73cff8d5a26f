"""The first floor: the database, the blobs, the ledger and the queue."""
