"""What is spoken over HTTP: one module a protocol."""
