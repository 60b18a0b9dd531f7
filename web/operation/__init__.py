"""The server run as a service: its life, its health, its log and its metrics."""
