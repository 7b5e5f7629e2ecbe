"""What agents in the field speak with the server."""
