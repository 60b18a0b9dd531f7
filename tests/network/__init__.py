"""Test of a session over a lossy link between two network namespaces."""
