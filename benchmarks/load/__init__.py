"""What a fleet's day does to the server: `make load`."""
