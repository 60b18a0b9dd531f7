"""Cameras that the server keeps watching by itself, as its configuration names them."""
