"""Endurance test of a cluster: servers, their database and the network between them fail."""
